/* The grades of overload: from which lag, until which, how it is forgotten, and when the refused come back. */
#include "runtime/overload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define REFUSE_MS 100u

static const struct {
	uint32_t lag_ms;
	enum overload_grade before;
	enum overload_grade grade;
} GRADES[] = {
	{0, OVERLOAD_NORMAL, OVERLOAD_NORMAL},
	{9, OVERLOAD_NORMAL, OVERLOAD_NORMAL},
	{10, OVERLOAD_NORMAL, OVERLOAD_SLOW},
	{99, OVERLOAD_NORMAL, OVERLOAD_SLOW},
	{100, OVERLOAD_NORMAL, OVERLOAD_REFUSE},
	{199, OVERLOAD_NORMAL, OVERLOAD_REFUSE},
	{200, OVERLOAD_NORMAL, OVERLOAD_SHED},
	{399, OVERLOAD_NORMAL, OVERLOAD_SHED},
	{400, OVERLOAD_NORMAL, OVERLOAD_HOLD},
	{UINT32_MAX, OVERLOAD_NORMAL, OVERLOAD_HOLD},
	/* Left below half. */
	{200, OVERLOAD_HOLD, OVERLOAD_HOLD},
	{199, OVERLOAD_HOLD, OVERLOAD_SHED},
	{100, OVERLOAD_HOLD, OVERLOAD_SHED},
	{99, OVERLOAD_HOLD, OVERLOAD_REFUSE},
	{50, OVERLOAD_SHED, OVERLOAD_REFUSE},
	{49, OVERLOAD_HOLD, OVERLOAD_SLOW},
	{5, OVERLOAD_REFUSE, OVERLOAD_SLOW},
	{4, OVERLOAD_HOLD, OVERLOAD_NORMAL},
	/* Half holds those who were in the grade, and nobody else. */
	{50, OVERLOAD_SLOW, OVERLOAD_SLOW},
	{5, OVERLOAD_NORMAL, OVERLOAD_NORMAL},
	{399, OVERLOAD_SHED, OVERLOAD_SHED},
	{400, OVERLOAD_SHED, OVERLOAD_HOLD},
};

static void test_grades(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(GRADES) / sizeof(GRADES[0]); i++) {
		enum overload_grade grade = overload_grade(GRADES[i].lag_ms, GRADES[i].before, REFUSE_MS);
		if (grade != GRADES[i].grade)
			fail_msg("%u ms after %s is %s", GRADES[i].lag_ms, overload_name(GRADES[i].before),
				 overload_name(grade));
	}
}

static void test_each_grade_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < OVERLOAD_GRADES; i++) {
		for (int j = 0; j < i; j++)
			assert_string_not_equal(overload_name((enum overload_grade)i),
						overload_name((enum overload_grade)j));
	}
}

/* More lag is never a lower grade, wherever it comes from. */
static void test_grades_rise_with_lag(void **state)
{
	(void)state;
	for (int before = 0; before < OVERLOAD_GRADES; before++) {
		enum overload_grade last = OVERLOAD_NORMAL;
		for (uint32_t lag_ms = 0; lag_ms < 1000; lag_ms++) {
			enum overload_grade grade = overload_grade(lag_ms, (enum overload_grade)before, REFUSE_MS);
			assert_true(grade >= last);
			last = grade;
		}
	}
}

/* A turn whose time was all its own. */
static void worked(struct overload *overload, uint64_t took_ms)
{
	overload_turn(overload, took_ms, took_ms, took_ms, REFUSE_MS);
}

