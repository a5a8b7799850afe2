/* Targets of HTTP requests: split before they are decoded, and refused where anything about them is odd. */
#include "http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static bool parse(const char *raw, struct target *target)
{
	static uint8_t room[512];
	return target_parse(target, slice_string(raw), room);
}

static void test_paths(void **state)
{
	(void)state;
	static const struct {
		const char *raw;
		const char *segments[4];
		uint32_t count;
	} PATHS[] = {
		{"/", {NULL}, 0},
		{"/?", {NULL}, 0},
		{"/health", {"health"}, 1},
		{"/api/v1/clients", {"api", "v1", "clients"}, 3},
		{"/clients/a%2Fb%20c/x", {"clients", "a/b c", "x"}, 3},
		{"/clients/..%2f..%2Fetc", {"clients", "../../etc"}, 2},
		{"/clients/..", {"clients", ".."}, 2},
		{"/clients/a+b", {"clients", "a+b"}, 2},
		{"/clients/%C3%A4", {"clients", "\xc3\xa4"}, 2},
	};
	for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
		struct target target;
		assert_true(parse(PATHS[i].raw, &target));
		assert_int_equal(target.segment_count, PATHS[i].count);
		for (uint32_t j = 0; j < target.segment_count; j++)
			assert_true(slice_equal(target.segments[j], slice_string(PATHS[i].segments[j])));
	}
}

static void test_null_byte_is_a_byte(void **state)
{
	(void)state;
	struct target target;
	assert_true(parse("/clients/a%00b", &target));
	assert_true(slice_equal(target.segments[1], slice_of("a\0b", 3)));
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const WRONG[] = {
		"",
		"health",
		"http://host/health",
		"//",
		"//health",
		"/a//b",
		"/a/",
		"/a%",
		"/a%2",
		"/a%zz",
		"/a%2g/b",
		"/x?a=%",
		"/1/2/3/4/5/6/7/8/9",
		"/x?%4=1",
		"*",
		"/x?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9&j=1&k=2&l=3&m=4&n=5&o=6&p=7&q=8",
	};
	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		struct target target;
		assert_false(parse(WRONG[i], &target));
	}
}

static void test_queries(void **state)
{
	(void)state;
	struct target target;
	struct slice value;
	assert_true(parse("/x?a=1&b=two+words&&c&d=%26%3D&a=2&e=f=g", &target));
	assert_int_equal(target.query_count, 6);
	assert_true(target_query(&target, "a", &value) && slice_equal(value, slice_string("1")));
	assert_true(target_query(&target, "b", &value) && slice_equal(value, slice_string("two words")));
	assert_true(target_query(&target, "c", &value) && value.size == 0);
	assert_true(target_query(&target, "d", &value) && slice_equal(value, slice_string("&=")));
	assert_true(target_query(&target, "e", &value) && slice_equal(value, slice_string("f=g")));
	assert_false(target_query(&target, "f", &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_null_byte_is_a_byte),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_queries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
