#include "relay/hook/hook_batch.h"

#include "base/check.h"

#include <stdlib.h>

#define EVENTS_LEAST 64u
/* Of what an empty batch keeps. */
#define BATCH_KEEP_BYTES ((size_t)1 << 20)

void hook_batch_free(struct hook_batch *batch)
{
	bytes_free(&batch->text);
	free(batch->events);
	*batch = (struct hook_batch){0};
}

struct hook_event *hook_batch_place(struct hook_batch *batch)
{
	if (batch->count == batch->capacity) {
		uint32_t capacity = batch->capacity != 0 ? batch->capacity * 2 : EVENTS_LEAST;
		struct hook_event *events = realloc(batch->events, capacity * sizeof(*events));
		if (events == NULL)
			return NULL;
		batch->events = events;
		batch->capacity = capacity;
	}
	struct hook_event *event = &batch->events[batch->count];
	*event = (struct hook_event){.at = batch->text.size};
	return event;
}

bool hook_batch_added(struct hook_batch *batch, struct hook_event *event)
{
	CHECK(event == &batch->events[batch->count] && event->at <= batch->text.size);
	event->size = batch->text.size - event->at;
	bytes_append(&batch->text, ",", 1);
	if (batch->text.failed) {
		batch->text.failed = false;
		batch->text.size = event->at;
		return false;
	}
	/* All that are there go together, unless an earlier refusal says otherwise. */
	batch->send_count += batch->send_count == batch->count;
	batch->count++;
	return true;
}

struct slice hook_batch_event(const struct hook_batch *batch, uint32_t number)
{
	CHECK_LT(number, batch->count);
	const struct hook_event *event = &batch->events[number];
	return slice_of(batch->text.data + event->at, event->size);
}

/* Where the events of the next request end, without the last comma. */
static size_t sent_end(const struct hook_batch *batch)
{
	CHECK(batch->send_count != 0 && batch->send_count <= batch->count);
	const struct hook_event *last = &batch->events[batch->send_count - 1];
	return last->at + last->size;
}

void hook_batch_limit(struct hook_batch *batch, size_t bytes_max)
{
	while (batch->send_count > 1 && sent_end(batch) > bytes_max)
		batch->send_count--;
}

size_t hook_batch_body_bytes(const struct hook_batch *batch)
{
	return sent_end(batch) + 2;
}

void hook_batch_write(const struct hook_batch *batch, struct bytes *out)
{
	bytes_append(out, "[", 1);
	bytes_append(out, batch->text.data, sent_end(batch));
	bytes_append(out, "]", 1);
}

void hook_batch_taken(struct hook_batch *batch)
{
	size_t cut = sent_end(batch) + 1;
	uint32_t taken = batch->send_count;
	batch->count -= taken;
	if (batch->count == 0) {
		bytes_clear(&batch->text, BATCH_KEEP_BYTES);
		batch->send_count = 0;
		return;
	}
	bytes_drop(&batch->text, cut);
	memmove(batch->events, batch->events + taken, batch->count * sizeof(*batch->events));
	for (uint32_t i = 0; i < batch->count; i++)
		batch->events[i].at -= cut;
	batch->send_count = taken * 2 < batch->count ? taken * 2 : batch->count;
}

bool hook_batch_halve(struct hook_batch *batch)
{
	CHECK_GE(batch->send_count, 1u);
	if (batch->send_count == 1)
		return false;
	batch->send_count /= 2;
	return true;
}
