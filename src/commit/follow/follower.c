#include "commit/follow/follower.h"

#include "base/check.h"
#include "store/format/segment_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES sizeof(struct store_segment_header)
_Static_assert(FOLLOW_PIECE_BYTES > HEADER_BYTES, "a piece has room for a header, and more");

void follower_init(struct follower *follower, struct trail *trail, const struct disk *disk, const uint8_t store_id[16])
{
	*follower = (struct follower){.trail = trail, .disk = disk};
	memcpy(follower->store_id, store_id, sizeof(follower->store_id));
}

static void follower_close_file(struct follower *follower)
{
	if (follower->file != NULL)
		follower->disk->operations->close(follower->disk->context, follower->file);
	follower->file = NULL;
}

void follower_fini(struct follower *follower)
{
	follower_close_file(follower);
	free(follower->segments);
	free(follower->seen);
	free(follower->buffer);
	*follower = (struct follower){.trail = NULL};
}

static bool follower_reserve(struct follower *follower, uint32_t needed)
{
	if (needed <= follower->capacity)
		return true;
	uint32_t more = needed * 2 + 16;
	struct follow_segment *grown = reallocarray(follower->segments, more, sizeof(*grown));
	if (grown == NULL)
		return false;
	follower->segments = grown;
	follower->capacity = more;
	return true;
}

enum error follower_begin(struct follower *follower, const struct follow_held *held, uint32_t count)
{
	follower_close_file(follower);
	follower->count = 0;
	follower->reached = 0;
	follower->floor = UINT64_MAX;
	if (!follower_reserve(follower, count))
		return ERROR_NO_MEMORY;
	CHECK_LE(count, follower->capacity);
	for (uint32_t i = 0; i < count; i++)
		follower->segments[follower->count++] = (struct follow_segment){.number = held[i].number,
										.sent = held[i].bytes,
										.next_commit = held[i].next_commit,
										.checksum = held[i].header_checksum};
	return ERROR_OK;
}

/* ---- what there is ---- */

static bool follower_fail(struct follower *follower, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool follower_fail(struct follower *follower, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(follower->why, sizeof(follower->why), format, arguments);
	va_end(arguments);
	return false;
}

static bool follower_add(struct follower *follower, uint32_t place, uint32_t number)
{
	if (!follower_reserve(follower, follower->count + 1))
		return follower_fail(follower, "there is no memory for it");
	CHECK_LE(place, follower->count);
	CHECK_LT(follower->count, follower->capacity);
	memmove(follower->segments + place + 1, follower->segments + place,
		(follower->count - place) * sizeof(*follower->segments));
	follower->segments[place] = (struct follow_segment){.number = number};
	follower->count++;
	return true;
}

/* Looks at the trail. Both lists are sorted: what is new gets its place, what is missing has gone. */
static bool follower_look(struct follower *follower)
{
	if (!trail_copy(follower->trail, &follower->seen, &follower->seen_capacity, &follower->seen_count,
			&follower->seen_position))
		return follower_fail(follower, "there was no memory for the list of segments");
	if (follower->floor == UINT64_MAX)
		follower->floor = follower->seen_position;
	uint32_t place = 0;
	for (uint32_t i = 0; i <= follower->seen_count; i++) {
		bool is_end = i == follower->seen_count;
		for (;
		     place < follower->count && (is_end || follower->segments[place].number < follower->seen[i].number);
		     place++) {
			struct follow_segment *segment = &follower->segments[place];
			if (!segment->is_gone)
				segment->gone_at = follower->seen_position;
			segment->is_gone = true;
		}
		if (is_end)
			break;
		bool is_known = place < follower->count && follower->segments[place].number == follower->seen[i].number;
		if (!is_known && !follower_add(follower, place, follower->seen[i].number))
			return false;
		place++;
	}
	return true;
}

static bool follower_has_more(const struct follow_segment *segment, const struct trail_segment *seen)
{
	/* What the other side has is looked at once, whether it is the same segment. */
	bool is_unknown = segment->checksum != 0 && !segment->has_header;
	return seen->is_shown && !segment->has_ended && (is_unknown || segment->sent < seen->bytes);
}

/* The first segment that has more; NULL: none. *reached: the position that the other side has. */
static struct follow_segment *follower_find(struct follower *follower, const struct trail_segment **found,
					    uint64_t *reached, uint64_t *behind)
{
	struct follow_segment *first = NULL;
	uint32_t place = 0;
	*reached = 0;
	*behind = 0;
	for (uint32_t i = 0; i < follower->seen_count; i++) {
		const struct trail_segment *seen = &follower->seen[i];
		while (follower->segments[place].number != seen->number)
			place++;
		CHECK_LT(place, follower->count);
		struct follow_segment *segment = &follower->segments[place];
		if (!follower_has_more(segment, seen)) {
			if (first == NULL && seen->is_shown)
				*reached = seen->position;
			continue;
		}
		*behind += seen->bytes > segment->sent ? seen->bytes - segment->sent : 0;
		if (first == NULL) {
			first = segment;
			*found = seen;
		}
	}
	if (first == NULL)
		*reached = follower->seen_position;
	return first;
}

/* ---- reading ---- */

/* -ENOENT: it has gone meanwhile. */
static int follower_open(struct follower *follower, uint32_t number)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	const struct disk *disk = follower->disk;
	if (follower->file != NULL && follower->file_number == number)
		return 0;
	follower_close_file(follower);
	int error = disk->operations->open(disk->context, store_segment_name(number, name), false, &follower->file);
	if (error != 0)
		follower->file = NULL;
	follower->file_number = number;
	return error;
}

