/* What the kernel says of a thread that asked to be scheduled as the gateway's are. */
#include "runtime/schedule.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

static void test_the_kernel_is_told(void **state)
{
	(void)state;
	cpu_set_t before;
	cpu_set_t after;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	schedule_thread(5);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), 5);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_kernel_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
