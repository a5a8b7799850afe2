/* Retained messages with stamps: which change wins, tombstones, what does not fit; and many trees that get the same
 * changes in different orders. */
#include "outliving.h"
#include "publication_sample.h"
#include "random.h"
#include "topics/retained_changes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_MS 1700000000000u
#define NOW_S 5000u
#define MESSAGES_MAX 50u

static const struct hash_key TREE_KEY = {{5}}, CLUSTER_KEY = {{6}};

static struct retained *tree_new(uint64_t node)
{
	struct retained *retained = retained_new(&TREE_KEY, MESSAGES_MAX, 20000, NULL);
	assert_non_null(retained);
	assert_int_equal(retained_stamp(retained, &CLUSTER_KEY, node, NULL), ERROR_OK);
	return retained;
}

static enum error change_at(struct retained *retained, const char *topic, const char *payload, struct stamp stamp,
			    struct retained_result *result)
{
	struct sample sample;
	sample_plain(&sample, topic, slice_string(payload), 1);
	struct retained_change change = {.wall_ms = NOW_MS, .now_s = NOW_S, .stamp = stamp};
	return retained_apply(retained, &sample.publication, sample.packet, &change, result);
}

static struct stamp set(struct retained *retained, const char *topic, const char *payload)
{
	struct retained_result result;
	assert_int_equal(change_at(retained, topic, payload, (struct stamp){0}, &result), ERROR_OK);
	assert_int_not_equal(result.number, 0);
	return result.stamp;
}

static struct retained_result hear(struct retained *retained, const char *topic, const char *payload,
				   struct stamp stamp)
{
	struct retained_result result;
	assert_int_equal(change_at(retained, topic, payload, stamp, &result), ERROR_OK);
	return result;
}

static struct retained_item find(struct retained *retained, const char *topic)
{
	struct retained_item item = {0};
	retained_find(retained, hash_slice(&CLUSTER_KEY, slice_string(topic)), &item);
	return item;
}

static void note_payload(void *context, const struct publication *publication, const uint8_t *packet,
			 struct stamp stamp)
{
	struct slice payload = publication_parts(publication, packet).payload;
	(void)stamp;
	snprintf(context, 32, "%.*s", (int)payload.size, (const char *)payload.data);
}

static void assert_payload(struct retained *retained, const char *topic, const char *payload)
{
	char text[32] = "";
	bool found = retained_read(retained, hash_slice(&CLUSTER_KEY, slice_string(topic)), NOW_S, note_payload, text);
	assert_string_equal(text, payload);
	assert_int_equal(found, payload[0] != '\0');
}

static void test_the_highest_stamp_wins(void **state)
{
	(void)state;
	struct retained *retained = tree_new(1);
	struct stamp own = set(retained, "a/b", "own");
	assert_int_equal(own.time >> STAMP_COUNTER_BITS, NOW_MS);
	assert_int_equal(own.node, 1);
	struct retained_result result = hear(retained, "a/b", "older", (struct stamp){.time = own.time - 1, .node = 9});
	assert_true(result.is_older);
	assert_int_equal(result.number, 0);
	assert_payload(retained, "a/b", "own");
	assert_false(hear(retained, "a/b", "newer", (struct stamp){.time = own.time + 500, .node = 2}).is_older);
	assert_payload(retained, "a/b", "newer");
	assert_true(hear(retained, "a/b", "again", (struct stamp){.time = own.time + 500, .node = 2}).is_older);
	/* What is changed here next is later than all that was heard. */
	assert_true(set(retained, "other", "x").time > own.time + 500);
	retained_free(retained);
}

static void test_a_topic_that_was_taken_away_stays_away(void **state)
{
	(void)state;
	struct retained *retained = tree_new(1);
	struct stamp set_at = set(retained, "a", "value");
	struct stamp cleared_at = set(retained, "a", "");
	assert_payload(retained, "a", "");
	assert_true(retained_is_empty(retained));
	assert_true(find(retained, "a").is_cleared);
	assert_true(hear(retained, "a", "value", set_at).is_older);
	assert_payload(retained, "a", "");
	/* A topic that was never here, too. */
	hear(retained, "b", "", (struct stamp){.time = cleared_at.time + 5, .node = 2});
	assert_true(hear(retained, "b", "late", cleared_at).is_older);
	hear(retained, "b", "new", (struct stamp){.time = cleared_at.time + 6, .node = 2});
	assert_payload(retained, "b", "new");
	assert_int_equal(retained_state(retained).cleared, 1);
	retained_free(retained);
}

