#include "topics/index/index_part.h"
#include "base/layout_root.h"

#include "base/check.h"
#include "memory/notes.h"

#include <stdio.h>
#include <stdlib.h>

LAYOUT_ROOT(index_node);
LAYOUT_ROOT(index_links);

#define BUCKETS_MIN 64u
_Static_assert((BUCKETS_MIN & (BUCKETS_MIN - 1)) == 0, "the bucket is the last bits of a hash");
/* Old buckets that an insertion links into the new table. Growing from n buckets, the new table is complete after n/4
 * insertions, and full after n. */
#define GROW_BUCKETS_PER_STEP 4u
#define LIMBO_BLOCKS 62u

#if defined(__SANITIZE_THREAD__)
char rcu_grace;
#endif

struct index_limbo {
	struct rcu_head rcu;
	struct index_part *part;
	uint32_t count;
	struct {
		uint32_t ref;
		uint32_t bytes;
	} blocks[LIMBO_BLOCKS];
};

/* With the part's lock, when nobody reads the blocks any more. Frees the limbo itself, too. */
static void limbo_empty(struct index_limbo *limbo)
{
	CHECK_LE(limbo->count, LIMBO_BLOCKS);
	for (uint32_t i = 0; i < limbo->count; i++)
		slab_give(&limbo->part->slab, limbo->blocks[i].ref, limbo->blocks[i].bytes);
	free(limbo);
}

/* What a part is beside its slab. A limbo is none of it: index_part_save() empties it. */
struct index_part_note {
	uint32_t block;
	uint32_t mask;
	uint32_t grown_block; /* of the table that is being built; 0: there is none */
	uint32_t grown_mask;
	uint32_t grown_buckets;
	uint32_t count;
	uint8_t side;
	uint8_t growth;
	uint16_t zero;
};
LAYOUT_ROOT(index_part_note);

static size_t buckets_bytes(uint32_t mask)
{
	return ((size_t)mask + 1) * sizeof(uint32_t);
}

/* Of a block that is a table already. */
static struct index_buckets *buckets_of_block(struct index_part *part, uint32_t block, uint32_t mask, uint8_t side)
{
	CHECK((mask & (mask + 1)) == 0 && side <= 1);
	struct index_buckets *buckets = malloc(sizeof(*buckets));
	if (buckets != NULL)
		*buckets = (struct index_buckets){
			.heads = slab_at(&part->slab, block), .mask = mask, .side = side, .block = block, .part = part};
	return buckets;
}

static struct index_buckets *buckets_new(struct index_part *part, uint32_t count, uint8_t side)
{
	uint32_t block = slab_take_zeroed(&part->slab, buckets_bytes(count - 1));
	if (block == 0)
		return NULL;
	struct index_buckets *buckets = buckets_of_block(part, block, count - 1, side);
	if (buckets == NULL)
		slab_give(&part->slab, block, buckets_bytes(count - 1));
	return buckets;
}

static bool buckets_are_sound(const struct index_part *part, uint32_t block, uint32_t mask)
{
	uint64_t top = part->slab.top_bytes;
	return block != 0 && mask >= BUCKETS_MIN - 1 && (mask & (mask + 1)) == 0 && mask <= UINT32_MAX / 2 &&
	       (uint64_t)block * SLAB_UNIT_BYTES < top &&
	       buckets_bytes(mask) <= top - (uint64_t)block * SLAB_UNIT_BYTES;
}

static enum error index_part_find_note(struct index_part *part, const struct arena *arena, const char *note_name)
{
	struct index_part_note note;
	if (!arena_get_exact(arena, note_name, &note, sizeof(note)) || note.side > 1 ||
	    !buckets_are_sound(part, note.block, note.mask) ||
	    (note.grown_block != 0 && !buckets_are_sound(part, note.grown_block, note.grown_mask)))
		return ERROR_NOT_FOUND;
	atomic_init(&part->buckets, buckets_of_block(part, note.block, note.mask, note.side));
	if (note.grown_block != 0)
		part->growing = buckets_of_block(part, note.grown_block, note.grown_mask, note.side ^ 1u);
	if (atomic_load(&part->buckets) == NULL || (note.grown_block != 0 && part->growing == NULL))
		return ERROR_NO_MEMORY; /* what was made is not freed: the program exits now */
	part->grown_buckets = note.grown_buckets;
	part->count = note.count;
	part->growth = note.growth;
	return ERROR_OK;
}

/* The slab's note has the region's name, so the part's has another one. */
static void index_part_note_name(char to[ROOT_NAME_BYTES], const char *name)
{
	int size = snprintf(to, ROOT_NAME_BYTES, "%s table", name);
	CHECK_LT(size, (int)ROOT_NAME_BYTES);
}

