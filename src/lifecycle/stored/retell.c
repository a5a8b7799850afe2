#include "lifecycle/stored/retell.h"

#include "base/layout_root.h"
#include "deliver/queue.h"
#include "lifecycle/stored/durable.h"
#include "memory/notes.h"
#include "route/retained_jobs.h"
#include "session/packet_ids.h"
#include "state/extension.h"
#include "state/shard.h"
#include "topics/index/index.h"
#include "topics/retained_changes.h"

#include <stdlib.h>
#include <string.h>

/* A turn tells about 100 us' worth. While a checkpoint is under way the shard does not sleep, so one that is idle
 * otherwise tells half a million sessions within a second or two. */
#define RETELL_UNITS 1000u
/* Prices: a session, one of its subscriptions, one of its entries. Each misses the cache some times. */
#define SESSION_UNITS 6u
#define SUBSCRIPTION_UNITS 4u
#define ENTRY_UNITS 3u
/* Received packet ids that are told for one unit. They lie side by side. */
#define RECEIVED_PER_UNIT 4u
/* Places that are looked at for one unit. */
#define PLACES_PER_UNIT 4u
/* Of retained messages, in one step, under the lock of their tree. */
#define RETAINED_BYTES_PER_STEP 65536u
#define RETAINED_VISITS_PER_STEP 64u
_Static_assert(RETAINED_VISITS_PER_STEP <= RETAINED_VISITS_MAX, "a step of the walk");
/* How often the shard looks whether a journal without room has some again, and whether the other shards have begun. */
#define ROOM_POLL_MS 5u
/* The longest filter, with the name of its group in front. */
#define FILTER_BYTES_MAX (UINT16_MAX + 1u)
#define RETELL_NOTE "retell"

