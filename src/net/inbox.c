#include "net/inbox.h"

#include "base/check.h"

#include <stdlib.h>

static void inbox_push(struct inbox *inbox, struct parcel *parcel)
{
	struct parcel *top = atomic_load_explicit(&inbox->top, memory_order_relaxed);
	do {
		parcel->next = top;
	} while (!atomic_compare_exchange_weak_explicit(&inbox->top, &top, parcel, memory_order_release,
							memory_order_relaxed));
}

/* Everything that was pushed, oldest first. */
static struct parcel *inbox_empty(struct inbox *inbox)
{
	if (atomic_load_explicit(&inbox->top, memory_order_relaxed) == NULL)
		return NULL;
	struct parcel *newest = atomic_exchange_explicit(&inbox->top, NULL, memory_order_acquire);
	struct parcel *oldest = NULL;
	while (newest != NULL) {
		struct parcel *older = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = older;
	}
	return oldest;
}

static void free_list(struct parcel *parcel)
{
	while (parcel != NULL) {
		struct parcel *next = parcel->next;
		free(parcel);
		parcel = next;
	}
}

enum error mailbox_open(struct mailbox *mailbox)
{
	atomic_init(&mailbox->letters.top, NULL);
	atomic_init(&mailbox->returns.top, NULL);
	atomic_init(&mailbox->awaits_room, false);
	return waker_open(&mailbox->waker);
}

void mailbox_close(struct mailbox *mailbox)
{
	free_list(inbox_empty(&mailbox->letters));
	free_list(inbox_empty(&mailbox->returns));
	waker_close(&mailbox->waker);
}

enum error post_init(struct post *post, struct mailbox *mailboxes, uint16_t count, uint16_t self)
{
	*post = (struct post){.mailboxes = mailboxes, .count = count, .self = self};
	post->lanes = calloc(count, sizeof(*post->lanes));
	return post->lanes != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void post_fini(struct post *post)
{
	for (uint16_t to = 0; to < post->count; to++)
		free(post->lanes[to].open);
	free(post->lanes);
	free_list(post->free);
	free_list(post->arrived);
	*post = (struct post){0};
}

static bool lane_fits(const struct post_lane *lane, uint32_t bytes)
{
	return lane->open != NULL && lane->open->capacity_bytes - lane->open->used_bytes >= bytes;
}

static uint32_t parcel_bytes_for(uint32_t bytes)
{
	return bytes <= PARCEL_BYTES ? PARCEL_BYTES : bytes;
}

static bool lane_has_room(const struct post_lane *lane, uint32_t bytes)
{
	if (lane->out_bytes == 0)
		return true; /* an open parcel may have been reserved for it */
	return lane->out_bytes + bytes <= POST_BYTES_MAX &&
	       (lane_fits(lane, bytes) || lane->out_parcels < POST_PARCELS_MAX);
}

bool post_has_room(const struct post *post, uint16_t to, uint32_t bytes)
{
	return lane_has_room(&post->lanes[to], (bytes + 7u) & ~7u);
}

static void hand_over(struct post *post, uint16_t to)
{
	struct post_lane *lane = &post->lanes[to];
	inbox_push(&post->mailboxes[to].letters, lane->open);
	lane->open = NULL;
	post->open_count--;
}

static struct parcel *take_parcel(struct post *post, uint32_t bytes)
{
	if (bytes <= PARCEL_BYTES && post->free != NULL) {
		struct parcel *parcel = post->free;
		post->free = parcel->next;
		return parcel;
	}
	uint32_t capacity = parcel_bytes_for(bytes);
	struct parcel *parcel = malloc(sizeof(*parcel) + capacity);
	if (parcel == NULL)
		return NULL;
	post->allocation_count++;
	parcel->capacity_bytes = capacity;
	return parcel;
}

/* Opens another parcel for at least `room`, in place of one that is too full. */
static enum error open_parcel(struct post *post, uint16_t to, uint32_t room)
{
	struct post_lane *lane = &post->lanes[to];
	struct parcel *parcel = take_parcel(post, room);
	if (parcel == NULL)
		return ERROR_NO_MEMORY;
	if (lane->open != NULL) {
		hand_over(post, to);
		waker_wake(&post->mailboxes[to].waker);
	}
	parcel->opened_ns = post->turn_ns;
	parcel->used_bytes = 0;
	parcel->delivered = 0;
	parcel->owner = post->self;
	parcel->receiver = to;
	lane->open = parcel;
	lane->out_parcels++;
	post->out_parcels++;
	post->open_count++;
	return ERROR_OK;
}

enum error post_reserve(struct post *post, uint16_t to, uint32_t bytes)
{
	uint32_t room = (bytes + 7u) & ~7u;
	return lane_fits(&post->lanes[to], room) ? ERROR_OK : open_parcel(post, to, room);
}

void *post_write(struct post *post, uint16_t to, uint32_t bytes)
{
	struct post_lane *lane = &post->lanes[to];
	uint32_t room = (bytes + 7u) & ~7u;
	if (!lane_has_room(lane, room) || post_reserve(post, to, bytes) != ERROR_OK)
		return NULL;
	void *letter = lane->open->bytes + lane->open->used_bytes;
	lane->open->used_bytes += room;
	lane->out_bytes += room;
	post->out_bytes += room;
	return letter;
}

void post_send(struct post *post)
{
	for (uint16_t to = 0; post->open_count != 0; to++) {
		if (post->lanes[to].open == NULL)
			continue;
		hand_over(post, to);
		if (to != post->self)
			waker_wake(&post->mailboxes[to].waker);
	}
}

bool post_has_returns(const struct post *post)
{
	return atomic_load(&post->mailboxes[post->self].returns.top) != NULL;
}

bool post_collect(struct post *post)
{
	struct parcel *parcel = inbox_empty(&post->mailboxes[post->self].returns);
	bool some = parcel != NULL;
	while (parcel != NULL) {
		struct parcel *next = parcel->next;
		struct post_lane *lane = &post->lanes[parcel->receiver];
		CHECK(lane->out_parcels > 0 && lane->out_bytes >= parcel->used_bytes);
		lane->out_parcels--;
		lane->out_bytes -= parcel->used_bytes;
		post->out_parcels--;
		post->out_bytes -= parcel->used_bytes;
		if (parcel->capacity_bytes == PARCEL_BYTES) {
			parcel->next = post->free;
			post->free = parcel;
		} else {
			free(parcel);
		}
		parcel = next;
	}
	return some;
}

void post_await_room(struct post *post, bool awaits)
{
	atomic_store(&post->mailboxes[post->self].awaits_room, awaits);
}

struct parcel *post_receive(struct post *post)
{
	if (post->arrived == NULL)
		post->arrived = inbox_empty(&post->mailboxes[post->self].letters);
	struct parcel *parcel = post->arrived;
	if (parcel != NULL)
		post->arrived = parcel->next;
	return parcel;
}

bool post_has_mail(const struct post *post)
{
	return post->arrived != NULL ||
	       atomic_load_explicit(&post->mailboxes[post->self].letters.top, memory_order_acquire) != NULL;
}

void post_return(struct post *post, struct parcel *parcel)
{
	struct mailbox *owner = &post->mailboxes[parcel->owner];
	bool own = parcel->owner == post->self;
	inbox_push(&owner->returns, parcel);
	atomic_thread_fence(memory_order_seq_cst); /* against post_await_room(), which looks at the returns after it */
	if (!own && atomic_load(&owner->awaits_room))
		waker_wake(&owner->waker);
}
