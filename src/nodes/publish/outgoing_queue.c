#include "nodes/publish/outgoing_queue.h"

#include "base/check.h"

#include <stdlib.h>

#define CAPACITY_MIN 64u
_Static_assert((CAPACITY_MIN & (CAPACITY_MIN - 1)) == 0, "a mask finds the place");

void outgoing_queue_fini(struct outgoing_queue *queue)
{
	free(queue->items);
	*queue = (struct outgoing_queue){.items = NULL};
}

bool outgoing_queue_push(struct outgoing_queue *queue, struct batch *batch)
{
	if (queue->count == queue->capacity) {
		uint32_t capacity = queue->capacity == 0 ? CAPACITY_MIN : queue->capacity * 2;
		struct outgoing_batch *grown = malloc(capacity * sizeof(*grown));
		if (grown == NULL)
			return false;
		for (uint32_t i = 0; i < queue->count; i++)
			grown[i] = *outgoing_queue_at(queue, i);
		free(queue->items);
		queue->items = grown;
		queue->capacity = capacity;
		queue->first = 0;
	}
	*outgoing_queue_at(queue, queue->count++) = (struct outgoing_batch){.batch = batch};
	return true;
}

struct batch *outgoing_queue_pop(struct outgoing_queue *queue)
{
	CHECK_LE(queue->sent, queue->count);
	if (queue->count == 0)
		return NULL;
	struct batch *batch = outgoing_queue_at(queue, 0)->batch;
	queue->first++;
	queue->serial++;
	queue->count--;
	queue->sent -= queue->sent != 0;
	return batch;
}

struct batch *outgoing_queue_pop_done(struct outgoing_queue *queue, uint64_t safe)
{
	if (queue->sent == 0)
		return NULL;
	const struct outgoing_batch *first = outgoing_queue_at(queue, 0);
	return first->holders == 0 && (!first->awaits || first->last <= safe) ? outgoing_queue_pop(queue) : NULL;
}

struct outgoing_batch *outgoing_queue_find(const struct outgoing_queue *queue, uint32_t serial)
{
	uint32_t at = (serial - queue->serial) & OUTGOING_SERIAL_MASK;
	return at < queue->count ? outgoing_queue_at(queue, at) : NULL;
}

void outgoing_queue_rewind(struct outgoing_queue *queue, struct outgoing_runs runs)
{
	for (uint32_t i = 0; i < queue->count; i++) {
		struct outgoing_batch *item = outgoing_queue_at(queue, i);
		if (item->first != 0) {
			item->copies = item->first;
			item->copies_last = item->last;
			item->copies_runs = runs;
		}
		item->offset = item->kept;
		item->first = item->last = 0;
		item->awaits = false;
	}
	queue->sent = 0;
}