enum error retell_open(struct shard *shard)
{
	shard->sessions.retell.marks = calloc(shard->env.shard_count, sizeof(uint32_t));
	return shard->sessions.retell.marks != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

/* A walk through the tree that is not over is freed with the tree. */
void retell_close(struct shard *shard)
{
	free(shard->sessions.retell.marks);
	shard->sessions.retell.marks = NULL;
}

/* ---- from one program to the next ---- */

struct retell_note {
	uint64_t own_until;
	uint32_t number;
	uint32_t next;
	uint32_t last;
	uint32_t walk_node;
	uint32_t begun;
	uint8_t stage;
	uint8_t is_retained_told;
	uint8_t has_run;
	uint8_t all_begun;
};
LAYOUT_ROOT(retell_note);
LAYOUT_ENUM(retell_stage);

enum error retell_save(const struct shard *shard)
{
	const struct retell *retell = &shard->sessions.retell;
	struct retell_note note = {
		.own_until = retell->own_until,
		.number = retell->number,
		.next = retell->next,
		.last = retell->last,
		.walk_node = retell->walk.node,
		.begun = retell->begun,
		.stage = retell->stage,
		.is_retained_told = retell->is_retained_told,
		.has_run = retell->has_run,
		.all_begun = retell->all_begun,
	};
	return arena_put(shard->env.arena, RETELL_NOTE, &note, sizeof(note));
}

enum error retell_adopt(struct shard *shard)
{
	struct retell_note note;
	struct retell *retell = &shard->sessions.retell;
	if (!arena_get_exact(shard->env.arena, RETELL_NOTE, &note, sizeof(note)) || note.stage > RETELL_ARRIVING ||
	    note.last > shard->mem.clients.touched)
		return ERROR_NOT_FOUND;
	retell->own_until = note.own_until;
	retell->number = note.number;
	retell->next = note.next;
	retell->last = note.last;
	retell->walk.node = note.walk_node;
	retell->begun = note.begun;
	retell->stage = note.stage;
	retell->is_retained_told = note.is_retained_told != 0;
	retell->has_run = note.has_run != 0;
	retell->all_begun = note.all_begun != 0;
	/* What it waits for has arrived, for nothing is on its way. The outbox counts anew. */
	for (uint16_t to = 0; to < shard->env.shard_count; to++)
		retell->marks[to] = outbox_mark(&shard->routing.outbox, to);
	return ERROR_OK;
}

/* ---- a session ---- */

static void retell_subscriptions(struct shard *shard, struct client_ref ref)
{
	uint8_t text[FILTER_BYTES_MAX];
	struct journal *journal = &shard->sessions.journal;
	const struct subscriptions *subscriptions = &shard->sessions.subscriptions;
	const struct subscription *subscription;
	for (struct subscription_ref at = shard_client(shard, ref)->session.subscription; !subscription_ref_is_none(at);
	     at = subscription->client_next) {
		subscription = subscriptions_at(subscriptions, at);
		size_t bytes = index_filter_text(shard->env.index, subscription->node, text, sizeof(text));
		CHECK(bytes != 0);
		subscriptions_tell(subscriptions, at, slice_of(text, bytes));
		uint32_t walks = retained_jobs_walks(shard, ref, at);
		if (walks != 0)
			journal_tell(journal)->owed(journal->context, ref, at, walks);
		turn_work_charge(&shard->loop.work, SUBSCRIPTION_UNITS + bytes / WORK_UNIT_BYTES);
	}
}

static uint32_t entry_units(const struct shard *shard, const struct flow_entry *entry)
{
	if (message_ref_is_none(entry->message))
		return ENTRY_UNITS;
	const struct message *message = message_at(&shard->mem.messages, entry->message);
	return ENTRY_UNITS + (message_is_absent(message) ? 0 : message->publication.packet_bytes / WORK_UNIT_BYTES);
}

static void retell_queue(struct shard *shard, struct client_ref ref, const struct flow *flow)
{
	struct journal *journal = &shard->sessions.journal;
	const struct flow_store *flows = &shard->mem.flows;
	for (uint32_t at = flow_first(flow, flows); at != 0; at = flow_next(flow, flows, at)) {
		const struct flow_entry *entry = flow_entry_at(flows, at);
		if (entry->state == FLOW_DONE)
			continue;
		queue_tell(shard, shard_client(shard, ref), at, &(struct publisher_name){0});
		if (entry->packet_id != 0)
			journal_tell(journal)->sent(journal->context, at, entry->packet_id);
		if (entry->state == FLOW_RELEASED)
			journal_tell(journal)->released(journal->context, at);
		turn_work_charge(&shard->loop.work, entry_units(shard, entry));
	}
	if (flow->packet_id != 0)
		journal_tell(journal)->numbered(journal->context, ref, flow->packet_id);
}

/* Of a message whose acknowledgement waits, `received` is told when that leaves. A client may have 65,535 ids and a
 * long line, so the line is walked once. */
static void retell_received(struct shard *shard, struct client_ref ref, uint32_t ids)
{
	struct journal *journal = &shard->sessions.journal;
	uint64_t waiting[PACKET_ID_WORDS];
	bool some_wait = ids != 0 && pending_acks_of(&shard->routing.acks, ref) != 0;
	if (some_wait) {
		memset(waiting, 0, sizeof(waiting));
		turn_work_charge(&shard->loop.work, pending_acks_mark(&shard->routing.acks, ref, waiting));
	}
	uint16_t id = 0;
	uint32_t count = 0;
	while ((id = packet_ids_next(&shard->mem.slab, ids, id)) != 0) {
		count++;
		if (some_wait && (waiting[id / 64u] >> id % 64u & 1u) != 0)
			continue;
		journal_tell(journal)->received(journal->context, ref, id);
	}
	turn_work_charge(&shard->loop.work, count / RECEIVED_PER_UNIT);
}

static void retell_session(struct shard *shard, struct client_ref ref)
{
	struct journal *journal = &shard->sessions.journal;
	const struct extension *extension = extension_of(shard, shard_client(shard, ref));
	bool before = journal_again(journal, true);
	durable_again(shard, ref);
	retell_subscriptions(shard, ref);
	retell_queue(shard, ref, &extension->flow);
	retell_received(shard, ref, extension->received);
	if (shard_client(shard, ref)->state == CLIENT_OFFLINE)
		durable_left(shard, ref);
	journal_again(journal, before);
	turn_work_charge(&shard->loop.work, SESSION_UNITS);
}

/* False: the share is spent. */
static bool retell_sessions(struct shard *shard, uint64_t until)
{
	struct retell *retell = &shard->sessions.retell;
	for (uint32_t places = 0; retell->next <= retell->last; places++) {
		if (turn_work_is_spent(&shard->loop.work, until))
			return false;
		struct client_ref ref = {retell->next++};
		if (shard_client(shard, ref)->session.journaled)
			retell_session(shard, ref);
		else if (places % PLACES_PER_UNIT == 0)
			turn_work_charge(&shard->loop.work, WORK_NODE);
	}
	return true;
}

/* ---- retained messages ---- */

struct retell_step {
	struct shard *shard;
	uint64_t bytes;
};

static bool retell_one_retained(void *context, const struct publication *publication, const uint8_t *packet,
				uint64_t change, struct stamp stamp)
{
	struct retell_step *step = context;
	struct journal *journal = &step->shard->sessions.journal;
	struct journal_message message = {
		.publication = *publication,
		.packet = packet,
		.expires_at_s = shard_message_deadline(step->shard, publication->expires_s),
	};
	message.publication.expires_s = 0;
	struct journal_retained told = {
		.number = change,
		.topic = publication_parts(publication, packet).topic,
		.message = &message,
		.stamp = stamp,
	};
	journal_tell(journal)->retained(journal->context, &told);
	step->bytes += publication->packet_bytes;
	return step->bytes < RETAINED_BYTES_PER_STEP;
}

/* A retained_told_cleared callback. */
static bool retell_one_cleared(void *context, struct slice topic, struct stamp stamp, uint64_t change)
{
	struct retell_step *step = context;
	struct journal *journal = &step->shard->sessions.journal;
	struct journal_retained told = {.number = change, .topic = topic, .stamp = stamp};
	journal_tell(journal)->retained(journal->context, &told);
	step->bytes += topic.size;
	return step->bytes < RETAINED_BYTES_PER_STEP;
}

/* One step of it: first the messages, then the tombstones of a cluster. A program that takes over in between begins
 * again with the messages. */
static void retell_retained_step(struct retell *retell, struct retell_step *step, uint32_t *visits)
{
	struct retained *retained = step->shard->env.retained;
	if (!retell->are_messages_told)
		retell->are_messages_told = retained_tell_step(retained, &retell->walk, step->shard->loop.now_s, visits,
							       retell_one_retained, step);
	else
		retell->is_retained_told =
			retained_tell_cleared_step(retained, &retell->next_cleared, visits, retell_one_cleared, step);
}

/* Shard 0's. False: there are more. */
static bool retell_retained(struct shard *shard, uint64_t until)
{
	struct retell *retell = &shard->sessions.retell;
	while (!retell->is_retained_told) {
		if (turn_work_is_spent(&shard->loop.work, until))
			return false;
		struct retell_step step = {.shard = shard};
		uint32_t left = RETAINED_VISITS_PER_STEP;
		bool before = journal_again(&shard->sessions.journal, true);
		retell_retained_step(retell, &step, &left);
		journal_again(&shard->sessions.journal, before);
		turn_work_charge(&shard->loop.work,
				 RETAINED_VISITS_PER_STEP - left + WORK_FILTER + step.bytes / WORK_UNIT_BYTES);
	}
	return true;
}

/* ---- a checkpoint ---- */

static void retell_kept(struct shard *shard, struct message_ref kept)
{
	if (message_ref_is_none(kept) || !message_at(&shard->mem.messages, kept)->journaled)
		return;
	uint32_t expires_s = message_at(&shard->mem.messages, kept)->publication.expires_s;
	messages_tell(&shard->mem.messages, kept, shard_message_deadline(shard, expires_s), NULL);
}

static void retell_begin(struct shard *shard, uint32_t number)
{
	struct retell *retell = &shard->sessions.retell;
	struct journal *journal = &shard->sessions.journal;
	retell->number = number;
	retell->stage = RETELL_TELLING;
	retell->next = 1;
	retell->last = shard->mem.clients.touched;
	retell->is_retained_told = shard->env.number != 0;
	retell->are_messages_told = false;
	retell->next_cleared = 0;
	retell->begun++;
	atomic_fetch_add(shard->env.checkpoints_begun, 1);
	journal_tell(journal);
	journal->checkpoints->begin(journal->context, number);
	messages_begin_era(&shard->mem.messages);
	/* A walk over many subscribers that goes on may name its message without a session that has it. */
	retell_kept(shard, shard->routing.mail.kept.plain);
	retell_kept(shard, shard->routing.mail.kept.apart);
}

static bool has_arrived(const struct shard *shard)
{
	const struct outbox *outbox = &shard->routing.outbox;
	uint16_t to = 0;
	while (to < shard->env.shard_count && outbox_has_arrived(outbox, to, shard->sessions.retell.marks[to]))
		to++;
	return to == shard->env.shard_count;
}

/* What was queued before the last session was told has left the queue. */
static bool has_left(const struct shard *shard)
{
	return shard->routing.routings.own_left >= shard->sessions.retell.own_until;
}

/* Of a message at QoS 2 that is on its way, receivers' shards may have told what they got before they began this
 * checkpoint, which does not tell it again. So when all have begun, what is on its way is noted, and the checkpoint
 * ends when it has arrived: `received` is told then, and nobody needs to know any more who has the message. What is
 * sent on later is told within the checkpoint. Nor is there anything to wait for if the checkpoint was wanted before
 * all else was told. */
static bool retell_has_all_begun(const struct shard *shard)
{
	const struct retell *retell = &shard->sessions.retell;
	return atomic_load(shard->env.checkpoints_begun) >= (uint64_t)retell->begun * shard->env.shard_count;
}

static bool retell_notes_begun(const struct shard *shard)
{
	const struct retell *retell = &shard->sessions.retell;
	return retell->stage != RETELL_IDLE && !retell->all_begun && retell_has_all_begun(shard);
}

static void retell_note_begun(struct shard *shard)
{
	pending_acks_begin_era(&shard->routing.acks);
	shard->sessions.retell.all_begun = true;
}

static bool retell_can_end(const struct shard *shard)
{
	return shard->sessions.retell.all_begun && shard->routing.acks.older == 0 && has_arrived(shard);
}

static void retell_end(struct shard *shard)
{
	struct journal *journal = &shard->sessions.journal;
	shard->sessions.retell.stage = RETELL_IDLE;
	journal_tell(journal);
	journal->checkpoints->end(journal->context);
}

static bool retell_is_wanted(const struct shard *shard)
{
	const struct journal *journal = &shard->sessions.journal;
	uint32_t wanted = journal->checkpoints->wanted(journal->context);
	return wanted != 0 && wanted != shard->sessions.retell.number;
}

static bool retell_has_room(const struct shard *shard)
{
	const struct journal *journal = &shard->sessions.journal;
	return journal->checkpoints->has_room(journal->context);
}

void retell_run(struct shard *shard)
{
	struct journal *journal = &shard->sessions.journal;
	struct retell *retell = &shard->sessions.retell;
	if (journal->checkpoints == NULL)
		return;
	if (retell->stage == RETELL_IDLE && retell_is_wanted(shard)) {
		retell_begin(shard, journal->checkpoints->wanted(journal->context));
		retell->all_begun = !retell->has_run;
	}
	retell->has_run = true;
	if (retell_notes_begun(shard))
		retell_note_begun(shard);
	uint64_t until = turn_work_share(&shard->loop.work, RETELL_UNITS);
	if (retell->stage == RETELL_TELLING && retell_has_room(shard) && retell_sessions(shard, until) &&
	    retell_retained(shard, until) && shard->sessions.promised == NULL) {
		retell->stage = RETELL_LEAVING;
		retell->own_until = shard->routing.routings.own_queued;
	}
	if (retell->stage == RETELL_LEAVING && has_left(shard)) {
		retell->stage = RETELL_ARRIVING;
		for (uint16_t to = 0; to < shard->env.shard_count; to++)
			retell->marks[to] = outbox_mark(&shard->routing.outbox, to);
	}
	if (retell->stage == RETELL_ARRIVING && retell_can_end(shard))
		retell_end(shard);
}

bool retell_has_work(const struct shard *shard)
{
	const struct retell *retell = &shard->sessions.retell;
	if (shard->sessions.journal.checkpoints == NULL)
		return false;
	if (retell_notes_begun(shard))
		return true;
	switch ((enum retell_stage)retell->stage) {
	case RETELL_IDLE:
		return retell_is_wanted(shard);
	case RETELL_TELLING:
		return retell_has_room(shard) &&
		       (retell->next <= retell->last || !retell->is_retained_told || shard->sessions.promised == NULL);
	case RETELL_LEAVING:
		return has_left(shard);
	case RETELL_ARRIVING:
		return retell_can_end(shard);
	}
	return false;
}

bool retell_awaits_returns(const struct shard *shard)
{
	return shard->sessions.retell.stage == RETELL_ARRIVING;
}

uint32_t retell_wait_ms(const struct shard *shard, uint32_t limit_ms)
{
	const struct retell *retell = &shard->sessions.retell;
	bool waits = (retell->stage == RETELL_TELLING && !retell_has_room(shard)) ||
		     (retell->stage != RETELL_IDLE && !retell->all_begun);
	return waits && limit_ms > ROOM_POLL_MS ? ROOM_POLL_MS : limit_ms;
}
