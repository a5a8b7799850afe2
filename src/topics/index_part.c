#include "topics/index_part.h"

#include "base/check.h"

#include <stdlib.h>

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

static struct index_buckets *buckets_new(struct index_part *part, uint32_t count, uint8_t side)
{
	struct index_buckets *buckets = calloc(1, sizeof(*buckets) + count * sizeof(buckets->heads[0]));
	if (buckets == NULL)
		return NULL;
	CHECK((count & (count - 1)) == 0 && side <= 1);
	buckets->part = part;
	buckets->mask = count - 1;
	buckets->side = side;
	return buckets;
}

enum error index_part_open(struct index_part *part)
{
	int failed = pthread_mutex_init(&part->lock, NULL);
	CHECK_EQ(failed, 0);
	struct index_buckets *buckets = buckets_new(part, BUCKETS_MIN, 0);
	if (buckets == NULL)
		return ERROR_NO_MEMORY;
	atomic_init(&part->buckets, buckets);
	return slab_open(&part->slab, INDEX_PART_BYTES_MAX);
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
	CHECK(part->settling);
	part->settling = false;
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
	for (uint32_t i = 0; i < limbo->count; i++)
		slab_give(&part->slab, limbo->blocks[i].ref, limbo->blocks[i].bytes);
	pthread_mutex_unlock(&part->lock);
	free(limbo);
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
		reader_defer(&limbo->rcu, free_limbo);
	}
}

void index_part_retire_node(struct index_part *part, uint32_t index)
{
	const struct index_node *node = index_node_at(part, index);
	size_t links_bytes = node->branch ? sizeof(struct index_links) : 0;
	index_part_retire(part, index, offsetof(struct index_node, tail) + links_bytes + node->text_bytes);
}
