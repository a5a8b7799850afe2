/* The hash table of pool objects against a plain model: objects that share a hash, growth by single buckets, and chains
 * that grow longer where there is no memory for more. */
#include "memory/table.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#define LIMIT 20000u
#define KEYS (2 * LIMIT)

struct object {
	uint32_t key; /* the pool's link while the object is free */
	uint32_t tag;
	struct table_node node;
};

struct scene {
	struct pool pool;
	struct table table;
	uint32_t index_of[KEYS]; /* the model: 0: not there */
	uint32_t hash_mask;      /* few bits: many share a hash */
};

static int scene_open(void **state)
{
	static struct scene scene;
	scene = (struct scene){.hash_mask = UINT32_MAX};
	assert_int_equal(pool_open(&scene.pool, sizeof(struct object), LIMIT), ERROR_OK);
	assert_int_equal(table_open(&scene.table, &scene.pool, offsetof(struct object, node), LIMIT), ERROR_OK);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	table_close(&scene->table);
	pool_close(&scene->pool);
	return 0;
}

static struct object *object_at(struct scene *scene, uint32_t index)
{
	return pool_at(&scene->pool, index);
}

static uint32_t hash_of(const struct scene *scene, uint32_t key)
{
	return (key * 2654435761u) & scene->hash_mask;
}

/* The key's object; *sharing: how many there are of its hash. */
static uint32_t find(struct scene *scene, uint32_t key, uint32_t *sharing)
{
	uint32_t hash = hash_of(scene, key);
	uint32_t found = 0;
	*sharing = 0;
	for (uint32_t index = table_first(&scene->table, hash); index != 0; index = table_next(&scene->table, index)) {
		assert_int_equal(object_at(scene, index)->node.hash, hash);
		if (object_at(scene, index)->key == key) {
			assert_int_equal(found, 0);
			found = index;
		}
		assert_true(++*sharing <= scene->table.count);
	}
	return found;
}

static void insert(struct scene *scene, uint32_t key)
{
	uint32_t index = pool_take(&scene->pool);
	assert_int_not_equal(index, 0);
	struct object *object = object_at(scene, index);
	object->key = key;
	object->tag = ~key;
	table_insert(&scene->table, index, hash_of(scene, key));
	scene->index_of[key] = index;
}

static void take_out(struct scene *scene, uint32_t key)
{
	uint32_t index = scene->index_of[key];
	assert_int_equal(object_at(scene, index)->tag, ~key); /* the table touches its own node only */
	table_remove(&scene->table, index);
	pool_give(&scene->pool, index);
	scene->index_of[key] = 0;
}

static void assert_like_model(struct scene *scene)
{
	uint32_t there = 0;
	uint64_t chained = 0;
	for (uint32_t key = 0; key < KEYS; key++) {
		uint32_t sharing;
		assert_int_equal(find(scene, key, &sharing), scene->index_of[key]);
		there += scene->index_of[key] != 0;
		chained += scene->index_of[key] != 0 ? sharing : 0;
	}
	assert_int_equal(scene->table.count, there);
	assert_true(chained >= there);
}

static void clear(struct scene *scene)
{
	for (uint32_t key = 0; key < KEYS; key++) {
		if (scene->index_of[key] != 0)
			take_out(scene, key);
	}
	assert_int_equal(scene->table.count, 0);
}

static void change_randomly(struct scene *scene, uint32_t keys, uint32_t steps, uint64_t seed)
{
	struct random random = {seed};
	for (uint32_t step = 0; step < steps; step++) {
		uint32_t key = random_below(&random, keys);
		if (scene->index_of[key] != 0)
			take_out(scene, key);
		else if (scene->pool.used < LIMIT)
			insert(scene, key);
		if (step % (steps / 4) == 0)
			assert_like_model(scene);
	}
	assert_like_model(scene);
	clear(scene);
}

static void test_random_changes_against_a_model(void **state)
{
	change_randomly(*state, KEYS, 200000, 11);
}

