#include "topics/index/index.h"
#include "base/layout_root.h"

#include "base/check.h"
#include "memory/notes.h"
#include "mqtt/field/topic.h"
#include "topics/index/index_part.h"

#include <stdio.h>
#include <stdlib.h>

LAYOUT_ROOT(index_many);

/* What the index is beside its parts. */
struct index_note {
	uint32_t shards;
	uint32_t root;
	uint32_t filters;
};
LAYOUT_ROOT(index_note);

#define INDEX_NOTE "index"

static void index_part_name(char to[ROOT_NAME_BYTES], uint32_t part)
{
	snprintf(to, ROOT_NAME_BYTES, "index %u", part);
}

static bool index_make_trie(struct index *index, const struct arena *arena)
{
	struct index_part *part = &index->parts[INDEX_TRIE_PART];
	index->trie.part = part;
	index->trie.key = &index->key;
	if (!arena_is_adopted(arena)) {
		index->trie.root = index_part_node_new(part, 0, 0, slice_of("", 0), true);
		return index->trie.root != 0;
	}
	struct index_note note;
	if (!arena_get_exact(arena, INDEX_NOTE, &note, sizeof(note)) || note.shards != index->shards ||
	    note.root == 0 || (uint64_t)note.root * SLAB_UNIT_BYTES >= part->slab.top_bytes)
		return false;
	index->trie.root = note.root;
	atomic_init(&index->trie.filters, note.filters);
	return true;
}

struct index *index_new(uint16_t shards, const struct hash_key *key, struct arena *arena)
{
	CHECK(shards != 0 && shards <= INDEX_SHARDS_MAX);
	struct index *index = aligned_alloc(64, sizeof(*index));
	if (index == NULL)
		return NULL;
	memset(index, 0, sizeof(*index));
	index->key = *key;
	index->shards = shards;
	for (uint32_t i = 0; i < INDEX_PARTS; i++) {
		char name[ROOT_NAME_BYTES];
		index_part_name(name, i);
		if (index_part_open(&index->parts[i], arena, name) != ERROR_OK)
			return NULL; /* what was made is not freed: the program exits now */
	}
	return index_make_trie(index, arena) ? index : NULL;
}

enum error index_save(struct index *index, const struct arena *arena)
{
	/* liburcu's thread sleeps for 10 ms between two looks, which clients would feel. Mostly there is nothing. */
	for (uint32_t i = 0; i < INDEX_PARTS; i++) {
		if (index_part_has_deferred(&index->parts[i])) {
			reader_await_deferred();
			break;
		}
	}
	RCU_ACQUIRE();
	struct index_note note = {
		.shards = index->shards, .root = index->trie.root, .filters = atomic_load(&index->trie.filters)};
	enum error error = arena_put(arena, INDEX_NOTE, &note, sizeof(note));
	if (error == ERROR_OK)
		error = index_watch_save(index, arena);
	for (uint32_t i = 0; i < INDEX_PARTS && error == ERROR_OK; i++) {
		char name[ROOT_NAME_BYTES];
		index_part_name(name, i);
		error = index_part_save(&index->parts[i], arena, name);
	}
	return error;
}

void index_free(struct index *index)
{
	reader_await_deferred();
	for (uint32_t i = 0; i < INDEX_PARTS; i++)
		index_part_close(&index->parts[i]);
	free(index);
}

/* ---- changing ---- */

/* One word, so that a reader sees two counts that belong together. */
static uint32_t members_pack(struct index_members members)
{
	CHECK_LE(members.free, members.live);
	uint32_t live = members.live < UINT16_MAX ? members.live : UINT16_MAX;
	uint32_t free = members.free < UINT16_MAX ? members.free : UINT16_MAX;
	return free << 16 | live;
}

static struct index_part *slot_part(struct index_slot slot)
{
	return &slot.index->parts[slot.part];
}

static uint32_t find_exact(struct index_part *part, uint64_t hash, struct slice filter, bool create)
{
	uint32_t node = index_part_find(part, (uint32_t)hash, 0, filter);
	if (node == 0 && create) {
		node = index_part_node_new(part, (uint32_t)hash, 0, filter, false);
		if (node != 0)
			index_part_insert(part, node);
	}
	return node;
}

struct index_slot index_find(struct index *index, struct slice filter, bool create)
{
	struct index_slot slot = {.index = index};
	if (mqtt_filter_has_wildcard(filter)) {
		slot.part = INDEX_TRIE_PART;
		pthread_mutex_lock(&slot_part(slot)->lock);
		slot.node = index_trie_find(&index->trie, filter, create);
		return slot;
	}
	uint64_t hash = hash_slice(&index->key, filter);
	slot.part = index_exact_part(hash);
	pthread_mutex_lock(&slot_part(slot)->lock);
	slot.node = find_exact(slot_part(slot), hash, filter, create);
	return slot;
}

