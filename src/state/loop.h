/* State of a shard's loop: what it waits for, its clock, the work done in this turn, and what the next turn continues.
 * By the shard's thread. */
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
#include "store/deadline.h"

#include <pthread.h>

struct admission;
struct node_mail;

/* A batch of clients that the gates have admitted, and how far the shard has come with it. */
struct arrivals {
	int fds[FDPASS_BATCH_MAX];
	struct admission *admissions[FDPASS_BATCH_MAX];
	size_t fd_count; /* less than `count` if sockets were lost in passing */
	uint32_t count;  /* of admissions */
	uint32_t next;   /* admission */
};

struct shard_loop {
	struct poller poller;
	struct wheel wheel;             /* of clients */
	uint64_t now_ms;                /* when the turn began */
	uint32_t now_s;                 /* the same in seconds: the clock of sessions, wills and messages */
	struct deadline_base deadlines; /* what the clock of deadlines has come to */
	uint32_t started_s;             /* when $SYS was first published; 0: not yet */
	struct turn_work work;
	struct check_context check; /* what a failed CHECK prints; on a cache line that each packet writes to anyway */
	struct turn_stats stats;
	struct overload overload;
	struct client_list ready; /* clients with more to read */
	uint32_t round_left;      /* clients at the front of `ready` that belong to the current round; 0: no round */
	uint64_t round_began_ms;  /* moved forward by stalls, which do not count as waiting (runtime/overload.h) */
	struct arrivals arrivals;
	uint32_t sys_next_s; /* when the $SYS topics are due again */
	struct node_mail
		*node_mails; /* from the nodes thread, taken and not dealt with yet (shard/nodes/node_mails.h) */
	bool told_nodes;     /* something was sent to it in this turn */
	/* Of a drain (shard/emptying/emptying.h). */
	struct emptying {
		uint32_t number;  /* of the drain; 0: none */
		uint32_t next;    /* client that was looked at last */
		uint64_t clients; /* when it began */
	} emptying;
	uint32_t drain_next;    /* index of the last client that draining has visited; 0: a round begins */
	bool drain_waits;       /* the last round found only clients with a backlog */
	uint64_t slept_from_ms; /* when the sleep before this turn began; 0: it did not sleep */
	uint64_t ran_ns;        /* CPU time of the thread at ran_at_ms */
	uint64_t ran_at_ms;
	pthread_t thread;
	enum fdtable_kind table;
	clockid_t cpu_clock; /* CPU time of the thread; set before shared.started */
};

#endif
