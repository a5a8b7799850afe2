#include "gateway/schedule.h"

#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The least that the kernel takes (since 6.12; older ones take no slices and ignore it). */
#define SLICE_NS 100000u
/* Long enough that the two system calls at its end do not count, short enough for the first burst after a rest. */
#define WINDOW_NS 20000000u
/* Busy from 40 % of a core, idle again below 25 %. */
#define BUSY_PERCENT 40u
#define IDLE_PERCENT 25u

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

enum schedule_policy schedule_choose(enum schedule_policy before, uint64_t used_ns, uint64_t window_ns)
{
	uint32_t bound = before == SCHEDULE_BATCH ? IDLE_PERCENT : BUSY_PERCENT;
	return used_ns * 100 >= window_ns * bound ? SCHEDULE_BATCH : SCHEDULE_PROMPT;
}

static void ask(const struct schedule *schedule)
{
	struct attributes attributes = {
		.size = sizeof(attributes),
		.policy = schedule->policy == SCHEDULE_BATCH ? SCHED_BATCH : SCHED_OTHER,
		.nice = schedule->nice,
		.runtime_ns = SLICE_NS,
	};
	syscall(SYS_sched_setattr, 0, &attributes, 0u);
}

static uint64_t used_ns(void)
{
	struct timespec used;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

void schedule_begin(struct schedule *schedule, enum schedule_policy policy, int nice, uint64_t now_ns)
{
	*schedule = (struct schedule){.policy = policy, .nice = nice, .window_ns = now_ns, .used_ns = used_ns()};
	ask(schedule);
}

void schedule_turn(struct schedule *schedule, uint64_t now_ns)
{
	if (now_ns - schedule->window_ns < WINDOW_NS)
		return;
	uint64_t used = used_ns();
	enum schedule_policy next =
		schedule_choose(schedule->policy, used - schedule->used_ns, now_ns - schedule->window_ns);
	schedule->window_ns = now_ns;
	schedule->used_ns = used;
	if (next == schedule->policy)
		return;
	schedule->policy = next;
	ask(schedule);
}
