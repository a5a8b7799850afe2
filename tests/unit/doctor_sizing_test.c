/* What Roost takes for so many connections. */
#include "doctor/sizing.h"

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
	struct machine machine = machine_with(20000, 2, true);
	uint64_t (*const SIZES[])(const struct machine *, uint64_t) = {
		sizing_table,         sizing_threads,      sizing_user_bytes, sizing_memory_bytes,
		sizing_address_bytes, sizing_commit_bytes, sizing_mappings};
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
		uint64_t last = 0;
		for (uint64_t n = 0; n <= SIZING_CONNECTIONS_MAX; n = n * 2 + 1000) {
			uint64_t size = SIZES[i](&machine, n);
			if (size < last)
				fail_msg("size %zu falls at %llu", i, (unsigned long long)n);
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
		cmocka_unit_test(test_table_is_enough),
		cmocka_unit_test(test_one_table_for_all),
		cmocka_unit_test(test_nothing_falls_as_connections_rise),
		cmocka_unit_test(test_memory_of_a_million),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
