/* Whatever is asked for and allowed, the parts of a layout add up, and a larger allowance never holds less. */
#include "capacity/layout.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ROUNDS 20000

static struct layout_request random_request(struct random *random)
{
	return (struct layout_request){
		.connections = random_below(random, 8) == 0 ? 0 : random_below(random, 1u << random_below(random, 25)),
		.table = random_below(random, 1u << random_below(random, 22)),
		.cores = 1 + random_below(random, 64),
		.shards = random_below(random, 4) == 0 ? 1 + random_below(random, 100) : 0,
		.gates = 1 + random_below(random, 4),
		.listeners = random_below(random, 8),
		.handshakes_max = 1 + random_below(random, 10000),
		.private_tables = random_below(random, 2) == 0,
		.fixed_files = random_below(random, 2) == 0,
	};
}

static void check_made(const struct layout_request *request, const struct layout *layout)
{
	const struct layout_fixed *fixed = &layout->fixed;
	bool is_shared = !request->private_tables;
	uint64_t handshakes = is_shared ? (uint64_t)layout->handshakes_max * request->gates : 0;
	assert_true(layout->table >= layout->table_min);
	assert_true(layout->shards >= (request->shards != 0 ? request->shards : request->cores));
	assert_true(layout->handshakes_max >= 1 && layout->handshakes_max <= request->handshakes_max);
	assert_true(layout->places >= 1 && layout->places + handshakes < layout->table);
	assert_true(request->connections == 0 || layout->capacity <= request->connections);
	if (fixed->sockets == 0) {
		assert_int_equal(layout->quota, layout->places);
		assert_int_equal(layout_rings(layout), 0);
		return;
	}
	uint32_t sharing = is_shared ? layout->shards : 1;
	assert_true(request->fixed_files && fixed->ring_slots <= layout->table);
	assert_true((uint64_t)layout_rings(layout) * fixed->ring_slots >= fixed->sockets);
	assert_true(fixed->first_descriptor > 0);
	/* The rings, which are descriptors, have places behind those of the sockets. */
	assert_true((uint32_t)fixed->first_descriptor + layout_rings(layout) * sharing <= layout->places);
	assert_true(layout->quota >= layout->capacity / (is_shared ? 1 : layout->shards));
}

static void test_parts_add_up(void **state)
{
	(void)state;
	struct random random = {11};
	uint32_t made = 0, fixed = 0;
	for (int round = 0; round < ROUNDS; round++) {
		struct layout_request request = random_request(&random);
		struct layout layout;
		if (layout_make(&request, &layout) != LAYOUT_MADE)
			continue;
		check_made(&request, &layout);
		made++;
		fixed += layout.fixed.sockets != 0;
	}
	assert_true(made > ROUNDS / 4 && fixed > ROUNDS / 50);
}

/* That a table is too small, and from where on it is not, agree. */
static void test_smallest_table(void **state)
{
	(void)state;
	struct random random = {12};
	for (int round = 0; round < ROUNDS; round++) {
		struct layout_request request = random_request(&random);
		struct layout layout;
		request.connections = 0;
		layout_make(&request, &layout);
		request.table = layout.table_min;
		assert_int_equal(layout_make(&request, &layout), LAYOUT_MADE);
		request.table--;
		assert_int_equal(layout_make(&request, &layout), LAYOUT_TABLE_SMALL);
	}
}

static uint64_t capacity_of(const struct layout_request *request)
{
	struct layout layout;
	return layout_make(request, &layout) == LAYOUT_MADE ? layout.capacity : 0;
}

/* Of several gates each takes a place more at a time, which the clients then lose. */
static void test_a_larger_table_never_holds_less(void **state)
{
	(void)state;
	struct random random = {13};
	for (int round = 0; round < ROUNDS; round++) {
		struct layout_request request = random_request(&random);
		request.gates = 1;
		uint64_t before = capacity_of(&request);
		request.table += random_below(&random, 1000);
		if (capacity_of(&request) < before)
			fail_msg("round %d: table %llu", round, (unsigned long long)request.table);
	}
}

static void test_fixed_files_never_hold_less(void **state)
{
	(void)state;
	struct random random = {14};
	for (int round = 0; round < ROUNDS; round++) {
		struct layout_request request = random_request(&random);
		request.shards = request.cores; /* without them there would be more shards */
		request.fixed_files = false;
		uint64_t before = capacity_of(&request);
		request.fixed_files = true;
		assert_true(capacity_of(&request) >= before);
	}
}

static void test_too_many_shards(void **state)
{
	(void)state;
	struct layout_request request = {.connections = 100000000,
					 .table = 20000,
					 .cores = 2,
					 .gates = 1,
					 .handshakes_max = 1000,
					 .private_tables = true};
	struct layout layout;
	assert_int_equal(layout_make(&request, &layout), LAYOUT_SHARDS_SHORT);
	request.connections = 10000000;
	assert_int_equal(layout_make(&request, &layout), LAYOUT_MADE);
	assert_true(layout.shards > 500 && layout.capacity == request.connections);
	assert_int_equal(layout_table_to_start(layout.shards), 3 * layout.shards + 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_add_up),
		cmocka_unit_test(test_smallest_table),
		cmocka_unit_test(test_a_larger_table_never_holds_less),
		cmocka_unit_test(test_fixed_files_never_hold_less),
		cmocka_unit_test(test_too_many_shards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
