/* How much work a turn has done, counted in units instead of time: so the same input costs the same in every run, and a
 * test can bound it. Each part of a turn has a share of its own, which it may pass by one step at most: nobody's packet
 * holds the shard, and no part starves another. What is left goes on in the next turn. Owned by the shard's thread. */
#ifndef RUNTIME_TURN_WORK_H
#define RUNTIME_TURN_WORK_H

#include "runtime/counters.h"

#include <stdbool.h>

/* A unit is about 100 ns on a core of 3 GHz. Costs are those of a cold cache, and a system call's is with what the
 * kernel does in it. */
enum turn_work_cost {
	WORK_READ = 15,   /* of a socket */
	WORK_WRITE = 20,  /* of a socket: charged when the turn has its first output for a client */
	WORK_PACKET = 1,  /* a packet that came, whatever its type */
	WORK_PUBLISH = 3, /* a PUBLISH that is routed, besides its nodes and deliveries */
	WORK_DELIVERY = 2,
	WORK_FILTER = 8,      /* of a SUBSCRIBE or UNSUBSCRIBE: checked, looked up, a subscription made or ended */
	WORK_LEVEL = 5,       /* of a filter with wildcards, besides: a node of the trie is found, made or taken away */
	WORK_NODE = 1,        /* of the routing index or of the retained tree, looked at by a walk */
	WORK_ENTRY = 1,       /* of a session's queue, looked at or freed */
	WORK_ADMISSION = 100, /* of a client: filed, polled, greeted */
	WORK_END = 50,        /* of a connection or a session, besides its subscriptions and messages */
};

/* Bytes of a message that cost a unit each time that they are read, or written: a mebibyte takes the kernel about 0.9
 * ms. */
#define WORK_UNIT_BYTES 128u

/* Shares of the parts, in units. Together they are some 5 ms; a turn with one busy part takes 2 ms. */
#define WORK_SHARE_MAIL 20000u    /* records from other shards */
#define WORK_SHARE_PACKETS 20000u /* what clients sent */
#define WORK_SHARE_FRESH 5000u    /* the first packet of a client that did not wait, when the packets' share is spent */
#define WORK_SHARE_FILTERS 10000u /* SUBSCRIBE and UNSUBSCRIBE of many filters that were begun before */
#define WORK_SHARE_ROUTINGS 10000u   /* publishers' messages that take longer (routing.h) */
#define WORK_SHARE_ACKS 10000u       /* acknowledgements of messages that have become safe */
#define WORK_SHARE_ENDS 10000u       /* of clients and sessions that end, by what ends them */
#define WORK_SHARE_ADMISSIONS 12800u /* of clients whom the gates let in */
#define WORK_SHARE_TIMERS 10000u     /* what comes round by time, and what it ends */
#define WORK_SHARE_OWN 5000u         /* messages of the gateway's own: wills, presence, what is handed on */

struct turn_work {
	uint64_t spent;         /* since the shard began */
	uint64_t turn_began;    /* spent, when the turn began */
	uint64_t step_began;    /* spent, when the step began */
	uint64_t packets_until; /* spent, at which packets wait for the next turn */
	uint64_t ends;          /* of this turn, for sessions that lose their connection or end */
	uint64_t fresh;         /* of this turn, for clients that did not wait when packets had spent their share */
	uint64_t own;           /* of this turn, for messages of the gateway's own, which come up anywhere in it */
};

static inline void turn_work_charge(struct turn_work *work, uint64_t units)
{
	work->spent += units;
}

/* Where a part has spent its share: turn_work_is_spent() compares. */
static inline uint64_t turn_work_share(const struct turn_work *work, uint32_t units)
{
	return work->spent + units;
}

static inline bool turn_work_is_spent(const struct turn_work *work, uint64_t until)
{
	return work->spent >= until;
}

/* Clients' packets have a turn's worth of work from here on. */
static inline void turn_work_begin_packets(struct turn_work *work)
{
	work->packets_until = turn_work_share(work, WORK_SHARE_PACKETS);
}

/* False: clients that have sent more are served in the next turn, in the order in which they wait. */
static inline bool turn_work_takes_packets(const struct turn_work *work)
{
	return !turn_work_is_spent(work, work->packets_until);
}

void turn_work_begin(struct turn_work *work);
/* Notes the largest turn. */
void turn_work_end(const struct turn_work *work, struct counters *counters);

/* A step is what is not interrupted: a packet, or as much of it as is done at once; a client's end. */
static inline void turn_work_step_begin(struct turn_work *work)
{
	work->step_began = work->spent;
}
/* Notes the largest step. */
static inline void turn_work_step_end(const struct turn_work *work, struct counters *counters)
{
	uint64_t units = work->spent - work->step_began;
	if (units > atomic_load_explicit(&counters->step_work_max, memory_order_relaxed))
		atomic_store_explicit(&counters->step_work_max, units, memory_order_relaxed);
}

#endif
