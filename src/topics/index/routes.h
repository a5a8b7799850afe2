/* What a match in the routing index finds, and how far it has got (topics/index/index.h). Plain data. */
#ifndef TOPICS_ROUTES_H
#define TOPICS_ROUTES_H

#include "base/error.h"
#include "base/slice.h"
#include "mqtt/field/protocol.h"

#include <stdbool.h>
#include <stdint.h>

#define INDEX_SHARDS_MAX 4096u

enum route_kind {
	ROUTE_NONE,
	ROUTE_ONE,  /* one subscription of that shard */
	ROUTE_LIST, /* a list of subscriptions of that shard */
	ROUTE_MANY, /* inside the index only: one route for each shard, and shared subscriptions */
};

/* How many other nodes of a cluster the index has room for (cluster/wire/message.h). Their numbers follow those of
 * shards.
 */
#define INDEX_PEERS_MAX 64u

/* 64 bits, so that a reader never sees half of an update. From the lowest bit: 32 of index, 16 of generation, 13 of
 * shard, 1 that says that all its subscribers are Roost's own, 2 of kind. */
typedef uint64_t route_bits;
#define ROUTE_OWN ((route_bits)1 << 61) /* set in clusters alone: other nodes do not have to know of it */
#define ROUTE_SHARDS_MAX (1u << 13)
_Static_assert(INDEX_SHARDS_MAX + INDEX_PEERS_MAX < ROUTE_SHARDS_MAX, "a route has 13 bits for its shard");
_Static_assert(ROUTE_MANY < 1u << 2, "a route has two bits for its kind");

static inline route_bits route_make(enum route_kind kind, uint16_t shard, uint16_t generation, uint32_t index)
{
	return (route_bits)index | (route_bits)generation << 32 | (route_bits)shard << 48 | (route_bits)kind << 62;
}

static inline enum route_kind route_kind(route_bits route)
{
	return (enum route_kind)(route >> 62);
}

static inline uint16_t route_shard(route_bits route)
{
	return (uint16_t)(route >> 48 & (ROUTE_SHARDS_MAX - 1));
}

static inline uint16_t route_generation(route_bits route)
{
	return (uint16_t)(route >> 32);
}

static inline uint32_t route_index(route_bits route)
{
	return (uint32_t)route;
}

/* Every slice gets at least this many units. It first walks again to the place where the last one stopped, which takes
 * up to 128 for the longest topic (index_walk.c), and must get beyond that place. */
#define INDEX_UNITS_MIN 256

#define ROUTES_PICKS 251u /* a prime, because the references of nodes are a few units apart */

/* What a match is to find, where the gateway is in a cluster; else all mean the same. */
enum routes_scope {
	ROUTES_ALL,
	ROUTES_HERE,    /* nothing of other nodes: for a topic that does not leave this one */
	ROUTES_ARRIVED, /* for a message of another node: shards alone, without shared subscriptions and without routes
			   to Roost's own clients */
};

/* The routes that a slice of a match found. The array grows to the largest slice, and never shrinks. One thread's. */
struct routes {
	route_bits *items;
	uint64_t peers; /* other nodes, a bit each, one of whose filters with wildcards matches: only ever added to */
	uint32_t count;
	uint32_t capacity;
	uint8_t scope;      /* enum routes_scope: set by the caller */
	int32_t units_left; /* work that the slice may still do; may end slightly below 0 */
	/* Picks made so far for shared subscriptions, by their node: they say whose turn it is. With a single counter,
	 * two subscriptions whose messages alternate would advance each other's turns, and some members would never be
	 * picked. Two nodes that share a counter still do that. */
	uint32_t picks[ROUTES_PICKS];
};

/* Where a match stopped. */
enum index_stage {
	INDEX_BEGIN,        /* not started -> any */
	INDEX_EXACT_GROUPS, /* in the shared subscriptions of the exact filter -> itself, or a later stage */
	INDEX_NODE,         /* about to visit a node of the trie -> itself, or a later stage */
	INDEX_MULTI_GROUPS, /* in the shared subscriptions of the node's `#` -> any but the first two */
	INDEX_END_GROUPS,   /* in those of the node itself, which matches the whole topic -> any but the first two */
};

/* It is a path, not a node, so it stays valid while the index changes between two slices: a filter that exists the
 * whole time is found exactly once, one that comes or goes meanwhile is found at most once. */
struct index_place {
	uint64_t choices[2]; /* one bit a level, from the root to the node: 1 for `+`, 0 for the level's name */
	uint32_t group;      /* the path in the tree of shared subscriptions: bits of a hash, lowest first */
	uint8_t group_depth;
	uint8_t depth;
	uint8_t stage; /* enum index_stage */
};
_Static_assert(sizeof(((struct index_place *)0)->choices) * 8 >= MQTT_TOPIC_LEVELS_MAX, "one bit for each level");
_Static_assert(MQTT_TOPIC_LEVELS_MAX <= UINT8_MAX, "index_place.depth holds every depth");

struct index;

/* A filter's node. Its part of the index is locked from index_find() or index_enter() until index_leave(). */
struct index_slot {
	struct index *index;
	uint32_t part;
	uint32_t node; /* slab reference; 0: the filter has no node */
};

/* Told with the part locked, by whichever thread makes the change: must not block, nor call anything here but what
 * takes a slot. begins: the filter has its first subscriber here that is none of Roost's own; else it has lost its last
 * one. */
struct index_watcher {
	void (*changed)(void *context, struct index_slot slot, bool begins);
	void *context;
};

#endif
