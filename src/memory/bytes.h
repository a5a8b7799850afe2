/* Bytes that grow: what is gathered before it is sent. Owned by one thread. A failed append leaves a mark, so that a
 * whole command is written without looking, and asked about once. */
#ifndef MEMORY_BYTES_H
#define MEMORY_BYTES_H

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

#endif
