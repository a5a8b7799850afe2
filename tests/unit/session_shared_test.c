/* Shared subscriptions of two shards' clients: one member gets each message, a connected one where there is any, and
 * all of those in turn; members come, go, connect and disconnect, also while a walk is on its way to one. */
#include "match_all.h"
#include "random.h"
#include "subscriptions/subscriber_lists.h"
#include "subscriptions/subscriptions.h"
#include "topics/index/rcu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 2u
#define CLIENTS 8u /* of each shard, from 1 */
#define FILTERS 5u
#define LIMIT 1000u

/* One a topic, so that a match tells of one only. */
static const char *const FILTER_TEXTS[FILTERS] = {"$share/g/a", "$share/g/b/+", "$share/other group/c", "$share/g/d/#",
						  "e"};
static const char *const TOPICS[FILTERS] = {"a", "b/x", "c", "d", "e"};
#define PLAIN 4u /* the one that is not shared */

struct member {
	struct session session;
	bool subscribed[FILTERS];
	bool live;
};

struct scene {
	struct index *index;
	struct subscriptions subscriptions[SHARDS];
	struct routes routes;
	struct random random;
	struct member members[SHARDS][CLIENTS + 1];
};

static int scene_open(void **state)
{
	static struct scene scene;
	struct hash_key key = {{4}};
	scene = (struct scene){.index = index_new(SHARDS, &key, NULL), .random = {121}};
	assert_non_null(scene.index);
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		assert_int_equal(subscriptions_open(&scene.subscriptions[shard], NULL, scene.index, shard, LIMIT),
				 ERROR_OK);
		for (uint32_t client = 1; client <= CLIENTS; client++)
			scene.members[shard][client].live = true;
	}
	reader_register();
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		for (uint32_t client = 1; client <= CLIENTS; client++)
			subscriptions_clear(&scene->subscriptions[shard], &scene->members[shard][client].session,
					    UINT32_MAX);
		assert_int_equal(scene->subscriptions[shard].pool.used, 0);
		assert_int_equal(scene->subscriptions[shard].lists.used, 0);
		subscriptions_close(&scene->subscriptions[shard]);
	}
	assert_int_equal(index_size(scene->index).filters, 0);
	reader_unregister();
	routes_fini(&scene->routes);
	index_free(scene->index);
	return 0;
}

/* ---- changes ---- */

/* By a client that is connected. */
static void add(struct scene *scene, uint16_t shard, uint32_t client, uint32_t f)
{
	struct member *member = &scene->members[shard][client];
	struct subscription_made made;
	struct subscription_wanted wanted = {
		.filter = slice_string(FILTER_TEXTS[f]), .identifier = f + 1, .options = (uint8_t)(f % 3)};
	assert_true(member->live);
	assert_int_equal(subscriptions_add(&scene->subscriptions[shard], &member->session, (struct client_ref){client},
					   &wanted, &made),
			 ERROR_OK);
	assert_int_equal(made.replaced, member->subscribed[f]);
	member->subscribed[f] = true;
}

static void drop(struct scene *scene, uint16_t shard, uint32_t client, uint32_t f)
{
	struct member *member = &scene->members[shard][client];
	struct subscription_ref ended =
		subscriptions_remove(&scene->subscriptions[shard], &member->session, (struct client_ref){client},
				     slice_string(FILTER_TEXTS[f]));
	assert_int_equal(!subscription_ref_is_none(ended), member->subscribed[f]);
	assert_null(subscriptions_of_client(&scene->subscriptions[shard], ended, (struct client_ref){client}));
	member->subscribed[f] = false;
}

static void clear(struct scene *scene, uint16_t shard, uint32_t client)
{
	struct member *member = &scene->members[shard][client];
	subscriptions_clear(&scene->subscriptions[shard], &member->session, UINT32_MAX);
	memset(member->subscribed, 0, sizeof(member->subscribed));
}

static void set_live(struct scene *scene, uint16_t shard, uint32_t client, bool live)
{
	struct member *member = &scene->members[shard][client];
	struct subscription_ref cursor = {0};
	while (subscriptions_set_live_some(&scene->subscriptions[shard], &member->session, live, &cursor,
					   1 + random_below(&scene->random, 3)))
		;
	member->live = live;
}

static uint32_t count_members(const struct scene *scene, uint32_t f, bool live_only)
{
	uint32_t count = 0;
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		for (uint32_t client = 1; client <= CLIENTS; client++) {
			const struct member *member = &scene->members[shard][client];
			count += member->subscribed[f] && (member->live || !live_only);
		}
	}
	return count;
}

/* ---- walks ---- */

/* The route of a message to the filter's members, 0: none. */
static route_bits match(struct scene *scene, uint32_t f)
{
	assert_int_equal(match_all(scene->index, slice_string(TOPICS[f]), &scene->routes), ERROR_OK);
	assert_in_range(scene->routes.count, 0, 1);
	return scene->routes.count != 0 ? scene->routes.items[0] : 0;
}

