#include "commit/follow/keeper.h"

#include "base/check.h"
#include "store/format/segment_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES sizeof(struct store_segment_header)

/* ---- faults ---- */

static enum keeper_result keeper_refuse(struct keeper *keeper, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static enum keeper_result keeper_refuse(struct keeper *keeper, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(keeper->why, sizeof(keeper->why), format, arguments);
	va_end(arguments);
	return KEEPER_REFUSED;
}

static enum keeper_result keeper_fail(struct keeper *keeper, const char *what, int error)
{
	snprintf(keeper->why, sizeof(keeper->why), "%s: %s", what,
		 strerror(-error)); /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
	return KEEPER_FAILED;
}

/* ---- segments ---- */

static bool keeper_reserve(struct keeper *keeper)
{
	if (keeper->count < keeper->capacity)
		return true;
	uint32_t more = keeper->capacity * 2 + 16;
	struct keeper_segment *grown = reallocarray(keeper->segments, more, sizeof(*grown));
	if (grown == NULL)
		return false;
	keeper->segments = grown;
	keeper->capacity = more;
	return true;
}

/* The place of the segment of this number, or where it would be. */
static uint32_t keeper_place(const struct keeper *keeper, uint32_t number)
{
	uint32_t place = keeper->count;
	while (place > 0 && keeper->segments[place - 1].header.number >= number)
		place--;
	return place;
}

static struct keeper_segment *keeper_find(const struct keeper *keeper, uint32_t number)
{
	uint32_t place = keeper_place(keeper, number);
	bool is_there = place < keeper->count && keeper->segments[place].header.number == number;
	return is_there ? &keeper->segments[place] : NULL;
}

/* There is room, and none of this number. */
static struct keeper_segment *keeper_add(struct keeper *keeper, const struct store_segment_header *header)
{
	uint32_t place = keeper_place(keeper, header->number);
	struct keeper_segment *segment = &keeper->segments[place];
	CHECK_LT(keeper->count, keeper->capacity);
	memmove(segment + 1, segment, (keeper->count - place) * sizeof(*segment));
	*segment = (struct keeper_segment){.header = *header, .next_commit = header->first_commit};
	keeper->count++;
	return segment;
}

static void keeper_forget(struct keeper *keeper, struct keeper_segment *segment)
{
	CHECK(segment >= keeper->segments && segment < keeper->segments + keeper->count);
	CHECK_GE(keeper->bytes, segment->bytes);
	size_t behind = (size_t)(keeper->segments + keeper->count - (segment + 1));
	keeper->bytes -= segment->bytes;
	memmove(segment, segment + 1, behind * sizeof(*segment));
	keeper->count--;
}

static void keeper_note_last(struct keeper *keeper)
{
	keeper->last_commit = keeper->count != 0 ? keeper->segments[keeper->count - 1].next_commit - 1 : 0;
}

/* ---- files ---- */

static void keeper_close_file(struct keeper *keeper)
{
	if (keeper->file != NULL)
		keeper->disk->operations->close(keeper->disk->context, keeper->file);
	keeper->file = NULL;
	keeper->is_dirty = false;
}

enum keeper_result keeper_sync(struct keeper *keeper)
{
	CHECK(!keeper->is_dirty || keeper->file != NULL);
	const struct disk *disk = keeper->disk;
	int error = keeper->is_dirty ? disk->operations->sync(disk->context, keeper->file) : 0;
	keeper->is_dirty = false;
	if (error == 0 && keeper->names_are_new)
		error = disk->operations->sync_names(disk->context);
	keeper->names_are_new = false;
	return error == 0 ? KEEPER_TAKEN : keeper_fail(keeper, "a sync failed", error);
}

/* The file of this number is the open one. What was written to another one is synced before. */
static enum keeper_result keeper_use_file(struct keeper *keeper, uint32_t number, bool create)
{
	const struct disk *disk = keeper->disk;
	char name[STORE_SEGMENT_NAME_BYTES];
	if (keeper->file != NULL && keeper->file_number == number && !create)
		return KEEPER_TAKEN;
	if (keeper_sync(keeper) != KEEPER_TAKEN)
		return KEEPER_FAILED;
	keeper_close_file(keeper);
	store_segment_name(number, name);
	int error = create ? disk->operations->remove(disk->context, name) : 0;
	if (error == 0 || error == -ENOENT)
		error = disk->operations->open(disk->context, name, create, &keeper->file);
	if (error != 0) {
		keeper->file = NULL;
		return keeper_fail(keeper, create ? "a segment cannot be made" : "a segment cannot be opened", error);
	}
	keeper->file_number = number;
	keeper->names_are_new |= create;
	return KEEPER_TAKEN;
}

static enum keeper_result keeper_unlink(struct keeper *keeper, uint32_t number)
{
	const struct disk *disk = keeper->disk;
	char name[STORE_SEGMENT_NAME_BYTES];
	if (keeper->file_number == number)
		keeper_close_file(keeper);
	int error = disk->operations->remove(disk->context, store_segment_name(number, name));
	if (error != 0 && error != -ENOENT)
		return keeper_fail(keeper, "a segment cannot be removed", error);
	keeper->names_are_new = true;
	return KEEPER_TAKEN;
}

/* ---- opening ---- */

/* Cuts off what is not whole: it was not confirmed. What stays may be in the kernel alone, and counts from now on. */
static enum keeper_result keeper_adopt(struct keeper *keeper, uint32_t number, uint64_t bytes, uint64_t file_bytes)
{
	const struct disk *disk = keeper->disk;
	enum keeper_result result = keeper_use_file(keeper, number, false);
	if (result != KEEPER_TAKEN)
		return result;
	int error = bytes < file_bytes ? disk->operations->truncate(disk->context, keeper->file, bytes) : 0;
	keeper->is_dirty = true;
	return error == 0 ? KEEPER_TAKEN : keeper_fail(keeper, "a segment cannot be cut", error);
}

static enum keeper_result keeper_look_at(struct keeper *keeper, uint32_t number, struct segment_file *file)
{
	struct segment_file_head head;
	int error = segment_file_head(keeper->disk, number, &head);
	if (error != 0)
		return keeper_fail(keeper, "a segment cannot be read", error);
	if (head.state != STORE_HEADER_GOOD || head.header.number != number ||
	    memcmp(head.header.store_id, keeper->identity.id, sizeof(keeper->identity.id)) != 0)
		return keeper_unlink(keeper, number);
	error = segment_file_read(keeper->disk, &head.header, false, file);
	if (error == 0 && !keeper_reserve(keeper))
		error = -ENOMEM;
	if (error != 0)
		return keeper_fail(keeper, "a segment cannot be read", error);
	struct segment_walk walk = segment_walk(file);
	while (segment_walk_next(&walk) == STORE_COMMIT_GOOD)
		continue;
	struct keeper_segment *segment = keeper_add(keeper, &head.header);
	segment->bytes = walk.offset;
	segment->next_commit = walk.number;
	keeper->bytes += walk.offset;
	return keeper_adopt(keeper, number, walk.offset, head.file_bytes);
}

/* Looks at each segment, or (all_go) removes it. */
static enum keeper_result keeper_look(struct keeper *keeper, bool all_go)
{
	uint32_t *numbers, count;
	int error = segment_file_list(keeper->disk, &numbers, &count);
	if (error != 0)
		return keeper_fail(keeper, "the directory cannot be read", error);
	struct segment_file file = {.bytes = NULL};
	enum keeper_result result = KEEPER_TAKEN;
	for (uint32_t i = 0; i < count && result == KEEPER_TAKEN; i++)
		result = all_go ? keeper_unlink(keeper, numbers[i]) : keeper_look_at(keeper, numbers[i], &file);
	segment_file_fini(&file);
	free(numbers);
	return result;
}

enum keeper_result keeper_open(struct keeper *keeper, const struct disk *disk, const struct store_identity *identity)
{
	*keeper = (struct keeper){.disk = disk, .identity = *identity};
	struct store_identity there;
	const char *why = NULL;
	enum error error = store_identity_load(disk, &there, &why);
	bool is_same = error == ERROR_OK && memcmp(there.id, identity->id, sizeof(there.id)) == 0;
	if (error == ERROR_SYSTEM) {
		snprintf(keeper->why, sizeof(keeper->why), "%s", why);
		return KEEPER_FAILED;
	}
	keeper->names_are_new = true;
	enum keeper_result result = keeper_look(keeper, !is_same);
	if (result == KEEPER_TAKEN)
		result = keeper_sync(keeper);
	/* Once nothing of the other one is there any more. */
	if (result == KEEPER_TAKEN && !is_same && store_identity_save(disk, identity, &why) != ERROR_OK) {
		snprintf(keeper->why, sizeof(keeper->why), "%s", why);
		return KEEPER_FAILED;
	}
	keeper_note_last(keeper);
	return result;
}

void keeper_close(struct keeper *keeper)
{
	if (keeper->disk != NULL)
		keeper_close_file(keeper);
	free(keeper->segments);
	explicit_bzero(&keeper->identity, sizeof(keeper->identity));
	keeper->segments = NULL;
	keeper->count = keeper->capacity = 0;
}

void keeper_held(const struct keeper *keeper, struct follow_held *held)
{
	for (uint32_t i = 0; i < keeper->count; i++) {
		const struct keeper_segment *segment = &keeper->segments[i];
		held[i] = (struct follow_held){.number = segment->header.number,
					       .bytes = segment->bytes,
					       .next_commit = segment->next_commit,
					       .header_checksum = segment->header.checksum};
	}
}

/* ---- what comes ---- */

/* Whether the bytes are whole commits, the next of them first. *next: the one behind them. */
static bool keeper_are_commits(const struct store_segment_header *header, struct slice bytes, uint64_t *next)
{
	while (bytes.size != 0) {
		struct store_commit_header commit;
		size_t size = 0;
		if (store_commit_check(bytes, header, *next, &commit, &size) != STORE_COMMIT_GOOD)
			return false;
		bytes = slice_of(bytes.data + size, bytes.size - size);
		++*next;
	}
	return true;
}

static enum keeper_result keeper_check_header(struct keeper *keeper, uint32_t number, struct slice bytes,
					      struct store_segment_header *header)
{
	if (bytes.size < HEADER_BYTES || store_segment_header_check(bytes, header) != STORE_HEADER_GOOD)
		return keeper_refuse(keeper, "segment %" PRIu32 " begins without a header", number);
	if (memcmp(header->store_id, keeper->identity.id, sizeof(header->store_id)) != 0)
		return keeper_refuse(keeper, "segment %" PRIu32 " belongs to another store", number);
	if (header->number != number)
		return keeper_refuse(keeper, "segment %" PRIu32 " says that it is segment %" PRIu32, number,
				     header->number);
	return KEEPER_TAKEN;
}

static enum keeper_result keeper_write(struct keeper *keeper, struct keeper_segment *segment, struct slice bytes,
				       uint64_t next_commit)
{
	CHECK(keeper->file != NULL);
	CHECK_EQ(keeper->file_number, segment->header.number);
	const struct disk *disk = keeper->disk;
	int error = disk->operations->write(disk->context, keeper->file, bytes.data, bytes.size, segment->bytes);
	if (error != 0)
		return keeper_fail(keeper, "a write failed", error);
	keeper->is_dirty = true;
	segment->bytes += bytes.size;
	segment->next_commit = next_commit;
	keeper->bytes += bytes.size;
	keeper_note_last(keeper);
	return KEEPER_TAKEN;
}

static enum keeper_result keeper_begin(struct keeper *keeper, uint32_t number, struct slice bytes)
{
	struct store_segment_header header = {.number = 0};
	enum keeper_result result = keeper_check_header(keeper, number, bytes, &header);
	if (result != KEEPER_TAKEN)
		return result;
	uint64_t next = header.first_commit;
	if (!keeper_are_commits(&header, slice_of(bytes.data + HEADER_BYTES, bytes.size - HEADER_BYTES), &next))
		return keeper_refuse(keeper, "segment %" PRIu32 " goes on with something that is no whole commit",
				     number);
	struct keeper_segment *before = keeper_find(keeper, number);
	if (before == NULL && keeper->count == KEEPER_SEGMENTS_MAX)
		return keeper_refuse(keeper, "it has more than %u segments", KEEPER_SEGMENTS_MAX);
	if (before != NULL)
		keeper_forget(keeper, before);
	if (!keeper_reserve(keeper))
		return keeper_fail(keeper, "the list of segments", -ENOMEM);
	result = keeper_use_file(keeper, number, true);
	return result == KEEPER_TAKEN ? keeper_write(keeper, keeper_add(keeper, &header), bytes, next) : result;
}

enum keeper_result keeper_put(struct keeper *keeper, uint32_t number, uint64_t offset, struct slice bytes)
{
	if (number == 0 || bytes.size == 0)
		return keeper_refuse(keeper, "there is a piece of nothing");
	if (offset == 0)
		return keeper_begin(keeper, number, bytes);
	struct keeper_segment *segment = keeper_find(keeper, number);
	uint64_t has = segment != NULL ? segment->bytes : 0;
	if (offset != has)
		return keeper_refuse(keeper, "segment %" PRIu32 " has %" PRIu64 " bytes, and goes on at %" PRIu64,
				     number, has, offset);
	if (bytes.size > SEGMENT_FILE_BYTES_MAX - has)
		return keeper_refuse(keeper, "segment %" PRIu32 " would be longer than a segment can be", number);
	uint64_t next = segment->next_commit;
	if (!keeper_are_commits(&segment->header, bytes, &next))
		return keeper_refuse(keeper,
				     "segment %" PRIu32 " goes on at byte %" PRIu64
				     " with something that is no whole commit",
				     number, offset);
	enum keeper_result result = keeper_use_file(keeper, number, false);
	return result == KEEPER_TAKEN ? keeper_write(keeper, segment, bytes, next) : result;
}

enum keeper_result keeper_remove(struct keeper *keeper, uint32_t number)
{
	struct keeper_segment *segment = keeper_find(keeper, number);
	if (segment == NULL)
		return KEEPER_TAKEN;
	/* What made it needless is there for good before it goes. */
	enum keeper_result result = keeper_sync(keeper);
	if (result == KEEPER_TAKEN)
		result = keeper_unlink(keeper, number);
	if (result != KEEPER_TAKEN)
		return result;
	keeper_forget(keeper, segment);
	keeper_note_last(keeper);
	return KEEPER_TAKEN;
}
