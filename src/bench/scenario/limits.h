/* Whether a scenario fits on this machine, in descriptors, ports and memory, before a single client is connected.
 * Reading the machine and judging it are separate, so that the judgement can be tested. Main thread. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include "bench/scenario/scenario.h"

#define LIMITS_FAULT_BYTES 256u

struct limits {
	uint64_t descriptors;  /* of one table */
	bool private_tables;   /* each thread may have one of its own */
	uint64_t ports;        /* for one source address; 0: we may choose among many addresses */
	uint64_t memory_bytes; /* available; 0: not known */
	bool is_local;         /* the server is on this machine too */
};

void limits_read(struct limits *limits, const struct address *target);

/* If it returns false, fault is a sentence with the figures and what would help. */
bool limits_allow(const struct limits *limits, const struct scenario *scenario, char fault[LIMITS_FAULT_BYTES]);

#endif
