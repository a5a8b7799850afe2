/* The bench's histogram: exact below 64, within 1/64 above, never beyond the values seen. */
#include "bench/measure/histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct histogram *new_histogram(void)
{
	struct histogram *histogram = malloc(sizeof(*histogram));
	assert_non_null(histogram);
	histogram_init(histogram);
	return histogram;
}

static void test_empty_has_no_percentiles(void **state)
{
	(void)state;
	struct histogram *histogram = new_histogram();
	assert_int_equal(histogram_percentile(histogram, 50), 0);
	assert_int_equal(histogram_percentile(histogram, 100), 0);
	free(histogram);
}

static void test_small_values_are_exact(void **state)
{
	(void)state;
	struct histogram *histogram = new_histogram();
	for (uint64_t value = 1; value <= 100; value++)
		histogram_add(histogram, value);
	assert_int_equal(histogram_percentile(histogram, 0), 1);
	assert_int_equal(histogram_percentile(histogram, 1), 1);
	assert_int_equal(histogram_percentile(histogram, 50), 50);
	assert_int_equal(histogram_percentile(histogram, 99), 99);
	assert_int_equal(histogram_percentile(histogram, 99.9), 100);
	assert_int_equal(histogram_percentile(histogram, 100), 100);
	free(histogram);
}

/* A single value is its own percentile; two more, above and below, show the edges of its bucket. */
static void test_error_is_at_most_a_sixty_fourth(void **state)
{
	(void)state;
	struct histogram *histogram = new_histogram();
	for (uint64_t value = 1; value < 1ull << HISTOGRAM_VALUE_BITS; value += value / 7 + 1) {
		histogram_init(histogram);
		histogram_add(histogram, value);
		histogram_add(histogram, value * 4);
		uint64_t found = histogram_percentile(histogram, 50);
		assert_true(found >= value);
		assert_true(found - value <= value / 64);
	}
	free(histogram);
}

static void test_largest_value_is_never_exceeded(void **state)
{
	(void)state;
	struct histogram *histogram = new_histogram();
	histogram_add(histogram, 1000001);
	assert_int_equal(histogram_percentile(histogram, 99.9), 1000001);
	histogram_add(histogram, UINT64_MAX);
	assert_true(histogram->value_max == UINT64_MAX);
	assert_true(histogram_percentile(histogram, 100) >= 1ull << (HISTOGRAM_VALUE_BITS - 1));
	free(histogram);
}

static void test_merge_is_as_if_added_to_one(void **state)
{
	(void)state;
	struct histogram *parts[2] = {new_histogram(), new_histogram()};
	struct histogram *whole = new_histogram();
	for (uint64_t i = 0; i < 1000; i++) {
		histogram_add(parts[i % 2], i * i);
		histogram_add(whole, i * i);
	}
	histogram_merge(parts[0], parts[1]);
	assert_memory_equal(parts[0], whole, sizeof(*whole));
	free(parts[0]);
	free(parts[1]);
	free(whole);
}

/* One value of a thousand is beyond p99.9: with fewer values it cannot be known. */
static void test_percentiles_need_values_beyond_them(void **state)
{
	(void)state;
	struct histogram *histogram = new_histogram();
	struct percentiles found = histogram_percentiles(histogram);
	assert_true(isnan(found.p50_us) && isnan(found.max_us));
	for (uint64_t i = 1; i <= 999; i++)
		histogram_add(histogram, i * 1000);
	found = histogram_percentiles(histogram);
	assert_true(found.p50_us >= 500 && found.p50_us <= 500 * 65.0 / 64);
	assert_true(found.p90_us > found.p50_us && found.p99_us > found.p90_us);
	assert_true(isnan(found.p999_us) && isnan(found.p9999_us));
	assert_true(found.max_us == 999);
	histogram_add(histogram, 1000000);
	found = histogram_percentiles(histogram);
	assert_true(found.p999_us >= 999 && found.p999_us <= found.max_us);
	assert_true(isnan(found.p9999_us));
	free(histogram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_has_no_percentiles),
		cmocka_unit_test(test_small_values_are_exact),
		cmocka_unit_test(test_error_is_at_most_a_sixty_fourth),
		cmocka_unit_test(test_largest_value_is_never_exceeded),
		cmocka_unit_test(test_percentiles_need_values_beyond_them),
		cmocka_unit_test(test_merge_is_as_if_added_to_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
