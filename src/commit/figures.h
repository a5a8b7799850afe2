/* The figures of the store: written by its own threads, read by any. Each is one relaxed atomic, so a reader may see
 * some older than others. */
#ifndef COMMIT_FIGURES_H
#define COMMIT_FIGURES_H

#include <stdatomic.h>
#include <stdint.h>

struct figures {
	/* The writer's. */
	_Atomic uint32_t state; /* enum store_state */
	_Atomic int error;
	_Atomic uint64_t commits, records, records_squeezed, written_bytes;
	_Atomic uint64_t syncs, sync_ns, sync_last_ns;
	_Atomic uint64_t sync_max_ns;     /* of the last whole minute */
	_Atomic uint64_t sync_max_now_ns; /* of the one that has not ended */
	_Atomic uint64_t sync_minute;     /* its number */
	_Atomic uint64_t failures, checkpoints;
	_Atomic uint64_t log_bytes, segments, room_bytes;
	_Atomic uint64_t taken_since_ns; /* of the oldest event that the writer has taken; 0: none */
	/* The reader's. */
	_Atomic uint64_t loads, load_failures;
};

static inline void figures_add(_Atomic uint64_t *figure, uint64_t more)
{
	atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + more, memory_order_relaxed);
}

static inline void figures_set(_Atomic uint64_t *figure, uint64_t value)
{
	atomic_store_explicit(figure, value, memory_order_relaxed);
}

static inline uint64_t figures_get(const _Atomic uint64_t *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

#endif
