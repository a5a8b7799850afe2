/* Reads the log beside its writer, as it grows: what somebody who holds a copy of it (commit/follow/keeper.h) does not
 * have yet. One piece after the other, first what is there, then what comes: whole commits, in the order of the log,
 * and in the end the segments that have gone. Each commit is checked as a recovery checks it, so nothing is passed on
 * that is not whole.
 *
 * It has no memory of the past but how far the other side is, segment by segment. However far that falls behind, the
 * writer is not held up, and nothing but the log itself is kept for it.
 *
 * One thread, which reads files. It never writes, and waits for nothing but the disk. */
#ifndef COMMIT_FOLLOW_FOLLOWER_H
#define COMMIT_FOLLOW_FOLLOWER_H

#include "base/slice.h"
#include "commit/log/trail.h"
#include "store/format/disk.h"
#include "store/format/segment.h"

/* A piece has no more than this, unless one commit alone has. */
#define FOLLOW_PIECE_BYTES ((size_t)256 << 10)

/* How far the other side is with a segment, as it says. */
struct follow_held {
	uint32_t number;
	uint64_t bytes; /* of header and whole commits */
	uint64_t next_commit;
	uint64_t header_checksum; /* struct store_segment_header's */
};

struct follow_segment {
	uint32_t number;
	bool has_header; /* `header` is known */
	bool has_ended;  /* nothing more that is whole comes: of an earlier epoch */
	bool is_gone;    /* the log does not need it any more */
	uint64_t sent;
	uint64_t next_commit;
	uint64_t gone_at;  /* the position at which it was seen that it is gone */
	uint64_t checksum; /* of the header that the other side has; 0: none */
	struct store_segment_header header;
};

enum follow_kind {
	FOLLOW_NOTHING, /* there is nothing to pass on */
	FOLLOW_BYTES,   /* of a segment: at offset 0 its header, and whole commits */
	FOLLOW_GONE,    /* a segment has gone */
	FOLLOW_MARK,    /* the position alone has moved */
	FOLLOW_FAILED,  /* it cannot go on: `why` */
};
struct follow_piece {
	enum follow_kind kind;
	uint32_t segment;
	uint64_t offset;
	struct slice bytes;    /* good until the next call */
	uint64_t position;     /* of the trail: who has this piece and all before it has all up to here */
	uint64_t last_commit;  /* the number of the last commit in it */
	uint64_t behind_bytes; /* that are there and have not been passed on with this piece */
};

struct follower {
	struct trail *trail;
	const struct disk *disk;
	uint8_t store_id[16];
	struct follow_segment *segments; /* by number */
	uint32_t count;
	uint32_t capacity;
	struct trail_segment *seen; /* the trail as it was looked at last */
	uint32_t seen_capacity;
	uint32_t seen_count;
	uint64_t seen_position;
	uint64_t reached; /* the position of the last piece */
	/* No position below this one is reached: before it what was there at first was not passed on, or a segment went
	 * that was not, and what made it needless is not there yet. UINT64_MAX: it was not looked at the trail. */
	uint64_t floor;
	struct disk_file *file;
	uint32_t file_number;
	uint8_t *buffer;
	size_t buffer_bytes;
	char why[160];
};

/* trail and disk must outlive it; the disk is of the log's directory, and this thread's own. */
void follower_init(struct follower *follower, struct trail *trail, const struct disk *disk, const uint8_t store_id[16]);
void follower_fini(struct follower *follower);
/* Begins anew, for somebody who has this already: by number, ascending. ERROR_NO_MEMORY. */
enum error follower_begin(struct follower *follower, const struct follow_held *held, uint32_t count);
/* The next piece. */
void follower_next(struct follower *follower, struct follow_piece *piece);

#endif
