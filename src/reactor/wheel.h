/* A hashed timer wheel for many coarse deadlines. It is lazy: traffic only stores a timestamp in the object. When the
 * object's slot comes up, the wheel asks for its true deadline and inserts it again if that has moved. However busy an
 * object is, it is visited about once per timeout.
 *
 * The nodes are part of the owner's pool objects and are named by the pool's index. Owned by one thread. Time is in
 * milliseconds of the caller's monotonic clock. */
#ifndef REACTOR_WHEEL_H
#define REACTOR_WHEEL_H

#include "memory/pool.h"

#include <stdbool.h>

#define WHEEL_SLOTS 1024u
#define WHEEL_TICK_MS 128u /* the horizon is 1024 * 128 ms = 131 s; later deadlines are inserted again on the way */
#define WHEEL_NEVER UINT64_MAX

struct wheel_node {
	uint32_t next;
	uint32_t previous; /* index, or slot | WHEEL_HEAD for the first of its slot; 0: not in the wheel */
};

struct wheel {
	const struct pool *pool;
	uint32_t node_offset; /* of the struct wheel_node in an object */
	uint64_t tick;        /* the next tick to be visited */
	uint32_t heads[WHEEL_SLOTS];
	uint32_t filed; /* nodes in the wheel */
};

/* Called when an object's slot comes up; the object is out of the wheel then. Returns the object's deadline. In the
 * past or now: it was handled and stays out (the callback may have freed it). Later: it is inserted again. WHEEL_NEVER:
 * it stays out. The callback may insert the object itself. If it then returns a later deadline, the object is visited
 * again at the next tick. */
typedef uint64_t wheel_visit(void *context, uint32_t index, uint64_t now_ms);

/* The pool must outlive the wheel. node_offset: of the struct wheel_node in an object. */
void wheel_init(struct wheel *wheel, const struct pool *pool, uint32_t node_offset, uint64_t now_ms);
/* Inserts an object that is not in the wheel. It is visited at deadline_ms or up to one tick later. */
void wheel_add(struct wheel *wheel, uint32_t index, uint64_t deadline_ms);
/* Removes an object. Does nothing if it is not in the wheel. */
void wheel_remove(struct wheel *wheel, uint32_t index);

/* Visits objects that are due, at most `budget` of them. Returns true if more are due. */
bool wheel_turn(struct wheel *wheel, uint64_t now_ms, uint32_t budget, wheel_visit *visit, void *context);

/* The time until the next tick that has an object; at most limit_ms. */
uint32_t wheel_wait_ms(const struct wheel *wheel, uint64_t now_ms, uint32_t limit_ms);

#endif
