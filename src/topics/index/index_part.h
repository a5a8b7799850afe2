/* Internals of the routing index: its parts, each with a lock, memory and a hash table of nodes; the trie; and the
 * shared subscriptions of a filter. topics/index/index.h says why. Included by index*.c only. */
#ifndef TOPICS_INDEX_PART_H
#define TOPICS_INDEX_PART_H

#include "base/hash.h"
#include "memory/slab.h"
#include "topics/index/rcu.h"
#include "topics/index/routes.h"

#include <pthread.h>
#include <stdatomic.h>

/* A name has 5 bits of part and 27 of slab reference. 2^27 units of 16 bytes are 2 GiB for each part. */
#define INDEX_NAME_REF_BITS 27u
#define INDEX_PART_BYTES_MAX ((size_t)SLAB_UNIT_BYTES << INDEX_NAME_REF_BITS)
/* Exact filters are spread over 16 parts by their hash. The trie is one more. */
#define INDEX_EXACT_PARTS 16u
#define INDEX_TRIE_PART INDEX_EXACT_PARTS
#define INDEX_PARTS (INDEX_EXACT_PARTS + 1u)
_Static_assert(INDEX_PARTS <= 1u << (32u - INDEX_NAME_REF_BITS), "a name has five bits for the part");

/* A whole exact filter, one level of a wildcard filter below its parent, or a shared subscription below its filter. */
struct index_node {
	/* The next node in its bucket, once for each of two tables: the one in use and the one being built. */
	_Atomic uint32_t next[2];
	_Atomic route_bits routes;
	uint32_t hash;
	uint32_t parent; /* 0 for an exact filter */
	uint16_t text_bytes;
	uint8_t growth; /* part->growth at the time it was linked into the table being built */
	bool branch;    /* a struct index_links precedes the text */
	uint8_t tail[];
};
_Static_assert(offsetof(struct index_node, tail) == 28, "a filter node is part of the memory contract");

/* The `+` and `#` below a level of the trie. Other children are found by hash. A shared subscription's node has its
 * children in the tree here: `plus` for a 0 bit of their hash, `multi` for a 1 bit. */
struct index_links {
	_Atomic uint32_t plus;
	_Atomic uint32_t multi;
	uint32_t children; /* of a level of the trie, all of them */
};
_Static_assert(offsetof(struct index_node, tail) % _Alignof(struct index_links) == 0, "links begin the tail");

struct index_buckets {
	_Atomic uint32_t *heads; /* a block of the part's slab */
	uint32_t mask;
	uint8_t side;   /* which of a node's two links it uses */
	uint32_t block; /* slab reference of the heads */
	struct index_part *part;
	struct rcu_head rcu;
};

struct index_limbo;

/* To grow, a table twice as large is linked through the nodes' other link, a few buckets with each insertion. When it
 * is complete it is published, and the old one is freed after a grace period. No node moves. */
