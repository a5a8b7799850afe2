/* Blocks of any size, named by a 32-bit reference: the offset in units of 16 bytes, where 0 is "none". They hold what
 * varies in length: client ids, filters, packets that arrived in part, output that is blocked. A block has no header;
 * its owner knows the size and passes it in again when it gives the block back.
 *
 * Size classes: every 16 bytes up to 256, then four to each doubling, so at most 20 % of a large block is slack.
 * Blocks of 64 KiB and more give their pages back to the kernel while they are free.
 * Owned by one thread, or guarded by its owner's lock. Under ASan a free block is poisoned. */
#ifndef MEMORY_SLAB_H
#define MEMORY_SLAB_H

#include "base/check.h"
#include "base/sanitizer.h"
#include "memory/ref.h"
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
	uint64_t fresh_count; /* blocks used for the first time: grows with the peak, not with traffic */
	struct slab_class classes[SLAB_CLASS_COUNT];
};

/* bytes_max: of all blocks together, at most 64 GiB. */
enum error slab_open(struct slab *slab, size_t bytes_max);
/* The same in an arena, under a name (region_open_in()); one that was adopted, as for a pool (memory/pool.h). */
enum error slab_open_in(struct slab *slab, struct arena *arena, const char *name, size_t bytes_max);
enum error slab_save(const struct slab *slab, const struct arena *arena);
void slab_close(struct slab *slab);

/* A block of at least `bytes` (1..SLAB_BLOCK_BYTES_MAX) with undefined content; 0 at the limit or without memory. */
uint32_t slab_take(struct slab *slab, size_t bytes);
/* The same, zeroed. A large block costs little: its pages are zero already. */
uint32_t slab_take_zeroed(struct slab *slab, size_t bytes);
/* bytes: as in slab_take(), or any other size of the same class. */
void slab_give(struct slab *slab, uint32_t ref, size_t bytes);
/* What a block for `bytes` really holds. */
size_t slab_block_bytes(size_t bytes);

/* The block of a reference that slab_take() returned. Reference 0, or one beyond the last run of blocks, is a broken
 * promise. */
static inline void *slab_at(const struct slab *slab, uint32_t ref)
{
	size_t offset = (size_t)ref * SLAB_UNIT_BYTES;
	CHECK(offset - SLAB_UNIT_BYTES < slab->top_bytes - SLAB_UNIT_BYTES);
	return slab->region.base + offset;
}

/* The same for readers without the owner's lock. top_bytes moves under them, and a machine that reorders loads may show
 * a value older than their reference, so they could only check against the reserve. That finds little, and stands in
 * the innermost loop of a match, where it took 10 % of it: only builds with a sanitizer check. */
static inline void *slab_at_unlocked(const struct slab *slab, uint32_t ref)
{
	size_t offset = (size_t)ref * SLAB_UNIT_BYTES;
	if (SANITIZER_ADDRESS || SANITIZER_THREAD)
		CHECK_LT(offset - SLAB_UNIT_BYTES, slab->region.reserved_bytes - SLAB_UNIT_BYTES);
	return slab->region.base + offset;
}

/* Typed access to blocks that begin with a struct NAME; DEFINE_REF(NAME) comes first (memory/ref.h). `bytes` is that of
 * slab_take(): a block may be longer than its struct. */
#define DEFINE_SLAB_REF(name)                                                                                          \
	REF_INLINE struct name *name##_at(const struct slab *slab, struct name##_ref ref)                              \
	{                                                                                                              \
		return (struct name *)slab_at(slab, ref.index);                                                        \
	}                                                                                                              \
	REF_INLINE struct name##_ref name##_take(struct slab *slab, size_t bytes)                                      \
	{                                                                                                              \
		CHECK(bytes >= sizeof(struct name));                                                                   \
		return (struct name##_ref){slab_take(slab, bytes)};                                                    \
	}                                                                                                              \
	REF_INLINE void name##_give(struct slab *slab, struct name##_ref ref, size_t bytes)                            \
	{                                                                                                              \
		CHECK(bytes >= sizeof(struct name));                                                                   \
		slab_give(slab, ref.index, bytes);                                                                     \
	}                                                                                                              \
	_Static_assert(_Alignof(struct name) <= SLAB_UNIT_BYTES, "a block is aligned to its unit")

#endif
