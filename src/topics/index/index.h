/* The routing index: from topic filters to the shards that have subscribers. All shards share one. Every PUBLISH reads
 * it. SUBSCRIBE, UNSUBSCRIBE and the end of a client write it, on all cores. It is built for millions of filters, most
 * of them exact and with one subscriber. Any thread that is registered as a reader may call (topics/index/rcu.h).
 *
 * Hash and trie. A filter without wildcards is found by one look-up in a hash table, and a match of a topic that only
 * such filters match ends there. Filters with wildcards are in a trie by level, which is walked only while there are
 * any. Its nodes are in a hash table too, keyed by parent and level: a level with a million children costs as much as
 * one with two. There is one node for each distinct filter, of 28 bytes and its text (index_part.h). It holds the route
 * itself where one shard has subscribers, else a table with one route for each shard. What a route's index means is up
 * to that shard (subscriptions/subscriptions.h).
 *
 * Parts. Exact filters are spread over 16 parts by their hash, and the trie is the 17th. Each part has a writer's lock,
 * a slab and a hash table, so shards that subscribe at the same time rarely wait for each other. The trie is one part:
 * a filter's levels would hash to different ones, and a writer would have to lock several.
 *
 * RCU. Readers take no lock and write no shared cache line (topics/index/rcu.h). A node that is unlinked keeps its own
 * links and is freed after a grace period. A reader may hold nodes until its thread is quiescent, at the end of its
 * turn.
 *
 * Growth without a pause. A rehash of a million nodes would stop every writer of the part, and nodes cannot move under
 * readers. So each node has two chain links. A table twice as large is linked through the other one, four old buckets
 * with each insertion, and published when it is complete. The next growth waits until nobody can read the old table.
 *
 * Matching in slices. Strangers choose the filters, and with ones like "+/a/+/a" in all combinations a match visits
 * every node they made. So a match stops after a number of units and goes on in a later turn. As nodes may be freed in
 * between, it remembers a path, by name or by `+` at each level, and walks it again.
 *
 * Shared subscriptions [4.8.2]. Each group has a node that hangs on its filter's node, and a match yields one route for
 * it: shards take turns, weighted by their connected members. The groups of a filter form a binary tree by the bits of
 * their hash, so that a path names a place there too. In a list, a match could not resume after a removal, and removing
 * one of a million would walk them all.
 *
 * Hazards. A route may be stale: a record can be on its way to a shard while its subscription ends there. The receiver
 * compares the generation. It has 16 bits, so a record must not outlive 65,536 reuses of one place. A thread may hold
 * one slot at a time, and must not wait for deferred frees meanwhile, because these take the parts' locks. Without
 * memory for a batch of nodes to free, a removed node is leaked; waiting for readers under the lock would be worse.
 *
 * Not done: a read-write lock (its counter is a cache line that all cores write), an index for each shard (a PUBLISH
 * would have to ask all of them), and a cache of topics to routes (every SUBSCRIBE would have to invalidate it). */
#ifndef TOPICS_INDEX_H
#define TOPICS_INDEX_H

#include "base/hash.h"
#include "topics/index/routes.h"

struct arena;

void routes_fini(struct routes *routes);
/* ERROR_NO_MEMORY. */
enum error routes_add(struct routes *routes, route_bits route);
/* Replaces what it holds by this one route. ERROR_NO_MEMORY. */
enum error routes_set(struct routes *routes, route_bits route);

/* shards: their number, 1 to INDEX_SHARDS_MAX. The key is copied. arena: where its memory is, or NULL (memory/arena.h).
 * NULL: out of memory; or what is in an arena that was adopted is none of so many shards. */
struct index *index_new(uint16_t shards, const struct hash_key *key, struct arena *arena);
/* Notes what lies beside its memory, for the program that adopts the arena. Where something still waits
 * for a grace period it takes 10 ms, else less than one. No other thread uses the index. */
enum error index_save(struct index *index, const struct arena *arena);
/* No other thread may use it any more. Blocks until all deferred frees are done. */
void index_free(struct index *index);

/* Matches a valid topic name [4.7], as a reader. Adds the routes to *routes, in no particular order. One call is a
 * slice: it does about routes->units_left units of work and counts them down. Visiting a node is one unit, finding a
 * route another. *place is all zero at first. ERROR_MORE: another call with the same place goes on, in this turn or a
 * later one. ERROR_NO_MEMORY: routes cannot grow; discard what was added. *place is unchanged. */
enum error index_match(const struct index *index, struct slice topic, struct index_place *place, struct routes *routes);

/* Locks the part of a valid filter and finds its node, or makes it if `create`. Node 0: there is none, or with `create`
 * no memory. index_leave() must follow in any case. */
struct index_slot index_find(struct index *index, struct slice filter, bool create);
/* The same for a shared subscription: its ShareName and the filter after it [4.8.2]. */
struct index_slot index_find_group(struct index *index, struct slice group, struct slice filter, bool create);
/* Locks a node that is known to exist, by its index_name(). */
struct index_slot index_enter(struct index *index, uint32_t name);
/* Unlocks. A node without routes is removed first. */
void index_leave(struct index_slot slot);

