/* Quota of connections: gates take places, shards give them back. The places of a shard are bounded by its descriptor
 * table, those of the whole gateway by `connections`. Any thread. */
#ifndef RUNTIME_QUOTA_H
#define RUNTIME_QUOTA_H

#include "base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* When all places are taken, a few more clients at a time still pass, because they may take over a connection that has
 * a place, which the gate cannot know. A shard's table reserves descriptors for them (capacity/layout.c). */
#define QUOTA_SPARE_OF_PER_TABLE 8u
#define QUOTA_SPARE_OF_ALL 64u

struct quota {
	_Alignas(64) _Atomic uint32_t taken;
	uint32_t limit;
	uint32_t spare;      /* places that may be taken beyond the limit */
	struct quota *whole; /* the quota that this one is a part of, or NULL */
};

/* In order: the worse of two results counts. */
enum quota_taken {
	QUOTA_NONE,   /* no place is left, here or in the whole */
	QUOTA_BEYOND, /* beyond the limit: only for a takeover */
	QUOTA_ONE,
};

static inline void quota_give(struct quota *quota)
{
	for (; quota != NULL; quota = quota->whole) {
		uint32_t before = atomic_fetch_sub(&quota->taken, 1);
		CHECK_GT(before, 0);
	}
}

static inline enum quota_taken quota_take(struct quota *quota)
{
	uint64_t before = atomic_fetch_add(&quota->taken, 1);
	enum quota_taken here = before < quota->limit ? QUOTA_ONE : QUOTA_BEYOND;
	enum quota_taken whole = QUOTA_ONE;
	if (before >= (uint64_t)quota->limit + quota->spare)
		here = QUOTA_NONE;
	else if (quota->whole != NULL)
		whole = quota_take(quota->whole);
	if (here == QUOTA_NONE || whole == QUOTA_NONE)
		atomic_fetch_sub(&quota->taken, 1);
	return here < whole ? here : whole;
}

/* For connections of Roost's own, which no limit stops. */
static inline void quota_take_beyond(struct quota *quota)
{
	for (; quota != NULL; quota = quota->whole)
		atomic_fetch_add(&quota->taken, 1);
}

/* Whether more places are taken than the limit allows, here or in the whole. */
static inline bool quota_exceeded(const struct quota *quota)
{
	for (; quota != NULL; quota = quota->whole)
		if (atomic_load(&quota->taken) > quota->limit)
			return true;
	return false;
}

#endif
