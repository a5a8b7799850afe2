/* A shard's subscriptions: a filter's route from none to one to a list and back, options that are replaced, a walk
 * while subscriptions end, and routes that are stale. */
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

#define SHARD 3u
#define CLIENTS 200u
#define LIMIT 3000u

struct scene {
	struct index *index;
	struct subscriptions subscriptions;
	struct routes routes;
	struct session sessions[CLIENTS + 1];
};

static int scene_open(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	struct hash_key key = {{4}};
	scene->index = index_new(8, &key, NULL);
	assert_non_null(scene->index);
	assert_int_equal(subscriptions_open(&scene->subscriptions, NULL, scene->index, SHARD, LIMIT), ERROR_OK);
	reader_register();
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	for (uint32_t client = 1; client <= CLIENTS; client++)
		subscriptions_clear(&scene->subscriptions, &scene->sessions[client], UINT32_MAX);
	assert_int_equal(scene->subscriptions.pool.used, 0);
	assert_int_equal(scene->subscriptions.lists.used, 0);
	assert_int_equal(scene->subscriptions.own.entries.used, 0);
	assert_int_equal(index_size(scene->index).filters, 0);
	reader_unregister();
	routes_fini(&scene->routes);
	subscriptions_close(&scene->subscriptions);
	index_free(scene->index);
	free(scene);
	return 0;
}

static bool add(struct scene *scene, uint32_t client, const char *filter, uint8_t options)
{
	struct subscription_made made;
	struct subscription_wanted wanted = {.filter = slice_string(filter), .options = options};
	assert_int_equal(subscriptions_add(&scene->subscriptions, &scene->sessions[client], (struct client_ref){client},
					   &wanted, &made),
			 ERROR_OK);
	return made.replaced;
}

static bool drop(struct scene *scene, uint32_t client, const char *filter)
{
	return !subscription_ref_is_none(subscriptions_remove(&scene->subscriptions, &scene->sessions[client],
							      (struct client_ref){client}, slice_string(filter)));
}

/* The one route that a topic has here; 0: none. */
static route_bits route_of(struct scene *scene, const char *topic)
{
	assert_int_equal(match_all(scene->index, slice_string(topic), &scene->routes), ERROR_OK);
	assert_in_range(scene->routes.count, 0, 1);
	return scene->routes.count != 0 ? scene->routes.items[0] : 0;
}

static void test_route_from_none_to_one_to_list_and_back(void **state)
{
	struct scene *scene = *state;
	assert_true(route_of(scene, "t") == 0);
	add(scene, 1, "t", 0);
	route_bits one = route_of(scene, "t");
	assert_int_equal(route_kind(one), ROUTE_ONE);
	assert_int_equal(route_shard(one), SHARD);
	assert_int_equal(subscriptions_count(&scene->subscriptions, one), 1);
	add(scene, 2, "t", 0);
	add(scene, 3, "t", 0);
	route_bits list = route_of(scene, "t");
	assert_int_equal(route_kind(list), ROUTE_LIST);
	assert_int_equal(subscriptions_count(&scene->subscriptions, list), 3);
	assert_true(drop(scene, 1, "t"));
	assert_true(drop(scene, 3, "t"));
	assert_int_equal(subscriptions_count(&scene->subscriptions, route_of(scene, "t")), 1);
	assert_true(drop(scene, 2, "t"));
	assert_true(route_of(scene, "t") == 0);
	assert_int_equal(scene->subscriptions.lists.used, 0);
}

static void test_same_filter_again_replaces_its_options(void **state)
{
	struct scene *scene = *state;
	assert_false(add(scene, 1, "a/+", SUBSCRIPTION_NO_LOCAL));
	assert_false(add(scene, 2, "a/+", 0));
	assert_true(add(scene, 1, "a/+", SUBSCRIPTION_RETAIN_AS_PUBLISHED | 1));
	assert_int_equal(scene->sessions[1].subscription_count, 1);
	subscriptions_walk(&scene->subscriptions, route_of(scene, "a/b"));
	const struct subscription *subscription;
	uint32_t seen = 0;
	while ((subscription = subscriptions_next(&scene->subscriptions)) != NULL) {
		seen += subscription->client.index;
		assert_int_equal(subscription->options & SUBSCRIPTION_OPTIONS_ASKED,
				 subscription->client.index == 1 ? SUBSCRIPTION_RETAIN_AS_PUBLISHED | 1 : 0);
	}
	assert_int_equal(seen, 3);
}

