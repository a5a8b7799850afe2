/* The journal of a shard: each event becomes a record in the shard's buffer. By the shard's thread. */
#include "commit/told/shard.h"

#include "base/check.h"
#include "store/format/record.h"

/* A checkpoint leaves the writer time: what the shard tells again is memory until it is written. */
#define CHECKPOINT_BEHIND_BYTES_MAX ((uint64_t)8 << 20)

static struct store_shard *shard_of(void *context)
{
	return context;
}

static inline void listener_put(struct store_shard *shard, const struct store_record *record, size_t bytes_max)
{
	struct buffers *buffers = &shard->buffers;
	uint8_t *room = buffers_room(buffers, bytes_max);
	size_t bytes = store_record_encode(record, room);
	struct buffer *buffer = buffers->current;
	buffer->size += bytes;
	buffer->records++;
	buffers->told_bytes += bytes;
	if (shard->again)
		buffer->again_bytes += bytes;
}

/* A record of numbers alone. */
static inline void listener_put_small(void *context, const struct store_record *record)
{
	listener_put(shard_of(context), record, STORE_RECORD_HEAD_BYTES_MAX);
}

static uint32_t again_flag(const struct store_shard *shard)
{
	return shard->again ? STORE_FLAG_AGAIN : 0;
}

/* ---- turns ---- */

static void listener_begin(void *context, int64_t wall_s)
{
	buffers_begin(&shard_of(context)->buffers, wall_s);
}

/* The writer is told at once; whether it is asleep is one load. */
static void listener_end(void *context)
{
	struct store_shard *shard = context;
	struct store_common *common = shard->common;
	CHECK(!shard->again);
	buffers_end(&shard->buffers);
	uint64_t behind = shard->buffers.told_bytes - atomic_load_explicit(&shard->written_bytes, memory_order_relaxed);
	if (__builtin_expect(behind > common->buffer_bytes_max, 0))
		atomic_fetch_or_explicit(&common->full, STORE_FULL_BUFFERS, memory_order_relaxed);
	if (__builtin_expect(atomic_load_explicit(&shard->buffers.short_of_memory, memory_order_relaxed), 0))
		atomic_fetch_or_explicit(&common->full, STORE_FULL_MEMORY, memory_order_relaxed);
	sleeper_wake(shard->writer);
}

/* ---- sessions ---- */

static void listener_opened(void *context, struct client_ref session, struct slice client_id)
{
	struct store_shard *shard = context;
	struct store_record record = {
		.kind = STORE_OPENED, .session = session.index, .flags = again_flag(shard), .text = client_id};
	listener_put(shard, &record, store_record_bytes_max(&record));
}

static void listener_connected(void *context, struct client_ref session, const struct journal_connected *connected)
{
	struct store_record record = {.kind = STORE_CONNECTED,
				      .session = session.index,
				      .flags = connected->is_bridge ? STORE_FLAG_IS_BRIDGE : 0,
				      .expiry_s = connected->expiry_s,
				      .publisher_generation = connected->generation};
	listener_put_small(context, &record);
	connected_set(&shard_of(context)->connected, session.index, true);
}

static void listener_principal(void *context, struct client_ref session, const struct journal_principal *principal)
{
	struct store_record record = {.kind = STORE_PRINCIPAL,
				      .session = session.index,
				      .flags = (principal->uses_auth ? STORE_FLAG_USES_AUTH : 0) |
					       (principal->rules.data != NULL ? STORE_FLAG_HAS_RULES : 0),
				      .expires_at_s = principal->expires_at_s,
				      .token_hash = principal->token_hash,
				      .user_hash = principal->user_hash,
				      .text = principal->user,
				      .body = principal->rules};
	listener_put(context, &record, store_record_bytes_max(&record));
}

static void listener_left(void *context, struct client_ref session, const struct journal_left *left)
{
	struct store_record record = {.kind = STORE_LEFT,
				      .session = session.index,
				      .expiry_s = left->expiry_s,
				      .ends_at_s = left->ends_at_s,
				      .will_at_s = left->will_at_s};
	listener_put_small(context, &record);
	connected_set(&shard_of(context)->connected, session.index, false);
}

static void listener_ended(void *context, struct client_ref session)
{
	listener_put_small(context, &(struct store_record){.kind = STORE_ENDED, .session = session.index});
	connected_set(&shard_of(context)->connected, session.index, false);
}

/* ---- subscriptions ---- */

static void listener_subscribed(void *context, struct client_ref session, struct subscription_ref subscription,
				const struct journal_subscription *told)
{
	struct store_record record = {.kind = STORE_SUBSCRIBED,
				      .session = session.index,
				      .subscription = subscription.index,
				      .identifier = told->identifier,
				      .count = told->options,
				      .text = told->filter};
	listener_put(context, &record, store_record_bytes_max(&record));
}

static void listener_unsubscribed(void *context, struct client_ref session, struct subscription_ref subscription)
{
	struct store_record record = {
		.kind = STORE_UNSUBSCRIBED, .session = session.index, .subscription = subscription.index};
	listener_put_small(context, &record);
}