/* Up to `size` bytes from offset into the buffer. */
static int follower_read(struct follower *follower, uint64_t offset, size_t size, size_t *got)
{
	if (size > follower->buffer_bytes) {
		uint8_t *grown = realloc(follower->buffer, size);
		if (grown == NULL)
			return -ENOMEM;
		follower->buffer = grown;
		follower->buffer_bytes = size;
	}
	const struct disk *disk = follower->disk;
	return disk->operations->read(disk->context, follower->file, follower->buffer, size, offset, got);
}

static int follower_read_header(struct follower *follower, struct follow_segment *segment)
{
	size_t got = 0;
	if (segment->has_header)
		return 0;
	int error = follower_read(follower, 0, HEADER_BYTES, &got);
	if (error != 0)
		return error;
	enum store_header_state state = store_segment_header_check(slice_of(follower->buffer, got), &segment->header);
	bool is_good = state == STORE_HEADER_GOOD && segment->header.number == segment->number &&
		       memcmp(segment->header.store_id, follower->store_id, sizeof(follower->store_id)) == 0;
	if (!is_good) {
		/* Its creation was cut short, or it is none of ours: a recovery does not need it either. */
		segment->has_ended = true;
		return 0;
	}
	segment->has_header = true;
	if (segment->checksum != segment->header.checksum || segment->sent < HEADER_BYTES) {
		segment->sent = 0;
		segment->next_commit = segment->header.first_commit;
	}
	return 0;
}

/* The bytes that are whole from the place `at` of what was read on: some commits, and the header at the beginning of
 * the file. *needed: how much the first commit that is not all there has; 0: it is not whole in the file. */
static size_t follower_whole(struct follow_segment *segment, struct slice bytes, bool is_all, size_t *needed,
			     uint64_t *last_commit)
{
	size_t at = segment->sent == 0 ? HEADER_BYTES : 0, size = 0;
	*needed = 0;
	while (at < bytes.size) {
		struct store_commit_header header;
		struct slice rest = slice_of(bytes.data + at, bytes.size - at);
		enum store_commit_state state =
			store_commit_check(rest, &segment->header, segment->next_commit, &header, &size);
		if (state == STORE_COMMIT_PARTIAL && !is_all)
			*needed = at +
				  (rest.size < sizeof(header) ? sizeof(header) : sizeof(header) + header.payload_bytes);
		if (state != STORE_COMMIT_GOOD) {
			segment->has_ended = *needed == 0;
			break;
		}
		*last_commit = segment->next_commit++;
		at += size;
	}
	return at < bytes.size ? at : bytes.size;
}

