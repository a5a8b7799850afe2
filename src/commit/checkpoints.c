#include "commit/checkpoints.h"

#include "base/check.h"
#include "base/log.h"
#include "reactor/waker.h"

#include <string.h>

/* The numbers of the buffers that the shards have open, or in a turn. */
static void checkpoints_set_barrier(struct writer *writer)
{
	for (uint16_t i = 0; i < writer->common->shard_count; i++)
		writer->shards[i].barrier = atomic_load(&writer->common->shards[i].buffers.open_number);
	writer->checkpoint_waits = true;
	writer->gone_bytes = 0;
}

static bool checkpoints_past_barrier(const struct writer *writer)
{
	for (uint16_t i = 0; i < writer->common->shard_count; i++) {
		if (writer->shards[i].taken < writer->shards[i].barrier)
			return false;
	}
	return true;
}

/* There is no room for a whole segment, and needless ones would give it. */
static bool checkpoints_make_room(const struct writer *writer)
{
	const struct segments *segments = &writer->segments;
	if (segments->spare == NULL || segments->spare_bytes == segments->segment_bytes)
		return false;
	uint64_t needless_bytes = 0;
	for (uint32_t i = 0; i < segments->count; i++) {
		const struct segment *segment = &segments->list[i];
		if (segment->number < segments->header.number && segment->live_bytes == 0)
			needless_bytes += segment->bytes;
	}
	return needless_bytes >= segments->segment_bytes / 2;
}

bool checkpoints_due(struct writer *writer)
{
	if (writer->checkpoint_runs || writer->checkpoint_is_written)
		return false;
	uint64_t grown = writer->written_bytes - writer->written_before_checkpoint;
	bool due = writer->checkpoint_soon || checkpoints_make_room(writer) ||
		   (grown >= writer->settings->checkpoint_bytes && grown >= writer->checkpoint_again_bytes);
	if (due && !writer->checkpoint_waits)
		checkpoints_set_barrier(writer);
	return due && checkpoints_past_barrier(writer);
}

/* How finely segments are told apart by what of them lives. */
#define MOVING_PARTS 16u

/* What bodies keep of the log may take twice what they are, and checkpoint_bytes. Beyond that the emptiest segments are
 * written anew, as far as it takes: what waits longest has lost most by then (docs/decisions/0017-the-store.md). */
static void checkpoints_choose_moving(const struct writer *writer)
{
	const struct segments *segments = &writer->segments;
	uint64_t bytes = 0, most_bytes = writer->settings->checkpoint_bytes;
	for (uint32_t i = 0; i < segments->count; i++) {
		struct segment *segment = &segments->list[i];
		bool keeps = segment->number < writer->base_segment && segment->live_bytes != 0;
		segment->moving = keeps && segment->failed;
		bytes += keeps && !segment->failed ? segment->bytes : 0;
		most_bytes += keeps ? 2 * segment->live_bytes : 0;
	}
	/* Of a segment of which half lives there is nothing to gain. */
	for (uint32_t part = 1; part <= MOVING_PARTS / 2; part++) {
		for (uint32_t i = 0; i < segments->count && bytes > most_bytes; i++) {
			struct segment *segment = &segments->list[i];
			if (segment->number >= writer->base_segment || segment->live_bytes == 0 || segment->moving ||
			    segment->live_bytes >= segment->bytes / MOVING_PARTS * part)
				continue;
			segment->moving = true;
			CHECK_GE(bytes, segment->bytes);
			bytes -= segment->bytes - segment->live_bytes;
		}
	}
}

int checkpoints_begin(struct writer *writer)
{
	CHECK(!writer->checkpoint_runs && !writer->checkpoint_is_written);
	int error = tail_begin_segment(&writer->tail);
	if (error != 0)
		return error;
	writer->base_segment = writer->segments.header.number;
	checkpoints_choose_moving(writer);
	writer->checkpoint++;
	writer->checkpoint_runs = true;
	writer->checkpoint_soon = writer->checkpoint_waits = false;
	writer->written_before_checkpoint = writer->written_bytes;
	writer->again_before_checkpoint = writer->again_bytes;
	struct store_common *common = writer->common;
	atomic_store_explicit(&common->checkpoint, writer->checkpoint, memory_order_release);
	for (uint16_t i = 0; i < common->shard_count && writer->wakers != NULL; i++)
		waker_wake(writer->wakers[i]);
	return 0;
}

/* The commit that forgot the last body of a segment is synced, so no recovery looks for it there. */
static void checkpoints_clean(struct writer *writer)
{
	for (uint32_t i = 0; i < writer->segments.count && writer->segments.list[i].number < writer->safe_base;) {
		const struct segment *segment = &writer->segments.list[i];
		uint32_t number = segment->number;
		if (segment->live_bytes != 0) {
			i++;
			continue;
		}
		int error = segments_remove(&writer->segments, number);
		if (error != 0) {
			/* Tried again after the next sync. */
			log_write(LOG_WARNING, "store: segment %u is not needed any more and cannot be removed: %s",
				  number, strerror(-error)); /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
			return;
		}
	}
}

void checkpoints_synced(struct writer *writer)
{
	CHECK_EQ(writer->tail.commit_count, 0u);
	if (writer->checkpoint_is_written) {
		CHECK(writer->base_segment > writer->safe_base && !writer->checkpoint_runs);
		writer->checkpoint_is_written = false;
		writer->safe_base = writer->base_segment;
		writer->epoch_is_safe = true;
		writer->checkpoint_again_bytes = writer->again_bytes - writer->again_before_checkpoint;
		figures_add(&writer->figures->checkpoints, 1);
	}
	checkpoints_clean(writer);
}
