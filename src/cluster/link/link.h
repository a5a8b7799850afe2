/* A reliable stream of messages from one run of a node to one run of another and back, over a bus of datagrams that may
 * lose, repeat and reorder them (NATS promises at most once: a slow consumer and a reconnect lose). A message is a kind
 * of one byte and a body of any size. Messages come in the order in which they were sent, each exactly once, for as
 * long as both incarnations live; a link that is made anew for the same two incarnations would break that promise.
 *
 * Small messages share a datagram, large ones take several. Datagrams have numbers of 64 bits and are kept until the
 * peer has acknowledged them. The peer takes them in order only, and says when one is missing; then the sender goes
 * back to that one. The bus keeps the order of one sender, and loses in runs: so nothing would be won by keeping what
 * came out of order, and a stranger cannot make the receiver keep anything.
 *
 * What the link acknowledges has *come*. Whether it is *safe* is the affair of the services above.
 *
 * Pure: the time comes in (monotonic milliseconds), datagrams come in and go out. Owned by the nodes thread. What comes
 * from the bus is never asserted on: it has a verdict, which is counted. */
#ifndef CLUSTER_LINK_H
#define CLUSTER_LINK_H

#include "base/error.h"
#include "base/slice.h"
#include "cluster/link/link_state.h"

/* "CHECKSUM", "its checksum is wrong"; static storage. */
const char *link_verdict_name(enum link_verdict verdict);
const char *link_verdict_sentence(enum link_verdict verdict);

/* Allocates nothing yet. The incarnations are not 0. */
void link_init(struct link *link, uint64_t own, uint64_t peer, const struct link_limits *limits,
	       struct link_receiver receiver);
void link_fini(struct link *link);

/* Bytes that those may send who can wait; 0: later. */
static inline size_t link_room(const struct link *link)
{
	return link->buffered_bytes < link->limits.buffer_bytes ? link->limits.buffer_bytes - link->buffered_bytes : 0;
}

/* Sends one message, the parts of whose body are copied, one after another; no part has to be there. One message of any
 * size goes whenever there is less than twice the buffer. Whoever can wait asks link_room() first, so that the second
 * half is for what must not wait: answers, upon which the other side waits.
 * ERROR_LIMIT: the buffer is full twice; ERROR_PACKET_TOO_LARGE; ERROR_NO_MEMORY: nothing of it was taken. */
enum error link_send(struct link *link, uint8_t kind, const struct slice *parts, size_t count);

/* The next datagram to give to the bus, valid until the next call on this link. false: none now. To be called until
 * then at the end of a turn, and as long as the bus takes more: what was sent in one turn shares datagrams. */
bool link_next_datagram(struct link *link, uint64_t now_ms, struct slice *datagram);

/* Whether link_next_datagram() has one. */
bool link_has_datagram(const struct link *link, uint64_t now_ms);

/* Whose datagram it is, without a look at the rest: for finding its link. false: it is too short, or none of a link. */
bool link_peek(struct slice datagram, uint64_t *from, uint64_t *to);

/* Takes a datagram from the bus. Whatever is not TAKEN has had no effect, but that an acknowledgement in a DUPLICATE or
 * before a GAP counts. */
enum link_verdict link_receive(struct link *link, struct slice datagram, uint64_t now_ms);

/* To be called at the deadline or later; does nothing before. */
void link_tick(struct link *link, uint64_t now_ms);
/* UINT64_MAX: none. */
uint64_t link_next_deadline(const struct link *link);

/* While the peer is away nothing is sent. Afterwards the link goes on where it was. What comes is taken all the while.
 */
void link_suspend(struct link *link);
void link_resume(struct link *link, uint64_t now_ms);

/* Everything that was sent has come. */
static inline bool link_is_empty(const struct link *link)
{
	return link->oldest == NULL;
}

#endif
