/* The command line of `roost bench hold`. Main thread. */
#ifndef BENCH_HOLD_OPTIONS_H
#define BENCH_HOLD_OPTIONS_H

#include "bench/dial/transport.h"
#include "bench/hold/hold_run.h"

struct hold_options {
	struct hold_load load;
	struct url url;
	struct transport_options transport;
	const char *secret_path; /* NULL: clients do not sign in */
	uint32_t server_pid;
	bool floor;
	bool no_pin;
	bool json;
};

/* Returns true to go on; else *status is the exit status, and what is wrong was said on stderr. */
bool hold_options_parse(int argc, char **argv, struct hold_options *options, int *status);

#endif
