/* Whether a scenario fits on this machine: descriptors, ports and memory, before a single client is connected. What the
 * machine has is read apart from what is concluded. Main thread. */
#ifndef BENCH_RUN_LIMITS_H
#define BENCH_RUN_LIMITS_H

#include "bench/scenario.h"

#define RUN_LIMITS_FAULT_BYTES 256u

struct run_machine {
	uint64_t descriptors;  /* of one table */
	bool private_tables;   /* each thread may have one of its own */
	uint64_t ports;        /* for one source address; 0: the target lets us choose among many */
	uint64_t memory_bytes; /* available; 0: not known */
	bool is_local;         /* the server is on this machine too */
};

void run_machine_read(struct run_machine *machine, const struct address *target);

/* False: fault is a sentence with the figures, and what helps. */
bool run_fits(const struct run_machine *machine, const struct scenario *scenario, char fault[RUN_LIMITS_FAULT_BYTES]);

#endif
