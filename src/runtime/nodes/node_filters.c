#include "runtime/nodes/node_filters.h"

#include "base/check.h"
#include "cluster/publish/topic_scope.h"
#include "topics/index/rcu.h"

#include <stdlib.h>

/* A filter is a UTF-8 string [1.5.4], and has "$share/group/" in it where it is shared. */
#define FILTER_TEXT_BYTES_MAX 65535u
_Static_assert(FILTER_TEXT_BYTES_MAX <= UINT16_MAX, "a note has 16 bits for its length");

/* A block that readers of a digest may hold. It is freed after a grace period; without memory for that it is leaked. */
struct retired {
	struct rcu_head rcu;
	void *block;
};

static void free_retired(struct rcu_head *head)
{
	RCU_ACQUIRE();
	struct retired *retired = caa_container_of(head, struct retired, rcu);
	free(retired->block);
	free(retired);
	RCU_RELEASE();
}

/* So many of them wait for a grace period at most, of some 500 bytes each: a peer may tell of a million filters at
 * once.
 */
#define RETIRED_MAX 1024u

static void retire(void *context, void *block)
{
	struct node_filters *filters = context;
	if (++filters->retired >= RETIRED_MAX) {
		filters->retired = 0;
		reader_await_deferred(); /* a turn of the shards */
	}
	struct retired *retired = malloc(sizeof(*retired));
	if (retired == NULL)
		return;
	retired->block = block;
	reader_defer(&retired->rcu, free_retired);
}

/* Whoever knows the cluster's name can make topics that nodes take for each other's by mistake. That costs messages
 * which go to a node for nothing, as many as he publishes himself. */
static struct hash_key key_of(const char *cluster)
{
	struct hash_key fixed = {{'r', 'o', 'o', 's', 't', ' ', 'f', 'i', 'l', 't', 'e', 'r', 's'}};
	struct hash_key key;
	uint64_t half = hash_slice(&fixed, slice_string(cluster));
	memcpy(key.bytes, &half, sizeof(half));
	fixed.bytes[15] = 1;
	half = hash_slice(&fixed, slice_string(cluster));
	memcpy(key.bytes + sizeof(half), &half, sizeof(half));
	return key;
}

struct node_filters *node_filters_new(const char *cluster, void (*wake)(void *context), void *context)
{
	struct node_filters *filters = aligned_alloc(64, sizeof(*filters));
	if (filters == NULL)
		return NULL;
	memset(filters, 0, sizeof(*filters));
	filters->key = key_of(cluster);
	filters->wake = wake;
	filters->wake_context = context;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		digest_init(&filters->digests[i], retire, filters);
	return filters;
}

void filter_notes_free(struct filter_notes *notes)
{
	for (uint32_t i = 0; i < notes->other_count; i++)
		free(notes->others[i]);
	free(notes->others);
	free(notes->exact);
	*notes = (struct filter_notes){.exact = NULL};
}

void node_filters_free(struct node_filters *filters)
{
	if (filters == NULL)
		return;
	reader_await_deferred();
	for (uint32_t i = 0; i < NODES_MAX; i++)
		digest_fini(&filters->digests[i]);
	for (uint32_t i = 0; i < INDEX_WATCH_PARTS; i++)
		filter_notes_free(&filters->notes[i]);
	free(filters);
}

/* ---- own filters ---- */

static bool node_filters_grow(void **items, uint32_t count, uint32_t *capacity, size_t item_bytes)
{
	if (count < *capacity)
		return true;
	uint32_t wanted = *capacity == 0 ? 64 : *capacity * 2;
	void *grown = count < NODE_FILTERS_NOTES_MAX ? realloc(*items, wanted * item_bytes) : NULL;
	if (grown == NULL)
		return false;
	*items = grown;
	*capacity = wanted;
	return true;
}

