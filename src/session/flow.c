#include "session/flow.h"
#include "base/layout_root.h"

#include "base/check.h"
#include "session/flow_window.h"

LAYOUT_ROOT(flow_entry);

/* Entries that are examined before a table is made. */
#define NEAR 16u

enum error flow_store_open(struct flow_store *store, struct arena *arena, struct messages *messages, uint32_t limit)
{
	store->messages = messages;
	return pool_open_in(&store->entries, arena, "flow entries", sizeof(struct flow_entry), limit);
}

enum error flow_store_save(const struct flow_store *store, const struct arena *arena)
{
	return pool_save(&store->entries, arena);
}

void flow_store_close(struct flow_store *store)
{
	pool_close(&store->entries);
}

static uint32_t entry_bytes(const struct flow_store *store, const struct flow_entry *entry)
{
	return !message_ref_is_none(entry->message)
		       ? message_at(store->messages, entry->message)->publication.packet_bytes
		       : 0;
}

static void flow_forget_message(struct flow_store *store, struct flow_entry *entry)
{
	if (!message_ref_is_none(entry->message))
		messages_put(store->messages, entry->message);
	entry->message = message_ref_none();
}

/* Frees an entry that is linked nowhere any more. */
static void give_entry(struct flow *flow, struct flow_store *store, uint32_t index)
{
	struct flow_entry *entry = flow_entry_at(store, index);
	flow_window_forget(flow, store, index);
	flow_forget_message(store, entry);
	pool_give(&store->entries, index);
}

static void flow_tell_dropped(const struct flow *flow, const struct flow_store *store, uint32_t index)
{
	if (flow->journaled)
		journal_tell(store->journal)->dropped(store->journal->context, index);
}

/* ---- the list ---- */

/* The last entry may be a dropped one, which could not be unlinked. Then it is used again. */
static uint32_t take_last_place(const struct flow *flow, struct flow_store *store)
{
	if (flow->last != 0 && flow->unsent == 0 && flow_entry_at(store, flow->last)->state == FLOW_DONE)
		return flow->last;
	return pool_take(&store->entries);
}

uint32_t flow_append(struct flow *flow, struct flow_store *store, const struct flow_entry *wanted)
{
	CHECK_LE(wanted->qos, 2u);
	uint32_t index = take_last_place(flow, store);
	if (index == 0)
		return 0;
	struct flow_entry *entry = flow_entry_at(store, index);
	uint32_t first = flow->last != 0 ? flow_entry_at(store, flow->last)->next : index;
	if (index != flow->last && flow->last != 0)
		flow_entry_at(store, flow->last)->next = index;
	*entry = *wanted;
	entry->next = first;
	entry->packet_id = 0;
	entry->state = FLOW_QUEUED;
	flow->last = index;
	if (flow->unsent == 0)
		flow->unsent = index;
	flow->queued++;
	flow->queued_bytes += entry_bytes(store, entry);
	return index;
}

uint32_t flow_restore(struct flow *flow, struct flow_store *store, const struct flow_entry *wanted)
{
	CHECK(wanted->state == FLOW_QUEUED || (wanted->state == FLOW_RELEASED && wanted->packet_id != 0));
	CHECK(wanted->state == FLOW_RELEASED || !message_ref_is_none(wanted->message));
	CHECK(flow->inflight == 0 && flow->window == 0);
	uint32_t index = flow_append(flow, store, wanted);
	if (index == 0)
		return 0;
	struct flow_entry *entry = flow_entry_at(store, index);
	entry->packet_id = wanted->packet_id;
	entry->state = wanted->state;
	return index;
}

void flow_restored(struct flow *flow, struct flow_store *store, uint16_t packet_id)
{
	flow->packet_id = packet_id;
	flow_rewind(flow, store); /* as if a connection had been lost: counts what is to be repeated */
}

/* Unlinks the entry after `previous`. */
static void unlink_behind(struct flow *flow, struct flow_store *store, uint32_t previous, uint32_t index)
{
	CHECK_EQ(flow_entry_at(store, previous)->next, index);
	if (previous == index) { /* it is the only one */
		flow->last = 0;
		flow_window_free(flow, store);
	} else {
		flow_entry_at(store, previous)->next = flow_entry_at(store, index)->next;
		if (flow->last == index)
			flow->last = previous;
	}
}

/* Frees the first entry, and those after it that are done. */
static void pop(struct flow *flow, struct flow_store *store)
{
	uint32_t index = flow_first(flow, store);
	do {
		unlink_behind(flow, store, flow->last, index);
		give_entry(flow, store, index);
		index = flow_first(flow, store);
	} while (index != 0 && flow_entry_at(store, index)->state == FLOW_DONE);
}

