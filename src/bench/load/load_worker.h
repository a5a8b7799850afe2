/* One thread's messages, in a closed loop or at a rate (an open loop): publishers and subscribers on one pool, so that
 * whoever receives lets the publisher go on without a word to another thread. With several threads each has a load of
 * its own, of the same shape. The plan says who publishes what. */
#ifndef BENCH_LOAD_WORKER_H
#define BENCH_LOAD_WORKER_H

#include "bench/client/pool.h"
#include "bench/load/plan.h"
#include "bench/measure/audit.h"
#include "bench/measure/histogram.h"
#include "bench/measure/members.h"

#include <stdatomic.h>

/* Times that are measured one by one, as before, during and after a storm. */
#define LOAD_INTERVALS 3u
#define LOAD_UNTIMED LOAD_INTERVALS

/* Set by the main thread; each leads to the next, or to LEAVING. */
enum load_phase {
	LOAD_CONNECTING,
	LOAD_FLOWING,  /* messages flow */
	LOAD_DRAINING, /* nothing new is sent */
	LOAD_LEAVING,
};

/* Where a latency was spent. What of it was the bench's own is late_ns and read_ns; passage_ns is between the two. A
 * message that the server holds up, since its socket is full or acknowledgements are missing, is not late: its passage
 * begins when it was due. Histograms are empty where it is not known (plan.arrivals, rate). */
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
	atomic_uint interval; /* while messages flow: in which their latency counts, or LOAD_UNTIMED */
};

struct load_worker {
	/* set before the start; load is this thread's share */
	struct load_shared *shared;
	struct load_plan load;
	double phase;   /* share of the distance between two of its messages by which they come later, 0..1 */
	uint32_t first; /* number of its first client */
	/* while it runs */
	atomic_ullong delivered; /* messages that came, without doubles */
	atomic_uint ready;
	atomic_bool connect_done; /* every client is subscribed or lost */
	atomic_bool drained;      /* all that was sent has come, or nothing came for long enough */
	/* once it is connect_done */
	uint16_t receive_max; /* the least Receive Maximum that the server named */
	/* after it was joined */
	struct histogram latency_ns[LOAD_INTERVALS]; /* at a rate: from when the message was due */
	struct load_lateness lateness;               /* in all intervals */
	struct audit audit;
	struct spread spread;    /* shared */
	uint64_t unacknowledged; /* messages whose handshake, with publisher or subscriber, did not end */
	uint64_t foreign;        /* messages that are not ours, or came at another QoS */
	struct losses losses;
	bool failed; /* no memory or no descriptor */
};

/* The thread itself, of a struct load_worker; to be started by threads_start(). */
void load_worker_run(void *argument);

#endif
