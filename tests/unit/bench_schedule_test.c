/* When things are due, at rates from very low to very high. */
#include "bench/measure/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define BEGIN 1000000000000u

static void test_even_distances(void **state)
{
	(void)state;
	struct schedule schedule;
	schedule_init(&schedule, BEGIN, 1000, 0, 0);
	assert_int_equal(schedule_next_ns(&schedule), BEGIN);
	assert_int_equal(schedule_time(&schedule, 1), BEGIN + 1000000);
	assert_int_equal(schedule_time(&schedule, 3600000), BEGIN + 3600000000000u);
	assert_int_equal(schedule_due(&schedule, BEGIN - 1), 0);
	assert_int_equal(schedule_due(&schedule, BEGIN), 1);
	assert_int_equal(schedule_due(&schedule, BEGIN + 999999), 1);
	assert_int_equal(schedule_due(&schedule, BEGIN + 1000000), 2);
}

/* Turns that were not taken for a while keep the time at which they were due: a stall does not move them. */
static void test_a_stall_moves_nothing(void **state)
{
	(void)state;
	struct schedule schedule;
	schedule_init(&schedule, BEGIN, 100, 0, 0);
	uint64_t stalled_until = BEGIN + 1000000000u;
	assert_int_equal(schedule_due(&schedule, stalled_until), 101);
	for (uint64_t i = 0; i <= 100; i++) {
		assert_int_equal(schedule_next_ns(&schedule), BEGIN + i * 10000000);
		schedule.next++;
	}
	assert_true(schedule_next_ns(&schedule) > stalled_until);
}

/* Threads take turns: of two, one comes in the middle between two turns of the other. */
static void test_phase(void **state)
{
	(void)state;
	struct schedule schedule;
	schedule_init(&schedule, BEGIN, 1000, 0.5, 0);
	assert_int_equal(schedule_next_ns(&schedule), BEGIN + 500000);
	assert_int_equal(schedule_due(&schedule, BEGIN + 499999), 0);
	assert_int_equal(schedule_due(&schedule, BEGIN + 500000), 1);
}

static void test_end(void **state)
{
	(void)state;
	struct schedule schedule;
	schedule_init(&schedule, BEGIN, 1000, 0, 2);
	assert_int_equal(schedule_due(&schedule, BEGIN + 1000000000u), 2);
	schedule.next = 2;
	assert_true(schedule_next_ns(&schedule) == SCHEDULE_NEVER);
	schedule_init(&schedule, BEGIN, 0, 0, 0);
	assert_true(schedule_next_ns(&schedule) == SCHEDULE_NEVER);
	assert_int_equal(schedule_due(&schedule, UINT64_MAX / 2), 0);
}

/* due and time are each other's inverse, at periods that no double holds exactly. */
static void test_due_agrees_with_time(void **state)
{
	(void)state;
	static const double RATES[] = {0.001, 0.3, 3, 7, 1e3 / 3, 30011, 1e6 / 7, 9999991};
	for (size_t r = 0; r < sizeof(RATES) / sizeof(RATES[0]); r++) {
		struct schedule schedule;
		schedule_init(&schedule, BEGIN, RATES[r], 0.25, 0);
		for (uint64_t i = 0; i < 5000; i++) {
			uint64_t time = schedule_time(&schedule, i * 131);
			assert_int_equal(schedule_due(&schedule, time), i * 131 + 1);
			assert_int_equal(schedule_due(&schedule, time - 1), i * 131);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_even_distances),
		cmocka_unit_test(test_a_stall_moves_nothing),
		cmocka_unit_test(test_phase),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_due_agrees_with_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
