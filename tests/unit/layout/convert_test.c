/* Memory of another layout: pools and notes are converted beside what there is, the old program can have its own again
 * until the end, and afterwards nothing of the old is held. */
#include "layout/convert.h"
#include "memory/slab.h"
#include "memory/table.h"
#include "outliving.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define OBJECTS 30000u
#define LIMIT 100000u
#define LAYOUT 7u
#define NEXT_LAYOUT 8u

struct before {
	uint32_t number;
	struct table_node node;
	uint16_t text_bytes;
	uint16_t generation;
	uint32_t text;
};

struct after {
	uint64_t fresh;
	uint32_t text;
	uint32_t generation;
	uint32_t number;
	struct table_node node;
	uint16_t text_bytes;
	uint16_t fresh_too;
};

struct kept_before {
	uint32_t a;
	uint32_t b;
};

struct kept_after {
	uint32_t b;
	uint32_t fresh;
	uint32_t a;
};

#define MOVE(from, to, member)                                                                                         \
	{                                                                                                              \
		offsetof(struct from, member) * 8, offsetof(struct to, member) * 8,                                    \
			sizeof(((struct from *)0)->member) * 8                                                         \
	}

static struct convert_type types[] = {
	{.from_bytes = sizeof(struct before),
	 .to_bytes = sizeof(struct after),
	 .move_count = 5,
	 .moves = {MOVE(before, after, number), MOVE(before, after, node), MOVE(before, after, text_bytes),
		   MOVE(before, after, generation), MOVE(before, after, text)}},
	{.from_bytes = sizeof(struct kept_before),
	 .to_bytes = sizeof(struct kept_after),
	 .move_count = 2,
	 .moves = {MOVE(kept_before, kept_after, a), MOVE(kept_before, kept_after, b)}},
};

static const struct conversion CONVERSION = {
	.types = types,
	.type_count = 2,
	.rule_count = 3,
	.rules = {{CONVERT_POOL, "objects #", 0, 0},
		  {CONVERT_OFFSET, "table #", 0, offsetof(struct after, node)},
		  {CONVERT_NOTE, "kept", 1, 0}},
};

struct scene {
	struct outliving outliving; /* the first program */
	struct arena arena;
	struct pool pool;
	struct table table;
	struct slab slab;
	struct random random;
	struct memory_root next; /* as the second program adopts it */
	struct notes next_notes;
	struct memory_root converted;
	struct notes converted_notes;
};

static uint32_t hash_of(uint32_t i)
{
	return i * 2654435761u;
}

static void scene_build(struct scene *scene)
{
	for (uint32_t i = 1; i <= OBJECTS; i++) {
		assert_int_equal(pool_take(&scene->pool), i);
		struct before *object = pool_at(&scene->pool, i);
		*object = (struct before){
			.number = i * 3, .text_bytes = (uint16_t)(1 + i % 100), .generation = (uint16_t)(i * 7)};
		object->text = slab_take(&scene->slab, object->text_bytes);
		memset(slab_at(&scene->slab, object->text), (int)(i % 251), object->text_bytes);
		table_insert(&scene->table, i, hash_of(i));
	}
	for (uint32_t i = 5; i <= OBJECTS; i += 1 + random_below(&scene->random, 5)) {
		const struct before *object = pool_at(&scene->pool, i);
		table_remove(&scene->table, i);
		slab_give(&scene->slab, object->text, object->text_bytes);
		pool_give(&scene->pool, i);
	}
}

static void scene_save(struct scene *scene)
{
	struct kept_before kept = {.a = 1, .b = 2};
	assert_int_equal(pool_save(&scene->pool, &scene->arena), ERROR_OK);
	assert_int_equal(table_save(&scene->table, &scene->arena), ERROR_OK);
	assert_int_equal(slab_save(&scene->slab, &scene->arena), ERROR_OK);
	assert_int_equal(arena_put(&scene->arena, "kept", &kept, sizeof(kept)), ERROR_OK);
	assert_int_equal(notes_put(&scene->outliving.notes, "gateway", "other", "as it was", 9), ERROR_OK);
}

