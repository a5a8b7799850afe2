#include "commit/told/connected.h"

#include "base/check.h"

#include <stdio.h>

/* Of address space: half a billion sessions. */
#define CONNECTED_BYTES_MAX ((size_t)64 << 20)

enum error connected_init(struct connected *connected, struct arena *arena, uint16_t shard)
{
	char name[ROOT_NAME_BYTES];
	int size = snprintf(name, sizeof(name), "connected %u", shard);
	CHECK(size > 0 && (size_t)size < sizeof(name));
	return region_open_in(&connected->bits, arena, name, CONNECTED_BYTES_MAX);
}

void connected_fini(struct connected *connected)
{
	if (connected->bits.base != NULL)
		region_close(&connected->bits);
	atomic_store_explicit(&connected->count, 0, memory_order_relaxed);
}

/* The byte of the session's bit; NULL: there is no memory for it. */
static uint8_t *connected_byte(struct connected *connected, uint32_t session)
{
	struct region *bits = &connected->bits;
	size_t at = session / 8;
	return at < bits->usable_bytes || region_grow(bits, at + 1) == ERROR_OK ? bits->base + at : NULL;
}

void connected_set(struct connected *connected, uint32_t session, bool is_connected)
{
	uint8_t *byte = connected_byte(connected, session);
	uint8_t bit = (uint8_t)(1u << session % 8);
	if (byte == NULL)
		atomic_store_explicit(&connected->unknown, true, memory_order_relaxed);
	if (byte == NULL || ((*byte & bit) != 0) == is_connected)
		return;
	*byte ^= bit;
	uint32_t count = atomic_load_explicit(&connected->count, memory_order_relaxed);
	CHECK(is_connected || count > 0);
	atomic_store_explicit(&connected->count, is_connected ? count + 1 : count - 1, memory_order_relaxed);
}
