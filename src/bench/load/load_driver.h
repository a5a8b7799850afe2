/* The main thread's view of one load of messages against one target: it connects the clients, lets messages flow,
 * measures one interval or several, drains and disconnects. Calls block. Main thread. */
#ifndef BENCH_LOAD_DRIVER_H
#define BENCH_LOAD_DRIVER_H

#include "bench/client/threads.h"
#include "bench/load/figures.h"
#include "bench/load/load_worker.h"
#include "bench/target/neighbours.h"
#include "bench/target/target.h"

struct load_round {
	struct load_plan load; /* of all threads together; with 0 clients it acts as if messages flowed */
	const char *client_prefix;
	const char *topic_prefix;
	const struct credentials *credentials; /* NULL: none */
	const struct neighbours *neighbours; /* NULL: none; their processor time does not count as other_cpu_percent */
	uint64_t messages;                   /* so many delivered messages end the round; 0: duration_s does */
	uint32_t duration_s;
	uint32_t warm_up_ms;
	uint32_t quiet_ms; /* struct quiet */
	uint32_t threads;
	struct url publish_url; /* has_publish_url: where publishers go, another node of the same cluster; one thread */
	bool has_publish_url;
	int cpu;       /* the threads are pinned to it, or CPU_ANY */
	bool arrivals; /* find out where latency is spent: struct load_timing */
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

/* Starts the threads and waits until every client is subscribed. label names the round in the progress line and must be
 * static. Returns false if a client could not be subscribed, or if the load does not suit the server; says why on
 * stderr, at the latest when it is closed. Close it in either case. */
bool load_driver_open(struct load_driver *driver, const struct load_round *round, const struct target *target,
		      const char *label);

/* Lets messages flow from now on, unmeasured for the time given. Returns false if they stop arriving. */
bool load_driver_flow(struct load_driver *driver, uint32_t warm_up_ms);

/* Measures into figures[interval] for length_ns, or until `messages` have arrived if that is not 0. Returns false if
 * they stop arriving. */
bool load_driver_measure(struct load_driver *driver, uint32_t interval, uint64_t length_ns, uint64_t messages);

/* Stops sending and waits for messages under way. */
void load_driver_drain(struct load_driver *driver);

/* Disconnects the clients, joins the threads and sums up. */
void load_driver_close(struct load_driver *driver, struct load_totals *totals);

#endif
