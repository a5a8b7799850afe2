/* Which filters have subscribers on this node: told to a watcher. */
#include "base/check.h"
#include "memory/notes.h"
#include "mqtt/field/topic.h"
#include "topics/index/index.h"
#include "topics/index/index_part.h"

/* Of one call of index_tell_some(). */
#define BUCKETS_PER_CALL 256u

/* Only where the gateway is in a cluster, so that a program which finds it knows that what it finds was kept in order
 * for one: which routes lead to Roost's own clients alone. */
#define WATCH_NOTE "index watch"

_Static_assert(INDEX_WATCH_PARTS == INDEX_PARTS, "index_with_part() reaches every part");

enum error index_watch(struct index *index, const struct index_watcher *watcher, bool prefers_local,
		       struct arena *arena)
{
	uint32_t run = 0;
	if (arena_is_adopted(arena) && !arena_get_exact(arena, WATCH_NOTE, &run, sizeof(run)))
		return ERROR_NOT_FOUND;
	index->run = run + 1 != 0 ? run + 1 : 1;
	index->prefers_local = prefers_local;
	index->watcher = *watcher;
	return ERROR_OK;
}

void index_tell_no_more(struct index *index)
{
	for (uint32_t i = 0; i < INDEX_PARTS; i++) {
		pthread_mutex_lock(&index->parts[i].lock);
		index->parts[i].told_below = 0;
		pthread_mutex_unlock(&index->parts[i].lock);
	}
}

enum error index_watch_save(const struct index *index, const struct arena *arena)
{
	return index->run != 0 ? arena_put(arena, WATCH_NOTE, &index->run, sizeof(index->run)) : ERROR_OK;
}

bool index_is_watched(const struct index *index)
{
	return index->run != 0;
}

bool index_has_clients(struct index_slot slot)
{
	const struct index_part *part = &slot.index->parts[slot.part];
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	if (route_kind(routes) != ROUTE_MANY)
		return routes != 0 && (routes & ROUTE_OWN) == 0;
	const struct index_many *many = index_many_of(part, routes);
	for (uint16_t shard = 0; shard < slot.index->shards; shard++) {
		route_bits route = atomic_load(&many->routes[shard]);
		if (route != 0 && (route & ROUTE_OWN) == 0)
			return true;
	}
	return false;
}

/* Buckets are told of in the order of their hashes with the bits reversed, for so a bucket is one range, and remains
 * one when the table grows in the midst of it. */
static uint32_t reversed(uint32_t bits)
{
	bits = (bits & 0x55555555u) << 1 | (bits >> 1 & 0x55555555u);
	bits = (bits & 0x33333333u) << 2 | (bits >> 2 & 0x33333333u);
	bits = (bits & 0x0f0f0f0fu) << 4 | (bits >> 4 & 0x0f0f0f0fu);
	return __builtin_bswap32(bits);
}

/* Levels `+` and `#` of the trie are in no bucket. They are told of with the node that they hang on. */
static bool is_wildcard_level(const struct index_part *part, uint32_t node)
{
	const struct index_node *at = index_node_at(part, node);
	struct slice text = index_node_text(at);
	return at->parent != 0 && text.size == 1 && (text.data[0] == '+' || text.data[0] == '#');
}

void index_tell(struct index_slot slot, bool begins)
{
	const struct index_part *part = &slot.index->parts[slot.part];
	uint32_t node = slot.node;
	while (slot.part == INDEX_TRIE_PART && is_wildcard_level(part, node))
		node = index_node_at(part, node)->parent;
	if (reversed(index_node_at(part, node)->hash) < part->told_below)
		slot.index->watcher.changed(slot.index->watcher.context, slot, begins);
}

/* ---- telling of what is there ---- */

/* Visits a node, and in the trie the `+` and `#` below it and below those: no deeper than a topic has levels. Returns
 * the first for which `visit` is true, or 0. */
static uint32_t index_watch_visit_node(struct index_slot slot, bool (*visit)(struct index_slot slot))
{
	if (visit(slot))
		return slot.node;
	struct index_node *node = index_node_at(&slot.index->parts[slot.part], slot.node);
	if (slot.part != INDEX_TRIE_PART || index_is_group(node))
		return 0;
	struct index_links *links = index_node_links(node);
	uint32_t below[] = {atomic_load(&links->plus), atomic_load(&links->multi)};
	uint32_t found = 0;
	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]) && found == 0; i++) {
		slot.node = below[i];
		found = below[i] != 0 ? index_watch_visit_node(slot, visit) : 0;
	}
	return found;
}

