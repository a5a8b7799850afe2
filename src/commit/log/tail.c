#include "commit/log/tail.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Memory of an empty tail: of the commits of a loaded gateway. What a checkpoint or a sync that took long needed beyond
 * it is given back. */
#define KEPT_BYTES ((size_t)1 << 20)
#define KEPT_TOLD (KEPT_BYTES / 64)
/* Several commits of the largest size; address space costs nothing. */
#define TAIL_BYTES_MAX ((size_t)8 << 32)

static const struct store_commit_header NO_HEADER;

enum error tail_init(struct tail *tail, struct segments *segments, struct bodies *bodies, uint64_t next_number,
		     int64_t wall_s)
{
	CHECK(next_number > 0);
	*tail = (struct tail){.segments = segments, .bodies = bodies, .next_number = next_number, .wall_s = wall_s};
	return region_open(&tail->memory, TAIL_BYTES_MAX);
}

void tail_fini(struct tail *tail)
{
	region_close(&tail->memory);
	free(tail->commits);
	free(tail->told);
	*tail = (struct tail){.size = 0};
}

/* ---- making a commit ---- */

static size_t tail_align(size_t size)
{
	return (size + STORE_ALIGNMENT - 1) & ~(size_t)(STORE_ALIGNMENT - 1);
}

static bool tail_grow(void *items, uint32_t *capacity, uint32_t needed, size_t item_bytes)
{
	if (needed <= *capacity)
		return true;
	uint32_t more = needed * 2 + 64;
	void *grown = reallocarray(*(void **)items, more, item_bytes);
	if (grown == NULL)
		return false;
	*(void **)items = grown;
	*capacity = more;
	return true;
}

uint8_t *tail_room(struct tail *tail, size_t bytes)
{
	size_t at = tail->size + tail->commit_size + sizeof(struct store_section_header);
	if (region_grow(&tail->memory, at + bytes + STORE_ALIGNMENT) != ERROR_OK)
		return NULL;
	return tail->memory.base + at;
}

enum error tail_add(struct tail *tail, uint16_t shard, int64_t wall_s, size_t bytes)
{
	struct store_section_header header = {.shard = shard, .bytes = (uint32_t)bytes, .wall_s = wall_s};
	size_t end = tail_align(bytes);
	uint8_t *records = tail_room(tail, end);
	if (records == NULL || end > UINT32_MAX)
		return ERROR_NO_MEMORY;
	memcpy(records - sizeof(header), &header, sizeof(header));
	memset(records + bytes, 0, end - bytes);
	tail->commit_size += sizeof(header) + end;
	return ERROR_OK;
}

enum error tail_begin(struct tail *tail)
{
	CHECK_EQ(tail->size % STORE_ALIGNMENT, 0u);
	/* Here, so that tail_end() cannot fail, nor a commit without a section. */
	if (!tail_grow(&tail->commits, &tail->commit_capacity, tail->commit_count + 1, sizeof(*tail->commits)) ||
	    region_grow(&tail->memory, tail->size + sizeof(NO_HEADER)) != ERROR_OK)
		return ERROR_NO_MEMORY;
	tail->commit_size = sizeof(NO_HEADER);
	enum error error = tail->commit_count != 0 ? tail_add(tail, STORE_SECTION_UNSYNCED, 0, 0) : ERROR_OK;
	tail->empty_size = tail->commit_size;
	return error;
}

enum error tail_add_bodies(struct tail *tail, uint16_t shard, const struct squeeze_body *bodies, uint32_t count,
			   size_t before)
{
	if (!tail_grow(&tail->told, &tail->told_capacity, tail->told_count + count, sizeof(*tail->told)))
		return ERROR_NO_MEMORY;
	size_t at = tail->size + tail->commit_size + sizeof(struct store_section_header) + before;
	for (uint32_t i = 0; i < count; i++) {
		tail->told[tail->told_count++] = (struct tail_body){.shard = shard,
								    .message = bodies[i].message,
								    .bytes = bodies[i].bytes,
								    .at = at + bodies[i].offset};
	}
	return ERROR_OK;
}

void tail_end(struct tail *tail, int64_t wall_s)
{
	CHECK(tail->commit_size >= sizeof(NO_HEADER) && tail->commit_count < tail->commit_capacity);
	tail->wall_s = wall_s > tail->wall_s ? wall_s : tail->wall_s;
	tail->commits[tail->commit_count++] = (struct tail_commit){.at = tail->size,
								   .bytes = tail->commit_size,
								   .number = tail->next_number++,
								   .wall_s = tail->wall_s,
								   .body_end = tail->told_count};
	tail->size += tail->commit_size;
	tail->commit_size = 0;
}

void tail_drop(struct tail *tail)
{
	CHECK(!tail_has_section(tail));
	tail->commit_size = 0;
}

/* ---- to the device ---- */

