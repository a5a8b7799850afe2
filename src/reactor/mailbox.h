/* Records between threads, carried in batches: the inter-shard queue.
 *
 * Why bytes in batches. A message for subscribers of another shard could cross as a pointer to a counted object. Then
 * two cores would write its count, and the object would have to go home to be freed: some cache lines that move for
 * each message. Here the sender copies what it has to say into a batch that it alone writes, hands the batch over once
 * a turn with one atomic push, and wakes the receiver at most once for all of it. The receiver reads the records in
 * place, which brings their lines over in order, and the prefetcher sees that. So the price of a crossing is paid by
 * the batch, and at load a batch holds hundreds of messages.
 *
 * Two stacks a thread. `records` is what others send to it, `returns` are its own batches on their way home. Many push
 * to either; the owner empties it with one exchange and reverses what it got. A push is a compare-and-swap of the head
 * alone and a pop of one element does not exist, so there is no ABA problem: a batch that is on a stack is linked once,
 * and whoever takes it takes the whole stack. Reversed, the batches of one sender stand in the order in which they were
 * pushed. That, and that a sender has one open batch for each receiver, is the whole of the promise of order.
 *
 * Bounds. A sender counts for each receiver what is out: the open batch, those unread and those not returned. It stops
 * at OUTBOX_BYTES_MAX or OUTBOX_BATCHES_MAX, without asking the receiver, and one record of any size may always go. A
 * batch is lent, never given: only its owner allocates it and frees it, and batches of the usual size are used again.
 * At the end of the process the owner frees what is in its own mailbox, so all threads have to have ended before.
 *
 * Returns are news. A batch comes back when all in it is done with and the receiver's output is written, for output
 * points into it. That says two things to its owner: there is room, and the records have arrived. A ticket can be
 * attached to a record for the second (outbox_attach): a number of the owner's that it is told again with the batch. So
 * an acknowledgement costs the crossing nothing: no word in the record, no line that both sides write. Tickets stand at
 * the end of the batch, where the receiver does not look.
 *
 * Hazards. (1) Sleep: the owner says that it sleeps and then looks at both stacks once more; the pusher pushes and then
 * looks whether the owner sleeps. Each has a sequentially consistent fence between the two, else both may miss the
 * other. The same holds for awaits_returns. (2) A record must be filled before the turn ends, and outbox_write() of
 * another record to the same receiver may hand over the batch of the one before: a pointer to a record is good until
 * then. (3) A batch must not be returned while output still points into it, nor kept when it is done: its owner would
 * run out of room, and its publishers would wait for ever. (4) A receiver that stands still holds up whoever sends to
 * it, and nobody else: no thread ever waits for another one here. */
#ifndef REACTOR_MAILBOX_H
#define REACTOR_MAILBOX_H

#include "reactor/waker.h"

#include <stddef.h>
#include <stdint.h>

#define BATCH_BYTES (16u * 1024)    /* a larger record gets a batch of its own */
#define OUTBOX_BYTES_MAX (1u << 20) /* from one thread to another; one record may always go */
/* In batch->commit: the receiver could not do what is in the batch. */
#define BATCH_LOST UINT64_MAX
#define OUTBOX_BATCHES_MAX 1024u /* batches may be nearly empty: one for each turn in which there was little to say */

struct batch {
	struct batch *next;
	uint64_t opened_ns; /* when the sender's turn began in which its first record was written */
	uint64_t commit;    /* a number of the receiver's, which the owner sees with the return; 0 at first */
	uint32_t used_bytes;
	uint32_t capacity_bytes; /* of records and tickets together */
	uint32_t ticket_count;   /* the owner's: behind the records, from the end of bytes[] downwards */
	uint32_t delivered;      /* a count of the receiver's, 0 at first */
	uint32_t run;            /* the outbox's */
	uint16_t owner;          /* number of the thread that sends it */
	uint16_t receiver;
	_Alignas(8) uint8_t bytes[];
};

/* A stack that many push to and one empties at once, turning it into a queue again. */
struct inbox {
	_Alignas(64) _Atomic(struct batch *) top;
};

/* What the others need of a thread; shared. */
struct mailbox {
	struct inbox records;
	struct inbox returns; /* its own batches that come back */
	_Atomic bool awaits_returns;
	struct waker waker;
	struct waker *other_waker; /* of a thread that has one already; NULL: `waker` is its own */
};

