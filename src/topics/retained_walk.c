/* Walks through the retained messages: a subscription's, and the journal's through all of them. */
#include "mqtt/field/topic.h"
#include "topics/retained.h"
#include "topics/retained_state.h"

struct filter_path {
	struct slice levels[MQTT_TOPIC_LEVELS_MAX];
	uint32_t count;
	bool multi; /* the last level is # */
};

static bool retained_is_char(struct slice level, char wanted)
{
	return level.size == 1 && level.data[0] == (uint8_t)wanted;
}

static void retained_split(struct slice filter, struct filter_path *path)
{
	bool more = true;
	path->count = 0;
	struct slice level;
	while (mqtt_topic_level(&filter, &more, &level)) {
		CHECK_LT(path->count, MQTT_TOPIC_LEVELS_MAX);
		path->levels[path->count++] = level;
	}
	CHECK_NE(path->count, 0u);
	path->multi = retained_is_char(path->levels[path->count - 1], '#');
}

/* Whether the filter has a wildcard at this depth. The root's children are at depth 0. */
static bool takes_any_name(const struct filter_path *path, uint32_t depth)
{
	return (path->multi && depth + 1 >= path->count) || retained_is_char(path->levels[depth], '+');
}

static bool path_reaches(const struct filter_path *path, uint32_t depth)
{
	return depth < path->count || path->multi;
}

/* Whether the filter ends here, with a node whose levels all match: "a/#" matches "a" too [4.7.1.2]. */
static bool is_whole_match(const struct filter_path *path, uint32_t depth)
{
	return depth + 1 == path->count || (path->multi && depth + 2 >= path->count);
}

/* A leading wildcard does not match topics that begin with $ [MQTT-4.7.2-1]. */
static uint32_t skip_hidden(const struct retained *retained, uint32_t node, uint32_t depth)
{
	while (node != 0 && depth == 0 && retained_level_of(retained, node).size != 0 &&
	       retained_level_of(retained, node).data[0] == '$')
		node = retained_node_at(retained, node)->next;
	return node;
}

static uint32_t first_child(const struct retained *retained, const struct filter_path *path, uint32_t node,
			    uint32_t depth)
{
	if (!path_reaches(path, depth))
		return 0;
	if (takes_any_name(path, depth))
		return skip_hidden(retained, retained_node_at(retained, node)->child, depth);
	return retained_find_child(retained, node, path->levels[depth]);
}

/* The next node of the walk; 0: it is over. *depth is the node's, and becomes the next one's. */
static uint32_t next_node(const struct retained *retained, const struct filter_path *path, uint32_t node,
			  uint32_t *depth)
{
	uint32_t below = first_child(retained, path, node, *depth + 1);
	if (below != 0) {
		++*depth;
		return below;
	}
	while (node != retained->root) {
		uint32_t beside = takes_any_name(path, *depth) ? retained_node_at(retained, node)->next : 0;
		beside = skip_hidden(retained, beside, *depth);
		if (beside != 0)
			return beside;
		node = retained_node_at(retained, node)->parent;
		--*depth;
	}
	return 0;
}

static uint32_t depth_of(const struct retained *retained, uint32_t node)
{
	uint32_t depth = 0;
	for (uint32_t at = retained_node_at(retained, node)->parent; at != retained->root;
	     at = retained_node_at(retained, at)->parent)
		depth++;
	return depth;
}

static void release_node(struct retained *retained, struct retained_walk *walk)
{
	if (walk->node == 0)
		return;
	CHECK_GT(retained_node_at(retained, walk->node)->holds, 0u);
	retained_node_at(retained, walk->node)->holds--;
	retained_prune(retained, walk->node);
	walk->node = 0;
}

static bool visit_node(const struct retained *retained, const struct filter_path *path, uint32_t node, uint32_t depth,
		       uint32_t now_s, retained_visit *visit, void *context)
{
	uint32_t message = retained_node_at(retained, node)->message;
	if (message == 0 || !is_whole_match(path, depth))
		return true;
	const struct retained_message *kept = retained_kept_at(retained, message);
	return publication_expired(&kept->publication, now_s) || visit(context, &kept->publication, kept->packet);
}

bool retained_walk_step(struct retained *retained, struct retained_walk *walk, struct slice filter, uint32_t now_s,
			uint32_t *visits, retained_visit *visit, void *context)
{
	CHECK_NE(*visits, 0u);
	CHECK_LE(*visits, RETAINED_VISITS_MAX);
	struct filter_path path;
	retained_split(filter, &path);
	pthread_mutex_lock(&retained->lock);
	uint32_t depth = 0;
	uint32_t node = walk->node;
	if (node == 0)
		node = first_child(retained, &path, retained->root, 0);
	else
		depth = depth_of(retained, node);
	/* The node where the walk goes on has not been visited. */
	while (node != 0 && *visits != 0 && visit_node(retained, &path, node, depth, now_s, visit, context)) {
		node = next_node(retained, &path, node, &depth);
		--*visits;
	}
	if (node != 0)
		retained_node_at(retained, node)->holds++;
	release_node(retained, walk);
	walk->node = node;
	pthread_mutex_unlock(&retained->lock);
	return node == 0;
}

uint32_t retained_next_of_all(const struct retained *retained, uint32_t node)
{
	if (retained_node_at(retained, node)->child != 0)
		return retained_node_at(retained, node)->child;
	while (node != retained->root && retained_node_at(retained, node)->next == 0)
		node = retained_node_at(retained, node)->parent;
	return node != retained->root ? retained_node_at(retained, node)->next : 0;
}

static bool tell_node(struct retained *retained, uint32_t node, uint32_t now_s, retained_told *told, void *context)
{
	uint32_t message = retained_node_at(retained, node)->message;
	if (message == 0)
		return true;
	const struct retained_message *kept = retained_kept_at(retained, message);
	uint64_t change = publication_expired(&kept->publication, now_s)
				  ? 0
				  : retained_number(retained, &kept->publication, kept->packet);
	return change == 0 || told(context, &kept->publication, kept->packet, change,
				   retained_stamp_of(retained, &kept->publication, kept->packet));
}

bool retained_tell_step(struct retained *retained, struct retained_walk *walk, uint32_t now_s, uint32_t *visits,
			retained_told *told, void *context)
{
	CHECK_NE(*visits, 0u);
	CHECK_LE(*visits, RETAINED_VISITS_MAX);
	pthread_mutex_lock(&retained->lock);
	uint32_t node = walk->node != 0 ? walk->node : retained_node_at(retained, retained->root)->child;
	for (bool more = true; node != 0 && more && *visits != 0; --*visits) {
		more = tell_node(retained, node, now_s, told, context);
		node = retained_next_of_all(retained, node);
	}
	if (node != 0)
		retained_node_at(retained, node)->holds++;
	release_node(retained, walk);
	walk->node = node;
	pthread_mutex_unlock(&retained->lock);
	return node == 0;
}

void retained_walk_end(struct retained *retained, struct retained_walk *walk)
{
	pthread_mutex_lock(&retained->lock);
	release_node(retained, walk);
	pthread_mutex_unlock(&retained->lock);
}
