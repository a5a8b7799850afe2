#include "bench/target/cpu_use.h"

#include "bench/target/process.h"

#include "base/check.h"
#include "base/clock.h"

#include <unistd.h>

struct cpu_sample cpu_sample_now(pid_t server, const struct neighbours *neighbours)
{
	return (struct cpu_sample){
		.time_ns = clock_now_ns(),
		.server_ns = process_cpu_ns(server),
		.bench_ns = process_cpu_ns(getpid()),
		.neighbour_ns = neighbours != NULL ? neighbours_cpu_ns(neighbours) : 0,
		.machine_ns = machine_cpu_ns(),
	};
}

struct cpu_use cpu_use_between(const struct cpu_sample *from, const struct cpu_sample *to)
{
	CHECK(to->time_ns >= from->time_ns);
	double passed = (double)(to->time_ns - from->time_ns);
	double server = process_cpu_between_ns(from->server_ns, to->server_ns);
	double bench = (double)(to->bench_ns - from->bench_ns);
	double neighbours = (double)(to->neighbour_ns - from->neighbour_ns);
	double other = process_cpu_between_ns(from->machine_ns, to->machine_ns) - server - bench - neighbours;
	return (struct cpu_use){
		.passed_ns = passed,
		.server_ns = server,
		.bench_ns = bench,
		.server_percent = 100 * server / passed,
		.bench_percent = 100 * bench / passed,
		.neighbour_percent = 100 * neighbours / passed,
		/* The machine's time comes in steps of 10 ms, so a small negative difference means zero. */
		.other_percent = other < 0 ? 0 : 100 * other / passed,
	};
}
