/* The sweep of refused memory itself: it reaches each request once, refuses what it is told to, and tells where. */
#include "broken_promise.h"
#include "failing_memory.h"
#include "memory/list.h"
#include "memory/slab.h"
#include "memory/table.h"
#include "tries.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct request_log {
	uint32_t runs;
	uint32_t refused_of_run[64]; /* a bit a request */
};

/* Five requests, of each kind one. */
static uint32_t ask_for_each(void)
{
	struct region region;
	struct pool pool;
	struct slab slab;
	uint32_t refused = 0;
	assert_int_equal(region_open(&region, 1), ERROR_OK);
	assert_int_equal(pool_open(&pool, 4, 10), ERROR_OK);
	assert_int_equal(slab_open(&slab, 1), ERROR_OK);
	assert_int_equal(region_grow(&pool.region, 1), ERROR_OK);
	assert_int_equal(region_grow(&slab.region, 1), ERROR_OK);

	failing_memory_start();
	void *block = malloc(10);
	refused |= block == NULL ? 1u : 0;
	void *grown = realloc(block, 20);
	refused |= grown == NULL ? 2u : 0;
	refused |= region_grow(&region, 1) != ERROR_OK ? 4u : 0;
	refused |= pool_take(&pool) == 0 ? 8u : 0;
	refused |= slab_take(&slab, 1) == 0 ? 16u : 0;
	assert_int_equal(failing_memory_stop(), refused != 0);

	free(grown != NULL ? grown : block);
	slab_close(&slab);
	pool_close(&pool);
	region_close(&region);
	return refused;
}

static void play_each(void *context)
{
	struct request_log *log = context;
	uint32_t refused = ask_for_each();
	log->refused_of_run[log->runs++] = refused;
	assert_int_equal(refused == 0, failing_memory_refused() == NULL);
}

static void test_each_request_is_refused_once(void **state)
{
	(void)state;
	struct request_log log = {0};
	assert_int_equal(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_each, &log), 5);
	assert_int_equal(log.runs, 6);
	for (uint32_t run = 0; run < 5; run++)
		assert_int_equal(log.refused_of_run[run], 1u << run);
	assert_int_equal(log.refused_of_run[5], 0);
}

static void test_all_from_one_on_are_refused(void **state)
{
	(void)state;
	struct request_log log = {0};
	assert_int_equal(failing_memory_sweep(FAILING_ALL, FAILING_FROM_THERE, play_each, &log), 5);
	for (uint32_t run = 0; run < 5; run++)
		assert_int_equal(log.refused_of_run[run], 31u & ~((1u << run) - 1));
}

static void test_only_the_kinds_asked_for(void **state)
{
	(void)state;
	struct request_log log = {0};
	assert_int_equal(failing_memory_sweep(FAILING_POOL | FAILING_REALLOC, FAILING_ONCE, play_each, &log), 2);
	assert_int_equal(log.refused_of_run[0], 2);
	assert_int_equal(log.refused_of_run[1], 8);
}

static void *ask_elsewhere(void *block)
{
	*(void **)block = malloc(1);
	return NULL;
}

