/* Inside the routing index: one part of it, with its lock, its memory and its hash table of nodes. Only index*.c. */
#ifndef TOPICS_INDEX_PART_H
#define TOPICS_INDEX_PART_H

#include "base/hash.h"
#include "memory/slab.h"
#include "topics/rcu.h"
#include "topics/routes.h"

#include <pthread.h>
#include <stdatomic.h>

/* A name is five bits of part and 27 of slab reference, so a part holds up to 2 GiB. */
#define INDEX_NAME_REF_BITS 27u
#define INDEX_PART_BYTES_MAX ((size_t)SLAB_UNIT_BYTES << INDEX_NAME_REF_BITS)
/* Exact filters are spread over so many parts by their hash; the trie is one more. */
#define INDEX_EXACT_PARTS 16u
#define INDEX_TRIE_PART INDEX_EXACT_PARTS
#define INDEX_PARTS (INDEX_EXACT_PARTS + 1u)

/* A whole exact filter, or one level of a wildcard filter below its parent. 28 bytes and the text. */
struct index_node {
	/* The chain of its bucket, once for each of two tables: the one in use and the one that is being built. */
	_Atomic uint32_t next[2];
	_Atomic route_bits routes;
	uint32_t hash;
	uint32_t parent; /* 0 for an exact filter */
	uint16_t text_bytes;
	uint8_t growth; /* part->growth when it was linked into the table that is being built */
	bool branch;    /* a struct index_links stands before the text */
	uint8_t tail[];
};

/* What a level of the trie has below it; other children are found by hash. */
struct index_links {
	_Atomic uint32_t plus;
	_Atomic uint32_t multi;
	uint32_t children;
};

struct index_buckets {
	struct rcu_head rcu;
	struct index_part *part;
	uint32_t mask;
	uint8_t side; /* which of a node's links it uses */
	_Atomic uint32_t heads[];
};

struct index_limbo;

/* The table grows without a pause and without moving a node under a reader: a second one, twice as large, is linked
 * through the nodes' other link, a few buckets at each insertion; when it is whole it is published, and the old one
 * goes after a grace period. */
struct index_part {
	_Alignas(64) pthread_mutex_t lock;
	_Atomic(struct index_buckets *) buckets;
	struct index_buckets *growing; /* NULL: not growing */
	uint32_t grown_buckets;        /* of the old table, already linked into the new one */
	uint32_t count;                /* nodes in the table */
	uint8_t growth;
	bool settling; /* readers may still use the previous table, and so the links of its side */
	struct slab slab;
	struct index_limbo *limbo; /* blocks that wait for a grace period */
};

static inline struct index_node *index_node_at(const struct index_part *part, uint32_t node)
{
	return slab_at_unlocked(&part->slab, node);
}

static inline struct index_links *index_node_links(struct index_node *node)
{
	return (struct index_links *)(void *)node->tail;
}

static inline struct slice index_node_text(const struct index_node *node)
{
	return slice_of(node->tail + (node->branch ? sizeof(struct index_links) : 0), node->text_bytes);
}

enum error index_part_open(struct index_part *part);
void index_part_close(struct index_part *part);

/* A reader's look-up; also the writer's. 0: not there. */
uint32_t index_part_find(const struct index_part *part, uint32_t hash, uint32_t parent, struct slice text);

/* With the lock held: */

/* A node that is in no table yet. 0: out of memory. */
uint32_t index_part_node_new(struct index_part *part, uint32_t hash, uint32_t parent, struct slice text, bool branch);
void index_part_insert(struct index_part *part, uint32_t node);
void index_part_remove(struct index_part *part, uint32_t node);
/* Frees a block after a grace period. */
void index_part_retire(struct index_part *part, uint32_t ref, size_t bytes);
void index_part_retire_node(struct index_part *part, uint32_t node);

/* The trie (index_trie.c). */
struct index_trie {
	struct index_part *part;
	const struct hash_key *key;
	uint32_t root;
	_Atomic uint32_t filters; /* 0: there is nothing to walk */
};

uint32_t index_trie_find(struct index_trie *trie, struct slice filter, bool create);
/* Takes away the node and those above it, as far as nothing hangs on them. */
void index_trie_prune(struct index_trie *trie, uint32_t node);

struct index {
	struct hash_key key;
	uint16_t shards;
	struct index_trie trie;
	struct index_part parts[INDEX_PARTS];
};

/* A node's routes when several shards have some, or when shared subscriptions hang on it. */
struct index_many {
	_Atomic uint32_t group; /* the top of the tree of shared subscriptions' nodes */
	uint32_t reserved;
	_Atomic route_bits routes[1]; /* index->shards of them, then as many uint32_t: connected members */
};

/* The part that an exact filter with this hash is in. */
static inline uint32_t index_exact_part(uint64_t hash)
{
	return (uint32_t)(hash >> 60);
}

static inline size_t index_many_bytes(const struct index *index)
{
	return offsetof(struct index_many, routes) + index->shards * (sizeof(route_bits) + sizeof(uint32_t));
}

static inline struct index_many *index_many_of(const struct index_part *part, route_bits routes)
{
	return slab_at_unlocked(&part->slab, route_index(routes));
}

static inline _Atomic uint32_t *index_many_members(const struct index *index, struct index_many *many)
{
	return (_Atomic uint32_t *)(void *)&many->routes[index->shards];
}

/* ---- matching (index_match.c, index_walk.c) ---- */

/* A slice under way. */
struct index_slice {
	const struct index *index;
	struct routes *routes;
	struct index_place *place;
};

/* The routes of a node whose filter matches, those of its shared subscriptions included. ERROR_MORE: the slice ended
 * among the latter; place->group and group_depth say where. */
enum error index_collect(const struct index_slice *slice, const struct index_part *part, uint32_t node);
/* Goes on there. */
enum error index_collect_groups(const struct index_slice *slice, const struct index_part *part, uint32_t node);
/* Begins, or goes on from the place. */
enum error index_trie_match(const struct index_slice *slice, struct slice topic);
/* The hash of a trie's node: of its text, below its parent. */
static inline uint32_t index_trie_hash(uint32_t text_hash, uint32_t parent)
{
	return text_hash ^ parent * 0x9E3779B1u;
}

/* ---- shared subscriptions (index_groups.c) ---- */

/* They hang on their filter's node in a binary tree whose branches are the bits of their hash, from the lowest one, so
 * that a match can go on in the middle of it, and one of a million is taken away at once. A node that others hang on
 * stays when its subscription ends, without routes. More levels than bits: they come round again. */
#define INDEX_GROUP_DEPTH_MAX 64u

static inline bool index_group_bit(uint32_t hash, uint32_t depth)
{
	return (hash >> (depth & 31u) & 1u) != 0;
}

/* Returns the shared subscription's node below the locked filter's; 0: it is not there, or there is no memory. */
uint32_t index_group_find(struct index_slot filter, struct slice group, bool create);
/* The filter's node gets a place for one route a shard. NULL: no memory. */
struct index_many *index_make_many(struct index_slot slot);
bool index_is_group(const struct index_node *node);
/* Takes away the node, which has no routes, and those above it, as far as nothing hangs on them. */
void index_group_prune(struct index_slot filter, uint32_t group);

#endif
