#include "runtime/schedule.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The least that the kernel takes (since 6.12; older ones have no slices of one's own and ignore it). */
#define SLICE_NS 100000u

/* sched_setattr(2)'s, first version; libc has none, and the kernel's header does not go with libc's. */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
};

void schedule_thread(int nice)
{
	struct attributes attributes = {
		.size = sizeof(attributes),
		.policy = SCHED_BATCH,
		.nice = nice,
		.runtime_ns = SLICE_NS,
	};
	syscall(SYS_sched_setattr, 0, &attributes, 0u);
}
