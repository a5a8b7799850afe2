/* Shared subscriptions in the index [4.8.2]: which shard, or which other node, gets a message. */
#include "base/check.h"
#include "topics/index/index.h"
#include "topics/index/index_part.h"

struct pick {
	const struct index *index;
	struct index_many *many;
	const struct index_peers *peers; /* NULL: no other node has members */
	/* Those among whom it is chosen: numbers of shards, behind them of other nodes. */
	uint32_t first;
	uint32_t end;
};

/* One that may be picked. */
struct candidate {
	route_bits route; /* 0: it has no members */
	struct index_members members;
};

/* What a round of turns is shared by. */
struct totals {
	struct index_members members;
	uint32_t routes;
};

static struct index_members members_unpack(uint32_t packed)
{
	return (struct index_members){.live = packed & UINT16_MAX, .free = packed >> 16};
}

static struct candidate candidate_at(const struct pick *pick, uint32_t number)
{
	uint32_t shards = pick->index->shards;
	if (number < shards) {
		uint32_t packed = atomic_load_explicit(&index_many_members(pick->index, pick->many)[number],
						       memory_order_relaxed);
		return (struct candidate){
			.route = atomic_load_explicit(&pick->many->routes[number], memory_order_acquire),
			.members = members_unpack(packed),
		};
	}
	const struct index_peer_group *group = &pick->peers->groups[number - shards];
	return (struct candidate){
		.route = atomic_load_explicit(&group->route, memory_order_acquire),
		.members = members_unpack((uint32_t)atomic_load_explicit(&group->members, memory_order_relaxed)),
	};
}

static struct totals totals_of(const struct pick *pick, uint32_t first, uint32_t end)
{
	struct totals totals = {.routes = 0};
	for (uint32_t number = first; number < end; number++) {
		struct candidate candidate = candidate_at(pick, number);
		totals.members.live += candidate.members.live;
		totals.members.free += candidate.members.free;
		totals.routes += candidate.route != 0;
	}
	return totals;
}

/* This node's members before those of others, if they can take as much: free ones, then connected ones, then any. */
static bool stays_here(const struct totals *here, const struct totals *there)
{
	if (here->members.free != 0 || there->members.free != 0)
		return here->members.free != 0;
	if (here->members.live != 0 || there->members.live != 0)
		return here->members.live != 0;
	return here->routes != 0;
}

/* Sets among whom it is chosen, and returns their sums. */
static struct totals choose_side(struct pick *pick, bool here_only)
{
	uint32_t shards = pick->index->shards;
	pick->first = 0;
	pick->end = shards;
	struct totals here = totals_of(pick, 0, shards);
	if (pick->peers == NULL || here_only)
		return here;
	uint32_t all = shards + pick->peers->group_slots;
	struct totals there = totals_of(pick, shards, all);
	if (pick->index->prefers_local && stays_here(&here, &there))
		return here;
	pick->end = all;
	if (pick->index->prefers_local) {
		pick->first = shards;
		return there;
	}
	here.members.live += there.members.live;
	here.members.free += there.members.free;
	here.routes += there.routes;
	return here;
}

/* A candidate's weight in the turns; total: the members of all. */
static uint32_t weight_of(struct candidate candidate, struct index_members total)
{
	if (total.free != 0)
		return candidate.members.free;
	return total.live != 0 ? candidate.members.live : candidate.route != 0;
}

/* Shards take turns, weighted by their free members. Where no shard has any, connected members count. Where no shard
 * has those either, each shard with members counts once. So it is with other nodes. */
static route_bits pick_in_turn(const struct pick *pick, const struct totals *totals, uint32_t turn, bool live_only)
{
	struct index_members total = totals->members;
	if (totals->routes == 0 || (total.live == 0 && live_only))
		return 0;
	uint32_t round = total.free != 0 ? total.free : total.live;
	uint32_t left = turn % (round != 0 ? round : totals->routes);
	route_bits any = 0;
	route_bits fit = 0; /* the last one seen with a weight */
	for (uint32_t number = pick->first; number < pick->end; number++) {
		struct candidate candidate = candidate_at(pick, number);
		uint32_t weight = weight_of(candidate, total);
		if (candidate.route != 0)
			any = candidate.route;
		if (candidate.route != 0 && weight != 0)
			fit = candidate.route;
		if (left < weight && fit != 0)
			return fit;
		left -= left < weight ? left : weight;
	}
	/* Members came or went since the count above. Better the last one seen than none. */
	return fit != 0 || live_only ? fit : any;
}

static uint32_t next_turn(struct routes *turns, uint32_t group)
{
	return turns->picks[group % ROUTES_PICKS]++;
}

route_bits index_pick_member(struct index_slot slot, struct routes *turns, enum index_pick_kind kind)
{
	const struct index_part *part = &slot.index->parts[slot.part];
	route_bits routes = atomic_load_explicit(&index_node_at(part, slot.node)->routes, memory_order_acquire);
	if (route_kind(routes) != ROUTE_MANY)
		return 0;
	struct index_many *many = index_many_of(part, routes);
	struct pick pick = {
		.index = slot.index,
		.many = many,
		.peers = index_many_peers(slot.index, part, many),
	};
	struct totals totals = choose_side(&pick, kind == INDEX_PICK_HERE || turns->scope != ROUTES_ALL);
	return pick_in_turn(&pick, &totals, next_turn(turns, slot.node), kind == INDEX_PICK_LIVE);
}

route_bits index_pick_live(struct index_slot slot, struct routes *turns)
{
	return index_pick_member(slot, turns, INDEX_PICK_LIVE);
}

route_bits index_pick(struct index_slot slot, struct routes *turns)
{
	return index_pick_member(slot, turns, INDEX_PICK_ANY);
}

route_bits index_pick_here(struct index_slot slot, struct routes *turns)
{
	return index_pick_member(slot, turns, INDEX_PICK_HERE);
}

struct index_members index_local_members(struct index_slot slot)
{
	const struct index_part *part = &slot.index->parts[slot.part];
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	if (route_kind(routes) != ROUTE_MANY)
		return (struct index_members){0};
	struct pick pick = {.index = slot.index, .many = index_many_of(part, routes)};
	return totals_of(&pick, 0, slot.index->shards).members;
}
