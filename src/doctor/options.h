/* The command line of `roost doctor`, checked. Main thread. */
#ifndef DOCTOR_OPTIONS_H
#define DOCTOR_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum doctor_exit {
	DOCTOR_EXIT_OK = 0,
	DOCTOR_EXIT_LIMITED = 1, /* something limits below the number wished, or could not be set or measured */
	DOCTOR_EXIT_USAGE = 2,
};

enum doctor_verb {
	DOCTOR_LOOK,
	DOCTOR_FIX_SCRIPT,
	DOCTOR_APPLY,
	DOCTOR_PLAN,
};

struct doctor_options {
	enum doctor_verb verb;
	const char *root;     /* "" is this machine */
	uint64_t connections; /* 0: none wished */
	bool json;
	/* --plan */
	double rate; /* messages a second, of all clients together */
	uint32_t payload_bytes;
	uint32_t subscribers; /* of each message */
	uint32_t keepalive_s;
	uint8_t qos;
};

/* Returns true to go on; else *status is the exit status, and what is wrong was said on stderr. */
bool doctor_options_parse(int argc, char **argv, struct doctor_options *options, int *status);

#endif
