#include "auth/rules/acl_pool.h"
#include "base/layout_root.h"

#include "base/check.h"
#include "memory/notes.h"

#include <stddef.h>

struct acl_pool_entry {
	struct table_node links; /* and the pool's link while it is free */
	uint32_t references;
	uint32_t text; /* slab reference */
	uint32_t text_bytes;
	uint32_t serial_high, serial_low;
};
LAYOUT_ROOT(acl_pool_entry);

_Static_assert(sizeof(struct acl_pool_entry) == 28, "what a distinct set of rules costs beside its text");

static struct acl_pool_entry *acl_pool_entry_at(const struct acl_pool *pool, uint32_t index)
{
	return pool_at(&pool->entries, index);
}

/* What there is beside pool, slab and table. */
struct acl_pool_note {
	struct hash_key key;
	uint64_t last_serial;
};
LAYOUT_ROOT(acl_pool_note);

static enum error acl_pool_find_note(struct acl_pool *pool, const struct arena *arena)
{
	struct acl_pool_note note;
	if (!arena_is_adopted(arena))
		return ERROR_OK;
	if (!arena_get_exact(arena, "token rules note", &note, sizeof(note)))
		return ERROR_NOT_FOUND;
	pool->key = note.key;
	pool->last_serial = note.last_serial;
	return ERROR_OK;
}

static enum error acl_pool_open_table(struct acl_pool *pool, struct arena *arena, uint32_t entries_max)
{
	enum error error = table_open_in(&pool->table, arena, "token rules table", &pool->entries,
					 offsetof(struct acl_pool_entry, links), entries_max);
	if (error != ERROR_OK)
		return error;
	error = acl_pool_find_note(pool, arena);
	if (error != ERROR_OK)
		table_close(&pool->table);
	return error;
}

enum error acl_pool_open(struct acl_pool *pool, struct arena *arena, uint32_t entries_max, size_t bytes_max)
{
	*pool = (struct acl_pool){.key = hash_key_random()};
	enum error error =
		pool_open_in(&pool->entries, arena, "token rules", sizeof(struct acl_pool_entry), entries_max);
	if (error != ERROR_OK)
		return error;
	error = slab_open_in(&pool->texts, arena, "token rules texts", bytes_max);
	if (error == ERROR_OK) {
		error = acl_pool_open_table(pool, arena, entries_max);
		if (error == ERROR_OK)
			return ERROR_OK;
		slab_close(&pool->texts);
	}
	pool_close(&pool->entries);
	return error;
}

enum error acl_pool_save(const struct acl_pool *pool, const struct arena *arena)
{
	struct acl_pool_note note = {.key = pool->key, .last_serial = pool->last_serial};
	enum error error = arena_put(arena, "token rules note", &note, sizeof(note));
	if (error == ERROR_OK)
		error = pool_save(&pool->entries, arena);
	if (error == ERROR_OK)
		error = slab_save(&pool->texts, arena);
	return error == ERROR_OK ? table_save(&pool->table, arena) : error;
}

void acl_pool_close(struct acl_pool *pool)
{
	table_close(&pool->table);
	slab_close(&pool->texts);
	pool_close(&pool->entries);
	*pool = (struct acl_pool){0};
}

static struct slice acl_pool_text_of(const struct acl_pool *pool, const struct acl_pool_entry *entry)
{
	return slice_of(slab_at(&pool->texts, entry->text), entry->text_bytes);
}

static uint32_t acl_pool_find(const struct acl_pool *pool, struct slice rules, uint32_t hash)
{
	uint32_t index = table_first(&pool->table, hash);
	while (index != 0 && !slice_equal(acl_pool_text_of(pool, acl_pool_entry_at(pool, index)), rules))
		index = table_next(&pool->table, index);
	return index;
}

/* A slab has no block of no bytes, and rules may be none: everything forbidden. */
static size_t acl_pool_block_bytes(size_t text_bytes)
{
	return text_bytes == 0 ? 1 : text_bytes;
}

static uint32_t acl_pool_add(struct acl_pool *pool, struct slice rules, uint32_t hash)
{
	if (rules.size > SLAB_BLOCK_BYTES_MAX)
		return 0;
	uint32_t text = slab_take(&pool->texts, acl_pool_block_bytes(rules.size));
	uint32_t index = text == 0 ? 0 : pool_take(&pool->entries);
	if (index == 0) {
		if (text != 0)
			slab_give(&pool->texts, text, acl_pool_block_bytes(rules.size));
		return 0;
	}
	if (rules.size != 0)
		memcpy(slab_at(&pool->texts, text), rules.data, rules.size);
	uint64_t serial = ++pool->last_serial;
	*acl_pool_entry_at(pool, index) = (struct acl_pool_entry){.text = text,
								  .text_bytes = (uint32_t)rules.size,
								  .serial_high = (uint32_t)(serial >> 32),
								  .serial_low = (uint32_t)serial};
	table_insert(&pool->table, index, hash);
	return index;
}

uint32_t acl_pool_take(struct acl_pool *pool, struct slice rules)
{
	uint32_t hash = (uint32_t)hash_slice(&pool->key, rules);
	uint32_t index = acl_pool_find(pool, rules, hash);
	if (index == 0)
		index = acl_pool_add(pool, rules, hash);
	if (index != 0)
		acl_pool_entry_at(pool, index)->references++;
	return index;
}

void acl_pool_give(struct acl_pool *pool, uint32_t index)
{
	if (index == 0)
		return;
	struct acl_pool_entry *entry = acl_pool_entry_at(pool, index);
	CHECK(entry->references > 0);
	if (--entry->references != 0)
		return;
	table_remove(&pool->table, index);
	slab_give(&pool->texts, entry->text, acl_pool_block_bytes(entry->text_bytes));
	pool_give(&pool->entries, index);
}

struct slice acl_pool_rules(const struct acl_pool *pool, uint32_t index)
{
	if (index == 0)
		return slice_of(NULL, 0);
	const struct acl_pool_entry *entry = acl_pool_entry_at(pool, index);
	CHECK(entry->references > 0);
	return acl_pool_text_of(pool, entry);
}

uint64_t acl_pool_serial(const struct acl_pool *pool, uint32_t index)
{
	if (index == 0)
		return 0;
	const struct acl_pool_entry *entry = acl_pool_entry_at(pool, index);
	CHECK(entry->references > 0);
	return (uint64_t)entry->serial_high << 32 | entry->serial_low;
}
