/* Hooks: what is equal and what has a default. What is wrong in them is in daemon/config_file_test.c, by the place
 * where it stands. */
#include "relay/item/hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void set(struct hook *hook, const char *key, const char *text)
{
	char fault[ITEM_FAULT_BYTES_MAX] = "";
	const struct item_key *found = hook_key(key);
	assert_non_null(found);
	if (!found->set(hook, text, fault))
		fail_msg("%s: %s", key, fault);
}

static struct hook make(void)
{
	struct hook hook;
	hook_init(&hook);
	set(&hook, "name", "h");
	set(&hook, "topics", "a/#");
	set(&hook, "url", "https://[::1]:8443/x?y=%20");
	set(&hook, "headers", "A: b");
	set(&hook, "header_files", "C: /d");
	return hook;
}

static void test_defaults(void **state)
{
	(void)state;
	char fault[ITEM_FAULT_BYTES_MAX] = "";
	struct hook hook = make();
	assert_true(hook_complete(&hook, fault));
	assert_int_equal(hook.batch_messages, 100);
	assert_int_equal(hook.batch_bytes, 1 << 20);
	assert_int_equal(hook.concurrency, 1);
	assert_int_equal(hook.qos, 1);
	assert_int_equal(hook.retry_for_s, 0);
}

static void test_equal(void **state)
{
	(void)state;
	static const char *const CHANGES[][2] = {
		{"name", "other"},       {"topics", "b"},           {"url", "http://h"},       {"secret_file", "s"},
		{"headers", "E: f"},     {"header_files", "G: h"},  {"source", "urn:x"},       {"content_type", "a/b"},
		{"batch_messages", "5"}, {"batch_bytes", "5000"},   {"delay_ms", "5"},         {"concurrency", "5"},
		{"timeout_ms", "500"},   {"retry_for_s", "5"},      {"dead_letter_file", "d"}, {"qos", "0"},
		{"ca_file", "c"},        {"certificate_file", "c"}, {"key_file", "k"},
	};
	struct hook hook = make(), same = make();
	same.line = 77;
	assert_true(hook_equal(&hook, &same));
	for (size_t i = 0; i < sizeof(CHANGES) / sizeof(CHANGES[0]); i++) {
		struct hook changed = make();
		set(&changed, CHANGES[i][0], CHANGES[i][1]);
		if (hook_equal(&hook, &changed))
			fail_msg("%s makes no difference", CHANGES[i][0]);
	}
	same.headers[0][0] = 'B';
	assert_false(hook_equal(&hook, &same));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults), cmocka_unit_test(test_equal)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
