/* Shared subscriptions in the routing index: nodes that hang on their filter's, of which a match yields one route each;
 * against a plain model, and whose turn it is. */
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
#define FILTERS 12u
#define GROUPS 4u /* the first is none: the filter's own subscriptions */

static const char *const FILTER_TEXTS[FILTERS] = {"a",   "a/b", "/a",    "#",     "+",     "a/+",
						  "a/#", "+/b", "+/+/c", "a/b/c", "b/+/#", "$SYS/#"};
static const char *const GROUP_NAMES[GROUPS] = {NULL, "g", "h", "a group with a longer name"};
static const char *const TOPICS[] = {"a", "a/b", "/a", "b", "a/b/c", "x/b", "b/x/y", "$SYS/a", "nobody/there/at/all"};

struct model_node {
	uint32_t index[SHARDS]; /* of the route, 0: none */
	uint32_t live[SHARDS];
};

struct scene {
	struct index *index;
	struct routes routes;
	struct random random;
	struct model_node nodes[FILTERS][GROUPS];
	uint32_t next;
};

static int scene_open(void **state)
{
	static struct scene scene;
	struct hash_key key = {{1, 2, 3}};
	scene = (struct scene){.index = index_new(SHARDS, &key, NULL), .random = {101}, .next = 1};
	assert_non_null(scene.index);
	reader_register();
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(index_size(scene->index).filters, 0);
	routes_fini(&scene->routes);
	reader_unregister();
	index_free(scene->index);
	return 0;
}

static route_bits route_for(uint16_t shard, uint32_t index)
{
	return route_make(index % 2 != 0 ? ROUTE_ONE : ROUTE_LIST, shard, (uint16_t)(index * 7), index);
}

static struct index_slot find(struct scene *scene, uint32_t f, uint32_t g, bool create)
{
	struct slice filter = slice_string(FILTER_TEXTS[f]);
	if (g == 0)
		return index_find(scene->index, filter, create);
	return index_find_group(scene->index, slice_string(GROUP_NAMES[g]), filter, create);
}

static bool has_routes(const struct model_node *node)
{
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		if (node->index[shard] != 0)
			return true;
	}
	return false;
}

/* index 0 takes the route away. */
static void set_route(struct scene *scene, uint32_t f, uint32_t g, uint16_t shard, uint32_t index)
{
	struct model_node *node = &scene->nodes[f][g];
	struct index_slot slot = find(scene, f, g, index != 0);
	if (slot.node != 0) {
		uint32_t before = node->index[shard];
		assert_true(index_route(slot, shard) == (before != 0 ? route_for(shard, before) : 0));
		assert_int_equal(index_set_route(slot, shard, index != 0 ? route_for(shard, index) : 0), ERROR_OK);
	} else {
		assert_false(has_routes(node));
	}
	index_leave(slot);
	node->index[shard] = index;
	if (index == 0)
		node->live[shard] = 0;
}

static void set_live(struct scene *scene, uint32_t f, uint32_t g, uint16_t shard, uint32_t live)
{
	if (scene->nodes[f][g].index[shard] == 0)
		return;
	struct index_slot slot = find(scene, f, g, false);
	assert_int_not_equal(slot.node, 0);
	index_set_members(slot, shard, (struct index_members){live, live});
	index_leave(slot);
	scene->nodes[f][g].live[shard] = live;
}

static uint32_t live_members(const struct model_node *node)
{
	uint32_t live = 0;
	for (uint16_t shard = 0; shard < SHARDS; shard++)
		live += node->live[shard];
	return live;
}

/* How many of the routes found are this node's; of a group only such as may be picked. */
static uint32_t count_found(const struct scene *scene, const struct model_node *node)
{
	uint32_t found = 0;
	for (uint32_t r = 0; r < scene->routes.count; r++) {
		uint16_t shard = route_shard(scene->routes.items[r]);
		assert_in_range(shard, 0, SHARDS - 1);
		uint32_t index = node->index[shard];
		if (index == 0 || scene->routes.items[r] != route_for(shard, index))
			continue;
		found++;
		if (node->live[shard] == 0)
			assert_int_equal(live_members(node), 0);
	}
	return found;
}

