/* When objects of a pool expire: a binary heap by time, so that those whose time is over are found without looking at
 * the others, and one that is replaced leaves it. Eight bytes an object that expires, one place in each object.
 *
 * Guarded by its owner's lock. Times are seconds of the owner's clock. */
#ifndef TOPICS_EXPIRIES_H
#define TOPICS_EXPIRIES_H

#include "memory/pool.h"

struct expiries {
	const struct pool *pool;
	struct region heap;
	uint32_t place_offset; /* of the object's uint32_t: its place in the heap, 0: it is not there */
	uint32_t count;
};

/* limit: objects. The pool must outlive it. */
enum error expiries_open(struct expiries *expiries, const struct pool *pool, uint32_t place_offset, uint32_t limit);
void expiries_close(struct expiries *expiries);

/* Room for one more, so that the next expiries_add() cannot fail. */
enum error expiries_reserve(struct expiries *expiries);
/* The object is not there yet; after expiries_reserve(). */
void expiries_add(struct expiries *expiries, uint32_t index, uint32_t expires_s);
/* Does nothing where the object is not there. */
void expiries_remove(struct expiries *expiries, uint32_t index);
/* The object that expires first, if that is at now_s or before; 0: none. */
uint32_t expiries_due(const struct expiries *expiries, uint32_t now_s);
/* When that is; UINT32_MAX: nothing expires. */
uint32_t expiries_first_s(const struct expiries *expiries);

#endif
