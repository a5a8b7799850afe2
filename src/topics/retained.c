#include "topics/retained.h"

#include "base/check.h"
#include "memory/slab.h"
#include "memory/table.h"
#include "mqtt/field/topic.h"
#include "topics/expiries.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A topic needs a node for each level that no other topic has. Most topics share all but the last. */
#define NODES_PER_MESSAGE 4u
#define NODES_MIN 65536u

struct retained_node {
	struct table_node table; /* by parent and level; first, because the pool's link may overwrite the hash */
	uint32_t parent;
	uint32_t child; /* first of its children */
	uint32_t next;  /* of its parent's children */
	uint32_t previous;
	uint32_t level;   /* slab reference of a struct retained_level */
	uint32_t message; /* slab reference of a struct kept, 0: none */
	uint32_t holds;   /* walks whose next node it is */
	uint32_t expiry;  /* its message's position among those that expire, 0: it does not */
};
_Static_assert(offsetof(struct retained_node, table) == 0,
	       "the first four bytes of an object are the pool's when free");

struct retained_level {
	uint16_t bytes;
	uint8_t text[];
};

struct kept {
	struct publication publication;
	uint8_t packet[];
};

struct retained {
	pthread_mutex_t lock;
	struct hash_key key;
	struct slab slab;
	struct pool nodes;
	struct table table;
	struct expiries expiries;
	uint32_t root;
	uint64_t changes; /* the number of the newest */
	uint32_t messages_max;
	uint64_t bytes_max;
	_Atomic uint32_t messages;
	_Atomic uint64_t bytes;
	_Atomic uint32_t uncounted; /* the server's own */
	_Atomic uint32_t first_s;   /* when the first of them expires; UINT32_MAX: none does */
};

static struct retained_node *retained_node_at(const struct retained *retained, uint32_t node)
{
	return pool_at(&retained->nodes, node);
}

static struct slice level_of(const struct retained *retained, uint32_t node)
{
	const struct retained_level *level = slab_at(&retained->slab, retained_node_at(retained, node)->level);
	return slice_of(level->text, level->bytes);
}

static struct kept *kept_at(const struct retained *retained, uint32_t message)
{
	return slab_at(&retained->slab, message);
}

/* ---- making ---- */

static uint32_t node_limit(uint32_t messages_max)
{
	uint64_t limit = (uint64_t)messages_max * NODES_PER_MESSAGE;
	if (limit < NODES_MIN)
		limit = NODES_MIN;
	return limit < UINT32_MAX / 2 ? (uint32_t)limit : UINT32_MAX / 2;
}

static size_t slab_bytes(uint64_t bytes_max, uint32_t nodes)
{
	size_t most = (size_t)UINT32_MAX * SLAB_UNIT_BYTES;
	size_t wanted = bytes_max + bytes_max / 2 + (size_t)nodes * 128;
	return wanted < most ? wanted : most;
}

struct retained *retained_new(const struct hash_key *key, uint32_t messages_max, uint64_t bytes_max)
{
	struct retained *retained = calloc(1, sizeof(*retained));
	if (retained == NULL)
		return NULL;
	uint32_t nodes = node_limit(messages_max);
	retained->key = *key;
	retained->messages_max = messages_max;
	retained->bytes_max = bytes_max;
	if (slab_open(&retained->slab, slab_bytes(bytes_max, nodes)) != ERROR_OK ||
	    pool_open(&retained->nodes, sizeof(struct retained_node), nodes) != ERROR_OK ||
	    table_open(&retained->table, &retained->nodes, offsetof(struct retained_node, table), nodes) != ERROR_OK ||
	    expiries_open(&retained->expiries, &retained->nodes, offsetof(struct retained_node, expiry), nodes) !=
		    ERROR_OK)
		return NULL; /* what was made is not freed: the program exits now */
	int failed = pthread_mutex_init(&retained->lock, NULL);
	CHECK_EQ(failed, 0);
	atomic_init(&retained->first_s, UINT32_MAX);
	retained->root = pool_take(&retained->nodes);
	CHECK_NE(retained->root, 0u);
	*retained_node_at(retained, retained->root) = (struct retained_node){.holds = 1};
	return retained;
}

void retained_free(struct retained *retained)
{
	expiries_close(&retained->expiries);
	table_close(&retained->table);
	pool_close(&retained->nodes);
	slab_close(&retained->slab);
	pthread_mutex_destroy(&retained->lock);
	free(retained);
}

struct retained_size retained_size(const struct retained *retained)
{
	return (struct retained_size){
		.messages = atomic_load_explicit(&retained->messages, memory_order_relaxed),
		.bytes = atomic_load_explicit(&retained->bytes, memory_order_relaxed),
	};
}

