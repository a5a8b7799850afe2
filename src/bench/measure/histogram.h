/* Log-linear histogram of durations in nanoseconds: exact below 64 ns, within 1.6 % above, up to 73 minutes; larger
 * values count as the largest bucket. Fixed size, no heap. Owned by one thread; merged after that thread has ended. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

/* Each power of two is cut into 64: the error of a bucket's upper edge is at most 1/64. */
#define HISTOGRAM_SPLIT_BITS 6u
#define HISTOGRAM_SPLIT (1u << HISTOGRAM_SPLIT_BITS)
#define HISTOGRAM_VALUE_BITS 42u
#define HISTOGRAM_BUCKETS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_SPLIT_BITS + 1u) * HISTOGRAM_SPLIT)

struct histogram {
	uint64_t count;
	uint64_t value_max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* In microseconds. A percentile that no value can exceed yet, such as p99.9 of 500 values, is NAN. */
struct percentiles {
	double p50_us;
	double p90_us;
	double p99_us;
	double p999_us;
	double p9999_us;
	double max_us;
};

void histogram_init(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value that `percent` (0..100) of the values do not exceed: a bucket's upper edge, but never above the largest
 * value. 0 if empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

/* The same in microseconds; NAN if empty. */
double histogram_percentile_us(const struct histogram *histogram, double percent);

/* All of struct percentiles. */
struct percentiles histogram_percentiles(const struct histogram *histogram);

#endif