static bool note_exact(struct filter_notes *notes, uint32_t fingerprint, bool begins)
{
	if (!node_filters_grow((void **)&notes->exact, notes->exact_count, &notes->exact_capacity,
			       sizeof(*notes->exact)))
		return false;
	notes->exact[notes->exact_count++] = fingerprint | (begins ? FILTER_NOTE_BEGINS : 0);
	return true;
}

static bool note_other(struct filter_notes *notes, struct index_slot slot, bool begins)
{
	uint8_t text[FILTER_TEXT_BYTES_MAX];
	size_t bytes = begins ? index_slot_text(slot, text, sizeof(text)) : 0;
	if (!node_filters_grow((void **)&notes->others, notes->other_count, &notes->other_capacity,
			       sizeof(*notes->others)))
		return false;
	struct filter_note *note = malloc(sizeof(*note) + bytes);
	if (note == NULL)
		return false;
	*note = (struct filter_note){
		.name = index_name(slot),
		.kind = (uint8_t)index_kind(slot),
		.begins = begins,
		.text_bytes = (uint16_t)bytes,
	};
	memcpy(note->text, text, bytes);
	notes->others[notes->other_count++] = note;
	return true;
}

void node_filters_changed(void *context, struct index_slot slot, bool begins)
{
	CHECK_LT(slot.part, INDEX_WATCH_PARTS);
	struct node_filters *filters = context;
	struct filter_notes *notes = &filters->notes[slot.part];
	if (notes->is_lost)
		return;
	bool noted;
	if (index_kind(slot) == INDEX_EXACT) {
		struct slice text = index_exact_text(slot);
		if (!topic_leaves_node(text))
			return;
		noted = note_exact(notes, node_filters_fingerprint(filters, text), begins);
	} else {
		noted = note_other(notes, slot, begins);
	}
	notes->is_lost = !noted;
	uint32_t bit = 1u << slot.part;
	if ((atomic_load_explicit(&filters->told, memory_order_relaxed) & bit) != 0)
		return; /* nobody takes it but with the part locked */
	atomic_fetch_or(&filters->told, bit);
	filters->wake(filters->wake_context);
}

struct taking {
	struct node_filters *filters;
	struct filter_notes *notes;
	void (*also)(void *context);
	void *context;
	uint32_t part;
};

static void take_locked(void *context)
{
	struct taking *taking = context;
	struct filter_notes *notes = &taking->filters->notes[taking->part];
	atomic_fetch_and(&taking->filters->told, ~(1u << taking->part));
	*taking->notes = *notes;
	*notes = (struct filter_notes){.exact = NULL};
	if (taking->also != NULL)
		taking->also(taking->context);
}

void node_filters_take(struct node_filters *filters, struct index *index, uint32_t part, struct filter_notes *notes,
		       void (*also)(void *context), void *context)
{
	CHECK_LT(part, INDEX_WATCH_PARTS);
	struct taking taking = {filters, notes, also, context, part};
	index_with_part(index, part, take_locked, &taking);
}

void node_filters_begin_anew(struct node_filters *filters, struct index *index)
{
	index_tell_no_more(index);
	for (uint32_t part = 0; part < INDEX_WATCH_PARTS; part++) {
		struct filter_notes notes = {.exact = NULL};
		node_filters_take(filters, index, part, &notes, NULL, NULL);
		filter_notes_free(&notes);
	}
}

/* ---- other nodes ---- */

uint64_t node_filters_ask(const struct node_filters *filters, struct slice topic)
{
	uint64_t wants = atomic_load_explicit(&filters->unknown, memory_order_relaxed);
	uint64_t left = atomic_load_explicit(&filters->has_digest, memory_order_relaxed) & ~wants;
	if (left == 0)
		return wants;
	uint32_t fingerprint = node_filters_fingerprint(filters, topic);
	for (; left != 0; left &= left - 1) {
		uint32_t slot = (uint32_t)__builtin_ctzll(left);
		if (digest_has(&filters->digests[slot], fingerprint))
			wants |= (uint64_t)1 << slot;
	}
	return wants;
}
