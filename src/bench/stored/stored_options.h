/* The command line of `roost bench stored`. Main thread. */
#ifndef BENCH_STORED_OPTIONS_H
#define BENCH_STORED_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct stored_options {
	const char *const *command; /* ends with NULL */
	const char *store;
	uint32_t sessions;
	uint32_t messages;    /* queued for each */
	uint32_t size;        /* of a payload */
	uint32_t checked;     /* sessions that are resumed after the restart */
	uint32_t in_progress; /* connects at a time */
	uint8_t version;
	bool json;
};

/* Returns true to go on; else *status is the exit status, and what is wrong was said on stderr. */
bool stored_options_parse(int argc, char **argv, struct stored_options *options, int *status);

#endif
