#include "reactor/mailbox.h"

#include "base/check.h"

#include <stdlib.h>

static void inbox_push(struct inbox *inbox, struct batch *batch)
{
	struct batch *top = atomic_load_explicit(&inbox->top, memory_order_relaxed);
	do {
		batch->next = top;
	} while (!atomic_compare_exchange_weak_explicit(&inbox->top, &top, batch, memory_order_release,
							memory_order_relaxed));
}

/* Everything that was pushed, oldest first. */
static struct batch *inbox_empty(struct inbox *inbox)
{
	if (atomic_load_explicit(&inbox->top, memory_order_relaxed) == NULL)
		return NULL;
	struct batch *newest = atomic_exchange_explicit(&inbox->top, NULL, memory_order_acquire);
	struct batch *oldest = NULL;
	while (newest != NULL) {
		struct batch *older = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = older;
	}
	return oldest;
}

static void free_list(struct batch *batch)
{
	while (batch != NULL) {
		struct batch *next = batch->next;
		free(batch);
		batch = next;
	}
}

enum error mailbox_open(struct mailbox *mailbox)
{
	atomic_init(&mailbox->records.top, NULL);
	atomic_init(&mailbox->returns.top, NULL);
	atomic_init(&mailbox->awaits_room, false);
	return waker_open(&mailbox->waker);
}

void mailbox_close(struct mailbox *mailbox)
{
	free_list(inbox_empty(&mailbox->records));
	free_list(inbox_empty(&mailbox->returns));
	waker_close(&mailbox->waker);
}

