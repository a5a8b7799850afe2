/* Which processor a thread runs on. A message costs the relay twice as much when its clients run on another core than
 * when they share one, because the kernel must then wake and feed the other core. So when brokers are compared the
 * bench stays on the last processor. Any thread. */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <sys/types.h>

#define CPU_ANY (-1)

/* The first and the last processor that this process may use, or CPU_ANY for both if there is only one. */
void cpu_ends(int *first, int *last);

/* Pins a thread (0: the calling one) to the processor; CPU_ANY does nothing. Best effort. */
void cpu_pin(pid_t thread, int cpu);

#endif