static void note_cleared(void *context, const struct publication *publication, const uint8_t *packet, uint64_t number,
			 struct stamp stamp)
{
	assert_int_not_equal(number, 0);
	assert_int_not_equal(stamp.time, 0);
	struct slice topic = publication_parts(publication, packet).topic;
	snprintf(context, 32, "%.*s", (int)topic.size, (const char *)topic.data);
}

static void test_cleared_by_hash(void **state)
{
	(void)state;
	struct retained *retained = tree_new(1);
	struct stamp stamp = set(retained, "a/b", "value");
	uint64_t topic = hash_slice(&CLUSTER_KEY, slice_string("a/b"));
	char text[32] = "";
	struct retained_change change = {.wall_ms = NOW_MS, .now_s = NOW_S, .stamp = stamp};
	assert_false(retained_clear(retained, topic, &change, note_cleared, text));
	change.stamp.time++;
	assert_false(retained_clear(retained, topic + 1, &change, note_cleared, text));
	assert_true(retained_clear(retained, topic, &change, note_cleared, text));
	assert_string_equal(text, "a/b");
	assert_false(retained_clear(retained, topic, &change, note_cleared, text));
	assert_true(find(retained, "a/b").is_cleared);
	retained_free(retained);
}

static void test_what_expires_becomes_a_tombstone(void **state)
{
	(void)state;
	struct retained *retained = tree_new(1);
	struct stamp first = set(retained, "a", "before");
	struct sample sample;
	sample_expiring(&sample, "a", slice_string("soon"), 10, NOW_S);
	struct retained_change change = {.wall_ms = NOW_MS, .now_s = NOW_S};
	struct retained_result result;
	assert_int_equal(retained_apply(retained, &sample.publication, sample.packet, &change, &result), ERROR_OK);
	char text[32] = "";
	assert_int_equal(retained_expire(retained, NOW_S + 11, 10, note_cleared, text), 1);
	assert_string_equal(text, "a");
	assert_true(find(retained, "a").is_cleared);
	assert_int_equal(stamp_compare(find(retained, "a").stamp, result.stamp), 0);
	assert_true(hear(retained, "a", "before", first).is_older);
	retained_free(retained);
}

static void test_tombstones_are_bounded_and_grow_old(void **state)
{
	(void)state;
	struct retained *retained = tree_new(1);
	struct stamp first = set(retained, "first", "");
	char topic[32];
	for (uint32_t i = 1; i < RETAINED_CLEARED_MIN; i++) {
		snprintf(topic, sizeof(topic), "t/%u", i);
		set(retained, topic, "");
	}
	assert_int_equal(retained_state(retained).cleared, RETAINED_CLEARED_MIN);
	assert_int_equal(retained_state(retained).forgotten, 0);
	set(retained, "one more", "");
	assert_true(retained_state(retained).cleared <= RETAINED_CLEARED_MIN);
	assert_true(retained_state(retained).forgotten >= first.time);
	assert_true(retained_state(retained).cleared_early > 0);
	assert_false(find(retained, "first").is_cleared);
	/* Messages have room all the same: tombstones make way. */
	for (uint32_t i = 0; i < MESSAGES_MAX; i++) {
		snprintf(topic, sizeof(topic), "a/b/c/d/e/f/g/h/%u/i/j/k", i);
		set(retained, topic, "x");
	}
	assert_false(retained_forget(retained, NOW_S + RETAINED_CLEARED_S - 1, 100000));
	while (retained_forget(retained, NOW_S + RETAINED_CLEARED_S, 1000))
		;
	assert_int_equal(retained_state(retained).cleared, 0);
	assert_int_equal(retained_state(retained).entries, MESSAGES_MAX);
	retained_free(retained);
}

static void test_what_does_not_fit_is_lacking(void **state)
{
	(void)state;
	struct retained *retained = tree_new(1);
	char topic[32];
	for (uint32_t i = 0; i < MESSAGES_MAX; i++) {
		snprintf(topic, sizeof(topic), "t/%u", i);
		set(retained, topic, "x");
	}
	struct retained_result result;
	assert_int_equal(change_at(retained, "more", "x", (struct stamp){0}, &result), ERROR_LIMIT);
	assert_true(stamp_is_none(result.stamp)); /* so no other node sets it */
	assert_int_equal(retained_state(retained).refused, 0);
	struct stamp stamp = {.time = (uint64_t)NOW_MS << STAMP_COUNTER_BITS, .node = 2};
	assert_int_equal(change_at(retained, "more", "x", stamp, &result), ERROR_LIMIT);
	assert_int_equal(retained_state(retained).refused, 1);
	assert_int_equal(retained_state(retained).entries, MESSAGES_MAX);
	retained_free(retained);
}

