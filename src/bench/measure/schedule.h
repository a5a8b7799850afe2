/* When things are due: at a steady rate from a beginning, whatever the server does. A message's latency counts from
 * when it was due, so that a server that stalls cannot hide it (coordinated omission). Several threads share one
 * rate: each takes every stride-th turn. Pure; owned by one thread. */
#ifndef BENCH_SCHEDULE_H
#define BENCH_SCHEDULE_H

#include <stdint.h>

#define SCHEDULE_NEVER UINT64_MAX

struct schedule {
	uint64_t begin_ns;
	double period_ns; /* 0: nothing is ever due */
	double phase;     /* share of a period by which this thread's turns come later than begin_ns */
	uint64_t next;    /* number of the first turn that was not taken */
	uint64_t limit;   /* so many turns at most; 0: no end */
};

/* a_second is this thread's own rate; `phase` 0..1. */
void schedule_init(struct schedule *schedule, uint64_t begin_ns, double a_second, double phase, uint64_t limit);

/* When turn `number` is due, in ns. */
uint64_t schedule_time(const struct schedule *schedule, uint64_t number);

/* When the next one is, or SCHEDULE_NEVER. */
uint64_t schedule_next_ns(const struct schedule *schedule);

/* How many turns are due until now, of all. */
uint64_t schedule_due(const struct schedule *schedule, uint64_t now_ns);

#endif