/* An entry in flight is done. previous: the entry before it; 0: not known. */
static void finish_sent(struct flow *flow, struct flow_store *store, uint32_t index, uint32_t previous)
{
	struct flow_entry *entry = flow_entry_at(store, index);
	CHECK(flow->inflight > 0 && flow->sent_bytes >= entry_bytes(store, entry));
	flow->inflight--;
	flow->sent_bytes -= entry_bytes(store, entry);
	if (index == flow_first(flow, store)) {
		pop(flow, store);
	} else if (previous != 0) {
		unlink_behind(flow, store, previous, index);
		give_entry(flow, store, index);
	} else {
		flow_window_forget(flow, store, index);
		flow_forget_message(store, entry);
		entry->state = FLOW_DONE;
	}
	if (flow->inflight == 0)
		flow_window_drop_table(flow, store);
}

/* ---- sending ---- */

static uint16_t next_packet_id(const struct flow *flow)
{
	return flow->packet_id == UINT16_MAX ? 1 : (uint16_t)(flow->packet_id + 1);
}

bool flow_can_send(const struct flow *flow, const struct flow_store *store, struct flow_bounds window)
{
	if (flow->inflight >= window.messages)
		return false;
	if (flow->inflight == 0)
		return true;
	if (flow->sent_bytes >= window.bytes)
		return false;
	if (flow->unsent != 0 && flow_entry_at(store, flow->unsent)->packet_id != 0)
		return true;
	/* If the oldest is still unacknowledged after a whole round of identifiers, all after it wait, and so does one
	 * that is not appended yet. */
	return flow_entry_at(store, flow_first(flow, store))->packet_id != next_packet_id(flow);
}

/* The first unsent entry leaves the queue. */
static void leave_queue(struct flow *flow, const struct flow_store *store)
{
	CHECK(flow->queued > 0);
	const struct flow_entry *entry = flow_entry_at(store, flow->unsent);
	flow->queued--;
	flow->queued_bytes -= entry_bytes(store, entry);
	if (flow->window != 0 && entry->packet_id != 0)
		flow_window_repeated(flow, store, entry_bytes(store, entry));
	flow->unsent = flow_next(flow, store, flow->unsent);
}

void flow_number(struct flow *flow, const struct flow_store *store)
{
	struct flow_entry *entry = flow_entry_at(store, flow->unsent);
	if (entry->packet_id != 0)
		return;
	entry->packet_id = flow->packet_id = next_packet_id(flow);
	if (flow->journaled)
		journal_tell(store->journal)->sent(store->journal->context, flow->unsent, entry->packet_id);
}

void flow_sent(struct flow *flow, struct flow_store *store)
{
	flow_number(flow, store);
	uint32_t index = flow->unsent;
	struct flow_entry *entry = flow_entry_at(store, index);
	if (entry->state == FLOW_QUEUED)
		entry->state = FLOW_SENT;
	leave_queue(flow, store);
	flow->inflight++;
	flow->sent_bytes += entry_bytes(store, entry);
	if (flow->window != 0)
		flow_window_add(flow, store, index);
}

void flow_forget_unsent(struct flow *flow, struct flow_store *store)
{
	struct flow_entry *entry = flow_entry_at(store, flow->unsent);
	flow->queued_bytes -= entry_bytes(store, entry);
	flow_forget_message(store, entry);
}

void flow_abandon_last(struct flow *flow, struct flow_store *store)
{
	CHECK(flow->unsent == 0 && flow->inflight > 0);
	flow_tell_dropped(flow, store, flow->last);
	finish_sent(flow, store, flow->last, 0);
}

/* ---- dropping ---- */

void flow_drop_unsent(struct flow *flow, struct flow_store *store)
{
	uint32_t index = flow->unsent;
	struct flow_entry *entry = flow_entry_at(store, index);
	bool is_first = index == flow_first(flow, store);
	flow_tell_dropped(flow, store, index);
	leave_queue(flow, store);
	if (is_first) {
		unlink_behind(flow, store, flow->last, index);
		give_entry(flow, store, index);
		return;
	}
	flow_forget_message(store, entry);
	uint32_t next = flow->unsent;
	if (next == 0) {
		/* The entry before it is not known, so it stays linked. The next one that is appended takes it over. */
		flow_window_forget(flow, store, index);
		entry->state = FLOW_DONE;
		return;
	}
	/* Likewise: the content of the next entry moves here, and that one is freed. */
	struct flow_entry *moved = flow_entry_at(store, next);
	if (flow->journaled)
		journal_tell(store->journal)->moved(store->journal->context, next, index);
	flow_window_moved(flow, store, next, index);
	*entry = *moved;
	moved->message = message_ref_none();
	if (flow->last == next)
		flow->last = index;
	flow->unsent = index;
	give_entry(flow, store, next);
}

