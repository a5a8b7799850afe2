/* The routing index under readers that take no lock while writers change it: what is there for the whole time is always
 * found, and nothing that is found was never there. To be run under ThreadSanitizer too. */
#include "match_all.h"
#include "mqtt/field/topic.h"
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

#define MATCHES_MIN 1000u
#define READERS 2
#define WRITERS 2
#define SHARDS (WRITERS + 1u)
#define STEADY_SHARD WRITERS
#define STEADY_FILTERS 300u
#define FILTERS 3000u
#define CHANGES 30000u

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

/* Filter n matches topic n and no other. */
static void filter_of(uint32_t n, char out[32])
{
	snprintf(out, 32, n % 3 == 0 ? "all/%u/+" : n % 3 == 1 ? "t/%u/x" : "+/%u/x/#", n);
}

static void topic_of(uint32_t n, char out[32])
{
	snprintf(out, 32, n % 3 == 0 ? "all/%u/x" : n % 3 == 1 ? "t/%u/x" : "any/%u/x", n);
}

static route_bits route_of(uint16_t shard, uint32_t n)
{
	return route_make(ROUTE_ONE, shard, (uint16_t)~n, n + 1);
}

static bool set_route(struct scene *scene, uint32_t n, uint16_t shard, route_bits route)
{
	char filter[32];
	filter_of(n, filter);
	struct index_slot slot = index_find(scene->index, slice_string(filter), true);
	bool good = slot.node != 0 && index_set_route(slot, shard, route) == ERROR_OK;
	index_leave(slot);
	return good;
}

static void *write_routes(void *argument)
{
	struct worker *worker = argument;
	struct scene *scene = worker->scene;
	struct random random = {worker->number + 51u};
	reader_register();
	for (uint32_t i = 0; i < CHANGES; i++) {
		uint32_t n = random_below(&random, FILTERS);
		route_bits route = random_below(&random, 3) != 0 ? route_of(worker->number, n) : 0;
		if (!set_route(scene, n, worker->number, route))
			atomic_store(&scene->wrong, true);
		if (i % 16 == 0)
			reader_quiescent();
	}
	atomic_fetch_sub(&scene->writing, 1);
	reader_unregister();
	return NULL;
}

/* Whether what was found for topic n can be right: only filter n's routes, at most one a shard, the steady one always.
 */
static bool is_plausible(const struct routes *routes, uint32_t n)
{
	bool steady = false;
	uint32_t seen = 0;
	for (uint32_t i = 0; i < routes->count; i++) {
		uint16_t shard = route_shard(routes->items[i]);
		if (shard >= SHARDS || routes->items[i] != route_of(shard, n) || (seen & 1u << shard) != 0)
			return false;
		seen |= 1u << shard;
		steady = steady || shard == STEADY_SHARD;
	}
	return steady || n >= STEADY_FILTERS;
}

static void *read_routes(void *argument)
{
	struct worker *worker = argument;
	struct scene *scene = worker->scene;
	struct random random = {worker->number + 61u};
	struct routes routes = {0};
	char topic[32];
	unsigned long matches = 0;
	reader_register();
	/* Some matches in any case, on a machine that lets the readers begin late. */
	while (atomic_load(&scene->writing) != 0 || matches < MATCHES_MIN) {
		for (int i = 0; i < 32; i++, matches++) { /* a turn */
			uint32_t n = random_below(&random, random_below(&random, 2) == 0 ? STEADY_FILTERS : FILTERS);
			topic_of(n, topic);
			enum error error = i % 2 != 0 ? match_all(scene->index, slice_string(topic), &routes)
						      : match_bit_by_bit(scene->index, slice_string(topic), &routes);
			if (error != ERROR_OK || !is_plausible(&routes, n))
				atomic_store(&scene->wrong, true);
		}
		if (random_below(&random, 50) == 0) {
			reader_offline();
			reader_online();
		} else {
			reader_quiescent();
		}
	}
	atomic_fetch_add(&scene->matches, matches);
	routes_fini(&routes);
	reader_unregister();
	return NULL;
}

static void run(struct scene *scene)
{
	pthread_t threads[WRITERS + READERS];
	struct worker workers[WRITERS + READERS];
	atomic_store(&scene->writing, WRITERS);
	for (uint16_t i = 0; i < WRITERS + READERS; i++) {
		workers[i] = (struct worker){scene, i};
		assert_int_equal(
			pthread_create(&threads[i], NULL, i < WRITERS ? write_routes : read_routes, &workers[i]), 0);
	}
	for (uint16_t i = 0; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
}

static void test_readers_while_writers_change(void **state)
{
	(void)state;
	static struct scene scene;
	struct hash_key key = {{9}};
	scene.index = index_new(SHARDS, &key, NULL);
	assert_non_null(scene.index);
	for (uint32_t n = 0; n < STEADY_FILTERS; n++)
		assert_true(set_route(&scene, n, STEADY_SHARD, route_of(STEADY_SHARD, n)));
	run(&scene);
	assert_false(atomic_load(&scene.wrong));
	assert_true(atomic_load(&scene.matches) >= MATCHES_MIN);
	for (uint32_t n = 0; n < FILTERS; n++) {
		for (uint16_t shard = 0; shard < SHARDS; shard++)
			assert_true(set_route(&scene, n, shard, 0));
	}
	assert_int_equal(index_size(scene.index).filters, 0);
	index_free(scene.index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_while_writers_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
