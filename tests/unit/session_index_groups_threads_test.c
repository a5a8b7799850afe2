/* Shared subscriptions in the routing index under readers that take no lock while members come and go: of one with a
 * member who stays there is always exactly one route. To be run under ThreadSanitizer too. */
#include "match_all.h"
#include "random.h"
#include "topics/index/index.h"
#include "topics/index/rcu.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define READERS 2
#define WRITERS 2
#define SHARDS (WRITERS + 1u)
#define STEADY_SHARD 1u /* between the writers' */
#define CHANGES 20000u  /* of each writer, at least */
#define MATCHES 2000u   /* before the writers end */

/* The first two have a member who stays; all match the topic "t/x". */
static const struct {
	const char *group;
	const char *filter;
} NODES[] = {{"g", "t/x"}, {"g", "+/x"}, {"h", "t/x"}, {"h", "t/#"}, {"i", "+/+"}, {NULL, "t/x"}, {NULL, "+/x"}};

#define NODE_COUNT (sizeof(NODES) / sizeof(NODES[0]))
#define STEADY_NODES 2u

struct scene {
	struct index *index;
	_Atomic unsigned writing; /* writers that are still at work */
	_Atomic bool wrong;
	_Atomic unsigned long matches;
};

struct worker {
	struct scene *scene;
	uint16_t number;
};

static route_bits route_of(uint16_t shard, uint32_t n)
{
	return route_make(ROUTE_ONE, shard, (uint16_t)~n, n + 1);
}

static struct index_slot find(struct scene *scene, uint32_t n, bool create)
{
	struct slice filter = slice_string(NODES[n].filter);
	if (NODES[n].group == NULL)
		return index_find(scene->index, filter, create);
	return index_find_group(scene->index, slice_string(NODES[n].group), filter, create);
}

/* A member comes, goes, or is connected or not. */
static bool change(struct scene *scene, uint32_t n, uint16_t shard, uint32_t what)
{
	struct index_slot slot = find(scene, n, true);
	bool good = slot.node != 0;
	if (good && what == 0)
		good = index_set_route(slot, shard, 0) == ERROR_OK;
	else if (good)
		good = index_set_route(slot, shard, route_of(shard, n)) == ERROR_OK;
	if (good && what != 0)
		index_set_members(slot, shard, (struct index_members){what - 1, what - 1});
	index_leave(slot);
	return good;
}

static void *write_members(void *argument)
{
	struct worker *worker = argument;
	struct scene *scene = worker->scene;
	struct random random = {worker->number + 111u};
	uint16_t shard = worker->number == 0 ? 0 : SHARDS - 1;
	reader_register();
	for (uint32_t i = 0; i < CHANGES || atomic_load(&scene->matches) < MATCHES; i++) {
		if (!change(scene, random_below(&random, NODE_COUNT), shard, random_below(&random, 5)))
			atomic_store(&scene->wrong, true);
		if (i % 16 == 0)
			reader_quiescent();
	}
	for (uint32_t n = 0; n < NODE_COUNT; n++) {
		if (!change(scene, n, shard, 0))
			atomic_store(&scene->wrong, true);
	}
	atomic_fetch_sub(&scene->writing, 1);
	reader_unregister();
	return NULL;
}

static bool is_plausible(const struct routes *routes)
{
	uint32_t found[NODE_COUNT] = {0};
	for (uint32_t i = 0; i < routes->count; i++) {
		uint32_t n = route_index(routes->items[i]) - 1;
		uint16_t shard = route_shard(routes->items[i]);
		if (n >= NODE_COUNT || shard >= SHARDS || routes->items[i] != route_of(shard, n))
			return false;
		found[n]++;
	}
	for (uint32_t n = 0; n < NODE_COUNT; n++) {
		if ((n < STEADY_NODES && found[n] != 1) || (NODES[n].group != NULL && found[n] > 1))
			return false;
	}
	return true;
}

static void *read_routes(void *argument)
{
	struct worker *worker = argument;
	struct scene *scene = worker->scene;
	struct routes routes = {0};
	reader_register();
	while (atomic_load(&scene->writing) != 0) {
		for (int i = 0; i < 32; i++) { /* a turn */
			enum error error = i % 2 != 0 ? match_all(scene->index, slice_string("t/x"), &routes)
						      : match_bit_by_bit(scene->index, slice_string("t/x"), &routes);
			if (error != ERROR_OK || !is_plausible(&routes))
				atomic_store(&scene->wrong, true);
		}
		atomic_fetch_add(&scene->matches, 32);
		reader_quiescent();
	}
	routes_fini(&routes);
	reader_unregister();
	return NULL;
}

static void test_readers_while_members_come_and_go(void **state)
{
	(void)state;
	static struct scene scene;
	struct hash_key key = {{9}};
	scene.index = index_new(SHARDS, &key, NULL);
	assert_non_null(scene.index);
	for (uint32_t n = 0; n < STEADY_NODES; n++)
		assert_true(change(&scene, n, STEADY_SHARD, 2));
	pthread_t threads[WRITERS + READERS];
	struct worker workers[WRITERS + READERS];
	atomic_store(&scene.writing, WRITERS);
	for (uint16_t i = 0; i < WRITERS + READERS; i++) {
		workers[i] = (struct worker){&scene, i};
		assert_int_equal(
			pthread_create(&threads[i], NULL, i < WRITERS ? write_members : read_routes, &workers[i]), 0);
	}
	for (uint16_t i = 0; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
	assert_false(atomic_load(&scene.wrong));
	for (uint32_t n = 0; n < STEADY_NODES; n++)
		assert_true(change(&scene, n, STEADY_SHARD, 0));
	assert_int_equal(index_size(scene.index).filters, 0);
	index_free(scene.index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_while_members_come_and_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
