/* One round of `bench pubsub` against one target: connect, warm up, measure, drain, leave. Blocks for the whole round;
 * main thread. */
#ifndef BENCH_LOAD_RUN_H
#define BENCH_LOAD_RUN_H

#include "bench/load.h"
#include "bench/target.h"

struct load_round {
	struct load_plan load; /* of all threads together */
	const char *client_prefix;
	const char *topic_prefix;
	uint64_t messages; /* delivered messages that end the round; 0: duration_s does */
	uint32_t duration_s;
	uint32_t warm_up_ms;
	uint32_t threads;
	int cpu; /* the threads stay on it, or PLACE_ANY */
	uint8_t version;
};

/* Figures are NAN where they are not known. */
struct load_result {
	double measured_s;
	double delivered;     /* while measuring */
	double server_cpu_us; /* a delivered message */
	double client_cpu_us;
	double other_cpu_percent; /* of a core: what neither the bench nor the target used */
	double p50_us;
	double p99_us;
	double p999_us;
	double max_us;
	/* over the whole round, warm-up and drain too */
	uint64_t received;
	uint64_t missing;
	uint64_t reordered;
	uint64_t doubled;
	uint64_t foreign;
	struct losses losses; /* of clients */
	bool stalled;         /* nothing was delivered for some seconds: the round was ended */
};

/* label names the round in the progress line; static storage while the program runs. False: the round could not run;
 * says why on stderr. */
bool load_run(const struct load_round *round, const struct target *target, const char *label,
	      struct load_result *result);

#endif
