#define XXH_INLINE_ALL
#include "base/check.h"
#include "shapes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define SEGMENTS_MAX 4096u
#define FRAME_BYTES_MAX (512 * KIB)
#define GROWTH_BYTES_MIN (128 * MIB)
#define TOTAL_BYTES_MIN (256 * MIB)

const char *const LOG_RULE_NAMES[LOG_RULES] = {
	[LOG_KEEPS_ALL] = "log",
	[LOG_CHECKPOINTS] = "log-checkpoint",
	[LOG_BELOW_25] = "log-below-25%",
	[LOG_BELOW_50] = "log-below-50%",
	[LOG_OLDEST_FIRST] = "log-oldest-2x",
	[LOG_EMPTIEST_FIRST] = "log-emptiest-2x",
};

enum kind { ADDED = 1, ACKNOWLEDGED = 2 };

struct frame {
	uint64_t checksum; /* of all behind it */
	uint32_t bytes;    /* header included */
	uint32_t records;
};

struct acknowledged {
	uint32_t kind;
	uint32_t slot;
	uint64_t place; /* of what it acknowledges */
};

/* The payload follows. */
struct added {
	uint32_t kind;
	uint32_t slot;
	uint64_t sequence;
};

struct segment {
	int descriptor; /* -1: not there */
	uint64_t bytes;
	uint64_t live_bytes;
};

struct log {
	const char *directory;
	int directory_descriptor;
	enum log_rule rule;
	uint64_t *index; /* a slot's place: (segment + 1) << 32 | offset; 0: empty */
	uint32_t slots;
	size_t payload_bytes;
	struct segment segments[SEGMENTS_MAX];
	uint32_t first; /* no segment is there before it */
	uint32_t last;  /* being written */
	uint8_t *frame;
	uint32_t frame_bytes;
	uint32_t frame_records;
	uint8_t *read_frame;
	uint64_t live_bytes;
	uint64_t total_bytes;
	uint64_t peak_bytes;
	uint64_t checkpoint_bytes; /* total when the last checkpoint was done */
	uint64_t copied_bytes;
};

static uint32_t segment_of(uint64_t place)
{
	return (uint32_t)(place >> 32) - 1;
}

static size_t added_bytes(const struct log *log)
{
	return sizeof(struct added) + log->payload_bytes;
}

static void segment_path(const struct log *log, uint32_t id, char path[static 4096])
{
	snprintf(path, 4096, "%s/%06u", log->directory, id);
}

static void segment_start(struct log *log, uint32_t id)
{
	char path[4096];
	segment_path(log, id, path);
	CHECK_LT(id, SEGMENTS_MAX);
	log->last = id;
	log->segments[id].descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(log->segments[id].descriptor >= 0);
	CHECK_EQ(fsync(log->directory_descriptor), 0);
}

static void segment_end(struct log *log, uint32_t id)
{
	char path[4096];
	segment_path(log, id, path);
	CHECK_EQ(log->segments[id].live_bytes, 0u);
	close(log->segments[id].descriptor);
	CHECK_EQ(unlink(path), 0);
	log->segments[id].descriptor = -1;
	log->total_bytes -= log->segments[id].bytes;
	while (log->first < log->last && log->segments[log->first].descriptor < 0)
		log->first++;
}

struct log *log_open(const char *directory, uint32_t slots, size_t payload_bytes, enum log_rule rule)
{
	struct log *log = calloc(1, sizeof(*log));
	CHECK(log != NULL);
	log->directory = directory;
	log->directory_descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	log->rule = rule;
	log->slots = slots;
	log->payload_bytes = payload_bytes;
	log->index = calloc(slots, sizeof(*log->index));
	log->frame = malloc(FRAME_BYTES_MAX);
	log->read_frame = malloc(FRAME_BYTES_MAX);
	CHECK(log->directory_descriptor >= 0 && log->index != NULL && log->frame != NULL && log->read_frame != NULL);
	log->frame_bytes = sizeof(struct frame);
	for (uint32_t id = 0; id < SEGMENTS_MAX; id++)
		log->segments[id].descriptor = -1;
	return log;
}

static void frame_write(struct log *log)
{
	struct frame header = {.bytes = log->frame_bytes, .records = log->frame_records};
	struct segment *segment = &log->segments[log->last];
	if (log->frame_records == 0)
		return;
	memcpy(log->frame, &header, sizeof(header));
	header.checksum = XXH3_64bits(log->frame + sizeof(uint64_t), log->frame_bytes - sizeof(uint64_t));
	memcpy(log->frame, &header, sizeof(header));
	CHECK_EQ(pwrite(segment->descriptor, log->frame, log->frame_bytes, (off_t)segment->bytes), log->frame_bytes);
	segment->bytes += log->frame_bytes;
	log->total_bytes += log->frame_bytes;
	if (log->total_bytes > log->peak_bytes)
		log->peak_bytes = log->total_bytes;
	log->frame_bytes = sizeof(struct frame);
	log->frame_records = 0;
}

