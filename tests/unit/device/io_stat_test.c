/* The kernel's account of a block device. */
#include "device/io_stat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static bool parse(const char *text, struct io_stat *out)
{
	return io_stat_parse(slice_string(text), out);
}

static void test_words_of_every_kernel(void **state)
{
	(void)state;
	struct io_stat stat;
	assert_true(parse("   12  1   50  3  77  5  1000  9  0  10  11\n", &stat));
	assert_int_equal(stat.writes, 77);
	assert_int_equal(stat.bytes_written, 512000);
	assert_int_equal(stat.flushes, 0);
	assert_true(parse("12 1 50 3 77 5 1000 9 0 10 11 1 2 3 4 600 7\n", &stat));
	assert_int_equal(stat.flushes, 600);
	/* A later kernel may add some. */
	assert_true(parse("12 1 50 3 77 5 1000 9 0 10 11 1 2 3 4 600 7 8 9", &stat));
}

static void test_what_is_none(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"",
		"\n",
		"1 2 3 4 5 6 7 8 9 10",
		"1 2 3 4 5 6 7 8 9 10 x",
		"1 2 3 4 5 6 7 8 9 10 11 x",
		"1 2 3 4 5 6 -7 8 9 10 11",
		"1 2 3 4 5 6 18446744073709551616 8 9 10 11",
		"1 2 3 4 5 6 18446744073709551615 8 9 10 11", /* in bytes it does not fit */
	};
	struct io_stat stat;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(parse(wrong[i], &stat));
}

static void test_a_device_that_is_not_there(void **state)
{
	(void)state;
	struct io_stat stat;
	assert_false(io_stat_read(0, 0, &stat));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_of_every_kernel),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_a_device_that_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
