/* Several rounds become one: medians of figures, the largest of those where the worst counts, sums of counts. */
#include "bench/load/load_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROUNDS 3u

static void test_medians_and_sums(void **state)
{
	(void)state;
	static const double values[ROUNDS] = {30, 10, 20};
	struct load_result *results = calloc(ROUNDS + 1, sizeof(*results));
	assert_non_null(results);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		results[i].figures = (struct load_figures){.measured_s = values[i],
							   .delivered_per_s = values[i],
							   .server_cpu_us = (double)NAN,
							   .other_cpu_percent = values[i],
							   .p99_us = i == 1 ? (double)NAN : values[i],
							   .max_us = values[i]};
		results[i].timing.read = (struct percentiles){.p50_us = values[i], .max_us = values[i]};
		results[i].totals = (struct load_totals){.received = 5, .missing = i, .spread = spread_none()};
		results[i].totals.losses.counts[LOSS_CLOSED][0] = 1;
		results[i].stalled = i == 2;
	}
	struct load_result *sum = &results[ROUNDS];
	load_results_summarize(results, ROUNDS, sum);
	assert_true(sum->figures.measured_s == 20 && sum->figures.delivered_per_s == 20);
	assert_true(isnan(sum->figures.server_cpu_us));
	assert_true(sum->figures.p99_us == 25);
	assert_true(sum->figures.other_cpu_percent == 30 && sum->figures.max_us == 30);
	assert_true(sum->timing.read.p50_us == 20 && sum->timing.read.max_us == 30);
	assert_int_equal(sum->totals.received, 15);
	assert_int_equal(sum->totals.missing, 3);
	assert_int_equal(losses_total(&sum->totals.losses), 3);
	assert_true(sum->stalled);
	free(results);
}

static void test_clean(void **state)
{
	(void)state;
	struct load_totals totals = load_totals_none();
	totals.received = 1;
	assert_true(load_totals_are_clean(&totals, 0));
	totals.doubled = 1;
	assert_true(load_totals_are_clean(&totals, 1));
	assert_false(load_totals_are_clean(&totals, 2));
	totals.doubled = 0;
	losses_add(&totals.losses, LOSS_CLOSED, 0);
	assert_false(load_totals_are_clean(&totals, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_medians_and_sums),
		cmocka_unit_test(test_clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
