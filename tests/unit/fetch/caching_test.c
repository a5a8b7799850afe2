/* Headers of an HTTP answer, and how long they say that it is good. */
#include "fetch/caching.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_headers(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		const char *value; /* NULL: it is another header */
	} cases[] = {
		{"ETag: \"x\"\r\n", "\"x\""},
		{"etag:x", "x"},
		{"ETAG:  x y \t\r\n", "x y"},
		{"ETag: \r\n", ""},
		{"ETags: x", NULL},
		{"ETag", NULL},
		{"ETag:", ""},
		{"ETag : x", NULL},
		{"XETag: x", NULL},
		{" ETag: x", NULL},
		{"", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice value;
		bool found = header_line_value(slice_string(cases[i].line), "ETag", &value);
		if (found != (cases[i].value != NULL))
			fail_msg("%s", cases[i].line);
		if (found)
			assert_true(slice_equal(value, slice_string(cases[i].value)));
	}
}

static void test_ages(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		bool has_age;
		uint32_t seconds;
	} cases[] = {
		{"max-age=60", true, 60},
		{"Max-Age=0", true, 0},
		{"public, max-age=60, must-revalidate", true, 60},
		{"public ,\tmax-age=60 ", true, 60},
		{"max-age=\"60\"", true, 60},
		{"max-age=1, max-age=2", true, 1},
		{",,max-age=5", true, 5},
		{"max-age=2147483647", true, 2147483647},
		{"max-age=2147483648", true, 2147483648},
		{"max-age=99999999999999999999999", true, 2147483648},
		{"", false, 0},
		{",", false, 0},
		{"public", false, 0},
		{"max-age", false, 0},
		{"max-age=", false, 0},
		{"max-age=\"\"", false, 0},
		{"max-age=\"", false, 0},
		{"max-age=-1", false, 0},
		{"max-age=1.5", false, 0},
		{"max-age =1", false, 0},
		{"s-max-age=1", false, 0},
		{"no-store", false, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t seconds = 0;
		bool has_age = cache_control_max_age(slice_string(cases[i].value), &seconds);
		if (has_age != cases[i].has_age || (has_age && seconds != cases[i].seconds))
			fail_msg("%s: %d, %u", cases[i].value, has_age, seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_ages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