static void test_the_servers_own_topics_have_no_stamps(void **state)
{
	(void)state;
	struct retained *retained = tree_new(1);
	struct retained_result result;
	assert_int_equal(change_at(retained, "$SYS/broker/uptime", "1", (struct stamp){0}, &result), ERROR_OK);
	assert_true(stamp_is_none(result.stamp));
	assert_int_equal(change_at(retained, "$SYS/broker/uptime", "2", (struct stamp){.time = 5}, &result), ERROR_OK);
	assert_int_equal(retained_state(retained).entries, 0);
	assert_false(stamp_is_none(set(retained, "$SYS/broker/connection/b/state", "1")));
	retained_free(retained);
}

static void test_what_was_there_before_is_the_oldest(void **state)
{
	(void)state;
	struct retained *retained = retained_new(&TREE_KEY, MESSAGES_MAX, 20000, NULL);
	struct sample sample;
	sample_plain(&sample, "old/one", slice_string("x"), 1);
	assert_int_equal(retained_set(retained, &sample.publication, sample.packet, NOW_S, NULL), ERROR_OK);
	assert_int_equal(retained_stamp(retained, &CLUSTER_KEY, 3, NULL), ERROR_OK);
	assert_int_equal(stamp_compare(find(retained, "old/one").stamp, stamp_of_old(3)), 0);
	hear(retained, "old/one", "y", (struct stamp){.time = 2, .node = 1});
	assert_payload(retained, "old/one", "y");
	retained_free(retained);
}

/* ---- what is told and restored ---- */

static bool restore_message(void *context, const struct publication *publication, const uint8_t *packet,
			    uint64_t change, struct stamp stamp)
{
	assert_int_not_equal(change, 0);
	struct retained_change restored = {.wall_ms = NOW_MS, .now_s = NOW_S, .stamp = stamp};
	assert_int_equal(retained_restore(context, publication, packet, &restored), ERROR_OK);
	return true;
}

static bool restore_cleared(void *context, struct slice topic, struct stamp stamp, uint64_t number)
{
	assert_int_not_equal(number, 0);
	struct retained_change restored = {.wall_ms = NOW_MS, .now_s = NOW_S, .stamp = stamp};
	retained_restore_cleared(context, topic, &restored);
	return true;
}

static void assert_trees_equal(struct retained *a, struct retained *b)
{
	uint64_t digests[2][RETAINED_BUCKETS];
	retained_digest(a, digests[0], NULL);
	retained_digest(b, digests[1], NULL);
	assert_memory_equal(digests[0], digests[1], sizeof(digests[0]));
	assert_int_equal(retained_size(a).messages, retained_size(b).messages);
	assert_int_equal(retained_size(a).bytes, retained_size(b).bytes);
}

static void test_all_is_told_for_a_restart(void **state)
{
	(void)state;
	struct retained *retained = tree_new(1), *next = tree_new(1);
	char topic[32];
	for (uint32_t i = 0; i < 40; i++) {
		snprintf(topic, sizeof(topic), "a/%u//b", i);
		set(retained, topic, "value");
		if (i % 2 == 0)
			set(retained, topic, "");
	}
	while (retained_forget(retained, NOW_S + RETAINED_CLEARED_S, 1))
		if (retained_state(retained).cleared == 10)
			break;
	struct retained_walk walk = {0};
	uint32_t visits, next_cleared = 0, steps = 0;
	do
		visits = 7;
	while (!retained_tell_step(retained, &walk, NOW_S, &visits, restore_message, next));
	do {
		visits = 7;
		steps++;
	} while (!retained_tell_cleared_step(retained, &next_cleared, &visits, restore_cleared, next));
	assert_true(steps > 3);
	assert_int_equal(next_cleared, 0);
	assert_trees_equal(retained, next);
	assert_int_equal(retained_state(next).cleared, 10);
	assert_int_equal(retained_state(next).forgotten, retained_state(retained).forgotten);
	assert_true(find(next, "a/38//b").is_cleared);
	assert_true(stamp_compare(set(next, "x", "y"), find(retained, "a/39//b").stamp) > 0);
	retained_free(retained);
	retained_free(next);
}

