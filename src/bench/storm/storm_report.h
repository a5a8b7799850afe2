/* What `bench storm` found, for people and programs. Main thread. */
#ifndef BENCH_STORM_REPORT_H
#define BENCH_STORM_REPORT_H

#include "bench/options/beside.h"
#include "bench/storm/storm_run.h"

struct storm_report {
	const struct storm_load *load;
	const struct beside *beside;
	uint32_t rounds;              /* that all brokers went through */
	struct storm_result *results; /* BESIDE_BROKERS_MAX of each round */
};

/* Of a broker's rounds: medians of figures (of others' processor time and of what took longest, the
 * largest), sums of counts. */
void storm_summarize(const struct storm_report *report, uint32_t broker, struct storm_result *out);

/* On stdout. False without memory. */
bool storm_report_print(const struct storm_report *report, bool json);

/* The first broker's established lost no message, no order, no acknowledgement and no client. What became of the
 * storm's own clients is no fault: to be refused may be what they are for. */
bool storm_report_is_clean(const struct storm_report *report);

#endif
