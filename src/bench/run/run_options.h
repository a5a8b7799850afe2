/* The command line of `roost bench run`. */
#ifndef BENCH_RUN_OPTIONS_H
#define BENCH_RUN_OPTIONS_H

#include "bench/dial/transport.h"
#include "bench/scenario/scenario.h"

struct run_options {
	const char *path; /* of the scenario */
	struct url url;
	bool has_url;
	struct transport_options transport;
	uint32_t server_pid; /* 0: found by the port */
	const char *html;    /* file, or NULL */
	uint32_t duration_s; /* 0: as the scenario says */
	bool floor;
	bool all_steps;
	bool json;
};

/* Returns true to go on; else *status is the exit status. */
bool run_options_parse(int argc, char **argv, struct run_options *options, int *status);

#endif