static void match(struct scene *scene, const char *topic)
{
	assert_int_equal(match_all(scene->index, slice_string(topic), &scene->routes), ERROR_OK);
}

static void assert_match(struct scene *scene, const char *topic)
{
	match(scene, topic);
	uint32_t expected = 0;
	for (uint32_t f = 0; f < FILTERS; f++) {
		if (!mqtt_filter_matches(slice_string(FILTER_TEXTS[f]), slice_string(topic)))
			continue;
		for (uint32_t g = 0; g < GROUPS; g++) {
			const struct model_node *node = &scene->nodes[f][g];
			uint32_t wanted = g != 0 && has_routes(node) ? 1 : 0;
			for (uint16_t shard = 0; shard < SHARDS && g == 0; shard++)
				wanted += node->index[shard] != 0;
			if (count_found(scene, node) != wanted)
				fail_msg("\"%s\" finds \"%s\" of group %u not %u times", topic, FILTER_TEXTS[f], g,
					 wanted);
			expected += wanted;
		}
	}
	assert_int_equal(scene->routes.count, expected);
}

static void clear(struct scene *scene)
{
	for (uint32_t f = 0; f < FILTERS; f++)
		for (uint32_t g = 0; g < GROUPS; g++)
			for (uint16_t shard = 0; shard < SHARDS; shard++)
				set_route(scene, f, g, shard, 0);
}

static void test_random_changes_against_a_model(void **state)
{
	struct scene *scene = *state;
	struct random *random = &scene->random;
	for (int step = 0; step < 100000; step++) {
		uint32_t f = random_below(random, FILTERS);
		uint32_t g = random_below(random, GROUPS);
		uint16_t shard = (uint16_t)random_below(random, SHARDS);
		uint32_t what = random_below(random, 10);
		if (what < 3)
			set_route(scene, f, g, shard, scene->next++);
		else if (what < 7)
			set_route(scene, f, g, shard, 0);
		else if (g != 0)
			set_live(scene, f, g, shard, random_below(random, 4));
		assert_match(scene, TOPICS[random_below(random, sizeof(TOPICS) / sizeof(TOPICS[0]))]);
		if (step % 64 == 0)
			reader_quiescent();
	}
	clear(scene);
	assert_match(scene, "a/b/c");
}

/* A pick for what a member left behind: a connected member or nobody. */
static void test_pick_of_another_member(void **state)
{
	struct scene *scene = *state;
	for (uint16_t shard = 0; shard < 3; shard++)
		set_route(scene, 1, 1, shard, scene->next++);
	for (int round = 0; round < 200; round++) {
		set_live(scene, 1, 1, (uint16_t)(round % 3), random_below(&scene->random, 3));
		const struct model_node *node = &scene->nodes[1][1];
		struct index_slot slot = find(scene, 1, 1, false);
		route_bits route = index_pick_live(slot, &scene->routes);
		index_leave(slot);
		assert_int_equal(route == 0, live_members(node) == 0);
		if (route != 0)
			assert_true(node->live[route_shard(route)] != 0 &&
				    route == route_for(route_shard(route), node->index[route_shard(route)]));
	}
	/* A filter's own subscriptions are nobody's turn. */
	set_route(scene, 1, 0, 0, scene->next++);
	struct index_slot slot = find(scene, 1, 0, false);
	assert_true(index_pick_live(slot, &scene->routes) == 0);
	index_leave(slot);
	clear(scene);
}

/* ---- whose turn it is ---- */

