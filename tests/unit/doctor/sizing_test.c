/* What Roost takes for so many connections. */
#include "doctor/limits/sizing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct machine machine_with(uint64_t table, uint64_t cores, bool private_tables)
{
	struct machine machine = {.page_bytes = 4096};
	machine.facts[FACT_DESCRIPTORS_HARD] = reading_known(table);
	machine.facts[FACT_CORES] = reading_known(cores);
	machine.facts[FACT_PRIVATE_TABLES] = reading_known(private_tables);
	return machine;
}

static struct machine machine_with_fixed_files(uint64_t table, uint64_t cores, bool private_tables)
{
	struct machine machine = machine_with(table, cores, private_tables);
	machine.facts[FACT_FIXED_FILES] = reading_known(1);
	return machine;
}

static void test_shards(void **state)
{
	(void)state;
	static const struct {
		uint64_t table;
		uint64_t cores;
		uint64_t connections;
		uint32_t shards;
	} CASES[] = {
		/* one a core while the tables hold them */
		{20000, 2, 1, 2},
		{20000, 2, 38000, 2},
		{1048576, 4, 4000000, 4},
		/* as `roost serve --connections` says when it starts */
		{20000, 2, 100000, 6},
		{20000, 2, 1000000, 53},
		/* one shard is held to its seats, without the spread of a hash */
		{1025, 1, 1000, 1},
		{1025, 1, 1001, 2},
		/* more than 1024 shards hold */
		{1200, 2, 1000000, 0},
		{10, 2, 1000, 0},
		/* 324 shards start in a table of 1024, the 455 that would hold 200,000 do not */
		{1024, 2, 180000, 324},
		{1024, 2, 200000, 0},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct machine machine = machine_with(CASES[i].table, CASES[i].cores, true);
		uint32_t shards = sizing_shards(&machine, CASES[i].connections);
		if (shards != CASES[i].shards)
			fail_msg("case %zu: %u shards", i, shards);
	}
	struct machine shared = machine_with(20000, 2, false);
	assert_int_equal(sizing_shards(&shared, 1000000), 2);
}

/* What the tables of one shard a core do not hold is in io_uring's: more shards are never started. */
static void test_shards_with_fixed_files(void **state)
{
	(void)state;
	static const struct {
		uint64_t table;
		uint64_t cores;
		uint64_t connections;
		uint32_t shards;
	} CASES[] = {
		{20000, 2, 1, 2},
		{20000, 2, 1000000, 2},
		{1024, 2, 200000, 2},
		{1025, 1, 1001, 1},
		/* 998 places, of which rings take a quarter: 249 rings of 1024 sockets */
		{1024, 2, 504000, 2},
		{1024, 2, 506000, 0},
		{10, 2, 1000, 0},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct machine machine = machine_with_fixed_files(CASES[i].table, CASES[i].cores, true);
		uint32_t shards = sizing_shards(&machine, CASES[i].connections);
		if (shards != CASES[i].shards)
			fail_msg("case %zu: %u shards", i, shards);
		assert_int_equal(sizing_threads(&machine, CASES[i].connections), CASES[i].cores + 8);
	}
}

static void test_tables_hold(void **state)
{
	(void)state;
	struct machine machine = machine_with_fixed_files(20000, 2, true);
	assert_true(sizing_tables_hold(&machine, 0));
	assert_true(sizing_tables_hold(&machine, 38000));
	assert_false(sizing_tables_hold(&machine, 40000));
	machine.facts[FACT_PRIVATE_TABLES] = reading_known(0);
	assert_true(sizing_tables_hold(&machine, 14000));
	assert_false(sizing_tables_hold(&machine, 16000));
	machine.facts[FACT_DESCRIPTORS_HARD] = (struct reading){.state = READING_UNLIMITED};
	assert_true(sizing_tables_hold(&machine, SIZING_CONNECTIONS_MAX));
}