/* Buckets that were made ahead are the ones that splitting would have made. */
static void test_a_table_that_expects_its_objects(void **state)
{
	struct scene *scene = *state;
	table_expect(&scene->table, 5);
	assert_int_equal(scene->table.bucket_count, 16);
	table_expect(&scene->table, 1000);
	assert_int_equal(scene->table.bucket_count, 1000);
	assert_int_equal(scene->table.level_mask, 1023);
	for (uint32_t key = 0; key < 1000; key++)
		insert(scene, key);
	assert_int_equal(scene->table.bucket_count, 1000);
	assert_like_model(scene);
	table_expect(&scene->table, 4000); /* too late */
	assert_int_equal(scene->table.bucket_count, 1000);
	for (uint32_t key = 1000; key < 1100; key++)
		insert(scene, key);
	assert_int_equal(scene->table.bucket_count, 1100);
	assert_like_model(scene);
	clear(scene);
	table_expect(&scene->table, 2048);
	assert_int_equal(scene->table.level_mask, 2047);
	change_randomly(scene, KEYS, 20000, 3);
}

static void test_objects_that_share_a_hash(void **state)
{
	struct scene *scene = *state;
	scene->hash_mask = 0xfff;
	change_randomly(scene, 8000, 30000, 12);
	scene->hash_mask = 0;
	for (uint32_t key = 0; key < 100; key++)
		insert(scene, key);
	uint32_t sharing;
	assert_int_equal(find(scene, 50, &sharing), scene->index_of[50]);
	assert_int_equal(sharing, 100);
	/* From the front, the back and the middle of one chain. */
	for (uint32_t key = 0; key < 100; key += 3) {
		take_out(scene, key);
		assert_int_equal(find(scene, key, &sharing), 0);
	}
	assert_int_equal(sharing, 66);
	clear(scene);
}

static void test_grows_one_bucket_at_a_time(void **state)
{
	struct scene *scene = *state;
	uint32_t buckets = scene->table.bucket_count;
	for (uint32_t key = 0; key < LIMIT; key++) {
		insert(scene, key);
		assert_in_range(scene->table.bucket_count - buckets, 0, 1);
		buckets = scene->table.bucket_count;
		assert_true(buckets <= scene->table.level_mask + 1 && buckets > scene->table.level_mask / 2 + 1);
		uint32_t sharing;
		assert_int_equal(find(scene, key / 2, &sharing), scene->index_of[key / 2]);
	}
	assert_in_range(buckets, LIMIT, LIMIT + 16);
	assert_like_model(scene);
	clear(scene);
}

/* Where its memory ends the chains grow longer, and everything is found. */
static void test_goes_on_without_memory_for_more_buckets(void **state)
{
	(void)state;
	enum { COUNT = 300000 }; /* more than the least that is reserved holds */
	struct pool pool;
	struct table table;
	assert_int_equal(pool_open(&pool, sizeof(struct object), COUNT), ERROR_OK);
	assert_int_equal(table_open(&table, &pool, offsetof(struct object, node), 1), ERROR_OK);
	for (uint32_t i = 0; i < COUNT; i++)
		table_insert(&table, pool_take(&pool), i * 2654435761u);
	assert_int_equal(table.bucket_count, table.buckets.reserved_bytes / sizeof(uint32_t));
	assert_true(table.bucket_count < COUNT);
	for (uint32_t i = 0; i < COUNT; i++) {
		uint32_t index = table_first(&table, i * 2654435761u);
		assert_int_equal(index, i + 1);
		assert_int_equal(table_next(&table, index), 0);
	}
	for (uint32_t index = 1; index <= COUNT; index++)
		table_remove(&table, index);
	assert_int_equal(table.count, 0);
	assert_int_equal(table_first(&table, 0), 0);
	table_close(&table);
	pool_close(&pool);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_random_changes_against_a_model),
		IN_SCENE(test_objects_that_share_a_hash),
		IN_SCENE(test_grows_one_bucket_at_a_time),
		IN_SCENE(test_a_table_that_expects_its_objects),
		cmocka_unit_test(test_goes_on_without_memory_for_more_buckets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
