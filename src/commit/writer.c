#include "commit/writer.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "commit/checkpoints.h"
#include "commit/gather.h"
#include "reactor/waker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_NS 60000000000u

/* ---- beginning and end ---- */

static bool writer_init_shards(struct writer *writer)
{
	uint16_t count = writer->common->shard_count;
	writer->shards = calloc(count, sizeof(*writer->shards));
	for (uint16_t i = 0; writer->shards != NULL && i < count; i++) {
		writer->shards[i].carry = malloc(WRITER_CARRY_BYTES_MAX);
		if (writer->shards[i].carry == NULL)
			return false;
	}
	return writer->shards != NULL;
}

enum error writer_init(struct writer *writer, const struct writer_start *start)
{
	*writer = (struct writer){.common = start->common,
				  .settings = start->settings,
				  .wakers = start->wakers,
				  .figures = start->figures,
				  .bodies = start->bodies,
				  .state = STORE_RECOVERING};
	CHECK(writer->settings->segment_bytes > sizeof(struct store_segment_header));
	segments_init(&writer->segments, start->disk, start->settings->segment_bytes, start->store_id, start->epoch,
		      start->next_segment);
	writer->segments.trail = start->trail;
	enum error error =
		tail_init(&writer->tail, &writer->segments, start->bodies, start->next_commit, start->wall_s);
	if (error == ERROR_OK)
		error = region_open(&writer->resolved, BUFFER_BYTES_MAX);
	if (error == ERROR_OK && !writer_init_shards(writer))
		error = ERROR_NO_MEMORY;
	return error;
}

void writer_fini(struct writer *writer)
{
	for (uint16_t i = 0; writer->shards != NULL && i < writer->common->shard_count; i++) {
		struct buffer *buffer = writer->shards[i].pending;
		while (buffer != NULL) {
			struct buffer *next = buffer->next;
			buffers_give(&writer->common->shards[i].buffers, buffer);
			buffer = next;
		}
		free(writer->shards[i].carry);
	}
	free(writer->shards);
	free(writer->gone);
	segments_fini(&writer->segments);
	tail_fini(&writer->tail);
	region_close(&writer->resolved);
	squeeze_fini(&writer->squeeze);
	*writer = (struct writer){.state = STORE_STOPPED};
}

enum error writer_add_segment(struct writer *writer, uint32_t number, uint64_t bytes, uint64_t live_bytes)
{
	if (segments_add(&writer->segments, number, bytes) != 0)
		return ERROR_NO_MEMORY;
	segments_find(&writer->segments, number)->live_bytes = live_bytes;
	return ERROR_OK;
}

/* ---- figures ---- */

static void writer_show_state(struct writer *writer, enum store_state state)
{
	writer->state = state;
	atomic_store_explicit(&writer->figures->state, state, memory_order_relaxed);
	if (state == STORE_WORKING)
		atomic_fetch_and_explicit(&writer->common->full, ~(uint32_t)STORE_FULL_DEVICE, memory_order_relaxed);
	else
		atomic_fetch_or_explicit(&writer->common->full, STORE_FULL_DEVICE, memory_order_relaxed);
}

static void writer_show_log(const struct writer *writer)
{
	figures_set(&writer->figures->log_bytes, writer->segments.log_bytes);
	figures_set(&writer->figures->segments, writer->segments.count);
}

static void writer_show_sync(struct figures *figures, uint64_t now_ns, uint64_t took_ns)
{
	figures_add(&figures->syncs, 1);
	figures_add(&figures->sync_ns, took_ns);
	figures_set(&figures->sync_last_ns, took_ns);
	uint64_t minute = now_ns / MINUTE_NS, before = figures_get(&figures->sync_minute);
	if (minute != before) {
		figures_set(&figures->sync_max_ns, minute == before + 1 ? figures_get(&figures->sync_max_now_ns) : 0);
		figures_set(&figures->sync_max_now_ns, 0);
		figures_set(&figures->sync_minute, minute);
	}
	if (took_ns > figures_get(&figures->sync_max_now_ns))
		figures_set(&figures->sync_max_now_ns, took_ns);
}

