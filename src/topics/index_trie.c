/* The trie of wildcard filters. Its nodes live in one hash table, keyed by parent and level, so that a level with a
 * million children costs no more to pass than one with two; `+` and `#` hang on their parent directly. */
#include "topics/index_part.h"

#include "base/check.h"
#include "mqtt/field/topic.h"

static uint32_t hash_level(const struct index_trie *trie, uint32_t parent, struct slice level)
{
	return index_trie_hash((uint32_t)hash_slice(trie->key, level), parent);
}

static bool trie_is_char(struct slice level, char wanted)
{
	return level.size == 1 && level.data[0] == (uint8_t)wanted;
}

/* The link of the parent that holds a wildcard child, or NULL for a child by name. */
static _Atomic uint32_t *wildcard_link(const struct index_trie *trie, uint32_t parent, struct slice level)
{
	struct index_links *links = index_node_links(index_node_at(trie->part, parent));
	if (trie_is_char(level, '+'))
		return &links->plus;
	return trie_is_char(level, '#') ? &links->multi : NULL;
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
		struct index_node *node = index_node_at(trie->part, index);
		if (atomic_load(&node->routes) != 0 || index_node_links(node)->children != 0)
			return;
		uint32_t parent = node->parent;
		_Atomic uint32_t *link = wildcard_link(trie, parent, index_node_text(node));
		if (link != NULL)
			atomic_store_explicit(link, 0, memory_order_release);
		else
			index_part_remove(trie->part, index);
		index_node_links(index_node_at(trie->part, parent))->children--;
		index_part_retire_node(trie->part, index);
		index = parent;
	}
}
