/* The command line of `roost bench pubsub`. Main thread. */
#ifndef BENCH_PUBSUB_OPTIONS_H
#define BENCH_PUBSUB_OPTIONS_H

#include "bench/dial/url.h"
#include "bench/pubsub/pubsub_report.h"

struct also {
	struct url url;
	char name[TARGET_NAME_BYTES];
};

struct pubsub_options {
	struct load_round round;
	struct url url;
	struct url floor_url;
	struct transport_options transport;
	struct also also[PUBSUB_TARGETS_MAX];
	uint32_t also_count;
	uint32_t rounds;
	uint32_t server_pid; /* 0: not given */
	bool has_pattern;
	bool floor;
	bool has_floor_url;
	bool no_pin;
	bool json;
};

/* Returns true to go on; else *status is the exit status, and what is wrong was said on stderr. */
bool pubsub_options_parse(int argc, char **argv, struct pubsub_options *options, int *status);

#endif