static void writer_look_at_room(const struct writer *writer)
{
	uint64_t bytes;
	const struct disk *disk = writer->segments.disk;
	if (disk->operations->room(disk->context, &bytes) == 0)
		figures_set(&writer->figures->room_bytes, bytes);
}

/* ---- failures ---- */

static void writer_note_failure(struct writer *writer, int error, const char *what, uint64_t now_ns)
{
	CHECK_LT(error, 0);
	bool no_room = error == -ENOSPC || error == -EDQUOT;
	bool said = writer->state != STORE_WORKING &&
		    atomic_load_explicit(&writer->figures->error, memory_order_relaxed) == -error;
	writer->broken |= !no_room;
	writer->retry_at_ns = now_ns + WRITER_RETRY_NS;
	figures_add(&writer->figures->failures, 1);
	atomic_store_explicit(&writer->figures->error, -error, memory_order_relaxed);
	writer_show_state(writer, no_room ? STORE_FULL : STORE_BROKEN);
	writer_look_at_room(writer);
	const char *directory = writer->segments.disk->directory;
	if (!said)
		log_always(LOG_ERROR,
			   "store%s%s: %s failed: %s; %" PRIu64
			   " MiB are free; new durable messages are not taken, and it is tried again every second",
			   directory != NULL ? " " : "", directory != NULL ? directory : "", what,
			   strerror(-error), /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
			   figures_get(&writer->figures->room_bytes) >> 20);
}

static void writer_works(struct writer *writer)
{
	if (writer->failed || writer->spare_failed)
		return;
	bool again = writer->state != STORE_WORKING && writer->state != STORE_RECOVERING;
	/* Nothing is to depend on a file that failed. */
	writer->checkpoint_soon |= writer->broken;
	writer->broken = false;
	writer_show_state(writer, STORE_WORKING);
	if (again)
		log_always(LOG_INFO, "store: the device works again");
}

static void writer_fail(struct writer *writer, int error, const char *what, uint64_t now_ns)
{
	CHECK_EQ(writer->tail.commit_size, 0u); /* what was gathered is a commit, and is written again */
	struct segment *segment = segments_find(&writer->segments, writer->segments.header.number);
	if (segment != NULL && error != -ENOSPC && error != -EDQUOT)
		segment->failed = true;
	writer->failed = true;
	writer->settled = 0;
	writer_note_failure(writer, error, what, now_ns);
}

/* ---- what is safe ---- */

static bool writer_short_of_memory(const struct writer *writer)
{
	for (uint16_t i = 0; i < writer->common->shard_count; i++) {
		const struct buffers *buffers = &writer->common->shards[i].buffers;
		if (atomic_load_explicit(&buffers->short_of_memory, memory_order_relaxed))
			return true;
	}
	return writer->memory_failed;
}

/* Shards say that they are full, the writer says that they are not. */
static void writer_show_buffers(struct writer *writer)
{
	struct store_common *common = writer->common;
	uint64_t most = 0;
	for (uint16_t i = 0; i < common->shard_count; i++) {
		struct store_shard *shard = &common->shards[i];
		figures_set(&shard->written_bytes, writer->shards[i].taken_bytes);
		uint64_t behind = figures_get(&shard->buffers.told_bytes_seen);
		behind -= behind > writer->shards[i].taken_bytes ? writer->shards[i].taken_bytes : behind;
		most = behind > most ? behind : most;
	}
	uint32_t full = atomic_load_explicit(&common->full, memory_order_relaxed);
	if ((full & STORE_FULL_BUFFERS) != 0 && most <= common->buffer_bytes_max / 2)
		atomic_fetch_and_explicit(&common->full, ~(uint32_t)STORE_FULL_BUFFERS, memory_order_relaxed);
	if (writer_short_of_memory(writer))
		atomic_fetch_or_explicit(&common->full, STORE_FULL_MEMORY, memory_order_relaxed);
	else if ((full & STORE_FULL_MEMORY) != 0)
		atomic_fetch_and_explicit(&common->full, ~(uint32_t)STORE_FULL_MEMORY, memory_order_relaxed);
}

