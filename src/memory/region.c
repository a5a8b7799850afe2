#include "memory/region.h"

#include "base/check.h"

#include <sys/mman.h>

/* Usable space grows by this much: one mprotect() a mebibyte, and neighbouring steps merge into one mapping. */
#define GROW_STEP_BYTES ((size_t)1 << 20)
#define PAGE_BYTES ((size_t)4096)

static size_t round_up(size_t value, size_t step)
{
	return (value + step - 1) / step * step;
}

enum error region_open(struct region *region, size_t bytes_max)
{
	size_t bytes = round_up(bytes_max, GROW_STEP_BYTES);
	/* PROT_NONE is not charged against the commit limit, so strict overcommit does not refuse a large reserve. */
	void *base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return ERROR_NO_MEMORY;
	*region = (struct region){.base = base, .reserved_bytes = bytes, .usable_bytes = 0};
	return ERROR_OK;
}

void region_close(struct region *region)
{
	if (region->base != NULL)
		CHECK(munmap(region->base, region->reserved_bytes) == 0);
	*region = (struct region){0};
}

enum error region_grow(struct region *region, size_t bytes)
{
	if (bytes <= region->usable_bytes)
		return ERROR_OK;
	if (bytes > region->reserved_bytes)
		return ERROR_LIMIT;
	size_t target = round_up(bytes, GROW_STEP_BYTES);
	if (mprotect(region->base + region->usable_bytes, target - region->usable_bytes, PROT_READ | PROT_WRITE) != 0)
		return ERROR_NO_MEMORY;
	region->usable_bytes = target;
	return ERROR_OK;
}

void region_forget(struct region *region, size_t offset, size_t bytes)
{
	size_t first = round_up(offset, PAGE_BYTES);
	size_t end = (offset + bytes) / PAGE_BYTES * PAGE_BYTES;
	if (end > first)
		CHECK(madvise(region->base + first, end - first, MADV_DONTNEED) == 0);
}