enum error outbox_init(struct outbox *outbox, struct mailbox *mailboxes, uint16_t count, uint16_t self)
{
	*outbox = (struct outbox){.mailboxes = mailboxes, .count = count, .self = self};
	outbox->lanes = calloc(count, sizeof(*outbox->lanes));
	return outbox->lanes != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void outbox_fini(struct outbox *outbox)
{
	for (uint16_t to = 0; to < outbox->count; to++)
		free(outbox->lanes[to].open);
	free(outbox->lanes);
	free_list(outbox->free);
	free_list(outbox->arrived);
	*outbox = (struct outbox){0};
}

static bool lane_fits(const struct outbox_peer *lane, uint32_t bytes)
{
	return lane->open != NULL && lane->open->capacity_bytes - lane->open->used_bytes >= bytes;
}

static uint32_t batch_bytes_for(uint32_t bytes)
{
	return bytes <= BATCH_BYTES ? BATCH_BYTES : bytes;
}

static bool lane_has_room(const struct outbox_peer *lane, uint32_t bytes)
{
	if (lane->out_bytes == 0)
		return true; /* an open batch may have been reserved for it */
	return lane->out_bytes + bytes <= OUTBOX_BYTES_MAX &&
	       (lane_fits(lane, bytes) || lane->out_batches < OUTBOX_BATCHES_MAX);
}

bool outbox_has_room(const struct outbox *outbox, uint16_t to, uint32_t bytes)
{
	return lane_has_room(&outbox->lanes[to], (bytes + 7u) & ~7u);
}

static void hand_over(struct outbox *outbox, uint16_t to)
{
	struct outbox_peer *lane = &outbox->lanes[to];
	inbox_push(&outbox->mailboxes[to].records, lane->open);
	lane->open = NULL;
	outbox->open_count--;
}

static struct batch *take_batch(struct outbox *outbox, uint32_t bytes)
{
	if (bytes <= BATCH_BYTES && outbox->free != NULL) {
		struct batch *batch = outbox->free;
		outbox->free = batch->next;
		return batch;
	}
	uint32_t capacity = batch_bytes_for(bytes);
	struct batch *batch = malloc(sizeof(*batch) + capacity);
	if (batch == NULL)
		return NULL;
	outbox->allocation_count++;
	batch->capacity_bytes = capacity;
	return batch;
}

/* Opens another batch for at least `room`, in place of one that is too full. */
static enum error open_batch(struct outbox *outbox, uint16_t to, uint32_t room)
{
	struct outbox_peer *lane = &outbox->lanes[to];
	struct batch *batch = take_batch(outbox, room);
	if (batch == NULL)
		return ERROR_NO_MEMORY;
	if (lane->open != NULL) {
		hand_over(outbox, to);
		waker_wake(&outbox->mailboxes[to].waker);
	}
	batch->opened_ns = outbox->turn_ns;
	batch->used_bytes = 0;
	batch->delivered = 0;
	batch->owner = outbox->self;
	batch->receiver = to;
	lane->open = batch;
	lane->out_batches++;
	outbox->out_batches++;
	outbox->open_count++;
	return ERROR_OK;
}

enum error outbox_reserve(struct outbox *outbox, uint16_t to, uint32_t bytes)
{
	uint32_t room = (bytes + 7u) & ~7u;
	return lane_fits(&outbox->lanes[to], room) ? ERROR_OK : open_batch(outbox, to, room);
}

void *outbox_write(struct outbox *outbox, uint16_t to, uint32_t bytes)
{
	struct outbox_peer *lane = &outbox->lanes[to];
	uint32_t room = (bytes + 7u) & ~7u;
	if (!lane_has_room(lane, room) || outbox_reserve(outbox, to, bytes) != ERROR_OK)
		return NULL;
	void *record = lane->open->bytes + lane->open->used_bytes;
	lane->open->used_bytes += room;
	lane->out_bytes += room;
	outbox->out_bytes += room;
	return record;
}

void outbox_send(struct outbox *outbox)
{
	for (uint16_t to = 0; outbox->open_count != 0; to++) {
		if (outbox->lanes[to].open == NULL)
			continue;
		hand_over(outbox, to);
		if (to != outbox->self)
			waker_wake(&outbox->mailboxes[to].waker);
	}
}

bool outbox_has_returns(const struct outbox *outbox)
{
	return atomic_load(&outbox->mailboxes[outbox->self].returns.top) != NULL;
}

bool outbox_collect(struct outbox *outbox)
{
	struct batch *batch = inbox_empty(&outbox->mailboxes[outbox->self].returns);
	bool some = batch != NULL;
	while (batch != NULL) {
		struct batch *next = batch->next;
		struct outbox_peer *lane = &outbox->lanes[batch->receiver];
		CHECK(lane->out_batches > 0 && lane->out_bytes >= batch->used_bytes);
		lane->out_batches--;
		lane->out_bytes -= batch->used_bytes;
		outbox->out_batches--;
		outbox->out_bytes -= batch->used_bytes;
		if (batch->capacity_bytes == BATCH_BYTES) {
			batch->next = outbox->free;
			outbox->free = batch;
		} else {
			free(batch);
		}
		batch = next;
	}
	return some;
}

void outbox_await_room(struct outbox *outbox, bool awaits)
{
	atomic_store(&outbox->mailboxes[outbox->self].awaits_room, awaits);
}

struct batch *outbox_receive(struct outbox *outbox)
{
	if (outbox->arrived == NULL)
		outbox->arrived = inbox_empty(&outbox->mailboxes[outbox->self].records);
	struct batch *batch = outbox->arrived;
	if (batch != NULL)
		outbox->arrived = batch->next;
	return batch;
}

bool outbox_has_mail(const struct outbox *outbox)
{
	return outbox->arrived != NULL ||
	       atomic_load_explicit(&outbox->mailboxes[outbox->self].records.top, memory_order_acquire) != NULL;
}

void outbox_return(struct outbox *outbox, struct batch *batch)
{
	struct mailbox *owner = &outbox->mailboxes[batch->owner];
	bool own = batch->owner == outbox->self;
	inbox_push(&owner->returns, batch);
	atomic_thread_fence(
		memory_order_seq_cst); /* against outbox_await_room(), which looks at the returns after it */
	if (!own && atomic_load(&owner->awaits_room))
		waker_wake(&owner->waker);
}
