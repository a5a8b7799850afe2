/* Where the clients' sockets find places: in tables, in more shards' tables, or in fixed files. */
#include "control/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CORES 2u

static struct settings settings_for(uint32_t connections, bool private_tables, bool fixed_files)
{
	return (struct settings){.connections = connections,
				 .gates = 1,
				 .listener_count = 1,
				 .handshakes_max = 1000,
				 .private_tables = private_tables,
				 .fixed_files = fixed_files};
}

static void test_tables_that_hold_them(void **state)
{
	(void)state;
	for (int fixed_files = 0; fixed_files < 2; fixed_files++) {
		struct settings settings = settings_for(20000, true, fixed_files != 0);
		struct layout layout;
		assert_int_equal(layout_plan(&layout, &settings, 20000, CORES), ERROR_OK);
		assert_int_equal(layout.shards, CORES);
		assert_int_equal(layout.fixed.sockets, 0);
		assert_int_equal(layout.quota, layout.places);
		assert_int_equal(layout.capacity, 20000);
		settings.connections = 0; /* as many as they hold */
		assert_int_equal(layout_plan(&layout, &settings, 20000, CORES), ERROR_OK);
		assert_int_equal(layout.fixed.sockets, 0);
		assert_int_equal(layout.capacity, spread_capacity(CORES, layout.places));
	}
}

static void test_fixed_files_spare_shards(void **state)
{
	(void)state;
	struct settings settings = settings_for(1010000, true, true);
	struct layout layout;
	assert_int_equal(layout_plan(&layout, &settings, 20000, CORES), ERROR_OK);
	assert_int_equal(layout.shards, CORES);
	assert_int_equal(layout.capacity, 1010000);
	/* Every client has a seat, wherever it falls, and every seat a place. */
	assert_true(spread_capacity(CORES, layout.quota) >= 1010000);
	assert_true(layout.quota <= layout.fixed.sockets + (uint32_t)layout.fixed.first_descriptor);
	assert_true((uint32_t)layout.fixed.first_descriptor < layout.places);
	assert_true(layout.fixed.ring_slots <= 20000);
}

static void test_without_them_there_are_more_shards(void **state)
{
	(void)state;
	struct settings settings = settings_for(1010000, true, false);
	struct layout layout;
	assert_int_equal(layout_plan(&layout, &settings, 20000, CORES), ERROR_OK);
	assert_int_equal(layout.fixed.sockets, 0);
	assert_true(layout.shards > 50);
	assert_true(spread_capacity(layout.shards, layout.places) >= 1010000);
}

/* Shards that were asked for stay as many; they hold more only with fixed files. */
static void test_number_of_shards_is_given(void **state)
{
	(void)state;
	struct layout layout;
	struct settings settings = settings_for(100000, true, false);
	settings.shards = 3;
	assert_int_equal(layout_plan(&layout, &settings, 20000, CORES), ERROR_OK);
	assert_int_equal(layout.shards, 3);
	assert_true(layout.capacity < 60000);
	settings.fixed_files = true;
	assert_int_equal(layout_plan(&layout, &settings, 20000, CORES), ERROR_OK);
	assert_int_equal(layout.shards, 3);
	assert_int_equal(layout.capacity, 100000);
}

static void test_shared_table(void **state)
{
	(void)state;
	struct layout layout;
	struct settings settings = settings_for(100000, false, false);
	assert_int_equal(layout_plan(&layout, &settings, 20000, CORES), ERROR_OK);
	assert_int_equal(layout.shards, CORES);
	assert_true(layout.capacity < 19000); /* handshakes have their own */
	assert_int_equal(layout.quota, layout.capacity);
	settings = settings_for(100000, false, true);
	assert_int_equal(layout_plan(&layout, &settings, 20000, CORES), ERROR_OK);
	assert_int_equal(layout.quota, 100000); /* of all */
	assert_true((uint32_t)layout.fixed.first_descriptor < layout.places);
	assert_true(spread_capacity(CORES, layout.fixed.sockets) >= 100000);
}

static void test_small_tables(void **state)
{
	(void)state;
	struct layout layout;
	struct settings settings = settings_for(1000, true, true);
	assert_int_equal(layout_plan(&layout, &settings, 64, CORES), ERROR_OK);
	assert_true(settings.handshakes_max < 64);
	assert_true(layout.fixed.first_descriptor > 0 && layout.fixed.ring_slots <= 64);
	/* Rings need places too: they are few here, and what they hold is less than was asked for. */
	settings.connections = 100000;
	assert_int_equal(layout_plan(&layout, &settings, 64, CORES), ERROR_OK);
	assert_true(layout.fixed.first_descriptor > 0);
	assert_true(layout.capacity < 2000);
	/* None at all here: the table's own places are left. */
	settings.connections = 1000;
	settings.shards = 1;
	assert_int_equal(layout_plan(&layout, &settings, 27, CORES), ERROR_OK);
	assert_int_equal(layout.fixed.sockets, 0);
	assert_int_equal(layout.quota, 2);
	assert_int_equal(layout.capacity, 2);
	settings.shards = 0;
	assert_int_equal(layout_plan(&layout, &settings, 20, CORES), ERROR_LIMIT);
	settings = settings_for(1000, false, true);
	assert_int_equal(layout_plan(&layout, &settings, 20, CORES), ERROR_LIMIT);
	assert_int_equal(layout_plan(&layout, &settings, 64, CORES), ERROR_OK);
	/* More than the most shards would hold. */
	settings = settings_for(100000000, true, false);
	assert_int_equal(layout_plan(&layout, &settings, 20000, CORES), ERROR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_that_hold_them),
		cmocka_unit_test(test_fixed_files_spare_shards),
		cmocka_unit_test(test_without_them_there_are_more_shards),
		cmocka_unit_test(test_number_of_shards_is_given),
		cmocka_unit_test(test_shared_table),
		cmocka_unit_test(test_small_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
