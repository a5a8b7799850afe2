/* The trie's part of a match, depth first: a node, then what is below its child by name, then what is below its `+`.
 * The depth is at most MQTT_TOPIC_LEVELS_MAX. The breadth is up to the subscribers: if one has filters like "+/a/+/a"
 * in all combinations, each match visits all of them. So the walk stops at the end of its slice. It resumes by making
 * the same choices again, because the nodes may have been freed meanwhile. */
#include "topics/index/index_part.h"

#include "base/check.h"
#include "mqtt/field/topic.h"
#include "mqtt/packet.h"

/* To compare a level's text is one more unit of work for each 512 bytes. */
#define TEXT_BYTES_PER_UNIT 512u
_Static_assert(UINT16_MAX / TEXT_BYTES_PER_UNIT < INDEX_UNITS_MIN, "a slice gets beyond the place where it resumes");

struct level {
	struct slice text;
	uint32_t hash;
};

struct walk {
	const struct index_slice *slice;
	const struct index_part *part;
	struct routes *routes;
	struct slice rest; /* of the topic, after the levels that are split off */
	bool more;
	bool hidden; /* the topic begins with $, so that a leading wildcard does not match it [MQTT-4.7.2-1] */
	uint32_t level_count;
	uint32_t pending_count;
	struct level levels[MQTT_TOPIC_LEVELS_MAX];
	struct {
		uint32_t node;
		uint32_t depth;
	} pending[MQTT_TOPIC_LEVELS_MAX]; /* `+` nodes still to visit: at most one a depth */
};

/* NULL: the topic has no such level. */
static const struct level *level_at(struct walk *walk, uint32_t depth)
{
	struct level *level = &walk->levels[depth];
	if (depth < walk->level_count)
		return level;
	if (!mqtt_topic_level(&walk->rest, &walk->more, &level->text))
		return NULL;
	level->hash = (uint32_t)hash_slice(&walk->slice->index->key, level->text);
	walk->level_count++;
	return level;
}

static struct index_links *links_of(const struct walk *walk, uint32_t node)
{
	return index_node_links(index_node_at(walk->part, node));
}

static uint32_t named_child(const struct walk *walk, uint32_t node, const struct level *level)
{
	walk->routes->units_left -= (int32_t)(level->text.size / TEXT_BYTES_PER_UNIT);
	return index_part_find(walk->part, index_trie_hash(level->hash, node), node, level->text);
}

/* The root's wildcards do not match a topic that is hidden from them. */
static uint32_t wildcard_child(const struct walk *walk, const _Atomic uint32_t *link, uint32_t depth)
{
	return depth != 0 || !walk->hidden ? atomic_load_explicit(link, memory_order_acquire) : 0;
}

static void push_pending_plus(struct walk *walk, uint32_t node, uint32_t depth)
{
	walk->pending[walk->pending_count].node = node;
	walk->pending[walk->pending_count++].depth = depth;
}

/* The slice ends here. The path is read off the node and its ancestors. */
static enum error pause_at(const struct walk *walk, uint32_t node, uint32_t depth, enum index_stage stage)
{
	CHECK_LE(depth, MQTT_TOPIC_LEVELS_MAX);
	struct index_place *place = walk->slice->place;
	place->choices[0] = place->choices[1] = 0;
	place->depth = (uint8_t)depth;
	place->stage = (uint8_t)stage;
	if (stage == INDEX_NODE) {
		place->group = 0;
		place->group_depth = 0;
	}
	while (depth-- != 0) {
		const struct index_node *at = index_node_at(walk->part, node);
		CHECK_NE(at->parent, 0u); /* only the root has none, at depth 0 */
		if (at->text_bytes == 1 && index_node_text(at).data[0] == '+')
			place->choices[depth / 64] |= (uint64_t)1 << depth % 64;
		node = at->parent;
	}
	return ERROR_MORE;
}

/* Moves from a node to its child by name, or else its `+`. At the end of the topic it adds the node's routes. *node 0:
 * there is nothing below. */