static int scene_setup(void **state)
{
	static struct scene scene;
	scene = (struct scene){.random = {5}};
	outliving_open(&scene.outliving);
	assert_int_equal(arena_open(&scene.arena, &scene.outliving.root, "part"), ERROR_OK);
	assert_int_equal(pool_open_in(&scene.pool, &scene.arena, "objects 12", sizeof(struct before), LIMIT), ERROR_OK);
	assert_int_equal(table_open_in(&scene.table, &scene.arena, "table 12", &scene.pool,
				       offsetof(struct before, node), LIMIT),
			 ERROR_OK);
	assert_int_equal(slab_open_in(&scene.slab, &scene.arena, "texts", 64 << 20), ERROR_OK);
	*state = &scene;
	return 0;
}

static int scene_teardown(void **state)
{
	struct scene *scene = *state;
	outliving_close(&scene->outliving);
	return 0;
}

/* The second program adopts the root block, and has another layout. */
static void scene_adopt(struct scene *scene)
{
	uint64_t layout;
	assert_int_equal(memory_root_layout(scene->outliving.root.fd, &layout), ERROR_OK);
	assert_int_equal(layout, LAYOUT);
	int fd = dup(scene->outliving.root.fd); /* its own, as after execve() */
	assert_int_equal(memory_root_adopt(&scene->next, fd, layout), ERROR_OK);
	assert_int_equal(notes_adopt(&scene->next_notes, &scene->next), ERROR_OK);
}

static enum error scene_convert(struct scene *scene)
{
	return memory_convert(&CONVERSION, &scene->next, NEXT_LAYOUT, &scene->converted, &scene->converted_notes);
}

struct found {
	struct arena arena;
	struct pool pool;
	struct table table;
	struct slab slab;
};

static void find_converted(struct scene *scene, struct found *found)
{
	assert_int_equal(arena_find(&found->arena, &scene->converted, "part"), ERROR_OK);
	assert_int_equal(pool_open_in(&found->pool, &found->arena, "objects 12", sizeof(struct after), LIMIT),
			 ERROR_OK);
	assert_int_equal(table_open_in(&found->table, &found->arena, "table 12", &found->pool,
				       offsetof(struct after, node), LIMIT),
			 ERROR_OK);
	assert_int_equal(slab_open_in(&found->slab, &found->arena, "texts", 64 << 20), ERROR_OK);
	assert_int_equal(found->pool.used, scene->pool.used);
	for (uint32_t i = 1; i <= OBJECTS; i++) {
		uint32_t before = table_first(&scene->table, hash_of(i));
		assert_int_equal(table_first(&found->table, hash_of(i)), before);
		if (before == 0)
			continue;
		const struct after *object = pool_at(&found->pool, i);
		assert_int_equal(object->number, i * 3);
		assert_int_equal(object->generation, (uint16_t)(i * 7));
		assert_int_equal(object->fresh, 0);
		assert_int_equal(object->fresh_too, 0);
		const uint8_t *text = slab_at(&found->slab, object->text);
		assert_int_equal(text[object->text_bytes - 1], i % 251);
	}
	struct kept_after kept;
	struct slice other;
	assert_true(arena_get_exact(&found->arena, "kept", &kept, sizeof(kept)));
	assert_true(kept.a == 1 && kept.b == 2 && kept.fresh == 0);
	assert_true(notes_get(&scene->converted_notes, "gateway", "other", &other));
	assert_true(slice_equal(other, slice_string("as it was")));
}

