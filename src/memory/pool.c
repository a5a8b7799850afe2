#include "memory/pool.h"
#include "base/layout_root.h"
#include "memory/notes.h"

#include <string.h>

LAYOUT_ROOT(pool_note);

/* The limit stays, unless less is asked for: another would not fit into what was reserved. */
static bool pool_find_note(struct pool *pool, const struct arena *arena, const char *name)
{
	struct pool_note note;
	size_t usable = pool->region.usable_bytes / pool->object_bytes;
	size_t reserved = pool->region.reserved_bytes / pool->object_bytes;
	if (!arena_get_exact(arena, name, &note, sizeof(note)) || note.object_bytes != pool->object_bytes ||
	    note.limit >= reserved || note.touched > note.limit || (note.touched != 0 && note.touched >= usable) ||
	    note.used > note.touched || note.free > note.touched)
		return false;
	if (note.limit < pool->limit)
		pool->limit = note.limit;
	pool->touched = note.touched;
	pool->used = note.used;
	pool->free = note.free;
	return true;
}

enum error pool_open(struct pool *pool, uint32_t object_bytes, uint32_t limit)
{
	return pool_open_in(pool, NULL, NULL, object_bytes, limit);
}

enum error pool_open_in(struct pool *pool, struct arena *arena, const char *name, uint32_t object_bytes, uint32_t limit)
{
	CHECK(object_bytes >= 4 && object_bytes % 4 == 0);
	CHECK_LT(limit, UINT32_MAX); /* index 0 takes a place too */
	*pool = (struct pool){.object_bytes = object_bytes, .limit = limit};
	enum error error = region_open_in(&pool->region, arena, name, ((size_t)limit + 1) * object_bytes);
	if (error == ERROR_OK && arena_is_adopted(arena) && !pool_find_note(pool, arena, name)) {
		region_unmap(&pool->region);
		error = ERROR_NOT_FOUND;
	}
	return error;
}

enum error pool_save(const struct pool *pool, const struct arena *arena)
{
	if (pool->region.place == NULL)
		return ERROR_OK;
	struct pool_note note = {.object_bytes = pool->object_bytes,
				 .limit = pool->limit,
				 .touched = pool->touched,
				 .used = pool->used,
				 .free = pool->free};
	return arena_put(arena, pool->region.place->name, &note, sizeof(note));
}

void pool_close(struct pool *pool)
{
	region_close(&pool->region);
	*pool = (struct pool){0};
}

uint32_t pool_take(struct pool *pool)
{
	uint32_t index = pool->free;
	if (index != 0) {
		CHECK_LT(pool->used, pool->touched);
		memcpy(&pool->free, pool_at(pool, index), sizeof(pool->free));
		pool->used++;
		return index;
	}
	if (pool->touched >= pool->limit) /* above it: an earlier program had a higher one */
		return 0;
	if (region_grow(&pool->region, ((size_t)pool->touched + 2) * pool->object_bytes) != ERROR_OK)
		return 0;
	pool->used++;
	return ++pool->touched;
}

void pool_give(struct pool *pool, uint32_t index)
{
	CHECK(pool->used > 0);
	CHECK_NE(index, pool->free); /* given back twice */
	memcpy(pool_at(pool, index), &pool->free, sizeof(pool->free));
	pool->free = index;
	pool->used--;
}