/* The same for all nodes of a bucket; the trie's root, which is in none, counts as one of the first. */
static uint32_t visit_bucket(struct index *index, uint32_t number, uint32_t bucket,
			     bool (*visit)(struct index_slot slot))
{
	const struct index_part *part = &index->parts[number];
	const struct index_buckets *buckets = atomic_load(&part->buckets);
	struct index_slot slot = {.index = index, .part = number, .node = index->trie.root};
	uint32_t found = number == INDEX_TRIE_PART && bucket == 0 ? index_watch_visit_node(slot, visit) : 0;
	uint32_t at = atomic_load(&buckets->heads[bucket]);
	for (; at != 0 && found == 0; at = atomic_load(&index_node_at(part, at)->next[buckets->side])) {
		slot.node = at;
		found = index_watch_visit_node(slot, visit);
	}
	return found;
}

/* Whether the node holds something of other nodes from an earlier run. */
static bool is_stale(struct index_slot slot)
{
	const struct index_part *part = &slot.index->parts[slot.part];
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	if (route_kind(routes) != ROUTE_MANY)
		return false;
	const struct index_many *many = index_many_of(part, routes);
	return many->reserved != 0 && index_many_peers(slot.index, part, many) == NULL;
}

static bool tell_if_wanted(struct index_slot slot)
{
	if (index_has_clients(slot))
		slot.index->watcher.changed(slot.index->watcher.context, slot, true);
	return false;
}

static void tell_bucket(struct index *index, uint32_t number, uint32_t bucket)
{
	struct index_part *part = &index->parts[number];
	/* Each removes one, and may remove others of the bucket: hence a search anew. */
	for (uint32_t stale; (stale = visit_bucket(index, number, bucket, is_stale)) != 0;) {
		struct index_slot slot = {index, number, stale};
		index_peers_drop_if_empty(index, part,
					  index_many_of(part, atomic_load(&index_node_at(part, stale)->routes)));
		index_remove_if_unused(slot);
	}
	visit_bucket(index, number, bucket, tell_if_wanted);
}

bool index_tell_some(struct index *index)
{
	uint32_t number = 0;
	while (number < INDEX_PARTS && index->parts[number].told_below == INDEX_TOLD_ALL)
		number++;
	if (number == INDEX_PARTS)
		return false;
	struct index_part *part = &index->parts[number];
	pthread_mutex_lock(&part->lock);
	for (uint32_t i = 0; i < BUCKETS_PER_CALL && part->told_below < INDEX_TOLD_ALL; i++) {
		uint32_t mask = atomic_load(&part->buckets)->mask;
		tell_bucket(index, number, reversed((uint32_t)part->told_below) & mask);
		part->told_below += INDEX_TOLD_ALL / ((uint64_t)mask + 1);
	}
	pthread_mutex_unlock(&part->lock);
	return true;
}

/* ---- what a watcher asks ---- */

enum index_kind index_kind(struct index_slot slot)
{
	if (index_is_group(index_node_at(&slot.index->parts[slot.part], slot.node)))
		return INDEX_GROUP;
	return slot.part == INDEX_TRIE_PART ? INDEX_WILDCARD : INDEX_EXACT;
}

struct slice index_exact_text(struct index_slot slot)
{
	CHECK_NE(slot.part, INDEX_TRIE_PART);
	return index_node_text(index_node_at(&slot.index->parts[slot.part], slot.node));
}

void index_with_part(struct index *index, uint32_t part, void (*visit)(void *context), void *context)
{
	CHECK_LT(part, INDEX_PARTS);
	pthread_mutex_lock(&index->parts[part].lock);
	visit(context);
	pthread_mutex_unlock(&index->parts[part].lock);
}

uint32_t index_part_of_name(uint32_t name)
{
	return name >> INDEX_NAME_REF_BITS;
}

struct index_slot index_slot_of(struct index *index, uint32_t name)
{
	struct index_slot slot = {
		.index = index,
		.part = index_part_of_name(name),
		.node = name & ((1u << INDEX_NAME_REF_BITS) - 1),
	};
	CHECK(slot.part < INDEX_PARTS && slot.node != 0);
	return slot;
}