bool retained_is_empty(const struct retained *retained)
{
	return atomic_load_explicit(&retained->messages, memory_order_relaxed) == 0 &&
	       atomic_load_explicit(&retained->uncounted, memory_order_relaxed) == 0;
}

/* ---- the tree ---- */

static uint32_t hash_child(const struct retained *retained, uint32_t parent, struct slice level)
{
	return (uint32_t)hash_slice(&retained->key, level) ^ parent * 0x9E3779B1u;
}

static uint32_t retained_find_child(const struct retained *retained, uint32_t parent, struct slice level)
{
	uint32_t node = table_first(&retained->table, hash_child(retained, parent, level));
	while (node != 0 &&
	       (retained_node_at(retained, node)->parent != parent || !slice_equal(level_of(retained, node), level)))
		node = table_next(&retained->table, node);
	return node;
}

static uint32_t retained_add_child(struct retained *retained, uint32_t parent, struct slice level)
{
	CHECK_LE(level.size, UINT16_MAX);
	uint32_t node = pool_take(&retained->nodes);
	if (node == 0)
		return 0;
	uint32_t text = slab_take(&retained->slab, sizeof(struct retained_level) + level.size);
	if (text == 0) {
		pool_give(&retained->nodes, node);
		return 0;
	}
	struct retained_level *stored = slab_at(&retained->slab, text);
	stored->bytes = (uint16_t)level.size;
	if (level.size != 0)
		memcpy(stored->text, level.data, level.size);
	struct retained_node *above = retained_node_at(retained, parent);
	*retained_node_at(retained, node) =
		(struct retained_node){.parent = parent, .next = above->child, .level = text};
	if (above->child != 0)
		retained_node_at(retained, above->child)->previous = node;
	above->child = node;
	table_insert(&retained->table, node, hash_child(retained, parent, level));
	return node;
}

/* Removes the node and its ancestors up to the first with a message, a child or a hold. The root has a hold. */
static void prune(struct retained *retained, uint32_t index)
{
	for (;;) {
		struct retained_node *node = retained_node_at(retained, index);
		if (node->message != 0 || node->child != 0 || node->holds != 0)
			return;
		CHECK_NE(node->parent, 0u);
		CHECK_EQ(node->expiry, 0u);
		if (node->previous != 0)
			retained_node_at(retained, node->previous)->next = node->next;
		else
			retained_node_at(retained, node->parent)->child = node->next;
		if (node->next != 0)
			retained_node_at(retained, node->next)->previous = node->previous;
		uint32_t parent = node->parent;
		table_remove(&retained->table, index);
		slab_give(&retained->slab, node->level, sizeof(struct retained_level) + level_of(retained, index).size);
		node->level = 0;
		pool_give(&retained->nodes, index);
		index = parent;
	}
}

static uint32_t find_topic(struct retained *retained, struct slice topic, bool create)
{
	uint32_t node = retained->root;
	struct slice level;
	bool more = true;
	while (mqtt_topic_level(&topic, &more, &level)) {
		uint32_t child = retained_find_child(retained, node, level);
		if (child == 0 && create)
			child = retained_add_child(retained, node, level);
		if (child == 0) {
			if (create)
				prune(retained, node);
			return 0;
		}
		node = child;
	}
	return node;
}

/* ---- messages ---- */

/* The server's own topics are few. They always have room, and take none from others. */
static bool is_counted(const struct publication *publication, const uint8_t *packet)
{
	struct slice topic = publication_parts(publication, packet).topic;
	return !mqtt_topic_is_reserved(topic) || mqtt_topic_is_bridge_state(topic);
}

/* For readers without the lock. */
static void publish_first_expiry(struct retained *retained)
{
	atomic_store_explicit(&retained->first_s, expiries_first_s(&retained->expiries), memory_order_relaxed);
}

static void retained_forget_message(struct retained *retained, uint32_t index)
{
	struct retained_node *node = retained_node_at(retained, index);
	if (node->message == 0)
		return;
	expiries_remove(&retained->expiries, index);
	publish_first_expiry(retained);
	const struct kept *kept = kept_at(retained, node->message);
	uint32_t bytes = kept->publication.packet_bytes;
	bool counted = is_counted(&kept->publication, kept->packet);
	slab_give(&retained->slab, node->message, sizeof(struct kept) + bytes);
	node->message = 0;
	uint32_t messages = atomic_fetch_sub_explicit(counted ? &retained->messages : &retained->uncounted, 1,
						      memory_order_relaxed);
	uint64_t all_bytes = atomic_fetch_sub_explicit(&retained->bytes, counted ? bytes : 0, memory_order_relaxed);
	CHECK_GT(messages, 0u);
	CHECK_GE(all_bytes, counted ? bytes : 0);
}

