/* Entries of a batch by their streams. */
#include "relay/stream/entry_groups.h"

#include "redis/redis_slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void add(struct entry_batch *batch, const struct rule *rule, const char *topic)
{
	const struct relay_message message = {.topic = slice_string(topic), .payload = slice_string("p")};
	assert_true(entry_batch_add(batch, rule, &message, 0, 1700000000000u));
}

static struct rule a_rule(void)
{
	struct rule rule;
	rule_init(&rule);
	snprintf(rule.stream, sizeof(rule.stream), "%s", "{topic.1}");
	rule.fields = 1u << RULE_FIELD_PAYLOAD;
	return rule;
}

static void assert_group(const struct entry_groups *groups, uint32_t number, const char *stream,
			 const uint32_t *entries, uint32_t count)
{
	const struct entry_group *group = &groups->items[number];
	assert_int_equal(group->count, count);
	assert_int_equal(group->slot, redis_key_slot(slice_string(stream)));
	assert_int_equal(group->sample, entries[0]);
	assert_memory_equal(groups->order + group->first, entries, count * sizeof(entries[0]));
}

/* Dead letters are of one stream, wherever they were to go. */
static void test_groups(void **state)
{
	(void)state;
	static const char *const TOPICS[] = {"b", "a", "b", "/x", "a", "c", "/y", "b"};
	struct entry_groups groups;
	struct entry_batch batch = {0};
	struct rule rule = a_rule();
	entry_groups_init(&groups);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(TOPICS) / sizeof(TOPICS[0]); i++)
			add(&batch, &rule, TOPICS[i]);
		assert_true(entry_groups_make(&groups, &batch));
		assert_int_equal(groups.count, 4);
		assert_group(&groups, 0, "b", (uint32_t[]){0, 2, 7}, 3);
		assert_group(&groups, 1, "a", (uint32_t[]){1, 4}, 2);
		assert_group(&groups, 2, RULE_DEAD_STREAM, (uint32_t[]){3, 6}, 2);
		assert_group(&groups, 3, "c", (uint32_t[]){5}, 1);
		entry_batch_clear(&batch);
	}
	assert_true(entry_groups_make(&groups, &batch));
	assert_int_equal(groups.count, 0);
	entry_groups_free(&groups);
	entry_batch_free(&batch);
}

/* Each entry is in one group, in order. */
static void test_many_streams(void **state)
{
	(void)state;
	struct entry_groups groups;
	struct entry_batch batch = {0};
	struct rule rule = a_rule();
	static bool seen[3000];
	uint32_t sum = 0;
	entry_groups_init(&groups);
	for (uint32_t i = 0; i < 3000; i++) {
		char topic[16];
		snprintf(topic, sizeof(topic), "%u", i % 1000);
		add(&batch, &rule, topic);
	}
	assert_true(entry_groups_make(&groups, &batch));
	assert_int_equal(groups.count, 1000);
	for (uint32_t i = 0; i < groups.count; i++) {
		const struct entry_group *group = &groups.items[i];
		for (uint32_t j = 0; j < group->count; j++) {
			uint32_t entry = groups.order[group->first + j];
			assert_int_equal(entry, i + 1000 * j);
			assert_false(seen[entry]);
			seen[entry] = true;
		}
		sum += group->count;
	}
	assert_int_equal(sum, 3000);
	entry_groups_free(&groups);
	entry_batch_free(&batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_many_streams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
