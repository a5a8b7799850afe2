/* A match, by a reader: the exact filter, then the trie. */
#include "topics/index.h"
#include "topics/index_part.h"

#include <stdlib.h>

/* So many shards are looked at for one unit of work, to pick one of a shared subscription's. */
#define SHARDS_PER_UNIT 16

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
	routes->units_left--;
	return ERROR_OK;
}

enum error routes_set(struct routes *routes, route_bits route)
{
	routes->count = 0;
	return routes_add(routes, route);
}

static struct index_members members_unpack(uint32_t packed)
{
	return (struct index_members){.live = packed & UINT16_MAX, .free = packed >> 16};
}

/* A shard's weight in the turns, where `of` is what all have together. */
static uint32_t weight_of(struct index_members members, struct index_members of, route_bits route)
{
	if (of.free != 0)
		return members.free;
	return of.live != 0 ? members.live : route != 0;
}

/* The shards take turns, each as often as it has members that are free; where none has, connected ones; where none has,
 * each that has members at all. */
static route_bits pick_shard(const struct index *index, struct index_many *many, uint32_t turn, bool live_only)
{
	const _Atomic uint32_t *packed = index_many_members(index, many);
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

static uint32_t match_next_turn(struct routes *routes, uint32_t group)
{
	return routes->picks[group % ROUTES_PICKS]++;
}

/* ---- shared subscriptions of one filter ---- */

/* Nodes whose turn comes when what is below the others is done. */
struct group_walk {
	uint32_t pending_count;
	struct {
		uint32_t node;
		uint32_t depth;
	} pending[INDEX_GROUP_DEPTH_MAX];
};

static uint32_t child_of(const struct index_part *part, uint32_t node, bool right)
{
	struct index_links *links = index_node_links(index_node_at(part, node));
	return atomic_load_explicit(right ? &links->multi : &links->plus, memory_order_acquire);
}

static void match_put_off(struct group_walk *walk, const struct index_part *part, uint32_t node, uint32_t depth)
{
	uint32_t right = child_of(part, node, true);
	if (right == 0)
		return;
	walk->pending[walk->pending_count].node = right;
	walk->pending[walk->pending_count++].depth = depth + 1;
}

/* One step down, to the left where the right one can wait; otherwise to what waits. 0: there is nothing left. */
static uint32_t next_group(struct group_walk *walk, const struct index_part *part, uint32_t node, uint32_t *depth)
{
	uint32_t next = 0;
	if (node != 0) {
		match_put_off(walk, part, node, *depth);
		next = child_of(part, node, false);
		++*depth;
	}
	if (next == 0 && walk->pending_count != 0) {
		next = walk->pending[--walk->pending_count].node;
		*depth = walk->pending[walk->pending_count].depth;
	}
	return next;
}

/* The way down to a place, again. 0: nothing is there any more. */
static uint32_t retrace_groups(struct group_walk *walk, const struct index_part *part, uint32_t node,
			       const struct index_place *place)
{
	for (uint32_t depth = 0; node != 0 && depth < place->group_depth; depth++) {
		bool right = index_group_bit(place->group, depth);
		if (!right)
			match_put_off(walk, part, node, depth);
		node = child_of(part, node, right);
	}
	return node;
}

static enum error collect_group(const struct index_slice *slice, const struct index_part *part, uint32_t group)
{
	route_bits routes = atomic_load_explicit(&index_node_at(part, group)->routes, memory_order_acquire);
	slice->routes->units_left -= 1 + slice->index->shards / SHARDS_PER_UNIT;
	if (route_kind(routes) != ROUTE_MANY) /* it has ended, and others hang on it; or it is coming */
		return ERROR_OK;
	route_bits route =
		pick_shard(slice->index, index_many_of(part, routes), match_next_turn(slice->routes, group), false);
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

/* The top of the tree of the node's shared subscriptions, 0: it has none. */
static uint32_t groups_of(const struct index_part *part, uint32_t node)
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
	uint32_t group = retrace_groups(&walk, part, groups_of(part, node), slice->place);
	return walk_groups(slice, part, &walk, group, slice->place->group_depth);
}

/* ---- all of it ---- */

static enum error collect_shards(const struct index_slice *slice, const struct index_many *many)
{
	for (uint16_t shard = 0; shard < slice->index->shards; shard++) {
		route_bits route = atomic_load_explicit(&many->routes[shard], memory_order_acquire);
		enum error error = route != 0 ? routes_add(slice->routes, route) : ERROR_OK;
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

enum error index_collect(const struct index_slice *slice, const struct index_part *part, uint32_t node)
{
	route_bits routes = atomic_load_explicit(&index_node_at(part, node)->routes, memory_order_acquire);
	if (route_kind(routes) == ROUTE_NONE)
		return ERROR_OK;
	if (route_kind(routes) != ROUTE_MANY)
		return routes_add(slice->routes, routes);
	const struct index_many *many = index_many_of(part, routes);
	enum error error = collect_shards(slice, many);
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

/* ---- by a writer: the same choice among connected members ---- */

route_bits index_pick_live(struct index_slot slot, struct routes *turns)
{
	const struct index_part *part = &slot.index->parts[slot.part];
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	if (route_kind(routes) != ROUTE_MANY)
		return 0;
	return pick_shard(slot.index, index_many_of(part, routes), match_next_turn(turns, slot.node), true);
}
