/* Objects of one size, named by a 32-bit index instead of a pointer: a link takes half the memory, and a generation in
 * the object exposes an index that is stale. Index 0 is "none". Taking and giving never moves an object.
 *
 * Owned by one thread, or guarded by its owner's lock. Objects are zero at their first use. Later ones keep what they
 * held, except for the first four bytes (the free list's link), so a generation survives. */
#ifndef MEMORY_POOL_H
#define MEMORY_POOL_H

#include "base/check.h"
#include "memory/ref.h"
#include "memory/region.h"

struct pool {
	struct region region;
	uint32_t object_bytes;
	uint32_t limit;   /* objects */
	uint32_t touched; /* objects that were ever in use: the indices 1..touched */
	uint32_t used;    /* objects in use now */
	uint32_t free;    /* first of the free list */
};

/* What a pool is beside its objects, as pool_save() notes it. */
struct pool_note {
	uint32_t object_bytes;
	uint32_t limit;
	uint32_t touched;
	uint32_t used;
	uint32_t free;
};

/* Room for `limit` objects of object_bytes (a multiple of 4). The errors are region_open()'s. */
enum error pool_open(struct pool *pool, uint32_t object_bytes, uint32_t limit);
/* The same in an arena, under a name (region_open_in()). In one that was adopted, ERROR_NOT_FOUND: there is no such
 * pool of objects of this size, or its note contradicts itself. Its limit is then what fits into what was reserved. */
enum error pool_open_in(struct pool *pool, struct arena *arena, const char *name, uint32_t object_bytes,
			uint32_t limit);
/* Notes what lies beside the objects, for the program that adopts the arena. Nothing to do for anonymous memory. */
enum error pool_save(const struct pool *pool, const struct arena *arena);
void pool_close(struct pool *pool);

/* An object's index, or 0 at the limit or without memory. */
uint32_t pool_take(struct pool *pool);
void pool_give(struct pool *pool, uint32_t index);

static inline void *pool_at(const struct pool *pool, uint32_t index)
{
	CHECK(index - 1 < pool->touched);
	return pool->region.base + (size_t)index * pool->object_bytes;
}

/* Typed access to a pool of struct NAME; DEFINE_REF(NAME) comes first (memory/ref.h). NAME_at() multiplies by a
 * constant where pool_at() loads the size. Taking and giving check that the pool holds objects of this size; the
 * compiler checks the reference. */
#define DEFINE_POOL_REF(name)                                                                                          \
	REF_INLINE struct name *name##_at(const struct pool *pool, struct name##_ref ref)                              \
	{                                                                                                              \
		CHECK(ref.index - 1 < pool->touched);                                                                  \
		return (struct name *)(void *)pool->region.base + ref.index;                                           \
	}                                                                                                              \
	REF_INLINE struct name##_ref name##_take(struct pool *pool)                                                    \
	{                                                                                                              \
		CHECK(pool->object_bytes == sizeof(struct name));                                                      \
		return (struct name##_ref){pool_take(pool)};                                                           \
	}                                                                                                              \
	REF_INLINE void name##_give(struct pool *pool, struct name##_ref ref)                                          \
	{                                                                                                              \
		CHECK(pool->object_bytes == sizeof(struct name));                                                      \
		pool_give(pool, ref.index);                                                                            \
	}                                                                                                              \
	_Static_assert(sizeof(struct name) % sizeof(uint32_t) == 0, "pool_open() wants a multiple of four bytes")

#endif