static void count_turns(struct scene *scene, const char *topic, uint32_t counts[GROUPS][SHARDS])
{
	match(scene, topic);
	for (uint32_t r = 0; r < scene->routes.count; r++) {
		uint16_t shard = route_shard(scene->routes.items[r]);
		for (uint32_t f = 0; f < FILTERS; f++)
			for (uint32_t g = 1; g < GROUPS; g++)
				counts[g][shard] +=
					scene->nodes[f][g].index[shard] == route_index(scene->routes.items[r]);
	}
}

static void add_member(struct scene *scene, uint32_t f, uint32_t g, uint16_t shard, uint32_t live)
{
	set_route(scene, f, g, shard, scene->next++);
	set_live(scene, f, g, shard, live);
}

static void test_turns_by_connected_members(void **state)
{
	struct scene *scene = *state;
	static const uint32_t LIVE[SHARDS] = {3, 0, 1, 2, 0};
	uint32_t counts[GROUPS][SHARDS] = {{0}};
	for (uint16_t shard = 0; shard < SHARDS; shard++)
		add_member(scene, 0, 1, shard, LIVE[shard]);
	for (int i = 0; i < 600; i++)
		count_turns(scene, "a", counts);
	for (uint16_t shard = 0; shard < SHARDS; shard++)
		assert_int_equal(counts[1][shard], 100 * LIVE[shard]);
	/* Where nobody is connected those who will be take turns. */
	memset(counts, 0, sizeof(counts));
	for (uint16_t shard = 0; shard < SHARDS; shard++)
		set_live(scene, 0, 1, shard, 0);
	for (int i = 0; i < 500; i++)
		count_turns(scene, "a", counts);
	for (uint16_t shard = 0; shard < SHARDS; shard++)
		assert_int_equal(counts[1][shard], 100);
	clear(scene);
}

/* Groups that get every message between them do not take each other's turns. */
static void test_turns_of_several_groups(void **state)
{
	struct scene *scene = *state;
	uint32_t counts[GROUPS][SHARDS] = {{0}};
	for (uint32_t g = 1; g < GROUPS; g++) {
		add_member(scene, 1, g, 0, 1);
		add_member(scene, 1, g, 1, 1);
		if (g == 3)
			add_member(scene, 1, g, 2, 1);
	}
	for (int i = 0; i < 600; i++)
		count_turns(scene, "a/b", counts);
	for (uint32_t g = 1; g < 3; g++) {
		assert_int_equal(counts[g][0], 300);
		assert_int_equal(counts[g][1], 300);
	}
	for (uint16_t shard = 0; shard < 3; shard++)
		assert_int_equal(counts[3][shard], 200);
	clear(scene);
}

/* Nor do those whose messages come by turns. */
static void test_turns_of_topics_that_alternate(void **state)
{
	struct scene *scene = *state;
	uint32_t counts[GROUPS][SHARDS] = {{0}};
	for (uint16_t shard = 0; shard < 2; shard++) {
		add_member(scene, 0, 1, shard, 1);
		add_member(scene, 9, 2, shard, 1);
	}
	for (int i = 0; i < 100; i++) {
		count_turns(scene, "a", counts);
		count_turns(scene, "a/b/c", counts);
	}
	for (uint32_t g = 1; g < 3; g++)
		for (uint16_t shard = 0; shard < 2; shard++)
			assert_int_equal(counts[g][shard], 50);
	clear(scene);
}

/* ---- coming and going ---- */

#define PARTS 6

/* What hangs on one filter, taken away in this order: every other part is found until it goes itself. */
static void remove_in_order(struct scene *scene, uint32_t f, const uint8_t order[PARTS])
{
	static const struct {
		uint32_t group;
		uint16_t shard;
	} PARTS_OF_PER_FILTER[PARTS] = {{0, 0}, {0, 1}, {1, 0}, {1, 3}, {2, 1}, {3, 4}};
	for (int i = 0; i < PARTS; i++)
		add_member(scene, f, PARTS_OF_PER_FILTER[i].group, PARTS_OF_PER_FILTER[i].shard, 1);
	assert_match(scene, "a/b");
	for (int i = 0; i < PARTS; i++) {
		set_route(scene, f, PARTS_OF_PER_FILTER[order[i]].group, PARTS_OF_PER_FILTER[order[i]].shard, 0);
		assert_match(scene, "a/b");
	}
	assert_int_equal(index_size(scene->index).filters, 0);
}