enum error index_part_open(struct index_part *part, struct arena *arena, const char *name)
{
	int failed = pthread_mutex_init(&part->lock, NULL);
	CHECK_EQ(failed, 0);
	enum error error = slab_open_in(&part->slab, arena, name, INDEX_PART_BYTES_MAX);
	if (error != ERROR_OK)
		return error;
	if (arena_is_adopted(arena)) {
		char note_name[ROOT_NAME_BYTES];
		index_part_note_name(note_name, name);
		return index_part_find_note(part, arena, note_name);
	}
	struct index_buckets *buckets = buckets_new(part, BUCKETS_MIN, 0);
	if (buckets == NULL)
		return ERROR_NO_MEMORY;
	atomic_init(&part->buckets, buckets);
	return ERROR_OK;
}

bool index_part_has_deferred(struct index_part *part)
{
	pthread_mutex_lock(&part->lock);
	bool has = part->deferred != 0;
	pthread_mutex_unlock(&part->lock);
	return has;
}

enum error index_part_save(struct index_part *part, const struct arena *arena, const char *name)
{
	char note_name[ROOT_NAME_BYTES];
	index_part_note_name(note_name, name);
	if (part->limbo != NULL)
		limbo_empty(part->limbo); /* nobody reads */
	part->limbo = NULL;
	CHECK(!part->settling && part->deferred == 0);
	const struct index_buckets *buckets = atomic_load(&part->buckets);
	struct index_part_note note = {.block = buckets->block,
				       .mask = buckets->mask,
				       .grown_buckets = part->grown_buckets,
				       .count = part->count,
				       .side = buckets->side,
				       .growth = part->growth};
	if (part->growing != NULL) {
		note.grown_block = part->growing->block;
		note.grown_mask = part->growing->mask;
	}
	enum error error = arena_put(arena, note_name, &note, sizeof(note));
	return error == ERROR_OK ? slab_save(&part->slab, arena) : error;
}

void index_part_close(struct index_part *part)
{
	free(part->limbo);
	free(part->growing);
	free(atomic_load(&part->buckets));
	slab_close(&part->slab);
	pthread_mutex_destroy(&part->lock);
}

static uint32_t chain_load(const _Atomic uint32_t *link)
{
	return atomic_load_explicit(link, memory_order_acquire);
}

static void chain_store(_Atomic uint32_t *link, uint32_t node)
{
	atomic_store_explicit(link, node, memory_order_release);
}

uint32_t index_part_find(const struct index_part *part, uint32_t hash, uint32_t parent, struct slice text)
{
	const struct index_buckets *buckets = atomic_load_explicit(&part->buckets, memory_order_acquire);
	uint32_t index = chain_load(&buckets->heads[hash & buckets->mask]);
	while (index != 0) {
		const struct index_node *node = index_node_at(part, index);
		if (node->hash == hash && node->parent == parent && slice_equal(index_node_text(node), text))
			return index;
		index = chain_load(&node->next[buckets->side]);
	}
	return 0;
}

static void link_node(struct index_part *part, struct index_buckets *buckets, uint32_t index)
{
	struct index_node *node = index_node_at(part, index);
	_Atomic uint32_t *head = &buckets->heads[node->hash & buckets->mask];
	chain_store(&node->next[buckets->side], chain_load(head));
	chain_store(head, index);
}

static void unlink_node(struct index_part *part, struct index_buckets *buckets, uint32_t index)
{
	struct index_node *node = index_node_at(part, index);
	_Atomic uint32_t *link = &buckets->heads[node->hash & buckets->mask];
	while (chain_load(link) != index) {
		CHECK(chain_load(link) != 0);
		link = &index_node_at(part, chain_load(link))->next[buckets->side];
	}
	/* The node keeps its own link, so a reader that is at the node can go on. */
	chain_store(link, chain_load(&node->next[buckets->side]));
}

static void free_buckets(struct rcu_head *head)
{
	RCU_ACQUIRE();
	struct index_buckets *buckets = caa_container_of(head, struct index_buckets, rcu);
	struct index_part *part = buckets->part;
	pthread_mutex_lock(&part->lock);
	CHECK(part->settling && part->deferred > 0);
	part->settling = false;
	part->deferred--;
	slab_give(&part->slab, buckets->block, buckets_bytes(buckets->mask));
	pthread_mutex_unlock(&part->lock);
	free(buckets);
	RCU_RELEASE();
}

static void publish_grown(struct index_part *part)
{
	struct index_buckets *old = atomic_load_explicit(&part->buckets, memory_order_relaxed);
	CHECK(!part->settling);
	CHECK_NE(part->growing->side, old->side);
	atomic_store_explicit(&part->buckets, part->growing, memory_order_release);
	part->growing = NULL;
	part->settling = true;
	part->deferred++;
	reader_defer(&old->rcu, free_buckets);
}

