/* Stamps of changes that several nodes make of the same thing: of two changes the one with the higher stamp wins, on
 * every node, in whatever order they come to know of them. A stamp is a time of a hybrid logical clock, and of two of
 * the same time the hash of the node's name decides.
 *
 * The time's upper 48 bits are milliseconds of the wall clock, the lower 16 a counter. A clock goes on from the latest
 * time that its node has seen, its own or another's. So a change that was made with knowledge of another is always the
 * later one, however wrong the wall clocks are; only of two changes that knew nothing of each other does the wall clock
 * decide. A time that is absurdly far ahead is not taken over, for all nodes would keep it for ever.
 *
 * Pure: the wall clock comes in. A clock is its owner's, who sees to its lock. */
#ifndef CLUSTER_STAMP_H
#define CLUSTER_STAMP_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define STAMP_COUNTER_BITS 16u
/* What a clock may be ahead of ours and still be followed. */
#define STAMP_AHEAD_MS_MAX (60u * 60u * 1000u)
/* The highest time there is: some 4,400 years after 1970. What is above it is no stamp. */
#define STAMP_TIME_MAX ((uint64_t)INT64_MAX)
/* On the wire, and in the store: time and node, lowest byte first. */
#define STAMP_BYTES 16u

struct stamp {
	uint64_t time; /* 0: there is no stamp */
	uint64_t node; /* hash of the name of the node that made the change, the same on all nodes */
};

struct stamp_clock {
	uint64_t last; /* the latest time that was given or taken over */
	uint64_t node;
	uint64_t too_far_ahead; /* times that were not taken over */
};

static inline bool stamp_is_none(struct stamp stamp)
{
	return stamp.time == 0;
}

/* Of something from before its node had a clock: older than every stamp that one gives. */
static inline struct stamp stamp_of_old(uint64_t node)
{
	return (struct stamp){.time = 1, .node = node};
}

/* Below 0: `a` is older than `b`; 0: they are the same change. */
int stamp_compare(struct stamp a, struct stamp b);

/* For a change that is made now, of something whose last change has the stamp `above` (or none): later than that, and
 * than all that the clock knows of. */
struct stamp stamp_next(struct stamp_clock *clock, uint64_t wall_ms, struct stamp above);
/* Another node has made this change. False: its time is too far ahead, and was not taken over. */
bool stamp_hear(struct stamp_clock *clock, struct stamp stamp, uint64_t wall_ms);

void stamp_put(struct stamp stamp, uint8_t to[STAMP_BYTES]);
/* False: these bytes are no stamp. None is one. */
bool stamp_get(const uint8_t from[STAMP_BYTES], struct stamp *stamp);

/* A number for a thing and its stamp, which combined by exclusive or tell whether two sets are the same. thing: a keyed
 * hash. */
uint64_t stamp_digest(uint64_t thing, struct stamp stamp);

#endif
