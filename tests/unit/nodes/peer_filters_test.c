/* What a peer tells of its filters, entered into the index and the digest; and what it must not be able to do. */
#include "cluster/wire/wire.h"
#include "nodes/interest/interest_kinds.h"
#include "nodes/interest/peer_filters.h"
#include "topics/index/rcu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 2u
#define SLOT 9u
#define BIT ((uint64_t)1 << SLOT)

struct scene {
	struct index *index;
	struct node_filters *filters;
	struct peer_filters peer;
	struct routes routes;
};

static void wake(void *context)
{
	(void)context;
}

static int scene_open(void **state)
{
	static struct scene scene;
	struct hash_key key = {{9}};
	scene = (struct scene){.index = index_new(SHARDS, &key, NULL), .filters = node_filters_new("test", wake, NULL)};
	struct index_watcher watcher = {node_filters_changed, scene.filters};
	assert_int_equal(index_watch(scene.index, &watcher, true, NULL), ERROR_OK);
	reader_register();
	peer_filters_init(&scene.peer, SLOT, scene.index, scene.filters, SHARDS);
	*state = &scene;
	return 0;
}

/* What it has told is withdrawn, without a rest. */
static int scene_close(void **state)
{
	struct scene *scene = *state;
	peer_filters_fini(&scene->peer);
	assert_int_equal(index_size(scene->index).filters, 0);
	assert_true(node_filters_ask(scene->filters, slice_string("t")) == 0);
	routes_fini(&scene->routes);
	reader_unregister();
	node_filters_free(scene->filters);
	index_free(scene->index);
	return 0;
}

static bool tell_other(struct scene *scene, uint32_t name, enum index_kind kind, uint16_t live, const char *text)
{
	uint8_t body[256];
	uint8_t *at = wire_put_u32(body, name);
	at = wire_put_u16(at, 7);
	at = wire_put_u8(at, (uint8_t)kind);
	at = wire_put_u16(at, live);
	at = wire_put_u16(at, live);
	memcpy(at, text, strlen(text));
	return peer_filters_other(&scene->peer, slice_of(body, (size_t)(at - body) + strlen(text)));
}

static bool tell_end(struct scene *scene, uint8_t is_all)
{
	return peer_filters_end(&scene->peer, slice_of(&is_all, 1));
}

static uint32_t match(struct scene *scene, const char *topic)
{
	struct index_place place = {0};
	scene->routes.count = 0;
	scene->routes.peers = 0;
	scene->routes.units_left = 10000;
	assert_int_equal(index_match(scene->index, slice_string(topic), &place, &scene->routes), ERROR_OK);
	return scene->routes.count;
}

static void test_wants_everything_until_all_is_told(void **state)
{
	struct scene *scene = *state;
	peer_filters_begin(&scene->peer);
	assert_true(node_filters_ask(scene->filters, slice_string("any")) == BIT);
	assert_true(tell_other(scene, 5, INDEX_WILDCARD, 0, "a/+"));
	assert_true(tell_end(scene, 0));
	assert_true(node_filters_ask(scene->filters, slice_string("any")) == 0);
	assert_int_equal(match(scene, "a/b"), 0);
	assert_true(scene->routes.peers == BIT);
	peer_filters_begin(&scene->peer); /* another run of it, which does not tell of that */
	assert_true(tell_other(scene, 5, INDEX_WILDCARD, 0, "b/#")); /* the name is another filter's now */
	assert_true(tell_end(scene, 0));
	match(scene, "a/b");
	assert_true(scene->routes.peers == 0);
	match(scene, "b");
	assert_true(scene->routes.peers == BIT);
	peer_filters_begin(&scene->peer);
	assert_true(tell_end(scene, 1));
	assert_true(node_filters_ask(scene->filters, slice_string("any")) == BIT);
}

static void test_exact_filters(void **state)
{
	struct scene *scene = *state;
	uint32_t fingerprint = node_filters_fingerprint(scene->filters, slice_string("t"));
	uint8_t body[16];
	peer_filters_begin(&scene->peer);
	uint8_t *at = wire_put_u8(body, (uint8_t)digest_range_of(fingerprint));
	at = wire_put_u32(at, fingerprint);
	assert_true(peer_filters_range(&scene->peer, slice_of(body, (size_t)(at - body))));
	assert_true(tell_end(scene, 0));
	assert_true(node_filters_ask(scene->filters, slice_string("t")) == BIT);
	assert_true(node_filters_ask(scene->filters, slice_string("u")) == 0);
	at = wire_put_u32(body, 0); /* it ends */
	at = wire_put_u32(at, fingerprint);
	assert_true(peer_filters_exact(&scene->peer, slice_of(body, (size_t)(at - body))));
	assert_true(node_filters_ask(scene->filters, slice_string("t")) == 0);
	at = wire_put_u32(body, 1); /* and begins again */
	at = wire_put_u32(at, fingerprint);
	assert_true(peer_filters_exact(&scene->peer, slice_of(body, (size_t)(at - body))));
	uint8_t sums[DIGEST_RANGES * sizeof(uint32_t)] = {0};
	uint8_t ranges[DIGEST_RANGES];
	uint32_t count;
	assert_true(peer_filters_sums(&scene->peer, slice_of(sums, sizeof(sums)), ranges, &count));
	assert_int_equal(count, 1);
	assert_int_equal(ranges[0], digest_range_of(fingerprint));
}