static void grow_step(struct index_part *part)
{
	struct index_buckets *old = atomic_load_explicit(&part->buckets, memory_order_relaxed);
	for (uint32_t step = 0; step < GROW_BUCKETS_PER_STEP && part->grown_buckets <= old->mask; step++) {
		uint32_t index = chain_load(&old->heads[part->grown_buckets++]);
		while (index != 0) {
			struct index_node *node = index_node_at(part, index);
			if (node->growth != part->growth) {
				node->growth = part->growth;
				link_node(part, part->growing, index);
			}
			index = chain_load(&node->next[old->side]);
		}
	}
	if (part->grown_buckets > old->mask)
		publish_grown(part);
}

static void grow_if_full(struct index_part *part)
{
	struct index_buckets *current = atomic_load_explicit(&part->buckets, memory_order_relaxed);
	if (part->growing == NULL) {
		if (part->count <= current->mask || part->settling || current->mask >= UINT32_MAX / 4)
			return;
		part->growing = buckets_new(part, (current->mask + 1) * 2, current->side ^ 1u);
		if (part->growing == NULL)
			return; /* the chains only get longer */
		part->grown_buckets = 0;
		part->growth++;
	}
	grow_step(part);
}

uint32_t index_part_node_new(struct index_part *part, uint32_t hash, uint32_t parent, struct slice text, bool branch)
{
	CHECK_LE(text.size, UINT16_MAX);
	size_t links_bytes = branch ? sizeof(struct index_links) : 0;
	uint32_t index = slab_take(&part->slab, offsetof(struct index_node, tail) + links_bytes + text.size);
	if (index == 0 || index >> INDEX_NAME_REF_BITS != 0)
		return 0;
	struct index_node *node = index_node_at(part, index);
	memset(node, 0, offsetof(struct index_node, tail) + links_bytes);
	node->hash = hash;
	node->parent = parent;
	node->text_bytes = (uint16_t)text.size;
	node->branch = branch;
	node->growth = (uint8_t)(part->growth - 1);
	memcpy(node->tail + links_bytes, text.data, text.size);
	return index;
}

void index_part_insert(struct index_part *part, uint32_t index)
{
	struct index_node *node = index_node_at(part, index);
	part->count++;
	grow_if_full(part);
	link_node(part, atomic_load_explicit(&part->buckets, memory_order_relaxed), index);
	if (part->growing != NULL) {
		node->growth = part->growth;
		link_node(part, part->growing, index);
	}
}

void index_part_remove(struct index_part *part, uint32_t index)
{
	struct index_node *node = index_node_at(part, index);
	CHECK_GT(part->count, 0u);
	unlink_node(part, atomic_load_explicit(&part->buckets, memory_order_relaxed), index);
	if (part->growing != NULL && node->growth == part->growth)
		unlink_node(part, part->growing, index);
	part->count--;
}

static void free_limbo(struct rcu_head *head)
{
	RCU_ACQUIRE();
	struct index_limbo *limbo = caa_container_of(head, struct index_limbo, rcu);
	struct index_part *part = limbo->part;
	pthread_mutex_lock(&part->lock);
	CHECK_GT(part->deferred, 0u);
	part->deferred--;
	limbo_empty(limbo);
	pthread_mutex_unlock(&part->lock);
	RCU_RELEASE();
}

void index_part_retire(struct index_part *part, uint32_t ref, size_t bytes)
{
	if (part->limbo == NULL) {
		part->limbo = malloc(sizeof(*part->limbo));
		if (part->limbo == NULL)
			return; /* leaks the block: waiting for readers with the lock held would be worse */
		part->limbo->part = part;
		part->limbo->count = 0;
	}
	struct index_limbo *limbo = part->limbo;
	CHECK_LT(limbo->count, LIMBO_BLOCKS);
	CHECK(ref != 0 && bytes != 0 && bytes <= UINT32_MAX);
	limbo->blocks[limbo->count].ref = ref;
	limbo->blocks[limbo->count].bytes = (uint32_t)bytes;
	if (++limbo->count == LIMBO_BLOCKS) {
		part->limbo = NULL;
		part->deferred++;
		reader_defer(&limbo->rcu, free_limbo);
	}
}

void index_part_retire_node(struct index_part *part, uint32_t index)
{
	const struct index_node *node = index_node_at(part, index);
	size_t links_bytes = node->branch ? sizeof(struct index_links) : 0;
	index_part_retire(part, index, offsetof(struct index_node, tail) + links_bytes + node->text_bytes);
}