static void remove_in_every_order(struct scene *scene, uint32_t f, uint8_t order[PARTS], int fixed)
{
	if (fixed == PARTS) {
		remove_in_order(scene, f, order);
		reader_quiescent();
		return;
	}
	for (int i = fixed; i < PARTS; i++) {
		uint8_t swapped = order[fixed];
		order[fixed] = order[i];
		order[i] = swapped;
		remove_in_every_order(scene, f, order, fixed + 1);
		order[i] = order[fixed];
		order[fixed] = swapped;
	}
}

static void test_removal_in_every_order(void **state)
{
	for (uint32_t f = 1; f < 8; f += 4) { /* an exact filter and one of the trie */
		uint8_t order[PARTS] = {0, 1, 2, 3, 4, 5};
		remove_in_every_order(*state, f, order, 0);
	}
}

static void test_looking_without_creating_leaves_nothing(void **state)
{
	struct scene *scene = *state;
	for (uint32_t f = 0; f < FILTERS; f++) {
		struct index_slot slot = find(scene, f, 1, false);
		assert_int_equal(slot.node, 0);
		index_leave(slot);
		slot = find(scene, f, 1, true);
		assert_int_not_equal(slot.node, 0);
		index_leave(slot); /* created, but it got no route */
		assert_int_equal(index_size(scene->index).filters, 0);
		/* Beside others on the same filter. */
		set_route(scene, f, 0, 2, scene->next++);
		slot = find(scene, f, 1, false);
		assert_int_equal(slot.node, 0);
		index_leave(slot);
		assert_match(scene, "a/b");
		set_route(scene, f, 0, 2, 0);
	}
}

/* A group's name may be anything but a wildcard; the longest packet that SUBSCRIBE allows holds one such. */
static void test_names_of_any_length(void **state)
{
	struct scene *scene = *state;
	static uint8_t name[65526];
	memset(name, 'g', sizeof(name));
	struct slice groups[] = {slice_of(name, 1), slice_of(name, 254), slice_of(name, sizeof(name))};
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 3; i++) {
			struct index_slot slot =
				index_find_group(scene->index, groups[i], slice_string("t"), round == 0);
			assert_int_not_equal(slot.node, 0);
			assert_true(index_route(slot, 0) == (round == 0 ? 0 : route_for(0, i + 1)));
			index_set_route(slot, 0, round == 0 ? route_for(0, i + 1) : 0);
			index_leave(slot);
		}
		match(scene, "t");
		assert_int_equal(scene->routes.count, round == 0 ? 3 : 0);
	}
}

static void test_name_leads_back_to_the_group(void **state)
{
	struct scene *scene = *state;
	for (uint32_t f = 1; f < 8; f += 4) {
		set_route(scene, f, 1, 2, scene->next++);
		struct index_slot slot = find(scene, f, 1, false);
		uint32_t name = index_name(slot);
		index_leave(slot);
		slot = index_enter(scene->index, name);
		assert_true(index_route(slot, 2) == route_for(2, scene->nodes[f][1].index[2]));
		index_set_route(slot, 2, 0);
		index_leave(slot);
		scene->nodes[f][1].index[2] = 0;
		assert_match(scene, "a/b");
	}
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_random_changes_against_a_model),
		IN_SCENE(test_pick_of_another_member),
		IN_SCENE(test_turns_by_connected_members),
		IN_SCENE(test_turns_of_several_groups),
		IN_SCENE(test_turns_of_topics_that_alternate),
		IN_SCENE(test_removal_in_every_order),
		IN_SCENE(test_looking_without_creating_leaves_nothing),
		IN_SCENE(test_names_of_any_length),
		IN_SCENE(test_name_leads_back_to_the_group),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
