/* Shared subscriptions in the index, by a writer. */
#include "topics/index_part.h"

#include "base/check.h"

/* The name of a shared subscription's node begins with what no level of a filter has. */
#define GROUP_MARK '/'
#define GROUP_NAME_BYTES_MAX 65536u

static uint32_t load(const _Atomic uint32_t *link)
{
	return atomic_load_explicit(link, memory_order_acquire);
}

bool index_is_group(const struct index_node *node)
{
	struct slice text = index_node_text(node);
	return node->parent != 0 && text.size != 0 && text.data[0] == GROUP_MARK;
}

static struct index_part *part_of(struct index_slot slot)
{
	return &slot.index->parts[slot.part];
}

static route_bits routes_of(struct index_slot slot, uint32_t node)
{
	return atomic_load(&index_node_at(part_of(slot), node)->routes);
}

/* The link in the filter's tree that holds the node with this hash; 0: the free one that is to hold it. *above: the
 * node whose link it is; 0: it is the top. NULL: there is none. */
static _Atomic uint32_t *find_link(struct index_slot filter, uint32_t hash, uint32_t node, uint32_t *above)
{
	const struct index_part *part = part_of(filter);
	_Atomic uint32_t *link = &index_many_of(part, routes_of(filter, filter.node))->group;
	*above = 0;
	for (uint32_t depth = 0; load(link) != node; depth++) {
		*above = load(link);
		if (*above == 0 || depth == INDEX_GROUP_DEPTH_MAX - 1)
			return NULL;
		struct index_links *links = index_node_links(index_node_at(part, *above));
		link = index_group_bit(hash, depth) ? &links->multi : &links->plus;
	}
	return link;
}

static uint32_t add_group(struct index_slot filter, uint32_t hash, struct slice name)
{
	struct index_part *part = part_of(filter);
	uint32_t above;
	_Atomic uint32_t *link = index_make_many(filter) != NULL ? find_link(filter, hash, 0, &above) : NULL;
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
	text[0] = GROUP_MARK;
	memcpy(text + 1, group.data, group.size);
	struct slice name = slice_of(text, group.size + 1);
	uint32_t hash = index_trie_hash((uint32_t)hash_slice(&filter.index->key, name), filter.node);
	uint32_t node = index_part_find(part_of(filter), hash, filter.node, name);
	if (!create)
		return node != 0 && routes_of(filter, node) != 0 ? node : 0;
	if (node == 0)
		node = add_group(filter, hash, name);
	if (node == 0)
		return 0;
	/* It has its place for one route a shard from the start: there the weights are. */
	if (index_make_many((struct index_slot){filter.index, filter.part, node}) == NULL) {
		index_group_prune(filter, node);
		return 0;
	}
	return node;
}

/* Neither routes nor nodes below it. */
static bool is_bare(struct index_slot filter, uint32_t node)
{
	const struct index_links *links = index_node_links(index_node_at(part_of(filter), node));
	return routes_of(filter, node) == 0 && load(&links->plus) == 0 && load(&links->multi) == 0;
}

void index_group_prune(struct index_slot filter, uint32_t node)
{
	struct index_part *part = part_of(filter);
	while (node != 0 && is_bare(filter, node)) {
		uint32_t above;
		_Atomic uint32_t *link = find_link(filter, index_node_at(part, node)->hash, node, &above);
		CHECK(link != NULL);
		atomic_store_explicit(link, 0, memory_order_release);
		index_part_remove(part, node);
		index_part_retire_node(part, node);
		node = above;
	}
}
