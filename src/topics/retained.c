#include "topics/retained.h"

#include "base/layout_root.h"
#include "memory/notes.h"
#include "mqtt/field/topic.h"
#include "topics/retained_state.h"

#include <stdlib.h>

/* A topic needs a node for each level that no other topic has. Most topics share all but the last. */
#define NODES_PER_MESSAGE 4u
#define NODES_MIN 65536u

LAYOUT_ROOT(retained_node);
LAYOUT_ROOT(retained_level);
LAYOUT_ROOT(retained_message);

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

/* For readers without the lock. */
static void publish_first_expiry(struct retained *retained)
{
	atomic_store_explicit(&retained->first_s, expiries_first_s(&retained->expiries), memory_order_relaxed);
}

/* What there is beside pool, slab, table and heap. */
struct retained_note {
	uint64_t changes;
	uint64_t bytes;
	uint32_t messages;
	uint32_t uncounted;
	uint32_t root;
	uint32_t zero;
};
LAYOUT_ROOT(retained_note);

static enum error retained_open_memory(struct retained *retained, struct arena *arena, size_t bytes, uint32_t limit)
{
	struct pool *nodes = &retained->nodes;
	enum error error = slab_open_in(&retained->slab, arena, "retained slab", bytes);
	if (error == ERROR_OK)
		error = pool_open_in(nodes, arena, "retained nodes", sizeof(struct retained_node), limit);
	uint32_t links = offsetof(struct retained_node, table);
	uint32_t expiry = offsetof(struct retained_node, expiry);
	if (error == ERROR_OK)
		error = table_open_in(&retained->table, arena, "retained table", nodes, links, limit);
	if (error == ERROR_OK)
		error = expiries_open_in(&retained->expiries, arena, "retained expiries", nodes, expiry, limit);
	return error;
}

static bool retained_find_note(struct retained *retained, const struct arena *arena)
{
	struct retained_note note;
	if (!arena_get_exact(arena, "retained", &note, sizeof(note)) || note.root == 0 ||
	    note.root > retained->nodes.touched || note.messages > retained->nodes.used)
		return false;
	retained->root = note.root;
	retained->changes = note.changes;
	atomic_init(&retained->messages, note.messages);
	atomic_init(&retained->bytes, note.bytes);
	atomic_init(&retained->uncounted, note.uncounted);
	publish_first_expiry(retained);
	/* An earlier program may have had higher limits. What it kept stays. */
	if (retained->messages_max < note.messages)
		retained->messages_max = note.messages;
	if (retained->bytes_max < note.bytes)
		retained->bytes_max = note.bytes;
	return true;
}

enum error retained_save(const struct retained *retained, const struct arena *arena)
{
	struct retained_size size = retained_size(retained);
	struct retained_note note = {.changes = retained->changes,
				     .bytes = size.bytes,
				     .messages = (uint32_t)size.messages,
				     .uncounted = atomic_load(&retained->uncounted),
				     .root = retained->root};
	enum error error = arena_put(arena, "retained", &note, sizeof(note));
	error = error == ERROR_OK ? slab_save(&retained->slab, arena) : error;
	error = error == ERROR_OK ? pool_save(&retained->nodes, arena) : error;
	error = error == ERROR_OK ? table_save(&retained->table, arena) : error;
	error = error == ERROR_OK ? expiries_save(&retained->expiries, arena) : error;
	if (error != ERROR_OK || retained->stamps == NULL)
		return error;
	return retained_stamps_save(retained->stamps, arena);
}

struct retained *retained_new(const struct hash_key *key, uint32_t messages_max, uint64_t bytes_max,
			      struct arena *arena)
{
	struct retained *retained = calloc(1, sizeof(*retained));
	if (retained == NULL)
		return NULL;
	uint32_t nodes = node_limit(messages_max);
	retained->key = *key;
	retained->messages_max = messages_max;
	retained->bytes_max = bytes_max;
	if (retained_open_memory(retained, arena, slab_bytes(bytes_max, nodes), nodes) != ERROR_OK)
		return NULL; /* what was made is not freed: the program exits now */
	int failed = pthread_mutex_init(&retained->lock, NULL);
	CHECK_EQ(failed, 0);
	atomic_init(&retained->first_s, UINT32_MAX);
	if (arena_is_adopted(arena))
		return retained_find_note(retained, arena) ? retained : NULL;
	retained->root = pool_take(&retained->nodes);
	CHECK_NE(retained->root, 0u);
	*retained_node_at(retained, retained->root) = (struct retained_node){.holds = 1};
	return retained;
}

