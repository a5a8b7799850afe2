/* How long things took, in a fixed number of buckets whose bounds go 1, 2, 5, 10, ... microseconds up to 10 seconds.
 * Written by one thread, with plain stores; read by any. Quantiles are the reader's to make. */
#ifndef RUNTIME_TIMING_H
#define RUNTIME_TIMING_H

#include <stdatomic.h>
#include <stdint.h>

#define TIMING_BOUNDS 22u
#define TIMING_BUCKETS (TIMING_BOUNDS + 1u)

/* Upper bounds in microseconds; the last bucket has none. */
extern const uint32_t TIMING_BOUNDS_US[TIMING_BOUNDS];

struct timing {
	_Atomic uint64_t counts[TIMING_BUCKETS];
	_Atomic uint64_t sum_ns;
};

/* By the owning thread only: a plain add, made visible without a locked instruction. */
static inline void counter_add(_Atomic uint64_t *value, uint64_t amount)
{
	atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount, memory_order_relaxed);
}

/* `times` things took so long. By the owning thread only. */
void timing_note(struct timing *timing, uint64_t took_ns, uint64_t times);
void timing_add(struct timing *sum, const struct timing *timing);
/* An upper bound of what the fraction (0..1) of all stayed below, in nanoseconds: a bucket's bound. 0: there are none;
 * UINT64_MAX: above the last bound. */
uint64_t timing_quantile_ns(const struct timing *timing, double fraction);

#endif