static void writer_show_oldest(const struct writer *writer)
{
	uint64_t since_ns = 0;
	for (uint16_t i = 0; i < writer->common->shard_count; i++) {
		const struct writer_shard *shard = &writer->shards[i];
		uint64_t shard_since_ns =
			shard->in_tail || shard->pending == NULL ? shard->tail_since_ns : shard->pending->since_ns;
		if (shard_since_ns != 0 && (since_ns == 0 || shard_since_ns < since_ns))
			since_ns = shard_since_ns;
	}
	figures_set(&writer->figures->taken_since_ns, since_ns);
}

/* Says how far the shard is safe: here, and where a replica's word counts, there. False: no further than before. */
static bool writer_publish_shard(struct writer *writer, uint16_t number)
{
	struct writer_shard *shard = &writer->shards[number];
	_Atomic uint64_t *safe = &writer->common->shards[number].safe;
	bool is_known = shard->confirms.last == shard->taken ||
			atomic_load_explicit(safe, memory_order_relaxed) == shard->taken;
	if (!shard->in_tail && !is_known)
		confirms_add(&shard->confirms, shard->taken, trail_position(writer->segments.trail));
	uint64_t taken = confirms_take(&shard->confirms, writer->confirmed);
	if (taken == 0)
		return false;
	CHECK_LT(atomic_load_explicit(safe, memory_order_relaxed), taken); /* a promise is not taken back */
	/* Sequentially consistent, with listener_await(). */
	atomic_store(safe, taken);
	return true;
}

/* Says how far the shards are safe, and wakes those that wait for it. */
static void writer_publish(struct writer *writer)
{
	struct store_common *common = writer->common;
	bool more = false;
	writer->confirmed = trail_confirmed(writer->segments.trail);
	for (uint16_t i = 0; i < common->shard_count && writer->epoch_is_safe; i++)
		more |= writer_publish_shard(writer, i);
	for (uint16_t i = 0; i < common->shard_count && more && writer->wakers != NULL; i++) {
		if (atomic_load(&common->shards[i].awaits))
			waker_wake(writer->wakers[i]);
	}
	writer_show_oldest(writer);
}

/* What was written outlives the process, and all of it has its place. */
static void writer_settle(struct writer *writer)
{
	CHECK_LE(writer->settled, writer->tail.commit_count);
	tail_settle(&writer->tail, writer->settled);
	writer->settled = writer->tail.commit_count;
}

static void writer_tail_is_safe(struct writer *writer)
{
	for (uint16_t i = 0; i < writer->common->shard_count; i++) {
		writer->shards[i].in_tail = false;
		writer->shards[i].tail_since_ns = 0;
	}
}

static void writer_synced(struct writer *writer)
{
	writer_settle(writer);
	tail_clear(&writer->tail);
	writer->settled = 0;
	writer->must_sync = false;
	writer_tail_is_safe(writer);
	checkpoints_synced(writer);
	writer_show_log(writer);
	writer_publish(writer);
}

/* ---- to the device ---- */

static bool writer_sync(struct writer *writer, uint64_t now_ns)
{
	uint64_t from_ns = clock_now_ns();
	int error = tail_sync(&writer->tail);
	writer_show_sync(writer->figures, now_ns, clock_now_ns() - from_ns);
	if (error != 0) {
		writer_fail(writer, error, "a sync", now_ns);
		return false;
	}
	writer_synced(writer);
	return true;
}

static bool writer_write(struct writer *writer, uint64_t now_ns)
{
	const struct tail_commit *commit = &writer->tail.commits[writer->tail.commit_count - 1];
	size_t bytes = commit->bytes;
	int error = tail_write(&writer->tail);
	if (error != 0) {
		writer_fail(writer, error, "a write", now_ns);
		return false;
	}
	writer->written_bytes += bytes;
	writer->written_at_ns = now_ns;
	figures_add(&writer->figures->commits, 1);
	figures_add(&writer->figures->written_bytes, bytes);
	if (writer->tail.commit_count == 1)
		writer->sync_due_ns = now_ns + (uint64_t)writer->settings->sync_interval_ms * 1000000u;
	if (writer->settings->durability == STORE_PERIODIC) {
		writer_settle(writer);
		/* Only once the epoch counts: before, a recovery would not look at it. */
		if (writer->epoch_is_safe)
			writer_tail_is_safe(writer);
	}
	return true;
}

