/* One round of `bench pubsub` against one target: connect, warm up, measure, drain, leave. Blocks for the whole round;
 * main thread. */
#ifndef BENCH_LOAD_RUN_H
#define BENCH_LOAD_RUN_H

#include "bench/load/load_driver.h"

struct load_result {
	struct load_figures figures;
	struct load_timing timing;
	struct load_totals totals; /* over the whole round, warm-up and drain too */
	bool stalled;              /* nothing was delivered for some seconds: the round was ended */
};

/* label names the round in the progress line; static storage while the program runs. False: the round could not run;
 * says why on stderr. */
bool load_run(const struct load_round *round, const struct target *target, const char *label,
	      struct load_result *result);

/* Of one target's rounds, 1 to LOAD_ROUNDS_MAX: figures and timing as load_figures_summarize() has it, sums of totals,
 * and whether one of them stalled. */
void load_results_summarize(const struct load_result *results, uint32_t rounds, struct load_result *out);

#endif
