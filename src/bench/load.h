/* One thread's closed loop of messages: publishers and subscribers on one fleet, so that whoever receives lets the
 * publisher go on without a word to another thread. With several threads each has a load of its own, of the same
 * shape.
 *
 * Clients 0..publishers-1 publish and do not subscribe, the others subscribe:
 *   one-to-one  a topic each; a publisher goes round its share of them, message by message
 *   fan-out     all to one topic
 *   fan-in      the first one to the topic that everybody publishes to; the others, a topic each, stay idle */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/audit.h"
#include "bench/fleet.h"
#include "bench/histogram.h"

#include <pthread.h>
#include <stdatomic.h>

enum load_pattern { LOAD_ONE_TO_ONE, LOAD_FAN_OUT, LOAD_FAN_IN };

/* Set by the main thread; each leads to the next, or to LEAVING. */
enum load_phase {
	LOAD_CONNECTING,
	LOAD_WARMING,   /* messages flow */
	LOAD_MEASURING, /* and are timed */
	LOAD_DRAINING,  /* nothing new is sent */
	LOAD_LEAVING,
};

struct load_plan {
	enum load_pattern pattern;
	uint32_t clients;
	uint32_t publishers;
	uint32_t burst;  /* messages in one send */
	uint32_t window; /* messages of one publisher that may be on their way; >= burst */
	uint32_t size;   /* of a payload, >= STAMP_BYTES */
	uint8_t qos;     /* 0 */
};

/* What the threads of a run share. */
struct load_shared {
	struct fleet_plan plan;
	atomic_uint phase; /* enum load_phase */
	int cpu;           /* or PLACE_ANY */
};

struct load_worker {
	/* set before the start; load is this thread's share */
	struct load_shared *shared;
	struct load_plan load;
	uint32_t first; /* number of its first client */
	pthread_t thread;
	/* while it runs */
	atomic_ullong delivered; /* messages that came, without doubles */
	atomic_uint ready;
	atomic_bool settled; /* every client is subscribed or lost */
	atomic_bool drained; /* all that was sent has come, or nothing came for long enough */
	/* after it was joined */
	struct histogram latency_ns; /* while measuring */
	struct audit audit;
	uint64_t foreign; /* messages that are not ours */
	struct losses losses;
	bool failed; /* no memory or no descriptor */
};

/* 0 or an errno. */
int load_worker_start(struct load_worker *worker);
void load_worker_join(struct load_worker *worker);

#endif
