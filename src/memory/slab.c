#include "memory/slab.h"

#include "base/check.h"

#include <string.h>

#if SANITIZER_ADDRESS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

#define SMALL_CLASS_COUNT 16u
#define SMALL_BYTES_MAX 256u
/* Small blocks are cut from runs of a page; larger ones are cut one by one. */
#define RUN_BYTES 4096u
#define FORGET_BYTES_MIN ((size_t)64 << 10)

static uint32_t slab_class_of(size_t bytes)
{
	CHECK(bytes >= 1 && bytes <= SLAB_BLOCK_BYTES_MAX);
	if (bytes <= SMALL_BYTES_MAX)
		return (uint32_t)((bytes - 1) / SLAB_UNIT_BYTES);
	uint32_t exponent = 63u - (uint32_t)__builtin_clzl(bytes - 1);
	uint32_t quarter = (uint32_t)((bytes - 1) >> (exponent - 2)) & 3u;
	return SMALL_CLASS_COUNT + (exponent - 8) * 4 + quarter;
}

static size_t slab_class_bytes(uint32_t class)
{
	if (class < SMALL_CLASS_COUNT)
		return (size_t)(class + 1) * SLAB_UNIT_BYTES;
	uint32_t exponent = 8 + (class - SMALL_CLASS_COUNT) / 4;
	uint32_t quarter = (class - SMALL_CLASS_COUNT) % 4;
	return (size_t)(5 + quarter) << (exponent - 2);
}

size_t slab_block_bytes(size_t bytes)
{
	return slab_class_bytes(slab_class_of(bytes));
}

enum error slab_open(struct slab *slab, size_t bytes_max)
{
	return slab_open_in(slab, NULL, NULL, bytes_max);
}

enum error slab_open_in(struct slab *slab, struct arena *arena, const char *name, size_t bytes_max)
{
	CHECK(bytes_max <= (size_t)UINT32_MAX * SLAB_UNIT_BYTES);
	*slab = (struct slab){.top_bytes = SLAB_UNIT_BYTES}; /* no block has reference 0 */
	return region_open_in(&slab->region, arena, name, bytes_max);
}

void slab_close(struct slab *slab)
{
	ASAN_UNPOISON_MEMORY_REGION(slab->region.base, slab->region.usable_bytes);
	region_close(&slab->region);
}

/* Cuts a new run for a class that has neither free nor fresh blocks. */
static enum error slab_cut_run(struct slab *slab, struct slab_class *class, size_t bytes)
{
	size_t count = bytes < RUN_BYTES ? RUN_BYTES / bytes : 1;
	enum error error = region_grow(&slab->region, slab->top_bytes + count * bytes);
	if (error != ERROR_OK)
		return error;
	CHECK_EQ(slab->top_bytes % SLAB_UNIT_BYTES, 0u);
	class->fresh = (uint32_t)(slab->top_bytes / SLAB_UNIT_BYTES);
	slab->top_bytes += count * bytes;
	class->fresh_end = (uint32_t)(slab->top_bytes / SLAB_UNIT_BYTES);
	return ERROR_OK;
}

uint32_t slab_take(struct slab *slab, size_t bytes)
{
	uint32_t number = slab_class_of(bytes);
	struct slab_class *class = &slab->classes[number];
	size_t block_bytes = slab_class_bytes(number);
	uint32_t ref = class->free;

	if (ref != 0) {
		ASAN_UNPOISON_MEMORY_REGION(slab_at(slab, ref), block_bytes);
		memcpy(&class->free, slab_at(slab, ref), sizeof(class->free));
	} else {
		if (class->fresh == class->fresh_end && slab_cut_run(slab, class, block_bytes) != ERROR_OK)
			return 0;
		ref = class->fresh;
		class->fresh += (uint32_t)(block_bytes / SLAB_UNIT_BYTES);
		slab->fresh_count++;
	}
	slab->used_bytes += block_bytes;
	return ref;
}

void slab_give(struct slab *slab, uint32_t ref, size_t bytes)
{
	uint32_t number = slab_class_of(bytes);
	struct slab_class *class = &slab->classes[number];
	size_t block_bytes = slab_class_bytes(number);

	CHECK(ref != 0 && slab->used_bytes >= block_bytes);
	CHECK_NE(ref, class->free); /* given back twice */
	if (block_bytes >= FORGET_BYTES_MIN)
		region_forget(&slab->region, (size_t)ref * SLAB_UNIT_BYTES, block_bytes);
	memcpy(slab_at(slab, ref), &class->free, sizeof(class->free));
	class->free = ref;
	slab->used_bytes -= block_bytes;
	ASAN_POISON_MEMORY_REGION(slab_at(slab, ref), block_bytes);
}
