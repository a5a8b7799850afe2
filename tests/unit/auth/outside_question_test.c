/* Questions: names of keys and the JSON of an HTTP request. */
#include "auth/outside/question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_text(struct slice text, const char *expected)
{
	if (!slice_equal(text, slice_string(expected)))
		fail_msg("%.*s, not %s", (int)text.size, (const char *)text.data, expected);
}

static void test_names_of_keys(void **state)
{
	(void)state;
	struct outside_key key;
	uint8_t out[64];
	struct slice value;
	assert_null(outside_key_read(&key, "a:{user}:b"));
	assert_int_equal(key.placeholder, OUTSIDE_KEY_OF_USER);
	assert_text(key.before, "a:");
	size_t size = outside_key_write(&key, slice_string("{x}"), out, sizeof(out));
	assert_text(slice_of(out, size), "a:{x}:b");
	assert_true(outside_key_value_of(&key, slice_of(out, size), &value));
	assert_text(value, "{x}");
	static const char *const OTHERS[] = {"a::b", "a:x", "b:x:b", "a:x:c", ""};
	for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
		assert_false(outside_key_value_of(&key, slice_string(OTHERS[i]), &value));

	assert_null(outside_key_read(&key, "meter {client}"));
	assert_int_equal(key.placeholder, OUTSIDE_KEY_OF_CLIENT);
	const struct outside_question question = {.client_id = slice_string("c"), .user_name = slice_string("u")};
	assert_text(outside_key_value(&key, &question), "c");
	/* What has no room is counted. */
	memset(out, 'x', sizeof(out));
	assert_int_equal(outside_key_write(&key, slice_string("long"), out, 6), 10);
	assert_text(slice_of(out, 7), "meter x");
}

static void test_names_that_are_none(void **state)
{
	(void)state;
	struct outside_key key;
	static const char *const BAD[] = {"",
					  "x",
					  "{user}",
					  "{client}:x",
					  "x{usr}",
					  "x{user}{user}",
					  "x{user}{client}",
					  "x{client}:{user}",
					  "x{ user}",
					  "x{client}{client}"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_non_null(outside_key_read(&key, BAD[i]));
}

static void assert_json(const struct outside_question *question, const char *expected)
{
	size_t size = outside_json_write(question, NULL, 0);
	uint8_t *out = malloc(size);
	assert_non_null(out);
	assert_int_equal(outside_json_write(question, out, size), size);
	assert_text(slice_of(out, size), expected);
	free(out);
}

static void test_json(void **state)
{
	(void)state;
	struct outside_question question = {.client_id = slice_string(""), .version = 4};
	assert_json(&question, "{\"client_id\":\"\",\"version\":4}");
	question = (struct outside_question){
		.client_id = slice_string("c"),
		.user_name = slice_string("\"a\\\n\x7f"),
		.password = slice_string("p\xc3\xa4ss"),
		.address = slice_string("192.0.2.1"),
		.transport = slice_string("tls"),
		.certificate = slice_string("CN=x"),
		.version = 5,
	};
	assert_json(&question,
		    "{\"client_id\":\"c\",\"username\":\"\\\"a\\\\\\u000a\x7f\",\"password\":\"p\xc3\xa4ss\","
		    "\"address\":\"192.0.2.1\",\"transport\":\"tls\",\"certificate\":\"CN=x\",\"version\":5}");
	question = (struct outside_question){
		.client_id = slice_string("c"), .password = slice_of("\xff\x00\x01", 3), .version = 3};
	assert_json(&question, "{\"client_id\":\"c\",\"password_base64\":\"/wAB\",\"version\":3}");
	question.password = slice_of("", 0);
	assert_json(&question, "{\"client_id\":\"c\",\"password\":\"\",\"version\":3}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_keys),
		cmocka_unit_test(test_names_that_are_none),
		cmocka_unit_test(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
