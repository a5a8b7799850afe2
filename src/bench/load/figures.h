/* Results of a load of messages: figures of one interval, parts of the latency, totals of a whole round. */
#ifndef BENCH_LOAD_FIGURES_H
#define BENCH_LOAD_FIGURES_H

#include "bench/client/losses.h"
#include "bench/measure/histogram.h"
#include "bench/measure/members.h"

#include <stddef.h>

/* Of one interval; NAN if not known. Doubles only: load_figures_summarize() iterates over them. */
struct load_figures {
	double measured_s;
	double delivered;
	double delivered_per_s;
	double server_cpu_us; /* a delivered message */
	double client_cpu_us;
	double server_cpu_percent; /* of a core */
	double client_cpu_percent;
	double neighbour_cpu_percent;
	double other_cpu_percent; /* used by anything but the bench, the target and the neighbours */
	double p50_us;
	double p99_us;
	double p999_us;
	double max_us;
};

/* Of all intervals together. Percentiles only. */
struct load_timing {
	struct percentiles latency;
	struct percentiles late; /* as in struct load_lateness */
	struct percentiles passage;
	struct percentiles read;
};

/* From the first message to the last. */
struct load_totals {
	uint64_t received;
	uint64_t missing;
	uint64_t reordered;
	uint64_t doubled;
	uint64_t foreign;
	uint64_t unacknowledged;
	struct spread spread;
	struct losses losses; /* of clients */
};

#define LOAD_ROUNDS_MAX 99u

/* Sums up several rounds: the median of each figure, but the largest max_us and other_cpu_percent. first belongs to the
 * first round, and each further one lies stride bytes behind the one before. count is 1 to LOAD_ROUNDS_MAX. */
void load_figures_summarize(const struct load_figures *first, size_t stride, uint32_t count, struct load_figures *out);

/* The same for timings: medians, and the largest of each max_us. */
void load_timing_summarize(const struct load_timing *first, size_t stride, uint32_t count, struct load_timing *out);

/* The neutral element of load_totals_add(). */
struct load_totals load_totals_none(void);
/* Adds sums to sums; keeps the worse spread. */
void load_totals_add(struct load_totals *into, const struct load_totals *from);
/* Nothing was lost, reordered or (except at QoS 1) duplicated, every handshake ended, and no client was lost. */
bool load_totals_are_clean(const struct load_totals *totals, uint8_t qos);

#endif
