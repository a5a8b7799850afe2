/* The options of a round of messages, which several loads share: who publishes what, for how long, under which names.
 * Main thread. */
#ifndef BENCH_ROUND_OPTIONS_H
#define BENCH_ROUND_OPTIONS_H

#include "bench/load/load_driver.h"
#include "bench/measure/quiet.h"
#include "bench/options/options.h"

/* Clients of one thread. Its descriptor table holds 20,000. */
#define ROUND_CLIENTS_MAX 19000u

/* A table over struct load_round. */
extern const struct option_row ROUND_OPTIONS[];

/* Defaults, as designators of struct load_round. */
#define ROUND_DEFAULTS                                                                                                 \
	.client_prefix = "bench-", .topic_prefix = "bench/", .warm_up_ms = 500, .quiet_ms = QUIET_MS, .threads = 1,    \
	.cpu = CPU_ANY, .version = 4

#endif
