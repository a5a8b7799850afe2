#include "memory/pool.h"

#include <string.h>

enum error pool_open(struct pool *pool, uint32_t object_bytes, uint32_t limit)
{
	return pool_open_in(pool, NULL, NULL, object_bytes, limit);
}

enum error pool_open_in(struct pool *pool, struct arena *arena, const char *name, uint32_t object_bytes, uint32_t limit)
{
	CHECK(object_bytes >= 4 && object_bytes % 4 == 0);
	CHECK_LT(limit, UINT32_MAX); /* index 0 takes a place too */
	*pool = (struct pool){.object_bytes = object_bytes, .limit = limit};
	return region_open_in(&pool->region, arena, name, ((size_t)limit + 1) * object_bytes);
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
	if (pool->touched == pool->limit)
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
