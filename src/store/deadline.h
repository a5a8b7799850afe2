/* Deadlines that outlive the process: when a session ends, a will is due, a message or a token expires.
 *
 * The rule, in three parts:
 *
 * 1. While the process runs, a deadline is a second of the shard's monotonic clock. The wall clock plays no part, so
 *    setting it changes nothing: no deadline comes sooner or later for it.
 * 2. What is stored is a second of the wall clock (Unix time): the wall clock of the moment at which the deadline is
 *    told, plus what is left until the deadline. It is told once, when it is set. Where the wall clock is set
 *    forward afterwards, the stored time keeps to the old clock. Where it is set back, deadlines are told by the old
 *    clock from then on, across restarts too: one told by a clock behind that of the last batch would seem to be over
 *    at the next restart, which takes the wall clock for at least that batch's.
 * 3. After a restart the stored time decides. What is left is the stored time less the wall clock, but
 *    - never more than the interval that was agreed in the first place, so that a wall clock that was set back makes
 *      nothing live longer than it may live from now on;
 *    - the wall clock counts as at least the time of the last batch that was stored, so that a clock which lost its
 *      time while the machine was off (and says 1970) makes nothing live longer than if no time had passed;
 *    - nothing less than 0: it is due now.
 *    A clock that was set forward ends what would have ended by that clock; there is no other evidence.
 *
 * Seconds are whole ones on either clock, so a deadline may move by one second with a restart. Pure; any thread. */
#ifndef STORE_DEADLINE_H
#define STORE_DEADLINE_H

#include "base/check.h"

#include <stdint.h>

/* A stored deadline that never comes. */
#define DEADLINE_NEVER_S INT64_MAX

/* Both clocks at one moment. */
struct deadline_clock {
	int64_t wall_s; /* Unix time */
	uint32_t now_s; /* the shard's monotonic clock */
};

/* What is stored for a deadline at this second of the monotonic clock, which may be past. Not for one that never comes.
 */
static inline int64_t deadline_to_wall(struct deadline_clock clock, uint32_t at_s)
{
	return clock.wall_s + ((int64_t)at_s - (int64_t)clock.now_s);
}

/* What a wall clock that is never set back has come to. */
struct deadline_base {
	int64_t wall_s; /* when the monotonic clock was 0; only ever raised */
};

/* The wall clock to tell deadlines by, at this second of the monotonic clock. wall_s: the machine's, or that of a batch
 * that was stored. Goes on with the monotonic clock where wall_s is behind. */
static inline int64_t deadline_clock_read(struct deadline_base *base, int64_t wall_s, uint32_t now_s)
{
	if (wall_s - (int64_t)now_s > base->wall_s)
		base->wall_s = wall_s - (int64_t)now_s;
	return base->wall_s + (int64_t)now_s;
}

/* The second of the monotonic clock at which a stored deadline comes. clock: its wall_s is from deadline_clock_read(),
 * which has read that of the last batch. interval_s: the longest that it may be away, UINT32_MAX where nothing but the
 * stored time says (the expiry of a token). The result is below UINT32_MAX, which stands for "never" wherever deadlines
 * are kept. */
static inline uint32_t deadline_from_wall(struct deadline_clock clock, int64_t at_wall_s, uint32_t interval_s)
{
	CHECK(at_wall_s != DEADLINE_NEVER_S && clock.now_s < UINT32_MAX);
	/* Both may be damaged or absurd: no difference of theirs is to overflow. */
	int64_t left_s = 0;
	if (at_wall_s > clock.wall_s && __builtin_sub_overflow(at_wall_s, clock.wall_s, &left_s))
		left_s = INT64_MAX;
	if (left_s > (int64_t)interval_s)
		left_s = interval_s;
	uint32_t most_s = UINT32_MAX - 1 - clock.now_s;
	return clock.now_s + (left_s < (int64_t)most_s ? (uint32_t)left_s : most_s);
}

/* A stored message's expiry as struct publication has it: 0 where it does not expire. Its interval lies in the packet,
 * which is not read for this, and is not needed to bound it: the message was told before the last commit, with the time
 * of then plus what was left of the interval, and the clock is at least at the time of the last commit. So less than
 * the interval is left, however far back the wall clock was set. */
static inline uint32_t deadline_expiry_from_wall(struct deadline_clock clock, int64_t expires_at_s)
{
	if (expires_at_s == DEADLINE_NEVER_S)
		return 0;
	uint32_t at_s = deadline_from_wall(clock, expires_at_s, UINT32_MAX);
	return at_s != 0 ? at_s : 1;
}

#endif
