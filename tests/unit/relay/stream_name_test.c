/* Names of streams: which patterns are taken, and what a message makes of them. */
#include "relay/entry/stream_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_patterns(void **state)
{
	(void)state;
	static const char *const GOOD[] = {
		"s",         "{topic}", "a:{topic.1}:{topic.128}", "{client}{user}", "{{{client}}}", "{{x}}",
		"s p a c e", "\xc3\xa9"};
	static const char *const BAD[] = {"",          "{",
					  "}",         "a{topic",
					  "{}",        "{topic.}",
					  "{topic.0}", "{topic.129}",
					  "{topic.x}", "{name}",
					  "{{topic}",  "{topic}}",
					  "{to{pic}}", "{topic.99999999999}"};
	const char *why = NULL;
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		if (!stream_name_check(GOOD[i], &why))
			fail_msg("\"%s\": %s", GOOD[i], why);
	}
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		if (stream_name_check(BAD[i], &why))
			fail_msg("\"%s\" was taken", BAD[i]);
		assert_true(why != NULL && strlen(why) > 10);
	}
}

static void assert_name(const char *pattern, const struct relay_message *message, const char *expected)
{
	uint8_t name[STREAM_NAME_BYTES_MAX];
	const char *why;
	assert_true(stream_name_check(pattern, &why));
	size_t size = stream_name_fill(pattern, message, name, &why);
	if (size != strlen(expected) || memcmp(name, expected, size) != 0)
		fail_msg("%s became \"%.*s\" instead of \"%s\"", pattern, (int)size, (const char *)name, expected);
}

static void test_filled(void **state)
{
	(void)state;
	const struct relay_message message = {
		.topic = slice_string("factory/7//hall"),
		.client = slice_string("c-1"),
		.user = slice_string("alice"),
	};
	assert_name("plain", &message, "plain");
	assert_name("{topic}", &message, "factory/7//hall");
	assert_name("a:{topic.1}:{topic.2}", &message, "a:factory:7");
	assert_name("[{topic.3}]", &message, "[]");
	assert_name("[{topic.4}]", &message, "[hall]");
	assert_name("[{topic.5}]", &message, "[]");
	assert_name("{{{client}}}:{user}", &message, "{c-1}:alice");
	assert_name("{client}-{user}", &(struct relay_message){.topic = slice_string("t")}, "-");
}

static void test_names_that_are_none(void **state)
{
	(void)state;
	static char level[STREAM_NAME_BYTES_MAX + 1];
	uint8_t name[STREAM_NAME_BYTES_MAX];
	const char *why = NULL;
	struct relay_message message = {.topic = slice_string("t")};
	assert_int_equal(stream_name_fill("{user}", &message, name, &why), 0);
	assert_non_null(strstr(why, "empty"));
	memset(level, 'x', sizeof(level));
	message.topic = slice_of(level, STREAM_NAME_BYTES_MAX);
	assert_int_equal(stream_name_fill("{topic}", &message, name, &why), STREAM_NAME_BYTES_MAX);
	message.topic = slice_of(level, STREAM_NAME_BYTES_MAX + 1);
	assert_int_equal(stream_name_fill("{topic}", &message, name, &why), 0);
	assert_non_null(strstr(why, "too long"));
	message.topic = slice_of(level, STREAM_NAME_BYTES_MAX);
	assert_int_equal(stream_name_fill("s{topic}", &message, name, &why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_filled),
		cmocka_unit_test(test_names_that_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