struct index_part {
	_Alignas(64) pthread_mutex_t lock;
	_Atomic(struct index_buckets *) buckets;
	struct index_buckets *growing; /* NULL: not growing */
	uint32_t grown_buckets;        /* buckets of the current table that are linked into the new one */
	uint32_t count;                /* nodes in the table */
	uint8_t growth;
	bool settling; /* readers may still be in the previous table, so its side's links must not be written */
	struct slab slab;
	struct index_limbo *limbo; /* the open batch of blocks to free after a grace period; NULL: none */
	uint64_t told_below;       /* filters whose reversed hash is below this are watched */
	uint32_t deferred;         /* batches and old tables that wait for a grace period */
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

/* name: of its region in the arena, which may be NULL. ERROR_NO_MEMORY; ERROR_NOT_FOUND, as for a slab. */
enum error index_part_open(struct index_part *part, struct arena *arena, const char *name);
void index_part_close(struct index_part *part);
/* Whether something waits for a grace period, other than the open batch. */
bool index_part_has_deferred(struct index_part *part);
/* When nobody reads or writes, and nothing waits for a grace period. */
enum error index_part_save(struct index_part *part, const struct arena *arena, const char *name);

/* Looks a node up, as a reader or with the lock held. 0: not found. */
uint32_t index_part_find(const struct index_part *part, uint32_t hash, uint32_t parent, struct slice text);

/* With the lock held: */

/* Makes a node that is in no table yet. 0: no memory. */
uint32_t index_part_node_new(struct index_part *part, uint32_t hash, uint32_t parent, struct slice text, bool branch);
void index_part_insert(struct index_part *part, uint32_t node);
void index_part_remove(struct index_part *part, uint32_t node);
/* Frees a block after a grace period. Without memory for the batch the block is leaked. */
void index_part_retire(struct index_part *part, uint32_t ref, size_t bytes);
void index_part_retire_node(struct index_part *part, uint32_t node);

/* The trie (index_trie.c). */
struct index_trie {
	struct index_part *part;
	const struct hash_key *key;
	uint32_t root;
	_Atomic uint32_t filters; /* nodes with routes; 0: a match does not walk */
};

/* The filter's node, made if `create`. 0: not found, or no memory. */
uint32_t index_trie_find(struct index_trie *trie, struct slice filter, bool create);
/* Removes the node and its ancestors up to the first that has routes or other children. */
void index_trie_prune(struct index_trie *trie, uint32_t node);

struct index {
	struct hash_key key;
	uint16_t shards;
	bool prefers_local;           /* of the members of a shared subscription, over those on other nodes */
	uint32_t run;                 /* which program of those that had its memory is in a cluster; 0: not in one */
	struct index_watcher watcher; /* changed NULL: nobody is told */
	struct index_trie trie;
	struct index_part parts[INDEX_PARTS];
};

/* A node's route table, used if several shards or another node have routes, or if it has or is a shared subscription.
 */
struct index_many {
	_Atomic uint32_t group; /* root of the tree of its shared subscriptions; 0: none */
	/* Slab reference of a struct index_peers; 0: none. By index_many_peers() and index_peers.c alone, atomically.
	 * It keeps the name that it had when it was spare: earlier versions have to find it (docs/decisions/0022). */
	uint32_t reserved;
	_Atomic route_bits routes[1]; /* index->shards of them, then as many uint32_t: members_pack() of each shard */
};

_Static_assert(INDEX_EXACT_PARTS == 1u << 4, "the part is the four highest bits of the hash");
/* The part of an exact filter with this hash. */
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

/* ---- other nodes (index_peers.c) ---- */

/* What a node holds of other nodes of the cluster. It means nothing to a program that comes after the one that wrote
 * it, because that gives the slots anew: hence `run`, and no LAYOUT_ROOT. Fewer slots than there may be nodes, as long
 * as the higher ones have nothing here; replaced by a larger one, never grown. */
struct index_peers {
	uint32_t run;
	uint32_t group_slots;    /* entries of groups[]; 0 for a filter that is not shared */
	_Atomic uint64_t wanted; /* by slot, a bit each: the node has subscribers for this very filter */
	struct index_peer_group {
		_Atomic route_bits route; /* 0: the node has no members */
		_Atomic uint64_t members; /* as those of shards are packed */
	} groups[];
};
_Static_assert(sizeof(struct index_peers) == SLAB_UNIT_BYTES, "a filter that one other node wants costs one unit");

/* Those of the current run; NULL: none. */
static inline struct index_peers *index_many_peers(const struct index *index, const struct index_part *part,
						   const struct index_many *many)
{
	uint32_t ref = __atomic_load_n(&many->reserved, __ATOMIC_ACQUIRE);
	if (__builtin_expect(ref == 0, 1))
		return NULL;
	struct index_peers *peers = slab_at_unlocked(&part->slab, ref);
	return peers->run == index->run ? peers : NULL;
}

/* Frees what the table holds of other nodes where that is nothing, or is of an earlier run. False: there is something.
 */
bool index_peers_drop_if_empty(const struct index *index, struct index_part *part, struct index_many *many);

/* ---- who is told of filters (index_watch.c) ---- */

#define INDEX_TOLD_ALL ((uint64_t)1 << 32) /* of index_part.told_below */
/* Whether a client that is none of Roost's own has it. The part is locked, here and below. */
bool index_has_clients(struct index_slot slot);
/* The watcher hears that this begins, or has ended. */
void index_tell(struct index_slot slot, bool begins);
enum error index_watch_save(const struct index *index, const struct arena *arena);
/* Removes a node without routes. Where it was a filter's last shared subscription, the filter's node goes too. */
void index_remove_if_unused(struct index_slot slot);

/* ---- matching (index_match.c, index_walk.c) ---- */

/* One call of index_match(). */
struct index_slice {
	const struct index *index;
	struct routes *routes;
	struct index_place *place;
};

/* Adds the routes of a node whose filter matches, and one for each of its shared subscriptions. ERROR_MORE: the slice
 * ended among the latter; place->group and group_depth say where. */
enum error index_collect(const struct index_slice *slice, const struct index_part *part, uint32_t node);
/* Goes on there in a later slice. */
enum error index_collect_groups(const struct index_slice *slice, const struct index_part *part, uint32_t node);
/* Begins, or goes on from slice->place. */
enum error index_trie_match(const struct index_slice *slice, struct slice topic);
/* The hash of a node below a parent, from the hash of its text. */
static inline uint32_t index_trie_hash(uint32_t text_hash, uint32_t parent)
{
	return text_hash ^ parent * 0x9E3779B1u;
}

/* ---- shared subscriptions (index_groups.c, index_pick.c) ---- */

enum index_pick_kind {
	INDEX_PICK_ANY,
	INDEX_PICK_LIVE, /* one that has a connected member */
	INDEX_PICK_HERE, /* any on this node */
};
/* The route of the one whose turn it is; 0: there is none. Locked, or as a reader. */
route_bits index_pick_member(struct index_slot slot, struct routes *turns, enum index_pick_kind kind);

/* A binary tree below their filter's node, branching by the bits of their hash from the lowest. A match can resume in
 * the middle of it, and one of a million is removed in a few steps. A node that has children stays when its
 * subscription ends, without routes. The hash has fewer bits than the tree has levels; they repeat. */
#define INDEX_GROUP_DEPTH_MAX 64u
_Static_assert(INDEX_GROUP_DEPTH_MAX <= UINT8_MAX, "index_place.group_depth holds every depth");

static inline bool index_group_bit(uint32_t hash, uint32_t depth)
{
	return (hash >> (depth & 31u) & 1u) != 0;
}

/* The shared subscription's node below the locked filter's, made if `create`. 0: not found, or no memory. */
uint32_t index_group_find(struct index_slot filter, struct slice group, bool create);
/* Gives the node a route table, unless it has one; its route moves there. NULL: no memory. */
struct index_many *index_make_many(struct index_slot slot);
bool index_is_group(const struct index_node *node);
/* Removes the node, if it has neither routes nor children, and then each ancestor that has neither. */
void index_group_prune(struct index_slot filter, uint32_t group);

#endif
