/* The table of revocations: what changes, what is in force, how it is bounded. */
#include "auth/revocation/revocation.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_S INT64_C(1700000000)
#define LIMIT 1000u

static struct revocations *table;
static const struct hash_key KEY = {{1}};

static int make_table(void **state)
{
	(void)state;
	table = revocations_new(LIMIT, &KEY);
	return table == NULL;
}

static int free_table(void **state)
{
	(void)state;
	revocations_free(table);
	return 0;
}

static enum revocation_change add(enum revocation_kind kind, const char *id, int64_t until_s)
{
	enum revocation_change change;
	struct revocation revocation = {.kind = kind, .id = slice_string(id), .until_s = until_s};
	assert_int_equal(revocations_add(table, &revocation, NOW_S, &change), ERROR_OK);
	return change;
}

static bool has(enum revocation_kind kind, const char *id)
{
	return revocations_has(table, kind, slice_string(id), NOW_S);
}

/* True: there was one. */
static bool lift(enum revocation_kind kind, struct slice id)
{
	struct revocation over = {.kind = kind, .id = id, .until_s = NOW_S};
	enum revocation_change change;
	assert_int_equal(revocations_add(table, &over, NOW_S, &change), ERROR_OK);
	return change == REVOCATION_LIFTED;
}

static void test_kinds_are_told_apart(void **state)
{
	(void)state;
	assert_false(has(REVOCATION_TOKEN, "x"));
	assert_int_equal(add(REVOCATION_USER, "x", NOW_S + 1), REVOCATION_ADDED);
	assert_true(has(REVOCATION_USER, "x"));
	assert_false(has(REVOCATION_TOKEN, "x"));
	assert_false(has(REVOCATION_CLIENT, "x"));
	assert_false(has(REVOCATION_USER, "X"));
	assert_false(has(REVOCATION_USER, "xx"));
	assert_false(has(REVOCATION_USER, ""));
}

static void test_in_force_until_its_end(void **state)
{
	(void)state;
	struct slice id = slice_string("t");
	add(REVOCATION_TOKEN, "t", NOW_S + 10);
	assert_true(revocations_has(table, REVOCATION_TOKEN, id, NOW_S + 9));
	assert_false(revocations_has(table, REVOCATION_TOKEN, id, NOW_S + 10));
	add(REVOCATION_USER, "u", REVOKED_FOR_EVER);
	assert_true(revocations_has(table, REVOCATION_USER, slice_string("u"), INT64_MAX - 1));
}

static void test_what_changed(void **state)
{
	(void)state;
	assert_int_equal(add(REVOCATION_TOKEN, "t", NOW_S), REVOCATION_UNCHANGED); /* over already */
	assert_int_equal(revocations_count(table), 0);
	assert_int_equal(add(REVOCATION_TOKEN, "t", NOW_S + 10), REVOCATION_ADDED);
	assert_int_equal(add(REVOCATION_TOKEN, "t", NOW_S + 10), REVOCATION_UNCHANGED);
	assert_int_equal(add(REVOCATION_TOKEN, "t", NOW_S + 20), REVOCATION_RENEWED);
	assert_int_equal(add(REVOCATION_TOKEN, "t", NOW_S + 5), REVOCATION_RENEWED);
	assert_false(revocations_has(table, REVOCATION_TOKEN, slice_string("t"), NOW_S + 5));
	assert_int_equal(add(REVOCATION_TOKEN, "t", NOW_S - 1), REVOCATION_LIFTED);
	assert_false(has(REVOCATION_TOKEN, "t"));
	assert_int_equal(revocations_count(table), 0);
}

/* One whose end has passed was not in force: to revoke it again is news. */
static void test_again_after_its_end(void **state)
{
	(void)state;
	enum revocation_change change;
	struct revocation revocation = {.kind = REVOCATION_USER, .id = slice_string("u"), .until_s = NOW_S + 10};
	add(REVOCATION_USER, "u", NOW_S + 10);
	revocation.until_s = NOW_S + 100;
	assert_int_equal(revocations_add(table, &revocation, NOW_S + 50, &change), ERROR_OK);
	assert_int_equal(change, REVOCATION_ADDED);
	assert_int_equal(revocations_count(table), 1);
}

static void test_lifting(void **state)
{
	(void)state;
	add(REVOCATION_CLIENT, "c", REVOKED_FOR_EVER);
	assert_false(lift(REVOCATION_USER, slice_string("c")));
	assert_true(lift(REVOCATION_CLIENT, slice_string("c")));
	assert_false(lift(REVOCATION_CLIENT, slice_string("c")));
	assert_false(has(REVOCATION_CLIENT, "c"));
}

static void test_expired_are_freed(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		char id[16];
		snprintf(id, sizeof(id), "%d", i);
		add(REVOCATION_TOKEN, id, NOW_S + 1 + i);
	}
	assert_int_equal(revocations_expire(table, NOW_S), 0);
	assert_int_equal(revocations_expire(table, NOW_S + 40), 40);
	assert_int_equal(revocations_count(table), 60);
	assert_true(has(REVOCATION_TOKEN, "40"));
	assert_int_equal(revocations_expire(table, NOW_S + 1000), 60);
}

