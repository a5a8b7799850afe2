#include "store/model/names.h"

#include "base/check.h"

#include <stdlib.h>

#define CHUNKS_MAX (UINT32_C(1) << 28)
#define SLOTS_MIN 64u
#define CHUNK_KEY_BITS 26u

struct names_chunk {
	uint32_t indices[NAMES_CHUNK]; /* 0: none */
};

_Static_assert(NAMES_CHUNK == UINT32_C(1) << (32 - CHUNK_KEY_BITS), "the key has a name's other bits");
_Static_assert(sizeof(struct names_slot) == 16, "part of the cost of a chunk");

enum error names_open(struct names *names)
{
	*names = (struct names){.slot_count = 0};
	return pool_open(&names->chunks, sizeof(struct names_chunk), CHUNKS_MAX);
}

void names_close(struct names *names)
{
	pool_close(&names->chunks);
	free(names->slots);
	*names = (struct names){.slot_count = 0};
}

static uint64_t names_key(uint16_t shard, uint32_t name)
{
	return ((uint64_t)shard << CHUNK_KEY_BITS | name / NAMES_CHUNK) + 1;
}

/* The chunk's slot, or the free one where it belongs. There always is a free one. */
static struct names_slot *names_slot(const struct names *names, uint64_t key)
{
	uint32_t mask = names->slot_count - 1;
	for (uint32_t at = (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;; at = (at + 1) & mask)
		if (names->slots[at].key == key || names->slots[at].key == 0)
			return &names->slots[at];
}

static struct names_chunk *names_chunk_find(const struct names *names, uint64_t key)
{
	const struct names_slot *slot = names->slot_count != 0 ? names_slot(names, key) : NULL;
	return slot != NULL && slot->key != 0 ? pool_at(&names->chunks, slot->chunk) : NULL;
}

static bool names_grow(struct names *names)
{
	struct names grown = *names;
	grown.slot_count = names->slot_count != 0 ? names->slot_count * 2 : SLOTS_MIN;
	grown.slots = calloc(grown.slot_count, sizeof(*grown.slots));
	if (grown.slots == NULL)
		return false;
	for (uint32_t i = 0; i < names->slot_count; i++)
		if (names->slots[i].key != 0)
			*names_slot(&grown, names->slots[i].key) = names->slots[i];
	free(names->slots);
	*names = grown;
	return true;
}

static struct names_chunk *names_chunk_new(struct names *names, uint64_t key)
{
	if (names->used >= names->slot_count / 2 && !names_grow(names))
		return NULL;
	uint32_t index = pool_take(&names->chunks);
	if (index == 0)
		return NULL;
	struct names_slot *slot = names_slot(names, key);
	CHECK_EQ(slot->key, 0u);
	*slot = (struct names_slot){.key = key, .chunk = index};
	names->used++;
	return pool_at(&names->chunks, index); /* none is ever given back, so it is all zeros */
}

uint32_t names_find(const struct names *names, uint16_t shard, uint32_t name)
{
	const struct names_chunk *chunk = names_chunk_find(names, names_key(shard, name));
	return chunk != NULL ? chunk->indices[name % NAMES_CHUNK] : 0;
}

bool names_set(struct names *names, uint16_t shard, uint32_t name, uint32_t index)
{
	CHECK_NE(index, 0u);
	uint64_t key = names_key(shard, name);
	struct names_chunk *chunk = names_chunk_find(names, key);
	if (chunk == NULL)
		chunk = names_chunk_new(names, key);
	if (chunk == NULL)
		return false;
	chunk->indices[name % NAMES_CHUNK] = index;
	return true;
}

void names_remove(struct names *names, uint16_t shard, uint32_t name)
{
	struct names_chunk *chunk = names_chunk_find(names, names_key(shard, name));
	CHECK(chunk != NULL && chunk->indices[name % NAMES_CHUNK] != 0);
	chunk->indices[name % NAMES_CHUNK] = 0;
}
