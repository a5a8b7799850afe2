/* A hashed timer wheel for many coarse deadlines. It is lazy: traffic only stores a tick in the object; the wheel
 * visits the object when its slot comes up, asks for its true deadline, and files it again where that has moved. An
 * object is thus visited about once in a deadline's length, however busy it is.
 *
 * The nodes live inside the owner's pool objects and are named by the pool's index. Owned by one thread. Time is in
 * milliseconds of the caller's monotonic clock. */
#ifndef REACTOR_WHEEL_H
#define REACTOR_WHEEL_H

#include "memory/pool.h"

#include <stdbool.h>

#define WHEEL_SLOTS 1024u
#define WHEEL_TICK_MS 128u /* the horizon is 131 s; what is later is filed again on the way */
#define WHEEL_NEVER UINT64_MAX

struct wheel_node {
	uint32_t next;
	uint32_t previous; /* index, or slot | WHEEL_HEAD for the first of its slot */
};

struct wheel {
	const struct pool *pool;
	uint32_t node_offset; /* of the struct wheel_node in an object */
	uint64_t tick;        /* the next one to be visited */
	uint32_t heads[WHEEL_SLOTS];
	uint32_t filed; /* nodes in the wheel */
};

/* Called when an object's slot comes up. Returns the object's deadline: in the past or now means that it was handled
 * and stays out of the wheel (the callback may have freed it), later means file it again, WHEEL_NEVER leaves it out. It
 * may file the object itself; where it returns a later deadline all the same, the object is visited once more at the
 * next tick. */
typedef uint64_t wheel_visit(void *context, uint32_t index, uint64_t now_ms);

void wheel_init(struct wheel *wheel, const struct pool *pool, uint32_t node_offset, uint64_t now_ms);
/* The object must not be in the wheel. It is visited at deadline_ms or up to one tick later. */
void wheel_add(struct wheel *wheel, uint32_t index, uint64_t deadline_ms);
/* Does nothing when the object is not in the wheel. */
void wheel_remove(struct wheel *wheel, uint32_t index);

/* Visits what is due, at most `budget` objects. Returns true when there is more that is due now. */
bool wheel_turn(struct wheel *wheel, uint64_t now_ms, uint32_t budget, wheel_visit *visit, void *context);

/* How long until the next tick that has an object; at most limit_ms. */
uint32_t wheel_wait_ms(const struct wheel *wheel, uint64_t now_ms, uint32_t limit_ms);

#endif