/* Each ring is mapped, by each of the shards. */
static void test_mappings_of_rings(void **state)
{
	(void)state;
	struct machine machine = machine_with_fixed_files(20000, 2, true);
	uint64_t without = sizing_mappings(&machine, 38000);
	/* 503,540 seats in rings of 20,000. */
	assert_int_equal(sizing_mappings(&machine, 1000000), without + 2 * 2 * 26);
	/* No more rings than there is room for. */
	machine.facts[FACT_DESCRIPTORS_HARD] = reading_known(64);
	assert_int_equal(sizing_mappings(&machine, 1000000), without + 2 * 2 * 9);
}

/* With the table that is said to be the smallest the shards hold them. */
static void test_table_is_enough(void **state)
{
	(void)state;
	for (uint64_t connections = 1; connections <= 1u << 24; connections = connections * 3 + 1) {
		for (uint64_t cores = 1; cores <= 64; cores *= 4) {
			struct machine machine = machine_with(1 << 20, cores, true);
			uint64_t table = sizing_table(&machine, connections);
			machine.facts[FACT_DESCRIPTORS_HARD] = reading_known(table);
			if (sizing_shards(&machine, connections) == 0)
				fail_msg("%llu connections, %llu cores: %llu", (unsigned long long)connections,
					 (unsigned long long)cores, (unsigned long long)table);
		}
	}
}

static void test_one_table_for_all(void **state)
{
	(void)state;
	struct machine machine = machine_with(20000, 2, false);
	assert_true(sizing_table(&machine, 10000) > 10000 + 10000 / 3);
	assert_true(sizing_table(&machine, 1000000) > 1000000 + 8192);
	assert_true(sizing_table(&machine, 1000000) < 1010000);
}

static void test_nothing_falls_as_connections_rise(void **state)
{
	(void)state;
	struct machine machines[] = {machine_with(20000, 2, true), machine_with_fixed_files(20000, 2, true),
				     machine_with_fixed_files(20000, 2, false), machine_with_fixed_files(10, 4, true)};
	uint64_t (*const SIZES[])(const struct machine *, uint64_t) = {
		sizing_table,         sizing_threads,      sizing_user_bytes, sizing_memory_bytes,
		sizing_address_bytes, sizing_commit_bytes, sizing_mappings};
	const size_t sizes = sizeof(SIZES) / sizeof(SIZES[0]);
	for (size_t i = 0; i < sizes * sizeof(machines) / sizeof(machines[0]); i++) {
		uint64_t last = 0;
		for (uint64_t n = 0; n <= SIZING_CONNECTIONS_MAX; n = n * 2 + 1000) {
			uint64_t size = SIZES[i % sizes](&machines[i / sizes], n);
			if (size < last)
				fail_msg("machine %zu, size %zu: falls at %llu", i / sizes, i % sizes,
					 (unsigned long long)n);
			last = size;
		}
	}
}

static void test_memory_of_a_million(void **state)
{
	(void)state;
	struct machine machine = machine_with(20000, 2, true);
	uint64_t without = sizing_memory_bytes(&machine, 1000000);
	machine.facts[FACT_SOCKET_BYTES] = reading_known(sizing_socket_bytes(&machine) + 1000);
	assert_true(sizing_memory_bytes(&machine, 1000000) == without + 1000000000);
	/* The stacks of 53 shards and more count whole. */
	machine.facts[FACT_STACK] = reading_known(1 << 20);
	uint64_t commit = sizing_commit_bytes(&machine, 1000000);
	assert_true(commit == sizing_user_bytes(&machine, 1000000) + (sizing_threads(&machine, 1000000) << 20));
	machine.facts[FACT_STACK] = reading_known(READING_UNLIMITED_FROM - 1);
	assert_true(sizing_commit_bytes(&machine, 1000000) < (uint64_t)1 << 33);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shards),
		cmocka_unit_test(test_shards_with_fixed_files),
		cmocka_unit_test(test_tables_hold),
		cmocka_unit_test(test_mappings_of_rings),
		cmocka_unit_test(test_table_is_enough),
		cmocka_unit_test(test_one_table_for_all),
		cmocka_unit_test(test_nothing_falls_as_connections_rise),
		cmocka_unit_test(test_memory_of_a_million),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
