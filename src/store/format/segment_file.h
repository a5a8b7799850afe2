/* The files of a store's segments: their names, and one of them read into memory. One thread. */
#ifndef STORE_SEGMENT_FILE_H
#define STORE_SEGMENT_FILE_H

#include "store/format/disk.h"
#include "store/format/segment.h"

#define SEGMENT_FILE_BYTES_MAX UINT32_MAX /* places in it are 32 bits (struct store_place) */

/* The name of a segment's file; text holds STORE_SEGMENT_NAME_BYTES, and is returned. */
#define STORE_SEGMENT_NAME_BYTES 16u
const char *store_segment_name(uint32_t number, char text[STORE_SEGMENT_NAME_BYTES]);
/* The segment that a file of this name is; 0: it is none. */
uint32_t store_segment_number(const char *name);

/* The numbers of all segments, ascending; the caller frees them. 0 or a negative errno. */
int segment_file_list(const struct disk *disk, uint32_t **numbers, uint32_t *count);

/* What a segment's file begins with. */
struct segment_file_head {
	uint64_t file_bytes;
	enum store_header_state state;
	struct store_segment_header header; /* of _GOOD */
};
int segment_file_head(const struct disk *disk, uint32_t number, struct segment_file_head *head);

/* Room for one file after the other. */
struct segment_file {
	uint8_t *bytes;
	size_t size;
	size_t data_size; /* up to the last byte that is not 0 */
	size_t room;
	struct store_segment_header header; /* copied from a head */
	uint64_t unreadable_bytes;          /* which are zeros here; only if they may be */
	int unreadable_error;
};
/* Room that was allocated ahead and not written is not read, nor does it take memory. may_skip: go on behind what the
 * device cannot read. 0 or a negative errno. */
int segment_file_read(const struct disk *disk, const struct store_segment_header *header, bool may_skip,
		      struct segment_file *file);
void segment_file_fini(struct segment_file *file);

/* One commit after the other. */
struct segment_walk {
	const struct segment_file *file;
	size_t offset;   /* of the next commit */
	uint64_t number; /* that it must have */
	struct store_commit_header header;
	size_t commit_offset;
	struct slice payload;
};
struct segment_walk segment_walk(const struct segment_file *file);
/* STORE_COMMIT_GOOD: header, commit_offset and payload are the commit's, and the walk is behind it. Otherwise it stays
 * where it is. */
enum store_commit_state segment_walk_next(struct segment_walk *walk);
/* Moves the walk to the first whole commit behind this place that has a higher number, but one below `limit`. synced:
 * only to one that was written after those before it were synced. False: there is none, and the walk stays. */
bool segment_walk_find(struct segment_walk *walk, uint64_t limit, bool synced);
/* Bytes from here to the last one that is not 0. */
uint64_t segment_walk_rest(const struct segment_walk *walk);

#endif
