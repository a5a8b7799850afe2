/* Events on their way to a webhook, in the order of their messages, and how many of them go with the next request.
 *
 * Where an endpoint refuses a request for what is in it, half as many go the next time, until one alone is refused: the
 * poison entry. What was taken leaves, and twice as many go with the next. Pure: no sockets, no clock. Owned by one
 * thread. */
#ifndef RELAY_HOOK_HOOK_BATCH_H
#define RELAY_HOOK_HOOK_BATCH_H

#include "memory/bytes.h"

/* The largest event that is sent at all. */
#define HOOK_EVENT_BYTES_MAX ((size_t)15 << 20)

struct hook_event {
	size_t at; /* in the batch's text */
	size_t size;
	uint64_t time_ms;       /* of arrival, since 1970; 0: not known */
	uint32_t message_bytes; /* topic and payload */
	uint16_t packet_id;     /* 0: nothing is to be acknowledged */
};

struct hook_batch {
	struct bytes text; /* events in JSON, a comma behind each */
	struct hook_event *events;
	uint32_t count;
	uint32_t capacity;
	uint32_t send_count; /* the first so many go with the next request; 0: there are none */
};

void hook_batch_free(struct hook_batch *batch);

/* Makes room for one more event. NULL: memory is short. Else the caller appends the event to batch->text, and calls
 * hook_batch_added(). */
struct hook_event *hook_batch_place(struct hook_batch *batch);
/* False: memory was short for its text, and it is not there. */
bool hook_batch_added(struct hook_batch *batch, struct hook_event *event);

/* The text of the event, without the comma. */
struct slice hook_batch_event(const struct hook_batch *batch, uint32_t number);
/* Lets no more events go with the next request than so many bytes hold, but one at least. */
void hook_batch_limit(struct hook_batch *batch, size_t bytes_max);
/* Appends the body of the next request. */
void hook_batch_write(const struct hook_batch *batch, struct bytes *out);
/* Its size. */
size_t hook_batch_body_bytes(const struct hook_batch *batch);

/* The endpoint took what was sent: it leaves. */
void hook_batch_taken(struct hook_batch *batch);
/* It refused it. False: that is one event alone, and it stays. */
bool hook_batch_halve(struct hook_batch *batch);

#endif
