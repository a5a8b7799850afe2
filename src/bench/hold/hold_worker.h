/* One thread of `bench hold`: as many clients as a descriptor table holds, connected at a given rate, then kept alive
 * with pings. Few threads connect at the same time and the others sleep, so that fifty threads do not compete for two
 * cores. */
#ifndef BENCH_HOLD_WORKER_H
#define BENCH_HOLD_WORKER_H

#include "bench/client/pool.h"
#include "bench/measure/histogram.h"

#include <semaphore.h>
#include <stdatomic.h>

enum hold_phase {
	HOLD_RUNNING, /* connect, then hold -> LEAVING */
	HOLD_LEAVING, /* DISCONNECT and close */
};

/* What the workers of a run share. */
struct hold_shared {
	struct client_plan plan;
	sem_t turns;              /* threads that may connect at the same time */
	atomic_uint phase;        /* enum hold_phase, set by the main thread */
	uint32_t rate_per_worker; /* connections started a second, 0: as fast as can be */
	uint32_t in_progress_max; /* of one worker, so that the server's backlog is not overrun */
	uint64_t ping_period_ns;  /* 0: no pings */
	atomic_bool time_pings;   /* those that are sent from now on; only with plan.arrivals */
};

struct hold_worker {
	/* set before the start */
	struct hold_shared *shared;
	uint32_t first;
	uint32_t count;
	/* while it runs, for the progress line */
	atomic_uint ready;
	atomic_uint lost;
	atomic_bool connect_done; /* every client is subscribed or lost */
	/* valid after it was joined; those up to stream_bytes as soon as connect_done is set */
	uint64_t first_start_ns;
	uint64_t connect_done_ns;
	struct carriage carriage;
	size_t stream_bytes;         /* at this end */
	struct histogram *answer_ns; /* from PINGREQ to PINGRESP, of pings that were timed; NULL: none were */
	bool failed;                 /* no memory or no descriptor */
	struct losses losses;
};

/* A small stack, because there may be a thousand threads. */
#define HOLD_STACK_BYTES (128u * 1024u)

/* Body of the thread, for threads_start(); argument is its struct hold_worker. */
void hold_worker_run(void *argument);

#endif
