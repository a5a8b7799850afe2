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

/* A node's routes when several shards have some, or when shared subscriptions hang on it. */
struct many {
	_Atomic uint32_t group; /* the first shared subscription's node; the next is in its links' `plus` */
	uint32_t reserved;
	_Atomic route_bits routes[1]; /* index->shards of them, then as many uint32_t: members, packed */
};

/* The name of a shared subscription's node begins with what no level of a filter has. */
#define GROUP_MARK '/'
#define GROUP_NAME_BYTES_MAX 65536u

static size_t many_bytes(const struct index *index)
{
	return offsetof(struct many, routes) + index->shards * (sizeof(route_bits) + sizeof(uint32_t));
}

/* Packed into one word so that a reader sees both counts of one moment. */
static uint32_t members_pack(struct index_members members)
{
	uint32_t live = members.live < UINT16_MAX ? members.live : UINT16_MAX;
	uint32_t free = members.free < UINT16_MAX ? members.free : UINT16_MAX;
	return free << 16 | live;
}

static struct index_members members_unpack(uint32_t packed)
{
	return (struct index_members){.live = packed & UINT16_MAX, .free = packed >> 16};
}

static _Atomic uint32_t *many_members(const struct index *index, struct many *many)
{
	return (_Atomic uint32_t *)(void *)&many->routes[index->shards];
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

enum error routes_set(struct routes *routes, route_bits route)
{
	routes->count = 0;
	return routes_add(routes, route);
}

struct collector {
	const struct index *index;
	struct routes *routes;
};

/* A shard's weight in the turns, where `of` is what all have together. */
static uint32_t weight_of(struct index_members members, struct index_members of, route_bits route)
{
	if (of.free != 0)
		return members.free;
	return of.live != 0 ? members.live : route != 0;
}

/* The shards take turns, each as often as it has members that are free; where none has, connected ones; where none has,
 * each that has members at all. */
static route_bits pick_shard(const struct index *index, struct many *many, uint32_t turn, bool live_only)
{
	const _Atomic uint32_t *packed = many_members(index, many);
	struct index_members of = {0};
	uint32_t shards = 0;
	for (uint16_t shard = 0; shard < index->shards; shard++) {
		struct index_members members =
			members_unpack(atomic_load_explicit(&packed[shard], memory_order_relaxed));
		of.live += members.live;
		of.free += members.free;
		shards += atomic_load_explicit(&many->routes[shard], memory_order_relaxed) != 0;
	}
	if (shards == 0 || (of.live == 0 && live_only))
		return 0;
	uint32_t round = of.free != 0 ? of.free : of.live;
	uint32_t left = turn % (round != 0 ? round : shards);
	route_bits any = 0;
	route_bits fit = 0; /* of a shard that may have a turn */
	for (uint16_t shard = 0; shard < index->shards; shard++) {
		route_bits route = atomic_load_explicit(&many->routes[shard], memory_order_acquire);
		uint32_t word = atomic_load_explicit(&packed[shard], memory_order_relaxed);
		uint32_t weight = weight_of(members_unpack(word), of, route);
		if (route != 0)
			any = route;
		if (route != 0 && weight != 0)
			fit = route;
		if (left < weight && fit != 0)
			return fit;
		left -= left < weight ? left : weight;
	}
	/* Members came and went since they were counted: the last one met rather than nobody. */
	return fit != 0 || live_only ? fit : any;
}

static uint32_t next_turn(struct routes *routes, uint32_t group)
{
	return routes->picks[group % ROUTES_PICKS]++;
}

static enum error collect_groups(const struct collector *collector, const struct index_part *part, uint32_t group)
{
	while (group != 0) {
		struct index_node *node = index_node_at(part, group);
		route_bits routes = atomic_load_explicit(&node->routes, memory_order_acquire);
		route_bits route = 0;
		if (route_kind(routes) == ROUTE_MANY) /* not so for a moment, as it comes and as it goes */
			route = pick_shard(collector->index, many_of(part, routes), next_turn(collector->routes, group),
					   false);
		enum error error = route != 0 ? routes_add(collector->routes, route) : ERROR_OK;
		if (error != ERROR_OK)
			return error;
		group = atomic_load_explicit(&index_node_links(node)->plus, memory_order_acquire);
	}
	return ERROR_OK;
}

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
	return collect_groups(collector, part, atomic_load_explicit(&many->group, memory_order_acquire));
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

/* A place for one route a shard and for shared subscriptions; what the node had moves there. */
static struct many *make_many(struct index_slot slot)
{
	struct index_part *part = slot_part(slot);
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	if (route_kind(routes) == ROUTE_MANY)
		return many_of(part, routes);
	uint32_t ref = slab_take(&part->slab, many_bytes(slot.index));
	if (ref == 0)
		return NULL;
	struct many *many = slab_at(&part->slab, ref);
	memset(many, 0, many_bytes(slot.index));
	if (routes != 0)
		atomic_store(&many->routes[route_shard(routes)], routes);
	replace_routes(slot, route_make(ROUTE_MANY, 0, 0, ref));
	return many;
}

/* Takes the place away when nothing is left in it. */
static void drop_many_if_empty(struct index_slot slot)
{
	struct index_part *part = slot_part(slot);
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	const struct many *many = many_of(part, routes);
	if (atomic_load(&many->group) != 0)
		return;
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
	if (route_kind(routes) != ROUTE_MANY && (routes == 0 || route_shard(routes) == shard)) {
		replace_routes(slot, route);
		return ERROR_OK;
	}
	if (route_kind(routes) != ROUTE_MANY && route == 0)
		return ERROR_OK;
	struct many *many = make_many(slot);
	if (many == NULL)
		return ERROR_NO_MEMORY;
	atomic_store_explicit(&many->routes[shard], route, memory_order_release);
	if (route == 0)
		atomic_store_explicit(&many_members(slot.index, many)[shard], 0, memory_order_relaxed);
	return ERROR_OK; /* index_leave() sees whether anything is left */
}

/* ---- shared subscriptions ---- */

static bool is_group(const struct index_node *node)
{
	struct slice text = index_node_text(node);
	return node->parent != 0 && text.size != 0 && text.data[0] == GROUP_MARK;
}

static uint32_t hash_group(const struct index *index, uint32_t filter, struct slice name)
{
	return (uint32_t)hash_slice(&index->key, name) ^ filter * 0x9E3779B1u;
}

static uint32_t add_group(struct index_slot filter, uint32_t hash, struct slice name)
{
	struct index_part *part = slot_part(filter);
	struct many *many = make_many(filter);
	uint32_t group = many != NULL ? index_part_node_new(part, hash, filter.node, name, true) : 0;
	if (group == 0)
		return 0;
	index_part_insert(part, group);
	atomic_store(&index_node_links(index_node_at(part, group))->plus, atomic_load(&many->group));
	atomic_store_explicit(&many->group, group, memory_order_release);
	/* It has its place for one route a shard from the start: there the weights are. */
	make_many((struct index_slot){filter.index, filter.part, group});
	return group;
}

static void remove_group(struct index_slot filter, uint32_t group)
{
	struct index_part *part = slot_part(filter);
	struct many *many = many_of(part, atomic_load(&index_node_at(part, filter.node)->routes));
	_Atomic uint32_t *link = &many->group;
	while (atomic_load(link) != group) {
		CHECK(atomic_load(link) != 0);
		link = &index_node_links(index_node_at(part, atomic_load(link)))->plus;
	}
	/* A reader that stands on the group still gets on from it: its own link stays. */
	atomic_store_explicit(link, atomic_load(&index_node_links(index_node_at(part, group))->plus),
			      memory_order_release);
	index_part_remove(part, group);
	index_part_retire_node(part, group);
}

/* A node without routes goes, and a filter's with its last shared subscription. */
static void tidy(struct index_slot slot)
{
	struct index_part *part = slot_part(slot);
	struct index_node *node = index_node_at(part, slot.node);
	if (route_kind(atomic_load(&node->routes)) == ROUTE_MANY)
		drop_many_if_empty(slot);
	if (atomic_load(&node->routes) != 0)
		return;
	if (is_group(node)) {
		struct index_slot filter = {slot.index, slot.part, node->parent};
		remove_group(filter, slot.node);
		tidy(filter);
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
		tidy(slot);
	pthread_mutex_unlock(&slot_part(slot)->lock);
}

struct index_slot index_find_group(struct index *index, struct slice group, struct slice filter, bool create)
{
	struct index_slot slot = index_find(index, filter, create);
	if (slot.node == 0)
		return slot;
	uint8_t text[GROUP_NAME_BYTES_MAX];
	text[0] = GROUP_MARK;
	memcpy(text + 1, group.data, group.size);
	struct slice name = slice_of(text, group.size + 1);
	uint32_t hash = hash_group(index, slot.node, name);
	uint32_t node = index_part_find(slot_part(slot), hash, slot.node, name);
	if (node == 0 && create)
		node = add_group(slot, hash, name);
	if (node == 0)
		tidy(slot);
	slot.node = node;
	return slot;
}

void index_set_members(struct index_slot slot, uint16_t shard, struct index_members members)
{
	const struct index_part *part = slot_part(slot);
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	if (route_kind(routes) == ROUTE_MANY)
		atomic_store_explicit(&many_members(slot.index, many_of(part, routes))[shard], members_pack(members),
				      memory_order_relaxed);
}

route_bits index_pick_live(struct index_slot slot, struct routes *turns)
{
	const struct index_part *part = slot_part(slot);
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	if (route_kind(routes) != ROUTE_MANY)
		return 0;
	return pick_shard(slot.index, many_of(part, routes), next_turn(turns, slot.node), true);
}

/* ---- telling about it ---- */

/* Puts the text in front of what stands at out + *at. */
static bool prepend(uint8_t *out, size_t *at, struct slice text)
{
	if (text.size > *at)
		return false;
	*at -= text.size;
	if (text.size != 0)
		memcpy(out + *at, text.data, text.size);
	return true;
}

/* The levels from a node up to the root of its trie, or the whole text of an exact filter. */
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

size_t index_filter_text(struct index *index, uint32_t name, uint8_t *out, size_t out_size)
{
	struct index_slot slot = index_enter(index, name);
	struct slice group = slice_of(NULL, 0);
	struct index_slot filter = slot;
	if (is_group(index_node_at(slot_part(slot), slot.node))) {
		const struct index_node *node = index_node_at(slot_part(slot), slot.node);
		group = index_node_text(node); /* with the mark, which is the slash behind "$share" */
		filter.node = node->parent;
	}
	size_t at = out_size;
	bool fits = prepend_filter(filter, out, &at);
	if (fits && group.size != 0)
		fits = prepend(out, &at, slice_string("/")) && prepend(out, &at, group) &&
		       prepend(out, &at, slice_string("$share"));
	pthread_mutex_unlock(&slot_part(slot)->lock);
	if (!fits)
		return 0;
	memmove(out, out + at, out_size - at);
	return out_size - at;
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
