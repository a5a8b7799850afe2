/* Results of `bench storm`, for people and programs. Main thread. */
#ifndef BENCH_STORM_REPORT_H
#define BENCH_STORM_REPORT_H

#include "bench/options/beside.h"
#include "bench/storm/storm_run.h"

struct storm_report {
	const struct storm_load *load;
	const struct beside *beside;
	uint32_t rounds;              /* that all brokers have completed */
	struct storm_result *results; /* BESIDE_BROKERS_MAX of each round */
};

/* Sums up a broker's rounds: medians of figures (but the largest maximum and the largest processor time of others),
 * sums of counts. */
void storm_summarize(const struct storm_report *report, uint32_t broker, struct storm_result *out);

/* Prints on stdout. Returns false without memory. */
bool storm_report_print(const struct storm_report *report, bool json);

/* The first broker's established clients have clean totals (load_totals_are_clean()), and no round stalled. What became
 * of the storm's own clients is no fault: they may be there to be refused. */
bool storm_report_is_clean(const struct storm_report *report);

#endif
