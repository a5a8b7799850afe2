/* What the index holds of other nodes of the cluster. The writer's side. */
#include "base/check.h"
#include "topics/index/index.h"
#include "topics/index/index_part.h"

/* Entries for shared subscriptions are made for so many more nodes at once. */
#define GROUP_SLOTS_STEP 4u

static size_t peers_bytes(uint32_t group_slots)
{
	return sizeof(struct index_peers) + group_slots * sizeof(struct index_peer_group);
}

static struct index_part *index_peers_part_of(struct index_slot slot)
{
	return &slot.index->parts[slot.part];
}

static void set_peers(struct index_part *part, struct index_many *many, uint32_t ref)
{
	uint32_t before = many->reserved;
	__atomic_store_n(&many->reserved, ref, __ATOMIC_RELEASE);
	if (before == 0)
		return;
	const struct index_peers *peers = slab_at_unlocked(&part->slab, before);
	index_part_retire(part, before, peers_bytes(peers->group_slots));
}

bool index_peers_drop_if_empty(const struct index *index, struct index_part *part, struct index_many *many)
{
	const struct index_peers *peers = index_many_peers(index, part, many);
	if (peers != NULL && atomic_load(&peers->wanted) != 0)
		return false;
	for (uint32_t i = 0; peers != NULL && i < peers->group_slots; i++) {
		if (atomic_load(&peers->groups[i].route) != 0)
			return false;
	}
	set_peers(part, many, 0);
	return true;
}

/* Those of the locked node, or NULL. */
static struct index_peers *find_peers(struct index_slot slot, struct index_many **many)
{
	const struct index_part *part = index_peers_part_of(slot);
	route_bits routes = atomic_load(&index_node_at(part, slot.node)->routes);
	*many = route_kind(routes) == ROUTE_MANY ? index_many_of(part, routes) : NULL;
	return *many != NULL ? index_many_peers(slot.index, part, *many) : NULL;
}

/* The same, made if there are none, with room for that many slots in a shared subscription. NULL: no memory. */
static struct index_peers *need_peers(struct index_slot slot, uint32_t group_slots)
{
	struct index_part *part = index_peers_part_of(slot);
	struct index_many *many;
	struct index_peers *before = find_peers(slot, &many);
	if (before != NULL && before->group_slots >= group_slots)
		return before;
	if (many == NULL)
		many = index_make_many(slot);
	group_slots = (group_slots + GROUP_SLOTS_STEP - 1) / GROUP_SLOTS_STEP * GROUP_SLOTS_STEP;
	uint32_t ref = many != NULL ? slab_take_zeroed(&part->slab, peers_bytes(group_slots)) : 0;
	if (ref == 0)
		return NULL;
	struct index_peers *peers = slab_at(&part->slab, ref);
	peers->run = slot.index->run;
	peers->group_slots = group_slots;
	if (before != NULL) {
		atomic_init(&peers->wanted, atomic_load(&before->wanted));
		for (uint32_t i = 0; i < before->group_slots; i++) {
			atomic_init(&peers->groups[i].route, atomic_load(&before->groups[i].route));
			atomic_init(&peers->groups[i].members, atomic_load(&before->groups[i].members));
		}
	}
	set_peers(part, many, ref);
	return peers;
}

enum error index_set_peer(struct index_slot slot, uint8_t peer, bool wants)
{
	CHECK_LT(peer, INDEX_PEERS_MAX);
	CHECK_NE(slot.index->run, 0u);
	struct index_many *many;
	struct index_peers *peers = wants ? need_peers(slot, 0) : find_peers(slot, &many);
	if (peers == NULL)
		return wants ? ERROR_NO_MEMORY : ERROR_OK;
	uint64_t bit = (uint64_t)1 << peer;
	uint64_t wanted = atomic_load(&peers->wanted);
	atomic_store(&peers->wanted, wants ? wanted | bit : wanted & ~bit);
	return ERROR_OK;
}

/* As those of shards. */
static uint64_t members_word(struct index_members members)
{
	uint32_t live = members.live < UINT16_MAX ? members.live : UINT16_MAX;
	uint32_t free = members.free < live ? members.free : live;
	return (uint64_t)free << 16 | live;
}

enum error index_set_peer_group(struct index_slot slot, uint8_t peer, route_bits route, struct index_members members)
{
	CHECK_LT(peer, INDEX_PEERS_MAX);
	CHECK_NE(slot.index->run, 0u);
	CHECK(route == 0 || (route_kind(route) == ROUTE_ONE && route_shard(route) == slot.index->shards + peer));
	struct index_many *many;
	struct index_peers *peers = route != 0 ? need_peers(slot, peer + 1u) : find_peers(slot, &many);
	if (peers == NULL)
		return route != 0 ? ERROR_NO_MEMORY : ERROR_OK;
	if (peer >= peers->group_slots)
		return ERROR_OK;
	atomic_store(&peers->groups[peer].members, route != 0 ? members_word(members) : 0);
	atomic_store_explicit(&peers->groups[peer].route, route, memory_order_release);
	return ERROR_OK;
}

void index_set_peer_members(struct index_slot slot, uint8_t peer, struct index_members members)
{
	struct index_many *many;
	struct index_peers *peers = find_peers(slot, &many);
	if (peers != NULL && peer < peers->group_slots && atomic_load(&peers->groups[peer].route) != 0)
		atomic_store(&peers->groups[peer].members, members_word(members));
}
