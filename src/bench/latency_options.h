/* The command line of `roost bench latency`. Main thread. */
#ifndef BENCH_LATENCY_OPTIONS_H
#define BENCH_LATENCY_OPTIONS_H

#include "bench/broker.h"
#include "bench/load_crew.h"

#define LATENCY_BROKERS_MAX 4u

struct latency_options {
	struct load_round round;
	struct broker brokers[LATENCY_BROKERS_MAX]; /* the first is what the others are beside */
	uint32_t broker_count;
	const char *serve;   /* options of the server that is started; NULL: not given */
	uint32_t server_pid; /* 0: not given */
	uint32_t rounds;
	uint32_t neighbours;
	bool has_url;
	bool json;
};

/* Returns true to go on; else *status is the exit status, and what is wrong was said on stderr. */
bool latency_options_parse(int argc, char **argv, struct latency_options *options, int *status);

#endif