struct outbox_peer {
	struct batch *open;
	/* In batches of ours that this receiver has or will get, the open one included. */
	uint64_t out_bytes;
	uint32_t out_batches;
	uint32_t opened; /* batches, since the start */
};

/* A thread's own side; private to it. */
struct outbox {
	struct mailbox *mailboxes; /* of all threads, by number; shared */
	struct outbox_peer *peers; /* by number */
	struct batch *free;
	struct batch *arrived; /* taken from our records, in order, not yet read */
	uint64_t allocation_count;
	uint64_t turn_ns;   /* when the turn began: set by the owner, for opened_ns */
	uint64_t out_bytes; /* to all peers */
	uint32_t out_batches;
	uint32_t open_count; /* peers that have an open batch */
	uint32_t run; /* 0; of a thread that may end and be followed by another with the same number: one of its own */
	uint16_t count;
	uint16_t self;
	uint16_t shared_from; /* numbers from here on have one mailbox, that of this number */
	/* Told by outbox_collect() of the tickets on a batch that came back: set by the owner; NULL: nobody. */
	void (*returned)(void *context, const struct batch *batch, const uint32_t *tickets);
	void *context;
};

enum error mailbox_open(struct mailbox *mailbox);
/* The same for a thread that sleeps on this waker, which must outlive the mailbox. */
void mailbox_open_with(struct mailbox *mailbox, struct waker *waker);
void mailbox_close(struct mailbox *mailbox);

enum error outbox_init(struct outbox *outbox, struct mailbox *mailboxes, uint16_t count, uint16_t self);
/* Right after it: batches that another run of this number has sent, and that come back to this one, are freed. */
static inline void outbox_set_run(struct outbox *outbox, uint32_t run)
{
	outbox->run = run;
}
/* Lets one thread receive what goes to all numbers from this one on, each with bounds of its own: batch->receiver says
 * for which it is. mailboxes[from] is the last mailbox then. Right after outbox_init(). */
void outbox_share(struct outbox *outbox, uint16_t from);
void outbox_fini(struct outbox *outbox);

/* Whether there is room for a record of `bytes` to `to`, as far as the bounds go. */
bool outbox_has_room(const struct outbox *outbox, uint16_t to, uint32_t bytes);
/* Where there is room: gets the memory, so that outbox_write() of as many bytes cannot fail in this turn.
 * ERROR_NO_MEMORY. */
enum error outbox_reserve(struct outbox *outbox, uint16_t to, uint32_t bytes);
/* Space for a record of `bytes`, aligned to 8, to be filled at once; NULL: no room. */
void *outbox_write(struct outbox *outbox, uint16_t to, uint32_t bytes);
/* Attaches a ticket, any number of the owner's, to the record that outbox_write() made last for this peer:
 * outbox->returned hears of it when the record's batch is back. At most one a record; never fails. */
void outbox_attach(struct outbox *outbox, uint16_t to, uint32_t ticket);
/* Ends the turn: hands over what was written and wakes those who sleep. */
void outbox_send(struct outbox *outbox);
/* Batches that were returned are free again. True when there were some, so that there may be room again. */
bool outbox_collect(struct outbox *outbox);
/* Whether outbox_collect() would find some. */
bool outbox_has_returns(const struct outbox *outbox);
/* Whether batches for `to` are still on their way or unread. */
static inline bool outbox_pending(const struct outbox *outbox, uint16_t to)
{
	return outbox->peers[to].out_batches != 0;
}
/* Names all that was written for `to` so far; for outbox_has_arrived(). */
static inline uint32_t outbox_mark(const struct outbox *outbox, uint16_t to)
{
	return outbox->peers[to].opened;
}
/* Whether all that was written before the mark was taken has come back as done with. A receiver returns its batches in
 * the order in which they were opened. */
static inline bool outbox_has_arrived(const struct outbox *outbox, uint16_t to, uint32_t mark)
{
	const struct outbox_peer *peer = &outbox->peers[to];
	return (int32_t)(peer->opened - peer->out_batches - mark) >= 0;
}
/* While true, whoever returns a batch to this thread also wakes it: it waits for room, or for a ticket. */
void outbox_await_returns(struct outbox *outbox, bool awaits);

/* The next batch for this thread, or NULL. It stays readable until outbox_return(). */
struct batch *outbox_receive(struct outbox *outbox);
bool outbox_has_mail(const struct outbox *outbox);
void outbox_return(struct outbox *outbox, struct batch *batch);

#endif
