/* Pools, slabs and tables in an arena, saved and found by the next program: with all that is free in them, and every
 * note of theirs that is wrong. */
#include "memory/slab.h"
#include "memory/table.h"
#include "outliving.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)
#define OBJECTS 20000u

struct object {
	uint32_t link; /* the pool's while the object is free */
	uint32_t text; /* slab reference; 0: the object is free */
	uint32_t bytes;
	struct table_node node;
};

struct parts {
	struct pool pool;
	struct slab slab;
	struct table table;
	struct region plain;
};

struct scene {
	struct outliving outliving;
	struct arena arena;
	struct arena next_arena;
	struct parts parts;
	struct parts next;
	struct random random;
};

static enum error parts_open(struct parts *parts, struct arena *arena)
{
	enum error error = pool_open_in(&parts->pool, arena, "objects", sizeof(struct object), 2 * OBJECTS);
	if (error == ERROR_OK)
		error = slab_open_in(&parts->slab, arena, "texts", 1024 * MIB);
	if (error == ERROR_OK)
		error = table_open_in(&parts->table, arena, "table", &parts->pool, offsetof(struct object, node),
				      2 * OBJECTS);
	if (error == ERROR_OK)
		error = region_open_in(&parts->plain, arena, "plain", MIB);
	return error;
}

static uint32_t hash_of(uint32_t i)
{
	return i * 2654435761u;
}

static uint32_t random_bytes(struct random *random)
{
	return random_below(random, 100) == 0 ? 1 + random_below(random, 200000) : 1 + random_below(random, 600);
}

static void fill(uint8_t *text, uint32_t index, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		text[i] = (uint8_t)(index + i);
}

static void add(struct scene *scene, struct parts *parts)
{
	uint32_t index = pool_take(&parts->pool);
	assert_int_not_equal(index, 0);
	struct object *object = pool_at(&parts->pool, index);
	object->bytes = random_bytes(&scene->random);
	object->text = slab_take(&parts->slab, object->bytes);
	assert_int_not_equal(object->text, 0);
	fill(slab_at(&parts->slab, object->text), index, object->bytes);
	table_insert(&parts->table, index, hash_of(index));
}

static void drop(struct parts *parts, uint32_t index)
{
	struct object *object = pool_at(&parts->pool, index);
	if (object->text == 0)
		return;
	table_remove(&parts->table, index);
	slab_give(&parts->slab, object->text, object->bytes);
	object->text = 0;
	pool_give(&parts->pool, index);
}

static void churn(struct scene *scene, struct parts *parts)
{
	for (uint32_t i = 0; i < OBJECTS; i++)
		add(scene, parts);
	for (uint32_t i = 0; i < OBJECTS / 2; i++)
		drop(parts, 1 + random_below(&scene->random, parts->pool.touched));
}

static void assert_whole(const struct parts *parts)
{
	uint32_t used = 0;
	for (uint32_t i = 1; i <= parts->pool.touched; i++) {
		const struct object *object = pool_at(&parts->pool, i);
		assert_int_equal(table_first(&parts->table, hash_of(i)), object->text != 0 ? i : 0);
		const uint8_t *text = object->text != 0 ? slab_at(&parts->slab, object->text) : NULL;
		for (uint32_t at = 0; text != NULL && at < object->bytes; at++)
			assert_int_equal(text[at], (uint8_t)(i + at));
		used += object->text != 0;
	}
	assert_int_equal(parts->pool.used, used);
	assert_int_equal(parts->table.count, used);
}

static enum error parts_save(const struct scene *scene)
{
	const struct parts *parts = &scene->parts;
	enum error error = pool_save(&parts->pool, &scene->arena);
	if (error == ERROR_OK)
		error = slab_save(&parts->slab, &scene->arena);
	return error == ERROR_OK ? table_save(&parts->table, &scene->arena) : error;
}

