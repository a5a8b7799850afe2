/* The routing index: topic filters to the shards that have subscribers, shared by all shards. Exact filters are in hash
 * tables, those with wildcards in a trie by level, one node a distinct filter. Readers (every PUBLISH) take no lock;
 * writers (SUBSCRIBE, UNSUBSCRIBE, a client's end) lock one part of it. See topics/rcu.h for who may read.
 *
 * A shared subscription [4.8.2] is a node of its own that hangs on its filter's. A match yields one route of it: the
 * shards take turns by how many connected members each has.
 *
 * A match goes in slices: strangers make the filters, and so decide how many nodes it visits.
 *
 * A node with subscribers on one shard holds that shard's route itself; with more, it has one route a shard. What a
 * route's index means is the shard's own affair (subscriptions/subscriptions.h): the generation tells it a stale one,
 * which can reach it in a record that was under way while the subscription ended. */
#ifndef TOPICS_INDEX_H
#define TOPICS_INDEX_H

#include "base/hash.h"
#include "topics/routes.h"

void routes_fini(struct routes *routes);
/* Makes it hold just this one. ERROR_NO_MEMORY. */
enum error routes_set(struct routes *routes, route_bits route);

/* shards: how many there are at most. bytes_max: of each of the parts. NULL: out of memory. */
struct index *index_new(uint16_t shards, const struct hash_key *key);
/* No thread may read it any more. */
void index_free(struct index *index);

/* Adds routes for a (checked) topic name to *routes, in no order. A slice does about routes->units_left units of work,
 * and counts them down: a node that it visits is one, a route that it finds another. ERROR_MORE: there is more; another
 * call with the same place goes on, also in a later turn. A place of zeros begins. ERROR_NO_MEMORY: routes cannot grow;
 * what was added is to be thrown away, and *place is as it was. */
enum error index_match(const struct index *index, struct slice topic, struct index_place *place, struct routes *routes);

/* Locks and finds the (checked) filter's node, or makes it where `create`. index_leave() must follow in any case. */
struct index_slot index_find(struct index *index, struct slice filter, bool create);
/* The same for the node of a shared subscription: the group's name and the filter behind it. */
struct index_slot index_find_group(struct index *index, struct slice group, struct slice filter, bool create);
/* Locks a node that is known to be there, by what index_name() told. */
struct index_slot index_enter(struct index *index, uint32_t name);
/* Unlocks; a node without routes is gone afterwards. */
void index_leave(struct index_slot slot);

/* A node's name for as long as it has routes. */
uint32_t index_name(struct index_slot slot);
/* Writes the filter of a node that is known to be there, by its name, as it was subscribed to ("$share/group/filter").
 * Returns its size; 0: it does not fit. */
size_t index_filter_text(struct index *index, uint32_t name, uint8_t *out, size_t out_size);
/* What the filter of a node that is known to be there takes of the index, in bytes, as if nobody else had it or a part
 * of it. Takes no lock: the node may be locked. */
uint32_t index_filter_bytes(const struct index *index, uint32_t name);
/* One shard's route, or 0. */
route_bits index_route(struct index_slot slot, uint16_t shard);
/* Sets one shard's route; 0 takes it away, which never fails. */
enum error index_set_route(struct index_slot slot, uint16_t shard, route_bits route);

/* Of a shared subscription, on one shard; what is above 65,535 counts as that. */
struct index_members {
	uint32_t live; /* connected */
	uint32_t free; /* of them, those for whom nothing waits */
};
/* What the shard has of it: its weight in the turns are the members that are free, or where none is on any shard those
 * that are connected. */
void index_set_members(struct index_slot slot, uint16_t shard, struct index_members members);
/* The route of a shared subscription whose turn it is; 0: no shard has a connected member. */
route_bits index_pick_live(struct index_slot slot, struct routes *turns);

/* Distinct filters, and bytes in use, for statistics. */
struct index_size {
	uint64_t filters;
	uint64_t bytes;
};
struct index_size index_size(struct index *index);

#endif
