/* Shared subscriptions in the index [4.8.2]: the writer's side. */
#include "topics/index/index_part.h"

#include "base/check.h"

/* The text of a shared subscription's node begins with a character that no level of a filter contains. */
#define GROUP_MARK '/'
#define GROUP_NAME_BYTES_MAX 65535u /* fits in a filter, which is a UTF-8 string [1.5.4] */
_Static_assert(GROUP_NAME_BYTES_MAX <= UINT16_MAX, "index_node.text_bytes holds the longest name");

static uint32_t group_load(const _Atomic uint32_t *link)
{
	return atomic_load_explicit(link, memory_order_acquire);
}

bool index_is_group(const struct index_node *node)
{
	struct slice text = index_node_text(node);
	return node->parent != 0 && text.size != 0 && text.data[0] == GROUP_MARK;
}

static struct index_part *index_groups_part_of(struct index_slot slot)
{
	return &slot.index->parts[slot.part];
}

static route_bits routes_of(struct index_slot slot, uint32_t node)
{
	return atomic_load(&index_node_at(index_groups_part_of(slot), node)->routes);
}

/* The link in the filter's tree that points to this node, which has this hash. With node 0 it is the free link where a
 * node with the hash belongs. *above: the node that has the link; 0: it is the root's. NULL: there is no such link. */
static _Atomic uint32_t *find_group_link(struct index_slot filter, uint32_t hash, uint32_t node, uint32_t *above)
{
	const struct index_part *part = index_groups_part_of(filter);
	CHECK(route_kind(routes_of(filter, filter.node)) == ROUTE_MANY);
	_Atomic uint32_t *link = &index_many_of(part, routes_of(filter, filter.node))->group;
	*above = 0;
	for (uint32_t depth = 0; group_load(link) != node; depth++) {
		*above = group_load(link);
		if (*above == 0 || depth == INDEX_GROUP_DEPTH_MAX - 1)
			return NULL;
		struct index_links *links = index_node_links(index_node_at(part, *above));
		link = index_group_bit(hash, depth) ? &links->multi : &links->plus;
	}
	return link;
}

static uint32_t add_group(struct index_slot filter, uint32_t hash, struct slice name)
{
	struct index_part *part = index_groups_part_of(filter);
	uint32_t above;
	_Atomic uint32_t *link = index_make_many(filter) != NULL ? find_group_link(filter, hash, 0, &above) : NULL;
	uint32_t group = link != NULL ? index_part_node_new(part, hash, filter.node, name, true) : 0;
	if (group == 0)
		return 0;
	index_part_insert(part, group);
	atomic_store_explicit(link, group, memory_order_release);
	return group;
}

uint32_t index_group_find(struct index_slot filter, struct slice group, bool create)
{
	uint8_t text[GROUP_NAME_BYTES_MAX];
	CHECK(filter.node != 0 && group.size != 0);
	CHECK_LT(group.size, sizeof(text));
	text[0] = GROUP_MARK;
	memcpy(text + 1, group.data, group.size);
	struct slice name = slice_of(text, group.size + 1);
	uint32_t hash = index_trie_hash((uint32_t)hash_slice(&filter.index->key, name), filter.node);
	uint32_t node = index_part_find(index_groups_part_of(filter), hash, filter.node, name);
	if (!create)
		return node != 0 && routes_of(filter, node) != 0 ? node : 0;
	if (node == 0)
		node = add_group(filter, hash, name);
	if (node == 0)
		return 0;
	/* It has its route table from the start, because that holds the shards' weights. */
	if (index_make_many((struct index_slot){filter.index, filter.part, node}) == NULL) {
		index_group_prune(filter, node);
		return 0;
	}
	return node;
}

/* It has neither routes nor children. */
static bool group_is_unused(struct index_slot filter, uint32_t node)
{
	const struct index_links *links = index_node_links(index_node_at(index_groups_part_of(filter), node));
	return routes_of(filter, node) == 0 && group_load(&links->plus) == 0 && group_load(&links->multi) == 0;
}

void index_group_prune(struct index_slot filter, uint32_t node)
{
	struct index_part *part = index_groups_part_of(filter);
	while (node != 0 && group_is_unused(filter, node)) {
		uint32_t above;
		_Atomic uint32_t *link = find_group_link(filter, index_node_at(part, node)->hash, node, &above);
		CHECK(link != NULL);
		CHECK_EQ(index_node_at(part, node)->parent, filter.node);
		atomic_store_explicit(link, 0, memory_order_release);
		index_part_remove(part, node);
		index_part_retire_node(part, node);
		node = above;
	}
}