/* Room for a record, and its place. */
static uint64_t record_start(struct log *log, size_t bytes)
{
	if (log->frame_bytes + bytes > FRAME_BYTES_MAX)
		frame_write(log);
	if (log->frame_records == 0 && log->segments[log->last].descriptor < 0)
		segment_start(log, log->last);
	if (log->frame_records == 0 && log->segments[log->last].bytes >= SEGMENT_BYTES) {
		CHECK_EQ(fdatasync(log->segments[log->last].descriptor), 0);
		segment_start(log, log->last + 1);
	}
	return (uint64_t)(log->last + 1) << 32 | (log->segments[log->last].bytes + log->frame_bytes);
}

static void record_put(struct log *log, const void *bytes, size_t size)
{
	memcpy(log->frame + log->frame_bytes, bytes, size);
	log->frame_bytes += (uint32_t)size;
}

/* The slot's record is no longer live. */
static void slot_leave(struct log *log, uint32_t slot)
{
	if (log->index[slot] == 0)
		return;
	log->segments[segment_of(log->index[slot])].live_bytes -= added_bytes(log);
	log->live_bytes -= added_bytes(log);
	log->index[slot] = 0;
}

static void slot_enter(struct log *log, uint32_t slot, uint64_t place)
{
	slot_leave(log, slot);
	log->index[slot] = place;
	log->segments[segment_of(place)].live_bytes += added_bytes(log);
	log->live_bytes += added_bytes(log);
}

void log_add(struct log *log, uint32_t slot, uint64_t sequence, const void *payload)
{
	struct added record = {.kind = ADDED, .slot = slot, .sequence = sequence};
	CHECK_LT(slot, log->slots);
	uint64_t place = record_start(log, added_bytes(log));
	record_put(log, &record, sizeof(record));
	record_put(log, payload, log->payload_bytes);
	log->frame_records++;
	slot_enter(log, slot, place);
}

static void acknowledge_put(struct log *log, const struct acknowledged *record)
{
	record_start(log, sizeof(*record));
	record_put(log, record, sizeof(*record));
	log->frame_records++;
}

void log_acknowledge(struct log *log, uint32_t slot)
{
	CHECK(slot < log->slots && log->index[slot] != 0);
	struct acknowledged record = {.kind = ACKNOWLEDGED, .slot = slot, .place = log->index[slot]};
	acknowledge_put(log, &record);
	slot_leave(log, slot);
}

/* The frame at an offset, in read_frame; false at the end of the segment. */
static bool frame_read(struct log *log, int descriptor, uint64_t at, struct frame *header)
{
	ssize_t size = pread(descriptor, log->read_frame, sizeof(*header), (off_t)at);
	if (size == 0)
		return false;
	CHECK_EQ(size, (ssize_t)sizeof(*header));
	memcpy(header, log->read_frame, sizeof(*header));
	CHECK(header->bytes > sizeof(*header) && header->bytes <= FRAME_BYTES_MAX);
	size_t rest = header->bytes - sizeof(*header);
	CHECK_EQ(pread(descriptor, log->read_frame + sizeof(*header), rest, (off_t)(at + sizeof(*header))),
		 (ssize_t)rest);
	return true;
}

/* Where an acknowledgement says something of a segment that stays, it has to outlive its own: what it ended would
 * come back at the next start. */
static void record_copy(struct log *log, uint32_t id, const uint8_t *bytes, uint64_t place, bool keep_acknowledged)
{
	struct acknowledged record;
	memcpy(&record, bytes, sizeof(record));
	if (record.kind == ADDED && log->index[record.slot] == place) {
		struct added added;
		memcpy(&added, bytes, sizeof(added));
		log_add(log, added.slot, added.sequence, bytes + sizeof(added));
		log->copied_bytes += added_bytes(log);
	}
	if (record.kind == ACKNOWLEDGED && keep_acknowledged && segment_of(record.place) != id &&
	    log->segments[segment_of(record.place)].descriptor >= 0) {
		acknowledge_put(log, &record);
		log->copied_bytes += sizeof(record);
	}
}

static void segment_copy(struct log *log, uint32_t id, bool keep_acknowledged)
{
	struct frame header;
	for (uint64_t at = 0; frame_read(log, log->segments[id].descriptor, at, &header); at += header.bytes) {
		uint32_t offset = sizeof(header);
		while (offset < header.bytes) {
			uint32_t kind;
			memcpy(&kind, log->read_frame + offset, sizeof(kind));
			uint64_t place = (uint64_t)(id + 1) << 32 | (at + offset);
			record_copy(log, id, log->read_frame + offset, place, keep_acknowledged);
			offset += (uint32_t)(kind == ADDED ? added_bytes(log) : sizeof(struct acknowledged));
		}
		CHECK_EQ(offset, header.bytes);
	}
}

static void copies_sync(struct log *log)
{
	frame_write(log);
	CHECK_EQ(fdatasync(log->segments[log->last].descriptor), 0);
}

