/* The routing index against the plain definition of a match, with subscribers from several shards that come and go. */
#include "match_all.h"
#include "mqtt/field/topic.h"
#include "random.h"
#include "topics/index/index.h"
#include "topics/index/rcu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 5u
#define FILTERS_MAX 600u
#define TEXT_BYTES 128 /* five of the longest name */

struct model_filter {
	char text[TEXT_BYTES];
	uint32_t index[SHARDS]; /* of the route; 0: none */
};

struct scene {
	struct index *index;
	struct routes routes;
	struct model_filter filters[FILTERS_MAX];
	uint32_t filter_count;
};

static int scene_open(void **state)
{
	static struct scene scene;
	struct hash_key key = {{1, 2, 3}};
	scene = (struct scene){.index = index_new(SHARDS, &key, NULL)};
	assert_non_null(scene.index);
	reader_register();
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	routes_fini(&scene->routes);
	reader_unregister();
	index_free(scene->index);
	return 0;
}

static route_bits route_for(uint16_t shard, uint32_t index)
{
	return route_make(index % 2 != 0 ? ROUTE_ONE : ROUTE_LIST, shard, (uint16_t)(index * 7), index);
}

static void set_route(struct scene *scene, struct model_filter *filter, uint16_t shard, uint32_t index)
{
	struct index_slot slot = index_find(scene->index, slice_string(filter->text), index != 0);
	if (slot.node != 0) {
		assert_true(index_route(slot, shard) ==
			    (filter->index[shard] != 0 ? route_for(shard, filter->index[shard]) : 0));
		assert_int_equal(index_set_route(slot, shard, index != 0 ? route_for(shard, index) : 0), ERROR_OK);
	} else {
		assert_int_equal(index, 0);
	}
	index_leave(slot);
	filter->index[shard] = index;
}

/* Every route that is found is the model's, and none is missing; routes tell their filter by their index. */
static void assert_match(struct scene *scene, const char *topic)
{
	struct slice name = slice_string(topic);
	assert_int_equal(match_all(scene->index, name, &scene->routes), ERROR_OK);
	uint32_t expected = 0;
	for (uint32_t i = 0; i < scene->filter_count; i++) {
		const struct model_filter *filter = &scene->filters[i];
		if (!mqtt_filter_matches(slice_string(filter->text), name))
			continue;
		for (uint16_t shard = 0; shard < SHARDS; shard++) {
			if (filter->index[shard] == 0)
				continue;
			expected++;
			bool found = false;
			for (uint32_t r = 0; r < scene->routes.count && !found; r++)
				found = scene->routes.items[r] == route_for(shard, filter->index[shard]);
			if (!found)
				fail_msg("\"%s\" does not find \"%s\"", topic, filter->text);
		}
	}
	if (scene->routes.count != expected)
		fail_msg("\"%s\" finds %u routes, %u are expected", topic, scene->routes.count, expected);
}

/* Few names, so that filters and topics meet often; the empty level and $ among them. */
static const char *const NAMES[] = {"a", "b", "c", "", "$SYS", "d", "long-level-name", "+", "#"};

static void random_levels(struct random *random, char out[TEXT_BYTES], bool filter)
{
	uint32_t levels = 1 + random_below(random, 5);
	char *at = out;
	for (uint32_t i = 0; i < levels; i++) {
		uint32_t name = random_below(random, filter ? 8 : 7);
		if (filter && i + 1 == levels && random_below(random, 3) == 0)
			name = 8;
		at += sprintf(at, "%s%s", i != 0 ? "/" : "", NAMES[name]);
	}
	if (at == out)
		snprintf(out, TEXT_BYTES, "a");
}

static void add_filter(struct scene *scene, const char *text)
{
	for (uint32_t i = 0; i < scene->filter_count; i++) {
		if (strcmp(scene->filters[i].text, text) == 0)
			return;
	}
	assert_true(scene->filter_count < FILTERS_MAX);
	snprintf(scene->filters[scene->filter_count++].text, TEXT_BYTES, "%s", text);
}