/* The one member that a route leads to. */
static struct member *walk_to(struct scene *scene, uint32_t f, route_bits route)
{
	struct subscriptions *subscriptions = &scene->subscriptions[route_shard(route)];
	assert_int_equal(subscriptions_count(subscriptions, route), 1);
	subscriptions_walk(subscriptions, route);
	const struct subscription *subscription = subscriptions_next(subscriptions);
	assert_non_null(subscription);
	assert_int_equal(subscription->identifier, f + 1);
	assert_int_equal(subscription->options & SUBSCRIPTION_QOS_MASK, f % 3);
	assert_int_not_equal(subscription->options & SUBSCRIPTION_SHARED, 0);
	assert_null(subscriptions_next(subscriptions));
	struct subscription_ref index = subscriptions_ref(subscriptions, subscription);
	assert_ptr_equal(subscriptions_of_client(subscriptions, index, subscription->client), subscription);
	assert_null(subscriptions_of_client(subscriptions, index, (struct client_ref){subscription->client.index + 1}));
	struct member *member = &scene->members[route_shard(route)][subscription->client.index];
	assert_true(member->subscribed[f]);
	return member;
}

static void deliver(struct scene *scene, uint32_t f)
{
	route_bits route = match(scene, f);
	assert_int_equal(route != 0, count_members(scene, f, false) != 0);
	if (route != 0 && walk_to(scene, f, route)->live == false)
		assert_int_equal(count_members(scene, f, true), 0);
}

/* As many messages as connected members, some rounds: each gets one a round. */
static void assert_turns(struct scene *scene, uint32_t f)
{
	enum { ROUNDS = 3 };
	uint32_t counts[SHARDS][CLIENTS + 1] = {{0}};
	uint32_t live = count_members(scene, f, true);
	for (uint32_t i = 0; i < ROUNDS * live; i++) {
		const struct member *member = walk_to(scene, f, match(scene, f));
		for (uint16_t shard = 0; shard < SHARDS; shard++) {
			if (member >= scene->members[shard] && member <= &scene->members[shard][CLIENTS])
				counts[shard][member - scene->members[shard]]++;
		}
	}
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		for (uint32_t client = 1; client <= CLIENTS; client++) {
			const struct member *member = &scene->members[shard][client];
			assert_int_equal(counts[shard][client], member->subscribed[f] && member->live ? ROUNDS : 0);
		}
	}
}

/* The session's shared subscription behind `index`, of 0 the first; 0 at the end. */
static struct subscription_ref next_shared(const struct subscriptions *subscriptions, const struct session *session,
					   struct subscription_ref index)
{
	const struct subscription *subscription = NULL;
	do {
		index = subscription_ref_is_none(index) ? session->subscription
							: subscription_at(&subscriptions->pool, index)->client_next;
		subscription = subscription_ref_is_none(index) ? NULL : subscription_at(&subscriptions->pool, index);
	} while (subscription != NULL && (subscription->options & SUBSCRIPTION_SHARED) == 0);
	return index;
}

/* Every shared subscription of the session once, and no other. */
static void assert_shared(const struct scene *scene, uint16_t shard, uint32_t client)
{
	const struct member *member = &scene->members[shard][client];
	const struct subscriptions *subscriptions = &scene->subscriptions[shard];
	uint32_t seen = 0;
	uint32_t wanted = 0;
	for (uint32_t f = 0; f < PLAIN; f++)
		wanted |= member->subscribed[f] ? 1u << f : 0;
	struct subscription_ref index = {0};
	while (!subscription_ref_is_none(index = next_shared(subscriptions, &member->session, index))) {
		const struct subscription *subscription =
			subscriptions_of_client(subscriptions, index, (struct client_ref){client});
		assert_non_null(subscription);
		uint32_t bit = 1u << (subscription->identifier - 1);
		assert_int_equal(seen & bit, 0);
		seen |= bit;
	}
	assert_int_equal(seen, wanted);
}

static void step(struct scene *scene)
{
	uint16_t shard = (uint16_t)random_below(&scene->random, SHARDS);
	uint32_t client = 1 + random_below(&scene->random, CLIENTS);
	uint32_t f = random_below(&scene->random, FILTERS);
	uint32_t what = random_below(&scene->random, 20);
	if (what < 8) {
		if (!scene->members[shard][client].live)
			set_live(scene, shard, client, true);
		add(scene, shard, client, f);
	} else if (what < 12) {
		drop(scene, shard, client, f);
	} else if (what == 12) {
		clear(scene, shard, client);
	} else if (what < 18) {
		set_live(scene, shard, client, random_below(&scene->random, 2) != 0);
	}
	assert_shared(scene, shard, client);
	if (f != PLAIN)
		deliver(scene, f);
}

static void test_random_changes_against_a_model(void **state)
{
	struct scene *scene = *state;
	for (int i = 0; i < 60000; i++) {
		step(scene);
		if (i % 16 == 0)
			assert_turns(scene, random_below(&scene->random, PLAIN));
		if (i % 64 == 0)
			reader_quiescent();
	}
}

