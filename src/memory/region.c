#include "memory/region.h"

#include "base/check.h"

#include <sys/mman.h>

/* Usable space grows by this much: one mprotect() a mebibyte, and neighbouring steps merge into one mapping. */
#define GROW_STEP_BYTES ((size_t)1 << 20)
#define PAGE_BYTES ((size_t)4096)

_Static_assert(GROW_STEP_BYTES % PAGE_BYTES == 0, "mprotect() takes whole pages");

static size_t round_up(size_t value, size_t step)
{
	return (value + step - 1) / step * step;
}

/* PROT_NONE is not charged against the commit limit, so strict overcommit does not refuse a large reserve. */
static enum error region_map(struct region *region, size_t bytes, struct arena *arena, struct root_region *place)
{
	int flags = arena == NULL ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	int fd = arena == NULL ? -1 : arena_fd(arena);
	off_t offset = arena == NULL ? 0 : (off_t)place->offset;
	void *base = mmap(NULL, bytes, PROT_NONE, flags | MAP_NORESERVE, fd, offset);
	if (base == MAP_FAILED)
		return ERROR_NO_MEMORY;
	*region = (struct region){.base = base, .reserved_bytes = bytes, .place = place};
	return ERROR_OK;
}

enum error region_open(struct region *region, size_t bytes_max)
{
	return region_map(region, round_up(bytes_max, GROW_STEP_BYTES), NULL, NULL);
}

enum error region_open_in(struct region *region, struct arena *arena, const char *name, size_t bytes_max)
{
	if (arena == NULL)
		return region_open(region, bytes_max);
	if (arena->adopted)
		return region_adopt(region, arena, name);
	size_t bytes = round_up(bytes_max, GROW_STEP_BYTES);
	struct root_region *place;
	enum error error = arena_add(arena, name, bytes, &place);
	if (error != ERROR_OK)
		return error;
	error = region_map(region, bytes, arena, place);
	if (error != ERROR_OK)
		arena_remove(place);
	return error;
}

void region_unmap(struct region *region)
{
	CHECK(region->place != NULL);
	CHECK(munmap(region->base, region->reserved_bytes) == 0);
	*region = (struct region){0};
}

static enum error region_make_usable(struct region *region, size_t bytes)
{
	size_t more = bytes - region->usable_bytes;
	if (more != 0 && mprotect(region->base + region->usable_bytes, more, PROT_READ | PROT_WRITE) != 0)
		return ERROR_NO_MEMORY;
	region->usable_bytes = bytes;
	return ERROR_OK;
}

enum error region_adopt(struct region *region, struct arena *arena, const char *name)
{
	struct root_region *place = arena_region(arena, name);
	if (place == NULL)
		return ERROR_NOT_FOUND;
	struct region found;
	enum error error = region_map(&found, place->reserved_bytes, arena, place);
	if (error != ERROR_OK)
		return error;
	error = region_make_usable(&found, place->usable_bytes);
	if (error != ERROR_OK) {
		CHECK(munmap(found.base, found.reserved_bytes) == 0);
		return error;
	}
	*region = found;
	region->adopted = true;
	return ERROR_OK;
}

void region_close(struct region *region)
{
	CHECK_LE(region->usable_bytes, region->reserved_bytes);
	if (region->adopted) {
		region_unmap(region);
		return;
	}
	if (region->place != NULL) {
		region_forget(region, 0, region->usable_bytes);
		arena_remove(region->place);
	}
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
	enum error error = region_make_usable(region, round_up(bytes, GROW_STEP_BYTES));
	if (error == ERROR_OK && region->place != NULL)
		region->place->usable_bytes = region->usable_bytes;
	return error;
}

/* MADV_REMOVE does what fallocate(FALLOC_FL_PUNCH_HOLE) does, without a descriptor: the memfd is not in a shard's
 * private descriptor table. MADV_DONTNEED would unmap the pages and leave them in the memfd. */
void region_forget(struct region *region, size_t offset, size_t bytes)
{
	CHECK(offset <= region->usable_bytes && bytes <= region->usable_bytes - offset);
	size_t first = round_up(offset, PAGE_BYTES);
	size_t end = (offset + bytes) / PAGE_BYTES * PAGE_BYTES;
	int advice = region->place == NULL ? MADV_DONTNEED : MADV_REMOVE;
	if (end > first)
		CHECK(madvise(region->base + first, end - first, advice) == 0);
}
