#include "bench/target/cpu.h"

#include "base/check.h"

#include <sched.h>

void cpu_ends(int *first, int *last)
{
	cpu_set_t allowed;
	*first = *last = CPU_ANY;
	CPU_ZERO(&allowed);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || CPU_COUNT(&allowed) < 2)
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET((unsigned int)cpu, &allowed))
			continue;
		*first = *first == CPU_ANY ? cpu : *first;
		*last = cpu;
	}
}

void cpu_pin(pid_t thread, int cpu)
{
	CHECK(cpu == CPU_ANY || (cpu >= 0 && cpu < CPU_SETSIZE));
	cpu_set_t set;
	if (cpu == CPU_ANY)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned int)cpu, &set);
	sched_setaffinity(thread, sizeof(set), &set);
}
