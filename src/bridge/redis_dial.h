/* A connection that a thread of its own makes, for an owner that may not wait: names are looked up there, too. While it
 * is under way the thread has the connection and what it writes to, and the owner touches neither. Owned by one thread.
 */
#ifndef BRIDGE_REDIS_DIAL_H
#define BRIDGE_REDIS_DIAL_H

#include "bridge/redis_connection.h"

#include <pthread.h>
#include <stdatomic.h>

enum redis_dial_kind {
	REDIS_DIAL_PLACE,  /* to the connection's place */
	REDIS_DIAL_MASTER, /* redis_connection_open_master() */
	REDIS_DIAL_SLOTS,  /* redis_connection_read_slots() */
	REDIS_DIAL_WATCH,  /* redis_connection_watch_master() */
};

struct redis_dial {
	enum redis_dial_kind kind;
	struct redis_connection *connection;
	struct redis_slots *slots;  /* where it is REDIS_DIAL_SLOTS */
	struct redis_place *master; /* where it is REDIS_DIAL_WATCH */
	int done_fd;                /* an eventfd that is written to when it is done */
	pthread_t thread;
	bool is_running;
	bool good; /* the thread's, until it is done */
	_Atomic bool is_done;
	_Atomic bool given_up;
};

/* Begins, with kind, connection, done_fd and what the kind needs set. false: there is no thread to be had, and
 * link.fault says so. */
bool redis_dial_begin(struct redis_dial *dial);
/* Whether redis_dial_end() is due, and will not wait. */
static inline bool redis_dial_is_over(const struct redis_dial *dial)
{
	return dial->is_running && atomic_load_explicit(&dial->is_done, memory_order_acquire);
}
/* Waits for the thread. Returns whether it came to what was wanted; else link.fault says why not. */
bool redis_dial_end(struct redis_dial *dial);
/* Waits for the thread, where there is one, to have done with the server that it is just about. */
void redis_dial_give_up(struct redis_dial *dial);

#endif