static bool writer_must_sync(const struct writer *writer, uint64_t now_ns)
{
	if (writer->tail.commit_count == 0)
		return false;
	if (writer->must_sync || writer->tail.size > WRITER_TAIL_BYTES_MAX || atomic_load(&writer->hurries))
		return true;
	if (writer->settings->durability == STORE_PERIODIC)
		return now_ns >= writer->sync_due_ns;
	return writer->epoch_is_safe;
}

static bool writer_retry(struct writer *writer, uint64_t now_ns)
{
	/* The checkpoint that runs names the segment in which it began. */
	int error = tail_write_again(&writer->tail, writer->base_segment);
	if (error != 0) {
		writer_fail(writer, error, "writing to a new segment", now_ns);
		return false;
	}
	writer->failed = false;
	writer->spare_failed = false; /* the next one is tried at once */
	writer_works(writer);
	writer_synced(writer);
	tail_discard_failed(&writer->tail, writer->base_segment);
	return true;
}

/* ---- a step ---- */

/* A record KEPT_AT names a place. That must not be in the tail, which may be written again elsewhere. */
static bool writer_pending_places(const struct writer *writer)
{
	for (uint16_t i = 0; i < writer->common->shard_count && writer->epoch_is_safe; i++) {
		for (const struct buffer *buffer = writer->shards[i].pending; buffer != NULL; buffer = buffer->next) {
			if (buffer->kept_at != 0)
				return writer->tail.commit_count != 0;
		}
	}
	return false;
}

/* When the time is to be noted; SLEEPER_FOREVER: it need not be. */
static uint64_t writer_heartbeat_ns(const struct writer *writer)
{
	bool any = false;
	for (uint16_t i = 0; i < writer->common->shard_count && writer->epoch_is_safe; i++)
		any |= connected_any(&writer->common->shards[i].connected);
	return any ? writer->written_at_ns + WRITER_HEARTBEAT_NS : SLEEPER_FOREVER;
}

/* One commit, if there is something to write. False: the device failed. */
static bool writer_commit(struct writer *writer, enum gather_scope scope, uint64_t now_ns)
{
	if (writer_pending_places(writer) && !writer_sync(writer, now_ns))
		return false;
	enum error error;
	bool has_commit = gather_commit(writer, scope, &error);
	writer->memory_failed = error != ERROR_OK;
	if (!has_commit && error == ERROR_OK && now_ns >= writer_heartbeat_ns(writer))
		has_commit = gather_heartbeat(writer);
	writer_show_buffers(writer);
	/* Shards of which nothing is left to write need not wait for the device. */
	writer_publish(writer);
	if (has_commit && !writer_write(writer, now_ns))
		return false;
	if (writer_must_sync(writer, now_ns))
		return writer_sync(writer, now_ns);
	writer_publish(writer);
	return true;
}

static void writer_prepare(struct writer *writer, uint64_t now_ns)
{
	bool whole = writer->segments.spare != NULL && writer->segments.spare_bytes == writer->segments.segment_bytes;
	if (whole || (writer->spare_failed && now_ns < writer->retry_at_ns))
		return;
	int error = segments_prepare(&writer->segments);
	writer->spare_failed = error != 0;
	if (error != 0) {
		writer_note_failure(writer, error, "making the next segment", now_ns);
		return;
	}
	writer_look_at_room(writer);
	writer_works(writer);
}

static bool writer_checkpoint(struct writer *writer, uint64_t now_ns)
{
	if (atomic_load(&writer->hurries) || !checkpoints_due(writer))
		return true;
	if (writer->tail.commit_count != 0 && !writer_sync(writer, now_ns))
		return false;
	int error = checkpoints_begin(writer);
	if (error != 0)
		writer_fail(writer, error, "beginning a segment", now_ns);
	return error == 0;
}

