/* The directory has what was set and nothing that was removed, against a plain array. */
#include "cluster/takeover/directory.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define HASHES 4000u

static void test_random_changes(void **state)
{
	(void)state;
	static struct directory directory;
	static uint64_t hashes[HASHES];
	static uint8_t slots[HASHES]; /* 0: it is not there */
	struct random random = {.state = 99};
	directory_init(&directory);
	for (uint32_t i = 0; i < HASHES; i++)
		/* Few parts and few places, so that entries push each other on. */
		hashes[i] = (uint64_t)(random_next(&random) % 4) << 56 | (i + 1) << 3;
	for (uint32_t step = 0; step < 200000; step++) {
		uint32_t at = random_below(&random, HASHES);
		if (random_below(&random, 3) != 0) {
			slots[at] = (uint8_t)(1 + random_below(&random, 60));
			assert_int_equal(directory_set(&directory, hashes[at], slots[at], at, false), ERROR_OK);
		} else {
			slots[at] = 0;
			directory_remove(&directory, hashes[at]);
		}
		if (step % 1000 != 0)
			continue;
		uint32_t count = 0;
		for (uint32_t i = 0; i < HASHES; i++) {
			const struct directory_entry *entry = directory_find(&directory, hashes[i]);
			assert_int_equal(entry != NULL ? entry->slot : 0, slots[i]);
			assert_true(entry == NULL || entry->since_s == i);
			count += slots[i] != 0;
		}
		assert_int_equal(directory.count, count);
	}
	directory_clear(&directory);
	assert_int_equal(directory.count, 0);
	assert_null(directory_find(&directory, hashes[0]));
	directory_fini(&directory);
}

static void test_the_hash_0(void **state)
{
	(void)state;
	static struct directory directory;
	directory_init(&directory);
	assert_null(directory_find(&directory, 0));
	assert_int_equal(directory_set(&directory, 0, 3, 1, true), ERROR_OK);
	assert_int_equal(directory_find(&directory, 0)->slot, 3);
	assert_true(directory_find(&directory, 0)->is_husk);
	directory_remove(&directory, 0);
	assert_null(directory_find(&directory, 0));
	directory_fini(&directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_changes),
		cmocka_unit_test(test_the_hash_0),
	};
	return cmocka_run_group_tests_name("a home's directory", tests, NULL, NULL);
}