static void checkpoint(struct log *log)
{
	uint32_t end = log->last;
	segment_start(log, end + 1);
	for (uint32_t id = log->first; id <= end; id++)
		segment_copy(log, id, false);
	copies_sync(log);
	for (uint32_t id = log->first; id <= end; id++)
		segment_end(log, id);
	log->checkpoint_bytes = log->total_bytes;
}

static void segment_compact(struct log *log, uint32_t id)
{
	CHECK_NE(id, log->last);
	segment_copy(log, id, id != log->first);
	copies_sync(log);
	segment_end(log, id);
}

/* Among those that are full; last: none. */
static uint32_t emptiest(const struct log *log)
{
	uint32_t best = log->last;
	for (uint32_t id = log->first; id < log->last; id++) {
		const struct segment *segment = &log->segments[id];
		if (segment->descriptor >= 0 &&
		    (best == log->last || segment->live_bytes < log->segments[best].live_bytes))
			best = id;
	}
	return best;
}

static bool is_emptier_than(const struct log *log, uint32_t id, uint32_t percent)
{
	return id != log->last && log->segments[id].live_bytes * 100 < log->segments[id].bytes * percent;
}

static bool is_beyond_budget(const struct log *log)
{
	return log->total_bytes > TOTAL_BYTES_MIN && log->total_bytes > 2 * log->live_bytes;
}

static void compact(struct log *log)
{
	uint64_t growth_bytes = log->total_bytes - log->checkpoint_bytes;
	switch (log->rule) {
	case LOG_CHECKPOINTS:
		if (growth_bytes >= GROWTH_BYTES_MIN && growth_bytes >= log->live_bytes)
			checkpoint(log);
		break;
	case LOG_BELOW_25:
	case LOG_BELOW_50:
		if (is_emptier_than(log, emptiest(log), log->rule == LOG_BELOW_25 ? 25 : 50))
			segment_compact(log, emptiest(log));
		break;
	case LOG_OLDEST_FIRST:
		if (is_beyond_budget(log) && log->first != log->last)
			segment_compact(log, log->first);
		break;
	case LOG_EMPTIEST_FIRST:
		if (is_beyond_budget(log) && emptiest(log) != log->last)
			segment_compact(log, emptiest(log));
		break;
	default:
		break;
	}
}

void log_commit(struct log *log)
{
	copies_sync(log);
	compact(log);
}

static void record_replay(struct log *log, const uint8_t *bytes, uint64_t place)
{
	struct acknowledged record;
	memcpy(&record, bytes, sizeof(record));
	CHECK_LT(record.slot, log->slots);
	if (record.kind == ADDED)
		log->index[record.slot] = place;
	else if (log->index[record.slot] == record.place)
		log->index[record.slot] = 0;
}

static void segment_replay(struct log *log, uint32_t id, int descriptor)
{
	struct frame header;
	for (uint64_t at = 0; frame_read(log, descriptor, at, &header); at += header.bytes) {
		uint32_t offset = sizeof(header);
		CHECK(XXH3_64bits(log->read_frame + sizeof(uint64_t), header.bytes - sizeof(uint64_t)) ==
		      header.checksum);
		while (offset < header.bytes) {
			uint32_t kind;
			memcpy(&kind, log->read_frame + offset, sizeof(kind));
			record_replay(log, log->read_frame + offset, (uint64_t)(id + 1) << 32 | (at + offset));
			offset += (uint32_t)(kind == ADDED ? added_bytes(log) : sizeof(struct acknowledged));
		}
	}
}

uint64_t log_recover(struct log *log)
{
	uint64_t filled = 0;
	CHECK_EQ(log->total_bytes, 0u);
	for (uint32_t id = 0; id < SEGMENTS_MAX; id++) {
		char path[4096];
		segment_path(log, id, path);
		int descriptor = open(path, O_RDONLY | O_CLOEXEC);
		if (descriptor < 0)
			continue;
		segment_replay(log, id, descriptor);
		close(descriptor);
	}
	for (uint32_t slot = 0; slot < log->slots; slot++)
		filled += log->index[slot] != 0;
	return filled;
}

uint64_t log_peak_bytes(const struct log *log)
{
	return log->peak_bytes;
}

uint64_t log_disk_bytes(const struct log *log)
{
	uint64_t bytes = 0;
	for (uint32_t id = log->first; id <= log->last; id++) {
		char path[4096];
		segment_path(log, id, path);
		bytes += log->segments[id].descriptor >= 0 ? file_disk_bytes(path) : 0;
	}
	return bytes;
}

uint64_t log_copied_bytes(const struct log *log)
{
	return log->copied_bytes;
}

void log_make_cold(const struct log *log)
{
	for (uint32_t id = log->first; id <= log->last; id++) {
		char path[4096];
		segment_path(log, id, path);
		if (log->segments[id].descriptor >= 0)
			file_make_cold(path);
	}
}

void log_close(struct log *log)
{
	for (uint32_t id = 0; id < SEGMENTS_MAX; id++) {
		if (log->segments[id].descriptor >= 0)
			close(log->segments[id].descriptor);
	}
	close(log->directory_descriptor);
	free(log->index);
	free(log->frame);
	free(log->read_frame);
	free(log);
}