/* From the least that REFUSE may be at to the most, grades begin in order and can be left. */
static void test_grades_follow_from_one(void **state)
{
	(void)state;
	static const uint32_t REFUSES_MS[] = {OVERLOAD_REFUSE_MS_MIN, 99, 100, 500, 60000, UINT32_MAX / 8};
	for (size_t i = 0; i < sizeof(REFUSES_MS) / sizeof(REFUSES_MS[0]); i++) {
		uint32_t ms = REFUSES_MS[i];
		const uint32_t begin_ms[OVERLOAD_GRADES] = {0, ms / 10, ms, 2 * ms, 4 * ms};
		for (int grade = OVERLOAD_SLOW; grade < OVERLOAD_GRADES; grade++) {
			assert_int_equal(overload_grade(begin_ms[grade], OVERLOAD_NORMAL, ms), grade);
			assert_int_equal(overload_grade(begin_ms[grade] - 1, OVERLOAD_NORMAL, ms), grade - 1);
			assert_int_equal(overload_grade(begin_ms[grade] / 2, (enum overload_grade)grade, ms), grade);
			assert_true(overload_grade(begin_ms[grade] / 2 - 1, (enum overload_grade)grade, ms) <
				    (enum overload_grade)grade);
		}
	}
}

static void test_a_long_turn_counts_at_once(void **state)
{
	(void)state;
	struct overload overload = {0};
	worked(&overload, 150);
	assert_int_equal(overload.lag_ms, 150);
	assert_int_equal(overload.grade, OVERLOAD_REFUSE);
	worked(&overload, 90000);
	assert_int_equal(overload.grade, OVERLOAD_HOLD);
	worked(&overload, (uint64_t)UINT32_MAX + 7);
	assert_int_equal(overload.lag_ms, UINT32_MAX);
}

/* By an eighth of what is left in each turn, down to nothing; what goes on is not forgotten. */
static void test_lag_is_forgotten(void **state)
{
	(void)state;
	struct overload overload = {0};
	worked(&overload, 400);
	uint32_t before_ms = 400;
	int turns = 0;
	for (; overload.lag_ms != 0; turns++) {
		worked(&overload, 0);
		assert_in_range(overload.lag_ms, 0, before_ms - (before_ms + 7) / 8);
		assert_true(overload.lag_ms + (before_ms + 7) / 8 >= before_ms);
		before_ms = overload.lag_ms;
	}
	assert_in_range(turns, 10, 60);
	assert_int_equal(overload.grade, OVERLOAD_NORMAL);
	for (int i = 0; i < 100; i++)
		worked(&overload, i % 2 == 0 ? 120 : 1);
	assert_int_equal(overload.grade, OVERLOAD_REFUSE);
}

/* One eighth at once, as in any turn, and one for each 10 ms. */
static void test_lag_is_forgotten_in_sleep(void **state)
{
	(void)state;
	struct overload overload = {.lag_ms = 400, .grade = OVERLOAD_HOLD};
	overload_rested(&overload, 0, REFUSE_MS);
	assert_int_equal(overload.lag_ms, 350);
	overload_rested(&overload, 19, REFUSE_MS);
	assert_int_equal(overload.lag_ms, 267);
	assert_int_equal(overload.grade, OVERLOAD_HOLD);
	overload_rested(&overload, 50, REFUSE_MS);
	assert_int_equal(overload.grade, OVERLOAD_SHED);
	overload = (struct overload){.lag_ms = UINT32_MAX, .grade = OVERLOAD_HOLD};
	overload_rested(&overload, UINT64_MAX, REFUSE_MS);
	assert_int_equal(overload.lag_ms, 0);
	assert_int_equal(overload.grade, OVERLOAD_NORMAL);
}

/* ---- stalls of the machine ---- */

static void test_a_stall_alone_refuses_nobody(void **state)
{
	(void)state;
	static const uint64_t TOOK_MS[] = {110, 200, 5000, (uint64_t)UINT32_MAX + 7};
	for (size_t i = 0; i < sizeof(TOOK_MS) / sizeof(TOOK_MS[0]); i++) {
		struct overload overload = {0};
		overload_turn(&overload, TOOK_MS[i], TOOK_MS[i], 3, REFUSE_MS);
		assert_int_equal(overload.grade, OVERLOAD_SLOW);
		assert_int_equal(overload.stall_count, 1);
		assert_int_equal(overload.lag_ms, REFUSE_MS - 1);
	}
}