static void test_removing_what_is_not_there(void **state)
{
	struct scene *scene = *state;
	add(scene, 1, "t", 0);
	assert_false(drop(scene, 2, "t"));
	assert_false(drop(scene, 1, "u"));
	assert_false(drop(scene, 1, "#"));
	assert_true(drop(scene, 1, "t"));
	assert_false(drop(scene, 1, "t"));
	assert_int_equal(scene->sessions[1].subscription_count, 0);
}

/* A client's own subscription is found in a few steps, however many the client has and however many the filter. */
static void test_own_subscription_is_found_without_a_long_walk(void **state)
{
	struct scene *scene = *state;
	char filter[16];
	for (uint32_t client = 1; client <= CLIENTS; client++)
		add(scene, client, "f/0", 0);
	for (uint32_t i = 1; i < 2 * OWN_WALK_MAX; i++) {
		snprintf(filter, sizeof(filter), "f/%u", i);
		add(scene, 2, filter, 0);
	}
	for (uint32_t i = 1; i < 2000; i++) {
		snprintf(filter, sizeof(filter), "f/%u", i);
		add(scene, 1, filter, 0);
		uint64_t before = scene->subscriptions.looks;
		assert_true(add(scene, 1, "f/0", 1));
		assert_in_range(scene->subscriptions.looks - before, 0, OWN_WALK_MAX + 1);
		before = scene->subscriptions.looks;
		assert_false(drop(scene, 3, filter));
		assert_true(add(scene, 2, "f/1", 0));
		assert_in_range(scene->subscriptions.looks - before, 0, 2 * OWN_WALK_MAX + 2);
	}
	/* And of each of the two sessions the sum of bytes. */
	assert_int_equal(scene->subscriptions.own.entries.used, 2000 + 2 * OWN_WALK_MAX + 2);
	assert_true(drop(scene, 1, "f/0"));
	assert_false(drop(scene, 1, "f/0"));
	while (subscriptions_clear(&scene->subscriptions, &scene->sessions[1], 100))
		assert_int_equal(scene->sessions[1].subscription_count % 100, 99);
	assert_int_equal(scene->subscriptions.own.entries.used, 2 * OWN_WALK_MAX + 1);
	assert_false(scene->sessions[1].is_keyed);
}

/* Behind a route to one subscription and behind a list, in a walk and in the table; not where the route is stale, the
 * subscription is another's, or it is shared. */
static void test_own_subscription_behind_a_route(void **state)
{
	struct scene *scene = *state;
	struct subscriptions *subscriptions = &scene->subscriptions;
	char filter[16];
	for (uint32_t many = 0; many < 2; many++) {
		add(scene, 1, "t", 1);
		route_bits alone = route_of(scene, "t");
		assert_int_equal(
			subscriptions_own(subscriptions, &scene->sessions[1], (struct client_ref){1}, alone)->options,
			1);
		assert_null(subscriptions_own(subscriptions, &scene->sessions[2], (struct client_ref){2}, alone));
		add(scene, 2, "t", 2);
		route_bits list = route_of(scene, "t");
		assert_int_equal(subscriptions_own(subscriptions, &scene->sessions[1], (struct client_ref){1}, list)
					 ->client.index,
				 1);
		assert_int_equal(subscriptions_own(subscriptions, &scene->sessions[2], (struct client_ref){2}, list)
					 ->client.index,
				 2);
		assert_null(subscriptions_own(subscriptions, &scene->sessions[3], (struct client_ref){3}, list));
		drop(scene, 1, "t");
		assert_null(subscriptions_own(subscriptions, &scene->sessions[1], (struct client_ref){1}, alone));
		assert_null(subscriptions_own(subscriptions, &scene->sessions[1], (struct client_ref){1}, list));
		drop(scene, 2, "t");
		assert_null(subscriptions_own(subscriptions, &scene->sessions[2], (struct client_ref){2}, list));
		for (uint32_t i = 0; i < 2 * OWN_WALK_MAX; i++) { /* for the second round */
			snprintf(filter, sizeof(filter), "f/%u", i);
			add(scene, 1, filter, 0);
		}
	}
	add(scene, 1, "$share/g/s", 1);
	route_bits one = route_of(scene, "s");
	assert_null(subscriptions_own(subscriptions, &scene->sessions[1], (struct client_ref){1}, one));
	add(scene, 2, "$share/g/s", 1);
	assert_null(
		subscriptions_own(subscriptions, &scene->sessions[2], (struct client_ref){2}, route_of(scene, "s")));
}

