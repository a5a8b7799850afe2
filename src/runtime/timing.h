/* A histogram of durations with fixed buckets: 1, 2, 5, 10, ... microseconds up to 10 seconds. One thread writes, with
 * plain stores; any thread may read and compute quantiles. */
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

/* Adds without a locked instruction, so only the owning thread may call it. */
static inline void counter_add(_Atomic uint64_t *value, uint64_t amount)
{
	atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount, memory_order_relaxed);
}

/* Records a duration `times` times. Owning thread only. */
void timing_note(struct timing *timing, uint64_t took_ns, uint64_t times);
void timing_add(struct timing *sum, const struct timing *timing);
/* The upper bound, in nanoseconds, of the bucket that holds the quantile `fraction` (0..1). 0: nothing was recorded.
 * UINT64_MAX: it is above the last bound. */
uint64_t timing_quantile_ns(const struct timing *timing, double fraction);

#endif
