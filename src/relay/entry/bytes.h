/* Bytes that grow: what is gathered before it is sent. Owned by one thread. A failed append leaves a mark, so that a
 * whole command is written without looking, and asked about once. */
#ifndef RELAY_ENTRY_BYTES_H
#define RELAY_ENTRY_BYTES_H

#include "base/slice.h"

struct bytes {
	uint8_t *data;
	size_t size;
	size_t capacity;
	bool failed; /* memory was short: what was appended since is missing */
};

/* Makes room for so many more. false: memory is short, and the bytes are as they were. */
bool bytes_reserve(struct bytes *bytes, size_t more);
void bytes_append(struct bytes *bytes, const void *data, size_t size);
/* Takes so many off the front. */
void bytes_drop(struct bytes *bytes, size_t size);
/* Forgets all, and keeps the memory, unless it is more than `keep` bytes. */
void bytes_clear(struct bytes *bytes, size_t keep);
void bytes_free(struct bytes *bytes);

static inline struct slice bytes_slice(const struct bytes *bytes)
{
	return slice_of(bytes->data, bytes->size);
}

/* ---- a command to Redis, in its protocol: an array of so many words, then the words ---- */

void bytes_append_array(struct bytes *bytes, uint32_t words);
void bytes_append_word(struct bytes *bytes, struct slice word);
void bytes_append_text(struct bytes *bytes, const char *word);
void bytes_append_number(struct bytes *bytes, uint64_t number);

#endif
