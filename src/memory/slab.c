#include "memory/slab.h"

#include "base/check.h"
#include "base/layout_root.h"
#include "memory/notes.h"

#include <string.h>

#if SANITIZER_ADDRESS
#include <sanitizer/asan_interface.h>
#define ASAN_REGION_IS_POISONED(address, bytes) (__asan_region_is_poisoned(address, bytes) != NULL)
#else
#define ASAN_REGION_IS_POISONED(address, bytes) ((void)(address), (void)(bytes), false)
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

/* What a slab is beside its blocks. */
struct slab_note {
	uint64_t top_bytes;
	uint64_t used_bytes;
	uint64_t fresh_count;
	struct slab_class classes[SLAB_CLASS_COUNT];
};
LAYOUT_ROOT(slab_note);

static bool slab_class_is_sound(const struct slab_class *class, uint32_t number, uint64_t top_units)
{
	uint32_t units = (uint32_t)(slab_class_bytes(number) / SLAB_UNIT_BYTES);
	if (class->fresh > class->fresh_end || class->fresh_end > top_units || class->free >= top_units)
		return false;
	return (class->fresh_end - class->fresh) % units == 0 && (class->fresh_end == 0 || class->fresh != 0);
}

/* Free blocks are poisoned again. Only builds with ASan pay for the walk; they alone notice a list that leads astray.
 */
static bool slab_poison_free(const struct slab *slab)
{
	for (uint32_t i = 0; SANITIZER_ADDRESS && i < SLAB_CLASS_COUNT; i++) {
		size_t bytes = slab_class_bytes(i);
		for (uint32_t ref = slab->classes[i].free; ref != 0;) {
			uint64_t offset = (uint64_t)ref * SLAB_UNIT_BYTES;
			uint8_t *block = slab->region.base + offset;
			if (offset + bytes > slab->top_bytes || ASAN_REGION_IS_POISONED(block, bytes))
				return false;
			memcpy(&ref, block, sizeof(ref));
			ASAN_POISON_MEMORY_REGION(block, bytes);
		}
	}
	return true;
}

static bool slab_find_note(struct slab *slab, const struct arena *arena, const char *name)
{
	struct slab_note note;
	if (!arena_get_exact(arena, name, &note, sizeof(note)) || note.top_bytes < SLAB_UNIT_BYTES ||
	    note.top_bytes % SLAB_UNIT_BYTES != 0 || note.used_bytes > note.top_bytes ||
	    (note.top_bytes > SLAB_UNIT_BYTES && note.top_bytes > slab->region.usable_bytes))
		return false;
	for (uint32_t i = 0; i < SLAB_CLASS_COUNT; i++) {
		if (!slab_class_is_sound(&note.classes[i], i, note.top_bytes / SLAB_UNIT_BYTES))
			return false;
	}
	slab->top_bytes = note.top_bytes;
	slab->used_bytes = note.used_bytes;
	slab->fresh_count = note.fresh_count;
	memcpy(slab->classes, note.classes, sizeof(note.classes));
	return slab_poison_free(slab);
}

enum error slab_open(struct slab *slab, size_t bytes_max)
{
	return slab_open_in(slab, NULL, NULL, bytes_max);
}

enum error slab_open_in(struct slab *slab, struct arena *arena, const char *name, size_t bytes_max)
{
	CHECK(bytes_max <= (size_t)UINT32_MAX * SLAB_UNIT_BYTES);
	*slab = (struct slab){.top_bytes = SLAB_UNIT_BYTES}; /* no block has reference 0 */
	enum error error = region_open_in(&slab->region, arena, name, bytes_max);
	if (error == ERROR_OK && arena_is_adopted(arena) && !slab_find_note(slab, arena, name)) {
		ASAN_UNPOISON_MEMORY_REGION(slab->region.base, slab->region.usable_bytes);
		region_unmap(&slab->region);
		error = ERROR_NOT_FOUND;
	}
	return error;
}

enum error slab_save(const struct slab *slab, const struct arena *arena)
{
	if (slab->region.place == NULL)
		return ERROR_OK;
	struct slab_note note = {
		.top_bytes = slab->top_bytes, .used_bytes = slab->used_bytes, .fresh_count = slab->fresh_count};
	memcpy(note.classes, slab->classes, sizeof(note.classes));
	return arena_put(arena, slab->region.place->name, &note, sizeof(note));
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

/* A block that gives its pages back while it is free, or that was never used, is zero but for the pages that it has in
 * part, and the free list's link. */
uint32_t slab_take_zeroed(struct slab *slab, size_t bytes)
{
	uint32_t ref = slab_take(slab, bytes);
	if (ref == 0)
		return 0;
	uint8_t *block = slab_at(slab, ref);
	size_t block_bytes = slab_block_bytes(bytes);
	if (block_bytes < FORGET_BYTES_MIN) {
		memset(block, 0, block_bytes);
		return ref;
	}
	size_t front = RUN_BYTES - (size_t)ref * SLAB_UNIT_BYTES % RUN_BYTES;
	size_t back = ((size_t)ref * SLAB_UNIT_BYTES + block_bytes) % RUN_BYTES;
	memset(block, 0, front);
	memset(block + block_bytes - back, 0, back);
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
