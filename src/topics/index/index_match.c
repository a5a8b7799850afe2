/* A match, as a reader: the exact filter, then the trie. */
#include "base/check.h"
#include "topics/index/index.h"
#include "topics/index/index_part.h"

#include <stdlib.h>

/* To pick a shard of a shared subscription is one unit of work, and one more for each 16 shards. */
#define SHARDS_PER_UNIT 16
_Static_assert(INDEX_SHARDS_MAX / SHARDS_PER_UNIT <= INDEX_UNITS_MIN,
	       "one pick overdraws a slice by less than a slice");

void routes_fini(struct routes *routes)
{
	free(routes->items);
	*routes = (struct routes){0};
}

enum error routes_add(struct routes *routes, route_bits route)
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
	routes->units_left--;
	return ERROR_OK;
}

enum error routes_set(struct routes *routes, route_bits route)
{
	CHECK(route_kind(route) == ROUTE_ONE || route_kind(route) == ROUTE_LIST);
	routes->count = 0;
	return routes_add(routes, route);
}

/* ---- shared subscriptions of one filter ---- */

/* The right children that are visited after everything below their left siblings: at most one a depth. */
struct group_walk {
	uint32_t pending_count;
	struct {
		uint32_t node;
		uint32_t depth;
	} pending[INDEX_GROUP_DEPTH_MAX];
};

static uint32_t group_child(const struct index_part *part, uint32_t node, bool right)
{
	struct index_links *links = index_node_links(index_node_at(part, node));
	return atomic_load_explicit(right ? &links->multi : &links->plus, memory_order_acquire);
}

static void push_pending_group(struct group_walk *walk, const struct index_part *part, uint32_t node, uint32_t depth)
{
	uint32_t right = group_child(part, node, true);
	if (right == 0)
		return;
	CHECK_LT(walk->pending_count, INDEX_GROUP_DEPTH_MAX);
	walk->pending[walk->pending_count].node = right;
	walk->pending[walk->pending_count++].depth = depth + 1;
}

/* The next node of the walk: the left child, or the last pending one. 0: the walk is over. */
static uint32_t next_group(struct group_walk *walk, const struct index_part *part, uint32_t node, uint32_t *depth)
{
	uint32_t next = 0;
	if (node != 0) {
		push_pending_group(walk, part, node, *depth);
		next = group_child(part, node, false);
		++*depth;
	}
	if (next == 0 && walk->pending_count != 0) {
		next = walk->pending[--walk->pending_count].node;
		*depth = walk->pending[walk->pending_count].depth;
	}
	return next;
}

/* Walks down to the place again, and finds what is pending on the way. 0: there is no node any more. */
static uint32_t retrace_groups(struct group_walk *walk, const struct index_part *part, uint32_t node,
			       const struct index_place *place)
{
	CHECK_LT(place->group_depth, INDEX_GROUP_DEPTH_MAX);
	for (uint32_t depth = 0; node != 0 && depth < place->group_depth; depth++) {
		bool right = index_group_bit(place->group, depth);
		if (!right)
			push_pending_group(walk, part, node, depth);
		node = group_child(part, node, right);
	}
	return node;
}

static enum error collect_group(const struct index_slice *slice, const struct index_part *part, uint32_t group)
{
	route_bits routes = atomic_load_explicit(&index_node_at(part, group)->routes, memory_order_acquire);
	slice->routes->units_left -= 1 + slice->index->shards / SHARDS_PER_UNIT;
	if (route_kind(routes) != ROUTE_MANY) /* it has ended and has children, or is just being made */
		return ERROR_OK;
	if (slice->routes->scope == ROUTES_ARRIVED)
		return ERROR_OK;
	struct index_slot slot = {(struct index *)slice->index, (uint32_t)(part - slice->index->parts), group};
	route_bits route = index_pick_member(slot, slice->routes, INDEX_PICK_ANY);
	return route != 0 ? routes_add(slice->routes, route) : ERROR_OK;
}

