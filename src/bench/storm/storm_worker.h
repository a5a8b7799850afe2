/* One thread of a storm: clients connect, sign in, and leave at once or when so many others have signed in after them;
 * their slots are used again. Each attempt has a number of its own, from which client id, source address and token
 * come. */
#ifndef BENCH_STORM_WORKER_H
#define BENCH_STORM_WORKER_H

#include "bench/client/pool.h"
#include "bench/measure/histogram.h"

#include <stdatomic.h>

/* What became of an attempt. */
enum storm_end {
	STORM_SIGNED_IN,
	STORM_RESET,     /* the connection was reset before CONNACK */
	STORM_CLOSED,    /* closed before CONNACK, without a word */
	STORM_CONNACK,   /* refused by CONNACK, or by DISCONNECT */
	STORM_UNOPENED,  /* no TCP connection: no descriptor, no port, nobody listens */
	STORM_UNHEARD,   /* no answer to SYN: it is dropped on the way, or in front of the server */
	STORM_NO_ANSWER, /* still nothing when the storm was over */
	STORM_OTHER,     /* anything else before it was signed in and subscribed */
	STORM_ENDS,
};

/* What the threads of a storm share. */
struct storm_shared {
	struct client_plan plan;
	atomic_bool stopping;
	uint32_t workers;
	uint32_t rate_per_worker; /* attempts a second, 0: as fast as can be */
	uint32_t in_progress_max; /* of each worker */
	uint32_t syn_timeout_ms;  /* an attempt whose SYN is not answered for so long is given up */
	uint32_t stay;            /* of each worker: signed-in clients that stay; the oldest leaves for the next */
	uint32_t first;           /* number of the first attempt */
	bool subscribe;           /* each to a topic of its own */
};

struct storm_worker {
	/* set before the start */
	struct storm_shared *shared;
	uint32_t number; /* 0..workers-1 */
	/* while it runs */
	atomic_ullong attempts;
	atomic_ullong signed_in;
	/* after it was joined */
	uint64_t ends[STORM_ENDS];
	uint64_t stay_lost;          /* those who stayed and were ended by the server */
	struct losses losses;        /* why, of both */
	struct histogram sign_in_ns; /* from connect() to CONNACK, or SUBACK */
	bool failed;                 /* no memory or no descriptor */
};

/* The thread itself, of a struct storm_worker; to be started by threads_start(). Set shared->stopping before joining
 * it: what is in progress then may still end, for some seconds. */
void storm_worker_run(void *argument);

/* What became of an attempt that was lost in this state. */
enum storm_end storm_end_of(enum client_state state, enum loss kind, uint32_t code);

#endif
