#include "subscriptions/own_table.h"
#include "base/layout_root.h"

#include <stddef.h>

struct own_entry {
	struct table_node links;
	struct client_ref client;
	uint32_t node;
	uint32_t value;
};
_Static_assert(sizeof(struct own_entry) + sizeof(uint32_t) == 24,
	       "with its bucket, the cost in subscriptions/own_table.h");
LAYOUT_ROOT(own_entry);

static struct own_entry *own_table_entry_at(const struct own_table *own, uint32_t index)
{
	return pool_at(&own->entries, index);
}

/* Both are small numbers, given out one after another. A multiplication spreads them over the buckets. */
static uint32_t own_table_hash_of(struct client_ref client, uint32_t node)
{
	return (uint32_t)(((uint64_t)client.index << 32 | node) * 0x9E3779B97F4A7C15u >> 32) ^
	       client.index * 0x85EBCA6Bu;
}

enum error own_table_open(struct own_table *own, struct arena *arena, uint32_t limit)
{
	enum error error = pool_open_in(&own->entries, arena, "own", sizeof(struct own_entry), limit);
	if (error == ERROR_OK)
		error = table_open_in(&own->table, arena, "own by key", &own->entries,
				      offsetof(struct own_entry, links), limit);
	return error;
}

enum error own_table_save(const struct own_table *own, const struct arena *arena)
{
	enum error error = pool_save(&own->entries, arena);
	return error == ERROR_OK ? table_save(&own->table, arena) : error;
}

void own_table_close(struct own_table *own)
{
	table_close(&own->table);
	pool_close(&own->entries);
}

static uint32_t find_entry(const struct own_table *own, struct client_ref client, uint32_t node)
{
	uint32_t index = table_first(&own->table, own_table_hash_of(client, node));
	while (index != 0 && (!client_ref_equal(own_table_entry_at(own, index)->client, client) ||
			      own_table_entry_at(own, index)->node != node))
		index = table_next(&own->table, index);
	return index;
}

enum error own_table_add(struct own_table *own, struct client_ref client, uint32_t node, uint32_t value)
{
	CHECK(!client_ref_is_none(client) && (value != 0 || node == OWN_SUM));
	uint32_t index = pool_take(&own->entries);
	if (index == 0)
		return ERROR_NO_MEMORY;
	struct own_entry *entry = own_table_entry_at(own, index);
	entry->client = client;
	entry->node = node;
	entry->value = value;
	table_insert(&own->table, index, own_table_hash_of(client, node));
	return ERROR_OK;
}

void own_table_remove(struct own_table *own, struct client_ref client, uint32_t node)
{
	uint32_t index = find_entry(own, client, node);
	CHECK(index != 0);
	table_remove(&own->table, index);
	pool_give(&own->entries, index);
}

uint32_t own_table_find(const struct own_table *own, struct client_ref client, uint32_t node)
{
	uint32_t index = find_entry(own, client, node);
	return index != 0 ? own_table_entry_at(own, index)->value : 0;
}

void own_table_set(struct own_table *own, struct client_ref client, uint32_t node, uint32_t value)
{
	uint32_t index = find_entry(own, client, node);
	CHECK(index != 0 && (value != 0 || node == OWN_SUM));
	own_table_entry_at(own, index)->value = value;
}
