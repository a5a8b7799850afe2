#include "bench/measure/schedule.h"

#include "base/check.h"

void schedule_init(struct schedule *schedule, uint64_t begin_ns, double a_second, double phase, uint64_t limit)
{
	CHECK(phase >= 0 && phase <= 1);
	*schedule = (struct schedule){
		.begin_ns = begin_ns,
		.period_ns = a_second > 0 ? 1e9 / a_second : 0,
		.phase = phase,
		.limit = limit,
	};
}

/* A double is exact to a nanosecond for 104 days from the beginning. */
uint64_t schedule_time(const struct schedule *schedule, uint64_t number)
{
	return schedule->begin_ns + (uint64_t)(((double)number + schedule->phase) * schedule->period_ns);
}

uint64_t schedule_next_ns(const struct schedule *schedule)
{
	if (!(schedule->period_ns > 0) || (schedule->limit > 0 && schedule->next >= schedule->limit))
		return SCHEDULE_NEVER;
	return schedule_time(schedule, schedule->next);
}

uint64_t schedule_due(const struct schedule *schedule, uint64_t now_ns)
{
	if (!(schedule->period_ns > 0) || now_ns < schedule_time(schedule, 0))
		return 0;
	uint64_t due = (uint64_t)((double)(now_ns - schedule->begin_ns) / schedule->period_ns - schedule->phase);
	/* Rounding may be off by one either way. */
	while (due > 0 && schedule_time(schedule, due) > now_ns)
		due--;
	while (schedule_time(schedule, due) <= now_ns)
		due++;
	return schedule->limit > 0 && due > schedule->limit ? schedule->limit : due;
}
