#include "commit/log/segments.h"

#include "base/check.h"
#include "store/model/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void segments_init(struct segments *segments, const struct disk *disk, uint64_t segment_bytes,
		   const uint8_t store_id[16], uint64_t epoch, uint32_t next_number)
{
	CHECK(next_number > 0 && epoch > 0);
	*segments = (struct segments){
		.disk = disk, .segment_bytes = segment_bytes, .next_number = next_number, .header.epoch = epoch};
	memcpy(segments->header.store_id, store_id, sizeof(segments->header.store_id));
}

static void segments_close(const struct segments *segments, struct disk_file **file)
{
	if (*file != NULL)
		segments->disk->operations->close(segments->disk->context, *file);
	*file = NULL;
}

static int segments_unlink(const struct segments *segments, uint32_t number)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	store_segment_name(number, name);
	return segments->disk->operations->remove(segments->disk->context, name);
}

void segments_fini(struct segments *segments)
{
	bool has_spare = segments->spare != NULL;
	segments_close(segments, &segments->spare);
	if (has_spare && !segments->adopted)
		segments_unlink(segments, segments->spare_number);
	/* Gives the room back that the last commits did not take. It does not matter whether it succeeds. */
	if (segments->file != NULL && !segments->adopted)
		segments->disk->operations->truncate(segments->disk->context, segments->file, segments->offset);
	segments_close(segments, &segments->file);
	free(segments->list);
	*segments = (struct segments){.count = 0};
}

/* ---- from the previous program ---- */

/* It is there, and at least so long. */
static int segments_reopen(const struct segments *segments, uint32_t number, uint64_t bytes, struct disk_file **file)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	const struct disk_operations *disk = segments->disk->operations;
	uint64_t size = 0;
	int error = disk->open(segments->disk->context, store_segment_name(number, name), false, file);
	if (error != 0) {
		*file = NULL;
		return error;
	}
	error = disk->size(segments->disk->context, *file, &size);
	return error == 0 && size < bytes ? -EINVAL : error;
}

static int segments_check_header(const struct segments *segments)
{
	struct store_segment_header header;
	size_t got = 0;
	int error = segments->disk->operations->read(segments->disk->context, segments->file, &header, sizeof(header),
						     0, &got);
	if (error != 0)
		return error;
	return got == sizeof(header) && memcmp(&header, &segments->header, sizeof(header)) == 0 ? 0 : -EINVAL;
}

int segments_adopt(struct segments *segments, uint32_t *number)
{
	segments->adopted = true;
	*number = segments->header.number;
	int error = segments_reopen(segments, *number, segments->offset, &segments->file);
	if (error == 0)
		error = segments_check_header(segments);
	if (error == 0 && segments->spare_number != 0) {
		*number = segments->spare_number;
		error = segments_reopen(segments, *number, 0, &segments->spare);
	}
	return error;
}

/* ---- the list ---- */

static bool segments_reserve(struct segments *segments)
{
	if (segments->count < segments->capacity)
		return true;
	uint32_t more = segments->capacity * 2 + 16;
	struct segment *grown = reallocarray(segments->list, more, sizeof(*grown));
	if (grown == NULL)
		return false;
	segments->list = grown;
	segments->capacity = more;
	return true;
}

static int segments_put(struct segments *segments, uint32_t number, uint64_t bytes, bool is_shown, bool is_old)
{
	if (!segments_reserve(segments))
		return -ENOMEM;
	CHECK(segments->count == 0 || segments->list[segments->count - 1].number < number);
	segments->list[segments->count++] = (struct segment){.number = number, .bytes = bytes};
	segments->log_bytes += bytes;
	trail_add(segments->trail, number, bytes, is_shown, is_old);
	return 0;
}

int segments_add(struct segments *segments, uint32_t number, uint64_t bytes)
{
	return segments_put(segments, number, bytes, true, true);
}

struct segment *segments_find(const struct segments *segments, uint32_t number)
{
	uint32_t from = 0, end = segments->count;
	while (from < end) {
		uint32_t middle = from + (end - from) / 2;
		if (segments->list[middle].number < number)
			from = middle + 1;
		else
			end = middle;
	}
	return from < segments->count && segments->list[from].number == number ? &segments->list[from] : NULL;
}

int segments_remove(struct segments *segments, uint32_t number)
{
	struct segment *segment = segments_find(segments, number);
	CHECK(segment != NULL && segment->live_bytes == 0 && number != segments->header.number);
	int error = segments_unlink(segments, number);
	if (error != 0 && error != -ENOENT)
		return error;
	CHECK_GE(segments->log_bytes, segment->bytes);
	segments->log_bytes -= segment->bytes;
	trail_remove(segments->trail, number);
	size_t behind = (size_t)(segments->list + segments->count - (segment + 1));
	memmove(segment, segment + 1, behind * sizeof(*segment));
	segments->count--;
	return 0;
}

/* ---- the next one ---- */

/* Room for the spare one. Where there is none for a whole segment it is a small one, for a checkpoint alone, which
 * gives back what is needless; what is returned is the lack of room all the same. */
