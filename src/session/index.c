#include "session/index.h"

#include "base/check.h"
#include "mqtt/topic.h"
#include "session/index_part.h"

#include <stdlib.h>

struct index {
	struct hash_key key;
	uint16_t shards;
	struct index_trie trie;
	struct index_part parts[INDEX_PARTS];
};

/* A node's routes when several shards have some. */
struct many {
	_Atomic route_bits routes[1]; /* index->shards of them */
};

static size_t many_bytes(const struct index *index)
{
	return index->shards * sizeof(route_bits);
}

static struct many *many_of(const struct index_part *part, route_bits routes)
{
	return slab_at(&part->slab, route_index(routes));
}

struct index *index_new(uint16_t shards, const struct hash_key *key)
{
	struct index *index = aligned_alloc(64, sizeof(*index));
	if (index == NULL)
		return NULL;
	memset(index, 0, sizeof(*index));
	index->key = *key;
	index->shards = shards;
	for (uint32_t i = 0; i < INDEX_PARTS; i++) {
		if (index_part_open(&index->parts[i]) != ERROR_OK)
			return NULL; /* the program ends now, and what was made ends with it */
	}
	struct index_part *part = &index->parts[INDEX_TRIE_PART];
	index->trie.part = part;
	index->trie.key = &index->key;
	index->trie.root = index_part_node_new(part, 0, 0, slice_of("", 0), true);
	CHECK(index->trie.root != 0);
	return index;
}

void index_free(struct index *index)
{
	reader_await_deferred();
	for (uint32_t i = 0; i < INDEX_PARTS; i++)
		index_part_close(&index->parts[i]);
	free(index);
}

/* ---- matching: readers ---- */

void routes_fini(struct routes *routes)
{
	free(routes->items);
	*routes = (struct routes){0};
}

static enum error routes_add(struct routes *routes, route_bits route)
{
	if (routes->count == routes->capacity) {
		uint32_t capacity = routes->capacity == 0 ? 64 : routes->capacity * 2;
		route_bits *grown = realloc(routes->items, capacity * sizeof(*grown));
		if (grown == NULL)
			return ERROR_NO_MEMORY;
		routes->items = grown;
		routes->capacity = capacity;
	}
	routes->items[routes->count++] = route;
	return ERROR_OK;
}

struct collector {
	const struct index *index;
	struct routes *routes;
};

