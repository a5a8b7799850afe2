#include "memory/arena.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static void arena_set_name(char to[ROOT_NAME_BYTES], const char *name)
{
	size_t size = strlen(name);
	CHECK(size > 0 && size < ROOT_NAME_BYTES);
	memset(to, 0, ROOT_NAME_BYTES);
	memcpy(to, name, size);
}

static struct root_arena *arena_entry(const struct arena *arena)
{
	CHECK_LT(arena->number, arena->root->block->arena_count);
	return &arena->root->block->arenas[arena->number];
}

enum error arena_find(struct arena *arena, struct memory_root *root, const char *name)
{
	for (uint32_t i = 0; i < root->block->arena_count; i++) {
		if (strcmp(root->block->arenas[i].name, name) == 0) {
			*arena = (struct arena){.root = root, .number = i, .adopted = true};
			return ERROR_OK;
		}
	}
	return ERROR_NOT_FOUND;
}

enum error arena_open(struct arena *arena, struct memory_root *root, const char *name)
{
	CHECK(arena_find(arena, root, name) == ERROR_NOT_FOUND);
	struct root_block *block = root->block;
	uint32_t number = 0;
	while (number < block->arena_count && block->arenas[number].name[0] != '\0')
		number++;
	if (number == ROOT_ARENAS_MAX)
		return ERROR_LIMIT;
	int fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? ERROR_NO_DESCRIPTORS : ERROR_SYSTEM;
	if (number == block->arena_count)
		block->arena_count++;
	block->arenas[number] = (struct root_arena){.fd = fd};
	arena_set_name(block->arenas[number].name, name);
	*arena = (struct arena){.root = root, .number = number};
	return ERROR_OK;
}

void arena_close(struct arena *arena)
{
	const struct root_block *block = arena->root->block;
	for (uint32_t i = 0; i < block->region_count; i++)
		CHECK(block->regions[i].name[0] == '\0' || block->regions[i].arena != arena->number);
	struct root_arena *entry = arena_entry(arena);
	CHECK(entry->name[0] != '\0');
	CHECK(close(entry->fd) == 0);
	*entry = (struct root_arena){.fd = -1};
	*arena = (struct arena){0};
}

int arena_fd(const struct arena *arena)
{
	return arena_entry(arena)->fd;
}

const char *arena_name(const struct arena *arena)
{
	CHECK(arena_entry(arena)->name[0] != '\0');
	return arena_entry(arena)->name;
}

/* Beyond RLIMIT_FSIZE ftruncate() does not fail: it sends SIGXFSZ, which would end the server. */
static bool arena_may_be_as_long(uint64_t bytes)
{
	struct rlimit limit;
	CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	return bytes <= INT64_MAX && (limit.rlim_cur == RLIM_INFINITY || bytes <= limit.rlim_cur);
}

enum error arena_reserve(struct arena *arena, size_t bytes, uint64_t *offset)
{
	struct root_arena *entry = arena_entry(arena);
	if (bytes > INT64_MAX || !arena_may_be_as_long(entry->end + bytes))
		return ERROR_LIMIT;
	if (ftruncate(entry->fd, (off_t)(entry->end + bytes)) != 0)
		return ERROR_NO_MEMORY;
	*offset = entry->end;
	entry->end += bytes;
	return ERROR_OK;
}

enum error arena_add(struct arena *arena, const char *name, size_t bytes, struct root_region **place)
{
	CHECK(arena_region(arena, name) == NULL);
	struct root_block *block = arena->root->block;
	uint32_t i = 0;
	while (i < block->region_count && block->regions[i].name[0] != '\0')
		i++;
	if (i == ROOT_REGIONS_MAX)
		return ERROR_LIMIT;
	uint64_t offset;
	enum error error = arena_reserve(arena, bytes, &offset);
	if (error != ERROR_OK)
		return error;
	if (i == block->region_count)
		block->region_count++;
	*place = &block->regions[i];
	**place = (struct root_region){.offset = offset, .reserved_bytes = bytes, .arena = arena->number};
	arena_set_name((*place)->name, name);
	return ERROR_OK;
}

struct root_region *arena_region(const struct arena *arena, const char *name)
{
	struct root_block *block = arena->root->block;
	for (uint32_t i = 0; i < block->region_count; i++) {
		struct root_region *region = &block->regions[i];
		if (region->arena == arena->number && strcmp(region->name, name) == 0)
			return region;
	}
	return NULL;
}

void arena_remove(struct root_region *place)
{
	CHECK(place->name[0] != '\0');
	*place = (struct root_region){0};
}
