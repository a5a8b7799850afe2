#include "memory/table.h"

#include "base/layout_root.h"
#include "memory/notes.h"

#define BUCKETS_MIN 16u

_Static_assert((BUCKETS_MIN & (BUCKETS_MIN - 1)) == 0, "level_mask starts as a mask of whole bits");

static struct table_node *table_node_at(const struct table *table, uint32_t index)
{
	return (struct table_node *)(void *)((uint8_t *)pool_at(table->pool, index) + table->node_offset);
}

static uint32_t *table_bucket(const struct table *table, uint32_t hash)
{
	uint32_t bucket = hash & table->level_mask;
	if (bucket >= table->bucket_count)
		bucket = hash & (table->level_mask >> 1);
	return (uint32_t *)(void *)table->buckets.base + bucket;
}

/* What a table is beside its buckets. */
struct table_note {
	uint32_t node_offset;
	uint32_t bucket_count;
	uint32_t level_mask;
	uint32_t count;
};
LAYOUT_ROOT(table_note);
LAYOUT_ROOT(table_node);

static bool table_find_note(struct table *table, const struct arena *arena, const char *name)
{
	struct table_note note;
	if (!arena_get_exact(arena, name, &note, sizeof(note)) || note.node_offset != table->node_offset ||
	    note.bucket_count < BUCKETS_MIN || note.bucket_count > table->buckets.usable_bytes / sizeof(uint32_t) ||
	    (note.level_mask & (note.level_mask + 1)) != 0 || note.bucket_count - 1 > note.level_mask ||
	    note.bucket_count <= note.level_mask / 2 || note.count > table->pool->used)
		return false;
	table->bucket_count = note.bucket_count;
	table->level_mask = note.level_mask;
	table->count = note.count;
	return true;
}

enum error table_open(struct table *table, const struct pool *pool, uint32_t node_offset, uint32_t limit)
{
	return table_open_in(table, NULL, NULL, pool, node_offset, limit);
}

enum error table_open_in(struct table *table, struct arena *arena, const char *name, const struct pool *pool,
			 uint32_t node_offset, uint32_t limit)
{
	CHECK_LE(node_offset + sizeof(struct table_node), pool->object_bytes);
	*table = (struct table){
		.pool = pool,
		.node_offset = node_offset,
		.bucket_count = BUCKETS_MIN,
		.level_mask = BUCKETS_MIN - 1,
	};
	enum error error =
		region_open_in(&table->buckets, arena, name, ((size_t)limit + BUCKETS_MIN + 1) * sizeof(uint32_t));
	if (error == ERROR_OK && arena_is_adopted(arena)) {
		if (table_find_note(table, arena, name))
			return ERROR_OK;
		region_unmap(&table->buckets);
		return ERROR_NOT_FOUND;
	}
	if (error == ERROR_OK)
		error = region_grow(&table->buckets, BUCKETS_MIN * sizeof(uint32_t));
	return error;
}

enum error table_save(const struct table *table, const struct arena *arena)
{
	if (table->buckets.place == NULL)
		return ERROR_OK;
	struct table_note note = {.node_offset = table->node_offset,
				  .bucket_count = table->bucket_count,
				  .level_mask = table->level_mask,
				  .count = table->count};
	return arena_put(arena, table->buckets.place->name, &note, sizeof(note));
}

void table_expect(struct table *table, uint32_t count)
{
	if (table->count != 0 || count <= table->bucket_count ||
	    region_grow(&table->buckets, (size_t)count * sizeof(uint32_t)) != ERROR_OK)
		return; /* without memory they are split later, or not at all */
	while (table->level_mask < count - 1)
		table->level_mask = table->level_mask * 2 + 1;
	table->bucket_count = count;
}

void table_close(struct table *table)
{
	region_close(&table->buckets);
	*table = (struct table){0};
}

static uint32_t table_same_hash(const struct table *table, uint32_t index, uint32_t hash)
{
	while (index != 0 && table_node_at(table, index)->hash != hash)
		index = table_node_at(table, index)->next;
	return index;
}

uint32_t table_first(const struct table *table, uint32_t hash)
{
	return table_same_hash(table, *table_bucket(table, hash), hash);
}

uint32_t table_next(const struct table *table, uint32_t index)
{
	const struct table_node *node = table_node_at(table, index);
	return table_same_hash(table, node->next, node->hash);
}

/* Adds one bucket, and moves objects to it from the bucket that it splits: those whose hash has the next bit set. */
static void table_split_bucket(struct table *table)
{
	uint32_t fresh = table->bucket_count;
	if (region_grow(&table->buckets, ((size_t)fresh + 1) * sizeof(uint32_t)) != ERROR_OK)
		return; /* the chains grow longer; nothing else changes */
	if (fresh > table->level_mask)
		table->level_mask = table->level_mask * 2 + 1;
	uint32_t *buckets = (uint32_t *)(void *)table->buckets.base;
	uint32_t *from = &buckets[fresh & (table->level_mask >> 1)];
	table->bucket_count++;
	buckets[fresh] = 0;
	while (*from != 0) {
		struct table_node *node = table_node_at(table, *from);
		if ((node->hash & table->level_mask) != fresh) {
			from = &node->next;
			continue;
		}
		uint32_t moved = *from;
		*from = node->next;
		node->next = buckets[fresh];
		buckets[fresh] = moved;
	}
}

void table_insert(struct table *table, uint32_t index, uint32_t hash)
{
	if (table->count >= table->bucket_count)
		table_split_bucket(table);
	uint32_t *bucket = table_bucket(table, hash);
	*table_node_at(table, index) = (struct table_node){.hash = hash, .next = *bucket};
	*bucket = index;
	table->count++;
}

void table_remove(struct table *table, uint32_t index)
{
	CHECK_GT(table->count, 0u);
	const struct table_node *node = table_node_at(table, index);
	uint32_t *link = table_bucket(table, node->hash);
	while (*link != index) {
		CHECK(*link != 0); /* the object is not in the table */
		link = &table_node_at(table, *link)->next;
	}
	*link = node->next;
	table->count--;
}