static void listener_owed(void *context, struct client_ref session, struct subscription_ref subscription,
			  uint32_t walks)
{
	struct store_record record = {
		.kind = STORE_OWED, .session = session.index, .subscription = subscription.index, .count = walks};
	listener_put_small(context, &record);
}

/* ---- wills ---- */

static void listener_will_set(void *context, struct client_ref session, const struct journal_will *will)
{
	struct store_record record = {.kind = STORE_WILL_SET,
				      .session = session.index,
				      .message = will->message.index,
				      .expiry_s = will->expiry_s,
				      .delay_s = will->delay_s};
	listener_put_small(context, &record);
}

static void listener_will_published(void *context, struct client_ref session, int64_t expires_at_s)
{
	struct store_record record = {
		.kind = STORE_WILL_PUBLISHED, .session = session.index, .expires_at_s = expires_at_s};
	listener_put_small(context, &record);
}

static void listener_will_dropped(void *context, struct client_ref session)
{
	listener_put_small(context, &(struct store_record){.kind = STORE_WILL_DROPPED, .session = session.index});
}

/* ---- messages to sessions ---- */

static struct store_record message_record(const struct store_shard *shard, enum store_kind kind,
					  const struct journal_message *told)
{
	struct store_record record = {.kind = kind,
				      .flags = again_flag(shard),
				      .expires_at_s = told->expires_at_s,
				      .publisher = told->publisher.session.index,
				      .publisher_shard = told->publisher.shard,
				      .publisher_generation = told->publisher.generation};
	store_record_set_publication(&record, &told->publication);
	return record;
}

static void listener_kept(void *context, struct message_ref message, const struct journal_message *told)
{
	struct store_shard *shard = context;
	struct store_record record = message_record(shard, STORE_KEPT, told);
	record.message = message.index;
	record.body = slice_of(told->packet, told->publication.packet_bytes);
	listener_put(shard, &record, store_record_bytes_max(&record));
}

static void listener_forgotten(void *context, struct message_ref message)
{
	listener_put_small(context, &(struct store_record){.kind = STORE_FORGOTTEN, .message = message.index});
}

static void listener_queued(void *context, struct client_ref session, uint32_t entry, const struct journal_entry *told)
{
	struct store_shard *shard = context;
	uint32_t flags = told->qos | again_flag(shard);
	if (told->retain)
		flags |= STORE_FLAG_RETAIN;
	if (told->shared)
		flags |= STORE_FLAG_SHARED;
	struct store_record record = {.kind = STORE_QUEUED,
				      .session = session.index,
				      .entry = entry,
				      .message = told->message.index,
				      .subscription = told->subscription.index,
				      .flags = flags,
				      .identifier = told->identifier};
	listener_put_small(shard, &record);
}

static void listener_sent(void *context, uint32_t entry, uint16_t packet_id)
{
	struct store_record record = {.kind = STORE_SENT, .entry = entry, .packet_id = packet_id};
	listener_put_small(context, &record);
}

static void listener_numbered(void *context, struct client_ref session, uint16_t packet_id)
{
	struct store_record record = {.kind = STORE_NUMBERED, .session = session.index, .packet_id = packet_id};
	listener_put_small(context, &record);
}

static void listener_released(void *context, uint32_t entry)
{
	listener_put_small(context, &(struct store_record){.kind = STORE_RELEASED, .entry = entry});
}

static void listener_done(void *context, uint32_t entry)
{
	listener_put_small(context, &(struct store_record){.kind = STORE_DONE, .entry = entry});
}

static void listener_dropped(void *context, uint32_t entry)
{
	listener_put_small(context, &(struct store_record){.kind = STORE_DROPPED, .entry = entry});
}

static void listener_handed_on(void *context, uint32_t entry)
{
	listener_put_small(context, &(struct store_record){.kind = STORE_HANDED_ON, .entry = entry});
}

static void listener_moved(void *context, uint32_t from, uint32_t to)
{
	listener_put_small(context, &(struct store_record){.kind = STORE_MOVED, .entry = from, .entry_to = to});
}

/* ---- messages from sessions ---- */

static void listener_received(void *context, struct client_ref session, uint16_t packet_id)
{
	struct store_record record = {.kind = STORE_RECEIVED, .session = session.index, .packet_id = packet_id};
	listener_put_small(context, &record);
}

static void listener_completed(void *context, struct client_ref session, uint16_t packet_id)
{
	struct store_record record = {.kind = STORE_COMPLETED, .session = session.index, .packet_id = packet_id};
	listener_put_small(context, &record);
}

static void listener_taken(void *context, const struct journal_taken *told)
{
	struct store_record record = {.kind = STORE_RECEIVED_FROM,
				      .flags = told->is_group ? STORE_FLAG_SHARED : 0,
				      .packet_id = told->packet_id,
				      .publisher = told->publisher.session.index,
				      .publisher_shard = told->publisher.shard,
				      .publisher_generation = told->publisher.generation,
				      .text = told->receiver};
	listener_put(context, &record, store_record_bytes_max(&record));
}

/* ---- retained messages ---- */