static void test_shared_subscriptions(void **state)
{
	struct scene *scene = *state;
	uint8_t body[16];
	peer_filters_begin(&scene->peer);
	assert_true(tell_other(scene, 77, INDEX_GROUP, 2, "$share/g/t"));
	assert_int_equal(match(scene, "t"), 1);
	assert_int_equal(route_shard(scene->routes.items[0]), SHARDS + SLOT);
	assert_int_equal(route_index(scene->routes.items[0]), 77);
	assert_int_equal(route_generation(scene->routes.items[0]), 7);
	/* A member here goes first when the peer is away, or its members are. */
	struct index_slot slot = index_find_group(scene->index, slice_string("g"), slice_string("t"), true);
	assert_int_equal(index_set_route(slot, 0, route_make(ROUTE_ONE, 0, 1, 1)), ERROR_OK);
	index_leave(slot);
	match(scene, "t");
	assert_int_equal(route_shard(scene->routes.items[0]), SHARDS + SLOT);
	peer_filters_set_away(&scene->peer, true);
	match(scene, "t");
	assert_int_equal(route_shard(scene->routes.items[0]), 0);
	assert_int_equal(route_shard(peer_filters_pick_other(&scene->peer, 77, 7, &scene->routes)), 0);
	assert_true(peer_filters_pick_other(&scene->peer, 77, 8, &scene->routes) == 0);
	peer_filters_set_away(&scene->peer, false);
	uint8_t *at = wire_put_u32(body, 77);
	at = wire_put_u16(at, 0);
	at = wire_put_u16(at, 0);
	assert_true(peer_filters_members(&scene->peer, slice_of(body, (size_t)(at - body))));
	match(scene, "t");
	assert_int_equal(route_shard(scene->routes.items[0]), 0);
	slot = index_find_group(scene->index, slice_string("g"), slice_string("t"), false);
	assert_int_equal(index_set_route(slot, 0, 0), ERROR_OK);
	index_leave(slot);
	wire_put_u32(body, 77);
	assert_true(peer_filters_other_ends(&scene->peer, slice_of(body, 4)));
	assert_int_equal(match(scene, "t"), 0);
}

static void test_what_is_no_filter(void **state)
{
	struct scene *scene = *state;
	uint8_t body[64] = {0};
	peer_filters_begin(&scene->peer);
	assert_false(tell_other(scene, 0, INDEX_WILDCARD, 0, "a/+"));
	assert_false(tell_other(scene, 1, INDEX_EXACT, 0, "a"));
	assert_false(tell_other(scene, 1, INDEX_WILDCARD, 0, "a"));
	assert_false(tell_other(scene, 1, INDEX_WILDCARD, 0, ""));
	assert_false(tell_other(scene, 1, INDEX_WILDCARD, 0, "a#"));
	assert_false(tell_other(scene, 1, INDEX_WILDCARD, 0, "$share/g/+"));
	assert_false(tell_other(scene, 1, INDEX_GROUP, 0, "$share//t"));
	assert_false(tell_other(scene, 1, INDEX_GROUP, 0, "t"));
	assert_false(tell_other(scene, 1, (enum index_kind)9, 0, "t/+"));
	assert_false(peer_filters_other(&scene->peer, slice_of(body, 10)));
	assert_false(peer_filters_range(&scene->peer, slice_of(body, 0)));
	assert_false(peer_filters_range(&scene->peer, slice_of(body, 4)));
	body[0] = 3; /* a fingerprint of another range */
	assert_false(peer_filters_range(&scene->peer, slice_of(body, 5)));
	wire_put_u32(body, 2); /* more than there are */
	assert_false(peer_filters_exact(&scene->peer, slice_of(body, 8)));
	assert_false(peer_filters_other_ends(&scene->peer, slice_of(body, 3)));
	assert_false(peer_filters_members(&scene->peer, slice_of(body, 7)));
	assert_false(peer_filters_end(&scene->peer, slice_of(body, 2)));
	assert_true(tell_end(scene, 0));
}

/* More than it may have: it wants everything then, and costs no more. */
static void test_too_many(void **state)
{
	struct scene *scene = *state;
	char text[32];
	peer_filters_begin(&scene->peer);
	for (uint32_t i = 1; i <= INTEREST_OTHERS_MAX + 10; i++) {
		snprintf(text, sizeof(text), "%u/+", i);
		assert_true(tell_other(scene, i, INDEX_WILDCARD, 0, text));
		if (i % 1000 == 0)
			reader_quiescent();
	}
	assert_true(tell_end(scene, 0));
	assert_int_equal(index_size(scene->index).filters, INTEREST_OTHERS_MAX);
	assert_true(node_filters_ask(scene->filters, slice_string("x")) == BIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wants_everything_until_all_is_told, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_exact_filters, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_shared_subscriptions, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_what_is_no_filter, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_too_many, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