static void make_filters(struct scene *scene, struct random *random)
{
	static const char *const FIRST[] = {"#",  "+",   "/",      "//",     "+/+", "/+",
					    "+/", "a/#", "$SYS/#", "$SYS/+", "+/#", "a"};
	for (size_t i = 0; i < sizeof(FIRST) / sizeof(FIRST[0]); i++)
		add_filter(scene, FIRST[i]);
	for (int i = 0; i < 1000 && scene->filter_count < FILTERS_MAX; i++) {
		char text[TEXT_BYTES];
		random_levels(random, text, i % 3 != 0);
		assert_int_equal(mqtt_filter_check(slice_string(text)), ERROR_OK);
		add_filter(scene, text);
	}
}

static void drop_all(struct scene *scene)
{
	for (uint32_t i = 0; i < scene->filter_count; i++) {
		for (uint16_t shard = 0; shard < SHARDS; shard++)
			set_route(scene, &scene->filters[i], shard, 0);
	}
}

static uint64_t filters_in_use(const struct scene *scene)
{
	uint64_t count = 0;
	for (uint32_t i = 0; i < scene->filter_count; i++) {
		uint32_t any = 0;
		for (uint16_t shard = 0; shard < SHARDS; shard++)
			any |= scene->filters[i].index[shard];
		count += any != 0;
	}
	return count;
}

static void test_random_changes_against_the_definition(void **state)
{
	struct scene *scene = *state;
	struct random random = {41};
	make_filters(scene, &random);
	uint32_t next = 1;
	for (int step = 0; step < 60000; step++) {
		struct model_filter *filter = &scene->filters[random_below(&random, scene->filter_count)];
		uint16_t shard = (uint16_t)random_below(&random, SHARDS);
		set_route(scene, filter, shard, random_below(&random, 5) < 2 ? next++ : 0);
		if (step % 5 == 0) {
			char topic[TEXT_BYTES];
			random_levels(&random, topic, false);
			assert_match(scene, topic);
		}
		if (step % 1000 == 0) {
			assert_int_equal(index_size(scene->index).filters, filters_in_use(scene));
			reader_quiescent();
		}
	}
	drop_all(scene);
	assert_int_equal(index_size(scene->index).filters, 0);
	assert_match(scene, "a/b/c");
	assert_int_equal(scene->routes.count, 0);
}

/* Wildcards do not match topics that begin with $ at their first level [MQTT-4.7.2-1]; # matches its parent level. */
static void test_rules_of_wildcards(void **state)
{
	struct scene *scene = *state;
	static const char *const ALL[] = {"#",      "+",      "+/+",   "+/#", "a/#", "a/+",
					  "$SYS/#", "$SYS/+", "+/b/#", "/#",  "/+"};
	for (uint32_t i = 0; i < sizeof(ALL) / sizeof(ALL[0]); i++) {
		add_filter(scene, ALL[i]);
		set_route(scene, &scene->filters[i], (uint16_t)(i % SHARDS), i + 1);
	}
	static const char *const TOPICS[] = {"a",     "a/",     "a/b",   "a/b/c", "$SYS", "$SYS/b", "$SYS/b/c",
					     "/",     "//",     "/a",    "b",     "$",    "$a/b",   "$SYSX/b",
					     "a/$/b", "a/$SYS", "a//b/", "x/b",   "x/b/", "x/b/c/d"};
	for (size_t i = 0; i < sizeof(TOPICS) / sizeof(TOPICS[0]); i++)
		assert_match(scene, TOPICS[i]);
	drop_all(scene);
}

/* Interior nodes of the trie hold no route, and go when nothing hangs on them any more. */
static void test_trie_gives_its_nodes_back(void **state)
{
	struct scene *scene = *state;
	uint64_t bytes = index_size(scene->index).bytes;
	static const char *const ALL[] = {"a/b/c/d/e/+", "a/b/#", "a/b/c/+", "a/+/c/d/#", "+/+/+"};
	for (int round = 0; round < 200; round++) {
		for (uint32_t i = 0; i < 5; i++) {
			add_filter(scene, ALL[i]);
			set_route(scene, &scene->filters[i], 0, i + 1);
		}
		/* A filter that is only a way to others is no filter. */
		struct index_slot slot = index_find(scene->index, slice_string("+/+"), false);
		if (slot.node != 0)
			assert_true(index_route(slot, 0) == 0);
		index_leave(slot);
		assert_match(scene, "a/b/c/d/e/f");
		for (uint32_t i = 0; i < 5; i++)
			set_route(scene, &scene->filters[(i + (uint32_t)round) % 5], 0, 0);
		reader_quiescent();
	}
	assert_int_equal(index_size(scene->index).filters, 0);
	/* What waits for a grace period is bounded by a batch a part. */
	assert_in_range(index_size(scene->index).bytes, bytes, bytes + (64 << 10) + 200 * 2048);
}

