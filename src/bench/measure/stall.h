/* How long to wait for something that progresses, however slowly: until it has made no progress for a while. Pure;
 * owned by one thread. */
#ifndef BENCH_STALL_H
#define BENCH_STALL_H

#include <stdbool.h>
#include <stdint.h>

struct stall {
	uint64_t limit_ns;
	uint64_t progress; /* the most there was */
	uint64_t since_ns; /* when that was reached, or when waiting began */
};

/* Nothing is expected before from_ns. */
struct stall stall_begin(uint64_t from_ns, uint64_t limit_ns);
/* Returns true if there has been no progress for longer than the limit. */
bool stall_is_over(struct stall *stall, uint64_t progress, uint64_t now_ns);

#endif
