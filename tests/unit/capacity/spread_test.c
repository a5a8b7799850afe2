/* How many shards a number of connections needs: arithmetic, and whether clients really fit when they fall at random.
 */
#include "capacity/spread.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_one_shard_holds_its_seats(void **state)
{
	(void)state;
	assert_int_equal(spread_capacity(1, 0), 0);
	assert_int_equal(spread_capacity(1, 1), 1);
	assert_int_equal(spread_capacity(1, 19976), 19976);
}

static void test_capacity_leaves_a_margin_and_grows(void **state)
{
	(void)state;
	for (uint32_t places = 100; places <= 1000000; places = places * 3 / 2) {
		uint64_t before = 0;
		for (uint32_t shards = 2; shards <= SPREAD_SHARDS_MAX; shards *= 2) {
			uint64_t capacity = spread_capacity(shards, places);
			assert_true(capacity < (uint64_t)shards * places);
			assert_true(capacity > before);
			before = capacity;
		}
		assert_true(spread_capacity(2, places + 1) >= spread_capacity(2, places));
	}
	assert_int_equal(spread_capacity(2, 0), 0);
	assert_int_equal(spread_capacity(2, 4), 0); /* too few for any margin */
	/* At 20,000 a table the margin is 3.5 %. */
	assert_in_range(spread_capacity(60, 20000), 60 * 19200, 60 * 19400);
}

static void test_shards_are_the_fewest_that_hold(void **state)
{
	(void)state;
	static const uint32_t SEATS[] = {64, 1000, 19900, 1000000};
	for (size_t s = 0; s < sizeof(SEATS) / sizeof(SEATS[0]); s++) {
		for (uint64_t wanted = 1; wanted < 20000000; wanted = wanted * 7 / 4 + 1) {
			uint32_t shards = spread_shards(wanted, SEATS[s], 1);
			if (shards == 0) {
				assert_true(spread_capacity(SPREAD_SHARDS_MAX, SEATS[s]) < wanted);
				continue;
			}
			assert_true(spread_capacity(shards, SEATS[s]) >= wanted);
			if (shards > 1)
				assert_true(spread_capacity(shards - 1, SEATS[s]) < wanted);
		}
	}
}

static void test_least_and_most(void **state)
{
	(void)state;
	assert_int_equal(spread_shards(1, 1000, 4), 4);
	assert_int_equal(spread_shards(0, 1000, 2), 2);
	assert_int_equal(spread_shards(1000000, 19900, 2), spread_shards(1000000, 19900, 1));
	assert_int_equal(spread_shards(UINT64_MAX, UINT32_MAX, 1), 0);
	assert_int_equal(spread_shards(1, 0, 1), 0);
	uint64_t most = spread_capacity(SPREAD_SHARDS_MAX, 1000);
	assert_int_equal(spread_shards(most, 1000, 1), SPREAD_SHARDS_MAX);
	assert_int_equal(spread_shards(most + 1, 1000, 1), 0);
}

/* As many clients as a spread promises, each on a shard by chance: none is turned away. */
static void test_clients_by_chance_fit(void **state)
{
	(void)state;
	static uint32_t load[64];
	struct random random = {81};
	for (int round = 0; round < 4; round++) {
		uint32_t shards = 2u << (round * 2 % 6), places = 5000u << round;
		shards = shards > 64 ? 64 : shards;
		memset(load, 0, sizeof(load));
		for (uint64_t clients = spread_capacity(shards, places); clients != 0; clients--)
			load[random_below(&random, shards)]++;
		for (uint32_t i = 0; i < shards; i++)
			assert_true(load[i] <= places);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_shard_holds_its_seats),
		cmocka_unit_test(test_capacity_leaves_a_margin_and_grows),
		cmocka_unit_test(test_shards_are_the_fewest_that_hold),
		cmocka_unit_test(test_least_and_most),
		cmocka_unit_test(test_clients_by_chance_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
