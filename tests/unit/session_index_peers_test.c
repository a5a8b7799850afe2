/* The index in a cluster: what other nodes have, who is told of filters, and which members a shared subscription picks
 * on which node. */
#include "match_all.h"
#include "topics/index/index.h"
#include "topics/index/rcu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 3u
#define PEER (SHARDS + 5u) /* the number of slot 5 */

struct scene {
	struct index *index;
	struct routes routes;
	char told[1 << 18];
};

static void changed(void *context, struct index_slot slot, bool begins)
{
	static const char *const KINDS[] = {"exact", "wildcard", "group"};
	struct scene *scene = context;
	uint8_t text[128];
	size_t bytes = index_slot_text(slot, text, sizeof(text));
	size_t at = strlen(scene->told);
	snprintf(scene->told + at, sizeof(scene->told) - at, "%c%s %.*s\n", begins ? '+' : '-', KINDS[index_kind(slot)],
		 (int)bytes, (const char *)text);
}

static int scene_open(void **state)
{
	static struct scene scene;
	struct hash_key key = {{4, 2}};
	scene = (struct scene){.index = index_new(SHARDS, &key, NULL)};
	struct index_watcher watcher = {changed, &scene};
	assert_non_null(scene.index);
	assert_int_equal(index_watch(scene.index, &watcher, true, NULL), ERROR_OK);
	while (index_tell_some(scene.index))
		;
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

static void set(struct scene *scene, const char *filter, uint16_t shard, route_bits route)
{
	struct index_slot slot = index_find(scene->index, slice_string(filter), route != 0);
	assert_int_equal(index_set_route(slot, shard, route), ERROR_OK);
	index_leave(slot);
}

static route_bits one(uint16_t shard, uint32_t index)
{
	return route_make(ROUTE_ONE, shard, 1, index);
}

static void assert_told(struct scene *scene, const char *told)
{
	assert_string_equal(scene->told, told);
	scene->told[0] = '\0';
}

static void match(struct scene *scene, const char *topic, enum routes_scope scope)
{
	scene->routes.scope = (uint8_t)scope;
	scene->routes.peers = 0;
	assert_int_equal(match_all(scene->index, slice_string(topic), &scene->routes), ERROR_OK);
}

static void test_filters_begin_and_end_once(void **state)
{
	struct scene *scene = *state;
	set(scene, "a/b", 0, one(0, 1));
	assert_told(scene, "+exact a/b\n");
	set(scene, "a/b", 2, one(2, 7));
	set(scene, "a/b", 0, 0);
	set(scene, "a/b", 2, route_make(ROUTE_LIST, 2, 1, 9));
	assert_told(scene, "");
	set(scene, "a/b", 2, 0);
	assert_told(scene, "-exact a/b\n");
	set(scene, "a/+", 1, one(1, 1));
	set(scene, "a/+", 1, 0);
	assert_told(scene, "+wildcard a/+\n-wildcard a/+\n");
}

/* What was there is told once, in whatever order; what comes in the midst of it too. */
static void test_what_is_there_is_told(void **state)
{
	struct scene *scene = *state;
	char filter[32];
	index_tell_no_more(scene->index);
	for (uint32_t i = 0; i < 4000; i++) {
		snprintf(filter, sizeof(filter), i % 4 == 0 ? "+/w/%u/+/+" : "e/%u", i);
		set(scene, filter, (uint16_t)(i % SHARDS), one((uint16_t)(i % SHARDS), i + 1));
	}
	set(scene, "#", 0, one(0, 1));
	set(scene, "+", 0, one(0, 1));
	assert_told(scene, "");
	uint32_t told = 0;
	uint32_t ended = 0;
	for (bool more = true, at_last = false; more || !at_last;) {
		at_last = !more;
		more = index_tell_some(scene->index);
		for (uint32_t i = ended; i < 4000 && i < ended + 40; i++) { /* of some it was told, of some not */
			snprintf(filter, sizeof(filter), i % 4 == 0 ? "+/w/%u/+/+" : "e/%u", i);
			set(scene, filter, (uint16_t)(i % SHARDS), 0);
			snprintf(filter, sizeof(filter), "new/%u", i);
			set(scene, filter, 0, one(0, 1));
		}
		ended = ended + 40 < 4000 ? ended + 40 : 4000;
		reader_quiescent();
		for (const char *at = scene->told; *at != '\0'; at++) {
			told += *at == '+' && (at == scene->told || at[-1] == '\n');
			told -= *at == '-' && (at == scene->told || at[-1] == '\n');
		}
		scene->told[0] = '\0';
	}
	assert_int_equal(told, 4002);
}

/* Subscribers of Roost's own are no news, before, beside and after others. */
static void test_own_clients_are_not_told_of(void **state)
{
	struct scene *scene = *state;
	set(scene, "#", 0, one(0, 1) | ROUTE_OWN);
	set(scene, "#", 1, one(1, 1) | ROUTE_OWN);
	assert_told(scene, "");
	set(scene, "#", 1, route_make(ROUTE_LIST, 1, 1, 4));
	assert_told(scene, "+wildcard #\n");
	match(scene, "x", ROUTES_ALL);
	assert_int_equal(scene->routes.count, 2);
	match(scene, "x", ROUTES_ARRIVED);
	assert_int_equal(scene->routes.count, 1);
	set(scene, "#", 1, route_make(ROUTE_LIST, 1, 1, 4) | ROUTE_OWN);
	assert_told(scene, "-wildcard #\n");
	set(scene, "#", 1, 0);
	set(scene, "#", 0, 0);
	assert_told(scene, "");
}

static void set_peer(struct scene *scene, const char *filter, uint8_t peer, bool wants)
{
	struct index_slot slot = index_find(scene->index, slice_string(filter), wants);
	if (slot.node != 0)
		assert_int_equal(index_set_peer(slot, peer, wants), ERROR_OK);
	index_leave(slot);
}

static void test_matches_say_which_nodes_want_them(void **state)
{
	struct scene *scene = *state;
	uint64_t empty = index_size(scene->index).bytes;
	set_peer(scene, "a/#", 0, true);
	set_peer(scene, "a/#", 63, true);
	set_peer(scene, "+/b", 5, true);
	assert_told(scene, "");
	match(scene, "a/b", ROUTES_ALL);
	assert_int_equal(scene->routes.count, 0);
	assert_true(scene->routes.peers == ((uint64_t)1 << 63 | 1 | 1 << 5));
	match(scene, "a/b", ROUTES_ARRIVED);
	assert_true(scene->routes.peers == 0);
	match(scene, "a/b", ROUTES_HERE);
	assert_true(scene->routes.peers == 0);
	set(scene, "a/#", 1, one(1, 3));
	assert_told(scene, "+wildcard a/#\n");
	match(scene, "a", ROUTES_ALL);
	assert_int_equal(scene->routes.count, 1);
	assert_true(scene->routes.peers == ((uint64_t)1 << 63 | 1));
	set(scene, "a/#", 1, 0);
	assert_told(scene, "-wildcard a/#\n");
	set_peer(scene, "a/#", 0, false);
	set_peer(scene, "a/#", 0, false);
	set_peer(scene, "none", 0, false);
	match(scene, "a/b", ROUTES_ALL);
	assert_true(scene->routes.peers == ((uint64_t)1 << 63 | 1 << 5));
	set_peer(scene, "a/#", 63, false);
	set_peer(scene, "+/b", 5, false);
	assert_int_equal(index_size(scene->index).filters, 0);
	for (int i = 0; i < 200; i++) { /* what waits for a grace period goes in batches */
		set_peer(scene, "+/x", 1, true);
		set_peer(scene, "+/x", 1, false);
		reader_quiescent();
	}
	reader_offline();
	reader_await_deferred();
	reader_online();
	assert_true(index_size(scene->index).bytes < empty + 16384);
}

static void set_group(struct scene *scene, uint8_t peer, route_bits route, uint32_t live, uint32_t free)
{
	struct index_slot slot = index_find_group(scene->index, slice_string("g"), slice_string("t"), route != 0);
	struct index_members members = {live, free};
	if (slot.node != 0)
		assert_int_equal(index_set_peer_group(slot, peer, route, members), ERROR_OK);
	index_leave(slot);
}

static void set_local_group(struct scene *scene, uint16_t shard, route_bits route, uint32_t live, uint32_t free)
{
	struct index_slot slot = index_find_group(scene->index, slice_string("g"), slice_string("t"), route != 0);
	assert_int_equal(index_set_route(slot, shard, route), ERROR_OK);
	index_set_members(slot, shard, (struct index_members){live, free});
	index_leave(slot);
}

static uint32_t count_picks(struct scene *scene, uint32_t of, uint16_t number)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < of; i++) {
		match(scene, "t", ROUTES_ALL);
		assert_int_equal(scene->routes.count, 1);
		count += route_shard(scene->routes.items[0]) == number;
	}
	return count;
}

