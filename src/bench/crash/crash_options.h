/* The command line of `roost bench crash`. Main thread. */
#ifndef BENCH_CRASH_OPTIONS_H
#define BENCH_CRASH_OPTIONS_H

#include "bench/sessions/engine.h"

struct crash_options {
	struct engine_plan plan;
	const char *const *command; /* ends with NULL */
	const char *store;          /* NULL: a new directory, which is removed if all went well */
	uint32_t rounds;
	uint32_t kill_least_ms;
	uint32_t kill_most_ms;
	uint32_t early_percent;   /* of the rounds: it is killed once more while it starts */
	uint32_t upgrade_percent; /* of the rounds: its program is replaced under the load */
	uint32_t quiet_ms;
	uint64_t seed; /* 0: not given */
	int signal;    /* 0: the server runs on, and all connections break */
	bool keep_going;
	bool json;
};

/* Returns true to go on; else *status is the exit status, and what is wrong was said on stderr. */
bool crash_options_parse(int argc, char **argv, struct crash_options *options, int *status);

#endif
