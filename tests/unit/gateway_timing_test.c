/* Histograms of time: each bound falls below itself, quantiles are bounds, sums add up; and the stats of a loop. */
#include "runtime/turn_stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint64_t count_at(const struct timing *timing, uint32_t bucket)
{
	return atomic_load(&timing->counts[bucket]);
}

static uint64_t count_all(const struct timing *timing)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < TIMING_BUCKETS; i++)
		sum += count_at(timing, i);
	return sum;
}

static void test_bounds_and_their_neighbours(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < TIMING_BOUNDS; i++) {
		struct timing timing = {0};
		uint64_t bound_ns = TIMING_BOUNDS_US[i] * (uint64_t)1000;
		timing_note(&timing, bound_ns, 1);
		timing_note(&timing, bound_ns - 1, 1);
		timing_note(&timing, bound_ns + 1, 1);
		assert_int_equal(count_at(&timing, i), 2);
		assert_int_equal(count_at(&timing, i + 1), 1);
		assert_int_equal(atomic_load(&timing.sum_ns), 3 * bound_ns);
	}
	struct timing timing = {0};
	timing_note(&timing, 0, 1);
	timing_note(&timing, UINT64_MAX / 2, 1);
	assert_int_equal(count_at(&timing, 0), 1);
	assert_int_equal(count_at(&timing, TIMING_BOUNDS), 1);
}

static void test_every_microsecond_falls_where_it_belongs(void **state)
{
	(void)state;
	for (uint64_t us = 1; us < 20000; us += us < 300 ? 1 : 97) {
		struct timing timing = {0};
		timing_note(&timing, us * 1000, 1);
		uint32_t wanted = 0;
		while (us > TIMING_BOUNDS_US[wanted])
			wanted++;
		assert_int_equal(count_at(&timing, wanted), 1);
	}
}

static void test_quantiles(void **state)
{
	(void)state;
	struct timing timing = {0};
	assert_int_equal(timing_quantile_ns(&timing, 0.99), 0);
	timing_note(&timing, 1500, 90);
	timing_note(&timing, 4000000, 9);
	timing_note(&timing, 60000000000u, 1);
	assert_int_equal(timing_quantile_ns(&timing, 0.5), 2000);
	assert_int_equal(timing_quantile_ns(&timing, 0.9), 2000);
	assert_int_equal(timing_quantile_ns(&timing, 0.95), 5000000);
	assert_true(timing_quantile_ns(&timing, 1.0) == UINT64_MAX);
}

static void test_sum(void **state)
{
	(void)state;
	struct timing sum = {0}, one = {0}, other = {0};
	timing_note(&one, 1000, 3);
	timing_note(&other, 1000, 4);
	timing_note(&other, 7000, 1);
	timing_add(&sum, &one);
	timing_add(&sum, &other);
	assert_int_equal(count_at(&sum, 0), 7);
	assert_int_equal(count_at(&sum, 3), 1);
	assert_int_equal(atomic_load(&sum.sum_ns), 14000);
}

#define MS 1000000u

static void test_turns_and_lag(void **state)
{
	(void)state;
	static struct counters counters;
	struct turn_stats stats = {.ended_ns = 1000 * (uint64_t)MS};
	/* It only looked: no lag is told. */
	turn_stats_sleep(&stats, 0);
	turn_stats_turn_begin(&stats, &counters, 1000 * (uint64_t)MS, 0, 5);
	assert_int_equal(count_all(&counters.wake_lag), 0);
	turn_stats_turn_end(&stats, &counters, 1003 * (uint64_t)MS);
	assert_int_equal(atomic_load(&counters.turn_max_ns), 3 * MS);
	/* A sleep of 10 ms that took 12. */
	turn_stats_sleep(&stats, 10);
	turn_stats_turn_begin(&stats, &counters, 1015 * (uint64_t)MS, 0, 0);
	assert_int_equal(count_all(&counters.wake_lag), 1);
	assert_int_equal(atomic_load(&counters.wake_lag.sum_ns), 2 * MS);
	turn_stats_turn_end(&stats, &counters, 1016 * (uint64_t)MS);
	/* Woken by a socket, of which nobody knows when: not told. */
	turn_stats_sleep(&stats, 10);
	turn_stats_turn_begin(&stats, &counters, 1020 * (uint64_t)MS, 0, 1);
	assert_int_equal(count_all(&counters.wake_lag), 1);
	turn_stats_turn_end(&stats, &counters, 1020 * (uint64_t)MS);
	/* Woken by another thread half a millisecond ago. */
	turn_stats_sleep(&stats, 10);
	turn_stats_turn_begin(&stats, &counters, 1022 * (uint64_t)MS, 1022 * (uint64_t)MS - MS / 2, 1);
	assert_int_equal(atomic_load(&counters.wake_lag.sum_ns), 2 * MS + MS / 2);
	turn_stats_turn_end(&stats, &counters, 1022 * (uint64_t)MS);
	assert_int_equal(count_all(&counters.turn_time), 4);
	assert_int_equal(counter_of(&counters, COUNTER_events), 7);
}

static void test_direct_deliveries_take_the_whole_turn(void **state)
{
	(void)state;
	static struct counters counters;
	struct turn_stats stats = {0};
	turn_stats_turn_begin(&stats, &counters, 50 * (uint64_t)MS, 0, 1);
	stats.direct = 17;
	turn_stats_turn_end(&stats, &counters, 51 * (uint64_t)MS);
	turn_stats_turn_begin(&stats, &counters, 60 * (uint64_t)MS, 0, 1);
	turn_stats_turn_end(&stats, &counters, 69 * (uint64_t)MS);
	assert_int_equal(count_all(&counters.delivery), 17);
	assert_int_equal(timing_quantile_ns(&counters.delivery, 1.0), MS);
}

static void turn_of(struct turn_stats *stats, struct counters *counters, uint64_t at_s, uint64_t took_ms)
{
	uint64_t at_ns = at_s * 1000 * MS;
	turn_stats_turn_begin(stats, counters, at_ns, 0, 0);
	turn_stats_turn_end(stats, counters, at_ns + took_ms * MS);
}

static void test_recent_maximum_is_forgotten(void **state)
{
	(void)state;
	static struct counters counters;
	struct turn_stats stats = {0};
	turn_of(&stats, &counters, 100, 40);
	turn_of(&stats, &counters, 101, 2);
	assert_int_equal(atomic_load(&counters.turn_recent_max_ns), 40 * MS);
	turn_of(&stats, &counters, 115, 3);
	assert_int_equal(atomic_load(&counters.turn_recent_max_ns), 40 * MS);
	turn_of(&stats, &counters, 150, 4);
	assert_int_equal(atomic_load(&counters.turn_recent_max_ns), 4 * MS);
	assert_int_equal(atomic_load(&counters.turn_max_ns), 40 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds_and_their_neighbours),
		cmocka_unit_test(test_every_microsecond_falls_where_it_belongs),
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_turns_and_lag),
		cmocka_unit_test(test_direct_deliveries_take_the_whole_turn),
		cmocka_unit_test(test_recent_maximum_is_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
