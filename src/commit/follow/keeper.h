/* The copy of another store's log, as its follower (commit/follow/follower.h) passes it on: a directory that is a store
 * of its own, of the same format and identity, so that a recovery and the tools of `roost store` read it.
 *
 * What comes is not trusted. A segment begins with a header of this store, and goes on with whole commits, one number
 * after the other, whose checksums are right; everything else is refused with words, and nothing of it is written. So
 * after a crash of this machine whatever is behind the last whole commit of a segment was not confirmed, and is cut
 * off.
 *
 * Nothing counts before keeper_sync(). One thread, which uses files. */
#ifndef COMMIT_FOLLOW_KEEPER_H
#define COMMIT_FOLLOW_KEEPER_H

#include "base/slice.h"
#include "commit/follow/follower.h"
#include "store/format/disk.h"
#include "store/format/identity.h"
#include "store/format/segment.h"

/* Of one copy: with segments of 64 MiB that are 4 TiB. */
#define KEEPER_SEGMENTS_MAX 65536u

struct keeper_segment {
	struct store_segment_header header;
	uint64_t bytes; /* of header and whole commits */
	uint64_t next_commit;
};

struct keeper {
	const struct disk *disk;
	struct store_identity identity;
	struct keeper_segment *segments; /* by number, ascending */
	uint32_t count;
	uint32_t capacity;
	uint64_t bytes;         /* of all */
	uint64_t last_commit;   /* of the last segment; 0: none */
	struct disk_file *file; /* of the segment that was written to last; NULL: none */
	uint32_t file_number;
	bool is_dirty;      /* it was written to and not synced */
	bool names_are_new; /* files were made or removed, and the directory is not synced */
	char why[160];      /* the last fault, for people */
};

enum keeper_result {
	KEEPER_TAKEN,
	KEEPER_REFUSED, /* it is not what the protocol allows; nothing of it was written */
	KEEPER_FAILED,  /* the device, or memory: it is not known what is there; the copy has to be opened again */
};

/* Opens the copy in this directory, which must outlive the keeper, and finds out what is whole. Where the directory has
 * none, or that of another store, an empty one is made. Never KEEPER_REFUSED. keeper_close() is due in any case. */
enum keeper_result keeper_open(struct keeper *keeper, const struct disk *disk, const struct store_identity *identity);
/* What was not synced may be there or not. */
void keeper_close(struct keeper *keeper);

/* How far it is with each segment; of `held` there are `count`. */
void keeper_held(const struct keeper *keeper, struct follow_held *held);
/* Appends to a segment, or at offset 0 begins one, in place of another one of this number. */
enum keeper_result keeper_put(struct keeper *keeper, uint32_t segment, uint64_t offset, struct slice bytes);
/* The log does not need the segment any more. What is not there has been removed. */
enum keeper_result keeper_remove(struct keeper *keeper, uint32_t segment);
/* All of it is on the device. */
enum keeper_result keeper_sync(struct keeper *keeper);

#endif
