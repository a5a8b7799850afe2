/* One thread of a run: its share of every group, with one pool for each. The main thread sets the phase, and waits
 * until each worker has seen it before it sets the next. So the worker's counts are handed over without a lock. */
#ifndef BENCH_RUN_WORKER_H
#define BENCH_RUN_WORKER_H

#include "bench/run/run_group.h"

#include <stdatomic.h>

enum run_phase {
	RUN_CONNECTING, /* -> RESTING, LEAVING */
	RUN_RESTING,    /* -> FLOWING, LEAVING */
	RUN_FLOWING,    /* messages become due -> DRAINING */
	RUN_DRAINING,   /* nothing more becomes due; what is due is sent and received -> RECEIVING, REPORTING */
	RUN_RECEIVING,  /* nothing is sent; what was sent is received -> REPORTING */
	RUN_REPORTING,  /* tally is the main thread's to read -> RESTING */
	RUN_LEAVING,
};

struct run_shared {
	const struct scenario *scenario;
	struct expectations *expectations;
	struct restart_account *account; /* NULL: the server is not restarted */
	struct dial dials[SCENARIO_GROUPS_MAX];
	const struct credentials *credentials[SCENARIO_GROUPS_MAX]; /* NULL each: none */
	atomic_uint phase;                                          /* enum run_phase */
	atomic_uint probe_round;                                    /* rounds of PINGREQ that were asked for */
	/* of the step; written before FLOWING or DRAINING is set */
	double load;
	uint64_t begin_ns;
	uint64_t measure_from_ns;
	uint64_t stop_ns;
};

struct run_worker {
	/* set before the start */
	struct run_shared *shared;
	uint32_t number; /* 0..scenario->threads-1 */
	/* while it runs */
	atomic_uint seen; /* the phase that it is in */
	atomic_uint ready;
	atomic_uint open;         /* clients with a connection, ready or on the way there */
	atomic_uint staying;      /* of these, in groups that do not reconnect */
	atomic_bool connect_done; /* every client is subscribed or lost */
	atomic_bool loops_done;   /* all publishers have sent their loops */
	atomic_uint probe_round;  /* the last one in which all clients have had their answers */
	atomic_ullong received;
	atomic_ullong expected_due;
	atomic_ullong expected;
	atomic_ullong sign_ins;
	atomic_ullong handshakes; /* of TLS */
	atomic_ullong resumed;    /* of these */
	atomic_ullong pending;    /* while DRAINING: messages that are due but not sent, or not acknowledged */
	/* valid in REPORTING, and after it was joined */
	struct run_tally tally;
	uint64_t unsent;
	uint64_t unacknowledged;
	struct losses losses;
	struct carriage carriage;
	bool failed; /* no memory or no descriptor */
};

/* Body of the thread, for threads_start(); argument is its struct run_worker. */
void run_worker_run(void *argument);

#endif
