/* A match in slices: bounded work in each, and whatever is there all the time is found once, also while the index
 * changes between them. */
#include "match_all.h"
#include "random.h"
#include "topics/index/rcu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHARDS 3u
#define LEVELS 10u
#define FILTERS (1u << LEVELS)
#define GROUPS 3000u
/* More than a slice may overdraw: the routes of a node, and a long level's text. */
#define OVERDRAFT 8

struct scene {
	struct index *index;
	struct routes routes;
	struct random random;
	uint32_t slices;
};

static int scene_open(void **state)
{
	static struct scene scene;
	struct hash_key key = {{1, 2, 3}};
	scene = (struct scene){.index = index_new(SHARDS, &key, NULL), .random = {7}};
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

/* All levels are "a" or, where the number has its bit, "+". */
static void filter_text(uint32_t number, char out[2 * LEVELS])
{
	for (uint32_t level = 0; level < LEVELS; level++) {
		out[2 * level] = (number >> level & 1u) != 0 ? '+' : 'a';
		out[2 * level + 1] = level + 1 < LEVELS ? '/' : '\0';
	}
}

static void set(struct index_slot slot, uint16_t shard, uint32_t index)
{
	if (slot.node != 0) {
		route_bits route = index != 0 ? route_make(ROUTE_ONE, shard, 1, index) : 0;
		assert_int_equal(index_set_route(slot, shard, route), ERROR_OK);
	}
	index_leave(slot);
}

/* index 0 takes it away. */
static void set_filter(struct scene *scene, uint32_t number, uint32_t index)
{
	char text[2 * LEVELS];
	filter_text(number, text);
	set(index_find(scene->index, slice_string(text), index != 0), (uint16_t)(number % SHARDS), index);
}

static void set_group(struct scene *scene, const char *filter, uint32_t number, uint32_t index)
{
	char name[16];
	snprintf(name, sizeof(name), "g%u", number);
	set(index_find_group(scene->index, slice_string(name), slice_string(filter), index != 0),
	    (uint16_t)(number % SHARDS), index);
}

/* Matches in slices and counts what is found by its index. between: what happens after each slice. */
static void match_in_slices(struct scene *scene, const char *topic, int32_t units, void (*between)(struct scene *scene),
			    uint32_t found[])
{
	struct index_place place = {0};
	enum error error = ERROR_MORE;
	for (scene->slices = 0; error == ERROR_MORE; scene->slices++) {
		scene->routes.count = 0;
		scene->routes.units_left = units;
		error = index_match(scene->index, slice_string(topic), &place, &scene->routes);
		assert_true(scene->routes.units_left > -OVERDRAFT);
		assert_true((int64_t)scene->routes.count <= units + OVERDRAFT);
		for (uint32_t i = 0; i < scene->routes.count; i++)
			found[route_index(scene->routes.items[i])]++;
		reader_quiescent();
		if (between != NULL)
			between(scene);
	}
	assert_int_equal(error, ERROR_OK);
}

static void assert_each_once(const uint32_t found[], uint32_t count)
{
	for (uint32_t i = 1; i <= count; i++) {
		if (found[i] != 1)
			fail_msg("route %u was found %u times", i, found[i]);
	}
}

static const char TOPIC[] = "a/a/a/a/a/a/a/a/a/a";

static void test_a_tree_of_wildcards(void **state)
{
	struct scene *scene = *state;
	for (uint32_t i = 0; i < FILTERS; i++)
		set_filter(scene, i, i + 1);
	for (int32_t units = 1; units < 5000; units = units * 3 + 1) {
		uint32_t found[FILTERS + 1] = {0};
		match_in_slices(scene, TOPIC, units, NULL, found);
		assert_each_once(found, FILTERS);
		/* Each node and each route is at most one unit: 2047 nodes, 1024 routes. */
		assert_true(scene->slices >= 3000u / (uint32_t)(units + OVERDRAFT));
	}
	for (uint32_t i = 0; i < FILTERS; i++)
		set_filter(scene, i, 0);
}

/* Every second filter goes and comes again. */
static void change_some(struct scene *scene)
{
	for (uint32_t i = 0; i < 20; i++) {
		uint32_t number = random_below(&scene->random, FILTERS / 2) * 2;
		set_filter(scene, number, 0);
		if (i % 2 != 0)
			set_filter(scene, number, number + 1);
	}
}

static void test_what_stays_is_found_once(void **state)
{
	struct scene *scene = *state;
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < FILTERS; i++)
			set_filter(scene, i, i + 1);
		uint32_t found[FILTERS + 1] = {0};
		match_in_slices(scene, TOPIC, 1 + (int32_t)round * 5, change_some, found);
		for (uint32_t i = 1; i < FILTERS; i += 2)
			assert_int_equal(found[i + 1], 1);
		for (uint32_t i = 0; i < FILTERS; i += 2)
			assert_true(found[i + 1] <= 1);
	}
	for (uint32_t i = 0; i < FILTERS; i++)
		set_filter(scene, i, 0);
}

