/* One thread of `bench hold`: a pool of up to a descriptor table's worth of clients, connected at a given rate, then
 * kept with pings. Few threads connect at the same time: the others sleep, so that two cores are not shared by fifty.
 */
#ifndef BENCH_HOLD_WORKER_H
#define BENCH_HOLD_WORKER_H

#include "bench/client/pool.h"

#include <semaphore.h>
#include <stdatomic.h>

enum hold_phase {
	HOLD_RUNNING, /* connect, then hold -> LEAVING */
	HOLD_LEAVING, /* DISCONNECT and close */
};

/* What the workers of a run share. */
struct hold_shared {
	struct client_plan plan;
	sem_t turns;              /* how many may connect now */
	atomic_uint phase;        /* enum hold_phase, set by the main thread */
	uint32_t rate_per_worker; /* connections started a second, 0: as fast as can be */
	uint32_t in_progress_max; /* a worker's, so that the server's backlog is not overrun */
	uint64_t ping_period_ns;  /* 0: no pings */
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
	/* after it was joined, but for first_start_ns and connect_done_ns, which hold once it is connect_done */
	uint64_t first_start_ns;
	uint64_t connect_done_ns;
	bool failed; /* no memory, or the table could not be detached where it had to be */
	struct losses losses;
};

/* A thread needs little: there may be a thousand. */
#define HOLD_STACK_BYTES (128u * 1024u)

/* The thread itself, of a struct hold_worker; to be started by threads_start(). */
void hold_worker_run(void *argument);

#endif
