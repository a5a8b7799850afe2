/* A shard's loop: what it waits for, what time it is, how much of the turn's work is done, and what goes on in the next
 * one. By the shard's thread. */
#ifndef STATE_LOOP_H
#define STATE_LOOP_H

#include "base/check.h"
#include "memory/list.h"
#include "reactor/fdpass.h"
#include "reactor/fdtable.h"
#include "reactor/poller.h"
#include "reactor/wheel.h"
#include "runtime/overload.h"
#include "runtime/turn_stats.h"
#include "runtime/turn_work.h"

#include <pthread.h>

struct admission;

/* A batch of clients that the gates have let in, and how far it is taken. */
struct arrivals {
	int fds[FDPASS_BATCH_MAX];
	struct admission *admissions[FDPASS_BATCH_MAX];
	size_t fd_count; /* fewer than admissions where sockets were lost on their way */
	uint32_t count;
	uint32_t next;
};

struct shard_loop {
	struct poller poller;
	struct wheel wheel; /* of clients */
	uint64_t now_ms;    /* when the turn began */
	uint32_t now_s;     /* the same: the clock of sessions, wills and messages */
	uint32_t started_s;
	struct turn_work work;
	struct check_context check; /* what a broken promise prints; beside what each packet writes to anyway */
	struct turn_stats stats;
	struct overload overload;
	struct list ready;       /* clients with more to read */
	uint32_t round_left;     /* the first of them that came to wait when the others did; 0: there is no round */
	uint64_t round_began_ms; /* when those came to wait, at the earliest */
	struct arrivals arrivals;
	uint32_t sys_next_s;    /* when the $SYS topics are due again */
	uint32_t drain_next;    /* client that draining looks at next */
	bool drain_waits;       /* the last round found only clients whose output waits */
	uint64_t slept_from_ms; /* before this turn; 0: it did not sleep */
	uint64_t ran_ns;        /* what its thread had run for at ran_at_ms */
	uint64_t ran_at_ms;
	pthread_t thread;
	enum fdtable_kind table;
	clockid_t cpu_clock; /* what its thread has used; set before it says that it has started */
};

#endif
