/* Objects of one size, named by a 32-bit index instead of a pointer: half the memory for a link, and an index that is
 * stale can be told by a generation that the object keeps. Index 0 is "none". Taking and giving never moves an object.
 *
 * Owned by one thread (or guarded by its owner's lock). Objects are zero at their first use; afterwards all but their
 * first four bytes (the free list's link) keep what they held, so that a generation survives. */
#ifndef MEMORY_POOL_H
#define MEMORY_POOL_H

#include "base/check.h"
#include "memory/region.h"

struct pool {
	struct region region;
	uint32_t object_bytes;
	uint32_t limit;   /* objects */
	uint32_t touched; /* objects that were ever in use: the indices 1..touched */
	uint32_t used;    /* objects in use now */
	uint32_t free;    /* first of the free list */
};

/* Room for `limit` objects of object_bytes (a multiple of 4). */
enum error pool_open(struct pool *pool, uint32_t object_bytes, uint32_t limit);
void pool_close(struct pool *pool);

/* An object's index, or 0 when the limit or memory is reached. */
uint32_t pool_take(struct pool *pool);
void pool_give(struct pool *pool, uint32_t index);

static inline void *pool_at(const struct pool *pool, uint32_t index)
{
	CHECK(index - 1 < pool->touched);
	return pool->region.base + (size_t)index * pool->object_bytes;
}

#endif
