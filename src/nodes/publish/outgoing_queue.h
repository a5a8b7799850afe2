/* Batches of records for one peer, in the order in which they came, from their receipt until they go back to their
 * shard. Those in front were sent. By the nodes thread. */
#ifndef NODES_OUTGOING_QUEUE_H
#define NODES_OUTGOING_QUEUE_H

#include "reactor/mailbox.h"

#include <stdbool.h>

/* Serial numbers are told in so many bits. There are never as many batches. */
#define OUTGOING_SERIAL_MASK ((1u << 25) - 1)

/* What a link is between. */
struct outgoing_runs {
	uint64_t peer;
	uint64_t own;
};

struct outgoing_batch {
	struct batch *batch;
	uint32_t offset;  /* of the record that is sent next */
	bool awaits;      /* it has messages that must be safe with the peer */
	uint32_t holders; /* records that were made of its own, and are not safe yet */
	uint64_t first;   /* number of its first message on the link; 0: none was sent */
	uint64_t last;    /* of the last one that was sent */
	uint32_t kept;    /* records before this offset are in the peer's spool */
	/* A link on which records were sent that are sent in another way now: number of the next of them, and of
	 * the last; 0: none was. */
	uint64_t copies;
	uint64_t copies_last;
	struct outgoing_runs copies_runs;
};

/* A ring. */
struct outgoing_queue {
	struct outgoing_batch *items;
	uint32_t capacity; /* a power of two; 0: none yet */
	uint32_t first;
	uint32_t count;
	uint32_t sent;   /* of these, from the first on: wholly sent */
	uint32_t serial; /* of the first one: they are numbered as they come */
};

void outgoing_queue_fini(struct outgoing_queue *queue);
/* False: no memory. */
bool outgoing_queue_push(struct outgoing_queue *queue, struct batch *batch);
static inline struct outgoing_batch *outgoing_queue_at(const struct outgoing_queue *queue, uint32_t at)
{
	return &queue->items[(queue->first + at) & (queue->capacity - 1)];
}
/* The one that is being sent, or is sent next; NULL: none waits. */
static inline struct outgoing_batch *outgoing_queue_next(const struct outgoing_queue *queue)
{
	return queue->sent < queue->count ? outgoing_queue_at(queue, queue->sent) : NULL;
}
/* The one with this serial number; NULL: it has gone. */
struct outgoing_batch *outgoing_queue_find(const struct outgoing_queue *queue, uint32_t serial);
/* All are to be sent in another way, but for what is in the spool. runs: of the link on which they were sent. */
void outgoing_queue_rewind(struct outgoing_queue *queue, struct outgoing_runs runs);
/* Takes out the first one, if it was sent, no record of its own is held, and either awaits nothing or all up to this
 * number are safe. NULL: it is not so. */
struct batch *outgoing_queue_pop_done(struct outgoing_queue *queue, uint64_t safe);
/* Takes out the first one, whatever it waits for. NULL: there is none. */
struct batch *outgoing_queue_pop(struct outgoing_queue *queue);

#endif
