/* Blocks of any size, named by a 32-bit reference (the offset in units of 16 bytes; 0 is "none"). For what varies in
 * length: client ids, filters, packets that came in part, output that is blocked. No header a block: the owner
 * knows the size and says it again when it gives the block back.
 *
 * Size classes: every 16 bytes up to 256, then four to each doubling, so at most 20 % of a large block is slack.
 * Blocks of 64 KiB and more give their pages back to the kernel while they are free.
 * Owned by one thread, or guarded by its owner's lock. Under ASan a free block is poisoned. */
#ifndef MEMORY_SLAB_H
#define MEMORY_SLAB_H

#include "memory/region.h"

#define SLAB_UNIT_BYTES 16u
#define SLAB_BLOCK_BYTES_MAX ((size_t)1 << 29)
#define SLAB_CLASS_COUNT (16u + (29u - 8u) * 4u)

struct slab_class {
	uint32_t free;  /* first of the free list */
	uint32_t fresh; /* next block that was never used */
	uint32_t fresh_end;
};

struct slab {
	struct region region;
	size_t top_bytes;     /* where the next run of fresh blocks begins */
	size_t used_bytes;    /* in blocks that are out, slack included */
	uint64_t fresh_count; /* blocks that were used for the first time: grows with the peak, not with traffic */
	struct slab_class classes[SLAB_CLASS_COUNT];
};

/* bytes_max: of all blocks together, at most 64 GiB. */
enum error slab_open(struct slab *slab, size_t bytes_max);
void slab_close(struct slab *slab);

/* A block of at least `bytes` (1..SLAB_BLOCK_BYTES_MAX), content undefined; 0 when the limit or memory is reached. */
uint32_t slab_take(struct slab *slab, size_t bytes);
/* bytes: what slab_take() was asked for, or anything else of the same class. */
void slab_give(struct slab *slab, uint32_t ref, size_t bytes);
/* How much a block for `bytes` really holds. */
size_t slab_block_bytes(size_t bytes);

static inline void *slab_at(const struct slab *slab, uint32_t ref)
{
	return slab->region.base + (size_t)ref * SLAB_UNIT_BYTES;
}

#endif
