#include "bench/measure/histogram.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

void histogram_init(struct histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
}

/* Below 64 a value is its own bucket. Above, `shift` brings it into 64..127, and each shift has 64 buckets. */
static uint32_t bucket_of(uint64_t value)
{
	if (value < HISTOGRAM_SPLIT)
		return (uint32_t)value;
	if (value >> HISTOGRAM_VALUE_BITS != 0)
		return HISTOGRAM_BUCKETS - 1;
	uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - HISTOGRAM_SPLIT_BITS;
	return shift * HISTOGRAM_SPLIT + (uint32_t)(value >> shift);
}

static uint64_t bucket_edge(uint32_t bucket)
{
	if (bucket < 2 * HISTOGRAM_SPLIT)
		return bucket;
	uint32_t shift = bucket / HISTOGRAM_SPLIT - 1;
	uint64_t within = bucket - shift * HISTOGRAM_SPLIT;
	return ((within + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->buckets[bucket_of(value)]++;
	histogram->count++;
	if (value > histogram->value_max)
		histogram->value_max = value;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
	into->count += from->count;
	if (from->value_max > into->value_max)
		into->value_max = from->value_max;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
	CHECK(percent >= 0 && percent <= 100);
	double share = percent / 100.0 * (double)histogram->count;
	uint64_t rank = (uint64_t)share;
	if ((double)rank < share)
		rank++;
	uint64_t seen = 0;
	if (rank >= histogram->count)
		return histogram->value_max;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen >= rank && seen > 0)
			return bucket_edge(i) < histogram->value_max ? bucket_edge(i) : histogram->value_max;
	}
	CHECK(seen == histogram->count); /* every value is in a bucket */
	return histogram->value_max;
}

double histogram_percentile_us(const struct histogram *histogram, double percent)
{
	return histogram->count > 0 ? (double)histogram_percentile(histogram, percent) / 1e3 : (double)NAN;
}

/* NAN with fewer values than count_min. */
static double known_percentile_us(const struct histogram *histogram, double percent, uint64_t count_min)
{
	return histogram->count >= count_min ? histogram_percentile_us(histogram, percent) : (double)NAN;
}

struct percentiles histogram_percentiles(const struct histogram *histogram)
{
	return (struct percentiles){
		.p50_us = known_percentile_us(histogram, 50, 1),
		.p90_us = known_percentile_us(histogram, 90, 10),
		.p99_us = known_percentile_us(histogram, 99, 100),
		.p999_us = known_percentile_us(histogram, 99.9, 1000),
		.p9999_us = known_percentile_us(histogram, 99.99, 10000),
		.max_us = known_percentile_us(histogram, 100, 1),
	};
}