static void test_local_members_go_first(void **state)
{
	struct scene *scene = *state;
	set_group(scene, 5, route_make(ROUTE_ONE, PEER, 77, 1234), 4, 4);
	assert_told(scene, "");
	assert_int_equal(count_picks(scene, 10, PEER), 10);
	assert_int_equal(route_index(scene->routes.items[0]), 1234);
	set_local_group(scene, 1, one(1, 5), 1, 1);
	assert_told(scene, "+group $share/g/t\n");
	assert_int_equal(count_picks(scene, 10, 1), 10);
	set_local_group(scene, 1, one(1, 5), 1, 0); /* busy: the others are free */
	assert_int_equal(count_picks(scene, 10, PEER), 10);
	set_group(scene, 5, route_make(ROUTE_ONE, PEER, 77, 1234), 4, 0); /* all are */
	assert_int_equal(count_picks(scene, 10, 1), 10);
	set_local_group(scene, 1, one(1, 5), 0, 0); /* not connected */
	assert_int_equal(count_picks(scene, 10, PEER), 10);
	set_group(scene, 5, route_make(ROUTE_ONE, PEER, 77, 1234), 0, 0);
	assert_int_equal(count_picks(scene, 10, 1), 10);
	match(scene, "t", ROUTES_ARRIVED);
	assert_int_equal(scene->routes.count, 0);
	set_local_group(scene, 1, 0, 0, 0);
	assert_told(scene, "-group $share/g/t\n");
	assert_int_equal(count_picks(scene, 4, PEER), 4);
	match(scene, "t", ROUTES_HERE);
	assert_int_equal(scene->routes.count, 0);
	set_group(scene, 5, 0, 0, 0);
	match(scene, "t", ROUTES_ALL);
	assert_int_equal(scene->routes.count, 0);
	assert_int_equal(index_size(scene->index).filters, 0);
}

