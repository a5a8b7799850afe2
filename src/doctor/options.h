/* The command line of `roost doctor`, checked. Main thread. */
#ifndef DOCTOR_OPTIONS_H
#define DOCTOR_OPTIONS_H

#include "doctor/plan/predict.h"

#include <stdbool.h>
#include <stdint.h>

enum doctor_verb {
	DOCTOR_LOOK,
	DOCTOR_FIX_SCRIPT,
	DOCTOR_APPLY,
	DOCTOR_PLAN,
};

struct doctor_options {
	enum doctor_verb verb;
	const char *root;     /* "" is this machine */
	uint64_t connections; /* to check for; 0: no number was given */
	const char *store;    /* a directory; NULL: none was given */
	const char *tls;      /* host:port of a listener to look at; NULL: none was given */
	const char *redis;    /* URL of a Redis to look at; NULL: none was given */
	const char *ca_file;  /* whom it is trusted by; NULL: the system's */
	bool json;
	/* --plan */
	double rate; /* messages per second, of all clients together */
	uint32_t payload_bytes;
	uint32_t subscribers; /* of each message */
	uint32_t keepalive_s;
	uint8_t qos;
	enum plan_transport transport;
};

/* True: go on. False: *status is the exit status, and what is wrong is on stderr. */
bool doctor_options_parse(int argc, char **argv, struct doctor_options *options, int *status);

#endif