static void test_limit(void **state)
{
	struct scene *scene = *state;
	char filter[16];
	struct subscription_made made;
	for (uint32_t i = 0; i < LIMIT; i++) {
		snprintf(filter, sizeof(filter), "f/%u", i);
		add(scene, 1, filter, 0);
	}
	struct subscription_wanted more = {.filter = slice_string("more")};
	for (int i = 0; i < 3; i++)
		assert_int_equal(subscriptions_add(&scene->subscriptions, &scene->sessions[2], (struct client_ref){2},
						   &more, &made),
				 ERROR_LIMIT);
	assert_int_equal(index_size(scene->index).filters, LIMIT);
	assert_int_equal(scene->sessions[2].subscription_count, 0);
	assert_true(add(scene, 1, "f/7", 1)); /* to replace takes none */
	assert_true(drop(scene, 1, "f/7"));
	assert_false(add(scene, 2, "f/8", 0));
}

/* A route as a record carries it, used when the subscription has ended and its place is another's. */
static void test_stale_routes_lead_nowhere(void **state)
{
	struct scene *scene = *state;
	add(scene, 1, "t", 0);
	route_bits one = route_of(scene, "t");
	drop(scene, 1, "t");
	assert_int_equal(subscriptions_count(&scene->subscriptions, one), 0);
	add(scene, 2, "secret", 0); /* takes the same place */
	assert_int_equal(route_index(route_of(scene, "secret")), route_index(one));
	assert_int_equal(subscriptions_count(&scene->subscriptions, one), 0);
	subscriptions_walk(&scene->subscriptions, one);
	assert_null(subscriptions_next(&scene->subscriptions));

	add(scene, 3, "u", 0);
	add(scene, 4, "u", 0);
	route_bits list = route_of(scene, "u");
	drop(scene, 3, "u");
	drop(scene, 4, "u");
	add(scene, 5, "v", 0);
	add(scene, 6, "v", 0);
	assert_int_equal(route_index(route_of(scene, "v")), route_index(list));
	subscriptions_walk(&scene->subscriptions, list);
	assert_null(subscriptions_next(&scene->subscriptions));
	assert_int_equal(subscriptions_count(&scene->subscriptions, list), 0);
}

/* A record that left when there was one subscriber still reaches that one when there are more. */
static void test_route_of_one_outlives_the_change_to_a_list(void **state)
{
	struct scene *scene = *state;
	add(scene, 1, "t", 0);
	route_bits one = route_of(scene, "t");
	add(scene, 2, "t", 0);
	subscriptions_walk(&scene->subscriptions, one);
	const struct subscription *subscription = subscriptions_next(&scene->subscriptions);
	assert_non_null(subscription);
	assert_int_equal(subscription->client.index, 1);
	assert_null(subscriptions_next(&scene->subscriptions));
}

