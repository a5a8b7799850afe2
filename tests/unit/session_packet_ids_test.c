/* The packet identifiers that were received and not released: a set of at most all 65,535, against a plain one. */
#include "random.h"
#include "session/packet_ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct scene {
	struct slab slab;
	uint32_t ids;
	uint32_t count; /* the model */
	bool there[65536];
};

static int scene_open(void **state)
{
	static struct scene scene;
	scene = (struct scene){.ids = 0};
	assert_int_equal(slab_open(&scene.slab, (size_t)1 << 20), ERROR_OK);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	packet_ids_clear(&scene->slab, &scene->ids);
	assert_int_equal(scene->ids, 0);
	assert_int_equal(scene->slab.used_bytes, 0);
	slab_close(&scene->slab);
	return 0;
}

static void add(struct scene *scene, uint16_t id)
{
	assert_int_equal(packet_ids_add(&scene->slab, &scene->ids, id), ERROR_OK);
	scene->there[id] = true;
	scene->count++;
}

static void take(struct scene *scene, uint16_t id)
{
	assert_int_equal(packet_ids_remove(&scene->slab, &scene->ids, id), scene->there[id]);
	scene->count -= scene->there[id];
	scene->there[id] = false;
}

static void assert_like_model(struct scene *scene)
{
	assert_int_equal(packet_ids_count(&scene->slab, scene->ids), scene->count);
	for (uint32_t id = 1; id <= UINT16_MAX; id++)
		assert_int_equal(packet_ids_has(&scene->slab, scene->ids, (uint16_t)id), scene->there[id]);
	assert_int_equal(scene->ids == 0, scene->count == 0); /* nothing is kept of an empty one */
}

static void test_random_changes_against_a_model(void **state)
{
	struct scene *scene = *state;
	struct random random = {51};
	static const uint32_t RANGES[] = {8, 100, 3000, 65535};
	for (uint32_t range = 0; range < 4; range++) {
		for (int step = 0; step < 20000; step++) {
			uint16_t id = (uint16_t)(1 + random_below(&random, RANGES[range]));
			assert_int_equal(packet_ids_has(&scene->slab, scene->ids, id), scene->there[id]);
			if (scene->there[id] || random_below(&random, 4) == 0)
				take(scene, id);
			else
				add(scene, id);
		}
		assert_like_model(scene);
	}
}

static void test_all_identifiers_there_are(void **state)
{
	struct scene *scene = *state;
	for (uint32_t id = 1; id <= UINT16_MAX; id++)
		add(scene, (uint16_t)id);
	assert_like_model(scene);
	for (int id = UINT16_MAX; id > 0; id -= 2)
		take(scene, (uint16_t)id);
	for (uint32_t id = 1; id <= UINT16_MAX; id += 2)
		add(scene, (uint16_t)id);
	assert_like_model(scene);
	for (uint32_t id = 1; id <= UINT16_MAX; id++)
		take(scene, (uint16_t)id);
	assert_like_model(scene);
}

/* A client that releases nothing holds 10 KiB, in whatever order its identifiers come; and little again once it has
 * released most of them. */
static void test_memory_is_bounded(void **state)
{
	struct scene *scene = *state;
	for (uint32_t id = UINT16_MAX; id > 0; id--) {
		add(scene, (uint16_t)id);
		assert_in_range(scene->slab.used_bytes, 1, 10240);
	}
	for (uint32_t id = 1; id <= UINT16_MAX - 50; id++)
		take(scene, (uint16_t)id);
	assert_in_range(scene->slab.used_bytes, 1, 512);
	assert_like_model(scene);
}

/* As a client uses them: a window that goes round, released in order. */
static void test_window_that_goes_round(void **state)
{
	struct scene *scene = *state;
	enum { WINDOW = 20 };
	size_t most = 0;
	for (uint32_t i = 0; i < 3 * UINT16_MAX; i++) {
		add(scene, (uint16_t)(1 + i % UINT16_MAX));
		if (i >= WINDOW)
			take(scene, (uint16_t)(1 + (i - WINDOW) % UINT16_MAX));
		if (scene->slab.used_bytes > most)
			most = scene->slab.used_bytes;
	}
	assert_like_model(scene);
	assert_in_range(most, 1, 128);
}

static void test_no_memory(void **state)
{
	struct scene *scene = *state;
	add(scene, 7);
	while (slab_take(&scene->slab, 16) != 0)
		;
	for (uint16_t id = 1; id <= 5; id++) /* what its block still holds */
		add(scene, id);
	size_t used_bytes = scene->slab.used_bytes;
	while (slab_take(&scene->slab, 32) != 0)
		;
	assert_int_equal(scene->slab.used_bytes, used_bytes);
	assert_int_equal(packet_ids_add(&scene->slab, &scene->ids, 9), ERROR_NO_MEMORY);
	assert_like_model(scene);
	/* The tear-down looks for what was left. */
	slab_close(&scene->slab);
	scene->ids = 0;
	assert_int_equal(slab_open(&scene->slab, (size_t)1 << 20), ERROR_OK);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_random_changes_against_a_model),
		IN_SCENE(test_all_identifiers_there_are),
		IN_SCENE(test_memory_is_bounded),
		IN_SCENE(test_window_that_goes_round),
		IN_SCENE(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
