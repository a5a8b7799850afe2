#include "commit/told/buffers.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>

/* What a buffer keeps of its memory when it goes back. */
#define KEPT_BYTES (BUFFER_CLOSE_BYTES + BUFFER_HEADROOM_BYTES)

_Static_assert(BUFFER_BYTES_MAX + BUFFER_HEADROOM_BYTES <= UINT32_MAX, "offsets of records are 32 bits wide");

static struct buffer *buffer_new(void)
{
	struct buffer *buffer = calloc(1, sizeof(*buffer));
	if (buffer == NULL)
		return NULL;
	if (region_open(&buffer->region, BUFFER_BYTES_MAX) == ERROR_OK) {
		if (region_grow(&buffer->region, BUFFER_HEADROOM_BYTES) == ERROR_OK)
			return buffer;
		region_close(&buffer->region);
	}
	free(buffer);
	return NULL;
}

static void buffer_free_all(struct buffer *buffer)
{
	while (buffer != NULL) {
		struct buffer *next = buffer->next;
		region_close(&buffer->region);
		free(buffer);
		buffer = next;
	}
}

enum error buffers_init(struct buffers *buffers)
{
	*buffers = (struct buffers){.spare = buffer_new()};
	return buffers->spare != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void buffers_fini(struct buffers *buffers)
{
	CHECK(buffers->current == NULL);
	buffer_free_all(buffers->mine);
	buffer_free_all(buffers->spare);
	buffer_free_all(atomic_load(&buffers->open));
	buffer_free_all(atomic_load(&buffers->ready));
	buffer_free_all(atomic_load(&buffers->freed));
	*buffers = (struct buffers){.number = 0};
}

/* ---- the shard ---- */

/* The spare one is filled up again by the first that comes back. */
static struct buffer *take_empty(struct buffers *buffers)
{
	if (buffers->mine == NULL)
		buffers->mine = atomic_exchange_explicit(&buffers->freed, NULL, memory_order_acquire);
	if (buffers->spare == NULL && buffers->mine != NULL) {
		buffers->spare = buffers->mine;
		buffers->mine = buffers->mine->next;
		buffers->spare->next = NULL;
		atomic_store_explicit(&buffers->short_of_memory, false, memory_order_relaxed);
	}
	struct buffer *empty = buffers->mine;
	if (empty != NULL) {
		buffers->mine = empty->next;
		return empty;
	}
	empty = buffer_new();
	if (empty != NULL)
		return empty;
	atomic_store_explicit(&buffers->short_of_memory, true, memory_order_relaxed);
	empty = buffers->spare;
	buffers->spare = NULL;
	CHECK(empty != NULL); /* no memory for the store's events, and nothing of them may be lost */
	return empty;
}

static void ensure_headroom(struct buffers *buffers, struct buffer *buffer)
{
	if (buffer->region.usable_bytes - buffer->size >= BUFFER_HEADROOM_BYTES)
		return;
	bool grown = region_grow(&buffer->region, buffer->size + BUFFER_HEADROOM_BYTES) == ERROR_OK;
	atomic_store_explicit(&buffers->short_of_memory, !grown || buffers->spare == NULL, memory_order_relaxed);
}

void buffers_begin(struct buffers *buffers, int64_t wall_s)
{
	CHECK(buffers->current == NULL);
	struct buffer *buffer = atomic_exchange_explicit(&buffers->open, NULL, memory_order_acquire);
	if (buffer == NULL) {
		buffer = take_empty(buffers);
		buffer->next = NULL;
		buffer->number = ++buffers->number;
		buffer->since_ns = clock_now_ns();
		atomic_store_explicit(&buffers->open_since_ns, buffer->since_ns, memory_order_relaxed);
		atomic_store_explicit(&buffers->open_number, buffer->number, memory_order_relaxed);
	}
	buffer->wall_s = wall_s;
	ensure_headroom(buffers, buffer);
	buffers->current = buffer;
}

uint8_t *buffers_room(struct buffers *buffers, size_t bytes)
{
	struct buffer *buffer = buffers->current;
	CHECK(buffer != NULL);
	if (__builtin_expect(buffer->region.usable_bytes - buffer->size < bytes, 0))
		CHECK(region_grow(&buffer->region, buffer->size + bytes) == ERROR_OK);
	return buffer->region.base + buffer->size;
}

void buffers_end(struct buffers *buffers)
{
	struct buffer *buffer = buffers->current;
	CHECK(buffer != NULL);
	buffers->current = NULL;
	atomic_store_explicit(&buffers->told_bytes_seen, buffers->told_bytes, memory_order_relaxed);
	bool asked = atomic_load_explicit(&buffers->asked, memory_order_relaxed);
	if (!asked && buffer->size < BUFFER_CLOSE_BYTES) {
		atomic_store_explicit(&buffers->open, buffer, memory_order_release);
		return;
	}
	if (asked)
		atomic_store_explicit(&buffers->asked, false, memory_order_relaxed);
	buffer->next = atomic_load_explicit(&buffers->ready, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&buffers->ready, &buffer->next, buffer, memory_order_release,
						      memory_order_relaxed))
		;
}

/* ---- the writer ---- */

bool buffers_waiting(const struct buffers *buffers)
{
	return atomic_load_explicit(&buffers->open, memory_order_relaxed) != NULL ||
	       atomic_load_explicit(&buffers->ready, memory_order_relaxed) != NULL;
}

struct buffer *buffers_take(struct buffers *buffers)
{
	struct buffer *open = atomic_exchange_explicit(&buffers->open, NULL, memory_order_acquire);
	if (open == NULL) {
		atomic_store(&buffers->asked, true);
		open = atomic_exchange(&buffers->open, NULL);
	}
	if (open != NULL)
		atomic_store_explicit(&buffers->asked, false, memory_order_relaxed);
	/* After `open`: the shard put all with lower numbers into the list before. Higher ones may have come too. */
	struct buffer *ready = atomic_exchange_explicit(&buffers->ready, NULL, memory_order_acquire);
	struct buffer *first = NULL;
	while (ready != NULL || open != NULL) {
		bool is_ready = open == NULL || (ready != NULL && ready->number > open->number);
		struct buffer *next = is_ready ? ready : open;
		if (is_ready)
			ready = ready->next;
		else
			open = NULL;
		CHECK(first == NULL || first->number == next->number + 1);
		next->next = first;
		first = next;
	}
	return first;
}

void buffers_give(struct buffers *buffers, struct buffer *buffer)
{
	/* One that the shard has not seen is enough: it takes it with the next buffer it begins. After a spell with
	 * many buffers the rest is freed. */
	struct buffer *freed = atomic_load_explicit(&buffers->freed, memory_order_relaxed);
	bool needed = freed == NULL || atomic_load_explicit(&buffers->short_of_memory, memory_order_relaxed);
	if (!needed) {
		buffer->next = NULL;
		buffer_free_all(buffer);
		return;
	}
	if (buffer->size > KEPT_BYTES)
		region_forget(&buffer->region, KEPT_BYTES, buffer->size - KEPT_BYTES);
	buffer->size = 0;
	buffer->again_bytes = 0;
	buffer->records = buffer->kept_at = buffer->checkpoint_ended = 0;
	buffer->next = freed;
	while (!atomic_compare_exchange_weak_explicit(&buffers->freed, &buffer->next, buffer, memory_order_release,
						      memory_order_relaxed))
		;
}