/* Whoever subscribes for the whole of a walk is visited exactly once, whoever ends meanwhile. */
static void walk_while_some_end(struct scene *scene, uint64_t seed)
{
	struct random random = {seed};
	bool subscribed[CLIENTS + 1] = {false};
	uint32_t visits[CLIENTS + 1] = {0};
	for (uint32_t client = 1; client <= CLIENTS; client++) {
		add(scene, client, "all/#", 0);
		subscribed[client] = true;
	}
	subscriptions_walk(&scene->subscriptions, route_of(scene, "all/x"));
	const struct subscription *subscription;
	while ((subscription = subscriptions_next(&scene->subscriptions)) != NULL) {
		assert_true(subscribed[subscription->client.index]);
		visits[subscription->client.index]++;
		for (uint32_t n = random_below(&random, 4); n != 0; n--) {
			uint32_t client = 1 + random_below(&random, CLIENTS);
			if (random_below(&random, 2) == 0)
				drop(scene, client, "all/#");
			else
				subscriptions_clear(&scene->subscriptions, &scene->sessions[client], UINT32_MAX);
			subscribed[client] = false;
		}
	}
	for (uint32_t client = 1; client <= CLIENTS; client++) {
		assert_in_range(visits[client], subscribed[client], 1);
		subscriptions_clear(&scene->subscriptions, &scene->sessions[client], UINT32_MAX);
	}
}

static void test_walk_while_subscriptions_end(void **state)
{
	for (uint64_t seed = 1; seed <= 100; seed++)
		walk_while_some_end(*state, seed);
}

static void test_walk_whose_next_one_ends(void **state)
{
	struct scene *scene = *state;
	for (uint32_t client = 1; client <= 3; client++)
		add(scene, client, "t", 0);
	subscriptions_walk(&scene->subscriptions, route_of(scene, "t"));
	for (uint32_t client = 1; client <= 3; client++)
		drop(scene, client, "t");
	assert_null(subscriptions_next(&scene->subscriptions));
	add(scene, 1, "t", 0);
	subscriptions_walk(&scene->subscriptions, route_of(scene, "t"));
	drop(scene, 1, "t");
	add(scene, 2, "u", 0); /* takes its place */
	assert_null(subscriptions_next(&scene->subscriptions));
}

/* ---- all of it against a model ---- */

#define FILTERS 40u

static void assert_walk_is(struct scene *scene, uint32_t f, bool model[CLIENTS + 1][FILTERS])
{
	char topic[16];
	snprintf(topic, sizeof(topic), "m/%u", f);
	route_bits route = route_of(scene, topic);
	uint32_t expected = 0, count = 0;
	bool seen[CLIENTS + 1] = {false};
	for (uint32_t client = 1; client <= CLIENTS; client++)
		expected += model[client][f];
	if (route != 0) {
		assert_int_equal(subscriptions_count(&scene->subscriptions, route), expected);
		subscriptions_walk(&scene->subscriptions, route);
		const struct subscription *subscription;
		while ((subscription = subscriptions_next(&scene->subscriptions)) != NULL) {
			assert_true(model[subscription->client.index][f] && !seen[subscription->client.index]);
			seen[subscription->client.index] = true;
			count++;
		}
	}
	assert_int_equal(count, expected);
}

static void test_random_changes_against_a_model(void **state)
{
	struct scene *scene = *state;
	static bool model[CLIENTS + 1][FILTERS];
	memset(model, 0, sizeof(model));
	struct random random = {71};
	for (int step = 0; step < 40000; step++) {
		uint32_t client = 1 + random_below(&random, random_below(&random, 4) == 0 ? CLIENTS : 4);
		uint32_t f = random_below(&random, FILTERS);
		char filter[16];
		snprintf(filter, sizeof(filter), "m/%u", f);
		switch (random_below(&random, 8)) {
		case 0:
			subscriptions_clear(&scene->subscriptions, &scene->sessions[client], UINT32_MAX);
			memset(model[client], 0, sizeof(model[client]));
			break;
		case 1:
		case 2:
		case 3:
			assert_int_equal(drop(scene, client, filter), model[client][f]);
			model[client][f] = false;
			break;
		default:
			assert_int_equal(add(scene, client, filter, 0), model[client][f]);
			model[client][f] = true;
		}
		assert_walk_is(scene, f, model);
		if (step % 64 == 0)
			reader_quiescent();
	}
}