static int scene_setup(void **state)
{
	static struct scene scene;
	scene = (struct scene){.random = {3}};
	outliving_open(&scene.outliving);
	assert_int_equal(arena_open(&scene.arena, &scene.outliving.root, "part"), ERROR_OK);
	assert_int_equal(parts_open(&scene.parts, &scene.arena), ERROR_OK);
	churn(&scene, &scene.parts);
	*state = &scene;
	return 0;
}

static int scene_teardown(void **state)
{
	struct scene *scene = *state;
	outliving_close(&scene->outliving);
	return 0;
}

static void test_parts_go_on_in_the_next_program(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(region_grow(&scene->parts.plain, 10), ERROR_OK);
	memcpy(scene->parts.plain.base, "as it was", 9);
	assert_int_equal(parts_save(scene), ERROR_OK);
	outliving_adopt(&scene->outliving, &scene->next_arena, "part");
	struct parts *next = &scene->next;
	assert_int_equal(parts_open(next, &scene->next_arena), ERROR_OK);
	outliving_check_unchanged(&scene->outliving);
	assert_ptr_not_equal(next->pool.region.base, scene->parts.pool.region.base);
	assert_whole(next);
	assert_memory_equal(next->plain.base, "as it was", 9);
	assert_int_equal(next->slab.used_bytes, scene->parts.slab.used_bytes);
	assert_int_equal(next->slab.top_bytes, scene->parts.slab.top_bytes);
	/* What is free is used again, and it grows beyond what was usable. */
	uint64_t fresh = next->slab.fresh_count;
	drop(next, 1);
	drop(next, 2);
	churn(scene, next);
	assert_whole(next);
	assert_true(next->slab.fresh_count < fresh + 2 * OBJECTS);
	for (uint32_t i = 1; i <= next->pool.touched; i++)
		drop(next, i);
	assert_int_equal(next->slab.used_bytes, 0);
	assert_int_equal(next->pool.used, 0);
}

/* Opening fails half-way in the next program: the first one adopts its own memory again. */
static void test_what_the_next_program_closes_is_there_for_the_first_one(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(parts_save(scene), ERROR_OK);
	outliving_adopt(&scene->outliving, &scene->next_arena, "part");
	for (int round = 0; round < 3; round++) {
		struct parts *next = &scene->next;
		assert_int_equal(parts_open(next, &scene->next_arena), ERROR_OK);
		assert_whole(next);
		region_close(&next->plain);
		table_close(&next->table);
		slab_close(&next->slab);
		pool_close(&next->pool);
		outliving_check_unchanged(&scene->outliving);
	}
}

static void test_a_pool_keeps_its_limit_unless_less_is_asked_for(void **state)
{
	struct scene *scene = *state;
	struct pool pool;
	assert_int_equal(parts_save(scene), ERROR_OK);
	outliving_adopt(&scene->outliving, &scene->next_arena, "part");
	assert_int_equal(pool_open_in(&pool, &scene->next_arena, "objects", sizeof(struct object), 1000 * OBJECTS),
			 ERROR_OK);
	assert_int_equal(pool.limit, 2 * OBJECTS);
	pool_close(&pool);
	assert_int_equal(pool_open_in(&pool, &scene->next_arena, "objects", sizeof(struct object), 5), ERROR_OK);
	assert_int_equal(pool.limit, 5);
	assert_true(pool.touched > 5);
	uint32_t free = pool.touched - pool.used;
	while (free-- != 0)
		assert_int_not_equal(pool_take(&pool), 0);
	assert_int_equal(pool_take(&pool), 0);
}

static void test_saved_notes_are_new_each_time(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(parts_save(scene), ERROR_OK);
	drop(&scene->parts, 7);
	notes_clear(&scene->outliving.notes); /* it was put off, and is tried again */
	assert_int_equal(parts_save(scene), ERROR_OK);
	outliving_adopt(&scene->outliving, &scene->next_arena, "part");
	assert_int_equal(parts_open(&scene->next, &scene->next_arena), ERROR_OK);
	assert_whole(&scene->next);
}

