/* How long something is waited for that comes nearer to its end, however slowly: until it has not come nearer for a
 * while. Pure; owned by one thread. */
#ifndef BENCH_STALL_H
#define BENCH_STALL_H

#include <stdbool.h>
#include <stdint.h>

struct stall {
	uint64_t limit_ns;
	uint64_t progress; /* the most there was */
	uint64_t since_ns; /* when that was reached, or when waiting begins */
};

/* from_ns: before it nothing is expected yet. */
struct stall stall_begin(uint64_t from_ns, uint64_t limit_ns);
/* True: there has been no more than this for longer than the limit. */
bool stall_is_over(struct stall *stall, uint64_t progress, uint64_t now_ns);

#endif
