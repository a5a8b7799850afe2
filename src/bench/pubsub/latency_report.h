/* Results of `bench latency`, for people and programs. Main thread. */
#ifndef BENCH_LATENCY_REPORT_H
#define BENCH_LATENCY_REPORT_H

#include "bench/pubsub/pubsub_report.h"

/* Of one broker's rounds. */
struct latency_summary {
	struct load_result middle; /* as load_results_summarize() has it */
	double messages;           /* delivered in all rounds */
};

void latency_summarize(const struct load_result *results, uint32_t rounds, struct latency_summary *out);

/* More than half of the p99.9 is the bench's own lateness. False if that is not known. */
bool latency_is_the_benchs(const struct load_timing *timing);

/* Prints on stdout. Returns false without memory. */
bool latency_report_print(const struct pubsub_report *report, uint32_t neighbours, bool json);

#endif
