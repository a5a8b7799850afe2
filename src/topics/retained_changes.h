/* Retained messages that all nodes of a cluster have (docs/decisions/0036-retained-messages-on-every-node.md). Each
 * change of a topic has a stamp, and the highest one wins on every node (cluster/common/stamp.h). Here is what a node
 * does with changes, its own and others', and what it says of what it has, so that two nodes find where they differ.
 *
 * Messages below $SYS have no stamps, except the state of bridges: they are each node's own.
 *
 * Any thread; each call takes the tree's lock, and none holds it for long. */
#ifndef TOPICS_RETAINED_CHANGES_H
#define TOPICS_RETAINED_CHANGES_H

#include "cluster/common/stamp.h"
#include "topics/retained.h"
#include "topics/retained_buckets.h"

/* Stamps that one call looks at. They lie one after the other: some 10 us. */
#define RETAINED_LIST_VISITS_MAX 4096u

/* The tree has stamps from here on. Those that the previous program noted in the arena with retained_save() are found;
 * what has none counts as older than every stamp. key: the cluster's, of the topics' hashes. node: the hash of this
 * node's name, the same on all nodes. Right after retained_new(). ERROR_NO_MEMORY. */
enum error retained_stamp(struct retained *retained, const struct hash_key *key, uint64_t node,
			  const struct arena *arena);
/* Never changes once other threads use the tree. */
bool retained_is_stamped(const struct retained *retained);

struct retained_change {
	uint64_t wall_ms;   /* now */
	uint32_t now_s;     /* now, on the gateway's clock */
	struct stamp stamp; /* of a change that another node made; none: it is made here, and gets one */
};
struct retained_result {
	uint64_t number; /* as of retained_set(): to be told to the journal; 0: nothing has changed */
	/* Of the change that was made here, or the newer one that was there; none: it has no stamp, and is this node's
	 * alone. */
	struct stamp stamp;
	bool is_older; /* another node's change: there is the same one, or a newer one */
	bool is_ahead; /* another node's stamp is too far ahead of the clock */
};

/* retained_set() in a cluster. An empty payload, and a message that has expired, leave a tombstone. Without stamps it
 * is retained_set(). ERROR_LIMIT, ERROR_NO_MEMORY: nothing has changed. */
enum error retained_apply(struct retained *retained, const struct publication *publication, const uint8_t *packet,
			  const struct retained_change *change, struct retained_result *result);
/* What a restart found: the message has this stamp, change->stamp; none: it is from before there were stamps. As
 * retained_apply(), or retained_set() where there are no stamps, but it is no change. */
enum error retained_restore(struct retained *retained, const struct publication *publication, const uint8_t *packet,
			    const struct retained_change *change);
/* The same of what retained_tell_cleared_step() told; nothing where there are no stamps. Without memory a tombstone is
 * forgotten. */
void retained_restore_cleared(struct retained *retained, struct slice topic, const struct retained_change *change);

/* Another node has taken the topic of this hash away, of which no more is known; nothing happens if there is no
 * message. cleared: as for one that has expired, with the stamp of the change. True: a message went. */
bool retained_clear(struct retained *retained, uint64_t topic, const struct retained_change *change,
		    retained_expired *cleared, void *context);

/* Forgets up to count_max tombstones that are old. True: there may be more. */
bool retained_forget(struct retained *retained, uint32_t now_s, uint32_t count_max);

/* ---- what there is ---- */

struct retained_state {
	uint64_t time;      /* of the clock */
	uint64_t forgotten; /* of the latest tombstone that was forgotten; 0: none was */
	uint64_t shared;    /* retained_set_shared() */
	uint64_t collisions;
	uint64_t refused; /* other nodes' changes for which there was no room: this node lacks some, and says so */
	uint64_t too_far_ahead;
	uint32_t entries;       /* messages and tombstones */
	uint32_t cleared;       /* tombstones */
	uint64_t cleared_early; /* that were forgotten because there were too many */
};
struct retained_state retained_state(struct retained *retained);

/* A number for each part, by which two nodes see which parts differ. counts: entries, or NULL. */
void retained_digest(struct retained *retained, uint64_t digest[RETAINED_BUCKETS], uint32_t counts[RETAINED_BUCKETS]);

struct retained_item {
	uint64_t topic;
	struct stamp stamp;
	bool is_cleared;
};
/* Up to count_max entries of these parts, from the place *next on, which is 0 at first. What is set or taken away
 * between two calls may be passed or not. Looks at RETAINED_LIST_VISITS_MAX at most. *next: 0: that was all. */
uint32_t retained_list(struct retained *retained, const struct retained_buckets *buckets, uint32_t *next,
		       struct retained_item *items, uint32_t count_max);
/* False: the topic of this hash is not known. */
bool retained_find(struct retained *retained, uint64_t topic, struct retained_item *item);
/* Calls `visit` for the message of this topic, with the lock held. False: there is none, or it has expired. */
typedef void retained_value(void *context, const struct publication *publication, const uint8_t *packet,
			    struct stamp stamp);
bool retained_read(struct retained *retained, uint64_t topic, uint32_t now_s, retained_value *visit, void *context);

/* Another node has all of this node's changes before this time: for the next start, by which time others may have
 * forgotten what they have taken away since. Goes forth and back. */
void retained_set_shared(struct retained *retained, uint64_t time);

/* Called with the lock held. topic: empty for what is told first, which is not a topic's: 1 more than the time of the
 * latest tombstone that was forgotten, and as node the time of retained_set_shared(). False: stops the step. */
typedef bool retained_told_cleared(void *context, struct slice topic, struct stamp stamp, uint64_t number);
/* As retained_tell_step(), for tombstones. *next: 0 at first, and when it is over, which is when it returns true. */
/* That first item alone. */
struct stamp retained_times(struct retained *retained, uint64_t *number);
bool retained_tell_cleared_step(struct retained *retained, uint32_t *next, uint32_t *visits,
				retained_told_cleared *told, void *context);

#endif