static int tail_put(struct tail *tail, struct tail_commit *commit)
{
	uint8_t *bytes = tail->memory.base + commit->at;
	store_commit_seal(bytes, (uint32_t)(commit->bytes - sizeof(NO_HEADER)), &tail->segments->header, commit->number,
			  commit->wall_s);
	uint64_t offset = tail->segments->offset;
	/* Also of one that fails: the segment counts up to here. */
	commit->segment = tail->last_segment = tail->segments->header.number;
	commit->offset = tail->last_offset = offset;
	return segments_write(tail->segments, bytes, commit->bytes);
}

int tail_begin_segment(struct tail *tail)
{
	CHECK_EQ(tail->commit_count, 0u);
	int error = segments_begin(tail->segments, tail->next_number, tail->wall_s, true);
	return error != 0 ? error : segments_sync(tail->segments);
}

int tail_write(struct tail *tail)
{
	CHECK_GT(tail->commit_count, 0u);
	struct tail_commit *last = &tail->commits[tail->commit_count - 1];
	if (!segments_fits(tail->segments, last->bytes)) {
		/* A segment that is followed by another one is on the device as a whole. */
		int error = tail->commit_count > 1 ? segments_sync(tail->segments) : 0;
		if (error == 0)
			error = segments_begin(tail->segments, last->number, last->wall_s, true);
		if (error != 0)
			return error;
	}
	return tail_put(tail, last);
}

int tail_sync(struct tail *tail)
{
	CHECK(tail->commit_size == 0 && tail->commit_count > 0);
	return segments_sync(tail->segments);
}

void tail_clear(struct tail *tail)
{
	CHECK_EQ(tail->commit_size, 0u);
	if (tail->size > KEPT_BYTES)
		region_forget(&tail->memory, KEPT_BYTES, tail->size - KEPT_BYTES);
	if (tail->told_capacity > KEPT_TOLD) {
		free(tail->told);
		tail->told = NULL;
		tail->told_capacity = 0;
	}
	tail->size = 0;
	tail->commit_count = tail->told_count = 0;
}

void tail_discard_failed(struct tail *tail, uint32_t keep)
{
	if (tail->failed_segment != 0 && tail->failed_segment != keep)
		segments_discard(tail->segments, tail->failed_segment);
	tail->failed_segment = 0;
}

/* The segment that is appended to has failed, the first one or one of an attempt to write all again. */
static void tail_abandon(struct tail *tail, uint32_t keep)
{
	struct segments *segments = tail->segments;
	uint32_t number = segments->header.number;
	/* It is good up to the first commit of the tail that was written to it: what is before is synced. */
	uint64_t good = segments->offset;
	for (uint32_t i = tail->commit_count; i-- > 0;) {
		if (tail->commits[i].segment == number)
			good = tail->commits[i].offset;
	}
	segments_abandon(segments, good);
	if (tail->failed_segment == 0)
		tail->failed_segment = number;
	else if (number != keep)
		segments_discard(segments, number);
}

int tail_write_again(struct tail *tail, uint32_t keep)
{
	struct segments *segments = tail->segments;
	uint64_t first = tail->commit_count != 0 ? tail->commits[0].number : tail->next_number;
	if (segments->file != NULL)
		tail_abandon(tail, keep);
	int error = segments_begin(segments, first, tail->wall_s, false);
	for (uint32_t i = 0; i < tail->commit_count && error == 0; i++)
		error = tail_put(tail, &tail->commits[i]);
	if (error == 0)
		error = segments_show(segments);
	if (error == 0)
		error = segments_sync(segments);
	return error;
}

/* ---- bodies ---- */

static void tail_count_live(const struct tail *tail, const struct body *body, bool lives)
{
	struct segment *segment = body->message != 0 ? segments_find(tail->segments, body->segment) : NULL;
	/* A segment that was abandoned with nothing that counts is gone. */
	if (segment == NULL)
		return;
	CHECK(lives || segment->live_bytes >= body->bytes);
	segment->live_bytes += lives ? body->bytes : -(uint64_t)body->bytes;
}

static void tail_settle_commit(const struct tail *tail, const struct tail_commit *commit, uint32_t from)
{
	for (uint32_t i = from; i < commit->body_end; i++) {
		const struct tail_body *told = &tail->told[i];
		struct body before;
		if (told->bytes != 0) {
			struct body body = {.message = told->message,
					    .segment = commit->segment,
					    .offset = (uint32_t)(commit->offset + (told->at - commit->at)),
					    .bytes = told->bytes};
			before = bodies_set(tail->bodies, told->shard, body);
			tail_count_live(tail, &body, true);
		} else {
			before = bodies_remove(tail->bodies, told->shard, told->message);
		}
		tail_count_live(tail, &before, false);
	}
}

void tail_settle(struct tail *tail, uint32_t from_commit)
{
	uint32_t from = from_commit != 0 ? tail->commits[from_commit - 1].body_end : 0;
	if (from_commit == tail->commit_count || from == tail->told_count)
		return;
	pthread_mutex_lock(&tail->bodies->lock);
	for (uint32_t i = from_commit; i < tail->commit_count; i++) {
		tail_settle_commit(tail, &tail->commits[i], from);
		from = tail->commits[i].body_end;
	}
	pthread_mutex_unlock(&tail->bodies->lock);
}
