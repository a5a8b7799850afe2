/* What the files of the retained messages share (topics/retained.h): the tree and its messages. All with the lock. */
#ifndef TOPICS_RETAINED_STATE_H
#define TOPICS_RETAINED_STATE_H

#include "base/check.h"
#include "base/hash.h"
#include "memory/slab.h"
#include "memory/table.h"
#include "topics/expiries.h"
#include "topics/publication.h"
#include "topics/retained_stamps.h"

#include <pthread.h>
#include <stdatomic.h>

struct retained_node {
	struct table_node table; /* by parent and level; first, because the pool's link may overwrite the hash */
	uint32_t parent;
	uint32_t child; /* first of its children */
	uint32_t next;  /* of its parent's children */
	uint32_t previous;
	uint32_t level;   /* slab reference of a struct retained_level */
	uint32_t message; /* slab reference of a struct retained_message, 0: none */
	uint32_t holds;   /* walks whose next node it is */
	uint32_t expiry;  /* its message's position among those that expire, 0: it does not */
};
_Static_assert(offsetof(struct retained_node, table) == 0,
	       "the first four bytes of an object are the pool's when free");

struct retained_level {
	uint16_t bytes;
	uint8_t text[];
};

struct retained_message {
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
	_Atomic uint32_t uncounted;     /* the server's own */
	_Atomic uint32_t first_s;       /* when the first of them expires; UINT32_MAX: none does */
	struct retained_stamps *stamps; /* NULL: the gateway is in no cluster */
};

static inline struct retained_node *retained_node_at(const struct retained *retained, uint32_t node)
{
	return pool_at(&retained->nodes, node);
}

static inline struct slice retained_level_of(const struct retained *retained, uint32_t node)
{
	const struct retained_level *level = slab_at(&retained->slab, retained_node_at(retained, node)->level);
	return slice_of(level->text, level->bytes);
}

static inline struct retained_message *retained_kept_at(const struct retained *retained, uint32_t message)
{
	return slab_at(&retained->slab, message);
}

/* The child of this name; 0: there is none. */
uint32_t retained_find_child(const struct retained *retained, uint32_t parent, struct slice level);
/* Removes the node and its ancestors up to the first with a message, a child or a hold. The root has a hold. */
void retained_prune(struct retained *retained, uint32_t node);
/* The topic's node; 0: there is none, or with `create` no memory for it. */
uint32_t retained_find_topic(struct retained *retained, struct slice topic, bool create);
/* The next node of the whole tree, parents first; 0: there is none. */
uint32_t retained_next_of_all(const struct retained *retained, uint32_t node);

/* The server's own topics are few. They always have room, and take none from others. */
bool retained_is_counted(const struct publication *publication, const uint8_t *packet);
/* Whether it leaves no message: it has no payload, or has expired. */
bool retained_takes_away(const struct publication *publication, const struct publication_parts *parts, uint32_t now_s);
void retained_forget_message(struct retained *retained, uint32_t node);
enum error retained_replace(struct retained *retained, uint32_t node, const struct publication *publication,
			    const uint8_t *packet);
/* Of a node whose topic is `topic`: sets its message, or takes it away, whether there are stamps or not. */
enum error retained_set_at(struct retained *retained, uint32_t node, const struct publication *publication,
			   const uint8_t *packet, bool takes_away, uint64_t *number);
/* The node's message has expired, and is about to be removed: it becomes a tombstone. Returns its stamp, none where
 * there is none (retained_changes.c). */
struct stamp retained_stamp_expired(struct retained *retained, uint32_t node, uint32_t now_s);
/* The stamp of the node's message (retained_changes.c). */
struct stamp retained_stamp_of(const struct retained *retained, const struct publication *publication,
			       const uint8_t *packet);
/* Notes them for the program that adopts the arena (retained_stamps_note.c). */
enum error retained_stamps_save(const struct retained_stamps *stamps, const struct arena *arena);
/* Those that were noted under the same key. False: no memory. */
bool retained_stamps_adopt(struct retained *retained, const struct arena *arena);

/* The number of a change to this message, which is about to be made. */
uint64_t retained_number(struct retained *retained, const struct publication *publication, const uint8_t *packet);

#endif
