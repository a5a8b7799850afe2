/* What one peer has told of its filters (nodes/interest/interest.h), entered into the routing index and the digest that
 * shards ask. By the nodes thread. */
#ifndef NODES_PEER_FILTERS_H
#define NODES_PEER_FILTERS_H

#include "base/slice.h"
#include "nodes/interest/name_table.h"
#include "runtime/nodes/node_filters.h"

/* A filter with wildcards or a shared subscription of the peer. */
struct peer_filter {
	uint32_t name;  /* the peer's */
	uint32_t node;  /* index_name() here */
	uint32_t round; /* of telling all, in which it was told last */
	struct index_members members;
	uint16_t generation;
	uint8_t kind; /* enum index_kind */
};

struct peer_filters {
	struct index *index;
	struct node_filters *filters; /* the gateway's: of all slots */
	uint16_t shard_count;
	uint8_t slot;
	bool is_away;   /* its shared subscriptions have no members that count */
	bool is_all;    /* it said that it wants everything, or what it told is too much */
	uint32_t round; /* of telling all; 0: it told nothing yet */
	struct peer_filter *items;
	uint32_t count;
	uint32_t capacity;
	struct name_table places;  /* in items, by the peer's name */
	struct name_table by_node; /* the same by the node of the index: a filter is there once, whatever its name */
};

void peer_filters_init(struct peer_filters *peer, uint8_t slot, struct index *index, struct node_filters *filters,
		       uint16_t shard_count);
/* Withdraws all that it told. */
void peer_filters_fini(struct peer_filters *peer);

/* The bodies of the messages of the peer (nodes/interest/interest_kinds.h). False: they do not follow the protocol, and
 * had no effect. */
void peer_filters_begin(struct peer_filters *peer);
bool peer_filters_range(struct peer_filters *peer, struct slice body);
bool peer_filters_exact(struct peer_filters *peer, struct slice body);
bool peer_filters_other(struct peer_filters *peer, struct slice body);
bool peer_filters_other_ends(struct peer_filters *peer, struct slice body);
bool peer_filters_members(struct peer_filters *peer, struct slice body);
bool peer_filters_end(struct peer_filters *peer, struct slice body);
/* Ranges whose sums are others here: their numbers into ranges[], and how many. */
bool peer_filters_sums(const struct peer_filters *peer, struct slice body, uint8_t ranges[DIGEST_RANGES],
		       uint32_t *count);

/* The peer is away, or no longer: what shared subscriptions have elsewhere goes first. */
void peer_filters_set_away(struct peer_filters *peer, bool is_away);
/* Another member of the peer's shared subscription, anywhere; 0: there is none. */
route_bits peer_filters_pick_other(const struct peer_filters *peer, uint32_t name, uint16_t generation,
				   struct routes *turns);

#endif
