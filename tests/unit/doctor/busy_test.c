/* What the machine has worked, from /proc/stat. */
#include "doctor/plan/busy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static void test_work_is_summed_and_idling_is_not(void **state)
{
	(void)state;
	struct slice text = slice_string("intr 5\ncpu  1 20 300 99999 88888 4000 50000 7777 1 1\ncpu0 1 1 1 1\n");
	assert_true(busy_parse(text, 100) == (1u + 20 + 300 + 4000 + 50000) * (uint64_t)10000000);
	assert_true(busy_parse(text, 1000) == (1u + 20 + 300 + 4000 + 50000) * (uint64_t)1000000);
}

static void test_what_is_none(void **state)
{
	(void)state;
	assert_true(busy_parse(slice_string(""), 100) == 0);
	assert_true(busy_parse(slice_string("cpu0 1 2 3\n"), 100) == 0);
	assert_true(busy_parse(slice_string("cpu 1 x -1 4"), 100) == 10000000);
	assert_true(busy_parse(slice_string("cpu 1 2 3"), 0) == 0);
	assert_true(busy_parse(slice_string("cpu 99999999999999999999 4294967295"), 100) == 4294967295 * 10000000);
}

/* This machine has worked, and not backwards. */
static void test_this_machine(void **state)
{
	(void)state;
	struct test_server server = {.pid = getpid()};
	uint64_t before = busy_elsewhere_ns(&server);
	assert_true(before > 0);
	assert_true(busy_elsewhere_ns(&server) + 1000000000u >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work_is_summed_and_idling_is_not),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_this_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
