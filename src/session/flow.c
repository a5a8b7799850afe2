#include "session/flow.h"

enum error flow_store_open(struct flow_store *store, struct messages *messages, uint32_t limit)
{
	store->messages = messages;
	return pool_open(&store->entries, sizeof(struct flow_entry), limit);
}

void flow_store_close(struct flow_store *store)
{
	pool_close(&store->entries);
}

static uint32_t entry_bytes(const struct flow_store *store, const struct flow_entry *entry)
{
	return entry->message != 0 ? message_at(store->messages, entry->message)->publication.packet_bytes : 0;
}

static void forget_message(struct flow_store *store, struct flow_entry *entry)
{
	if (entry->message != 0)
		messages_put(store->messages, entry->message);
	entry->message = 0;
}

uint32_t flow_append(struct flow *flow, struct flow_store *store, const struct flow_entry *wanted)
{
	uint32_t index = pool_take(&store->entries);
	if (index == 0)
		return 0;
	struct flow_entry *entry = flow_entry_at(store, index);
	*entry = *wanted;
	entry->next = 0;
	entry->packet_id = 0;
	entry->state = FLOW_QUEUED;
	if (flow->last != 0)
		flow_entry_at(store, flow->last)->next = index;
	else
		flow->first = index;
	flow->last = index;
	if (flow->unsent == 0)
		flow->unsent = index;
	flow->queued++;
	flow->queued_bytes += entry_bytes(store, entry);
	return index;
}

static uint16_t next_packet_id(const struct flow *flow)
{
	return flow->packet_id == UINT16_MAX ? 1 : (uint16_t)(flow->packet_id + 1);
}

bool flow_can_send(const struct flow *flow, const struct flow_store *store, uint32_t window)
{
	if (flow->inflight >= window)
		return false;
	if (flow->inflight == 0)
		return true;
	if (flow->unsent != 0 && flow_entry_at(store, flow->unsent)->packet_id != 0)
		return true;
	/* Where the oldest is still unacknowledged after a whole round of identifiers those behind it wait for it, and
	 * so does one that is not appended yet. */
	return flow_entry_at(store, flow->first)->packet_id != next_packet_id(flow);
}

/* The first unsent entry leaves the queue. */
static void leave_queue(struct flow *flow, const struct flow_store *store, const struct flow_entry *entry)
{
	CHECK(flow->queued > 0);
	flow->unsent = entry->next;
	flow->queued--;
	flow->queued_bytes -= entry_bytes(store, entry);
}

void flow_number(struct flow *flow, const struct flow_store *store)
{
	struct flow_entry *entry = flow_entry_at(store, flow->unsent);
	if (entry->packet_id == 0)
		entry->packet_id = flow->packet_id = next_packet_id(flow);
}

void flow_sent(struct flow *flow, const struct flow_store *store)
{
	flow_number(flow, store);
	struct flow_entry *entry = flow_entry_at(store, flow->unsent);
	if (entry->state == FLOW_QUEUED)
		entry->state = FLOW_SENT;
	leave_queue(flow, store, entry);
	flow->inflight++;
}

/* previous: the entry before it, 0: it is the first. */
static void remove_entry(struct flow *flow, struct flow_store *store, uint32_t index, uint32_t previous)
{
	struct flow_entry *entry = flow_entry_at(store, index);
	if (previous != 0)
		flow_entry_at(store, previous)->next = entry->next;
	else
		flow->first = entry->next;
	if (flow->last == index)
		flow->last = previous;
	forget_message(store, entry);
	pool_give(&store->entries, index);
}

static uint32_t entry_before(const struct flow *flow, const struct flow_store *store, uint32_t index)
{
	uint32_t previous = 0;
	for (uint32_t at = flow->first; at != index; at = flow_entry_at(store, at)->next)
		previous = at;
	return previous;
}

void flow_drop_unsent(struct flow *flow, struct flow_store *store)
{
	uint32_t index = flow->unsent;
	leave_queue(flow, store, flow_entry_at(store, index));
	remove_entry(flow, store, index, entry_before(flow, store, index));
}

bool flow_drop_oldest(struct flow *flow, struct flow_store *store)
{
	uint32_t previous = 0;
	uint32_t index = flow->unsent;
	/* At most a window's length of them were sent before the connection was lost. */
	while (index != 0 && flow_entry_at(store, index)->packet_id != 0) {
		previous = index;
		index = flow_entry_at(store, index)->next;
	}
	if (index == 0)
		return false;
	if (previous == 0) {
		flow_drop_unsent(flow, store);
		return true;
	}
	flow->queued--;
	flow->queued_bytes -= entry_bytes(store, flow_entry_at(store, index));
	remove_entry(flow, store, index, previous);
	return true;
}

