/* Places for clients: taken by gates, given back by shards. A shard's places are bounded by its descriptor table, those
 * of the whole gateway by `connections`. Any thread. */
#ifndef RUNTIME_QUOTA_H
#define RUNTIME_QUOTA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Where all places are taken a few more are let pass at a time, since they may take over a connection that has one: the
 * gate cannot know. A shard's table has descriptors in reserve for these (control/layout.c). */
#define QUOTA_SPARE_OF_PER_TABLE 8u
#define QUOTA_SPARE_OF_ALL 64u

struct quota {
	_Alignas(64) _Atomic uint32_t taken;
	uint32_t limit;
	uint32_t spare;      /* so many may be taken beyond the limit */
	struct quota *whole; /* what these are a part of, or NULL */
};

enum quota_taken {
	QUOTA_NONE,   /* there is none left, here or in the whole */
	QUOTA_BEYOND, /* beyond the limit: good for a take-over alone */
	QUOTA_ONE,
};

static inline void quota_give(struct quota *quota)
{
	for (; quota != NULL; quota = quota->whole)
		atomic_fetch_sub(&quota->taken, 1);
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

/* Whether more are taken than there are. */
static inline bool quota_exceeded(const struct quota *quota)
{
	for (; quota != NULL; quota = quota->whole)
		if (atomic_load(&quota->taken) > quota->limit)
			return true;
	return false;
}

#endif
