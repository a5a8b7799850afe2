/* Who is refused often enough in a second is kept out, and for how long. */
#include "access/offenders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct prefix prefix_number(uint8_t number)
{
	return (struct prefix){{[15] = number}};
}

/* How often it was said that the filter is to be renewed. */
static uint32_t refuse(struct offenders *offenders, uint8_t number, uint32_t times, uint64_t now_ms)
{
	struct prefix prefix = prefix_number(number);
	uint32_t renewals = 0;
	for (uint32_t i = 0; i < times; i++)
		renewals += offenders_refused(offenders, &prefix, 128, now_ms);
	return renewals;
}

static void test_often_in_one_second(void **state)
{
	(void)state;
	struct offenders offenders = {0};
	struct network networks[OFFENDERS_MAX];
	assert_int_equal(refuse(&offenders, 1, OFFENDER_REFUSALS - 1, 5000), 0);
	assert_int_equal(refuse(&offenders, 1, OFFENDER_REFUSALS - 1, 6000), 0); /* another second */
	assert_int_equal(refuse(&offenders, 1, 1, 6999), 1);
	assert_int_equal(refuse(&offenders, 1, 1000, 6999), 0); /* those that were under way */
	assert_int_equal(offenders_list(&offenders, networks), 1);
	assert_int_equal(networks[0].bits, 128);
	assert_int_equal(networks[0].prefix.bytes[15], 1);
}

static void test_forgiven_in_time(void **state)
{
	(void)state;
	struct offenders offenders = {0};
	struct network networks[OFFENDERS_MAX];
	assert_int_equal(refuse(&offenders, 1, OFFENDER_REFUSALS, 1000), 1);
	assert_int_equal(refuse(&offenders, 2, OFFENDER_REFUSALS, 3000), 1);
	assert_false(offenders_forgive(&offenders, 1000 + OFFENDER_KEPT_OUT_MS - 1));
	assert_true(offenders_forgive(&offenders, 1000 + OFFENDER_KEPT_OUT_MS));
	assert_int_equal(offenders_list(&offenders, networks), 1);
	assert_int_equal(networks[0].prefix.bytes[15], 2);
	assert_true(offenders_forgive(&offenders, 3000 + OFFENDER_KEPT_OUT_MS));
	assert_int_equal(offenders_list(&offenders, networks), 0);
	assert_int_equal(refuse(&offenders, 1, OFFENDER_REFUSALS, 20000), 1);
}

static void test_no_more_than_there_is_room_for(void **state)
{
	(void)state;
	struct offenders offenders = {0};
	struct network networks[OFFENDERS_MAX];
	uint32_t renewals = 0;
	for (uint32_t i = 0; i < 200; i++)
		renewals += refuse(&offenders, (uint8_t)i, OFFENDER_REFUSALS, 1000 + i);
	assert_int_equal(renewals, OFFENDERS_MAX);
	assert_int_equal(offenders_list(&offenders, networks), OFFENDERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_often_in_one_second),
		cmocka_unit_test(test_forgiven_in_time),
		cmocka_unit_test(test_no_more_than_there_is_room_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