uint32_t index_name(struct index_slot slot)
{
	CHECK(slot.node != 0 && slot.node >> INDEX_NAME_REF_BITS == 0);
	return slot.part << INDEX_NAME_REF_BITS | slot.node;
}

struct index_slot index_enter(struct index *index, uint32_t name)
{
	struct index_slot slot = index_slot_of(index, name);
	pthread_mutex_lock(&slot_part(slot)->lock);
	return slot;
}

route_bits index_route(struct index_slot slot, uint16_t shard)
{
	CHECK_LT(shard, slot.index->shards);
	const struct index_part *part = slot_part(slot);
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	if (route_kind(routes) == ROUTE_MANY)
		return atomic_load(&index_many_of(part, routes)->routes[shard]);
	return route_kind(routes) != ROUTE_NONE && route_shard(routes) == shard ? routes : 0;
}

/* Sets the node's own word of routes, and counts the trie's filters. */
static void set_node_routes(struct index_slot slot, route_bits routes)
{
	struct index_node *node = index_node_at(slot_part(slot), slot.node);
	route_bits before = atomic_load(&node->routes);
	atomic_store_explicit(&node->routes, routes, memory_order_release);
	if (slot.part != INDEX_TRIE_PART || (before == 0) == (routes == 0))
		return;
	if (routes != 0) {
		atomic_fetch_add(&slot.index->trie.filters, 1);
		return;
	}
	uint32_t filters = atomic_fetch_sub(&slot.index->trie.filters, 1);
	CHECK_GT(filters, 0u);
}

struct index_many *index_make_many(struct index_slot slot)
{
	struct index_part *part = slot_part(slot);
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	if (route_kind(routes) == ROUTE_MANY)
		return index_many_of(part, routes);
	uint32_t ref = slab_take(&part->slab, index_many_bytes(slot.index));
	if (ref == 0)
		return NULL;
	struct index_many *many = slab_at(&part->slab, ref);
	memset(many, 0, index_many_bytes(slot.index));
	if (routes != 0)
		atomic_store(&many->routes[route_shard(routes)], routes);
	set_node_routes(slot, route_make(ROUTE_MANY, 0, 0, ref));
	return many;
}

/* Removes the route table, unless it has a route, a shared subscription or something of another node. */
static void drop_many_if_empty(struct index_slot slot)
{
	struct index_part *part = slot_part(slot);
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	struct index_many *many = index_many_of(part, routes);
	if (atomic_load(&many->group) != 0)
		return;
	for (uint16_t i = 0; i < slot.index->shards; i++) {
		if (atomic_load(&many->routes[i]) != 0)
			return;
	}
	if (many->reserved != 0 && !index_peers_drop_if_empty(slot.index, part, many))
		return;
	set_node_routes(slot, 0);
	index_part_retire(part, route_index(routes), index_many_bytes(slot.index));
}

static enum error set_route(struct index_slot slot, uint16_t shard, route_bits route)
{
	route_bits routes = atomic_load(&index_node_at(slot_part(slot), slot.node)->routes);
	if (route_kind(routes) != ROUTE_MANY && (routes == 0 || route_shard(routes) == shard)) {
		set_node_routes(slot, route);
		return ERROR_OK;
	}
	if (route_kind(routes) != ROUTE_MANY && route == 0)
		return ERROR_OK;
	struct index_many *many = index_make_many(slot);
	if (many == NULL)
		return ERROR_NO_MEMORY;
	atomic_store_explicit(&many->routes[shard], route, memory_order_release);
	if (route == 0)
		atomic_store_explicit(&index_many_members(slot.index, many)[shard], 0, memory_order_relaxed);
	return ERROR_OK; /* index_leave() removes an empty table */
}

enum error index_set_route(struct index_slot slot, uint16_t shard, route_bits route)
{
	CHECK_LT(shard, slot.index->shards);
	CHECK(route == 0 || (route_shard(route) == shard && route_kind(route) != ROUTE_MANY));
	if (__builtin_expect(slot.index->watcher.changed == NULL, 1))
		return set_route(slot, shard, route);
	bool before = index_has_clients(slot);
	enum error error = set_route(slot, shard, route);
	bool after = index_has_clients(slot);
	if (before != after)
		index_tell(slot, after);
	return error;
}

