/* Places for clients: taken by gates, given back by shards. A shard's places are bounded by its descriptor table, those
 * of the whole gateway by `connections`. Any thread. */
#ifndef GATEWAY_SEATS_H
#define GATEWAY_SEATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Where all places are taken a few more are let pass at a time, since they may take over a connection that has one: the
 * gate cannot know. A shard's table has descriptors in reserve for these (gateway/layout.c). */
#define SEATS_SPARE_OF_A_TABLE 8u
#define SEATS_SPARE_OF_ALL 64u

struct seats {
	_Alignas(64) _Atomic uint32_t taken;
	uint32_t limit;
	uint32_t spare;      /* so many may be taken beyond the limit */
	struct seats *whole; /* what these are a part of, or NULL */
};

enum seats_taken {
	SEATS_NONE,   /* there is none left, here or in the whole */
	SEATS_BEYOND, /* beyond the limit: good for a take-over alone */
	SEATS_ONE,
};

static inline void seats_give(struct seats *seats)
{
	for (; seats != NULL; seats = seats->whole)
		atomic_fetch_sub(&seats->taken, 1);
}

static inline enum seats_taken seats_take(struct seats *seats)
{
	uint64_t before = atomic_fetch_add(&seats->taken, 1);
	enum seats_taken here = before < seats->limit ? SEATS_ONE : SEATS_BEYOND;
	enum seats_taken whole = SEATS_ONE;
	if (before >= (uint64_t)seats->limit + seats->spare)
		here = SEATS_NONE;
	else if (seats->whole != NULL)
		whole = seats_take(seats->whole);
	if (here == SEATS_NONE || whole == SEATS_NONE)
		atomic_fetch_sub(&seats->taken, 1);
	return here < whole ? here : whole;
}

/* Whether more are taken than there are. */
static inline bool seats_exceeded(const struct seats *seats)
{
	for (; seats != NULL; seats = seats->whole)
		if (atomic_load(&seats->taken) > seats->limit)
			return true;
	return false;
}

#endif