/* "fNN", and behind it as many bytes as are wanted. */
static const char *long_filter(uint32_t number, uint32_t size)
{
	static char text[UINT16_MAX + 1];
	int head = snprintf(text, sizeof(text), "f%02u", number);
	memset(text + head, 'x', size - (size_t)head);
	text[size] = '\0';
	return text;
}

static enum error try_filter(struct scene *scene, const char *filter)
{
	struct subscription_made made;
	struct subscription_wanted wanted = {.filter = slice_string(filter)};
	return subscriptions_add(&scene->subscriptions, &scene->sessions[1], (struct client_ref){1}, &wanted, &made);
}

#define LONG_BYTES 60000u

static void test_limit_in_bytes(void **state)
{
	struct scene *scene = *state;
	uint32_t most = (2u << 20) / LONG_BYTES;
	scene->subscriptions.client_bytes_max = 2u << 20;
	for (uint32_t i = 0; i < most; i++)
		assert_int_equal(try_filter(scene, long_filter(i, LONG_BYTES)), ERROR_OK);
	assert_int_equal(try_filter(scene, long_filter(most, LONG_BYTES)), ERROR_LIMIT);
	assert_int_equal(index_size(scene->index).filters, most);
	/* It may still ask for what it has, and another client for what the first one may not. */
	assert_int_equal(try_filter(scene, long_filter(0, LONG_BYTES)), ERROR_OK);
	add(scene, 2, long_filter(most, LONG_BYTES), 0);
	assert_true(drop(scene, 1, long_filter(3, LONG_BYTES)));
	assert_int_equal(try_filter(scene, long_filter(most, LONG_BYTES)), ERROR_OK);
	assert_int_equal(try_filter(scene, long_filter(3, LONG_BYTES)), ERROR_LIMIT);
}

/* Each level of a filter with wildcards is a node of its own: 254 bytes of text take twenty times as much. */
static void test_limit_in_bytes_counts_levels(void **state)
{
	struct scene *scene = *state;
	char filter[300];
	uint32_t count = 0;
	scene->subscriptions.client_bytes_max = 2u << 20;
	enum error error = ERROR_OK;
	while (error == ERROR_OK && count < LIMIT) {
		int size = snprintf(filter, sizeof(filter), "$share/g%u/%u/+", count % 3, count);
		for (int level = 2; level < 128; level++, size += 2)
			memcpy(filter + size, "/a", 3);
		error = try_filter(scene, filter);
		count += error == ERROR_OK;
	}
	assert_int_equal(error, ERROR_LIMIT);
	struct index_size size = index_size(scene->index);
	assert_in_range(count, 300, 450);
	assert_in_range(size.bytes, 1u << 20, 4u << 20);
	subscriptions_clear(&scene->subscriptions, &scene->sessions[1], UINT32_MAX);
	assert_int_equal(try_filter(scene, filter), ERROR_OK);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_route_from_none_to_one_to_list_and_back),
		IN_SCENE(test_same_filter_again_replaces_its_options),
		IN_SCENE(test_removing_what_is_not_there),
		IN_SCENE(test_own_subscription_is_found_without_a_long_walk),
		IN_SCENE(test_own_subscription_behind_a_route),
		IN_SCENE(test_limit),
		IN_SCENE(test_limit_in_bytes),
		IN_SCENE(test_limit_in_bytes_counts_levels),
		IN_SCENE(test_stale_routes_lead_nowhere),
		IN_SCENE(test_route_of_one_outlives_the_change_to_a_list),
		IN_SCENE(test_walk_while_subscriptions_end),
		IN_SCENE(test_walk_whose_next_one_ends),
		IN_SCENE(test_random_changes_against_a_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
