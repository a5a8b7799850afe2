/* References with a type: over pools, slabs, lists and tables, and what the compiler tells apart. */
#include "broken_promise.h"
#include "memory/list.h"
#include "memory/slab.h"
#include "memory/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

DEFINE_REF(bird);
DEFINE_REF(nest);

struct bird {
	uint32_t link; /* the pool's while the object is free */
	struct nest_ref nest;
	struct table_node node;
};

struct nest {
	struct bird_ref owner;
	uint32_t eggs;
	char place[];
};

DEFINE_POOL_REF(bird);
DEFINE_LIST(bird);
DEFINE_TABLE(bird);
DEFINE_SLAB_REF(nest);

/* What the compiler compares when one is handed over for the other. */
#define IS(type, value) _Generic((value), type : 1, default : 0)
_Static_assert(IS(struct bird_ref, (struct bird_ref){0}), "a reference is of its own kind");
_Static_assert(!IS(struct nest_ref, (struct bird_ref){0}), "and of no other");
_Static_assert(!IS(uint32_t, (struct bird_ref){0}), "nor a plain number");
_Static_assert(sizeof(struct bird) == 16, "references pack as numbers do");

#define BIRDS 300u

struct ref_scene {
	struct pool birds;
	struct slab slab;
	struct table table;
};

static int ref_scene_open(void **state)
{
	static struct ref_scene scene;
	assert_int_equal(pool_open(&scene.birds, sizeof(struct bird), BIRDS), ERROR_OK);
	assert_int_equal(slab_open(&scene.slab, (size_t)1 << 20), ERROR_OK);
	assert_int_equal(table_open(&scene.table, &scene.birds, offsetof(struct bird, node), BIRDS), ERROR_OK);
	*state = &scene;
	return 0;
}

static int ref_scene_close(void **state)
{
	struct ref_scene *scene = *state;
	table_close(&scene->table);
	slab_close(&scene->slab);
	pool_close(&scene->birds);
	return 0;
}

static void test_zero_refers_to_nothing(void **state)
{
	(void)state;
	struct bird zeroed = {0};
	assert_true(nest_ref_is_none(zeroed.nest));
	assert_true(nest_ref_equal(zeroed.nest, nest_ref_none()));
	assert_false(nest_ref_is_none((struct nest_ref){1}));
	assert_false(nest_ref_equal((struct nest_ref){1}, (struct nest_ref){2}));
}

static void test_typed_access_is_that_of_the_pool(void **state)
{
	struct ref_scene *scene = *state;
	for (uint32_t i = 1; i <= BIRDS; i++) {
		struct bird_ref ref = bird_take(&scene->birds);
		assert_false(bird_ref_is_none(ref));
		assert_ptr_equal(bird_at(&scene->birds, ref), pool_at(&scene->birds, ref.index));
	}
	assert_true(bird_ref_is_none(bird_take(&scene->birds)));
	bird_give(&scene->birds, (struct bird_ref){17});
	assert_int_equal(bird_take(&scene->birds).index, 17);
}

static void test_typed_access_is_that_of_the_slab(void **state)
{
	struct ref_scene *scene = *state;
	size_t bytes = sizeof(struct nest) + 40;
	struct nest_ref ref = nest_take(&scene->slab, bytes);
	struct nest *nest = nest_at(&scene->slab, ref);
	memset(nest->place, 'x', 40);
	assert_ptr_equal(nest, slab_at(&scene->slab, ref.index));
	nest_give(&scene->slab, ref, bytes);
	assert_int_equal(scene->slab.used_bytes, 0);
	assert_true(nest_ref_is_none(nest_take(&scene->slab, (size_t)2 << 20)));
}

static void test_list_keeps_order_and_room(void **state)
{
	(void)state;
	struct bird_list list = {0};
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 1; i <= 1000; i++)
			bird_list_push(&list, (struct bird_ref){i});
		assert_int_equal(list.capacity, 1024);
		for (uint32_t i = 0; i < 1000; i++)
			assert_int_equal(list.items[i].index, i + 1);
		list.count = 0;
	}
	bird_list_fini(&list);
	assert_null(list.items);
}

static void test_table_finds_each_of_a_hash(void **state)
{
	struct ref_scene *scene = *state;
	struct bird_ref first = bird_take(&scene->birds);
	struct bird_ref second = bird_take(&scene->birds);
	bird_table_insert(&scene->table, first, 5);
	bird_table_insert(&scene->table, second, 5);
	assert_true(bird_ref_equal(bird_table_first(&scene->table, 5), second));
	assert_true(bird_ref_equal(bird_table_next(&scene->table, second), first));
	assert_true(bird_ref_is_none(bird_table_next(&scene->table, first)));
	bird_table_remove(&scene->table, second);
	assert_true(bird_ref_equal(bird_table_first(&scene->table, 5), first));
	bird_table_remove(&scene->table, first);
	assert_true(bird_ref_is_none(bird_table_first(&scene->table, 5)));
}

static void look_at_no_bird(void *scene)
{
	bird_at(&((struct ref_scene *)scene)->birds, bird_ref_none());
}

static void look_at_bird_never_taken(void *scene)
{
	bird_at(&((struct ref_scene *)scene)->birds, (struct bird_ref){2});
}

static void take_bird_from_pool_of_others(void *scene)
{
	struct pool others;
	pool_open(&others, sizeof(struct bird) * 2, 1);
	bird_take(&others);
	(void)scene;
}

static void push_no_bird(void *scene)
{
	(void)scene;
	struct bird_list list = {0};
	bird_list_push(&list, bird_ref_none());
}

static void take_nest_shorter_than_it_is(void *scene)
{
	nest_take(&((struct ref_scene *)scene)->slab, sizeof(struct nest) - 1);
}

static void test_references_to_nothing_are_broken_promises(void **state)
{
	struct ref_scene *scene = *state;
	bird_at(&scene->birds, bird_take(&scene->birds));
	char text[BROKEN_PROMISE_BYTES];
	assert_breaks_promise(look_at_no_bird, scene, text);
	assert_breaks_promise(look_at_bird_never_taken, scene, text);
	assert_breaks_promise(take_bird_from_pool_of_others, scene, text);
	assert_breaks_promise(push_no_bird, scene, text);
	assert_breaks_promise(take_nest_shorter_than_it_is, scene, text);
}

#define IN_REF_SCENE(test) cmocka_unit_test_setup_teardown(test, ref_scene_open, ref_scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zero_refers_to_nothing),
		IN_REF_SCENE(test_typed_access_is_that_of_the_pool),
		IN_REF_SCENE(test_typed_access_is_that_of_the_slab),
		cmocka_unit_test(test_list_keeps_order_and_room),
		IN_REF_SCENE(test_table_finds_each_of_a_hash),
		IN_REF_SCENE(test_references_to_nothing_are_broken_promises),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
