/* What shards and the nodes thread know of filters on either side.
 *
 * Own filters. The index tells which filters have subscribers on this node (topics/index/index.h, index_watch()). It
 * does so with a part of it locked, on the thread of whoever subscribes. What it tells is noted here, under the same
 * lock, and the nodes thread takes the notes of a part with one exchange under that lock. A note is there before the
 * SUBACK leaves, and before any message that the client publishes then. For an exact filter it is 8 bytes.
 *
 * Filters of other nodes. For each slot there is a digest of exact filters (cluster/publish/digest.h), which shards ask
 * once a message, as readers (topics/index/rcu.h). The nodes thread alone changes them. They belong to the gateway, so
 * that shards may ask at any time, whether that thread runs or not.
 *
 * Only where the gateway is in a cluster. */
#ifndef RUNTIME_NODE_FILTERS_H
#define RUNTIME_NODE_FILTERS_H

#include "base/hash.h"
#include "cluster/publish/digest.h"
#include "cluster/wire/message.h"
#include "topics/index/index.h"

/* Notes that a part may hold. With more it says that it lost some, and all is told again. */
#define NODE_FILTERS_NOTES_MAX (1u << 20)

/* Of a filter with wildcards, or a shared subscription. */
struct filter_note {
	uint32_t name; /* index_name() */
	uint8_t kind;  /* enum index_kind */
	bool begins;
	uint16_t text_bytes; /* 0 where it ends */
	uint8_t text[];
};

/* What a part of the index has told. The taker frees the arrays and the notes in them (filter_notes_free()). */
struct filter_notes {
	uint64_t *exact; /* the fingerprint, and at FILTER_NOTE_BEGINS whether it begins */
	struct filter_note **others;
	uint32_t exact_count;
	uint32_t exact_capacity;
	uint32_t other_count;
	uint32_t other_capacity;
	bool is_lost; /* memory was short, or there were too many: nothing of the index's is certain */
};
#define FILTER_NOTE_BEGINS ((uint64_t)1 << 32)

struct node_filters {
	struct hash_key key; /* of fingerprints: the same on all nodes of the cluster */
	/* Slots: written by the nodes thread, read by shards. */
	_Atomic uint64_t known;      /* to which messages go; 0 while the nodes thread does not run */
	_Atomic uint64_t unknown;    /* whose filters are not known: they want everything */
	_Atomic uint64_t away;       /* what goes to them waits */
	_Atomic uint64_t has_digest; /* whose digest has anything */
	_Atomic bool held;           /* who has subscribers is not known: nothing that is acknowledged may pass by */
	struct digest digests[NODES_MAX];
	uint32_t retired; /* blocks of these since the last wait for those who may read them; the nodes thread's */
	/* Own filters. */
	_Alignas(64) _Atomic uint32_t told; /* parts with notes, a bit each */
	struct filter_notes notes[INDEX_WATCH_PARTS];
	void (*wake)(void *context); /* the nodes thread; called with a part of the index locked */
	void *wake_context;
};
_Static_assert(INDEX_WATCH_PARTS <= 32, "a bit for each part");
_Static_assert(NODES_MAX <= INDEX_PEERS_MAX && NODES_MAX <= 64, "a bit for each slot");

/* cluster: its name. */
struct node_filters *node_filters_new(const char *cluster, void (*wake)(void *context), void *context);
/* No other thread uses it any more. filters may be NULL. */
void node_filters_free(struct node_filters *filters);

/* For index_watch(); context: the node_filters. */
void node_filters_changed(void *context, struct index_slot slot, bool begins);

static inline uint32_t node_filters_fingerprint(const struct node_filters *filters, struct slice text)
{
	return (uint32_t)(hash_slice(&filters->key, text) >> 32);
}

/* The slots of nodes that may have subscribers for the topic by an exact filter, or that want everything. Any thread
 * that is registered as a reader. */
uint64_t node_filters_ask(const struct node_filters *filters, struct slice topic);
static inline uint64_t node_filters_away(const struct node_filters *filters)
{
	return atomic_load_explicit(&filters->away, memory_order_relaxed);
}
static inline uint64_t node_filters_known(const struct node_filters *filters)
{
	return atomic_load_explicit(&filters->known, memory_order_relaxed);
}

/* Whether messages that are acknowledged have to wait: the nodes thread has not heard from the others yet, or has
 * ended. A message that passed by would be acknowledged although subscribers on other nodes never get it. */
static inline bool node_filters_hold(const struct node_filters *filters)
{
	return atomic_load_explicit(&filters->held, memory_order_acquire);
}

/* ---- by the nodes thread ---- */

/* Takes the notes of a part, and calls `also` with the part still locked, unless it is NULL. */
void node_filters_take(struct node_filters *filters, struct index *index, uint32_t part, struct filter_notes *notes,
		       void (*also)(void *context), void *context);
void filter_notes_free(struct filter_notes *notes);
/* Drops all notes, and lets the index tell anew from its beginning (index_tell_some()). */
void node_filters_begin_anew(struct node_filters *filters, struct index *index);
/* Sets a slot's bit. */
static inline void node_filters_set(_Atomic uint64_t *bits, uint32_t slot, bool is_set)
{
	uint64_t bit = (uint64_t)1 << slot;
	uint64_t before = atomic_load_explicit(bits, memory_order_relaxed);
	atomic_store_explicit(bits, is_set ? before | bit : before & ~bit, memory_order_release);
}

#endif