/* ---- in particular ---- */

static void test_nobody_is_connected(void **state)
{
	struct scene *scene = *state;
	add(scene, 0, 1, 0);
	add(scene, 0, 2, 0);
	set_live(scene, 0, 1, false);
	for (int i = 0; i < 4; i++)
		assert_ptr_equal(walk_to(scene, 0, match(scene, 0)), &scene->members[0][2]);
	set_live(scene, 0, 2, false);
	/* Those who may come back take turns. */
	uint32_t first = 0;
	for (int i = 0; i < 10; i++)
		first += walk_to(scene, 0, match(scene, 0)) == &scene->members[0][1];
	assert_int_equal(first, 5);
	set_live(scene, 0, 1, true);
	for (int i = 0; i < 4; i++)
		assert_ptr_equal(walk_to(scene, 0, match(scene, 0)), &scene->members[0][1]);
}

static struct subscription_ref shared_of(struct scene *scene, uint16_t shard, uint32_t client)
{
	struct subscription_ref index = next_shared(&scene->subscriptions[shard],
						    &scene->members[shard][client].session, subscription_ref_none());
	assert_false(subscription_ref_is_none(index));
	return index;
}

/* For what a member leaves behind when its connection ends. */
static void test_another_member(void **state)
{
	struct scene *scene = *state;
	add(scene, 0, 1, 0);
	struct subscription_ref own = shared_of(scene, 0, 1);
	set_live(scene, 0, 1, false);
	assert_true(subscriptions_other_member(&scene->subscriptions[0], own, &scene->routes) == 0);
	add(scene, 0, 2, 0);
	add(scene, 1, 1, 0);
	add(scene, 1, 2, 0);
	uint32_t there = 0;
	for (int i = 0; i < 30; i++) {
		route_bits route = subscriptions_other_member(&scene->subscriptions[0], own, &scene->routes);
		const struct member *member = walk_to(scene, 0, route);
		assert_true(member->live);
		there += route_shard(route) == 1;
	}
	assert_int_equal(there, 20); /* by connected members */
	set_live(scene, 1, 1, false);
	set_live(scene, 1, 2, false);
	drop(scene, 0, 2, 0);
	assert_true(subscriptions_other_member(&scene->subscriptions[0], own, &scene->routes) == 0);
}

/* The member whose turn it is ends, or its connection does, before the walk comes to it. */
static void test_changes_between_a_walk_and_its_member(void **state)
{
	struct scene *scene = *state;
	struct subscriptions *subscriptions = &scene->subscriptions[0];
	for (int round = 0; round < 4; round++) {
		for (uint32_t client = 1; client <= 3; client++)
			add(scene, 0, client, 0);
		subscriptions_walk(subscriptions, match(scene, 0));
		for (uint32_t client = 1; client <= 3; client++) {
			if (round == 0)
				drop(scene, 0, client, 0);
			else if (round == 1)
				clear(scene, 0, client);
			else
				set_live(scene, 0, client, round == 3);
		}
		const struct subscription *subscription = subscriptions_next(subscriptions);
		assert_int_equal(subscription != NULL, round >= 2);
		assert_null(subscriptions_next(subscriptions));
		for (uint32_t client = 1; client <= 3; client++) {
			clear(scene, 0, client);
			set_live(scene, 0, client, true);
		}
	}
}

/* The same filter shared, in two groups, and plain: four subscriptions that know nothing of each other. */
static void test_same_filter_in_several_ways(void **state)
{
	struct scene *scene = *state;
	static const char *const WAYS[] = {"t/#", "$share/g/t/#", "$share/h/t/#", "$share/g/t/+"};
	struct subscriptions *subscriptions = &scene->subscriptions[0];
	struct session *session = &scene->members[0][1].session;
	for (uint32_t i = 0; i < 4; i++) {
		struct subscription_made made;
		struct subscription_wanted wanted = {.filter = slice_string(WAYS[i]), .identifier = i + 1};
		assert_int_equal(subscriptions_add(subscriptions, session, (struct client_ref){1}, &wanted, &made),
				 ERROR_OK);
		assert_false(made.replaced);
	}
	assert_int_equal(session->subscription_count, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(match_all(scene->index, slice_string("t/x"), &scene->routes), ERROR_OK);
		assert_int_equal(scene->routes.count, 4 - i);
		struct slice way = slice_string(WAYS[i]);
		assert_false(subscription_ref_is_none(
			subscriptions_remove(subscriptions, session, (struct client_ref){1}, way)));
		assert_true(subscription_ref_is_none(
			subscriptions_remove(subscriptions, session, (struct client_ref){1}, way)));
	}
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_random_changes_against_a_model),
		IN_SCENE(test_nobody_is_connected),
		IN_SCENE(test_another_member),
		IN_SCENE(test_changes_between_a_walk_and_its_member),
		IN_SCENE(test_same_filter_in_several_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
