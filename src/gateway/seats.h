/* Places for clients: taken by gates, given back by shards. A shard's places are bounded by its descriptor table, those
 * of the whole gateway by `connections`. Any thread. */
#ifndef GATEWAY_SEATS_H
#define GATEWAY_SEATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct seats {
	_Alignas(64) _Atomic uint32_t taken;
	uint32_t limit;
	struct seats *whole; /* what these are a part of, or NULL */
};

static inline void seats_give(struct seats *seats)
{
	for (; seats != NULL; seats = seats->whole)
		atomic_fetch_sub(&seats->taken, 1);
}

/* False: there is none left, here or in the whole. */
static inline bool seats_take(struct seats *seats)
{
	if (atomic_fetch_add(&seats->taken, 1) < seats->limit && (seats->whole == NULL || seats_take(seats->whole)))
		return true;
	atomic_fetch_sub(&seats->taken, 1);
	return false;
}

#endif
