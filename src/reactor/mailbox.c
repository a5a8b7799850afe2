#include "reactor/mailbox.h"

#include "base/check.h"

#include <stddef.h>
#include <stdlib.h>

/* Beyond a batch's records, so that one record that fills it comes with its ticket all the same. */
#define TICKET_SPARE_BYTES 8u

_Static_assert(BATCH_BYTES % 8 == 0 && TICKET_SPARE_BYTES % 8 == 0, "tickets are aligned at the end of a batch");
_Static_assert(offsetof(struct batch, bytes) % 8 == 0, "records are aligned to 8");
_Static_assert(OUTBOX_BYTES_MAX >= 2 * BATCH_BYTES, "one batch may be filled while another is on its way");

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

void mailbox_open_with(struct mailbox *mailbox, struct waker *waker)
{
	atomic_init(&mailbox->records.top, NULL);
	atomic_init(&mailbox->returns.top, NULL);
	atomic_init(&mailbox->awaits_returns, false);
	mailbox->other_waker = waker;
}

enum error mailbox_open(struct mailbox *mailbox)
{
	mailbox_open_with(mailbox, NULL);
	return waker_open(&mailbox->waker);
}

static void mailbox_wake(struct mailbox *mailbox)
{
	waker_wake(mailbox->other_waker != NULL ? mailbox->other_waker : &mailbox->waker);
}

void mailbox_close(struct mailbox *mailbox)
{
	free_list(inbox_empty(&mailbox->records));
	free_list(inbox_empty(&mailbox->returns));
	if (mailbox->other_waker == NULL)
		waker_close(&mailbox->waker);
}