static void test_stamps_go_on_in_the_next_program(void **state)
{
	(void)state;
	struct outliving outliving;
	struct arena arena, next_arena;
	outliving_open(&outliving);
	assert_int_equal(arena_open(&arena, &outliving.root, "shared"), ERROR_OK);
	struct retained *retained = retained_new(&TREE_KEY, MESSAGES_MAX, 20000, &arena);
	assert_int_equal(retained_stamp(retained, &CLUSTER_KEY, 1, &arena), ERROR_OK);
	struct stamp stamp = set(retained, "a", "value");
	set(retained, "b", "value");
	struct stamp cleared = set(retained, "b", "");
	assert_int_equal(retained_save(retained, &arena), ERROR_OK);
	outliving_adopt(&outliving, &next_arena, "shared");
	struct retained *next = retained_new(&TREE_KEY, MESSAGES_MAX, 20000, &next_arena);
	assert_int_equal(retained_stamp(next, &CLUSTER_KEY, 1, &next_arena), ERROR_OK);
	outliving_check_unchanged(&outliving);
	assert_trees_equal(retained, next);
	assert_int_equal(stamp_compare(find(next, "a").stamp, stamp), 0);
	assert_int_equal(stamp_compare(find(next, "b").stamp, cleared), 0);
	assert_true(find(next, "b").is_cleared);
	assert_true(stamp_compare(set(next, "c", "x"), cleared) > 0);
	retained_free(next);
	retained_free(retained);
	outliving_close(&outliving);
}

/* ---- many trees ---- */

static void test_listed_parts(void **state)
{
	(void)state;
	struct retained *retained = tree_new(1);
	struct retained_buckets all, none = {{0}}, one = {{0}};
	memset(&all, 0xff, sizeof(all));
	char topic[32];
	for (uint32_t i = 0; i < 40; i++) {
		snprintf(topic, sizeof(topic), "t/%u", i);
		set(retained, topic, i % 4 == 0 ? "" : "x");
	}
	struct retained_item items[64];
	uint32_t next = 0, count = 0;
	do
		count += retained_list(retained, &all, &next, items + count, 7);
	while (next != 0);
	assert_int_equal(count, 40);
	assert_int_equal(retained_list(retained, &none, &next, items, 64), 0);
	retained_buckets_add(&one, (uint32_t)(find(retained, "t/1").topic >> (64 - RETAINED_BUCKET_BITS)));
	count = retained_list(retained, &one, &next, items, 64);
	assert_true(count >= 1 && count < 10);
	retained_free(retained);
}

struct made {
	char topic[8];
	char payload[8];
	struct stamp stamp;
};

static void test_every_order_ends_the_same(void **state)
{
	(void)state;
	struct random random = {4711};
	enum { NODES = 4, CHANGES = 400 };
	struct retained *trees[NODES];
	struct made made[CHANGES];
	for (uint64_t i = 0; i < NODES; i++)
		trees[i] = tree_new(10 + i);
	for (uint32_t i = 0; i < CHANGES; i++) {
		uint32_t node = random_below(&random, NODES);
		snprintf(made[i].topic, sizeof(made[i].topic), "t/%u", random_below(&random, 30));
		snprintf(made[i].payload, sizeof(made[i].payload), "%.0u", random_below(&random, 4) * i);
		made[i].stamp = set(trees[node], made[i].topic, made[i].payload);
	}
	for (uint32_t node = 0; node < NODES; node++) {
		for (uint32_t i = CHANGES; i-- > 1;) {
			uint32_t other = random_below(&random, i + 1);
			struct made swapped = made[i];
			made[i] = made[other];
			made[other] = swapped;
		}
		for (uint32_t i = 0; i < CHANGES; i++)
			hear(trees[node], made[i].topic, made[i].payload, made[i].stamp);
	}
	for (uint32_t node = 1; node < NODES; node++)
		assert_trees_equal(trees[0], trees[node]);
	for (uint32_t node = 0; node < NODES; node++)
		retained_free(trees[node]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_highest_stamp_wins),
		cmocka_unit_test(test_a_topic_that_was_taken_away_stays_away),
		cmocka_unit_test(test_cleared_by_hash),
		cmocka_unit_test(test_what_expires_becomes_a_tombstone),
		cmocka_unit_test(test_tombstones_are_bounded_and_grow_old),
		cmocka_unit_test(test_what_does_not_fit_is_lacking),
		cmocka_unit_test(test_the_servers_own_topics_have_no_stamps),
		cmocka_unit_test(test_what_was_there_before_is_the_oldest),
		cmocka_unit_test(test_all_is_told_for_a_restart),
		cmocka_unit_test(test_stamps_go_on_in_the_next_program),
		cmocka_unit_test(test_listed_parts),
		cmocka_unit_test(test_every_order_ends_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