static enum error collect(void *context, const struct index_part *part, uint32_t node)
{
	const struct collector *collector = context;
	route_bits routes = atomic_load_explicit(&index_node_at(part, node)->routes, memory_order_acquire);
	if (route_kind(routes) == ROUTE_NONE)
		return ERROR_OK;
	if (route_kind(routes) != ROUTE_MANY)
		return routes_add(collector->routes, routes);
	const struct many *many = many_of(part, routes);
	for (uint16_t shard = 0; shard < collector->index->shards; shard++) {
		route_bits route = atomic_load_explicit(&many->routes[shard], memory_order_acquire);
		enum error error = route != 0 ? routes_add(collector->routes, route) : ERROR_OK;
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

static uint32_t part_of(uint64_t hash)
{
	return (uint32_t)(hash >> 60);
}

enum error index_match(const struct index *index, struct slice topic, struct routes *routes)
{
	routes->count = 0;
	struct collector collector = {index, routes};
	uint64_t hash = hash_slice(&index->key, topic);
	const struct index_part *part = &index->parts[part_of(hash)];
	uint32_t node = index_part_find(part, (uint32_t)hash, 0, topic);
	enum error error = node != 0 ? collect(&collector, part, node) : ERROR_OK;
	if (error == ERROR_OK)
		error = index_trie_match(&index->trie, topic, collect, &collector);
	return error;
}

/* ---- changing: writers ---- */

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
	slot.part = part_of(hash);
	pthread_mutex_lock(&slot_part(slot)->lock);
	slot.node = find_exact(slot_part(slot), hash, filter, create);
	return slot;
}

uint32_t index_name(struct index_slot slot)
{
	return slot.part << INDEX_NAME_REF_BITS | slot.node;
}

struct index_slot index_enter(struct index *index, uint32_t name)
{
	struct index_slot slot = {
		.index = index,
		.part = name >> INDEX_NAME_REF_BITS,
		.node = name & ((1u << INDEX_NAME_REF_BITS) - 1),
	};
	CHECK(slot.part < INDEX_PARTS);
	pthread_mutex_lock(&slot_part(slot)->lock);
	return slot;
}

void index_leave(struct index_slot slot)
{
	struct index_part *part = slot_part(slot);
	if (slot.node != 0 && atomic_load(&index_node_at(part, slot.node)->routes) == 0) {
		if (slot.part == INDEX_TRIE_PART) {
			index_trie_prune(&slot.index->trie, slot.node);
		} else {
			index_part_remove(part, slot.node);
			index_part_retire_node(part, slot.node);
		}
	}
	pthread_mutex_unlock(&part->lock);
}

route_bits index_route(struct index_slot slot, uint16_t shard)
{
	const struct index_part *part = slot_part(slot);
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	if (route_kind(routes) == ROUTE_MANY)
		return atomic_load(&many_of(part, routes)->routes[shard]);
	return route_kind(routes) != ROUTE_NONE && route_shard(routes) == shard ? routes : 0;
}

/* The node's routes, as a whole; keeps count of the filters in the trie. */
static void replace_routes(struct index_slot slot, route_bits routes)
{
	struct index_node *node = index_node_at(slot_part(slot), slot.node);
	route_bits before = atomic_load(&node->routes);
	atomic_store_explicit(&node->routes, routes, memory_order_release);
	if (slot.part != INDEX_TRIE_PART || (before == 0) == (routes == 0))
		return;
	if (routes != 0)
		atomic_fetch_add(&slot.index->trie.filters, 1);
	else
		atomic_fetch_sub(&slot.index->trie.filters, 1);
}

static enum error spread(struct index_slot slot, route_bits first, route_bits second)
{
	struct index_part *part = slot_part(slot);
	uint32_t ref = slab_take(&part->slab, many_bytes(slot.index));
	if (ref == 0)
		return ERROR_NO_MEMORY;
	struct many *many = slab_at(&part->slab, ref);
	memset(many, 0, many_bytes(slot.index));
	atomic_store(&many->routes[route_shard(first)], first);
	atomic_store(&many->routes[route_shard(second)], second);
	replace_routes(slot, route_make(ROUTE_MANY, 0, 0, ref));
	return ERROR_OK;
}

static void set_one_of_many(struct index_slot slot, route_bits routes, uint16_t shard, route_bits route)
{
	struct index_part *part = slot_part(slot);
	struct many *many = many_of(part, routes);
	atomic_store_explicit(&many->routes[shard], route, memory_order_release);
	for (uint16_t i = 0; i < slot.index->shards; i++) {
		if (atomic_load(&many->routes[i]) != 0)
			return;
	}
	replace_routes(slot, 0);
	index_part_retire(part, route_index(routes), many_bytes(slot.index));
}

enum error index_set_route(struct index_slot slot, uint16_t shard, route_bits route)
{
	route_bits routes = atomic_load(&index_node_at(slot_part(slot), slot.node)->routes);
	if (route_kind(routes) == ROUTE_MANY) {
		set_one_of_many(slot, routes, shard, route);
	} else if (routes == 0 || route_shard(routes) == shard) {
		replace_routes(slot, route);
	} else if (route != 0) {
		return spread(slot, routes, route);
	}
	return ERROR_OK;
}

struct index_size index_size(struct index *index)
{
	struct index_size size = {.filters = atomic_load(&index->trie.filters)};
	for (uint32_t i = 0; i < INDEX_PARTS; i++) {
		struct index_part *part = &index->parts[i];
		pthread_mutex_lock(&part->lock);
		if (i != INDEX_TRIE_PART)
			size.filters += part->count;
		size.bytes += part->slab.used_bytes + (atomic_load(&part->buckets)->mask + 1) * sizeof(uint32_t);
		pthread_mutex_unlock(&part->lock);
	}
	return size;
}