static enum error walk_groups(const struct index_slice *slice, const struct index_part *part, struct group_walk *walk,
			      uint32_t node, uint32_t depth)
{
	if (node == 0)
		node = next_group(walk, part, 0, &depth);
	for (; node != 0; node = next_group(walk, part, node, &depth)) {
		if (slice->routes->units_left <= 0) {
			slice->place->group = index_node_at(part, node)->hash;
			slice->place->group_depth = (uint8_t)depth;
			return ERROR_MORE;
		}
		enum error error = collect_group(slice, part, node);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

/* The root of the tree of the node's shared subscriptions; 0: it has none. */
static uint32_t group_root(const struct index_part *part, uint32_t node)
{
	route_bits routes = atomic_load_explicit(&index_node_at(part, node)->routes, memory_order_acquire);
	if (route_kind(routes) != ROUTE_MANY)
		return 0;
	return atomic_load_explicit(&index_many_of(part, routes)->group, memory_order_acquire);
}

enum error index_collect_groups(const struct index_slice *slice, const struct index_part *part, uint32_t node)
{
	struct group_walk walk;
	walk.pending_count = 0;
	uint32_t group = retrace_groups(&walk, part, group_root(part, node), slice->place);
	return walk_groups(slice, part, &walk, group, slice->place->group_depth);
}

/* ---- a whole match ---- */

/* Adds a shard's route, unless that leads to none but Roost's own clients, which are told of this node's messages. */
static enum error collect_route(const struct index_slice *slice, route_bits route)
{
	if ((route & ROUTE_OWN) != 0 && slice->routes->scope == ROUTES_ARRIVED)
		return ERROR_OK;
	return routes_add(slice->routes, route);
}

static enum error collect_shards(const struct index_slice *slice, const struct index_part *part,
				 const struct index_many *many)
{
	for (uint16_t shard = 0; shard < slice->index->shards; shard++) {
		route_bits route = atomic_load_explicit(&many->routes[shard], memory_order_acquire);
		enum error error = route != 0 ? collect_route(slice, route) : ERROR_OK;
		if (error != ERROR_OK)
			return error;
	}
	const struct index_peers *peers = index_many_peers(slice->index, part, many);
	if (peers != NULL && slice->routes->scope == ROUTES_ALL)
		slice->routes->peers |= atomic_load_explicit(&peers->wanted, memory_order_relaxed);
	return ERROR_OK;
}

enum error index_collect(const struct index_slice *slice, const struct index_part *part, uint32_t node)
{
	route_bits routes = atomic_load_explicit(&index_node_at(part, node)->routes, memory_order_acquire);
	if (route_kind(routes) == ROUTE_NONE)
		return ERROR_OK;
	if (route_kind(routes) != ROUTE_MANY)
		return collect_route(slice, routes);
	const struct index_many *many = index_many_of(part, routes);
	enum error error = collect_shards(slice, part, many);
	uint32_t group = atomic_load_explicit(&many->group, memory_order_acquire);
	if (error != ERROR_OK || group == 0)
		return error;
	struct group_walk walk;
	walk.pending_count = 0;
	return walk_groups(slice, part, &walk, group, 0);
}

static enum error match_exact(const struct index_slice *slice, struct slice topic)
{
	uint64_t hash = hash_slice(&slice->index->key, topic);
	const struct index_part *part = &slice->index->parts[index_exact_part(hash)];
	uint32_t node = index_part_find(part, (uint32_t)hash, 0, topic);
	if (node == 0)
		return ERROR_OK;
	enum error error = slice->place->stage == INDEX_BEGIN ? index_collect(slice, part, node)
							      : index_collect_groups(slice, part, node);
	if (error == ERROR_MORE)
		slice->place->stage = INDEX_EXACT_GROUPS;
	return error;
}

enum error index_match(const struct index *index, struct slice topic, struct index_place *place, struct routes *routes)
{
	CHECK_LE(place->stage, INDEX_END_GROUPS);
	struct index_place next = *place;
	struct index_slice slice = {index, routes, &next};
	enum error error = ERROR_OK;
	if (next.stage <= INDEX_EXACT_GROUPS) {
		error = match_exact(&slice, topic);
		if (error == ERROR_OK)
			next = (struct index_place){.stage = INDEX_NODE};
	}
	if (error == ERROR_OK && atomic_load_explicit(&index->trie.filters, memory_order_relaxed) != 0)
		error = index_trie_match(&slice, topic);
	if (error == ERROR_MORE)
		*place = next;
	return error;
}