static int segments_allocate(struct segments *segments)
{
	const struct disk_operations *disk = segments->disk->operations;
	void *context = segments->disk->context;
	int error = disk->allocate(context, segments->spare, segments->segment_bytes);
	/* A whole one that leaves no room for a small one behind it would be the last. */
	uint64_t room;
	bool can_be_small = segments->segment_bytes / 8 >= SEGMENT_SMALL_BYTES;
	if (error == 0 && can_be_small && disk->room(context, &room) == 0 && room < SEGMENT_SMALL_BYTES)
		error = -ENOSPC;
	if (error == 0)
		segments->spare_bytes = segments->segment_bytes;
	if (error == 0 || (error != -ENOSPC && error != -EDQUOT))
		return error;
	if (segments->spare_bytes != 0) {
		/* It stays a small one, without what the attempt took. */
		disk->truncate(context, segments->spare, segments->spare_bytes);
		return error;
	}
	for (uint64_t bytes = segments->segment_bytes / 8; bytes >= SEGMENT_SMALL_BYTES; bytes /= 8) {
		/* What an attempt took before it failed. */
		if (disk->truncate(context, segments->spare, 0) == 0 &&
		    disk->allocate(context, segments->spare, bytes) == 0) {
			segments->spare_bytes = bytes;
			break;
		}
	}
	return error;
}

/* An empty file, with the next number. */
static int segments_open_spare(struct segments *segments)
{
	const struct disk_operations *disk = segments->disk->operations;
	void *context = segments->disk->context;
	char name[STORE_SEGMENT_NAME_BYTES];
	store_segment_name(segments->next_number, name);
	int error = disk->open(context, name, true, &segments->spare);
	if (error == -EEXIST) {
		/* One that an attempt before could not finish. */
		error = disk->remove(context, name);
		if (error == 0)
			error = disk->open(context, name, true, &segments->spare);
	}
	if (error != 0)
		segments->spare = NULL;
	segments->spare_bytes = 0;
	return error;
}

int segments_prepare(struct segments *segments)
{
	if (segments->spare != NULL)
		return segments->spare_bytes == segments->segment_bytes ? 0 : segments_allocate(segments);
	int error = segments_open_spare(segments);
	if (error != 0)
		return error;
	error = segments_allocate(segments);
	int synced = segments->spare_bytes != 0 ? segments->disk->operations->sync_names(segments->disk->context) : 0;
	if (segments->spare_bytes == 0 || synced != 0) {
		char name[STORE_SEGMENT_NAME_BYTES];
		segments_close(segments, &segments->spare);
		segments->disk->operations->remove(segments->disk->context,
						   store_segment_name(segments->next_number, name));
		return synced != 0 ? synced : error;
	}
	segments->spare_number = segments->next_number++;
	return error;
}

int segments_begin(struct segments *segments, uint64_t first_commit, int64_t wall_s, bool shown)
{
	if (!segments_reserve(segments))
		return -ENOMEM;
	int error = segments->spare == NULL ? segments_prepare(segments) : 0;
	if (segments->spare == NULL)
		return error;
	struct store_segment_header header;
	store_segment_header_make(&header, segments->header.store_id, segments->spare_number, segments->header.epoch,
				  first_commit, wall_s);
	const struct disk_operations *disk = segments->disk->operations;
	error = shown ? disk->write(segments->disk->context, segments->spare, &header, sizeof(header), 0) : 0;
	if (error != 0) {
		segments_close(segments, &segments->spare);
		segments_unlink(segments, header.number);
		return error;
	}
	/* What the one before did not use. It does not matter whether it succeeds. */
	if (segments->file != NULL && segments->offset < segments->file_bytes)
		disk->truncate(segments->disk->context, segments->file, segments->offset);
	segments_close(segments, &segments->file);
	segments->file = segments->spare;
	segments->file_bytes = segments->spare_bytes;
	segments->spare = NULL;
	segments->header = header;
	segments->offset = sizeof(header);
	error = segments_put(segments, header.number, sizeof(header), shown, false);
	CHECK_EQ(error, 0);
	return 0;
}

int segments_show(struct segments *segments)
{
	CHECK(segments->file != NULL);
	int error = segments->disk->operations->write(segments->disk->context, segments->file, &segments->header,
						      sizeof(segments->header), 0);
	if (error == 0)
		trail_show(segments->trail, segments->header.number);
	return error;
}

bool segments_fits(const struct segments *segments, size_t bytes)
{
	/* A commit that is longer than a segment has one of its own. */
	return segments->file != NULL &&
	       (segments->offset + bytes <= segments->file_bytes || segments->offset == sizeof(segments->header));
}

int segments_write(struct segments *segments, const void *bytes, size_t size)
{
	CHECK(segments->file != NULL && segments->offset % STORE_ALIGNMENT == 0 && size % STORE_ALIGNMENT == 0);
	int error = segments->disk->operations->write(segments->disk->context, segments->file, bytes, size,
						      segments->offset);
	if (error != 0)
		return error;
	segments->offset += size;
	struct segment *segment = segments_find(segments, segments->header.number);
	CHECK(segment != NULL);
	segment->bytes = segments->offset;
	segments->log_bytes += size;
	trail_grow(segments->trail, segment->number, segment->bytes);
	return 0;
}

int segments_sync(struct segments *segments)
{
	CHECK(segments->file != NULL);
	return segments->disk->operations->sync(segments->disk->context, segments->file);
}

void segments_abandon(struct segments *segments, uint64_t good_offset)
{
	CHECK(segments->file != NULL && good_offset <= segments->offset);
	struct segment *segment = segments_find(segments, segments->header.number);
	CHECK(segment != NULL);
	segments->log_bytes -= segments->offset - good_offset;
	segment->bytes = good_offset;
	trail_grow(segments->trail, segment->number, good_offset);
	segments->header.number = 0;
	segments_close(segments, &segments->file);
}

void segments_discard(struct segments *segments, uint32_t number)
{
	const struct segment *segment = segments_find(segments, number);
	CHECK_NE(number, segments->header.number);
	/* A checkpoint that has ended meanwhile may have removed it. */
	if (segment != NULL && segment->bytes == sizeof(segments->header) && segment->live_bytes == 0)
		segments_remove(segments, number);
}