static uint64_t writer_wait(const struct writer *writer, uint64_t now_ns)
{
	for (uint16_t i = 0; i < writer->common->shard_count && !writer->memory_failed; i++) {
		if (writer->shards[i].pending != NULL)
			return 0;
	}
	uint64_t due_ns = SLEEPER_FOREVER;
	if (writer->memory_failed)
		due_ns = now_ns + WRITER_RETRY_NS / 10;
	uint64_t heartbeat_ns = writer_heartbeat_ns(writer);
	if (heartbeat_ns < due_ns)
		due_ns = heartbeat_ns;
	if (writer->spare_failed && writer->retry_at_ns < due_ns)
		due_ns = writer->retry_at_ns;
	bool periodic = writer->settings->durability == STORE_PERIODIC;
	if (periodic && writer->tail.commit_count != 0 && writer->sync_due_ns < due_ns)
		due_ns = writer->sync_due_ns;
	return due_ns == SLEEPER_FOREVER ? due_ns : due_ns > now_ns ? due_ns - now_ns : 0;
}

uint64_t writer_step(struct writer *writer, uint64_t now_ns)
{
	writer->now_ns = now_ns;
	if (writer->failed) {
		if (now_ns < writer->retry_at_ns)
			return writer->retry_at_ns - now_ns;
		if (!writer_retry(writer, now_ns))
			return WRITER_RETRY_NS;
	}
	gather_take(writer);
	if (!writer_commit(writer, GATHER_NEEDED, now_ns))
		return WRITER_RETRY_NS;
	writer_prepare(writer, now_ns);
	if (!writer_checkpoint(writer, now_ns))
		return WRITER_RETRY_NS;
	return writer_wait(writer, now_ns);
}

int writer_begin(struct writer *writer)
{
	int error = checkpoints_begin(writer);
	if (error == 0)
		writer_works(writer);
	return error;
}

/* The last commit has this scope. */
static bool writer_commit_all(struct writer *writer, enum gather_scope scope, uint64_t now_ns)
{
	bool more;
	writer->now_ns = now_ns;
	do {
		more = gather_take(writer);
		if (!writer_commit(writer, more ? GATHER_NEEDED : scope, now_ns) || writer->memory_failed)
			return false;
	} while (more);
	return true;
}

bool writer_flush(struct writer *writer, uint64_t now_ns)
{
	if (writer->failed || !writer_commit_all(writer, GATHER_ALL, now_ns))
		return false;
	if (writer->tail.commit_count != 0 && !writer_sync(writer, now_ns))
		return false;
	for (uint16_t i = 0; i < writer->common->shard_count; i++)
		CHECK(writer->shards[i].pending == NULL && writer->shards[i].carry_bytes == 0);
	return writer->state == STORE_WORKING;
}

bool writer_stop(struct writer *writer, uint64_t now_ns)
{
	writer->now_ns = now_ns;
	if (writer->failed && !writer_retry(writer, now_ns))
		return false;
	if (!writer_commit_all(writer, GATHER_STOP, now_ns))
		return false;
	CHECK_EQ(writer->tail.commit_count, 0u); /* the last commit says that the stop was clean, and is synced */
	writer_show_state(writer, STORE_STOPPED);
	return true;
}

/* False: it goes on. */
static bool writer_rests(struct writer *writer)
{
	if (!rest_is_asked(&writer->rest))
		return false;
	bool flushed = writer_flush(writer, clock_now_ns());
	return rest_move(&writer->rest, flushed ? REST_RESTS : REST_REFUSED) && flushed;
}

/* More than it knew, or that nothing waits for it any more. */
static bool writer_is_confirmed(const struct writer *writer)
{
	return trail_confirmed(writer->segments.trail) != writer->confirmed;
}

void writer_run(struct writer *writer)
{
	while (!atomic_load(&writer->stops) && !writer_rests(writer)) {
		uint64_t wait_ns = writer_step(writer, clock_now_ns());
		if (wait_ns == 0)
			continue;
		struct sleeper *sleeper = writer->failed ? &writer->retry : &writer->sleeper;
		sleeper_prepare(sleeper);
		if (atomic_load(&writer->stops) || rest_is_asked(&writer->rest) ||
		    (!writer->failed && (gather_waiting(writer) || writer_is_confirmed(writer))))
			sleeper_awake(sleeper);
		else
			sleeper_sleep(sleeper, wait_ns);
	}
}