void index_remove_if_unused(struct index_slot slot)
{
	CHECK(slot.node != 0);
	struct index_part *part = slot_part(slot);
	struct index_node *node = index_node_at(part, slot.node);
	if (route_kind(atomic_load(&node->routes)) == ROUTE_MANY)
		drop_many_if_empty(slot);
	if (atomic_load(&node->routes) != 0)
		return;
	if (index_is_group(node)) {
		struct index_slot filter = {slot.index, slot.part, node->parent};
		index_group_prune(filter, slot.node);
		index_remove_if_unused(filter);
		return;
	}
	if (slot.part == INDEX_TRIE_PART) {
		index_trie_prune(&slot.index->trie, slot.node);
	} else {
		index_part_remove(part, slot.node);
		index_part_retire_node(part, slot.node);
	}
}

void index_leave(struct index_slot slot)
{
	if (slot.node != 0)
		index_remove_if_unused(slot);
	pthread_mutex_unlock(&slot_part(slot)->lock);
}

struct index_slot index_find_group(struct index *index, struct slice group, struct slice filter, bool create)
{
	struct index_slot slot = index_find(index, filter, create);
	if (slot.node == 0)
		return slot;
	uint32_t node = index_group_find(slot, group, create);
	if (node == 0)
		index_remove_if_unused(slot);
	slot.node = node;
	return slot;
}

void index_set_members(struct index_slot slot, uint16_t shard, struct index_members members)
{
	CHECK_LT(shard, slot.index->shards);
	const struct index_part *part = slot_part(slot);
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	if (route_kind(routes) == ROUTE_MANY)
		atomic_store_explicit(&index_many_members(slot.index, index_many_of(part, routes))[shard],
				      members_pack(members), memory_order_relaxed);
}

/* ---- reports ---- */

/* Writes the text so that it ends at out + *at, and moves *at to its beginning. */
static bool prepend(uint8_t *out, size_t *at, struct slice text)
{
	if (text.size > *at)
		return false;
	*at -= text.size;
	if (text.size != 0)
		memcpy(out + *at, text.data, text.size);
	return true;
}

/* The text of an exact filter, or the levels from a node up to the root of the trie. */
static bool prepend_filter(struct index_slot slot, uint8_t *out, size_t *at)
{
	const struct index_part *part = slot_part(slot);
	const struct index_node *node = index_node_at(part, slot.node);
	if (slot.part != INDEX_TRIE_PART)
		return prepend(out, at, index_node_text(node));
	bool fits = prepend(out, at, index_node_text(node));
	while (fits && node->parent != slot.index->trie.root) {
		node = index_node_at(part, node->parent);
		fits = prepend(out, at, slice_string("/")) && prepend(out, at, index_node_text(node));
	}
	return fits;
}

size_t index_slot_text(struct index_slot slot, uint8_t *out, size_t out_size)
{
	struct slice group = slice_of(NULL, 0);
	struct index_slot filter = slot;
	if (index_is_group(index_node_at(slot_part(slot), slot.node))) {
		const struct index_node *node = index_node_at(slot_part(slot), slot.node);
		group = index_node_text(node); /* its mark is the slash after "$share" */
		filter.node = node->parent;
	}
	size_t at = out_size;
	bool fits = prepend_filter(filter, out, &at);
	if (fits && group.size != 0)
		fits = prepend(out, &at, slice_string("/")) && prepend(out, &at, group) &&
		       prepend(out, &at, slice_string("$share"));
	if (!fits)
		return 0;
	memmove(out, out + at, out_size - at);
	return out_size - at;
}

size_t index_filter_text(struct index *index, uint32_t name, uint8_t *out, size_t out_size)
{
	struct index_slot slot = index_enter(index, name);
	size_t bytes = index_slot_text(slot, out, out_size);
	pthread_mutex_unlock(&slot_part(slot)->lock);
	return bytes;
}

/* Without the lock: the fields read here do not change as long as the node exists. */
uint32_t index_filter_bytes(const struct index *index, uint32_t name)
{
	CHECK_LT(name >> INDEX_NAME_REF_BITS, INDEX_PARTS);
	const struct index_part *part = &index->parts[name >> INDEX_NAME_REF_BITS];
	uint32_t at = name & ((1u << INDEX_NAME_REF_BITS) - 1);
	size_t bytes = 0;
	for (; at != 0 && (part != index->trie.part || at != index->trie.root); at = index_node_at(part, at)->parent) {
		const struct index_node *node = index_node_at(part, at);
		bytes += sizeof(*node) + (node->branch ? sizeof(struct index_links) : 0) + node->text_bytes;
	}
	return (uint32_t)bytes;
}

struct index_size index_size(struct index *index)
{
	struct index_size size = {.filters = atomic_load(&index->trie.filters)};
	for (uint32_t i = 0; i < INDEX_PARTS; i++) {
		struct index_part *part = &index->parts[i];
		pthread_mutex_lock(&part->lock);
		if (i != INDEX_TRIE_PART)
			size.filters += part->count;
		size.bytes += part->slab.used_bytes;
		pthread_mutex_unlock(&part->lock);
	}
	return size;
}
