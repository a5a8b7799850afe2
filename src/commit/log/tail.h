/* The tail of the log: commits that are not known to be on the device. They stay in memory until a sync has succeeded,
 * so that after a failure they are written once more, to a new segment: what the kernel still had of the file that
 * failed may be dropped, and a later sync that succeeds says nothing about it.
 *
 * A commit's bodies are known by their new places from tail_settle() on. The writer's thread alone. Errors are
 * negative errnos. */
#ifndef COMMIT_LOG_TAIL_H
#define COMMIT_LOG_TAIL_H

#include "commit/log/bodies.h"
#include "commit/log/segments.h"
#include "commit/told/squeeze.h"
#include "memory/region.h"

struct tail_commit {
	size_t at; /* in memory */
	size_t bytes;
	uint64_t number;
	int64_t wall_s;
	uint32_t segment; /* where it was written; 0: it is not */
	uint64_t offset;
	uint32_t body_end; /* in tail.told */
};

/* A message that was kept (bytes) or forgotten. */
struct tail_body {
	uint16_t shard;
	uint32_t message;
	uint32_t bytes;
	size_t at; /* of its record, in memory */
};

struct tail {
	struct segments *segments;
	struct bodies *bodies;
	struct region memory;
	size_t size;        /* of the commits */
	size_t commit_size; /* of the one that is being made */
	size_t empty_size;  /* what it is without a section of a shard */
	struct tail_commit *commits;
	struct tail_body *told;
	uint32_t commit_count, commit_capacity;
	uint32_t told_count, told_capacity;
	uint64_t next_number;
	int64_t wall_s; /* of the last commit */
	/* The last commit that was written; segment 0: none was since the start of the epoch. */
	uint32_t last_segment;
	uint64_t last_offset;
	uint32_t failed_segment; /* in which the tail was when a write or a sync failed first; 0: nothing has failed */
};

enum error tail_init(struct tail *tail, struct segments *segments, struct bodies *bodies, uint64_t next_number,
		     int64_t wall_s);
void tail_fini(struct tail *tail);

/* ---- making a commit ---- */

/* ERROR_NO_MEMORY: none is begun. */
enum error tail_begin(struct tail *tail);
/* Room for a section's records; NULL: no memory. */
uint8_t *tail_room(struct tail *tail, size_t bytes);
/* The records are there. ERROR_NO_MEMORY: the section is not added. wall_s: as in struct store_section_header. */
enum error tail_add(struct tail *tail, uint16_t shard, int64_t wall_s, size_t bytes);
/* Bodies in the records that are about to be added; offsets count from `before` bytes behind their beginning. */
enum error tail_add_bodies(struct tail *tail, uint16_t shard, const struct squeeze_body *bodies, uint32_t count,
			   size_t before);
static inline bool tail_has_section(const struct tail *tail)
{
	return tail->commit_size > tail->empty_size;
}
/* It has a section, or is to say nothing but the time. */
void tail_end(struct tail *tail, int64_t wall_s);
/* It has no section. */
void tail_drop(struct tail *tail);

/* ---- to the device ---- */

/* Writes the last commit, to a new segment where it does not fit any more. */
int tail_write(struct tail *tail);
/* There are some. */
int tail_sync(struct tail *tail);
/* After an error of either: writes all of them to a new segment and syncs. What was written before stays, and counts
 * until all is in the new one, as it may have been promised to outlive the process (STORE_PERIODIC). keep: a segment
 * that must stay although nothing may count in it, for a checkpoint began there. */
int tail_write_again(struct tail *tail, uint32_t keep);
/* Begins a segment, which is on the device afterwards; the tail is empty. */
int tail_begin_segment(struct tail *tail);
/* The bodies of the commits from this one on have their new places. */
void tail_settle(struct tail *tail, uint32_t from_commit);
/* All of it is on the device. */
void tail_clear(struct tail *tail);
/* The segment that failed goes if nothing in it counts, after the tail was written again, settled and cleared. */
void tail_discard_failed(struct tail *tail, uint32_t keep);

#endif
