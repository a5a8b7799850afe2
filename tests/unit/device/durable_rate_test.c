/* What follows from a device's sync times. */
#include "device/durable_rate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static bool close_to(double value, double expected)
{
	return fabs(value - expected) <= expected * 1e-9;
}

static void test_arithmetic(void **state)
{
	(void)state;
	/* 1 ms and 2 ms. */
	struct durable_sync sync = {
		.small_p50_ns = 1000000, .small_p99_ns = 3000000, .large_p50_ns = 2000000, .large_p99_ns = 5000000};
	struct durable_rate rate = durable_rate_of(&sync, 256, 300);
	assert_true(close_to(rate.alone_per_s, 1000));
	assert_true(close_to(rate.flight_per_s, 100000)); /* 300 / 3 ms */
	assert_true(close_to(rate.bytes_per_s, 65536.0 * 500));
	assert_true(close_to(rate.device_per_s, 128000));
	assert_true(close_to(rate.puback_p50_us, 3000));
	assert_true(close_to(rate.puback_p99_us, 10000));
	/* More in flight is bounded by what a commit carries. */
	assert_true(close_to(durable_rate_of(&sync, 256, 30000).flight_per_s, 128000));
}

static void test_times_that_do_not_tell(void **state)
{
	(void)state;
	struct durable_sync sync = {0};
	struct durable_rate rate = durable_rate_of(&sync, 256, 300);
	assert_true(isnan(rate.alone_per_s));
	assert_true(isnan(rate.flight_per_s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arithmetic),
		cmocka_unit_test(test_times_that_do_not_tell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
