/* Letters between threads, carried in parcels. A sender copies what it has to say to another thread into that thread's
 * open parcel, and hands the parcel over once a turn: one atomic operation and at most one wake-up for all of a turn's
 * messages, no reference counts and no sharing. The receiver reads the letters in place, and gives the parcel back to
 * its owner. Letters from one sender arrive in the order in which they were written.
 *
 * Bounded: a sender has at most POST_BYTES_MAX in parcels on their way to one receiver. Where they are used up there is
 * no room until some come back, and the sender is woken when they do if it asked to be (post_await_room). */
#ifndef NET_INBOX_H
#define NET_INBOX_H

#include "net/waker.h"

#include <stddef.h>
#include <stdint.h>

#define PARCEL_BYTES (16u * 1024) /* a larger letter gets a parcel of its own */
#define POST_BYTES_MAX (1u << 20) /* from one thread to another; one letter may always go */
#define POST_PARCELS_MAX 1024u    /* parcels may be nearly empty: one for each turn in which there was little to say */

struct parcel {
	struct parcel *next;
	uint64_t opened_ns; /* when the sender's turn began in which its first letter was written */
	uint32_t used_bytes;
	uint32_t capacity_bytes;
	uint32_t delivered; /* a count of the receiver's, 0 at first */
	uint16_t owner;     /* number of the thread that sends it */
	uint16_t receiver;
	_Alignas(8) uint8_t bytes[];
};

/* A stack that many push to and one empties at once, turning it into a queue again. */
struct inbox {
	_Alignas(64) _Atomic(struct parcel *) top;
};

/* What the others need of a thread; shared. */
struct mailbox {
	struct inbox letters;
	struct inbox returns; /* its own parcels that come back */
	_Atomic bool awaits_room;
	struct waker waker;
};

struct post_lane {
	struct parcel *open;
	/* In parcels of ours that this receiver has or will get, the open one included. */
	uint64_t out_bytes;
	uint32_t out_parcels;
};

/* A thread's own side; private to it. */
struct post {
	struct mailbox *mailboxes; /* of all threads, by number; shared */
	struct post_lane *lanes;
	struct parcel *free;
	struct parcel *arrived; /* taken from our letters, in order, not yet read */
	uint64_t allocation_count;
	uint64_t turn_ns;   /* when the turn began: set by the owner, for opened_ns */
	uint64_t out_bytes; /* of all lanes */
	uint32_t out_parcels;
	uint32_t open_count; /* lanes that have an open parcel */
	uint16_t count;
	uint16_t self;
};

enum error mailbox_open(struct mailbox *mailbox);
void mailbox_close(struct mailbox *mailbox);

enum error post_init(struct post *post, struct mailbox *mailboxes, uint16_t count, uint16_t self);
void post_fini(struct post *post);

/* Whether there is room for a letter of `bytes` to `to`, as far as the bounds go. */
bool post_has_room(const struct post *post, uint16_t to, uint32_t bytes);
/* Where there is room: gets the memory, so that post_write() of as many bytes cannot fail in this turn.
 * ERROR_NO_MEMORY. */
enum error post_reserve(struct post *post, uint16_t to, uint32_t bytes);
/* Space for a letter of `bytes`, aligned to 8, to be filled at once; NULL: no room. */
void *post_write(struct post *post, uint16_t to, uint32_t bytes);
/* Ends the turn: hands over what was written and wakes those who sleep. */
void post_send(struct post *post);
/* Parcels that were returned are free again. True when there were some, so that there may be room again. */
bool post_collect(struct post *post);
/* Whether post_collect() would find some. */
bool post_has_returns(const struct post *post);
/* Whether parcels for `to` are still on their way or unread. */
static inline bool post_pending(const struct post *post, uint16_t to)
{
	return post->lanes[to].out_parcels != 0;
}
/* While true, whoever returns a parcel to this thread also wakes it. */
void post_await_room(struct post *post, bool awaits);

/* The next parcel for this thread, or NULL. It stays readable until post_return(). */
struct parcel *post_receive(struct post *post);
bool post_has_mail(const struct post *post);
void post_return(struct post *post, struct parcel *parcel);

#endif
