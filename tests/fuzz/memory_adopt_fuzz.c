/* What another program left in memory: a root block, notes, and what they say of pools, slabs and tables. Whatever is
 * wrong there is an error, and nothing of it is changed. An input is a list of patches: where, a 32-bit offset, and
 * eight bytes to put there. */
#include "fuzz.h"

#include "memory/notes.h"
#include "memory/slab.h"
#include "memory/table.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LAYOUT 5u
#define PATCH_BYTES 13u
#define OBJECTS 100u

struct object {
	struct table_node node;
	uint32_t number;
};

struct parts {
	struct pool pool;
	struct slab slab;
	struct table table;
};

/* The memory of the first program. It is made once: a patch is taken back. */
static struct memory_root root;
static struct notes notes;
static struct arena arena;

static enum error parts_open(struct parts *parts, struct arena *in)
{
	enum error error = pool_open_in(&parts->pool, in, "pool", sizeof(struct object), OBJECTS);
	if (error == ERROR_OK)
		error = slab_open_in(&parts->slab, in, "slab", 1 << 20);
	if (error == ERROR_OK)
		error = table_open_in(&parts->table, in, "table", &parts->pool, offsetof(struct object, node), OBJECTS);
	return error;
}

static void make(void)
{
	struct parts parts;
	CHECK(memory_root_open(&root, LAYOUT) == ERROR_OK && notes_open(&notes, &root) == ERROR_OK &&
	      arena_open(&arena, &root, "part") == ERROR_OK && parts_open(&parts, &arena) == ERROR_OK);
	for (uint32_t i = 1; i <= OBJECTS / 2; i++) {
		CHECK(pool_take(&parts.pool) == i && slab_take(&parts.slab, i * 10) != 0);
		table_insert(&parts.table, i, i * 7);
	}
	table_remove(&parts.table, 3);
	pool_give(&parts.pool, 3);
	CHECK(pool_save(&parts.pool, &arena) == ERROR_OK && slab_save(&parts.slab, &arena) == ERROR_OK &&
	      table_save(&parts.table, &arena) == ERROR_OK);
}

/* Where a patch goes; NULL: nowhere. */
static uint8_t *patched(const uint8_t *patch, size_t *room)
{
	uint32_t offset;
	memcpy(&offset, patch + 1, sizeof(offset));
	uint8_t *area = patch[0] % 2 == 0 ? (uint8_t *)root.block : notes.region.base;
	size_t bytes = patch[0] % 2 == 0 ? sizeof(*root.block) : notes.region.usable_bytes;
	offset %= patch[0] < 128 ? 4096u : (uint32_t)bytes; /* most of what is there is at the front */
	*room = bytes - offset < 8 ? bytes - offset : 8;
	return area + offset;
}

/* A descriptor of another process, or none of a memfd, may have any number. */
static bool parts_of_next(struct memory_root *next, struct notes *next_notes)
{
	struct arena next_arena;
	if (notes_adopt(next_notes, next) != ERROR_OK)
		return false;
	struct parts parts = {0};
	bool is_whole =
		arena_find(&next_arena, next, "part") == ERROR_OK && parts_open(&parts, &next_arena) == ERROR_OK;
	region_close(&parts.table.buckets);
	slab_close(&parts.slab);
	region_close(&parts.pool.region);
	notes_close(next_notes);
	return is_whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (root.block == NULL)
		make();
	uint8_t before[64][8];
	size_t count = size / PATCH_BYTES < 64 ? size / PATCH_BYTES : 64;
	for (size_t i = 0; i < count; i++) {
		size_t room;
		uint8_t *at = patched(data + i * PATCH_BYTES, &room);
		memcpy(before[i], at, room);
		memcpy(at, data + i * PATCH_BYTES + 5, room);
	}
	struct memory_root next;
	struct notes next_notes;
	if (memory_root_adopt(&next, root.fd, LAYOUT) == ERROR_OK) {
		bool is_whole = parts_of_next(&next, &next_notes);
		CHECK(is_whole || count != 0);
		CHECK(munmap(next.block, sizeof(*next.block)) == 0);
	}
	for (size_t i = count; i-- != 0;) {
		size_t room;
		uint8_t *at = patched(data + i * PATCH_BYTES, &room);
		CHECK(memcmp(at, data + i * PATCH_BYTES + 5, room) == 0 || i + 1 < count);
		memcpy(at, before[i], room);
	}
	return 0;
}
