/* Processes that take all the processor time they get, like other services on the machine while a broker is measured.
 * They run under the ordinary policy, unpinned, in the bench's own session, and end with the bench, however that ends.
 * Main thread. */
#ifndef BENCH_NEIGHBOURS_H
#define BENCH_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NEIGHBOURS_MAX 64u

struct neighbours {
	pid_t pids[NEIGHBOURS_MAX];
	uint32_t count;
};

/* On failure says why on stderr and returns false. Stop them in either case. Call it while the bench has no other
 * thread. */
bool neighbours_start(struct neighbours *neighbours, uint32_t count);
void neighbours_stop(struct neighbours *neighbours);

/* Processor time that all have used, in ns. */
uint64_t neighbours_cpu_ns(const struct neighbours *neighbours);

#endif
