/* When things are due: at a steady rate from a start time, whatever the server does. A message's latency counts from
 * when it was due, so a server cannot hide a stall (coordinated omission). Several threads may share one rate: each has
 * its own part of it, shifted by its phase. Pure; owned by one thread. */
#ifndef BENCH_SCHEDULE_H
#define BENCH_SCHEDULE_H

#include <stdint.h>

#define SCHEDULE_NEVER UINT64_MAX

struct schedule {
	uint64_t begin_ns;
	double period_ns; /* 0: nothing is ever due */
	double phase;     /* share of a period by which this thread's turns come later than begin_ns */
	uint64_t next;    /* number of the next turn */
	uint64_t limit;   /* number of turns at most; 0: no limit */
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
