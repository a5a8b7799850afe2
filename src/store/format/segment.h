/* Segments: the files of a store, and the commits in them. Bytes in, bytes out; any thread.
 *
 * A store is a directory with a log, in segments of some megabytes, numbered from 1: 0000000001.log and so on. Nothing
 * in it is ever changed but by appending to the last segment.
 *
 *     segment = segment header, commits
 *     commit  = commit header, sections, padding to 8 bytes
 *     section = section header, records (store/format/record.h), padding to 8 bytes
 *
 * A commit is what one sync makes safe, of all shards that had something to tell; it counts whole or not at all. Its
 * checksum covers header and payload, and is keyed with the store's id, so that a commit of another store, or an older
 * one in a file that is used again, is not taken for one. Commits are numbered one by one over the whole store.
 *
 * Epochs. Records name objects by references of the running gateway. Each start begins an epoch with names of its own,
 * in a new segment, and tells all that was recovered once more: that is its first checkpoint. Until that is complete
 * the epoch counts for nothing, and the one before is what a recovery reads.
 *
 * Checkpoints. A commit may have a section of STORE_SECTION_CHECKPOINT, which says: all that the epoch knows has been
 * told once more since the beginning of segment `base_segment`. A recovery begins there, and older segments are only
 * read for bodies that a KEPT_AT record names.
 *
 * Damage. A commit that is not whole at the end of the last segment was being written when the machine stopped: it was
 * not acknowledged, and is cut off. That is so if no commit follows it but those of STORE_SECTION_UNSYNCED. A segment
 * is synced before the next one is begun. Where a segment follows, its header says at which commit it begins; what the
 * segment before has from that number on was replaced (a write had failed) and is skipped. Anything else that is not
 * whole is damage, and is told with file and offset. */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define STORE_FORMAT 1u
#define STORE_ALIGNMENT 8u
#define STORE_SEGMENT_BYTES (64u << 20) /* by default: a segment is closed at the first commit that reaches beyond */
/* Of one commit; a shard's section may have to wait for the next one. One record alone may be longer. */
#define STORE_COMMIT_BYTES_MAX (16u << 20)

struct store_segment_header {
	uint8_t magic[8]; /* "RoostLog" */
	uint32_t format;  /* STORE_FORMAT */
	uint32_t number;  /* of the segment */
	uint8_t store_id[16];
	uint64_t epoch;
	uint64_t first_commit; /* the number of the first commit in it */
	int64_t created_s;     /* wall clock */
	uint64_t checksum;     /* of the bytes before */
};
_Static_assert(sizeof(struct store_segment_header) == 64, "in the file");

#define STORE_COMMIT_MAGIC 0x74696d63u /* "cmit" */

struct store_commit_header {
	uint32_t magic;         /* STORE_COMMIT_MAGIC */
	uint32_t payload_bytes; /* of all sections, their padding included */
	uint64_t number;
	uint64_t checksum; /* of header (with 0 here) and payload, keyed with the store's id and the segment's number */
	int64_t wall_s;    /* never less than that of the commit before */
};
_Static_assert(sizeof(struct store_commit_header) == 32, "in the file");

#define STORE_SECTION_CHECKPOINT 0xffffu /* instead of a shard's number */
#define STORE_SECTION_STOP 0xfffeu       /* the gateway stopped as it should; nothing follows in this epoch */
/* The commit before it was not known to be synced when this one was written: with a durability of STORE_PERIODIC. After
 * a loss of power such a commit may be whole although one before it is not. Has no records. */
#define STORE_SECTION_UNSYNCED 0xfffdu

struct store_section_header {
	uint16_t shard;
	uint16_t reserved;
	uint32_t bytes; /* of its records, without padding */
	int64_t wall_s; /* when its last turn began; of a checkpoint: its base_segment */
};
_Static_assert(sizeof(struct store_section_header) == 16, "in the file");

void store_segment_header_make(struct store_segment_header *header, const uint8_t store_id[16], uint32_t number,
			       uint64_t epoch, uint64_t first_commit, int64_t created_s);
enum store_header_state {
	STORE_HEADER_GOOD,
	STORE_HEADER_EMPTY,   /* all zeros, or shorter: its creation was cut short */
	STORE_HEADER_FOREIGN, /* no segment */
	STORE_HEADER_NEWER,   /* of a later format */
	STORE_HEADER_OLDER,
	STORE_HEADER_DAMAGED,
};
enum store_header_state store_segment_header_check(struct slice bytes, struct store_segment_header *header);

/* Fills in the header of a commit whose payload stands behind it. */
void store_commit_seal(uint8_t *commit, uint32_t payload_bytes, const struct store_segment_header *segment,
		       uint64_t number, int64_t wall_s);
enum store_commit_state {
	STORE_COMMIT_GOOD,
	STORE_COMMIT_NONE,    /* zeros, or the end of the file: nothing was written here */
	STORE_COMMIT_PARTIAL, /* it reaches beyond the end of the file */
	STORE_COMMIT_DAMAGED, /* its checksum, or a number in its header, is wrong */
};
/* The commit at the beginning of bytes, which end with the file; *size: with its padding, where it is good. number: the
 * one that it must have. */
enum store_commit_state store_commit_check(struct slice bytes, const struct store_segment_header *segment,
					   uint64_t number, struct store_commit_header *header, size_t *size);
/* The section at *offset of a good commit's payload; moves *offset behind it. False: no more, or (*bad) the payload has
 * no section there. */
bool store_section_next(struct slice payload, size_t *offset, struct store_section_header *section,
			struct slice *records, bool *bad);

#endif
