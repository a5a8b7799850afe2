/* Finds the model's objects by a text, such as a client id: an open-addressed table which has the hash beside each
 * object's index. So only an object that very probably is the one is looked at, and growing looks at none. The table
 * compares hashes only; its owner compares texts. At most half full: 16 to 32 bytes an object. One thread. */
#ifndef STORE_TEXT_INDEX_H
#define STORE_TEXT_INDEX_H

#include <stdbool.h>
#include <stdint.h>

struct text_slot {
	uint32_t hash;
	uint32_t index; /* 0: a free slot */
};

/* All zeros: an empty one. */
struct text_index {
	struct text_slot *slots;
	uint32_t slot_count; /* a power of two, or 0 */
	uint32_t used;
};

void text_index_close(struct text_index *texts);

/* The next object with this hash, or 0. *at: the place where the search goes on; text_index_from() at first. */
uint32_t text_index_next(const struct text_index *texts, uint32_t hash, uint32_t *at);
static inline uint32_t text_index_from(const struct text_index *texts, uint32_t hash)
{
	return hash & (texts->slot_count - 1);
}

/* index: not 0, and not in the table. False: no memory. */
bool text_index_add(struct text_index *texts, uint32_t hash, uint32_t index);
/* It is in the table. */
void text_index_remove(struct text_index *texts, uint32_t hash, uint32_t index);

#endif
