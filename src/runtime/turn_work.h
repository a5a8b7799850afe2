/* The work of a turn, counted in units instead of time, so that the same input costs the same in every run and a test
 * can bound it. Each part of a turn has a budget of its own, which it may exceed by at most one step: no packet holds
 * up the shard, and no part starves another. Work beyond a budget continues in the next turn. Owned by the shard's
 * thread. */
#ifndef RUNTIME_TURN_WORK_H
#define RUNTIME_TURN_WORK_H

#include "runtime/counters.h"

#include <stdbool.h>

/* A unit is about 100 ns on a 3 GHz core. Costs assume a cold cache; those of system calls include the kernel's work.
 */
enum turn_work_cost {
	WORK_READ = 15,   /* from a socket */
	WORK_WRITE = 20,  /* to a socket: charged for a client's first output in a turn */
	WORK_PACKET = 1,  /* a received packet of any type */
	WORK_PUBLISH = 3, /* a routed PUBLISH, without its nodes and deliveries */
	WORK_DELIVERY = 2,
	WORK_FILTER = 8,      /* of a SUBSCRIBE or UNSUBSCRIBE: check, look up, add or remove a subscription */
	WORK_LEVEL = 5,       /* in addition, of a filter with wildcards: find, add or remove a node of the trie */
	WORK_NODE = 1,        /* of the routing index or the retained tree, visited by a walk */
	WORK_ENTRY = 1,       /* of a session's queue, visited or freed */
	WORK_ADMISSION = 100, /* of a client: register it, add it to the poller, send CONNACK */
	WORK_PRESENCE = 15,   /* of an event that somebody hears of: ask the kernel, write JSON; without its routing */
	WORK_NODE_MAIL = 5,   /* a piece from the nodes thread, without what it asks for */
	WORK_END = 50,        /* of a connection or session, without its subscriptions and messages */
};

/* Bytes of a message that cost one unit each time they are read or written: the kernel takes about 0.9 ms for 1 MiB. */
#define WORK_UNIT_BYTES 128u

/* The budgets of the parts, in units. A turn with one busy part takes up to 2 ms; all parts together are 122,800 units,
 * some 12 ms. */
#define WORK_SHARE_MAIL 20000u       /* records from other shards */
#define WORK_SHARE_PACKETS 20000u    /* what clients sent */
#define WORK_SHARE_FRESH 5000u       /* the first packet of a client that did not wait, once that budget is spent */
#define WORK_SHARE_FILTERS 10000u    /* SUBSCRIBE and UNSUBSCRIBE of many filters, begun in an earlier turn */
#define WORK_SHARE_ROUTINGS 10000u   /* messages whose routing takes several turns (route/routing.h) */
#define WORK_SHARE_ACKS 10000u       /* acknowledgements of messages that have become safe */
#define WORK_SHARE_COMMITS 10000u    /* what waited for a commit that has become safe */
#define WORK_SHARE_ENDS 10000u       /* ends of clients and sessions, for each cause */
#define WORK_SHARE_ADMISSIONS 12800u /* clients that the gates hand over */
#define WORK_SHARE_TIMERS 10000u     /* timers that are due, and the ends they cause */
#define WORK_SHARE_LOADS 10000u      /* packets that were read from the store, and queues that go on with them */
#define WORK_SHARE_NODES 10000u      /* pieces from the nodes thread (shard/nodes/node_mails.h) */
#define WORK_SHARE_OWN 5000u         /* messages of the gateway itself: wills, presence, shared subscriptions */

_Static_assert(WORK_SHARE_FRESH < WORK_SHARE_PACKETS, "a client that waits comes before one that does not");
_Static_assert(WORK_SHARE_ADMISSIONS >= WORK_ADMISSION && WORK_SHARE_ENDS >= WORK_END, "each turn makes some progress");

struct turn_work {
	uint64_t spent;         /* units since the start */
	uint64_t turn_began;    /* `spent` when the turn began */
	uint64_t step_began;    /* `spent` when the step began */
	uint64_t packets_until; /* `spent` at which packets have to wait for the next turn */
	uint64_t ends;          /* in this turn: for sessions that end or lose their connection */
	uint64_t fresh;         /* in this turn: WORK_SHARE_FRESH */
	uint64_t own;           /* in this turn: WORK_SHARE_OWN; such messages occur in any part of it */
};

static inline void turn_work_charge(struct turn_work *work, uint64_t units)
{
	work->spent += units;
}

/* The value of `spent` at which a part will have used up its budget; for turn_work_is_spent(). */
static inline uint64_t turn_work_share(const struct turn_work *work, uint32_t units)
{
	return work->spent + units;
}

static inline bool turn_work_is_spent(const struct turn_work *work, uint64_t until)
{
	return work->spent >= until;
}

/* Starts the budget for clients' packets. */
static inline void turn_work_begin_packets(struct turn_work *work)
{
	work->packets_until = turn_work_share(work, WORK_SHARE_PACKETS);
}

/* Returns false if that budget is spent. Clients that have sent more then wait for the next turn, in order. */
static inline bool turn_work_takes_packets(const struct turn_work *work)
{
	return !turn_work_is_spent(work, work->packets_until);
}

void turn_work_begin(struct turn_work *work);
/* Counts the turn's work, and its maximum. */
void turn_work_end(const struct turn_work *work, struct counters *counters);

/* A step is work that is not interrupted: a packet, or the part of it done at once; the end of a client. */
static inline void turn_work_step_begin(struct turn_work *work)
{
	work->step_began = work->spent;
}
/* Counts the maximum of a step. */
static inline void turn_work_step_end(const struct turn_work *work, struct counters *counters)
{
	uint64_t units = work->spent - work->step_began;
	if (units > atomic_load_explicit(&counters->step_work_max, memory_order_relaxed))
		atomic_store_explicit(&counters->step_work_max, units, memory_order_relaxed);
}

#endif