/* A quarter of the time is enough work to be to blame; what the thread ran for counts always. */
static void test_work_counts_whoever_runs_beside(void **state)
{
	(void)state;
	struct overload overload = {0};
	overload_turn(&overload, 200, 200, 50, REFUSE_MS);
	assert_int_equal(overload.lag_ms, 200);
	overload = (struct overload){0};
	overload_turn(&overload, 200, 200, 49, REFUSE_MS);
	assert_int_equal(overload.lag_ms, REFUSE_MS - 1);
	overload = (struct overload){0};
	overload_turn(&overload, 2000, 2000, 450, REFUSE_MS);
	assert_int_equal(overload.lag_ms, 450);
	assert_int_equal(overload.grade, OVERLOAD_HOLD);
	/* Below REFUSE there is nothing to bear. */
	overload = (struct overload){0};
	overload_turn(&overload, 60, 60, 0, REFUSE_MS);
	assert_int_equal(overload.lag_ms, 60);
	assert_int_equal(overload.stall_count, 0);
}

/* The thread never gets to the end of its work: that is overload, whoever is to blame. */
static void test_stalls_without_a_rest_count(void **state)
{
	(void)state;
	struct overload overload = {0};
	for (int i = 0; i < 5; i++) {
		overload_turn(&overload, 200, 200, 2, REFUSE_MS);
		assert_int_equal(overload.grade, OVERLOAD_SLOW);
	}
	overload_turn(&overload, 200, 200, 2, REFUSE_MS);
	assert_int_equal(overload.grade, OVERLOAD_SHED);
	assert_int_equal(overload.stall_count, 5);
}

static void test_a_rest_between_stalls_forgives(void **state)
{
	(void)state;
	struct overload overload = {0};
	for (int i = 0; i < 50; i++) {
		overload_turn(&overload, 400, 400, 2, REFUSE_MS);
		assert_int_equal(overload.grade, OVERLOAD_SLOW);
		overload_rested(&overload, 0, REFUSE_MS);
	}
	/* So do turns without one, by and by. */
	for (int i = 0; i < 50; i++) {
		overload_turn(&overload, 400, 400, 2, REFUSE_MS);
		assert_int_equal(overload.grade, OVERLOAD_SLOW);
		for (int j = 0; j < 5; j++)
			worked(&overload, 4);
	}
	overload = (struct overload){0};
	for (int i = 0; i < 50; i++) {
		overload_turn(&overload, 400, 400, 2, REFUSE_MS);
		worked(&overload, 4);
	}
	assert_true(overload.grade >= OVERLOAD_REFUSE);
}

static void test_the_refused_come_back_spread(void **state)
{
	(void)state;
	assert_int_equal(overload_retry_ms(2000, 0), 2000);
	assert_int_equal(overload_retry_ms(2000, UINT32_MAX), 7999);
	assert_int_equal(overload_retry_ms(0, UINT32_MAX), 0);
	uint32_t quarters[4] = {0};
	for (uint64_t random = 0; random <= UINT32_MAX; random += 1u << 20)
		quarters[(overload_retry_ms(2000, (uint32_t)random) - 2000) / 1500]++;
	for (int i = 0; i < 4; i++)
		assert_in_range(quarters[i], 1000, 1050);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grades),
		cmocka_unit_test(test_each_grade_has_a_name),
		cmocka_unit_test(test_grades_rise_with_lag),
		cmocka_unit_test(test_grades_follow_from_one),
		cmocka_unit_test(test_a_long_turn_counts_at_once),
		cmocka_unit_test(test_lag_is_forgotten),
		cmocka_unit_test(test_lag_is_forgotten_in_sleep),
		cmocka_unit_test(test_a_stall_alone_refuses_nobody),
		cmocka_unit_test(test_work_counts_whoever_runs_beside),
		cmocka_unit_test(test_stalls_without_a_rest_count),
		cmocka_unit_test(test_a_rest_between_stalls_forgives),
		cmocka_unit_test(test_the_refused_come_back_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
