#include "store/model/text_index.h"

#include "base/check.h"

#include <stdlib.h>

#define SLOTS_MIN 64u

void text_index_close(struct text_index *texts)
{
	free(texts->slots);
	*texts = (struct text_index){.slot_count = 0};
}

uint32_t text_index_next(const struct text_index *texts, uint32_t hash, uint32_t *at)
{
	if (texts->slot_count == 0)
		return 0;
	for (;;) {
		struct text_slot slot = texts->slots[*at];
		if (slot.index == 0)
			return 0;
		*at = (*at + 1) & (texts->slot_count - 1);
		if (slot.hash == hash)
			return slot.index;
	}
}

static void text_index_put(struct text_index *texts, struct text_slot slot)
{
	uint32_t at = text_index_from(texts, slot.hash);
	while (texts->slots[at].index != 0)
		at = (at + 1) & (texts->slot_count - 1);
	texts->slots[at] = slot;
	texts->used++;
}

static bool text_index_grow(struct text_index *texts)
{
	struct text_index grown = {.slot_count = texts->slot_count != 0 ? texts->slot_count * 2 : SLOTS_MIN};
	grown.slots = calloc(grown.slot_count, sizeof(*grown.slots));
	if (grown.slots == NULL)
		return false;
	for (uint32_t i = 0; i < texts->slot_count; i++)
		if (texts->slots[i].index != 0)
			text_index_put(&grown, texts->slots[i]);
	CHECK_EQ(grown.used, texts->used);
	free(texts->slots);
	*texts = grown;
	return true;
}

bool text_index_add(struct text_index *texts, uint32_t hash, uint32_t index)
{
	CHECK_NE(index, 0u);
	if (texts->used >= texts->slot_count / 2 && !text_index_grow(texts))
		return false;
	text_index_put(texts, (struct text_slot){.hash = hash, .index = index});
	return true;
}

void text_index_remove(struct text_index *texts, uint32_t hash, uint32_t index)
{
	uint32_t mask = texts->slot_count - 1;
	uint32_t hole = text_index_from(texts, hash);
	for (; texts->slots[hole].index != index; hole = (hole + 1) & mask)
		CHECK_NE(texts->slots[hole].index, 0u); /* it is not in the table */
	/* Those behind it that it pushed on move up, so that a search still ends at the first free slot. */
	for (uint32_t at = (hole + 1) & mask; texts->slots[at].index != 0; at = (at + 1) & mask) {
		uint32_t home = text_index_from(texts, texts->slots[at].hash);
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		texts->slots[hole] = texts->slots[at];
		hole = at;
	}
	texts->slots[hole] = (struct text_slot){.index = 0};
	texts->used--;
}
