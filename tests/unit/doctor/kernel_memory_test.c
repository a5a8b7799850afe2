/* The kernel's memory, read twice; and the floor of a message. */
#include "doctor/plan/kernel_memory.h"
#include "doctor/plan/loopback.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_growth_from_nothing(void **state)
{
	(void)state;
	struct kernel_memory now;
	struct kernel_memory before = {0};
	bool by_objects;
	kernel_memory_read(&now);
	assert_true(now.slab_bytes > 0);
	/* Without slabinfo the sum of all slabs counts. */
	double bytes = kernel_memory_growth(&before, 1, &by_objects);
	assert_false(by_objects);
	assert_true(bytes > 0);
	/* With it, from a list without a single object: all there are. */
	before.slabs = calloc(1, sizeof(*before.slabs));
	assert_non_null(before.slabs);
	bytes = kernel_memory_growth(&before, 1, &by_objects);
	assert_true(by_objects == (now.slabs != NULL));
	assert_true(bytes > 0);
	/* For more sockets than there are objects of any kind nothing belongs to them. */
	before.slab_bytes = UINT64_MAX;
	assert_true(kernel_memory_growth(&before, UINT32_MAX, &by_objects) == 0);
	kernel_memory_free(&before);
	kernel_memory_free(&now);
	assert_null(now.slabs);
}

static void test_floor(void **state)
{
	(void)state;
	assert_true(isfinite(loopback_ns(0)) && loopback_ns(0) > 0);
	/* More than a socket holds: it must not wait for itself. */
	assert_true(isfinite(loopback_ns(1u << 20)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growth_from_nothing),
		cmocka_unit_test(test_floor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
