/* Regions: zeroes where they grow, in place, as far as was reserved; forgotten pages are zeroes again. Anonymous ones
 * and those of an arena alike. */
#include "broken_promise.h"
#include "memory/region.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

static int region_setup(void **state)
{
	static struct region region;
	assert_int_equal(region_open(&region, 8 * MIB), ERROR_OK);
	*state = &region;
	return 0;
}

static int region_teardown(void **state)
{
	region_close(*state);
	return 0;
}

struct arena_scene {
	struct region region; /* first: a test sees this */
	struct arena arena;
	struct memory_root root;
};

static int arena_setup(void **state)
{
	static struct arena_scene scene;
	assert_int_equal(memory_root_open(&scene.root, 1), ERROR_OK);
	assert_int_equal(arena_open(&scene.arena, &scene.root, "test"), ERROR_OK);
	struct region other;
	assert_int_equal(region_open_in(&other, &scene.arena, "other", 3 * MIB), ERROR_OK);
	assert_int_equal(region_open_in(&scene.region, &scene.arena, "region", 8 * MIB), ERROR_OK);
	region_close(&other);
	*state = &scene;
	return 0;
}

static int arena_teardown(void **state)
{
	struct arena_scene *scene = *state;
	region_close(&scene->region);
	arena_close(&scene->arena);
	memory_root_close(&scene->root);
	return 0;
}

static void assert_filled(const uint8_t *bytes, size_t size, uint8_t with)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], with);
}

static void test_grows_in_place_with_zeroes(void **state)
{
	struct region *region = *state;
	assert_int_equal((uintptr_t)region->base % 4096, 0);
	const uint8_t *base = region->base;
	size_t before = 0;
	for (size_t bytes = 1; bytes <= 8 * MIB; bytes = bytes * 3 + 1) {
		assert_int_equal(region_grow(region, bytes), ERROR_OK);
		assert_ptr_equal(region->base, base);
		assert_in_range(region->usable_bytes, bytes, region->reserved_bytes);
		assert_filled(region->base + before, bytes - before, 0);
		memset(region->base, 0xee, bytes);
		before = bytes;
	}
}

static void test_growing_to_less_keeps_what_is_there(void **state)
{
	struct region *region = *state;
	assert_int_equal(region_grow(region, 2 * MIB), ERROR_OK);
	size_t usable = region->usable_bytes;
	region->base[2 * MIB - 1] = 7;
	assert_int_equal(region_grow(region, 1), ERROR_OK);
	assert_int_equal(region->usable_bytes, usable);
	assert_int_equal(region->base[2 * MIB - 1], 7);
}

static void test_stops_at_what_was_reserved(void **state)
{
	struct region *region = *state;
	assert_int_equal(region_grow(region, region->reserved_bytes + 1), ERROR_LIMIT);
	assert_int_equal(region->usable_bytes, 0);
	assert_int_equal(region_grow(region, region->reserved_bytes), ERROR_OK);
	region->base[region->reserved_bytes - 1] = 1;
}

/* Only whole pages inside the range go; their neighbours stay. */
static void test_forgotten_pages_are_zeroes(void **state)
{
	struct region *region = *state;
	assert_int_equal(region_grow(region, MIB), ERROR_OK);
	memset(region->base, 0x55, MIB);
	region_forget(region, 4000, 4096 * 3);
	assert_filled(region->base, 4096, 0x55);
	assert_filled(region->base + 4096, 2 * 4096, 0);
	assert_filled(region->base + 3 * (size_t)4096, MIB - 3 * (size_t)4096, 0x55);
	region_forget(region, 20000, 100); /* no whole page */
	assert_filled(region->base + 20000, 100, 0x55);
}

static void test_closed_region_is_empty(void **state)
{
	(void)state;
	struct region region;
	assert_int_equal(region_open(&region, 1), ERROR_OK);
	region_close(&region);
	assert_null(region.base);
	region_close(&region);
}

static void test_more_than_there_is_of_addresses(void **state)
{
	(void)state;
	struct region region;
	assert_int_equal(region_open(&region, (size_t)1 << 60), ERROR_NO_MEMORY);
}

static void forget_more_than_is_usable(void *argument)
{
	region_forget(argument, MIB - 4096, 8192);
}

static void test_forgetting_what_is_not_usable_is_a_broken_promise(void **state)
{
	char text[BROKEN_PROMISE_BYTES];
	assert_int_equal(region_grow(*state, MIB), ERROR_OK);
	assert_breaks_promise(forget_more_than_is_usable, *state, text);
}

/* Once as anonymous memory, once in an arena. */
#define IN_REGION(test)                                                                                                \
	cmocka_unit_test_setup_teardown(test, region_setup, region_teardown),                                          \
		cmocka_unit_test_setup_teardown(test, arena_setup, arena_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_REGION(test_grows_in_place_with_zeroes),
		IN_REGION(test_growing_to_less_keeps_what_is_there),
		IN_REGION(test_stops_at_what_was_reserved),
		IN_REGION(test_forgotten_pages_are_zeroes),
		IN_REGION(test_forgetting_what_is_not_usable_is_a_broken_promise),
		cmocka_unit_test(test_closed_region_is_empty),
		cmocka_unit_test(test_more_than_there_is_of_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