void retained_free(struct retained *retained)
{
	retained_stamps_free(retained->stamps);
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

static uint32_t retained_hash_child(const struct retained *retained, uint32_t parent, struct slice level)
{
	return (uint32_t)hash_slice(&retained->key, level) ^ parent * 0x9E3779B1u;
}

uint32_t retained_find_child(const struct retained *retained, uint32_t parent, struct slice level)
{
	uint32_t node = table_first(&retained->table, retained_hash_child(retained, parent, level));
	while (node != 0 && (retained_node_at(retained, node)->parent != parent ||
			     !slice_equal(retained_level_of(retained, node), level)))
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
	table_insert(&retained->table, node, retained_hash_child(retained, parent, level));
	return node;
}

void retained_prune(struct retained *retained, uint32_t index)
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
		slab_give(&retained->slab, node->level,
			  sizeof(struct retained_level) + retained_level_of(retained, index).size);
		node->level = 0;
		pool_give(&retained->nodes, index);
		index = parent;
	}
}

uint32_t retained_find_topic(struct retained *retained, struct slice topic, bool create)
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
				retained_prune(retained, node);
			return 0;
		}
		node = child;
	}
	return node;
}

/* ---- messages ---- */

bool retained_is_counted(const struct publication *publication, const uint8_t *packet)
{
	struct slice topic = publication_parts(publication, packet).topic;
	return !mqtt_topic_is_reserved(topic) || mqtt_topic_is_bridge_state(topic);
}

void retained_forget_message(struct retained *retained, uint32_t index)
{
	struct retained_node *node = retained_node_at(retained, index);
	if (node->message == 0)
		return;
	expiries_remove(&retained->expiries, index);
	publish_first_expiry(retained);
	const struct retained_message *kept = retained_kept_at(retained, node->message);
	uint32_t bytes = kept->publication.packet_bytes;
	bool counted = retained_is_counted(&kept->publication, kept->packet);
	slab_give(&retained->slab, node->message, sizeof(struct retained_message) + bytes);
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
	uint64_t before = node->message != 0 ? retained_kept_at(retained, node->message)->publication.packet_bytes : 0;
	return size.messages + (node->message == 0) <= retained->messages_max &&
	       size.bytes - before + bytes <= retained->bytes_max;
}

enum error retained_replace(struct retained *retained, uint32_t index, const struct publication *publication,
			    const uint8_t *packet)
{
	struct retained_node *node = retained_node_at(retained, index);
	bool counted = retained_is_counted(publication, packet);
	if (counted && !retained_fits(retained, node, publication->packet_bytes))
		return ERROR_LIMIT;
	if (expiries_reserve(&retained->expiries) != ERROR_OK)
		return ERROR_NO_MEMORY;
	uint32_t message = slab_take(&retained->slab, sizeof(struct retained_message) + publication->packet_bytes);
	if (message == 0)
		return ERROR_NO_MEMORY;
	retained_forget_message(retained, index);
	struct retained_message *kept = retained_kept_at(retained, message);
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

uint64_t retained_number(struct retained *retained, const struct publication *publication, const uint8_t *packet)
{
	return retained_is_counted(publication, packet) ? ++retained->changes : 0;
}

bool retained_takes_away(const struct publication *publication, const struct publication_parts *parts, uint32_t now_s)
{
	return parts->payload.size == 0 || publication_expired(publication, now_s);
}

enum error retained_set_at(struct retained *retained, uint32_t node, const struct publication *publication,
			   const uint8_t *packet, bool takes_away, uint64_t *number)
{
	bool changes = !takes_away || retained_node_at(retained, node)->message != 0;
	enum error error = ERROR_OK;
	if (takes_away)
		retained_forget_message(retained, node);
	else
		error = retained_replace(retained, node, publication, packet);
	retained_prune(retained, node); /* does nothing to a node with a message */
	*number = changes && error == ERROR_OK ? retained_number(retained, publication, packet) : 0;
	return error;
}

enum error retained_set(struct retained *retained, const struct publication *publication, const uint8_t *packet,
			uint32_t now_s, uint64_t *change)
{
	struct publication_parts parts = publication_parts(publication, packet);
	bool takes_away = retained_takes_away(publication, &parts, now_s);
	enum error error = takes_away ? ERROR_OK : ERROR_NO_MEMORY;
	uint64_t number = 0;
	CHECK(retained->stamps == NULL || !retained_is_counted(publication, packet));
	pthread_mutex_lock(&retained->lock);
	uint32_t node = retained_find_topic(retained, parts.topic, !takes_away);
	if (node != 0)
		error = retained_set_at(retained, node, publication, packet, takes_away, &number);
	pthread_mutex_unlock(&retained->lock);
	if (change != NULL)
		*change = number;
	return error;
}

void retained_number_from(struct retained *retained, uint64_t number)
{
	pthread_mutex_lock(&retained->lock);
	CHECK_EQ(retained->changes, 0u);
	retained->changes = number;
	pthread_mutex_unlock(&retained->lock);
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
		const struct retained_message *kept =
			retained_kept_at(retained, retained_node_at(retained, node)->message);
		struct stamp stamp = retained_stamp_expired(retained, node, now_s);
		if (expired != NULL)
			expired(context, &kept->publication, kept->packet,
				retained_number(retained, &kept->publication, kept->packet), stamp);
		retained_forget_message(retained, node);
		retained_prune(retained, node);
		count++;
	}
	pthread_mutex_unlock(&retained->lock);
	return count;
}
