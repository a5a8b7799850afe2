/* The command line of `roost bench storm`. Main thread. */
#ifndef BENCH_STORM_OPTIONS_H
#define BENCH_STORM_OPTIONS_H

#include "bench/options/beside.h"
#include "bench/storm/storm_run.h"

struct storm_options {
	struct storm_load load; /* credentials and neighbours are the caller's to open */
	struct beside beside;
	struct transport_options transport;
	const char *user_name;
	const char *token_path;   /* NULL: none */
	const char *secret_path;  /* NULL: none */
	const char *token_claims; /* NULL: none */
	bool json;
};

/* Returns true to go on; else *status is the exit status, and what is wrong was said on stderr. */
bool storm_options_parse(int argc, char **argv, struct storm_options *options, int *status);

#endif
