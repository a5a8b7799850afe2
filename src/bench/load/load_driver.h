/* The threads of one load of messages against one target, from the main thread's side: connect, let messages
 * flow, measure one interval or several, drain, leave. Calls block; main thread. */
#ifndef BENCH_LOAD_DRIVER_H
#define BENCH_LOAD_DRIVER_H

#include "bench/client/threads.h"
#include "bench/load/figures.h"
#include "bench/load/load_worker.h"
#include "bench/target/neighbours.h"
#include "bench/target/target.h"

struct load_round {
	struct load_plan load; /* of all threads together; clients 0: nobody, as if messages flowed */
	const char *client_prefix;
	const char *topic_prefix;
	const struct credentials *credentials; /* NULL: none */
	const struct neighbours *neighbours;   /* NULL: none; what they use is not of others */
	uint64_t messages;                     /* delivered messages that end the round; 0: duration_s does */
	uint32_t duration_s;
	uint32_t warm_up_ms;
	uint32_t quiet_ms; /* struct quiet */
	uint32_t threads;
	int cpu;       /* the threads stay on it, or CPU_ANY */
	bool arrivals; /* know where latency is spent: struct load_timing */
	uint8_t version;
};

struct load_driver {
	const struct load_round *round;
	const struct target *target;
	const char *label;
	struct load_shared shared;
	struct threads threads;
	struct load_worker *workers;
	uint32_t worker_count;
	bool incomplete;                             /* not every client could be connected */
	struct load_figures figures[LOAD_INTERVALS]; /* their latency is known once the driver is closed */
	struct load_timing timing;                   /* known once it is closed, and with round->arrivals */
};

/* Starts the threads and waits until each client is subscribed. label names the round in the progress line; static
 * storage while the program runs. False: not every one could be, or the load does not suit
 * the server; says why on stderr, at the latest when it is closed. Close it in either case. */
bool load_driver_open(struct load_driver *driver, const struct load_round *round, const struct target *target,
		      const char *label);

/* Messages flow from now on, unmeasured for the time given. False: they stopped coming. */
bool load_driver_flow(struct load_driver *driver, uint32_t warm_up_ms);

/* Measures into figures[interval] until length_ns is over, or until so many messages have come if that is not 0.
 * False: they stopped coming. */
bool load_driver_measure(struct load_driver *driver, uint32_t interval, uint64_t length_ns, uint64_t messages);

/* Sends nothing more, and waits for what is on its way. */
void load_driver_drain(struct load_driver *driver);

/* Disconnects all, joins the threads and sums up. */
void load_driver_close(struct load_driver *driver, struct load_totals *totals);

#endif
