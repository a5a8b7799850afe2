/* The segments of the store, as files. The writer appends to the last one, and has the next one ready: made and with
 * its room on the device, so that a device that is full is known before it matters. Every operation returns 0 or a
 * negative errno. The writer's thread alone. */
#ifndef COMMIT_LOG_SEGMENTS_H
#define COMMIT_LOG_SEGMENTS_H

#include "commit/log/trail.h"
#include "store/format/disk.h"
#include "store/format/segment.h"

struct segment {
	uint32_t number;
	bool moving;         /* a checkpoint writes the bodies that live on in it anew */
	bool failed;         /* a write to it or a sync of it has failed: nothing is to depend on it */
	uint64_t bytes;      /* that count */
	uint64_t live_bytes; /* of records KEPT that are known by their place */
};

/* The smallest that is made where there is no room for a whole one. */
#define SEGMENT_SMALL_BYTES (UINT64_C(1) << 20)

struct segments {
	const struct disk *disk;
	struct trail *trail; /* which follows what happens here; NULL: none */
	uint64_t segment_bytes;
	struct segment *list; /* by number, ascending */
	uint32_t count;
	uint32_t capacity;
	uint32_t next_number;
	uint64_t log_bytes; /* of all */
	/* The one that is appended to. */
	struct store_segment_header header;
	struct disk_file *file; /* NULL: none, or it has failed */
	uint64_t file_bytes;    /* that it may have */
	uint64_t offset;
	/* The next one. */
	struct disk_file *spare;
	uint64_t spare_bytes; /* less than segment_bytes where there was no room for that */
	uint32_t spare_number;
	bool adopted; /* the previous program may go on with them: closing changes nothing */
};

void segments_init(struct segments *segments, const struct disk *disk, uint64_t segment_bytes,
		   const uint8_t store_id[16], uint64_t epoch, uint32_t next_number);
/* Closes the files; a segment that was ready and not begun is removed. */
void segments_fini(struct segments *segments);

/* Opens the present one and the next, with everything of `segments` set but the files, as the previous program left
 * them. Nothing is changed. -EINVAL: they are not as they were; the number says which. */
int segments_adopt(struct segments *segments, uint32_t *number);

/* One that is there already. In the order of their numbers. */
int segments_add(struct segments *segments, uint32_t number, uint64_t bytes);
/* NULL: there is none of this number. */
struct segment *segments_find(const struct segments *segments, uint32_t number);
/* Makes the next one, unless it is there. ENOSPC, EDQUOT: there may be a small one all the same (spare). */
int segments_prepare(struct segments *segments);
/* Begins the next one. What was written to the one before is synced, or does not count from first_commit on. Without
 * its header, which segments_show() writes, a replay does not see it. */
int segments_begin(struct segments *segments, uint64_t first_commit, int64_t wall_s, bool shown);
int segments_show(struct segments *segments);
/* Whether so many bytes more fit into the segment. */
bool segments_fits(const struct segments *segments, size_t bytes);
int segments_write(struct segments *segments, const void *bytes, size_t size);
int segments_sync(struct segments *segments);
/* A write or a sync has failed: nothing is ever appended to the file again. good_offset: where that begins which does
 * not count. */
void segments_abandon(struct segments *segments, uint64_t good_offset);
/* Removes one that was abandoned, if nothing in it counts. It does not matter whether it goes now. */
void segments_discard(struct segments *segments, uint32_t number);
int segments_remove(struct segments *segments, uint32_t number);

#endif
