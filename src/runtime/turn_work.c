#include "runtime/turn_work.h"

#include "base/check.h"

void turn_work_begin(struct turn_work *work)
{
	work->turn_began = work->spent;
	work->ends = 0;
	work->own = 0;
	work->fresh = 0;
	/* Before turn_work_begin_packets() only a connection that is taken over reads packets. */
	work->packets_until = work->spent;
}

void turn_work_end(const struct turn_work *work, struct counters *counters)
{
	CHECK_GE(work->spent, work->turn_began);
	uint64_t units = work->spent - work->turn_began;
	counter_add(&counters->values[COUNTER_work_units], units);
	if (units > atomic_load_explicit(&counters->turn_work_max, memory_order_relaxed))
		atomic_store_explicit(&counters->turn_work_max, units, memory_order_relaxed);
}
