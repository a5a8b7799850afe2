/* JSON that is looked at and written: what is a value, and what strings become. */
#include "relay/json/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_values(void **state)
{
	(void)state;
	static const char *const VALUES[] = {
		"0",
		"-0",
		"12",
		"1.5",
		"-1e9",
		"2E+3",
		"0.1e-2",
		"true",
		"false",
		"null",
		"\"\"",
		"\"a\\n\\u00e9\\\"\"",
		"[]",
		"[ ]",
		"{}",
		"{ }",
		"[1,2]",
		"[[],{}]",
		"{\"a\":1,\"b\":[true,{\"c\":null}]}",
		" \t\r\n1 \n",
		"[ 1 , { \"a\" : [ ] } ]",
		"\"\xc3\xbc\"",
		"\"\\/\"",
		"[[[[]]]]",
		"{\"\":{}}",
	};
	for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++) {
		if (!json_text_is_value(slice_string(VALUES[i])))
			fail_msg("%s", VALUES[i]);
	}
}

static void test_no_values(void **state)
{
	(void)state;
	static const char *const NONE[] = {
		"",
		" ",
		"01",
		"+1",
		"1.",
		".5",
		"1e",
		"1e+",
		"-",
		"tru",
		"truee",
		"nul",
		"\"",
		"\"a",
		"\"\n\"",
		"\"\\x\"",
		"\"\\u12g4\"",
		"\"\\u12\"",
		"[",
		"]",
		"[1",
		"[1,",
		"[1,]",
		"[,1]",
		"[1 2]",
		"{",
		"}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{a:1}",
		"{1:2}",
		"{\"a\" 1}",
		"[}",
		"{]",
		"[1}",
		"{\"a\":1]",
		"1 2",
		"[] []",
		"\"\xff\"",
		"\"\xed\xa0\x80\"",
		"\xef\xbb\xbf\x31",
		"'a'",
		"NaN",
		"[1]x",
	};
	for (size_t i = 0; i < sizeof(NONE) / sizeof(NONE[0]); i++) {
		if (json_text_is_value(slice_string(NONE[i])))
			fail_msg("%s", NONE[i]);
	}
	assert_false(json_text_is_value(slice_of("1\0", 2)));
}

static void test_no_value_cut_short(void **state)
{
	(void)state;
	static const char WHOLE[] = "{\"a\":[true,{\"b\":-1.5e3}],\"c\":\"\\u00e9\\n\"}";
	for (size_t size = 0; size < sizeof(WHOLE) - 1; size++)
		assert_false(json_text_is_value(slice_of(WHOLE, size)));
	assert_true(json_text_is_value(slice_string(WHOLE)));
}

static void test_depth(void **state)
{
	(void)state;
	char text[2 * (JSON_DEPTH_MAX + 1)];
	for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		assert_int_equal(json_text_is_value(slice_of(text, 2 * depth)), depth == JSON_DEPTH_MAX);
	}
}

static void test_written(void **state)
{
	(void)state;
	struct bytes out = {0};
	json_text_append(&out, slice_of("a\"b\\c\n\x01\x1f\xc3\xbc\x7f", 11));
	json_text_append(&out, slice_of(NULL, 0));
	json_text_append_base64(&out, slice_of("\0\xff\xfe\x01", 4));
	json_text_append_base64(&out, slice_of(NULL, 0));
	const char *expected = "\"a\\\"b\\\\c\\u000a\\u0001\\u001f\xc3\xbc\x7f\"\"\"\"AP/+AQ==\"\"\"";
	assert_int_equal(out.size, strlen(expected));
	assert_memory_equal(out.data, expected, out.size);
	bytes_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_no_values),
		cmocka_unit_test(test_no_value_cut_short),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
