/* The grades of overload: from which lag, until which, how it is forgotten, and when the refused come back. */
#include "gateway/overload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

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
		enum overload_grade grade = overload_grade(GRADES[i].lag_ms, GRADES[i].before);
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
			enum overload_grade grade = overload_grade(lag_ms, (enum overload_grade)before);
			assert_true(grade >= last);
			last = grade;
		}
	}
}

static void test_a_long_turn_counts_at_once(void **state)
{
	(void)state;
	struct overload overload = {0};
	overload_turn(&overload, 150);
	assert_int_equal(overload.lag_ms, 150);
	assert_int_equal(overload.grade, OVERLOAD_REFUSE);
	overload_turn(&overload, 90000);
	assert_int_equal(overload.grade, OVERLOAD_HOLD);
	overload_turn(&overload, (uint64_t)UINT32_MAX + 7);
	assert_int_equal(overload.lag_ms, UINT32_MAX);
}

/* By an eighth of what is left in each turn, down to nothing; what goes on is not forgotten. */
static void test_lag_is_forgotten(void **state)
{
	(void)state;
	struct overload overload = {0};
	overload_turn(&overload, 400);
	uint32_t before_ms = 400;
	int turns = 0;
	for (; overload.lag_ms != 0; turns++) {
		overload_turn(&overload, 0);
		assert_in_range(overload.lag_ms, 0, before_ms - (before_ms + 7) / 8);
		assert_true(overload.lag_ms + (before_ms + 7) / 8 >= before_ms);
		before_ms = overload.lag_ms;
	}
	assert_in_range(turns, 10, 60);
	assert_int_equal(overload.grade, OVERLOAD_NORMAL);
	for (int i = 0; i < 100; i++)
		overload_turn(&overload, i % 2 == 0 ? 120 : 1);
	assert_int_equal(overload.grade, OVERLOAD_REFUSE);
}

/* One eighth at once, as in any turn, and one for each 10 ms. */
static void test_lag_is_forgotten_in_sleep(void **state)
{
	(void)state;
	struct overload overload = {.lag_ms = 400, .grade = OVERLOAD_HOLD};
	overload_rested(&overload, 0);
	assert_int_equal(overload.lag_ms, 350);
	overload_rested(&overload, 19);
	assert_int_equal(overload.lag_ms, 267);
	assert_int_equal(overload.grade, OVERLOAD_HOLD);
	overload_rested(&overload, 50);
	assert_int_equal(overload.grade, OVERLOAD_SHED);
	overload = (struct overload){.lag_ms = UINT32_MAX, .grade = OVERLOAD_HOLD};
	overload_rested(&overload, UINT64_MAX);
	assert_int_equal(overload.lag_ms, 0);
	assert_int_equal(overload.grade, OVERLOAD_NORMAL);
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
		cmocka_unit_test(test_a_long_turn_counts_at_once),
		cmocka_unit_test(test_lag_is_forgotten),
		cmocka_unit_test(test_lag_is_forgotten_in_sleep),
		cmocka_unit_test(test_the_refused_come_back_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
