/* The options of a round of messages that several loads have: who publishes what, for how long, under which names. A
 * load puts ROUND_OPTIONS into its table and asks round_option_take() first. Main thread. */
#ifndef BENCH_ROUND_OPTIONS_H
#define BENCH_ROUND_OPTIONS_H

#include "bench/load/load_driver.h"

#include <getopt.h>

/* Clients of one thread: its table of descriptors holds 20,000. */
#define ROUND_CLIENTS_MAX 19000u
#define ROUND_WARM_UP_MS 500u

enum {
	ROUND_PUBLISHERS = 1024,
	ROUND_SIZE,
	ROUND_QOS,
	ROUND_VERSION,
	ROUND_DURATION,
	ROUND_WARM_UP,
	ROUND_TOPIC,
	ROUND_CLIENT,
};

#define ROUND_OPTIONS                                                                                                  \
	{"publishers", required_argument, NULL, ROUND_PUBLISHERS}, {"size", required_argument, NULL, ROUND_SIZE},      \
		{"qos", required_argument, NULL, ROUND_QOS}, {"version", required_argument, NULL, ROUND_VERSION},      \
		{"duration", required_argument, NULL, ROUND_DURATION},                                                 \
		{"warm-up", required_argument, NULL, ROUND_WARM_UP},                                                   \
		{"topic-prefix", required_argument, NULL, ROUND_TOPIC},                                                \
	{                                                                                                              \
		"client-prefix", required_argument, NULL, ROUND_CLIENT                                                 \
	}

/* *known is false, and the result true, for any other option. */
bool round_option_take(struct load_round *round, int option, const char *text, bool *known);

#endif
