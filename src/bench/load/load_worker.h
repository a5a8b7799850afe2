/* One thread's messages, in a closed loop or at a rate (an open loop). Publishers and subscribers share one pool, so a
 * delivery lets its publisher go on without telling another thread. With several threads each has a load of its own, of
 * the same shape. The plan says who publishes what. */
#ifndef BENCH_LOAD_WORKER_H
#define BENCH_LOAD_WORKER_H

#include "bench/client/pool.h"
#include "bench/load/plan.h"
#include "bench/measure/audit.h"
#include "bench/measure/histogram.h"
#include "bench/measure/members.h"

#include <stdatomic.h>

/* Intervals that are measured separately: before, during and after a storm. */
#define LOAD_INTERVALS 3u
#define LOAD_UNTIMED LOAD_INTERVALS

/* Set by the main thread. Each leads to the next, or to LEAVING. */
enum load_phase {
	LOAD_CONNECTING,
	LOAD_FLOWING,  /* messages flow */
	LOAD_DRAINING, /* sends nothing new */
	LOAD_LEAVING,
};

/* Where a latency was spent: late_ns and read_ns are the bench's own, passage_ns lies between them. A message that the
 * server holds up, because its socket is full or acknowledgements are missing, is not late: its passage begins when it
 * was due. Histograms are empty if this is not known (plan.arrivals, rate). */
struct load_lateness {
	struct histogram late_ns;    /* from when a message was due to when it was sent */
	struct histogram passage_ns; /* from there until it arrived at the subscriber's socket */
	struct histogram read_ns;    /* from there until it was read */
};

/* What the threads of a run share. */
struct load_shared {
	struct client_plan plan;
	atomic_uint phase;    /* enum load_phase */
	uint32_t quiet_ms;    /* struct quiet */
	atomic_uint interval; /* the one in which latency counts now, or LOAD_UNTIMED */
};

struct load_worker {
	/* set before the start; load is this thread's share */
	struct load_shared *shared;
	struct load_plan load;
	double phase;   /* delay of its messages, as a share of the period between two of them, 0..1 */
	uint32_t first; /* number of its first client */
	/* while it runs */
	atomic_ullong delivered; /* messages that arrived, without duplicates */
	atomic_uint ready;
	atomic_bool connect_done; /* every client is subscribed or lost */
	atomic_bool drained;      /* all that was sent has arrived, or is lost */
	/* valid when connect_done is set */
	uint16_t receive_max; /* the least Receive Maximum that the server named */
	/* valid after it was joined */
	struct histogram latency_ns[LOAD_INTERVALS]; /* at a rate: from when the message was due */
	struct load_lateness lateness;               /* in all intervals */
	struct audit audit;
	struct spread spread;    /* shared */
	uint64_t unacknowledged; /* messages whose handshake with publisher or subscriber did not end */
	uint64_t foreign;        /* messages that are not ours, or came at another QoS */
	struct losses losses;
	bool failed; /* no memory or no descriptor */
};

/* Body of the thread, for threads_start(); argument is its struct load_worker. */
void load_worker_run(void *argument);

#endif
