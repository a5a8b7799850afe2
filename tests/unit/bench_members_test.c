/* How evenly the members of a shared subscription are served, and in which order. */
#include "bench/measure/members.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void give(struct members *members, uint32_t member, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		members_take(members, member, 0, members->received[member], true);
}

static void assert_spread(struct spread spread, double least, double most, double deviation_percent)
{
	assert_true(spread.least == least);
	assert_true(spread.most == most);
	assert_true(spread.deviation_percent == deviation_percent);
}

static void assert_no_spread(struct spread spread)
{
	assert_true(isnan(spread.least) && isnan(spread.most) && isnan(spread.deviation_percent));
}

static void test_spread_is_of_the_farthest_from_even(void **state)
{
	(void)state;
	struct members members;
	assert_true(members_open(&members, 4, 1));
	for (uint32_t i = 0; i < 4; i++)
		give(&members, i, 100);
	assert_spread(members_spread(&members), 100, 100, 0);
	give(&members, 2, 40); /* even is 110 now */
	assert_spread(members_spread(&members), 100, 140, 100 * 30.0 / 110);
	members_close(&members);
	assert_true(members_open(&members, 2, 1));
	give(&members, 0, 10);
	assert_spread(members_spread(&members), 0, 10, 100);
	members_close(&members);
}

static void test_nobody_and_nothing_have_no_spread(void **state)
{
	(void)state;
	struct members members;
	assert_true(members_open(&members, 0, 5));
	assert_no_spread(members_spread(&members));
	members_close(&members);
	assert_true(members_open(&members, 3, 5));
	assert_no_spread(members_spread(&members));
	members_close(&members);
}

static void test_worst_of_several_spreads(void **state)
{
	(void)state;
	struct spread worst = spread_none();
	struct spread none = spread_none();
	spread_merge(&worst, &none);
	assert_no_spread(worst);
	spread_merge(&worst, &(struct spread){90, 110, 10});
	spread_merge(&worst, &none);
	assert_spread(worst, 90, 110, 10);
	spread_merge(&worst, &(struct spread){80, 105, 20});
	assert_spread(worst, 80, 105, 20);
	spread_merge(&worst, &(struct spread){900, 1000, 5});
	assert_spread(worst, 80, 105, 20);
}

/* Order between members does not count; a member that gets a publisher's messages in the wrong order does. */
static void test_order_is_each_members_and_publishers(void **state)
{
	(void)state;
	struct members members;
	assert_true(members_open(&members, 2, 2));
	members_take(&members, 0, 0, 5, true);
	members_take(&members, 1, 0, 3, true);
	members_take(&members, 0, 1, 0, true);
	assert_int_equal(members.reordered, 0);
	members_take(&members, 0, 0, 4, true);
	assert_int_equal(members.reordered, 1);
	members_take(&members, 0, 0, 4, false); /* doubled: the audit counts it */
	members_take(&members, 0, 0, 6, true);
	assert_int_equal(members.reordered, 1);
	assert_int_equal(members.received[0], 5);
	assert_int_equal(members.received[1], 1);
	members_close(&members);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread_is_of_the_farthest_from_even),
		cmocka_unit_test(test_nobody_and_nothing_have_no_spread),
		cmocka_unit_test(test_worst_of_several_spreads),
		cmocka_unit_test(test_order_is_each_members_and_publishers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