/* A number that identifies the node as long as it has routes; never 0. */
uint32_t index_name(struct index_slot slot);
/* Writes the filter of a node that is known to exist, as it was subscribed to ("$share/group/filter"). Locks the part.
 * Returns the size in bytes; 0: it does not fit. */
size_t index_filter_text(struct index *index, uint32_t name, uint8_t *out, size_t out_size);
/* The bytes that the filter of a node that is known to exist takes in the index, as if no other filter shared any of
 * its levels. Takes no lock, so the caller may hold it. */
uint32_t index_filter_bytes(const struct index *index, uint32_t name);
/* One shard's route; 0: it has none. */
route_bits index_route(struct index_slot slot, uint16_t shard);
/* Sets one shard's route, or removes it with 0. Neither removing nor replacing one can fail. ERROR_NO_MEMORY. */
enum error index_set_route(struct index_slot slot, uint16_t shard, route_bits route);

/* Members of a shared subscription on one shard. The index keeps at most 65,535 of each. */
struct index_members {
	uint32_t live; /* connected */
	uint32_t free; /* connected, and no message waits for them */
};
/* Sets the shard's weight in the turns: its free members, or its connected ones where no shard has a free member. Does
 * nothing for a node without a route table. */
void index_set_members(struct index_slot slot, uint16_t shard, struct index_members members);
/* The route of the shard whose turn it is in a shared subscription; 0: no shard has a connected member. */
route_bits index_pick_live(struct index_slot slot, struct routes *turns);

/* The same for any member; 0: there is none. */
route_bits index_pick(struct index_slot slot, struct routes *turns);

/* ---- in a cluster ----
 *
 * A watcher hears which filters have subscribers here, so that other nodes can be told; and what other nodes tell is
 * entered here: for a filter with wildcards that one of its clients has it, for a shared subscription a route with
 * members, as of one more shard. Of exact filters only this node's own are here (cluster/publish/digest.h has the
 * others'). A match adds the slots of nodes that it finds to routes->peers, and a shared subscription may yield the
 * number `shards` + slot as the shard of its route. */

/* Puts the index into a cluster. Once, before another thread uses the index. The watcher is told of nothing before
 * index_tell_some(). arena: as for index_new(). ERROR_NOT_FOUND: the memory was adopted from a program that was in no
 * cluster, and lacks what is needed. */
enum error index_watch(struct index *index, const struct index_watcher *watcher, bool prefers_local,
		       struct arena *arena);
/* Tells the watcher of filters that are there, some with each call, and gives back what an earlier program held of
 * other nodes. A filter that has been told of, or that would have been, is watched from then on; all are when this
 * returns false. One thread at a time. */
bool index_tell_some(struct index *index);
/* From now on the watcher is told of nothing. */
void index_tell_no_more(struct index *index);
/* Whether there is a watcher. Then routes have to say where all their subscribers are Roost's own (ROUTE_OWN). */
bool index_is_watched(const struct index *index);

enum index_kind {
	INDEX_EXACT,
	INDEX_WILDCARD,
	INDEX_GROUP,
};
enum index_kind index_kind(struct index_slot slot);
/* The filter of a locked node of INDEX_EXACT. */
struct slice index_exact_text(struct index_slot slot);
/* As index_filter_text(), of a locked node. */
size_t index_slot_text(struct index_slot slot, uint8_t *out, size_t out_size);
/* The members of a shared subscription on this node. */
struct index_members index_local_members(struct index_slot slot);
/* Calls the function with the part locked; parts: 0 to INDEX_WATCH_PARTS - 1. What it may do: see struct
 * index_watcher. */
#define INDEX_WATCH_PARTS 17u
void index_with_part(struct index *index, uint32_t part, void (*visit)(void *context), void *context);
/* The locked part's node with this index_name(), for index_with_part(). */
struct index_slot index_slot_of(struct index *index, uint32_t name);
uint32_t index_part_of_name(uint32_t name);

/* Another node has subscribers for the filter, or no longer has. It may be called with false for a node that never had
 * any. ERROR_NO_MEMORY: only if it begins. */
enum error index_set_peer(struct index_slot slot, uint8_t peer, bool wants);
/* The same for a shared subscription. route: of kind ROUTE_ONE, whose shard is the index's `shards` + peer, and what
 * else it says is the caller's; 0: the node has no members any more. */
enum error index_set_peer_group(struct index_slot slot, uint8_t peer, route_bits route, struct index_members members);
/* Its members alone. */
void index_set_peer_members(struct index_slot slot, uint8_t peer, struct index_members members);
/* As index_pick(), among the members on this node. */
route_bits index_pick_here(struct index_slot slot, struct routes *turns);

/* Distinct filters, and bytes in use, for statistics. */
struct index_size {
	uint64_t filters;
	uint64_t bytes;
};
struct index_size index_size(struct index *index);

#endif
