/* One round of messages against one target: connect, warm up, measure, drain, disconnect. Blocks for the whole round.
 * Main thread. */
#ifndef BENCH_LOAD_RUN_H
#define BENCH_LOAD_RUN_H

#include "bench/load/load_driver.h"

struct load_result {
	struct load_figures figures;
	struct load_timing timing;
	struct load_totals totals; /* over the whole round, with warm-up and drain */
	bool stalled;              /* nothing was delivered for some seconds, which ended the round */
};

/* label names the round in the progress line and must be static. Returns false if the round could not run, and says why
 * on stderr. */
bool load_run(const struct load_round *round, const struct target *target, const char *label,
	      struct load_result *result);

/* Sums up one target's rounds, 1 to LOAD_ROUNDS_MAX: figures and timing as load_figures_summarize() does, the sums of
 * the totals, and whether any round stalled. */
void load_results_summarize(const struct load_result *results, uint32_t rounds, struct load_result *out);

#endif
