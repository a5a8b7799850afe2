/* Deadlines over a restart: the stored time decides, within what was agreed. */
#include "store/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WALL_S ((int64_t)1800000000)
#define HOUR_S 3600u

/* The clock after a restart, as the gateway reads it: first the last batch's, then the machine's. */
static struct deadline_clock after_restart(struct deadline_clock clock, int64_t last_wall_s)
{
	struct deadline_base base = {.wall_s = 0};
	deadline_clock_read(&base, last_wall_s, clock.now_s);
	clock.wall_s = deadline_clock_read(&base, clock.wall_s, clock.now_s);
	return clock;
}

static void test_stored_by_the_wall_clock_of_now(void **state)
{
	(void)state;
	struct deadline_clock clock = {.wall_s = WALL_S, .now_s = 1000};
	assert_int_equal(deadline_to_wall(clock, 1000), WALL_S);
	assert_int_equal(deadline_to_wall(clock, 1000 + HOUR_S), WALL_S + HOUR_S);
	assert_int_equal(deadline_to_wall(clock, 990), WALL_S - 10);
	assert_int_equal(deadline_to_wall(clock, UINT32_MAX - 1), WALL_S + UINT32_MAX - 1001);
}

/* Down for a while, with clocks that go on: the same moment. */
static void test_comes_when_it_would_have_come(void **state)
{
	(void)state;
	struct deadline_clock before = {.wall_s = WALL_S, .now_s = 1000};
	int64_t stored_s = deadline_to_wall(before, 1000 + HOUR_S);
	for (uint32_t down_s = 0; down_s <= 2 * HOUR_S; down_s += 600) {
		struct deadline_clock after = {.wall_s = WALL_S + down_s, .now_s = 5};
		after = after_restart(after, WALL_S);
		uint32_t left_s = down_s < HOUR_S ? HOUR_S - down_s : 0;
		assert_int_equal(deadline_from_wall(after, stored_s, HOUR_S), 5 + left_s);
	}
}

/* The clock was set back meanwhile: nothing lives longer than may be. */
static void test_no_longer_than_was_agreed(void **state)
{
	(void)state;
	struct deadline_clock clock = {.wall_s = WALL_S - 100 * HOUR_S, .now_s = 7};
	assert_int_equal(deadline_from_wall(clock, WALL_S + HOUR_S, HOUR_S), 7 + HOUR_S);
	assert_int_equal(deadline_from_wall(clock, WALL_S + HOUR_S, UINT32_MAX), 7 + 101 * HOUR_S);
}

/* A clock that begins anew in 1970: as if no time had passed since the last batch. */
static void test_a_clock_that_lost_its_time(void **state)
{
	(void)state;
	struct deadline_clock clock = {.wall_s = 12, .now_s = 7};
	clock = after_restart(clock, WALL_S);
	assert_int_equal(clock.wall_s, WALL_S);
	assert_int_equal(clock.now_s, 7);
	assert_int_equal(deadline_from_wall(clock, WALL_S + 60, HOUR_S), 67);
	/* One that did not is taken as it is. */
	clock = after_restart((struct deadline_clock){.wall_s = WALL_S + 1, .now_s = 7}, WALL_S);
	assert_int_equal(clock.wall_s, WALL_S + 1);
}

/* The clock that deadlines are told by is never set back, neither in a process nor from one to the next. */
static void test_a_clock_that_is_set_back(void **state)
{
	(void)state;
	struct deadline_base base = {.wall_s = 0};
	assert_int_equal(deadline_clock_read(&base, WALL_S, 7), WALL_S);
	assert_int_equal(deadline_clock_read(&base, WALL_S - HOUR_S, 17), WALL_S + 10);
	assert_int_equal(deadline_clock_read(&base, WALL_S + 20, 27), WALL_S + 20);
	/* One that is set forward is followed. */
	assert_int_equal(deadline_clock_read(&base, WALL_S + HOUR_S, 30), WALL_S + HOUR_S);

	/* Two restarts: what is told after the first is as far away after the second. */
	base = (struct deadline_base){.wall_s = 0};
	deadline_clock_read(&base, WALL_S - 100 * HOUR_S, 5);
	struct deadline_clock clock = {.wall_s = deadline_clock_read(&base, WALL_S, 5), .now_s = 5};
	int64_t told_s = deadline_to_wall(clock, 5 + 60);
	clock = after_restart((struct deadline_clock){.wall_s = WALL_S - 100 * HOUR_S, .now_s = 9}, clock.wall_s);
	assert_int_equal(deadline_from_wall(clock, told_s, HOUR_S), 9 + 60);
}

static void test_due_is_due_now(void **state)
{
	(void)state;
	struct deadline_clock clock = {.wall_s = WALL_S, .now_s = 7};
	assert_int_equal(deadline_from_wall(clock, WALL_S, HOUR_S), 7);
	assert_int_equal(deadline_from_wall(clock, WALL_S - HOUR_S, HOUR_S), 7);
	assert_int_equal(deadline_from_wall(clock, INT64_MIN, HOUR_S), 7);
}

/* What is read may be anything, and UINT32_MAX means never. */
static void test_absurd_times(void **state)
{
	(void)state;
	struct deadline_clock clock = {.wall_s = INT64_MIN, .now_s = 7};
	assert_int_equal(deadline_from_wall(clock, INT64_MAX - 1, HOUR_S), 7 + HOUR_S);
	assert_int_equal(deadline_from_wall(clock, INT64_MAX - 1, UINT32_MAX), UINT32_MAX - 1);
	clock.now_s = UINT32_MAX - 1;
	assert_int_equal(deadline_from_wall(clock, INT64_MAX - 1, HOUR_S), UINT32_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stored_by_the_wall_clock_of_now),
		cmocka_unit_test(test_comes_when_it_would_have_come),
		cmocka_unit_test(test_no_longer_than_was_agreed),
		cmocka_unit_test(test_a_clock_that_lost_its_time),
		cmocka_unit_test(test_a_clock_that_is_set_back),
		cmocka_unit_test(test_due_is_due_now),
		cmocka_unit_test(test_absurd_times),
	};
	return cmocka_run_group_tests_name("deadlines", tests, NULL, NULL);
}
