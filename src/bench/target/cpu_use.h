/* What took the machine's processors between two moments: the server, the bench, its neighbours, and everything else.
 * Main thread. */
#ifndef BENCH_CPU_USE_H
#define BENCH_CPU_USE_H

#include "bench/target/neighbours.h"

struct cpu_sample {
	uint64_t time_ns;
	uint64_t server_ns; /* 0: not known */
	uint64_t bench_ns;
	uint64_t neighbour_ns;
	uint64_t machine_ns;
};

/* NAN where it is not known. Percent are of one core. */
struct cpu_use {
	double passed_ns;
	double server_ns;
	double bench_ns;
	double server_percent;
	double bench_percent;
	double neighbour_percent;
	double other_percent; /* neither the server's, the bench's nor the neighbours' */
};

/* server: 0 where it is not known; neighbours: NULL where there are none. */
struct cpu_sample cpu_sample_now(pid_t server, const struct neighbours *neighbours);
struct cpu_use cpu_use_between(const struct cpu_sample *from, const struct cpu_sample *to);

#endif
