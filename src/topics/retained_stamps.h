/* The stamps of retained messages (cluster/common/stamp.h), which exist only where the gateway is a node of a cluster:
 * for each topic that has or had a message, when that was set or taken away, and by which node. Topics are named by 64
 * bits of a hash under a key that all nodes of the cluster have.
 *
 * A topic whose message was taken away, or has expired, stays as a *tombstone*: so an older message that another node
 * still has does not come back. Tombstones are forgotten when there are too many or they have become old, the oldest
 * first; `forgotten` is the latest stamp of such a one. All belongs to the tree, and is used with its lock
 * (topics/retained_state.h). An entry holds its topic's node in the tree.
 *
 * 48 bytes an entry, and 4 to 6 in the table. */
#ifndef TOPICS_RETAINED_STAMPS_H
#define TOPICS_RETAINED_STAMPS_H

#include "base/hash.h"
#include "cluster/common/stamp.h"
#include "memory/table.h"
#include "topics/retained_buckets.h"

struct stamp_entry {
	struct table_node table; /* first: the pool's link may overwrite the hash */
	uint64_t topic;
	struct stamp stamp;
	uint32_t node;  /* of the tree; 0: the entry is free */
	uint32_t older; /* of tombstones */
	uint32_t newer;
	uint32_t cleared_s; /* when it became a tombstone, never 0; 0: the topic has a message */
};
_Static_assert(sizeof(struct stamp_entry) == 48, "the cost of a stamp in docs/decisions/0036");

struct retained_stamps {
	struct hash_key key;
	struct stamp_clock clock;
	struct pool entries;
	struct table table;
	uint32_t oldest; /* tombstone */
	uint32_t newest;
	uint32_t cleared; /* tombstones */
	uint32_t cleared_max;
	uint64_t forgotten;                /* time of the latest tombstone that was forgotten */
	uint64_t shared;                   /* what is older than this time others have had as well */
	uint64_t cleared_forgotten;        /* how many were, before their time */
	uint64_t collisions;               /* changes of topics whose hash another topic has */
	uint64_t refused;                  /* changes by others for which there was no room */
	uint64_t digest[RETAINED_BUCKETS]; /* of messages, not of tombstones */
	uint32_t count[RETAINED_BUCKETS];  /* of entries */
};

static inline uint32_t retained_bucket_of(uint64_t topic)
{
	return (uint32_t)(topic >> (64 - RETAINED_BUCKET_BITS));
}

static inline struct stamp_entry *stamp_entry_at(const struct retained_stamps *stamps, uint32_t entry)
{
	return pool_at(&stamps->entries, entry);
}

/* NULL: no memory. */
struct retained_stamps *retained_stamps_new(const struct hash_key *key, uint64_t node, uint32_t messages_max);
/* stamps may be NULL. */
void retained_stamps_free(struct retained_stamps *stamps);

/* 0: there is none. */
uint32_t retained_stamps_find(const struct retained_stamps *stamps, uint64_t topic);
/* Of a topic that has none; for this node of the tree, as one that has a message. 0: no memory. */
uint32_t retained_stamps_add(struct retained_stamps *stamps, uint64_t topic, uint32_t node);
/* Lets go of an entry, whatever it is. */
void retained_stamps_remove(struct retained_stamps *stamps, uint32_t entry);
/* Its topic was changed. cleared_s: 0: it has a message. */
void retained_stamps_set(struct retained_stamps *stamps, uint32_t entry, struct stamp stamp, uint32_t cleared_s);

#endif
