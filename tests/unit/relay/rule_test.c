/* Rules and lists of them: what is equal, what has a default, and names of sessions. What is wrong in them is in
 * daemon/config_file_test.c, by the place where it stands. */
#include "relay/items.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool rule_set(struct rule *rule, const char *key, const char *text, char fault[ITEM_FAULT_BYTES_MAX])
{
	return rule_key(key)->set(rule, text, fault);
}

static void add_rule(struct relay_items *items, const char *name)
{
	char fault[ITEM_FAULT_BYTES_MAX] = "";
	struct rule *rule = item_add(item_kind_at(ITEM_RULES), items, 7);
	assert_non_null(rule);
	assert_true(rule_set(rule, "name", name, fault));
	assert_true(rule_set(rule, "topics", "a/#", fault));
	assert_true(rule_set(rule, "stream", "s", fault));
	assert_true(item_complete(item_kind_at(ITEM_RULES), items, fault));
}

static struct relay_items *two_rules(void)
{
	static struct relay_items items;
	items = (struct relay_items){0};
	add_rule(&items, "one");
	add_rule(&items, "two");
	return &items;
}

static void test_equal(void **state)
{
	(void)state;
	char fault[ITEM_FAULT_BYTES_MAX];
	static const char *const CHANGES[][2] = {{"name", "other"},     {"topics", "b"}, {"stream", "t"},
						 {"fields", "address"}, {"qos", "0"},    {"max_length", "5"},
						 {"max_age_s", "5"}};
	struct relay_items *items = two_rules();
	struct rule changed = items->rules.items[0];
	changed.line = 77;
	assert_true(rule_equal(&items->rules.items[0], &changed));
	for (size_t i = 0; i < sizeof(CHANGES) / sizeof(CHANGES[0]); i++) {
		changed = items->rules.items[0];
		assert_true(rule_set(&changed, CHANGES[i][0], CHANGES[i][1], fault));
		assert_false(rule_equal(&items->rules.items[0], &changed));
	}
	changed = items->rules.items[0];
	changed.topics.filters[0][0] = 'b';
	assert_false(rule_equal(&items->rules.items[0], &changed));
}

static void test_found(void **state)
{
	(void)state;
	struct relay_items *items = two_rules();
	const struct item_kind *kind = item_kind_at(ITEM_RULES);
	static const struct relay_items NONE;
	assert_ptr_equal(item_find(kind, items, slice_string("two")), &items->rules.items[1]);
	assert_null(item_find(kind, items, slice_string("tw")));
	assert_null(item_find(kind, &NONE, slice_string("two")));
	assert_int_equal(item_line(kind, item_look(kind, items, 1)), 7);
}

static void test_lists(void **state)
{
	(void)state;
	const struct item_kind *kind = item_kind_at(ITEM_RULES);
	char fault[ITEM_FAULT_BYTES_MAX];
	struct relay_items *items = two_rules();
	static struct relay_items other;
	other = *items;
	assert_true(items_equal(kind, items, &other));
	other.rules.items[1].qos = 0;
	assert_false(items_equal(kind, items, &other));
	other = *items;
	other.rules.count = 1;
	assert_false(items_equal(kind, items, &other));
	struct rule *third = item_add(kind, items, 9);
	*third = items->rules.items[0];
	assert_false(item_complete(kind, items, fault));
	assert_non_null(strstr(fault, "the rule in line 7 is named one, too"));
	while (item_add(kind, items, 1) != NULL)
		continue;
	assert_int_equal(item_count(kind, items), RULES_MAX);
	for (size_t i = 0; item_kind_at(i) != NULL; i++)
		assert_null(item_kind_at(i)->key("nmae"));
}

static void test_identifiers(void **state)
{
	(void)state;
	struct relay_items *items = two_rules();
	uint32_t identifier = topics_identifier("a/#");
	assert_true(identifier >= 1 && identifier <= 268435455);
	assert_int_not_equal(identifier, topics_identifier("a/+"));
	assert_true(topics_has_identifier(&items->rules.items[0].topics, identifier));
	assert_false(topics_has_identifier(&items->rules.items[0].topics, topics_identifier("a/+")));
	assert_false(topics_has_identifier(&items->rules.items[0].topics, 0));
}

static void test_client_id(void **state)
{
	(void)state;
	char id[ITEM_CLIENT_BYTES_MAX];
	struct relay_items *items = two_rules();
	assert_int_equal(item_client_id(RULE_CLIENT_PREFIX, items->rules.items[1].name, id), strlen("$roost/rule/two"));
	assert_string_equal(id, "$roost/rule/two");
	memset(items->rules.items[0].name, 'x', ITEM_NAME_BYTES_MAX - 1);
	assert_int_equal(item_client_id(RULE_CLIENT_PREFIX, items->rules.items[0].name, id),
			 strlen("$roost/rule/") + ITEM_NAME_BYTES_MAX - 1);
}

static void test_limits(void **state)
{
	(void)state;
	char fault[ITEM_FAULT_BYTES_MAX];
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
	text[ITEM_NAME_BYTES_MAX] = '\0';
	assert_false(rule_set(&rule, "name", text, fault));
	text[ITEM_NAME_BYTES_MAX - 1] = '\0';
	assert_true(rule_set(&rule, "name", text, fault));
	for (char letter = 'b'; letter <= 'p'; letter++)
		assert_true(rule_set(&rule, "topics", (char[]){letter, '\0'}, fault));
	assert_int_equal(rule.topics.count, TOPICS_MAX);
	assert_false(rule_set(&rule, "topics", "q", fault));
	assert_non_null(strstr(fault, "more than 16"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),     cmocka_unit_test(test_found),       cmocka_unit_test(test_lists),
		cmocka_unit_test(test_client_id), cmocka_unit_test(test_identifiers), cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
