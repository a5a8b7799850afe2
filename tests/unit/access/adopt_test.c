/* What each address has, and the rules of tokens, found by the next program. */
#include "access/addresses.h"
#include "auth/rules/acl_pool.h"
#include "outliving.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ADDRESSES 3000u

static const struct hash_key KEY = {{9}};
static const struct address_limits LIMITS = {.connections_max = 2, .rate = 1, .burst = 10};

static struct prefix address(uint32_t number)
{
	struct prefix prefix = {{0}};
	memcpy(prefix.bytes, &number, sizeof(number));
	return prefix;
}

static enum error enter(struct addresses *addresses, uint32_t number, uint32_t *place)
{
	struct prefix prefix = address(number);
	return addresses_enter(addresses, &LIMITS, &prefix, 1000, place);
}

static void test_addresses_are_found(void **state)
{
	(void)state;
	struct outliving outliving;
	struct arena arena, next_arena;
	uint32_t places[ADDRESSES], place;
	outliving_open(&outliving);
	assert_int_equal(arena_open(&arena, &outliving.root, "shared"), ERROR_OK);
	struct addresses *addresses = addresses_new(&KEY, 0, &arena);
	assert_non_null(addresses);
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		assert_int_equal(enter(addresses, i, &places[i]), ERROR_OK);
		if (i % 2 == 0)
			assert_int_equal(enter(addresses, i, &place), ERROR_OK);
		addresses_sign_in(addresses, places[i]);
	}
	for (uint32_t i = 0; i < ADDRESSES; i += 3)
		addresses_leave(addresses, places[i], true);
	assert_int_equal(addresses_save(addresses, &arena), ERROR_OK);
	outliving_adopt(&outliving, &next_arena, "shared");
	struct addresses *next = addresses_new(&KEY, 0, &next_arena);
	assert_non_null(next);
	outliving_check_unchanged(&outliving);
	assert_int_equal(addresses_count(next), addresses_count(addresses));
	/* The limits go on where they were, and so does leaving. */
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		bool has_two = i % 2 == 0 && i % 3 != 0;
		assert_int_equal(enter(next, i, &place), has_two ? ERROR_ADDRESS_CONNECTIONS : ERROR_OK);
		if (!has_two)
			assert_int_equal(place, places[i]);
		if (i % 3 != 0)
			addresses_leave(next, places[i], true);
	}
	addresses_free(next);
	addresses_free(addresses);
	outliving_close(&outliving);
}

static bool are_refused(void *arena)
{
	return addresses_new(&KEY, 0, arena) == NULL;
}

static void test_damaged_addresses_are_refused(void **state)
{
	(void)state;
	struct outliving outliving;
	struct arena arena, next_arena;
	outliving_open(&outliving);
	assert_int_equal(arena_open(&arena, &outliving.root, "shared"), ERROR_OK);
	struct addresses *addresses = addresses_new(&KEY, 0, &arena);
	assert_int_equal(addresses_save(addresses, &arena), ERROR_OK);
	outliving_adopt(&outliving, &next_arena, "shared");
	struct slice note;
	assert_true(arena_get(&next_arena, "addresses 7 swept", &note));
	memset((void *)(uintptr_t)note.data, 0xff, note.size);
	assert_true(outliving_in_child(are_refused, &next_arena));
	addresses_free(addresses);
	outliving_close(&outliving);
}

static void test_rules_of_tokens_are_found(void **state)
{
	(void)state;
	struct outliving outliving;
	struct arena arena, next_arena;
	struct acl_pool pool, next;
	uint32_t rules[50];
	char text[64];
	outliving_open(&outliving);
	assert_int_equal(arena_open(&arena, &outliving.root, "shard"), ERROR_OK);
	assert_int_equal(acl_pool_open(&pool, &arena, 1000, 1 << 20), ERROR_OK);
	for (uint32_t i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "rules %u", i);
		rules[i] = acl_pool_take(&pool, slice_string(text));
		assert_int_not_equal(rules[i], 0);
	}
	acl_pool_give(&pool, rules[7]);
	assert_int_equal(acl_pool_save(&pool, &arena), ERROR_OK);
	outliving_adopt(&outliving, &next_arena, "shard");
	assert_int_equal(acl_pool_open(&next, &next_arena, 1000, 1 << 20), ERROR_OK);
	outliving_check_unchanged(&outliving);
	for (uint32_t i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "rules %u", i);
		if (i != 7) {
			assert_true(slice_equal(acl_pool_rules(&next, rules[i]), slice_string(text)));
			assert_int_equal(acl_pool_serial(&next, rules[i]), acl_pool_serial(&pool, rules[i]));
			assert_int_equal(acl_pool_take(&next, slice_string(text)), rules[i]); /* kept once, as before */
		}
	}
	/* No set of rules gets the number of another, not even of one that is gone. */
	uint32_t fresh = acl_pool_take(&next, slice_string("others"));
	assert_true(acl_pool_serial(&next, fresh) > acl_pool_serial(&pool, rules[49]));
	acl_pool_close(&next);
	outliving_close(&outliving);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_are_found),
		cmocka_unit_test(test_damaged_addresses_are_refused),
		cmocka_unit_test(test_rules_of_tokens_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