/* Removes an entry of the queue other than its first. */
static void drop_behind(struct flow *flow, struct flow_store *store, uint32_t previous, uint32_t index)
{
	flow_tell_dropped(flow, store, index);
	flow->queued--;
	flow->queued_bytes -= entry_bytes(store, flow_entry_at(store, index));
	unlink_behind(flow, store, previous, index);
	give_entry(flow, store, index);
}

struct flow_repeats flow_repeats(const struct flow *flow, const struct flow_store *store)
{
	struct flow_repeats repeats = {0};
	if (flow->unsent == 0 || flow_entry_at(store, flow->unsent)->packet_id == 0 ||
	    flow_window_repeats(flow, store, &repeats))
		return repeats;
	/* There are few, or there was no memory to remember how many. */
	for (uint32_t at = flow->unsent; at != 0; at = flow_next(flow, store, at)) {
		const struct flow_entry *entry = flow_entry_at(store, at);
		if (entry->packet_id == 0)
			break;
		repeats.messages++;
		repeats.bytes += entry_bytes(store, entry);
		repeats.last = at;
	}
	return repeats;
}

bool flow_drop_oldest(struct flow *flow, struct flow_store *store)
{
	if (flow->unsent == 0)
		return false;
	uint32_t previous = flow_repeats(flow, store).last;
	if (previous == 0) {
		flow_drop_unsent(flow, store);
		return true;
	}
	uint32_t index = flow_next(flow, store, previous);
	if (index == 0)
		return false;
	drop_behind(flow, store, previous, index);
	return true;
}

static bool is_expired(const struct flow_store *store, const struct flow_entry *entry, uint32_t now_s)
{
	return !message_ref_is_none(entry->message) &&
	       publication_expired(&message_at(store->messages, entry->message)->publication, now_s);
}

uint32_t flow_drop_expired(struct flow *flow, struct flow_store *store, uint32_t now_s, uint32_t entries_max,
			   bool *whole)
{
	uint32_t dropped = 0;
	uint32_t previous = flow_window_cursor(flow, store);
	*whole = false;
	if (previous == 0)
		previous = flow_repeats(flow, store).last;
	for (uint32_t looked = 0; looked < entries_max; looked++) {
		uint32_t index = previous != 0 ? flow_next(flow, store, previous) : flow->unsent;
		*whole = index == 0;
		if (*whole)
			break;
		if (!is_expired(store, flow_entry_at(store, index), now_s)) {
			previous = index;
			continue;
		}
		if (previous != 0)
			drop_behind(flow, store, previous, index);
		else
			flow_drop_unsent(flow, store);
		dropped++;
	}
	flow_window_set_cursor(flow, store, *whole ? 0 : previous);
	return dropped;
}

/* Moves an entry in flight back to the queue. */
static void rewind_entry(struct flow *flow, const struct flow_store *store, struct flow_entry *entry)
{
	if (entry->state == FLOW_SENT)
		entry->state = FLOW_QUEUED;
	flow->queued++;
	flow->queued_bytes += entry_bytes(store, entry);
}

void flow_rewind(struct flow *flow, struct flow_store *store)
{
	struct flow_repeats repeats = {0};
	uint32_t previous = flow->last;
	bool sent = true;
	uint32_t next;
	for (uint32_t at = flow_first(flow, store); at != 0; at = next) {
		struct flow_entry *entry = flow_entry_at(store, at);
		next = flow_next(flow, store, at);
		sent = sent && at != flow->unsent;
		if (!sent && entry->packet_id == 0)
			break;
		if (entry->state == FLOW_DONE) {
			unlink_behind(flow, store, previous, at);
			give_entry(flow, store, at);
			continue;
		}
		if (sent)
			rewind_entry(flow, store, entry);
		repeats.messages++;
		repeats.bytes += entry_bytes(store, entry);
		previous = repeats.last = at;
	}
	CHECK(repeats.messages <= flow->queued && repeats.bytes <= flow->queued_bytes);
	flow->inflight = 0;
	flow->loading = 0; /* what comes is for a connection that is gone */
	flow->sent_bytes = 0;
	flow->unsent = flow_first(flow, store);
	flow_window_rewind(flow, store, &repeats, repeats.messages > NEAR);
}

uint32_t flow_clear(struct flow *flow, struct flow_store *store, uint32_t most)
{
	CHECK(!flow->journaled); /* the end of its session was told, and stands for all of them */
	uint32_t count = 0;
	for (; count < most && flow->last != 0; count++)
		pop(flow, store);
	if (flow->last == 0) {
		flow_window_free(flow, store);
		*flow = (struct flow){.packet_id = flow->packet_id};
	}
	return count;
}

/* ---- acknowledgements ---- */

/* Whether this packet is due for the entry. A repeated PUBREC is: it is answered again. */
static bool ack_is_due(const struct flow_entry *entry, uint8_t type)
{
	if (type == MQTT_PUBACK)
		return entry->qos == 1;
	return entry->qos == 2 && (type == MQTT_PUBREC || entry->state == FLOW_RELEASED);
}

