/* What the rounds of `bench latency` found, for people and programs. Main thread. */
#ifndef BENCH_LATENCY_REPORT_H
#define BENCH_LATENCY_REPORT_H

#include "bench/pubsub/pubsub_report.h"

/* Medians of the rounds of one broker; of what disturbs, the largest. NAN: not known. */
struct latency_summary {
	struct load_timing timing; /* each max_us is the largest of all rounds */
	double messages;           /* delivered in all rounds */
	double server_cpu_us;      /* a message */
	double server_cpu_percent;
	double bench_cpu_percent;
	double neighbour_cpu_percent;
	double other_cpu_percent_max;
};

/* Sorts nothing of what it reads. */
void latency_summarize(const struct load_result *results, uint32_t rounds, struct latency_summary *out);

/* More than half of the p99.9 is the bench's own lateness. False where that is not known. */
bool latency_is_the_benchs(const struct load_timing *timing);

/* On stdout. False without memory. */
bool latency_report_print(const struct pubsub_report *report, uint32_t neighbours, bool json);

#endif