static void test_members_count_wherever_they_are(void **state)
{
	struct scene *scene = *state;
	struct index_watcher watcher = {changed, scene};
	assert_int_equal(index_watch(scene->index, &watcher, false, NULL), ERROR_OK);
	set_local_group(scene, 2, one(2, 5), 1, 1);
	set_group(scene, 5, route_make(ROUTE_ONE, PEER, 77, 1234), 3, 3);
	assert_int_equal(count_picks(scene, 40, PEER), 30);
	set_group(scene, 63, route_make(ROUTE_ONE, SHARDS + 63, 77, 1), 4, 4);
	assert_int_equal(count_picks(scene, 40, SHARDS + 63), 20);
	struct index_slot slot = index_find_group(scene->index, slice_string("g"), slice_string("t"), false);
	assert_int_equal(index_local_members(slot).live, 1);
	assert_int_equal(route_shard(index_pick_here(slot, &scene->routes)), 2);
	index_set_peer_members(slot, 63, (struct index_members){0, 0});
	index_leave(slot);
	assert_int_equal(count_picks(scene, 40, PEER), 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_filters_begin_and_end_once, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_what_is_there_is_told, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_own_clients_are_not_told_of, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_matches_say_which_nodes_want_them, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_local_members_go_first, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_members_count_wherever_they_are, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
