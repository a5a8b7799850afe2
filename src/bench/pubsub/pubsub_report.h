/* Results of `bench pubsub`, one line for each broker. Main thread. */
#ifndef BENCH_PUBSUB_REPORT_H
#define BENCH_PUBSUB_REPORT_H

#include "bench/load/load_run.h"

#define PUBSUB_TARGETS_MAX 8u
#define PUBSUB_ROUNDS_MAX 99u
#define PUBSUB_PATTERNS 4u

struct pubsub_report {
	const struct load_round *round;
	uint32_t target_count;
	uint32_t rounds;     /* that all targets have completed */
	bool has_floor;      /* then it is target 1; the server is target 0 */
	bool has_floor_near; /* then it is target 2 */
	struct target targets[PUBSUB_TARGETS_MAX];
	struct load_result *results[PUBSUB_TARGETS_MAX];
};

/* Returns NULL without memory. Borrows round. */
struct pubsub_report *pubsub_report_new(const struct load_round *round);
void pubsub_report_free(struct pubsub_report *report);

/* On stdout: medians over the rounds, and sums of what was lost, reordered and duplicated. */
void pubsub_report_print(const struct pubsub_report *report, bool json);

/* The server (target 0) has clean totals (load_totals_are_clean()), and no round stalled. */
bool pubsub_report_is_clean(const struct pubsub_report *report);

const char *pubsub_pattern_name(enum load_pattern pattern);

#endif