/* Fills the piece with bytes. False: it failed. An empty piece: there is nothing in the segment after all. */
static bool follower_take(struct follower *follower, struct follow_segment *segment, const struct trail_segment *seen,
			  struct follow_piece *piece)
{
	int error = follower_open(follower, segment->number);
	if (error == 0)
		error = follower_read_header(follower, segment);
	if (error == -ENOENT) {
		segment->has_ended = true;
		follower->floor = follower->seen_position;
	}
	if (segment->has_ended || segment->sent >= seen->bytes)
		return true;
	uint64_t rest = seen->bytes - segment->sent;
	size_t size = rest < FOLLOW_PIECE_BYTES ? (size_t)rest : FOLLOW_PIECE_BYTES, needed = 0, whole = 0, got = 0;
	while (error == 0) {
		error = follower_read(follower, segment->sent, size, &got);
		if (error == 0 && got < size)
			error = -EIO;
		if (error == 0)
			whole = follower_whole(segment, slice_of(follower->buffer, got), size == rest, &needed,
					       &piece->last_commit);
		if (error != 0 || needed == 0 || whole > (segment->sent == 0 ? HEADER_BYTES : 0))
			break;
		/* One commit alone is more: once more, with room for it. */
		size = needed < rest ? needed : (size_t)rest;
	}
	if (error != 0)
		return follower_fail(follower, "segment %" PRIu32 " cannot be read at byte %" PRIu64 ": %s",
				     segment->number, segment->sent,
				     strerror(-error)); /* NOLINT(concurrency-mt-unsafe) */
	if (segment->has_ended && !seen->is_old)
		return follower_fail(follower, "segment %" PRIu32 " has no whole commit at byte %" PRIu64,
				     segment->number, segment->sent + whole);
	CHECK_LE(segment->sent + whole, seen->bytes);
	piece->offset = segment->sent;
	piece->bytes = slice_of(follower->buffer, whole);
	segment->sent += whole;
	return true;
}

/* ---- pieces ---- */

/* A segment that has gone, and had gone when the log was no further than the other side is. */
static bool follower_take_gone(struct follower *follower, struct follow_piece *piece)
{
	uint32_t i = 0;
	while (i < follower->count && piece->kind != FOLLOW_GONE) {
		struct follow_segment *segment = &follower->segments[i];
		if (!segment->is_gone || segment->gone_at > follower->reached) {
			i++;
			continue;
		}
		/* Of one that was never passed on there is nothing to say. */
		if (segment->sent != 0) {
			piece->kind = FOLLOW_GONE;
			piece->segment = segment->number;
		}
		memmove(segment, segment + 1, (follower->count - i - 1) * sizeof(*segment));
		follower->count--;
	}
	return piece->kind == FOLLOW_GONE;
}

static bool follower_piece(struct follower *follower, struct follow_piece *piece)
{
	if (!follower_look(follower))
		return false;
	struct follow_segment *segment;
	const struct trail_segment *seen;
	uint64_t reached, behind;
	while ((segment = follower_find(follower, &seen, &reached, &behind)) != NULL) {
		piece->segment = segment->number;
		if (!follower_take(follower, segment, seen, piece))
			return false;
		if (piece->bytes.size != 0)
			break;
	}
	bool has_bytes = segment != NULL;
	follower_find(follower, &seen, &reached, &behind);
	piece->behind_bytes = behind;
	bool moves = reached > follower->reached && reached >= follower->floor;
	if (moves)
		follower->reached = reached;
	piece->position = follower->reached;
	if (has_bytes)
		piece->kind = FOLLOW_BYTES;
	else if (!follower_take_gone(follower, piece) && moves)
		piece->kind = FOLLOW_MARK;
	return true;
}

void follower_next(struct follower *follower, struct follow_piece *piece)
{
	*piece = (struct follow_piece){.kind = FOLLOW_NOTHING};
	if (!follower_piece(follower, piece))
		piece->kind = FOLLOW_FAILED;
}
