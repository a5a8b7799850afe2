/* Figures for people and programs, medians, and the names of losses. */
#include "bench/client/losses.h"
#include "bench/report/report.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_numbers_are_grouped(void **state)
{
	(void)state;
	char out[32];
	assert_string_equal(report_grouped(0, 0, out), "0");
	assert_string_equal(report_grouped(999, 0, out), "999");
	assert_string_equal(report_grouped(1000, 0, out), "1,000");
	assert_string_equal(report_grouped(1234567.891, 2, out), "1,234,567.89");
	assert_string_equal(report_grouped(-1234, 0, out), "-1,234");
	assert_string_equal(report_grouped(-123, 1, out), "-123.0");
	assert_string_equal(report_grouped((double)NAN, 1, out), "n/a");
}

static void test_median_passes_over_what_is_not_known(void **state)
{
	(void)state;
	double odd[] = {3, 1, (double)NAN, 2};
	double even[] = {4, 1, 3, 2};
	double none[] = {(double)NAN};
	assert_true(report_median(odd, 4) == 2);
	assert_true(report_median(even, 4) == 2.5);
	assert_true(isnan(report_median(none, 1)));
	assert_true(isnan(report_largest(none, 1)));
	assert_true(report_largest((double[]){(double)NAN, 1, 3, (double)NAN, 2}, 5) == 3);
}

static void test_losses_are_named_with_their_codes(void **state)
{
	(void)state;
	struct losses *losses = calloc(2, sizeof(*losses));
	char out[256];
	char cut[8];
	assert_non_null(losses);
	losses_describe(&losses[0], 4, out, sizeof(out));
	assert_string_equal(out, "");
	losses_add(&losses[0], LOSS_REFUSED, 5);
	losses_add(&losses[1], LOSS_REFUSED, 5);
	losses_add(&losses[1], LOSS_CLOSED, 0);
	losses_merge(&losses[0], &losses[1]);
	assert_int_equal(losses_total(&losses[0]), 3);
	losses_describe(&losses[0], 4, out, sizeof(out));
	assert_string_equal(out, "2 refused by CONNACK: not authorized; 1 connection closed by the server");
	losses_describe(&losses[0], 4, cut, sizeof(cut));
	assert_string_equal(cut, "2 refus");
	free(losses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_grouped),
		cmocka_unit_test(test_median_passes_over_what_is_not_known),
		cmocka_unit_test(test_losses_are_named_with_their_codes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
