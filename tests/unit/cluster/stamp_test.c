/* Stamps: the order of changes under clocks that differ, step back or run away. */
#include "cluster/common/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW_MS 1700000000000u

static const struct stamp NONE = {0};

static void test_later_changes_of_a_node_are_higher(void **state)
{
	(void)state;
	struct stamp_clock clock = {.node = 7};
	struct stamp before = stamp_next(&clock, NOW_MS, NONE);
	assert_int_equal(before.time >> STAMP_COUNTER_BITS, NOW_MS);
	for (unsigned i = 0; i < 200000; i++) { /* more than the counter holds, in one millisecond */
		struct stamp next = stamp_next(&clock, NOW_MS, NONE);
		assert_true(stamp_compare(before, next) < 0);
		before = next;
	}
	struct stamp set_back = stamp_next(&clock, NOW_MS - 1000000, NONE);
	assert_true(stamp_compare(before, set_back) < 0);
}

static void test_a_change_that_knows_another_is_higher(void **state)
{
	(void)state;
	struct stamp_clock ahead = {.node = 1}, behind = {.node = 2};
	struct stamp first = stamp_next(&ahead, NOW_MS + 600000, NONE);
	assert_true(stamp_hear(&behind, first, NOW_MS));
	struct stamp answer = stamp_next(&behind, NOW_MS, NONE);
	assert_true(stamp_compare(first, answer) < 0);
	assert_int_equal(behind.too_far_ahead, 0);
}

static void test_the_name_decides_between_changes_of_one_time(void **state)
{
	(void)state;
	struct stamp a = {.time = 5, .node = 1}, b = {.time = 5, .node = 2};
	assert_true(stamp_compare(a, b) < 0);
	assert_true(stamp_compare(b, a) > 0);
	assert_int_equal(stamp_compare(a, a), 0);
	assert_true(stamp_compare(stamp_of_old(UINT64_MAX), (struct stamp){.time = 2, .node = 0}) < 0);
}

/* The thing that has it can be changed; all others keep their time. */
static void test_an_absurd_time_is_not_taken_over(void **state)
{
	(void)state;
	struct stamp_clock clock = {.node = 2};
	struct stamp absurd = {.time = (NOW_MS + STAMP_AHEAD_MS_MAX + 1) << STAMP_COUNTER_BITS, .node = 1};
	assert_false(stamp_hear(&clock, absurd, NOW_MS));
	assert_int_equal(clock.too_far_ahead, 1);
	struct stamp same = stamp_next(&clock, NOW_MS, absurd);
	assert_true(stamp_compare(absurd, same) < 0);
	struct stamp other = stamp_next(&clock, NOW_MS, NONE);
	assert_true(stamp_compare(other, absurd) < 0);
	struct stamp last = {.time = STAMP_TIME_MAX, .node = 1};
	assert_int_equal(stamp_next(&clock, UINT64_MAX, last).time, STAMP_TIME_MAX);
	assert_int_equal(stamp_next(&clock, UINT64_MAX, last).time, STAMP_TIME_MAX);
}

static void test_bytes(void **state)
{
	(void)state;
	uint8_t bytes[STAMP_BYTES];
	struct stamp stamp = {.time = 0x0102030405060708u, .node = UINT64_MAX}, read;
	stamp_put(stamp, bytes);
	assert_int_equal(bytes[0], 8);
	assert_true(stamp_get(bytes, &read));
	assert_int_equal(stamp_compare(stamp, read), 0);
	stamp_put(NONE, bytes);
	assert_true(stamp_get(bytes, &read));
	assert_true(stamp_is_none(read));
	stamp_put((struct stamp){.time = STAMP_TIME_MAX + 1}, bytes);
	assert_false(stamp_get(bytes, &read));
	stamp_put((struct stamp){.node = 1}, bytes);
	assert_false(stamp_get(bytes, &read));
}

static void test_digests_differ_with_every_part(void **state)
{
	(void)state;
	struct stamp stamp = {.time = 9, .node = 9};
	uint64_t digest = stamp_digest(1, stamp);
	assert_int_equal(digest, stamp_digest(1, stamp));
	assert_int_not_equal(digest, stamp_digest(2, stamp));
	assert_int_not_equal(digest, stamp_digest(1, (struct stamp){.time = 8, .node = 9}));
	assert_int_not_equal(digest, stamp_digest(1, (struct stamp){.time = 9, .node = 8}));
	assert_int_not_equal(stamp_digest(1, (struct stamp){.time = 2, .node = 3}),
			     stamp_digest(1, (struct stamp){.time = 3, .node = 2}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_later_changes_of_a_node_are_higher),
		cmocka_unit_test(test_a_change_that_knows_another_is_higher),
		cmocka_unit_test(test_the_name_decides_between_changes_of_one_time),
		cmocka_unit_test(test_an_absurd_time_is_not_taken_over),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_digests_differ_with_every_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
