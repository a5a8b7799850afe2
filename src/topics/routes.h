/* What a match in the routing index finds, and how far it has come (topics/index.h). Plain data. */
#ifndef TOPICS_ROUTES_H
#define TOPICS_ROUTES_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define INDEX_SHARDS_MAX 4096u

enum route_kind {
	ROUTE_NONE,
	ROUTE_ONE,  /* one subscription of that shard */
	ROUTE_LIST, /* a list of them */
	ROUTE_MANY, /* inside the index only: one route a shard, and shared subscriptions */
};

/* Packed into 64 bits so that a reader sees it whole: index, then generation, shard and kind. */
typedef uint64_t route_bits;

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
	return (uint16_t)(route >> 48 & 0x3fffu);
}

static inline uint16_t route_generation(route_bits route)
{
	return (uint16_t)(route >> 32);
}

static inline uint32_t route_index(route_bits route)
{
	return (uint32_t)route;
}

/* A slice is given at least this much, so that it goes further than where it begins. */
#define INDEX_UNITS_MIN 256

#define ROUTES_PICKS 251u /* a prime: nodes lie in steps of a few units */

/* What a slice of a match found; grows to the largest slice and stays so. Private to a thread. */
struct routes {
	route_bits *items;
	uint32_t count;
	uint32_t capacity;
	int32_t units_left; /* work that the slice may still do; it may end somewhat below 0 */
	/* Picks so far of members of shared subscriptions, by their nodes: whose turn it is. One count for all would
	 * let those whose messages come in a rhythm take each other's turns; two that share a place still do. */
	uint32_t picks[ROUTES_PICKS];
};

/* How far a match has come. It is a path rather than a node, so that it holds although the index changes between two
 * slices: a filter that is there all the time is found once, one that comes or goes meanwhile is found or not. */
enum index_stage {
	INDEX_BEGIN,
	INDEX_EXACT_GROUPS, /* among the shared subscriptions of the exact filter */
	INDEX_NODE,         /* about to visit a node of the trie */
	INDEX_MULTI_GROUPS, /* among the shared subscriptions of its `#` */
	INDEX_END_GROUPS,   /* among its own, which matches the whole topic */
};

struct index_place {
	uint64_t choices[2]; /* on the way to the node, from the root: 1 for `+`, 0 for the level by name */
	uint32_t group;      /* the way in the tree of shared subscriptions */
	uint8_t group_depth;
	uint8_t depth;
	uint8_t stage; /* enum index_stage */
};

struct index;

/* A filter's node, with its part of the index locked between index_find/index_enter and index_leave. */
struct index_slot {
	struct index *index;
	uint32_t part;
	uint32_t node; /* slab reference; 0: not there */
};

#endif
