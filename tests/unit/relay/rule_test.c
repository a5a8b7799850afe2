/* Rules as such: what is equal, what has a default, and names of sessions. What is wrong in them is in
 * daemon/config_file_test.c, by the place where it stands. */
#include "relay/entry/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct rules two_rules(void)
{
	char fault[RULE_FAULT_BYTES_MAX] = "";
	static struct rules rules;
	rules = (struct rules){.count = 1};
	rule_init(&rules.items[0]);
	assert_true(rule_set(&rules.items[0], "name", "one", fault));
	assert_true(rule_set(&rules.items[0], "topics", "a/#", fault));
	assert_true(rule_set(&rules.items[0], "stream", "s", fault));
	assert_true(rule_complete(&rules, fault));
	rules.items[1] = rules.items[0];
	rules.count = 2;
	assert_true(rule_set(&rules.items[1], "name", "two", fault));
	assert_true(rule_complete(&rules, fault));
	return rules;
}

static void test_equal(void **state)
{
	(void)state;
	char fault[RULE_FAULT_BYTES_MAX];
	static const char *const CHANGES[][2] = {{"name", "other"},     {"topics", "b"}, {"stream", "t"},
						 {"fields", "address"}, {"qos", "0"},    {"max_length", "5"},
						 {"max_age_s", "5"}};
	struct rules rules = two_rules();
	struct rule changed = rules.items[0];
	changed.line = 77;
	assert_true(rule_equal(&rules.items[0], &changed));
	for (size_t i = 0; i < sizeof(CHANGES) / sizeof(CHANGES[0]); i++) {
		changed = rules.items[0];
		assert_true(rule_set(&changed, CHANGES[i][0], CHANGES[i][1], fault));
		assert_false(rule_equal(&rules.items[0], &changed));
	}
	changed = rules.items[0];
	changed.filters[0][0] = 'b';
	assert_false(rule_equal(&rules.items[0], &changed));
}

static void test_found(void **state)
{
	(void)state;
	struct rules rules = two_rules();
	assert_ptr_equal(rules_find(&rules, slice_string("two")), &rules.items[1]);
	assert_null(rules_find(&rules, slice_string("tw")));
	assert_null(rules_find(&(struct rules){0}, slice_string("two")));
}

static void test_identifiers(void **state)
{
	(void)state;
	struct rules rules = two_rules();
	uint32_t identifier = rule_filter_identifier("a/#");
	assert_true(identifier >= 1 && identifier <= 268435455);
	assert_int_not_equal(identifier, rule_filter_identifier("a/+"));
	assert_true(rule_has_identifier(&rules.items[0], identifier));
	assert_false(rule_has_identifier(&rules.items[0], rule_filter_identifier("a/+")));
	assert_false(rule_has_identifier(&rules.items[0], 0));
}

static void test_client_id(void **state)
{
	(void)state;
	char id[RULE_CLIENT_BYTES_MAX];
	struct rules rules = two_rules();
	assert_int_equal(rule_client_id(&rules.items[1], id), strlen("$roost/rule/two"));
	assert_string_equal(id, "$roost/rule/two");
	memset(rules.items[0].name, 'x', RULE_NAME_BYTES_MAX - 1);
	assert_int_equal(rule_client_id(&rules.items[0], id), strlen("$roost/rule/") + RULE_NAME_BYTES_MAX - 1);
}

static void test_limits(void **state)
{
	(void)state;
	char fault[RULE_FAULT_BYTES_MAX];
	char text[RULE_STREAM_BYTES_MAX + 1];
	struct rule rule;
	rule_init(&rule);
	memset(text, 'x', sizeof(text));
	text[RULE_STREAM_BYTES_MAX] = '\0';
	assert_false(rule_set(&rule, "stream", text, fault));
	assert_false(rule_set(&rule, "topics", text, fault));
	text[RULE_STREAM_BYTES_MAX - 1] = '\0';
	assert_true(rule_set(&rule, "stream", text, fault));
	assert_true(rule_set(&rule, "topics", text, fault));
	text[RULE_NAME_BYTES_MAX] = '\0';
	assert_false(rule_set(&rule, "name", text, fault));
	text[RULE_NAME_BYTES_MAX - 1] = '\0';
	assert_true(rule_set(&rule, "name", text, fault));
	for (char letter = 'b'; letter <= 'p'; letter++)
		assert_true(rule_set(&rule, "topics", (char[]){letter, '\0'}, fault));
	assert_int_equal(rule.filter_count, RULE_FILTERS_MAX);
	assert_false(rule_set(&rule, "topics", "q", fault));
	assert_non_null(strstr(fault, "more than 16"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),       cmocka_unit_test(test_found),  cmocka_unit_test(test_client_id),
		cmocka_unit_test(test_identifiers), cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
