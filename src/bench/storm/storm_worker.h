/* One thread of a storm: clients connect, sign in, and leave at once, or after so many others have signed in. Slots are
 * reused. Each attempt has a number of its own, which determines client id, source address and token. */
#ifndef BENCH_STORM_WORKER_H
#define BENCH_STORM_WORKER_H

#include "bench/client/pool.h"
#include "bench/measure/histogram.h"

#include <stdatomic.h>

/* What became of an attempt. */
enum storm_end {
	STORM_SIGNED_IN,
	STORM_RESET,     /* the connection was reset before CONNACK */
	STORM_CLOSED,    /* closed before CONNACK */
	STORM_CONNACK,   /* refused by CONNACK, or by DISCONNECT */
	STORM_UNOPENED,  /* no TCP connection: no descriptor, no port, nobody listens */
	STORM_UNHEARD,   /* no answer to SYN: dropped on the way, or by the server's kernel */
	STORM_CARRIAGE,  /* TLS or WebSocket failed */
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
	uint32_t syn_timeout_ms;  /* an attempt whose SYN is not answered in time is given up */
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
	atomic_ullong handshakes; /* of TLS */
	atomic_ullong resumed;
	/* valid after it was joined */
	uint64_t ends[STORM_ENDS];
	uint64_t stay_lost;   /* clients that stayed and were disconnected by the server */
	struct losses losses; /* reasons for both */
	struct carriage carriage;
	struct histogram sign_in_ns; /* from connect() to CONNACK, or SUBACK */
	bool failed;                 /* no memory or no descriptor */
};

/* Body of the thread, for threads_start(); argument is its struct storm_worker. Set shared->stopping before joining it:
 * attempts in progress still have some seconds to end. */
void storm_worker_run(void *argument);

/* What became of an attempt that was lost in this state. */
enum storm_end storm_end_of(enum client_state state, enum loss kind, uint32_t code);

#endif