/* Other threads, lists and what asks the kernel for nothing. */
static void play_spared(void *context)
{
	(void)context;
	struct list list = {0};
	struct region region;
	pthread_t thread;
	void *block = NULL;
	assert_int_equal(region_open(&region, 1), ERROR_OK);
	assert_int_equal(region_grow(&region, 1), ERROR_OK);
	failing_memory_start();
	for (uint32_t i = 0; i < 1000; i++)
		list_push(&list, i);
	assert_int_equal(region_grow(&region, 2), ERROR_OK);
	assert_int_equal(pthread_create(&thread, NULL, ask_elsewhere, &block), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	failing_memory_stop();
	assert_non_null(block);
	free(block);
	region_close(&region);
	list_fini(&list);
}

static void test_what_is_spared(void **state)
{
	(void)state;
	assert_int_equal(failing_memory_sweep(FAILING_ALL, FAILING_FROM_THERE, play_spared, NULL), 0);
}

#define OBJECTS 400u

struct object {
	uint32_t text; /* the pool's link while the object is free */
	struct table_node node;
};

struct store {
	struct pool pool;
	struct slab slab;
	struct table table;
	uint32_t refusals;
};

/* The object with its text, or nothing at all. */
static bool store_add(struct store *store, uint32_t key)
{
	uint32_t index = pool_take(&store->pool);
	if (index == 0)
		return false;
	uint32_t text = slab_take(&store->slab, 5000);
	if (text == 0) {
		pool_give(&store->pool, index);
		return false;
	}
	((struct object *)pool_at(&store->pool, index))->text = text;
	table_insert(&store->table, index, key);
	return true;
}

/* A play as others write it: with any request refused, all that was stored is found, and what was not can be added. */
static void play_store(void *context)
{
	struct store *store = context;
	bool added[OBJECTS] = {0};
	*store = (struct store){.refusals = store->refusals};
	assert_int_equal(pool_open(&store->pool, sizeof(struct object), OBJECTS), ERROR_OK);
	assert_int_equal(slab_open(&store->slab, (size_t)8 << 20), ERROR_OK);
	assert_int_equal(table_open(&store->table, &store->pool, offsetof(struct object, node), OBJECTS), ERROR_OK);
	failing_memory_start();
	for (uint32_t key = 0; key < OBJECTS; key++)
		added[key] = store_add(store, key);
	failing_memory_stop();
	for (uint32_t key = 0; key < OBJECTS; key++) {
		assert_int_equal(table_first(&store->table, key) != 0, added[key]);
		store->refusals += !added[key];
		assert_true(added[key] || store_add(store, key));
	}
	assert_int_equal(store->table.count, OBJECTS);
	assert_int_equal(store->pool.used, OBJECTS);
	assert_int_equal(store->slab.used_bytes, OBJECTS * slab_block_bytes(5000));
	table_close(&store->table);
	slab_close(&store->slab);
	pool_close(&store->pool);
}

static void test_store_loses_nothing(void **state)
{
	(void)state;
	struct store store = {0};
	uint64_t requests = failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_store, &store);
	assert_true(requests > 2 * OBJECTS); /* and some growing of regions */
	assert_in_range(store.refusals, requests / TRIES_STEP, requests);
}

static void play_without_stop(void *context)
{
	(void)context;
	failing_memory_start();
}

static void sweep_without_stop(void *argument)
{
	failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_without_stop, argument);
}

static void play_that_breaks(void *context)
{
	failing_memory_start();
	CHECK(pool_take(context) != 0);
	CHECK(pool_take(context) != 0);
	failing_memory_stop();
}

static void sweep_that_breaks(void *argument)
{
	failing_memory_sweep(FAILING_POOL, FAILING_ONCE, play_that_breaks, argument);
}

static void end_unfinished(void *argument)
{
	(void)argument;
	failing_memory_teardown(NULL);
	failing_memory_start(); /* outside of a sweep: a broken promise */
}

static void fail_in_first_run(void *context)
{
	struct pool *pool = context;
	failing_memory_start();
	assert_int_equal(pool_take(pool), 0);
	/* As after an assertion that failed: the play goes no further. */
	end_unfinished(NULL);
}

static void sweep_that_fails(void *argument)
{
	failing_memory_sweep(FAILING_ALL, FAILING_ONCE, fail_in_first_run, argument);
}

static void test_says_what_was_refused(void **state)
{
	(void)state;
	char text[BROKEN_PROMISE_BYTES];
	struct pool pool;
	assert_int_equal(pool_open(&pool, 4, 10), ERROR_OK);
	assert_breaks_promise(sweep_without_stop, NULL, text);
	assert_non_null(strstr(text, "broken promise: !failing.active"));
	assert_breaks_promise(sweep_that_breaks, &pool, text);
	assert_non_null(strstr(text, "memory sweep, refusing request 1\n"));
	assert_breaks_promise(sweep_that_fails, &pool, text);
	assert_non_null(strstr(text, "in run 1, pool_take was refused, here:\n"));
	pool_close(&pool);
}

#define SWEEP(test) cmocka_unit_test_setup_teardown(test, NULL, failing_memory_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SWEEP(test_each_request_is_refused_once), SWEEP(test_all_from_one_on_are_refused),
		SWEEP(test_only_the_kinds_asked_for),     SWEEP(test_what_is_spared),
		SWEEP(test_store_loses_nothing),          SWEEP(test_says_what_was_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