static enum error descend(struct walk *walk, struct index_links *links, uint32_t *node, uint32_t *depth)
{
	const struct level *level = level_at(walk, *depth);
	if (level == NULL) {
		enum error error = index_collect(walk->slice, walk->part, *node);
		if (error == ERROR_MORE)
			return pause_at(walk, *node, *depth, INDEX_END_GROUPS);
		*node = 0;
		return error;
	}
	uint32_t named = named_child(walk, *node, level);
	uint32_t plus = wildcard_child(walk, &links->plus, *depth);
	++*depth;
	*node = named;
	if (named == 0)
		*node = plus;
	else if (plus != 0)
		push_pending_plus(walk, plus, *depth);
	return ERROR_OK;
}

static enum error visit_multi(const struct walk *walk, const struct index_links *links, uint32_t node, uint32_t depth)
{
	uint32_t multi = wildcard_child(walk, &links->multi, depth);
	if (multi == 0)
		return ERROR_OK;
	enum error error = index_collect(walk->slice, walk->part, multi);
	return error == ERROR_MORE ? pause_at(walk, node, depth, INDEX_MULTI_GROUPS) : error;
}

/* Walks from the node to the end; with node 0 from the last pending one. multi_done: its `#` has been visited. */
static enum error walk_from(struct walk *walk, uint32_t node, uint32_t depth, bool multi_done)
{
	for (;;) {
		if (node == 0) {
			if (walk->pending_count == 0)
				return ERROR_OK;
			node = walk->pending[--walk->pending_count].node;
			depth = walk->pending[walk->pending_count].depth;
		}
		if (!multi_done && walk->routes->units_left-- <= 0)
			return pause_at(walk, node, depth, INDEX_NODE);
		struct index_links *links = links_of(walk, node);
		enum error error = multi_done ? ERROR_OK : visit_multi(walk, links, node, depth);
		multi_done = false;
		if (error == ERROR_OK)
			error = descend(walk, links, &node, &depth);
		if (error != ERROR_OK)
			return error;
	}
}

/* Walks to the place again, and finds what is pending on the way. 0: there is no node any more. */
static uint32_t retrace(struct walk *walk, uint32_t node, const struct index_place *place)
{
	CHECK_LE(place->depth, MQTT_TOPIC_LEVELS_MAX);
	for (uint32_t depth = 0; node != 0 && depth < place->depth; depth++) {
		const struct level *level = level_at(walk, depth);
		uint32_t plus = wildcard_child(walk, &links_of(walk, node)->plus, depth);
		bool takes_plus = (place->choices[depth / 64] >> depth % 64 & 1u) != 0;
		if (!takes_plus && plus != 0)
			push_pending_plus(walk, plus, depth + 1);
		node = takes_plus || level == NULL ? plus : named_child(walk, node, level);
	}
	return node;
}

/* Goes on among a node's shared subscriptions, or those of its `#`. */
static enum error resume_groups(const struct walk *walk, uint32_t node, uint32_t depth, enum index_stage stage)
{
	uint32_t filter = node;
	if (stage == INDEX_MULTI_GROUPS)
		filter = atomic_load_explicit(&links_of(walk, node)->multi, memory_order_acquire);
	enum error error = filter != 0 ? index_collect_groups(walk->slice, walk->part, filter) : ERROR_OK;
	return error == ERROR_MORE ? pause_at(walk, node, depth, stage) : error;
}

enum error index_trie_match(const struct index_slice *slice, struct slice topic)
{
	const struct index_trie *trie = &slice->index->trie;
	struct walk walk;
	walk.slice = slice;
	walk.part = trie->part;
	walk.routes = slice->routes;
	walk.rest = topic;
	walk.more = true;
	walk.hidden = topic.size != 0 && topic.data[0] == '$';
	walk.level_count = 0;
	walk.pending_count = 0;
	uint32_t depth = slice->place->depth;
	enum index_stage stage = slice->place->stage;
	uint32_t node = retrace(&walk, trie->root, slice->place);
	bool in_multi = node != 0 && stage == INDEX_MULTI_GROUPS;
	if (node != 0 && stage != INDEX_NODE) {
		enum error error = resume_groups(&walk, node, depth, stage);
		if (error != ERROR_OK)
			return error;
		node = in_multi ? node : 0;
	}
	return walk_from(&walk, node, depth, in_multi);
}
