/* The entries of a batch by the stream that they go to, since streams of a cluster lie on different nodes, and one that
 * moves moves by itself. Pure; owned by one thread. */
#ifndef RELAY_STREAM_ENTRY_GROUPS_H
#define RELAY_STREAM_ENTRY_GROUPS_H

#include "base/hash.h"
#include "relay/entry/entry_batch.h"

/* Entries of one stream. */
struct entry_group {
	uint32_t first; /* in order */
	uint32_t count;
	uint32_t sample; /* the batch's first entry of it */
	uint16_t slot;
};

struct entry_groups {
	struct entry_group *items; /* in the order of their first entries */
	uint32_t count;
	uint32_t *order; /* numbers of the batch's entries: group by group, each in the batch's order */
	/* Its own. */
	uint32_t capacity;
	uint32_t *group_of; /* by entry */
	uint32_t *places;   /* a hash table of groups, from 1 on; 0: free */
	struct hash_key key;
};

void entry_groups_init(struct entry_groups *groups);
void entry_groups_free(struct entry_groups *groups);
/* Replaces the groups by those of this batch. false: memory is short, and there are none. */
bool entry_groups_make(struct entry_groups *groups, const struct entry_batch *batch);

#endif