static void test_name_leads_back_to_the_node(void **state)
{
	struct scene *scene = *state;
	static const char *const FILTERS[] = {"exact/filter", "a/+/b", "#", "x"};
	uint32_t names[4];
	for (uint32_t i = 0; i < 4; i++) {
		struct index_slot slot = index_find(scene->index, slice_string(FILTERS[i]), true);
		names[i] = index_name(slot);
		assert_int_equal(index_set_route(slot, 1, route_for(1, i + 1)), ERROR_OK);
		index_leave(slot);
	}
	for (uint32_t i = 0; i < 4; i++) {
		struct index_slot slot = index_enter(scene->index, names[i]);
		assert_int_equal(index_name(slot), names[i]);
		assert_true(index_route(slot, 1) == route_for(1, i + 1));
		assert_true(index_route(slot, 0) == 0);
		index_set_route(slot, 1, 0);
		index_leave(slot);
	}
	assert_int_equal(index_size(scene->index).filters, 0);
}

static void test_looking_without_creating_leaves_nothing(void **state)
{
	struct scene *scene = *state;
	static const char *const FILTERS[] = {"exact", "a/+", "#", "a/b/c/#"};
	for (uint32_t i = 0; i < 4; i++) {
		struct index_slot slot = index_find(scene->index, slice_string(FILTERS[i]), false);
		assert_int_equal(slot.node, 0);
		index_leave(slot);
		slot = index_find(scene->index, slice_string(FILTERS[i]), true);
		assert_int_not_equal(slot.node, 0);
		index_leave(slot); /* created, but it got no route */
		slot = index_find(scene->index, slice_string(FILTERS[i]), false);
		assert_int_equal(slot.node, 0);
		index_leave(slot);
	}
}

/* Through several doublings of each part; what was there stays found at every moment. */
static void test_growth_loses_nothing(void **state)
{
	struct scene *scene = *state;
	enum { COUNT = 60000 };
	char text[32];
	for (uint32_t i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), i % 4 == 0 ? "w/%u/+" : "t/%u", i);
		struct index_slot slot = index_find(scene->index, slice_string(text), true);
		assert_int_not_equal(slot.node, 0);
		assert_int_equal(index_set_route(slot, 0, route_for(0, i + 1)), ERROR_OK);
		index_leave(slot);
		for (uint32_t back = 0; back < 8 && back <= i; back++) {
			uint32_t earlier = back < 4 ? i - back : i >> back;
			snprintf(text, sizeof(text), earlier % 4 == 0 ? "w/%u/x" : "t/%u", earlier);
			assert_int_equal(match_all(scene->index, slice_string(text), &scene->routes), ERROR_OK);
			assert_int_equal(scene->routes.count, 1);
			assert_true(scene->routes.items[0] == route_for(0, earlier + 1));
		}
		if (i % 64 == 0)
			reader_quiescent();
	}
	assert_int_equal(index_size(scene->index).filters, COUNT);
	for (uint32_t i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), i % 4 == 0 ? "w/%u/+" : "t/%u", i);
		struct index_slot slot = index_find(scene->index, slice_string(text), false);
		assert_int_not_equal(slot.node, 0);
		index_set_route(slot, 0, 0);
		index_leave(slot);
	}
	assert_int_equal(index_size(scene->index).filters, 0);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_random_changes_against_the_definition),
		IN_SCENE(test_rules_of_wildcards),
		IN_SCENE(test_trie_gives_its_nodes_back),
		IN_SCENE(test_name_leads_back_to_the_node),
		IN_SCENE(test_looking_without_creating_leaves_nothing),
		IN_SCENE(test_growth_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
