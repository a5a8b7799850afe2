/* When objects of a pool expire: a binary heap by time. The ones that are due are found without looking at the others,
 * and any one can be removed. Eight bytes for each object that expires; each object keeps its position in the heap.
 *
 * Guarded by its owner's lock. Times are seconds of the owner's clock. */
#ifndef TOPICS_EXPIRIES_H
#define TOPICS_EXPIRIES_H

#include "memory/pool.h"

struct expiries {
	const struct pool *pool;
	struct region heap;
	uint32_t place_offset; /* in an object: a uint32_t, its position in the heap; 0: not in the heap */
	uint32_t count;
};

/* limit: objects. The pool must outlive the heap. The errors are region_open()'s. */
enum error expiries_open(struct expiries *expiries, const struct pool *pool, uint32_t place_offset, uint32_t limit);
/* The same in an arena, under a name; one that was adopted, as for a pool (memory/pool.h). */
enum error expiries_open_in(struct expiries *expiries, struct arena *arena, const char *name, const struct pool *pool,
			    uint32_t place_offset, uint32_t limit);
enum error expiries_save(const struct expiries *expiries, const struct arena *arena);
void expiries_close(struct expiries *expiries);

/* Makes room for one more, so that the next expiries_add() cannot fail. ERROR_NO_MEMORY. */
enum error expiries_reserve(struct expiries *expiries);
/* Adds an object that is not in the heap, after expiries_reserve(). */
void expiries_add(struct expiries *expiries, uint32_t index, uint32_t expires_s);
/* Does nothing if the object is not in the heap. */
void expiries_remove(struct expiries *expiries, uint32_t index);
/* The object that expires first, if that is at now_s or earlier; 0: none. */
uint32_t expiries_due(const struct expiries *expiries, uint32_t now_s);
/* When the first one expires; UINT32_MAX: none does. */
uint32_t expiries_first_s(const struct expiries *expiries);

#endif
