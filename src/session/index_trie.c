/* The trie of wildcard filters. Its nodes live in one hash table, keyed by parent and level, so that a level with a
 * million children costs no more to pass than one with two; `+` and `#` hang on their parent directly. */
#include "session/index_part.h"

#include "base/check.h"
#include "mqtt/topic.h"

static uint32_t hash_level(const struct index_trie *trie, uint32_t parent, struct slice level)
{
	return (uint32_t)hash_slice(trie->key, level) ^ parent * 0x9E3779B1u;
}

static bool is_char(struct slice level, char wanted)
{
	return level.size == 1 && level.data[0] == (uint8_t)wanted;
}

/* The link of the parent that holds a wildcard child, or NULL for a child by name. */
static _Atomic uint32_t *wildcard_link(const struct index_trie *trie, uint32_t parent, struct slice level)
{
	struct index_links *links = index_node_links(index_node_at(trie->part, parent));
	if (is_char(level, '+'))
		return &links->plus;
	return is_char(level, '#') ? &links->multi : NULL;
}

static uint32_t find_child(const struct index_trie *trie, uint32_t parent, struct slice level)
{
	_Atomic uint32_t *link = wildcard_link(trie, parent, level);
	if (link != NULL)
		return atomic_load_explicit(link, memory_order_acquire);
	return index_part_find(trie->part, hash_level(trie, parent, level), parent, level);
}

static uint32_t add_child(struct index_trie *trie, uint32_t parent, struct slice level)
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
		uint32_t child = find_child(trie, node, level);
		if (child == 0 && create) {
			child = add_child(trie, node, level);
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

struct walk {
	const struct index_trie *trie;
	index_found *found;
	void *context;
};

static enum error visit_multi(const struct walk *walk, uint32_t node)
{
	struct index_links *links = index_node_links(index_node_at(walk->trie->part, node));
	uint32_t multi = atomic_load_explicit(&links->multi, memory_order_acquire);
	return multi != 0 ? walk->found(walk->context, walk->trie->part, multi) : ERROR_OK;
}

/* The node's filter has matched so far; `rest` is what is left of the topic. The depth is bounded by
 * MQTT_TOPIC_LEVELS_MAX, the breadth by the nodes that subscribers made. */
static enum error walk_node(const struct walk *walk, uint32_t node, struct slice rest, bool more, bool wildcards)
{
	enum error error = wildcards ? visit_multi(walk, node) : ERROR_OK;
	struct slice level;
	if (error != ERROR_OK)
		return error;
	if (!mqtt_topic_level(&rest, &more, &level))
		return walk->found(walk->context, walk->trie->part, node);

	uint32_t hash = hash_level(walk->trie, node, level);
	uint32_t named = index_part_find(walk->trie->part, hash, node, level);
	if (named != 0)
		error = walk_node(walk, named, rest, more, true);
	struct index_links *links = index_node_links(index_node_at(walk->trie->part, node));
	uint32_t plus = wildcards ? atomic_load_explicit(&links->plus, memory_order_acquire) : 0;
	if (plus != 0 && error == ERROR_OK)
		error = walk_node(walk, plus, rest, more, true);
	return error;
}

enum error index_trie_match(const struct index_trie *trie, struct slice topic, index_found *found, void *context)
{
	if (atomic_load_explicit(&trie->filters, memory_order_relaxed) == 0)
		return ERROR_OK;
	struct walk walk = {trie, found, context};
	/* Topics that begin with $ are not matched by a leading wildcard [MQTT-4.7.2-1]. */
	bool wildcards = topic.size == 0 || topic.data[0] != '$';
	return walk_node(&walk, trie->root, topic, true, wildcards);
}
