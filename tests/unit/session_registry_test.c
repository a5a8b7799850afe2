/* The registry of client ids against a plain model; growth by single buckets; ids whose hashes collide. */
#include "random.h"
#include "session/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define SESSIONS 20000u
#define IDS (2 * SESSIONS)

struct scene {
	struct pool pool;
	struct slab slab;
	struct registry registry;
	uint32_t session_of[IDS]; /* the model: by the id's number; 0: none */
	uint32_t hash_mask;       /* few bits: many collisions */
};

static int scene_open(void **state)
{
	static struct scene scene;
	scene = (struct scene){.hash_mask = UINT32_MAX};
	assert_int_equal(pool_open(&scene.pool, sizeof(struct session), SESSIONS), ERROR_OK);
	assert_int_equal(slab_open(&scene.slab, (size_t)64 << 20), ERROR_OK);
	assert_int_equal(registry_open(&scene.registry, NULL, &scene.pool, &scene.slab, SESSIONS), ERROR_OK);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(scene->registry.table.count, 0);
	assert_int_equal(scene->slab.used_bytes, 0);
	registry_close(&scene->registry);
	slab_close(&scene->slab);
	pool_close(&scene->pool);
	return 0;
}

static struct session *session_at(struct scene *scene, uint32_t index)
{
	return pool_at(&scene->pool, index);
}

struct id {
	char text[64];
	size_t size;
};

/* Many ids begin alike, so that only their ends differ. */
static struct id id_of(uint32_t number)
{
	struct id id;
	id.size = (size_t)snprintf(id.text, sizeof(id.text), "c%.*s%u", (int)(number % 40),
				   "the-same-beginning-of-a-longer-client-id", number);
	return id;
}

static uint32_t hash_of(const struct scene *scene, uint32_t number)
{
	return (number * 2654435761u) & scene->hash_mask;
}

static uint32_t find(struct scene *scene, uint32_t number)
{
	struct id id = id_of(number);
	return registry_find(&scene->registry, hash_of(scene, number), slice_of(id.text, id.size)).index;
}

static void insert(struct scene *scene, uint32_t number)
{
	struct id id = id_of(number);
	uint32_t index = pool_take(&scene->pool);
	assert_int_not_equal(index, 0);
	*session_at(scene, index) = (struct session){0};
	uint32_t stored = registry_store_id(&scene->registry, slice_of(id.text, id.size));
	assert_int_not_equal(stored, 0);
	registry_file(&scene->registry, (struct client_ref){index}, hash_of(scene, number), stored);
	scene->session_of[number] = index;
}

static void take_out(struct scene *scene, uint32_t number)
{
	uint32_t index = scene->session_of[number];
	registry_remove(&scene->registry, (struct client_ref){index});
	assert_int_equal(session_at(scene, index)->id, 0);
	registry_remove(&scene->registry, (struct client_ref){index}); /* once more does nothing */
	pool_give(&scene->pool, index);
	scene->session_of[number] = 0;
}

static void assert_like_model(struct scene *scene)
{
	for (uint32_t number = 0; number < IDS; number++) {
		uint32_t index = find(scene, number);
		assert_int_equal(index, scene->session_of[number]);
		if (index == 0)
			continue;
		struct id id = id_of(number);
		struct slice stored = registry_id(&scene->registry, session_at(scene, index));
		assert_true(slice_equal(stored, slice_of(id.text, id.size)));
	}
	assert_int_equal(scene->registry.table.count, scene->pool.used);
}

static void clear(struct scene *scene)
{
	for (uint32_t number = 0; number < IDS; number++) {
		if (scene->session_of[number] != 0)
			take_out(scene, number);
	}
}

static void change_randomly(struct scene *scene, uint32_t steps, uint64_t seed)
{
	struct random random = {seed};
	for (uint32_t step = 0; step < steps; step++) {
		uint32_t number = random_below(&random, IDS);
		if (scene->session_of[number] != 0)
			take_out(scene, number);
		else if (scene->pool.used < SESSIONS)
			insert(scene, number);
		if (step % (steps / 4) == 0)
			assert_like_model(scene);
	}
	assert_like_model(scene);
}

static void test_random_changes_against_a_model(void **state)
{
	change_randomly(*state, 150000, 31);
	clear(*state);
}

static void test_ids_whose_hashes_collide(void **state)
{
	struct scene *scene = *state;
	scene->hash_mask = 0xff;
	change_randomly(scene, 4000, 32);
	clear(scene);
	scene->hash_mask = 0;
	for (uint32_t number = 0; number < 300; number++)
		insert(scene, number);
	assert_like_model(scene);
	clear(scene);
}

static void test_grows_one_bucket_at_a_time(void **state)
{
	struct scene *scene = *state;
	uint32_t buckets = scene->registry.table.bucket_count;
	for (uint32_t number = 0; number < SESSIONS; number++) {
		insert(scene, number);
		assert_in_range(scene->registry.table.bucket_count - buckets, 0, 1);
		buckets = scene->registry.table.bucket_count;
		assert_int_equal(find(scene, number), scene->session_of[number]);
		assert_int_equal(find(scene, number / 2), scene->session_of[number / 2]);
	}
	assert_in_range(buckets, SESSIONS, SESSIONS + 16);
	assert_like_model(scene);
	clear(scene);
}

static void test_ids_of_any_size(void **state)
{
	struct scene *scene = *state;
	static char id[65535];
	memset(id, 'i', sizeof(id));
	static const uint32_t SIZES[] = {1, 2, 23, 254, 255, 256, 4096, 65535};
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t index = pool_take(&scene->pool);
		*session_at(scene, index) = (struct session){0};
		uint32_t stored = registry_store_id(&scene->registry, slice_of(id, SIZES[i]));
		assert_int_not_equal(stored, 0);
		registry_file(&scene->registry, (struct client_ref){index}, 5, stored);
	}
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t index = registry_find(&scene->registry, 5, slice_of(id, SIZES[i])).index;
		assert_int_equal(registry_id(&scene->registry, session_at(scene, index)).size, SIZES[i]);
		registry_remove(&scene->registry, (struct client_ref){index});
	}
}

static void test_no_memory_for_the_id(void **state)
{
	struct scene *scene = *state;
	uint32_t index = pool_take(&scene->pool);
	*session_at(scene, index) = (struct session){0};
	while (slab_take(&scene->slab, 48) != 0)
		;
	size_t used_bytes = scene->slab.used_bytes;
	assert_int_equal(registry_store_id(&scene->registry, slice_string("a client id of forty characters or so")), 0);
	assert_int_equal(scene->registry.table.count, 0);
	registry_remove(&scene->registry, (struct client_ref){index}); /* it is not filed */
	assert_int_equal(scene->slab.used_bytes, used_bytes);
	/* The tear-down looks for what was left. */
	slab_close(&scene->slab);
	assert_int_equal(slab_open(&scene->slab, (size_t)1 << 20), ERROR_OK);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_random_changes_against_a_model), IN_SCENE(test_ids_whose_hashes_collide),
		IN_SCENE(test_grows_one_bucket_at_a_time),     IN_SCENE(test_ids_of_any_size),
		IN_SCENE(test_no_memory_for_the_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