static void test_limit(void **state)
{
	(void)state;
	enum revocation_change change;
	for (unsigned i = 0; i < LIMIT; i++) {
		char id[16];
		snprintf(id, sizeof(id), "%u", i);
		add(REVOCATION_TOKEN, id, NOW_S + 10 + (i == 7));
	}
	struct revocation more = {.kind = REVOCATION_TOKEN, .id = slice_string("more"), .until_s = NOW_S + 100};
	assert_int_equal(revocations_add(table, &more, NOW_S, &change), ERROR_LIMIT);
	assert_int_equal(change, REVOCATION_UNCHANGED);
	assert_false(has(REVOCATION_TOKEN, "more"));
	/* What is there already can be renewed. */
	assert_int_equal(add(REVOCATION_TOKEN, "7", NOW_S + 50), REVOCATION_RENEWED);
	/* When others have expired there is room again. */
	assert_int_equal(revocations_add(table, &more, NOW_S + 20, &change), ERROR_OK);
	assert_int_equal(change, REVOCATION_ADDED);
	assert_int_equal(revocations_count(table), 2);
}

static void test_listing(void **state)
{
	(void)state;
	add(REVOCATION_TOKEN, "t", NOW_S + 1);
	add(REVOCATION_USER, "u", NOW_S + 2);
	add(REVOCATION_CLIENT, "c", REVOKED_FOR_EVER);
	unsigned seen = 0;
	for (uint32_t i = 0; i < revocations_count(table); i++) {
		struct revocation one = revocations_at(table, i);
		assert_true(revocations_has(table, one.kind, one.id, NOW_S));
		assert_int_equal(one.id.size, 1);
		assert_int_equal(one.id.data[0], revocation_kind_name(one.kind)[0]);
		seen |= 1u << one.kind;
	}
	assert_int_equal(seen, 7);
}

/* A source that tells all it has: what it does not name again is gone. */
static void test_rounds(void **state)
{
	(void)state;
	add(REVOCATION_USER, "kept", REVOKED_FOR_EVER);
	add(REVOCATION_USER, "renewed", NOW_S + 10);
	add(REVOCATION_USER, "gone", REVOKED_FOR_EVER);
	revocations_round_begin(table);
	assert_true(has(REVOCATION_USER, "gone")); /* nothing is lifted before the end */
	add(REVOCATION_USER, "kept", REVOKED_FOR_EVER);
	add(REVOCATION_USER, "renewed", NOW_S + 20);
	add(REVOCATION_USER, "new", REVOKED_FOR_EVER);
	assert_int_equal(revocations_round_end(table), 1);
	assert_true(has(REVOCATION_USER, "kept"));
	assert_true(has(REVOCATION_USER, "renewed"));
	assert_true(has(REVOCATION_USER, "new"));
	assert_false(has(REVOCATION_USER, "gone"));
	revocations_round_begin(table);
	assert_int_equal(revocations_round_end(table), 3);
}

static void test_hash_is_of_kind_and_key(void **state)
{
	(void)state;
	static const struct hash_key OTHER = {{2}};
	struct slice id = slice_string("x");
	uint64_t hash = revocation_hash(&KEY, REVOCATION_TOKEN, id);
	assert_true(hash == revocation_hash(&KEY, REVOCATION_TOKEN, id));
	assert_true(hash != revocation_hash(&KEY, REVOCATION_USER, id));
	assert_true(hash != revocation_hash(&OTHER, REVOCATION_TOKEN, id));
	/* Sessions are filed by it. */
	assert_true(revocation_hash(&KEY, REVOCATION_CLIENT, id) == hash_slice(&KEY, id));
}

static void test_names_of_kinds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < REVOCATION_KIND_COUNT; i++) {
		enum revocation_kind kind = REVOCATION_KIND_COUNT;
		assert_true(revocation_kind_parse(slice_string(revocation_kind_name((enum revocation_kind)i)), &kind));
		assert_int_equal(kind, i);
	}
	enum revocation_kind kind;
	assert_false(revocation_kind_parse(slice_string("tokens"), &kind));
	assert_false(revocation_kind_parse(slice_string(""), &kind));
}

/* Growing, moving up after deletions, and all of it against a plain list. */
static void test_against_a_model(void **state)
{
	(void)state;
	enum { IDS = 900, STEPS = 60000 };
	static int64_t until[IDS];
	struct random random = {.state = 11};
	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t i = random_below(&random, IDS), what = random_below(&random, 4);
		char id[24];
		enum revocation_kind kind = (enum revocation_kind)(i % 3);
		snprintf(id, sizeof(id), "id-%u", i);
		if (what == 0) {
			assert_int_equal(lift(kind, slice_string(id)), until[i] != 0);
			until[i] = 0;
		} else if (what == 1) {
			int64_t end = NOW_S + 1 + random_below(&random, 1000);
			enum revocation_change change = add(kind, id, end);
			assert_int_equal(change, until[i] == 0     ? REVOCATION_ADDED
						 : until[i] == end ? REVOCATION_UNCHANGED
								   : REVOCATION_RENEWED);
			until[i] = end;
		} else {
			assert_int_equal(has(kind, id), until[i] != 0);
		}
	}
	uint32_t count = 0;
	for (unsigned i = 0; i < IDS; i++)
		count += until[i] != 0;
	assert_int_equal(revocations_count(table), count);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_table, free_table)
	const struct CMUnitTest tests[] = {
		TEST(test_kinds_are_told_apart),
		TEST(test_in_force_until_its_end),
		TEST(test_what_changed),
		TEST(test_again_after_its_end),
		TEST(test_lifting),
		TEST(test_expired_are_freed),
		TEST(test_limit),
		TEST(test_listing),
		TEST(test_rounds),
		TEST(test_hash_is_of_kind_and_key),
		TEST(test_names_of_kinds),
		TEST(test_against_a_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