enum error outbox_init(struct outbox *outbox, struct mailbox *mailboxes, uint16_t count, uint16_t self)
{
	*outbox = (struct outbox){.mailboxes = mailboxes, .count = count, .self = self, .shared_from = count};
	outbox->peers = calloc(count, sizeof(*outbox->peers));
	return outbox->peers != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void outbox_share(struct outbox *outbox, uint16_t from)
{
	CHECK(from <= outbox->count);
	outbox->shared_from = from;
}

/* Of whoever has this number. */
static struct mailbox *mailbox_of(const struct outbox *outbox, uint16_t number)
{
	return &outbox->mailboxes[number < outbox->shared_from ? number : outbox->shared_from];
}

void outbox_fini(struct outbox *outbox)
{
	for (uint16_t to = 0; to < outbox->count; to++)
		free(outbox->peers[to].open);
	free(outbox->peers);
	free_list(outbox->free);
	free_list(outbox->arrived);
	*outbox = (struct outbox){0};
}

/* A record with its padding. */
static uint32_t record_room(uint32_t bytes)
{
	return (bytes + 7u) & ~7u;
}

/* Tickets of the batch, and one more. */
static uint32_t tickets_room(const struct batch *batch)
{
	return (batch->ticket_count + 1) * (uint32_t)sizeof(uint32_t);
}

/* Each record may come with a ticket. */
static bool peer_fits(const struct outbox_peer *peer, uint32_t room)
{
	const struct batch *batch = peer->open;
	return batch != NULL && batch->capacity_bytes - batch->used_bytes >= room + tickets_room(batch);
}

/* The end of a batch's bytes: tickets are before it, the first one last. */
static uint32_t *tickets_end(struct batch *batch)
{
	return (uint32_t *)(void *)(batch->bytes + batch->capacity_bytes);
}

static bool peer_has_room(const struct outbox_peer *peer, uint32_t bytes)
{
	if (peer->out_bytes == 0)
		return true; /* an open batch may have been reserved for it */
	return peer->out_bytes + bytes <= OUTBOX_BYTES_MAX &&
	       (peer_fits(peer, bytes) || peer->out_batches < OUTBOX_BATCHES_MAX);
}

bool outbox_has_room(const struct outbox *outbox, uint16_t to, uint32_t bytes)
{
	CHECK(to < outbox->count);
	return peer_has_room(&outbox->peers[to], record_room(bytes));
}

static void hand_over(struct outbox *outbox, uint16_t to)
{
	struct outbox_peer *peer = &outbox->peers[to];
	CHECK(peer->open != NULL && outbox->open_count != 0);
	CHECK(peer->open->used_bytes + tickets_room(peer->open) - sizeof(uint32_t) <= peer->open->capacity_bytes);
	inbox_push(&mailbox_of(outbox, to)->records, peer->open);
	peer->open = NULL;
	outbox->open_count--;
}

static struct batch *take_batch(struct outbox *outbox, uint32_t bytes)
{
	if (bytes <= BATCH_BYTES && outbox->free != NULL) {
		struct batch *batch = outbox->free;
		outbox->free = batch->next;
		return batch;
	}
	uint32_t capacity = (bytes <= BATCH_BYTES ? BATCH_BYTES : bytes) + TICKET_SPARE_BYTES;
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
	struct outbox_peer *peer = &outbox->peers[to];
	struct batch *batch = take_batch(outbox, room);
	if (batch == NULL)
		return ERROR_NO_MEMORY;
	if (peer->open != NULL) {
		hand_over(outbox, to);
		mailbox_wake(mailbox_of(outbox, to));
	}
	batch->opened_ns = outbox->turn_ns;
	batch->used_bytes = 0;
	batch->ticket_count = 0;
	batch->delivered = 0;
	batch->commit = 0;
	batch->owner = outbox->self;
	batch->run = outbox->run;
	batch->receiver = to;
	peer->open = batch;
	peer->out_batches++;
	peer->opened++;
	outbox->out_batches++;
	outbox->open_count++;
	return ERROR_OK;
}

enum error outbox_reserve(struct outbox *outbox, uint16_t to, uint32_t bytes)
{
	uint32_t room = record_room(bytes);
	return peer_fits(&outbox->peers[to], room) ? ERROR_OK : open_batch(outbox, to, room);
}

void *outbox_write(struct outbox *outbox, uint16_t to, uint32_t bytes)
{
	struct outbox_peer *peer = &outbox->peers[to];
	uint32_t room = record_room(bytes);
	if (!peer_has_room(peer, room) || outbox_reserve(outbox, to, bytes) != ERROR_OK)
		return NULL;
	void *record = peer->open->bytes + peer->open->used_bytes;
	peer->open->used_bytes += room;
	peer->out_bytes += room;
	outbox->out_bytes += room;
	return record;
}

void outbox_attach(struct outbox *outbox, uint16_t to, uint32_t ticket)
{
	struct batch *batch = outbox->peers[to].open;
	CHECK(batch != NULL && batch->used_bytes + tickets_room(batch) <= batch->capacity_bytes);
	tickets_end(batch)[-1 - (ptrdiff_t)batch->ticket_count] = ticket;
	batch->ticket_count++;
}

void outbox_send(struct outbox *outbox)
{
	for (uint16_t to = 0; outbox->open_count != 0; to++) {
		CHECK(to < outbox->count);
		if (outbox->peers[to].open == NULL)
			continue;
		hand_over(outbox, to);
		if (to != outbox->self)
			mailbox_wake(mailbox_of(outbox, to));
	}
}

bool outbox_has_returns(const struct outbox *outbox)
{
	return atomic_load(&mailbox_of(outbox, outbox->self)->returns.top) != NULL;
}

bool outbox_collect(struct outbox *outbox)
{
	struct batch *batch = inbox_empty(&mailbox_of(outbox, outbox->self)->returns);
	bool some = batch != NULL;
	while (batch != NULL) {
		struct batch *next = batch->next;
		CHECK(batch->owner == outbox->self && batch->receiver < outbox->count);
		if (batch->run != outbox->run) {
			free(batch);
			batch = next;
			continue;
		}
		struct outbox_peer *peer = &outbox->peers[batch->receiver];
		CHECK(peer->out_batches > 0 && peer->out_bytes >= batch->used_bytes);
		peer->out_batches--;
		peer->out_bytes -= batch->used_bytes;
		outbox->out_batches--;
		outbox->out_bytes -= batch->used_bytes;
		if (batch->ticket_count != 0 && outbox->returned != NULL)
			outbox->returned(outbox->context, batch, tickets_end(batch) - batch->ticket_count);
		if (batch->capacity_bytes == BATCH_BYTES + TICKET_SPARE_BYTES) {
			batch->next = outbox->free;
			outbox->free = batch;
		} else {
			free(batch);
		}
		batch = next;
	}
	return some;
}

void outbox_await_returns(struct outbox *outbox, bool awaits)
{
	atomic_store(&mailbox_of(outbox, outbox->self)->awaits_returns, awaits);
}

struct batch *outbox_receive(struct outbox *outbox)
{
	if (outbox->arrived == NULL)
		outbox->arrived = inbox_empty(&mailbox_of(outbox, outbox->self)->records);
	struct batch *batch = outbox->arrived;
	if (batch != NULL)
		outbox->arrived = batch->next;
	return batch;
}

bool outbox_has_mail(const struct outbox *outbox)
{
	return outbox->arrived != NULL ||
	       atomic_load_explicit(&mailbox_of(outbox, outbox->self)->records.top, memory_order_acquire) != NULL;
}

void outbox_return(struct outbox *outbox, struct batch *batch)
{
	CHECK(batch->owner < outbox->count);
	CHECK(mailbox_of(outbox, batch->receiver) == mailbox_of(outbox, outbox->self));
	struct mailbox *owner = mailbox_of(outbox, batch->owner);
	bool own = batch->owner == outbox->self;
	inbox_push(&owner->returns, batch);
	atomic_thread_fence(
		memory_order_seq_cst); /* against outbox_await_returns(), which looks at the returns after it */
	if (!own && atomic_load(&owner->awaits_returns))
		mailbox_wake(owner);
}
