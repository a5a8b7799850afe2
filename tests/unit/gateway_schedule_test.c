/* When a thread asks to be scheduled as a busy one, and that the kernel hears it. */
#include "gateway/schedule.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

static const struct {
	enum schedule_policy before;
	uint64_t used_ns;
	uint64_t window_ns;
	enum schedule_policy next;
} CHOICES[] = {
	{SCHEDULE_PROMPT, 0, 20000000, SCHEDULE_PROMPT},
	{SCHEDULE_PROMPT, 7999999, 20000000, SCHEDULE_PROMPT},
	{SCHEDULE_PROMPT, 8000000, 20000000, SCHEDULE_BATCH},
	{SCHEDULE_BATCH, 8000000, 20000000, SCHEDULE_BATCH},
	/* Between the bounds it stays as it was. */
	{SCHEDULE_BATCH, 5000000, 20000000, SCHEDULE_BATCH},
	{SCHEDULE_PROMPT, 5000000, 20000000, SCHEDULE_PROMPT},
	{SCHEDULE_BATCH, 4999999, 20000000, SCHEDULE_PROMPT},
	/* After a long sleep the window is long, and no product overflows. */
	{SCHEDULE_BATCH, 1000000, 3600000000000, SCHEDULE_PROMPT},
	{SCHEDULE_PROMPT, 3600000000000, 3600000000000, SCHEDULE_BATCH},
};

static void test_busy_threads_batch(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(CHOICES) / sizeof(CHOICES[0]); i++)
		assert_int_equal(schedule_choose(CHOICES[i].before, CHOICES[i].used_ns, CHOICES[i].window_ns),
				 CHOICES[i].next);
}

static void use_processor_ms(long ms)
{
	struct timespec begin;
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < ms);
}

static void test_the_kernel_is_told(void **state)
{
	(void)state;
	struct schedule schedule;
	cpu_set_t before;
	cpu_set_t after;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	schedule_begin(&schedule, SCHEDULE_PROMPT, 5, 1000);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), 5);
	use_processor_ms(9);
	schedule_turn(&schedule, 1000 + 19999999); /* the window is not over */
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	schedule_turn(&schedule, 1000 + 20000000);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), 5);
	/* A rest: nearly nothing of a window that ends far in the future. */
	schedule_turn(&schedule, 1000000000000);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_busy_threads_batch),
		cmocka_unit_test(test_the_kernel_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
