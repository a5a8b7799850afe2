/* Topics with placeholders: what is written for a client, and what is refused. */
#include "bench/scenario/topic_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void check(const char *text, bool subscribes, const char *expected)
{
	struct topic_pattern pattern;
	uint8_t topic[TOPIC_BYTES_MAX + 1];
	assert_null(topic_pattern_parse(text, subscribes, &pattern));
	assert_true(topic_pattern_is_set(&pattern));
	/* Client 47 in 10 circles, whose turn it is to write to target 123. */
	size_t size = topic_pattern_write(&pattern, topic_pattern_number(&pattern, 47, 10, 123), topic);
	topic[size] = '\0';
	assert_string_equal((const char *)topic, expected);
}

static void test_placeholders(void **state)
{
	(void)state;
	check("a/%n/b", true, "a/47/b");
	check("a/%n", false, "a/47");
	check("%g", false, "7");
	check("room/%g/+", true, "room/7/+");
	check("push/%t", false, "push/123");
	check("all", true, "all");
	check("#", true, "#");
}

static void test_what_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool subscribes;
	} BAD[] = {
		{"", true},
		{"", false},
		{"a/%", false},
		{"a/%x", false},
		{"a/%n/%g", false},
		{"a/%t", true},
		{"a/+", false},
		{"a/#", false},
		{"a/#/b", true},
		{"%n%n", true},
		{"a+/%n", true},
		{"a/\xff/%n", true},
		/* 65 bytes */
		{"0123456789012345678901234567890123456789012345678901234567890123%", true},
		{"01234567890123456789012345678901234567890123456789012345678901234", false},
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct topic_pattern pattern;
		if (topic_pattern_parse(BAD[i].text, BAD[i].subscribes, &pattern) == NULL)
			fail_msg("\"%s\" was accepted", BAD[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_placeholders),
		cmocka_unit_test(test_what_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