static bool retained_fits(const struct retained *retained, const struct retained_node *node, uint32_t bytes)
{
	struct retained_size size = retained_size(retained);
	CHECK(size.messages <= retained->messages_max && size.bytes <= retained->bytes_max);
	uint64_t before = node->message != 0 ? kept_at(retained, node->message)->publication.packet_bytes : 0;
	return size.messages + (node->message == 0) <= retained->messages_max &&
	       size.bytes - before + bytes <= retained->bytes_max;
}

static enum error retained_replace(struct retained *retained, uint32_t index, const struct publication *publication,
				   const uint8_t *packet)
{
	struct retained_node *node = retained_node_at(retained, index);
	bool counted = is_counted(publication, packet);
	if (counted && !retained_fits(retained, node, publication->packet_bytes))
		return ERROR_LIMIT;
	if (expiries_reserve(&retained->expiries) != ERROR_OK)
		return ERROR_NO_MEMORY;
	uint32_t message = slab_take(&retained->slab, sizeof(struct kept) + publication->packet_bytes);
	if (message == 0)
		return ERROR_NO_MEMORY;
	retained_forget_message(retained, index);
	struct kept *kept = kept_at(retained, message);
	kept->publication = *publication;
	memcpy(kept->packet, packet, publication->packet_bytes);
	node->message = message;
	if (publication->expires_s != 0) {
		expiries_add(&retained->expiries, index, publication->expires_s);
		publish_first_expiry(retained);
	}
	atomic_fetch_add_explicit(counted ? &retained->messages : &retained->uncounted, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&retained->bytes, counted ? publication->packet_bytes : 0, memory_order_relaxed);
	return ERROR_OK;
}

/* The number of a change to this message, which is about to be made. */
static uint64_t retained_number(struct retained *retained, const struct publication *publication, const uint8_t *packet)
{
	return is_counted(publication, packet) ? ++retained->changes : 0;
}

enum error retained_set(struct retained *retained, const struct publication *publication, const uint8_t *packet,
			uint32_t now_s, uint64_t *change)
{
	struct publication_parts parts = publication_parts(publication, packet);
	bool takes_away = parts.payload.size == 0 || publication_expired(publication, now_s);
	enum error error = ERROR_OK;
	pthread_mutex_lock(&retained->lock);
	uint32_t node = find_topic(retained, parts.topic, !takes_away);
	bool changes = node != 0 && (!takes_away || retained_node_at(retained, node)->message != 0);
	if (node == 0)
		error = takes_away ? ERROR_OK : ERROR_NO_MEMORY;
	else if (takes_away)
		retained_forget_message(retained, node);
	else
		error = retained_replace(retained, node, publication, packet);
	if (node != 0)
		prune(retained, node); /* does nothing to a node with a message */
	if (change != NULL)
		*change = changes && error == ERROR_OK ? retained_number(retained, publication, packet) : 0;
	pthread_mutex_unlock(&retained->lock);
	return error;
}

bool retained_has_expired(const struct retained *retained, uint32_t now_s)
{
	return atomic_load_explicit(&retained->first_s, memory_order_relaxed) <= now_s;
}

uint32_t retained_expire(struct retained *retained, uint32_t now_s, uint32_t messages_max, retained_expired *expired,
			 void *context)
{
	if (!retained_has_expired(retained, now_s))
		return 0;
	uint32_t count = 0;
	uint32_t node;
	pthread_mutex_lock(&retained->lock);
	while (count < messages_max && (node = expiries_due(&retained->expiries, now_s)) != 0) {
		const struct kept *kept = kept_at(retained, retained_node_at(retained, node)->message);
		if (expired != NULL)
			expired(context, &kept->publication, kept->packet,
				retained_number(retained, &kept->publication, kept->packet));
		retained_forget_message(retained, node);
		prune(retained, node);
		count++;
	}
	pthread_mutex_unlock(&retained->lock);
	return count;
}

/* ---- walking ---- */

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
	while (node != 0 && depth == 0 && level_of(retained, node).size != 0 && level_of(retained, node).data[0] == '$')
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
	prune(retained, walk->node);
	walk->node = 0;
}

static bool visit_node(const struct retained *retained, const struct filter_path *path, uint32_t node, uint32_t depth,
		       uint32_t now_s, retained_visit *visit, void *context)
{
	uint32_t message = retained_node_at(retained, node)->message;
	if (message == 0 || !is_whole_match(path, depth))
		return true;
	const struct kept *kept = kept_at(retained, message);
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

void retained_walk_end(struct retained *retained, struct retained_walk *walk)
{
	pthread_mutex_lock(&retained->lock);
	release_node(retained, walk);
	pthread_mutex_unlock(&retained->lock);
}