static void listener_retained(void *context, const struct journal_retained *retained)
{
	struct store_shard *shard = context;
	struct store_record record;
	bool is_stamped = !stamp_is_none(retained->stamp);
	if (retained->message != NULL) {
		record = message_record(shard, is_stamped ? STORE_RETAINED_STAMPED : STORE_RETAINED, retained->message);
		record.body = slice_of(retained->message->packet, retained->message->publication.packet_bytes);
	} else {
		record = (struct store_record){.kind = is_stamped ? STORE_RETAINED_CLEARED : STORE_RETAINED_GONE,
					       .text = retained->topic};
	}
	record.stamp_time = retained->stamp.time;
	record.stamp_node = retained->stamp.node;
	record.number = retained->number;
	listener_put(shard, &record, store_record_bytes_max(&record));
}

const struct journal_events STORE_JOURNAL_EVENTS = {
	.begin = listener_begin,
	.end = listener_end,
	.opened = listener_opened,
	.connected = listener_connected,
	.principal = listener_principal,
	.left = listener_left,
	.ended = listener_ended,
	.subscribed = listener_subscribed,
	.unsubscribed = listener_unsubscribed,
	.owed = listener_owed,
	.will_set = listener_will_set,
	.will_published = listener_will_published,
	.will_dropped = listener_will_dropped,
	.kept = listener_kept,
	.forgotten = listener_forgotten,
	.queued = listener_queued,
	.sent = listener_sent,
	.numbered = listener_numbered,
	.released = listener_released,
	.done = listener_done,
	.dropped = listener_dropped,
	.handed_on = listener_handed_on,
	.moved = listener_moved,
	.received = listener_received,
	.completed = listener_completed,
	.taken = listener_taken,
	.retained = listener_retained,
};

/* ---- how far it is safe ---- */

static uint64_t listener_told(const void *context)
{
	const struct store_shard *shard = context;
	return shard->buffers.number;
}

static uint64_t listener_safe(const void *context, uint16_t number)
{
	const struct store_common *common = ((const struct store_shard *)context)->common;
	CHECK_LT(number, common->shard_count);
	return atomic_load_explicit(&common->shards[number].safe, memory_order_acquire);
}

static void listener_await(void *context, bool awaits)
{
	/* Sequentially consistent: either the writer sees that we wait, or what we ask next sees what it made safe. */
	atomic_store(&shard_of(context)->awaits, awaits);
}

const struct journal_safety STORE_JOURNAL_SAFETY = {
	.told = listener_told,
	.safe = listener_safe,
	.await = listener_await,
};

/* ---- checkpoints ---- */

uint32_t store_wants_checkpoint(const struct store_shard *shard)
{
	uint32_t wanted = atomic_load_explicit(&shard->common->checkpoint, memory_order_acquire);
	return wanted != shard->checkpoint_begun ? wanted : 0;
}

void store_checkpoint_begin(struct store_shard *shard, uint32_t checkpoint)
{
	CHECK(checkpoint != 0 && checkpoint != shard->checkpoint_begun);
	shard->checkpoint_begun = checkpoint;
}

void store_checkpoint_again(struct store_shard *shard, bool again)
{
	shard->again = again;
}

void store_checkpoint_kept_at(struct store_shard *shard, struct message_ref message, const struct journal_message *told)
{
	/* The writer knows where it lies, and fills the place in. */
	struct store_record record = message_record(shard, STORE_KEPT_AT, told);
	record.message = message.index;
	listener_put_small(shard, &record);
	shard->buffers.current->kept_at++;
}

void store_checkpoint_end(struct store_shard *shard)
{
	CHECK(shard->checkpoint_begun != 0 && shard->buffers.current != NULL);
	CHECK_EQ(shard->buffers.current->checkpoint_ended, 0u);
	shard->buffers.current->checkpoint_ended = shard->checkpoint_begun;
}

bool store_checkpoint_has_room(const struct store_shard *shard)
{
	uint64_t written = atomic_load_explicit(&shard->written_bytes, memory_order_relaxed);
	return shard->buffers.told_bytes - written < CHECKPOINT_BEHIND_BYTES_MAX &&
	       !atomic_load_explicit(&shard->common->hurries, memory_order_relaxed);
}

static uint32_t listener_wanted(const void *context)
{
	return store_wants_checkpoint(context);
}

static bool listener_has_room(const void *context)
{
	return store_checkpoint_has_room(context);
}

static void listener_checkpoint_begin(void *context, uint32_t number)
{
	store_checkpoint_begin(context, number);
}

static void listener_again(void *context, bool again)
{
	store_checkpoint_again(context, again);
}

static void listener_kept_at(void *context, struct message_ref message, const struct journal_message *told)
{
	store_checkpoint_kept_at(context, message, told);
}

static void listener_checkpoint_end(void *context)
{
	store_checkpoint_end(context);
}

const struct journal_checkpoints STORE_JOURNAL_CHECKPOINTS = {
	.wanted = listener_wanted,
	.has_room = listener_has_room,
	.begin = listener_checkpoint_begin,
	.again = listener_again,
	.kept_at = listener_kept_at,
	.end = listener_checkpoint_end,
};
