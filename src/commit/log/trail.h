/* What the log looks like to somebody who follows it: which segments there are, and how far each is written. The log
 * only grows, so a reader beside the writer needs no more than that (commit/follow/follower.h): it reads from the files
 * what it does not have yet, and the writer never waits for it. If it falls behind it has more to read, and nothing is
 * kept for it.
 *
 * Positions. Each write to the log moves the trail's position on by one. Who has all that the segments had when the
 * trail was at a position has everything that was written up to there, also where commits were written once more, to
 * another segment, because the device had failed.
 *
 * Confirmation. While the follower passes the log on to somebody whose word answers are to wait for (a replica), it
 * says up to which position that one has it. Otherwise nothing waits (TRAIL_NOT_AWAITED).
 *
 * The writer's thread changes what is here, the follower's reads it, under a lock that either holds for the time of a
 * copy; trail_confirm() and trail_confirmed() are any thread's. */
#ifndef COMMIT_LOG_TRAIL_H
#define COMMIT_LOG_TRAIL_H

#include "base/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sleeper;

#define TRAIL_NOT_AWAITED UINT64_MAX

struct trail_segment {
	uint32_t number;
	bool is_shown;     /* it has its header, and counts */
	bool is_old;       /* it was there before: what is behind its last commit may be anything */
	uint64_t bytes;    /* of an earlier epoch: of its file, which may have more than commits at its end */
	uint64_t position; /* that these bytes bring a reader to who has all segments before */
};

struct trail {
	pthread_mutex_t lock;
	struct trail_segment *segments; /* by number, ascending */
	uint32_t count;
	uint32_t capacity;
	bool is_short;              /* memory was short: it cannot be followed any more */
	_Atomic uint64_t position;  /* changed under the lock */
	_Atomic uint64_t confirmed; /* TRAIL_NOT_AWAITED: nobody's word is waited for */
	struct sleeper *writer;     /* to be woken when more is confirmed */
	struct sleeper *follower;   /* to be woken when more is written; NULL: nobody; changed under the lock */
};

void trail_init(struct trail *trail, struct sleeper *writer);
/* Nobody follows it any more. */
void trail_fini(struct trail *trail);

/* ---- by the writer; trail may be NULL ---- */

void trail_add(struct trail *trail, uint32_t number, uint64_t bytes, bool is_shown, bool is_old);
void trail_show(struct trail *trail, uint32_t number);
/* The segment has so many bytes that count: more than before, or, where a write to it had failed, fewer. */
void trail_grow(struct trail *trail, uint32_t number, uint64_t bytes);
void trail_remove(struct trail *trail, uint32_t number);
static inline uint64_t trail_position(const struct trail *trail)
{
	return trail != NULL ? atomic_load_explicit(&trail->position, memory_order_acquire) : 0;
}
static inline uint64_t trail_confirmed(const struct trail *trail)
{
	return trail != NULL ? atomic_load(&trail->confirmed) : TRAIL_NOT_AWAITED;
}

/* ---- by the follower ---- */

/* NULL: nobody is woken any more, from the moment on that this returns. */
void trail_follow(struct trail *trail, struct sleeper *follower);
/* A copy of the list, which the caller keeps for the next call, and frees; *position: of this moment. False: no memory,
 * now or at some time before. */
bool trail_copy(struct trail *trail, struct trail_segment **segments, uint32_t *capacity, uint32_t *count,
		uint64_t *position);
/* Everything up to this position is safe elsewhere too: what waited for it need not wait. TRAIL_NOT_AWAITED: nothing
 * waits from now on. A position lower than before makes what is told from now on wait; what was promised stays so. */
void trail_confirm(struct trail *trail, uint64_t position);

#endif
