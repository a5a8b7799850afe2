/* What the doctor says of shards and descriptor tables is what the server then does: neither has an assumption of its
 * own about what it asks capacity/layout.h for. */
#include "base/log.h"
#include "control/layout.h"
#include "doctor/limits/sizing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CORES_MOST 64u

struct way {
	bool private_tables;
	bool fixed_files;
};

static const struct way WAYS[] = {{true, true}, {true, false}, {false, true}, {false, false}};

#define WAY_COUNT (sizeof(WAYS) / sizeof(WAYS[0]))

static bool server_holds(const struct way *way, uint64_t table, uint32_t cores, uint32_t connections, uint32_t *shards)
{
	struct settings settings = {.connections = connections,
				    .gates = 1,
				    .listener_count = 1,
				    .handshakes_max = 8192,
				    .private_tables = way->private_tables,
				    .fixed_files = way->fixed_files};
	struct layout layout;
	bool planned = layout_plan(&layout, &settings, table, cores) == ERROR_OK;
	*shards = layout.shards;
	return planned && layout.capacity >= connections;
}

static struct machine machine_with(const struct way *way, uint64_t table, uint32_t cores)
{
	struct machine machine = {.page_bytes = 4096};
	machine.facts[FACT_DESCRIPTORS_HARD] = reading_known(table);
	machine.facts[FACT_CORES] = reading_known(cores);
	machine.facts[FACT_PRIVATE_TABLES] = reading_known(way->private_tables);
	machine.facts[FACT_FIXED_FILES] = reading_known(way->fixed_files);
	return machine;
}

/* Where the doctor says that a private table is the smallest, the server holds them, and with one descriptor less it
 * does not, or it does not start: a table must hold the wakers and socket pairs of all shards meanwhile, which is no
 * part of the layout. */
static void check_smallest_table(const struct way *way, uint32_t cores, uint32_t connections)
{
	uint32_t shards;
	struct machine machine = machine_with(way, 0, cores);
	uint64_t table = sizing_table(&machine, connections);
	machine = machine_with(way, table, cores);
	if (!server_holds(way, table, cores, connections, &shards) || shards != sizing_shards(&machine, connections))
		fail_msg("%u connections, %u cores: not with %llu", connections, cores, (unsigned long long)table);
	if (server_holds(way, table - 1, cores, connections, &shards) && table > 3u * shards + 24)
		fail_msg("%u connections, %u cores: less than %llu would do", connections, cores,
			 (unsigned long long)table);
}

static void test_smallest_table(void **state)
{
	(void)state;
	for (uint32_t connections = 500; connections < 16000000; connections = connections * 2 + 77) {
		for (uint32_t cores = 1; cores <= CORES_MOST; cores *= 2) {
			check_smallest_table(&WAYS[0], cores, connections);
			check_smallest_table(&WAYS[1], cores, connections);
		}
	}
}

/* Of a shared table the doctor keeps a few more descriptors for what it does not know: listeners and gates. */
static void test_table_is_enough(void **state)
{
	(void)state;
	for (uint32_t connections = 1; connections < 16000000; connections = connections * 3 + 1) {
		for (size_t i = 0; i < WAY_COUNT * 4; i++) {
			const struct way *way = &WAYS[i % WAY_COUNT];
			uint32_t cores = 1u << (i / WAY_COUNT * 2);
			uint32_t shards;
			struct machine machine = machine_with(way, 0, cores);
			uint64_t table = sizing_table(&machine, connections);
			if (!server_holds(way, table, cores, connections, &shards))
				fail_msg("%u connections, %u cores, way %zu: not with %llu", connections, cores,
					 i % WAY_COUNT, (unsigned long long)table);
		}
	}
}

static void test_shards(void **state)
{
	(void)state;
	static const uint64_t TABLES[] = {1024, 4096, 20000, 65536, 1048576};
	for (size_t i = 0; i < sizeof(TABLES) / sizeof(TABLES[0]) * WAY_COUNT; i++) {
		const struct way *way = &WAYS[i % WAY_COUNT];
		uint64_t table = TABLES[i / WAY_COUNT];
		for (uint32_t connections = 1; connections < 4000000; connections = connections * 3 + 1) {
			struct machine machine = machine_with(way, table, 2);
			uint32_t computed = sizing_shards(&machine, connections);
			uint32_t shards;
			bool held = server_holds(way, table, 2, connections, &shards);
			if (computed != 0 && computed != shards)
				fail_msg("%u connections, table %llu, way %zu: %u shards, not %u", connections,
					 (unsigned long long)table, i % WAY_COUNT, shards, computed);
			if (way->fixed_files && way->private_tables && held != (computed != 0))
				fail_msg("%u connections, table %llu: held %d, computed %u", connections,
					 (unsigned long long)table, held, computed);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest_table),
		cmocka_unit_test(test_table_is_enough),
		cmocka_unit_test(test_shards),
	};
	log_level_set(LOG_ERROR); /* that fewer are held is what is looked for */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
