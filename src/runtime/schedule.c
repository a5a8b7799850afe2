#include "runtime/schedule.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The shortest slice that the kernel accepts, since 6.12. Older kernels have no slice per thread and ignore it. */
#define SLICE_NS 100000u

/* struct sched_attr of sched_setattr(2), first version. libc has none, and the kernel's header clashes with libc's. */
struct scheduling {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
};
_Static_assert(sizeof(struct scheduling) == 48, "SCHED_ATTR_SIZE_VER0 of the kernel");

void schedule_thread(int nice)
{
	struct scheduling scheduling = {
		.size = sizeof(scheduling),
		.policy = SCHED_BATCH,
		.nice = nice,
		.runtime_ns = SLICE_NS,
	};
	syscall(SYS_sched_setattr, 0, &scheduling, 0u);
}