static void test_zeroed_blocks_are_zero(void **state)
{
	struct scene *scene = *state;
	struct slab *slab = &scene->parts.slab;
	static const size_t SIZES[] = {1, 16, 300, 65536, 70000, 3 * MIB, 4 * MIB};
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
		for (int round = 0; round < 3; round++) {
			uint32_t refs[3];
			for (int n = 0; n < 3; n++) {
				refs[n] = slab_take_zeroed(slab, SIZES[i]);
				const uint8_t *block = slab_at(slab, refs[n]);
				for (size_t at = 0; at < SIZES[i]; at++)
					assert_int_equal(block[at], 0);
				memset(slab_at(slab, refs[n]), 0xff, SIZES[i]);
			}
			for (int n = 0; n < 3; n++)
				slab_give(slab, refs[n], SIZES[i]);
		}
	}
}

/* ---- notes that are wrong ---- */

static void assert_not_found(struct scene *scene)
{
	assert_int_equal(parts_open(&scene->next, &scene->next_arena), ERROR_NOT_FOUND);
}

static void damage(struct scene *scene, const char *name)
{
	struct slice note;
	assert_true(arena_get(&scene->next_arena, name, &note));
	uint8_t *bytes = (uint8_t *)(uintptr_t)note.data;
	uint8_t good[4096];
	assert_true(note.size <= sizeof(good));
	memcpy(good, bytes, note.size);
	/* All ones in each word: beyond what is there, or not aligned. */
	for (size_t at = 0; at + 4 <= note.size; at += 4) {
		memset(bytes + at, 0xff, 4);
		struct parts *next = &scene->next;
		enum error error = parts_open(next, &scene->next_arena);
		/* fresh_count is a figure: any is taken. */
		bool is_figure = strcmp(name, "texts") == 0 && (at == 16 || at == 20);
		assert_int_equal(error, is_figure ? ERROR_OK : ERROR_NOT_FOUND);
		memcpy(bytes, good, note.size);
	}
}

static void test_damaged_notes_are_refused(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(parts_save(scene), ERROR_OK);
	outliving_adopt(&scene->outliving, &scene->next_arena, "part");
	damage(scene, "objects");
	damage(scene, "texts");
	damage(scene, "table");
	assert_int_equal(parts_open(&scene->next, &scene->next_arena), ERROR_OK);
}

static void test_what_was_not_saved_is_not_found(void **state)
{
	struct scene *scene = *state;
	outliving_adopt(&scene->outliving, &scene->next_arena, "part");
	assert_not_found(scene);
	struct pool pool;
	assert_int_equal(pool_open_in(&pool, &scene->next_arena, "others", 8, 10), ERROR_NOT_FOUND);
	outliving_check_unchanged(&scene->outliving);
}

static void test_objects_of_another_size_are_refused(void **state)
{
	struct scene *scene = *state;
	struct pool pool;
	assert_int_equal(parts_save(scene), ERROR_OK);
	outliving_adopt(&scene->outliving, &scene->next_arena, "part");
	assert_int_equal(pool_open_in(&pool, &scene->next_arena, "objects", sizeof(struct object) + 4, 2 * OBJECTS),
			 ERROR_NOT_FOUND);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_parts_go_on_in_the_next_program),
		IN_SCENE(test_what_the_next_program_closes_is_there_for_the_first_one),
		IN_SCENE(test_a_pool_keeps_its_limit_unless_less_is_asked_for),
		IN_SCENE(test_saved_notes_are_new_each_time),
		IN_SCENE(test_zeroed_blocks_are_zero),
		IN_SCENE(test_damaged_notes_are_refused),
		IN_SCENE(test_what_was_not_saved_is_not_found),
		IN_SCENE(test_objects_of_another_size_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
