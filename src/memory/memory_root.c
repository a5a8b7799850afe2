#include "memory/memory_root.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_MAGIC UINT64_C(0x746f6f7274736f6f) /* "oostroot", as it lies in memory */
#define ROOT_VERSION 1u
#define PAGE_BYTES ((uint64_t)4096)

/* Another version of the program reads these: raise ROOT_VERSION when one of them changes. */
_Static_assert(sizeof(struct root_arena) == 48, "version 1");
_Static_assert(sizeof(struct root_region) == 64, "version 1");
_Static_assert(offsetof(struct root_block, arenas) == 32, "version 1");

static enum error memory_root_map(struct memory_root *root, int fd)
{
	void *block = mmap(NULL, sizeof(struct root_block), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (block == MAP_FAILED)
		return ERROR_NO_MEMORY;
	*root = (struct memory_root){.block = block, .fd = fd};
	return ERROR_OK;
}

enum error memory_root_open(struct memory_root *root, uint64_t layout_hash)
{
	int fd = memfd_create("roost root", MFD_CLOEXEC);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? ERROR_NO_DESCRIPTORS : ERROR_SYSTEM;
	enum error error = ERROR_SYSTEM;
	if (ftruncate(fd, (off_t)sizeof(struct root_block)) == 0)
		error = memory_root_map(root, fd);
	if (error != ERROR_OK) {
		close(fd);
		return error;
	}
	root->block->magic = ROOT_MAGIC;
	root->block->version = ROOT_VERSION;
	root->block->layout_hash = layout_hash;
	return ERROR_OK;
}

void memory_root_close(struct memory_root *root)
{
	for (uint32_t i = 0; i < root->block->arena_count; i++) {
		if (root->block->arenas[i].name[0] != '\0')
			CHECK(close(root->block->arenas[i].fd) == 0);
	}
	CHECK(munmap(root->block, sizeof(struct root_block)) == 0);
	CHECK(close(root->fd) == 0);
	*root = (struct memory_root){.fd = -1};
}

enum error memory_root_copy(struct memory_root *copy, const struct memory_root *from, uint64_t layout_hash)
{
	struct memory_root made;
	enum error error = memory_root_open(&made, layout_hash);
	if (error != ERROR_OK)
		return error;
	size_t arenas = from->block->arena_count * sizeof(struct root_arena);
	size_t regions = from->block->region_count * sizeof(struct root_region);
	made.block->arena_count = from->block->arena_count;
	made.block->region_count = from->block->region_count;
	memcpy(made.block->arenas, from->block->arenas, arenas); /* no more: pages that are not touched cost nothing */
	memcpy(made.block->regions, from->block->regions, regions);
	*copy = made;
	return ERROR_OK;
}

void memory_root_unmap(struct memory_root *root)
{
	CHECK(munmap(root->block, sizeof(struct root_block)) == 0);
	*root = (struct memory_root){.fd = -1};
}

void memory_root_close_block(struct memory_root *root)
{
	CHECK(close(root->fd) == 0);
	memory_root_unmap(root);
}

enum error memory_root_layout(int fd, uint64_t *layout_hash)
{
	/* Its first members; the whole takes two megabytes, and would be touched page by page on a stack. */
	struct root_head {
		uint64_t magic;
		uint32_t version;
		uint32_t unused;
		uint64_t layout_hash;
	} head;
	_Static_assert(offsetof(struct root_head, layout_hash) == offsetof(struct root_block, layout_hash) &&
			       offsetof(struct root_head, version) == offsetof(struct root_block, version),
		       "the block begins with it");
	if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) || head.magic != ROOT_MAGIC ||
	    head.version != ROOT_VERSION)
		return ERROR_NOT_FOUND;
	*layout_hash = head.layout_hash;
	return ERROR_OK;
}

static bool memory_root_name_ends(const char *name)
{
	return memchr(name, '\0', ROOT_NAME_BYTES) != NULL;
}

static bool memory_root_arena_is_sound(const struct root_arena *arena)
{
	struct stat status;
	if (arena->name[0] == '\0')
		return true;
	return memory_root_name_ends(arena->name) && fstat(arena->fd, &status) == 0 && S_ISREG(status.st_mode) &&
	       (uint64_t)status.st_size >= arena->end;
}

/* A region that reaches beyond its memfd would cause a SIGBUS later. */
static bool memory_root_region_is_sound(const struct root_block *block, const struct root_region *region)
{
	if (region->name[0] == '\0')
		return true;
	if (!memory_root_name_ends(region->name) || region->arena >= block->arena_count)
		return false;
	const struct root_arena *arena = &block->arenas[region->arena];
	return arena->name[0] != '\0' && region->offset % PAGE_BYTES == 0 && region->reserved_bytes % PAGE_BYTES == 0 &&
	       region->usable_bytes % PAGE_BYTES == 0 && region->usable_bytes <= region->reserved_bytes &&
	       region->offset <= arena->end && region->reserved_bytes <= arena->end - region->offset;
}

static bool memory_root_is_sound(const struct root_block *block, uint64_t layout_hash)
{
	if (block->magic != ROOT_MAGIC || block->version != ROOT_VERSION || block->layout_hash != layout_hash ||
	    block->arena_count > ROOT_ARENAS_MAX || block->region_count > ROOT_REGIONS_MAX)
		return false;
	for (uint32_t i = 0; i < block->arena_count; i++) {
		if (!memory_root_arena_is_sound(&block->arenas[i]))
			return false;
	}
	for (uint32_t i = 0; i < block->region_count; i++) {
		if (!memory_root_region_is_sound(block, &block->regions[i]))
			return false;
	}
	return true;
}

/* A program that converted the memory, and did not get to its first turn, has left its own behind the arenas' ends.
 * What is reserved there next must be zero. */
static void memory_root_cut(const struct root_block *block)
{
	for (uint32_t i = 0; i < block->arena_count; i++) {
		struct stat status;
		const struct root_arena *arena = &block->arenas[i];
		if (arena->name[0] == '\0')
			continue;
		CHECK(fstat(arena->fd, &status) == 0);
		if ((uint64_t)status.st_size > arena->end)
			CHECK(ftruncate(arena->fd, (off_t)arena->end) == 0);
	}
}

enum error memory_root_adopt(struct memory_root *root, int fd, uint64_t layout_hash)
{
	struct stat status;
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
	    (uint64_t)status.st_size != sizeof(struct root_block))
		return ERROR_NOT_FOUND;
	struct memory_root found;
	enum error error = memory_root_map(&found, fd);
	if (error != ERROR_OK)
		return error;
	if (!memory_root_is_sound(found.block, layout_hash)) {
		CHECK(munmap(found.block, sizeof(struct root_block)) == 0);
		return ERROR_NOT_FOUND;
	}
	memory_root_cut(found.block);
	*root = found;
	return ERROR_OK;
}

void memory_root_keep(const struct memory_root *root, bool keep)
{
	int flags = keep ? 0 : FD_CLOEXEC;
	CHECK(fcntl(root->fd, F_SETFD, flags) == 0);
	for (uint32_t i = 0; i < root->block->arena_count; i++) {
		if (root->block->arenas[i].name[0] != '\0')
			CHECK(fcntl(root->block->arenas[i].fd, F_SETFD, flags) == 0);
	}
}
