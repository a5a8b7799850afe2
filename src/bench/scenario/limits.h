/* Whether a scenario fits on this machine: descriptors, ports and memory, before a single client is connected. What the
 * machine has is read apart from what is concluded. Main thread. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include "bench/scenario/scenario.h"

#define LIMITS_FAULT_BYTES 256u

struct limits {
	uint64_t descriptors;  /* of one table */
	bool private_tables;   /* each thread may have one of its own */
	uint64_t ports;        /* for one source address; 0: the target lets us choose among many */
	uint64_t memory_bytes; /* available; 0: not known */
	bool is_local;         /* the server is on this machine too */
};

void limits_read(struct limits *limits, const struct address *target);

/* False: fault is a sentence with the figures, and what helps. */
bool limits_allow(const struct limits *limits, const struct scenario *scenario, char fault[LIMITS_FAULT_BYTES]);

#endif