void flow_abandon_last(struct flow *flow, struct flow_store *store)
{
	CHECK(flow->unsent == 0 && flow->inflight > 0);
	flow->inflight--;
	remove_entry(flow, store, flow->last, entry_before(flow, store, flow->last));
}

void flow_rewind(struct flow *flow, const struct flow_store *store)
{
	for (uint32_t at = flow->first; at != flow->unsent; at = flow_entry_at(store, at)->next) {
		struct flow_entry *entry = flow_entry_at(store, at);
		if (entry->state == FLOW_SENT)
			entry->state = FLOW_QUEUED;
		flow->queued++;
		flow->queued_bytes += entry_bytes(store, entry);
	}
	flow->unsent = flow->first;
	flow->inflight = 0;
}

/* A PUBREC may come again: it is answered again. */
static bool is_due(const struct flow_entry *entry, uint8_t type)
{
	if (type == MQTT_PUBACK)
		return entry->qos == 1;
	return entry->qos == 2 && (type == MQTT_PUBREC || entry->state == FLOW_RELEASED);
}

enum flow_ack flow_acknowledge(struct flow *flow, struct flow_store *store, uint8_t type, uint16_t packet_id,
			       bool failed)
{
	uint32_t previous = 0;
	uint32_t index = flow->first;
	while (index != flow->unsent && flow_entry_at(store, index)->packet_id != packet_id) {
		previous = index;
		index = flow_entry_at(store, index)->next;
		store->looks++;
	}
	if (index == flow->unsent)
		return FLOW_ACK_UNKNOWN;
	struct flow_entry *entry = flow_entry_at(store, index);
	if (!is_due(entry, type))
		return FLOW_ACK_UNEXPECTED;
	if (type == MQTT_PUBREC && !failed) {
		entry->state = FLOW_RELEASED;
		forget_message(store, entry);
		return FLOW_ACK_RELEASE;
	}
	remove_entry(flow, store, index, previous);
	flow->inflight--;
	return FLOW_ACK_DONE;
}

uint32_t flow_clear(struct flow *flow, struct flow_store *store, uint32_t most)
{
	uint32_t count = 0;
	for (; count < most && flow->first != 0; count++)
		remove_entry(flow, store, flow->first, 0);
	if (flow->first == 0)
		*flow = (struct flow){.packet_id = flow->packet_id};
	return count;
}

void flow_forget_subscription(struct flow *flow, const struct flow_store *store, uint32_t subscription)
{
	for (uint32_t at = flow->first; at != 0; at = flow_entry_at(store, at)->next) {
		struct flow_entry *entry = flow_entry_at(store, at);
		if (entry->shared && entry->subscription == subscription)
			entry->subscription = 0;
	}
}

static bool may_go_elsewhere(const struct flow_entry *entry)
{
	return entry->shared && entry->subscription != 0 && entry->message != 0 && entry->state != FLOW_RELEASED &&
	       (entry->qos == 1 || entry->packet_id == 0);
}

/* Its reference is somebody else's already, and its message may be gone: it had so many bytes. */
static void take_out(struct flow *flow, struct flow_store *store, uint32_t index, uint32_t previous, bool sent,
		     uint32_t bytes)
{
	struct flow_entry *entry = flow_entry_at(store, index);
	if (sent) {
		flow->inflight--;
	} else {
		flow->queued--;
		flow->queued_bytes -= bytes;
		if (flow->unsent == index)
			flow->unsent = entry->next;
	}
	entry->message = 0;
	remove_entry(flow, store, index, previous);
}

void flow_offer_shared(struct flow *flow, struct flow_store *store, flow_hand_on *hand_on, void *context)
{
	uint32_t previous = 0;
	bool sent = flow->unsent != flow->first;
	for (uint32_t at = flow->first, next; at != 0; at = next) {
		const struct flow_entry *entry = flow_entry_at(store, at);
		next = entry->next;
		sent &= at != flow->unsent;
		bool may_go = may_go_elsewhere(entry);
		uint32_t bytes = may_go ? entry_bytes(store, entry) : 0;
		if (may_go && hand_on(context, entry))
			take_out(flow, store, at, previous, sent, bytes);
		else
			previous = at;
	}
}
