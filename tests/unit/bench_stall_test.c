/* It waits for what makes progress, and gives up on what does not. */
#include "bench/measure/stall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FROM 1000u
#define LIMIT 100u

static void test_given_up_behind_the_limit(void **state)
{
	(void)state;
	struct stall stall = stall_begin(FROM, LIMIT);
	assert_false(stall_is_over(&stall, 0, FROM - 500));
	assert_false(stall_is_over(&stall, 0, FROM + LIMIT));
	assert_true(stall_is_over(&stall, 0, FROM + LIMIT + 1));
}

static void test_every_step_renews_it(void **state)
{
	(void)state;
	struct stall stall = stall_begin(FROM, LIMIT);
	for (uint32_t step = 1; step < 50; step++)
		assert_false(stall_is_over(&stall, step, FROM + step * LIMIT));
	assert_false(stall_is_over(&stall, 49, FROM + 50 * LIMIT));
	assert_true(stall_is_over(&stall, 49, FROM + 50 * LIMIT + 1));
}

/* A client that comes and goes again and again is no progress. */
static void test_only_more_than_ever_counts(void **state)
{
	(void)state;
	struct stall stall = stall_begin(FROM, LIMIT);
	assert_false(stall_is_over(&stall, 2, FROM));
	assert_false(stall_is_over(&stall, 1, FROM + LIMIT));
	assert_true(stall_is_over(&stall, 2, FROM + LIMIT + 1));
}

/* Early progress does not shorten the wait for the rest. */
static void test_early(void **state)
{
	(void)state;
	struct stall stall = stall_begin(FROM, LIMIT);
	assert_false(stall_is_over(&stall, 1, FROM - 500));
	assert_false(stall_is_over(&stall, 1, FROM + LIMIT));
	assert_true(stall_is_over(&stall, 1, FROM + LIMIT + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given_up_behind_the_limit),
		cmocka_unit_test(test_every_step_renews_it),
		cmocka_unit_test(test_only_more_than_ever_counts),
		cmocka_unit_test(test_early),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
