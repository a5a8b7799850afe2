/* The command line of `roost bench latency`. Main thread. */
#ifndef BENCH_LATENCY_OPTIONS_H
#define BENCH_LATENCY_OPTIONS_H

#include "bench/load/load_driver.h"
#include "bench/options/beside.h"

struct latency_options {
	struct load_round round;
	struct beside beside;
	struct transport_options transport;
	bool json;
};

/* Returns true to go on; else *status is the exit status, and what is wrong was said on stderr. */
bool latency_options_parse(int argc, char **argv, struct latency_options *options, int *status);

#endif
