/* Figures as people read them. */
#include "base/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_counts_and_bytes(void **state)
{
	(void)state;
	char out[FORMAT_BYTES];
	assert_string_equal(format_count(0, out), "0");
	assert_string_equal(format_count(999, out), "999");
	assert_string_equal(format_count(1000, out), "1,000");
	assert_string_equal(format_count(UINT64_MAX, out), "18,446,744,073,709,551,615");
	assert_string_equal(format_bytes(0, out), "0 B");
	assert_string_equal(format_bytes(1023, out), "1023 B");
	assert_string_equal(format_bytes(1536, out), "1.5 KiB");
	assert_string_equal(format_bytes(3.0 * 1024 * 1024 * 1024, out), "3.0 GiB");
	assert_string_equal(format_bytes(1e30, out), "867361737988.4 EiB");
}

static void test_durations(void **state)
{
	(void)state;
	static const struct {
		double seconds;
		const char *text;
	} CASES[] = {
		{0, "0 s"},
		{1e-6, "1 us"},
		{0.0009994, "999 us"},
		{0.001, "1 ms"},
		{0.0125, "12.5 ms"},
		{0.9994, "999 ms"},
		{0.9999, "1 s"},
		{1.5, "1.5 s"},
		{59.94, "59.9 s"},
		{59.96, "60 s"},
		{60, "1 min 0 s"},
		{3599.9, "59 min 59 s"},
		{3600, "1 h 0 min"},
		{86399, "23 h 59 min"},
		{86400, "1 d 0 h"},
		{1e9, "11574 d 1 h"},
		{1e300, "11574074074 d 1 h"},
	};
	char out[FORMAT_BYTES];
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		assert_string_equal(format_duration(CASES[i].seconds, out), CASES[i].text);
	}
}

static void test_times(void **state)
{
	(void)state;
	char out[FORMAT_BYTES];
	assert_string_equal(format_time(0, out), "1970-01-01 00:00:00 UTC");
	assert_string_equal(format_time(1795882517.2288, out), "2026-11-28 16:15:17 UTC");
	assert_string_equal(format_time(253402300799.0, out), "9999-12-31 23:59:59 UTC");
	assert_string_equal(format_time(253402300800.0, out), "-");
	assert_string_equal(format_time(-1, out), "-");
	assert_string_equal(format_time(__builtin_nan(""), out), "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_and_bytes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
