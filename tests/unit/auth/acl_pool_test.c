/* Rules of tokens, held once however many clients have them. */
#include "auth/rules/acl_pool.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ENTRIES_MAX 1000u
#define BYTES_MAX ((size_t)1 << 20)

static struct acl_pool pool;

static int open_pool(void **state)
{
	(void)state;
	return acl_pool_open(&pool, NULL, ENTRIES_MAX, BYTES_MAX) == ERROR_OK ? 0 : 1;
}

static int close_pool(void **state)
{
	(void)state;
	acl_pool_close(&pool);
	return 0;
}

static void test_equal_rules_are_one(void **state)
{
	(void)state;
	uint32_t one = acl_pool_take(&pool, slice_string("rules")), other = acl_pool_take(&pool, slice_string("rules"));
	uint32_t third = acl_pool_take(&pool, slice_string("other rules"));
	assert_true(one != 0 && third != 0);
	assert_int_equal(one, other);
	assert_true(third != one);
	assert_int_equal(pool.entries.used, 2);
	assert_true(slice_equal(acl_pool_rules(&pool, one), slice_string("rules")));
	acl_pool_give(&pool, one);
	assert_true(slice_equal(acl_pool_rules(&pool, other), slice_string("rules")));
	acl_pool_give(&pool, other);
	assert_int_equal(pool.entries.used, 1);
	acl_pool_give(&pool, third);
	assert_int_equal(pool.entries.used, 0);
	assert_int_equal(pool.texts.used_bytes, 0);
}

static void test_none_and_nothing(void **state)
{
	(void)state;
	assert_null(acl_pool_rules(&pool, 0).data);
	assert_true(acl_pool_serial(&pool, 0) == 0);
	acl_pool_give(&pool, 0);
	/* Rules that allow nothing are rules. */
	uint32_t nothing = acl_pool_take(&pool, slice_of("", 0));
	assert_true(nothing != 0);
	assert_non_null(acl_pool_rules(&pool, nothing).data);
	assert_int_equal(acl_pool_rules(&pool, nothing).size, 0);
	acl_pool_give(&pool, nothing);
}

/* A place that is used again must not be taken for what was there before. */
static void test_serials_are_never_the_same(void **state)
{
	(void)state;
	uint32_t index = acl_pool_take(&pool, slice_string("first"));
	uint64_t serial = acl_pool_serial(&pool, index);
	acl_pool_give(&pool, index);
	uint32_t again = acl_pool_take(&pool, slice_string("second"));
	assert_int_equal(again, index);
	assert_true(acl_pool_serial(&pool, again) != serial);
	acl_pool_give(&pool, again);
}

static void test_rules_are_aligned(void **state)
{
	(void)state;
	uint32_t indices[20];
	for (uint32_t i = 0; i < 20; i++) {
		char text[32];
		indices[i] = acl_pool_take(&pool, slice_of(text, (size_t)sprintf(text, "rules of %u", 1u << i)));
		assert_int_equal((uintptr_t)acl_pool_rules(&pool, indices[i]).data % 4, 0);
	}
	for (uint32_t i = 0; i < 20; i++)
		acl_pool_give(&pool, indices[i]);
}

static void test_limit(void **state)
{
	(void)state;
	uint32_t indices[ENTRIES_MAX];
	char text[32];
	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		indices[i] = acl_pool_take(&pool, slice_of(text, (size_t)sprintf(text, "%u", i)));
		assert_true(indices[i] != 0);
	}
	size_t bytes = pool.texts.used_bytes;
	assert_int_equal(acl_pool_take(&pool, slice_string("one more")), 0);
	assert_int_equal(pool.texts.used_bytes, bytes); /* a refusal leaves nothing behind */
	assert_int_equal(acl_pool_take(&pool, slice_string("7")), indices[7]);
	acl_pool_give(&pool, indices[7]);
	for (uint32_t i = 0; i < ENTRIES_MAX; i++)
		acl_pool_give(&pool, indices[i]);
	assert_int_equal(pool.texts.used_bytes, 0);
}

/* No single take sorts all entries anew: the table has at most one bucket more behind it. */
static void test_grows_step_by_step(void **state)
{
	(void)state;
	static uint32_t indices[ENTRIES_MAX];
	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		char text[32];
		uint32_t before = pool.table.bucket_count;
		indices[i] = acl_pool_take(&pool, slice_of(text, (size_t)sprintf(text, "step %u", i)));
		assert_int_not_equal(indices[i], 0);
		assert_in_range(pool.table.bucket_count - before, 0, 1);
	}
	for (uint32_t i = 0; i < ENTRIES_MAX; i++)
		acl_pool_give(&pool, indices[i]);
}

/* Takes and gives at random, against a plain count of what is held. */
static void test_against_a_model(void **state)
{
	(void)state;
	enum { NAMES = 300, STEPS = 30000 };
	static uint32_t held[NAMES], index_of[NAMES];
	struct random random = {.state = 7};
	for (uint32_t step = 0; step < STEPS; step++) {
		uint32_t name = random_below(&random, NAMES);
		char text[32];
		struct slice rules = slice_of(text, (size_t)sprintf(text, "allow %u", name));
		if (random_below(&random, 2) == 0) {
			uint32_t index = acl_pool_take(&pool, rules);
			assert_true(index != 0 && (held[name] == 0 || index == index_of[name]));
			index_of[name] = index;
			held[name]++;
		} else if (held[name] > 0) {
			assert_true(slice_equal(acl_pool_rules(&pool, index_of[name]), rules));
			acl_pool_give(&pool, index_of[name]);
			held[name]--;
		}
	}
	uint32_t distinct = 0;
	for (uint32_t name = 0; name < NAMES; name++) {
		distinct += held[name] > 0;
		while (held[name] > 0) {
			acl_pool_give(&pool, index_of[name]);
			held[name]--;
			distinct -= held[name] == 0;
			uint32_t left = 0;
			for (uint32_t later = name; later < NAMES; later++)
				left += held[later] > 0;
			if (held[name] == 0)
				assert_int_equal(pool.entries.used, left);
		}
	}
	assert_int_equal(distinct, 0);
	assert_int_equal(pool.texts.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_equal_rules_are_one, open_pool, close_pool),
		cmocka_unit_test_setup_teardown(test_none_and_nothing, open_pool, close_pool),
		cmocka_unit_test_setup_teardown(test_serials_are_never_the_same, open_pool, close_pool),
		cmocka_unit_test_setup_teardown(test_rules_are_aligned, open_pool, close_pool),
		cmocka_unit_test_setup_teardown(test_limit, open_pool, close_pool),
		cmocka_unit_test_setup_teardown(test_grows_step_by_step, open_pool, close_pool),
		cmocka_unit_test_setup_teardown(test_against_a_model, open_pool, close_pool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