static uint64_t held_bytes(const struct scene *scene)
{
	struct stat status;
	assert_int_equal(fstat(arena_fd(&scene->arena), &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

static void test_memory_goes_on_in_another_layout(void **state)
{
	struct scene *scene = *state;
	struct found found;
	scene_build(scene);
	scene_save(scene);
	scene_adopt(scene);
	uint64_t sum = outliving_sum(&scene->outliving.root);
	uint64_t held = held_bytes(scene); /* with the pages that the sum has read */
	assert_int_equal(scene_convert(scene), ERROR_OK);
	find_converted(scene, &found);
	assert_int_equal(outliving_sum(&scene->outliving.root), sum); /* of what the old root block reaches */

	memory_convert_finish(&scene->next, &scene->converted);
	assert_true(held_bytes(scene) < held + OBJECTS * (sizeof(struct after) - sizeof(struct before)) + (64 << 10));
	/* What is free is taken in the same order, and it grows. */
	uint32_t free = found.pool.touched - found.pool.used;
	for (uint32_t i = 0; i < free; i++)
		assert_in_range(pool_take(&found.pool), 1, OBJECTS);
	assert_int_equal(pool_take(&found.pool), OBJECTS + 1);
	while (pool_take(&found.pool) != 0)
		;
	assert_int_equal(found.pool.touched, LIMIT);
	/* The next program of the same layout adopts what was converted. */
	struct memory_root again;
	assert_int_equal(memory_root_adopt(&again, scene->converted.fd, NEXT_LAYOUT), ERROR_OK);
	assert_int_equal(munmap(again.block, sizeof(*again.block)), 0);
	notes_close(&scene->converted_notes);
	memory_root_close_block(&scene->converted);
}

/* The second program converts and dies. The first one adopts its own memory, as it was, and what it reserves then is
 * zero. */
static void test_the_first_program_can_have_its_own_again(void **state)
{
	struct scene *scene = *state;
	scene_build(scene);
	scene_save(scene);
	for (int round = 0; round < 3; round++) {
		scene_adopt(scene);
		uint64_t sum = outliving_sum(&scene->outliving.root);
		struct stat status;
		assert_int_equal(scene_convert(scene), ERROR_OK);
		assert_int_equal(fstat(arena_fd(&scene->arena), &status), 0);
		assert_true((uint64_t)status.st_size > scene->next.block->arenas[scene->arena.number].end);
		notes_close(&scene->converted_notes);
		memory_root_close_block(&scene->converted);
		notes_close(&scene->next_notes);
		memory_root_close_block(&scene->next);

		struct memory_root again;
		assert_int_equal(memory_root_adopt(&again, scene->outliving.root.fd, LAYOUT), ERROR_OK);
		assert_int_equal(fstat(arena_fd(&scene->arena), &status), 0);
		assert_int_equal(status.st_size, again.block->arenas[scene->arena.number].end);
		assert_int_equal(munmap(again.block, sizeof(*again.block)), 0);
		assert_int_equal(outliving_sum(&scene->outliving.root), sum);
	}
	struct region region;
	assert_int_equal(region_open_in(&region, &scene->arena, "later", 8 << 20), ERROR_OK);
	assert_int_equal(region_grow(&region, 8 << 20), ERROR_OK);
	for (size_t i = 0; i < (size_t)8 << 20; i += 64)
		assert_int_equal(region.base[i], 0);
}

static void assert_conversion_fails(struct scene *scene)
{
	assert_int_equal(scene_convert(scene), ERROR_NOT_FOUND);
	assert_int_equal(scene->converted.fd, -1);
}

static void test_notes_that_contradict_are_refused(void **state)
{
	struct scene *scene = *state;
	scene_build(scene);
	scene_save(scene);
	scene_adopt(scene);
	struct arena arena;
	struct slice data;
	assert_int_equal(arena_find(&arena, &scene->next, "part"), ERROR_OK);
	assert_true(arena_get(&arena, "objects 12", &data));
	struct pool_note *note = (void *)(uintptr_t)data.data;
	const struct pool_note good = *note;
	note->object_bytes++;
	assert_conversion_fails(scene);
	*note = good;
	note->touched = note->limit + 1;
	assert_conversion_fails(scene);
	*note = good;
	note->limit = UINT32_MAX - 1;
	assert_conversion_fails(scene);
	*note = good;
	note->free = note->touched + 1;
	assert_conversion_fails(scene);
	*note = good;
	note->free = 1; /* not free: its number is a wild link */
	assert_conversion_fails(scene);
	*note = good;
	types[1].from_bytes++; /* another size than the note has */
	assert_conversion_fails(scene);
	types[1].from_bytes--;
	assert_int_equal(scene_convert(scene), ERROR_OK);
	notes_close(&scene->converted_notes);
	memory_root_close_block(&scene->converted);
	notes_close(&scene->next_notes);
	memory_root_close_block(&scene->next);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_memory_goes_on_in_another_layout),
		IN_SCENE(test_the_first_program_can_have_its_own_again),
		IN_SCENE(test_notes_that_contradict_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
