/* The trie of filters with wildcards: the writer's side. Its nodes are in one hash table, keyed by parent and level.
 * Their parent links to `+` and `#` directly. */
#include "topics/index/index_part.h"

#include "base/check.h"
#include "mqtt/field/topic.h"

static uint32_t hash_level(const struct index_trie *trie, uint32_t parent, struct slice level)
{
	return index_trie_hash((uint32_t)hash_slice(trie->key, level), parent);
}

static bool trie_level_is(struct slice level, char wanted)
{
	return level.size == 1 && level.data[0] == (uint8_t)wanted;
}

/* The parent's link to this child; NULL: it is no wildcard, and found by hash. */
static _Atomic uint32_t *wildcard_link(const struct index_trie *trie, uint32_t parent, struct slice level)
{
	struct index_links *links = index_node_links(index_node_at(trie->part, parent));
	if (trie_level_is(level, '+'))
		return &links->plus;
	return trie_level_is(level, '#') ? &links->multi : NULL;
}

static uint32_t trie_find_child(const struct index_trie *trie, uint32_t parent, struct slice level)
{
	_Atomic uint32_t *link = wildcard_link(trie, parent, level);
	if (link != NULL)
		return atomic_load_explicit(link, memory_order_acquire);
	return index_part_find(trie->part, hash_level(trie, parent, level), parent, level);
}

static uint32_t trie_add_child(struct index_trie *trie, uint32_t parent, struct slice level)
{
	uint32_t hash = hash_level(trie, parent, level);
	uint32_t child = index_part_node_new(trie->part, hash, parent, level, true);
	if (child == 0)
		return 0;
	index_node_links(index_node_at(trie->part, parent))->children++;
	_Atomic uint32_t *link = wildcard_link(trie, parent, level);
	if (link != NULL)
		atomic_store_explicit(link, child, memory_order_release);
	else
		index_part_insert(trie->part, child);
	return child;
}

uint32_t index_trie_find(struct index_trie *trie, struct slice filter, bool create)
{
	uint32_t node = trie->root;
	struct slice level;
	bool more = true;
	while (mqtt_topic_level(&filter, &more, &level)) {
		uint32_t child = trie_find_child(trie, node, level);
		if (child == 0 && create) {
			child = trie_add_child(trie, node, level);
			if (child == 0)
				index_trie_prune(trie, node);
		}
		if (child == 0)
			return 0;
		node = child;
	}
	return node;
}

void index_trie_prune(struct index_trie *trie, uint32_t index)
{
	while (index != trie->root) {
		CHECK_NE(index, 0u); /* the root is above every node */
		struct index_node *node = index_node_at(trie->part, index);
		if (atomic_load(&node->routes) != 0 || index_node_links(node)->children != 0)
			return;
		uint32_t parent = node->parent;
		_Atomic uint32_t *link = wildcard_link(trie, parent, index_node_text(node));
		if (link != NULL)
			atomic_store_explicit(link, 0, memory_order_release);
		else
			index_part_remove(trie->part, index);
		CHECK_GT(index_node_links(index_node_at(trie->part, parent))->children, 0u);
		index_node_links(index_node_at(trie->part, parent))->children--;
		index_part_retire_node(trie->part, index);
		index = parent;
	}
}
