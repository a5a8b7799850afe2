/* A node's exact filters, as other nodes know them: a fingerprint for each, 32 bits of a keyed hash. So a node knows,
 * at 2 to 4 bytes a filter, which topics another node may have subscribers for. It is wrong for one topic in 2^32 / n:
 * with ten million filters for one in 430. Then a message goes there for nothing. It never misses a filter.
 *
 * Fingerprints are in segments by their first bits (extendible hashing). A segment has up to DIGEST_SEGMENT_MAX of them
 * in order and packed: those bits that its place says are left out. It is never changed: a change makes another one of
 * it, puts that into the directory, and retires the old one. So readers on any thread take no lock; the caller sees to
 * it that what is retired is freed when no reader can have it any more (RCU). A segment that is full becomes two, and
 * where the directory has one entry for it, the directory becomes twice as long first. Two filters may have one
 * fingerprint, so it is there twice.
 *
 * Two nodes compare what one has of the other by sums over 256 ranges (the first 8 bits), and send a range anew where
 * they differ.
 *
 * One thread writes. Pure: no clock, no threads. */
#ifndef CLUSTER_DIGEST_H
#define CLUSTER_DIGEST_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_RANGES 256u
#define DIGEST_SEGMENT_MAX 256u
/* With more it counts as having everything. */
#define DIGEST_FILTERS_MAX 50000000u

struct digest_table;

struct digest {
	_Atomic(struct digest_table *) table; /* NULL: it is empty, and was never used */
	_Atomic uint32_t count;               /* fingerprints */
	_Atomic bool is_broken; /* memory was short, or the limit was reached: it is empty and has everything */
	uint32_t sums[DIGEST_RANGES];
	uint32_t counts[DIGEST_RANGES];
	size_t bytes;      /* of memory, without malloc()'s own */
	uint32_t *scratch; /* of one segment, or of a range, unpacked */
	uint32_t scratch_capacity;
	/* Takes over a block that readers may still hold; to be freed with free(). */
	void (*retire)(void *context, void *block);
	void *context;
};

void digest_init(struct digest *digest, void (*retire)(void *context, void *block), void *context);
/* Nobody reads it any more. */
void digest_fini(struct digest *digest);

/* Makes it empty and whole. */
void digest_clear(struct digest *digest);

/* ERROR_NO_MEMORY, here and below: it is broken from now on, until digest_clear(). */
enum error digest_add(struct digest *digest, uint32_t fingerprint);
/* ERROR_NOT_FOUND: it has none such. */
enum error digest_remove(struct digest *digest, uint32_t fingerprint);
/* Puts these, in ascending order and all of the range, in the place of the range's. */
enum error digest_replace(struct digest *digest, uint32_t range, const uint32_t *fingerprints, uint32_t count);
/* The range's fingerprints in ascending order: good until the next call. NULL: no memory; *count is right then too. */
const uint32_t *digest_list(struct digest *digest, uint32_t range, uint32_t *count);

/* Any thread, as a reader. */
bool digest_has(const struct digest *digest, uint32_t fingerprint);

static inline uint32_t digest_range_of(uint32_t fingerprint)
{
	return fingerprint >> 24;
}

static inline bool digest_is_broken(const struct digest *digest)
{
	return atomic_load_explicit(&digest->is_broken, memory_order_relaxed);
}

static inline uint32_t digest_count(const struct digest *digest)
{
	return atomic_load_explicit(&digest->count, memory_order_relaxed);
}

#endif
