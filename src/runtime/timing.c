#include "runtime/timing.h"

#include "base/check.h"

const uint32_t TIMING_BOUNDS_US[TIMING_BOUNDS] = {
	1,    2,     5,     10,    20,     50,     100,    200,     500,     1000,    2000,
	5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000,
};

/* For each position of the highest bit of a number of microseconds: the first bucket that may hold it. At most one more
 * bucket has to be passed. */
static const uint8_t FIRST_BUCKET[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
				       11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 20, 21};

/* 10 s are 10,000,000 us, a number of 24 bits. */
_Static_assert(10000000u >> sizeof(FIRST_BUCKET) == 0, "FIRST_BUCKET has an entry for each bit below the last bound");
_Static_assert(TIMING_BOUNDS <= UINT8_MAX, "a bucket's number fits into FIRST_BUCKET");

static uint32_t bucket_of(uint64_t took_ns)
{
	uint64_t us = (took_ns + 999) / 1000;
	if (us > TIMING_BOUNDS_US[TIMING_BOUNDS - 1])
		return TIMING_BOUNDS;
	uint32_t bits = us == 0 ? 0 : 64u - (uint32_t)__builtin_clzll(us);
	uint32_t bucket = 0;
	if (bits != 0)
		bucket = FIRST_BUCKET[bits - 1];
	while (us > TIMING_BOUNDS_US[bucket])
		bucket++;
	return bucket;
}

void timing_note(struct timing *timing, uint64_t took_ns, uint64_t times)
{
	counter_add(&timing->counts[bucket_of(took_ns)], times);
	counter_add(&timing->sum_ns, took_ns * times);
}

void timing_add(struct timing *sum, const struct timing *timing)
{
	for (uint32_t i = 0; i < TIMING_BUCKETS; i++)
		counter_add(&sum->counts[i], atomic_load_explicit(&timing->counts[i], memory_order_relaxed));
	counter_add(&sum->sum_ns, atomic_load_explicit(&timing->sum_ns, memory_order_relaxed));
}

uint64_t timing_quantile_ns(const struct timing *timing, double fraction)
{
	CHECK(fraction >= 0 && fraction <= 1);
	uint64_t counts[TIMING_BUCKETS];
	uint64_t total = 0;
	for (uint32_t i = 0; i < TIMING_BUCKETS; i++)
		total += counts[i] = atomic_load_explicit(&timing->counts[i], memory_order_relaxed);
	if (total == 0)
		return 0;
	uint64_t below = 0;
	for (uint32_t i = 0; i < TIMING_BOUNDS; i++) {
		below += counts[i];
		if ((double)below >= fraction * (double)total)
			return TIMING_BOUNDS_US[i] * (uint64_t)1000;
	}
	return UINT64_MAX;
}
