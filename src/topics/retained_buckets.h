/* Parts of all topics that have retained messages, by which two nodes of a cluster compare what they have
 * (topics/retained_changes.h), and limits of what is kept for it. Plain data; any thread. */
#ifndef TOPICS_RETAINED_BUCKETS_H
#define TOPICS_RETAINED_BUCKETS_H

#include <stdbool.h>
#include <stdint.h>

/* Topics fall into so many parts, by the upper bits of their hash, of each of which there is one digest. */
#define RETAINED_BUCKET_BITS 10u
#define RETAINED_BUCKETS (1u << RETAINED_BUCKET_BITS)
/* Tombstones: as many as there may be messages, but at least these, and for so long. */
#define RETAINED_CLEARED_MIN 16384u
#define RETAINED_CLEARED_S (7u * 24u * 60u * 60u)

/* Parts, one bit each. */
struct retained_buckets {
	uint64_t bits[RETAINED_BUCKETS / 64];
};
static inline void retained_buckets_add(struct retained_buckets *buckets, uint32_t bucket)
{
	buckets->bits[bucket / 64] |= UINT64_C(1) << bucket % 64;
}
static inline bool retained_buckets_have(const struct retained_buckets *buckets, uint32_t bucket)
{
	return (buckets->bits[bucket / 64] >> bucket % 64 & 1) != 0;
}

#endif