static bool has_packet_id(const struct flow_entry *entry, uint16_t packet_id)
{
	return entry->packet_id == packet_id && entry->state != FLOW_DONE;
}

/* The entry in flight with this identifier; 0: there is none. *previous: the entry before it; 0: not known. */
static uint32_t find_sent(struct flow *flow, struct flow_store *store, uint16_t packet_id, uint32_t *previous)
{
	*previous = flow->last;
	uint32_t at = flow_first(flow, store);
	/* Without memory for a table this walks all of them. */
	for (uint32_t looked = 0; at != 0 && at != flow->unsent; looked++) {
		if (has_packet_id(flow_entry_at(store, at), packet_id))
			return at;
		if (looked == NEAR && flow_window_make_table(flow, store)) {
			*previous = 0;
			at = flow_window_find(flow, store, packet_id);
			return at != 0 && has_packet_id(flow_entry_at(store, at), packet_id) ? at : 0;
		}
		*previous = at;
		at = flow_next(flow, store, at);
		store->looks++;
	}
	return 0;
}

enum flow_ack flow_acknowledge(struct flow *flow, struct flow_store *store, uint8_t type, uint16_t packet_id,
			       bool failed)
{
	uint32_t previous;
	uint32_t index = find_sent(flow, store, packet_id, &previous);
	if (index == 0)
		return FLOW_ACK_UNKNOWN;
	struct flow_entry *entry = flow_entry_at(store, index);
	if (!ack_is_due(entry, type))
		return FLOW_ACK_UNEXPECTED;
	if (type == MQTT_PUBREC && !failed) {
		if (flow->journaled && entry->state != FLOW_RELEASED)
			journal_tell(store->journal)->released(store->journal->context, index);
		entry->state = FLOW_RELEASED;
		flow->sent_bytes -= entry_bytes(store, entry);
		flow_forget_message(store, entry);
		return FLOW_ACK_RELEASE;
	}
	if (flow->journaled)
		journal_tell(store->journal)->done(store->journal->context, index);
	finish_sent(flow, store, index, previous);
	return FLOW_ACK_DONE;
}

/* ---- shared subscriptions ---- */

static bool may_go_elsewhere(const struct flow_entry *entry)
{
	return entry->shared && !message_ref_is_none(entry->message) && entry->state < FLOW_RELEASED &&
	       (entry->qos == 1 || entry->packet_id == 0);
}

const struct flow_entry *flow_next_shared(const struct flow *flow, const struct flow_store *store,
					  struct flow_walk *walk)
{
	for (;;) {
		if (!walk->stepped) { /* `at` is already the next one */
			walk->stepped = true;
			if (walk->at == 0 && walk->previous == 0)
				walk->at = flow_first(flow, store);
		} else if (walk->at != 0) {
			walk->previous = walk->at;
			walk->at = flow_next(flow, store, walk->at);
		}
		if (walk->at == 0)
			return NULL;
		const struct flow_entry *entry = flow_entry_at(store, walk->at);
		if (may_go_elsewhere(entry))
			return entry;
	}
}

/* Whether the entry was sent on this connection: flow_rewind() has put those of earlier ones back to FLOW_QUEUED. */
static bool is_sent(const struct flow_entry *entry)
{
	return entry->state == FLOW_SENT;
}

struct message_ref flow_take_shared(struct flow *flow, struct flow_store *store, struct flow_walk *walk)
{
	CHECK(walk->stepped && walk->at != 0);
	uint32_t index = walk->at;
	struct flow_entry *entry = flow_entry_at(store, index);
	struct message_ref message = entry->message;
	uint32_t next = flow_next(flow, store, index);
	if (flow->journaled)
		journal_tell(store->journal)->handed_on(store->journal->context, index);
	if (is_sent(entry)) {
		flow->inflight--;
		flow->sent_bytes -= entry_bytes(store, entry);
	} else {
		flow->queued--;
		flow->queued_bytes -= entry_bytes(store, entry);
		if (entry->packet_id != 0)
			flow_window_repeated(flow, store, entry_bytes(store, entry));
		if (flow->unsent == index)
			flow->unsent = next;
	}
	entry->message = message_ref_none(); /* the reference is the caller's */
	flow_window_moved(flow, store, index, walk->previous);
	walk->stepped = false;
	if (walk->previous != 0) {
		unlink_behind(flow, store, walk->previous, index);
		give_entry(flow, store, index);
		walk->at = next;
		walk->stepped = next == 0;
	} else {
		pop(flow, store);
		walk->at = 0; /* begins with the entry that is first now */
	}
	if (flow->inflight == 0)
		flow_window_drop_table(flow, store);
	return message;
}