static void clear_all(struct scene *scene)
{
	for (uint32_t i = 0; i < FILTERS; i++)
		set_filter(scene, i, 0);
}

static void test_all_goes_while_it_is_paused(void **state)
{
	struct scene *scene = *state;
	for (uint32_t i = 0; i < FILTERS; i++)
		set_filter(scene, i, i + 1);
	uint32_t found[FILTERS + 1] = {0};
	match_in_slices(scene, TOPIC, 100, clear_all, found);
	assert_int_equal(scene->slices, 2);
}

static const char *const GROUP_FILTERS[] = {"x/y", "x/+", "x/#", "#", "+/y/#"};
#define GROUP_FILTERS_COUNT (sizeof(GROUP_FILTERS) / sizeof(GROUP_FILTERS[0]))

static void test_many_groups_on_a_filter(void **state)
{
	struct scene *scene = *state;
	static uint32_t found[GROUP_FILTERS_COUNT * GROUPS + 1];
	for (uint32_t f = 0; f < GROUP_FILTERS_COUNT; f++) {
		for (uint32_t i = 0; i < GROUPS; i++)
			set_group(scene, GROUP_FILTERS[f], i, f * GROUPS + i + 1);
	}
	for (int32_t units = 2; units < 5000; units = units * 5 + 1) {
		memset(found, 0, sizeof(found));
		match_in_slices(scene, "x/y", units, NULL, found);
		assert_each_once(found, GROUP_FILTERS_COUNT * GROUPS);
		assert_true(scene->slices >= GROUP_FILTERS_COUNT * GROUPS / (uint32_t)(units + OVERDRAFT));
	}
	for (uint32_t f = 0; f < GROUP_FILTERS_COUNT; f++) {
		for (uint32_t i = 0; i < GROUPS; i++)
			set_group(scene, GROUP_FILTERS[f], i, 0);
	}
}

static void change_groups(struct scene *scene)
{
	for (uint32_t i = 0; i < 20; i++) {
		uint32_t number = random_below(&scene->random, GROUPS / 2) * 2;
		set_group(scene, "x/#", number, 0);
		if (i % 2 != 0)
			set_group(scene, "x/#", number, number + 1);
	}
}

static void test_groups_that_stay_are_found_once(void **state)
{
	struct scene *scene = *state;
	static uint32_t found[GROUPS + 1];
	for (uint32_t round = 0; round < 10; round++) {
		for (uint32_t i = 0; i < GROUPS; i++)
			set_group(scene, "x/#", i, i + 1);
		memset(found, 0, sizeof(found));
		match_in_slices(scene, "x/y", 2 + (int32_t)round * 7, change_groups, found);
		for (uint32_t i = 1; i < GROUPS; i += 2)
			assert_int_equal(found[i + 1], 1);
		for (uint32_t i = 0; i < GROUPS; i += 2)
			assert_true(found[i + 1] <= 1);
	}
	/* In another order than they came, so that nodes which others hang on go first. */
	for (uint32_t i = GROUPS; i-- != 0;)
		set_group(scene, "x/#", i * 7 % GROUPS, 0);
	for (uint32_t i = 0; i < GROUPS; i++)
		set_group(scene, "x/#", i, 0);
}

/* 128 levels of 500 bytes: the texts are work too. */
static void test_long_levels(void **state)
{
	struct scene *scene = *state;
	static char text[65536];
	size_t used = 0;
	for (uint32_t level = 0; level < 128; level++) {
		if (level != 0)
			text[used++] = '/';
		memset(text + used, 'a' + (int)(level % 26), 500);
		used += 500;
	}
	struct slice topic = slice_of(text, used);
	struct slice filter = slice_of(text, used + 2);
	memcpy(text + used, "/#", 2);
	set(index_find(scene->index, filter, true), 0, 1);
	uint32_t found[2] = {0};
	text[used] = '\0';
	match_in_slices(scene, text, INDEX_UNITS_MIN, NULL, found);
	assert_int_equal(found[1], 1);
	memcpy(text + used, "/#", 2);
	set(index_find(scene->index, filter, false), 0, 0);
	assert_int_equal(match_all(scene->index, topic, &scene->routes), ERROR_OK);
	assert_int_equal(scene->routes.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_tree_of_wildcards, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_what_stays_is_found_once, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_all_goes_while_it_is_paused, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_many_groups_on_a_filter, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_groups_that_stay_are_found_once, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_long_levels, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
