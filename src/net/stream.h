/* A stream is what a connection is to everything above this file: bytes in order, both ways, that never block. What
 * carries them is the stream's kind: a socket in the descriptor table, a socket in io_uring's file tables, and whatever
 * puts a layer of its own on top of another stream, such as TLS or WebSocket framing. A kind is a table of operations
 * (struct stream_ops) in a file of its own; nothing above has to know which kinds there are.
 *
 * A stream costs its owner four bytes: three bits of kind and 28 bits of number. Plain kinds have their socket's number
 * there. A layered kind has the index of its state, in a pool of its own, and the state holds the stream beneath; so
 * WebSocket over TLS over a fixed file is three numbers that lead to each other, and an idle one has nothing else.
 *
 * What a layered kind may count on, and what it has to keep:
 *
 * - Reading. receive() may yield nothing although bytes came: half a record says nothing yet. Then it says EAGAIN, as
 *   a socket does, with *more set, because it took something. *more promises that another receive() may yield bytes or
 *   the end without an event of the poller; the poller knows the socket only, not what the kind has inside. So *more is
 *   set for as long as the kind holds bytes that it can turn into output, and until the socket beneath was found empty.
 *   The caller asks again while *more is set, in a later turn perhaps, and waits for an event otherwise.
 * - Writing. send() and sendv() say how many bytes they took, from the front. The caller offers the rest again, the
 *   same bytes first, though at another address and cut elsewhere. A kind that has put bytes into a record of which the
 *   socket took a part only keeps the rest of the record, says EAGAIN, and counts those bytes as taken when the record
 *   is out. So EAGAIN does not say that nothing left: a record that was offered to the stream beneath stays as it is.
 * And what a caller has left is all that is left: a stream never holds the caller's output back, and a caller without a
 * backlog has nothing to flush.
 * - Its own output. An answer that the peer's kind asks for, such as a Pong, may be written by receive(). Where the
 *   socket does not take it, the kind keeps one such answer at the most, a newer one in place of an older one, and
 *   flush() goes on with it when the socket can be written. It never keeps the kind from reading.
 * - Its end. close() says the kind's last words (close_notify, a Close frame) where the socket takes them at once and
 * no record was cut; shutdown() says none, for the output ends in the middle and the peer must be able to tell.
 * - Memory. State at rest is at most one block, which the pool limits. Buffers exist while there is half a record.
 * - Handing over. A stream moves to another thread with its state: release() there, adopt() here (struct stream_carry).
 *
 * Owned by one thread, whose descriptor table has the sockets. No call blocks or allocates for a plain kind. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/check.h"
#include "base/error.h"
#include "base/slice.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define STREAM_NUMBER_BITS 28u
#define STREAM_NUMBER_MAX ((1 << STREAM_NUMBER_BITS) - 1)

/* Three bits. The rest is for layered kinds. */
enum stream_kind {
	STREAM_DESCRIPTOR, /* the number is a descriptor */
	STREAM_FIXED_FILE, /* the number is a slot (net/stream_fixed.h) */
	STREAM_LAYERED_FIRST,
	STREAM_KINDS = 8,
};

struct stream {
	int32_t handle; /* kind << STREAM_NUMBER_BITS | number; negative: there is none */
};
_Static_assert(sizeof(struct stream) == 4, "it lies in every client");

#define STREAM_NONE ((struct stream){-1})

struct streams;

/* What is known of a stream besides its bytes; what points somewhere does so until the stream is used again. Each kind
 * adds what it knows to what the stream beneath has said. */
struct stream_facts {
	const struct sockaddr *peer; /* the peer's own address, as a proxy has said it; NULL: the socket knows best */
	struct slice subject;        /* of the peer's certificate; size 0: it showed none */
	uint16_t tls_version;        /* 0x0303, 0x0304, as on the wire; 0: no TLS */
	uint16_t tls_cipher;         /* the cipher suite's number at IANA */
	bool is_websocket;
	enum error error; /* how the peer broke the kind's protocol, where receive() said EPROTO; else ERROR_OK */
};

/* What a stream is besides its socket, while it moves between two threads' streams. Zero for a plain one. */
struct stream_carry {
	void *state; /* on the heap; owned by whoever holds the struct until adopt() or drop() takes it */
	uint8_t kind;
};

/* Where bytes may be put. */
struct stream_room {
	uint8_t *at;
	size_t bytes;
};

/* The operations of a kind; stream_*() below says what each of them does. Those marked * may be NULL where there is
 * nothing to do; the three of writing in two steps where the kind has none of them. */
struct stream_ops {
	ssize_t (*receive)(struct streams *streams, struct stream stream, void *buffer, size_t size, bool *more);
	bool (*pending)(struct streams *streams, struct stream stream);
	ssize_t (*send)(struct streams *streams, struct stream stream, const void *bytes, size_t size);
	ssize_t (*sendv)(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count);
	int (*flush)(struct streams *streams, struct stream stream);                  /* * */
	int (*stage_descriptor)(const struct streams *streams, struct stream stream); /* * */
	bool (*stage)(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count,
		      struct stream_room room, struct slice *bytes); /* * */
	ssize_t (*staged)(struct streams *streams, struct stream stream, size_t size, struct slice bytes,
			  ssize_t result); /* * */
	void (*acknowledge)(struct streams *streams, struct stream stream);
	void (*shutdown)(struct streams *streams, struct stream stream);
	void (*close)(struct streams *streams, struct stream stream);
	int (*borrow)(struct streams *streams, struct stream stream);
	void (*give_back)(struct streams *streams, struct stream stream, int fd);
	void (*describe)(const struct streams *streams, struct stream stream, struct stream_facts *facts); /* * */
	struct stream (*settle)(struct streams *streams, struct stream stream);                            /* * */
	int (*release)(struct streams *streams, struct stream stream, struct stream_carry *carry);
	struct stream (*adopt)(struct streams *streams, int fd, struct stream_carry *carry);
	void (*drop)(const struct streams *streams, struct stream_carry *carry); /* * */
};

/* The streams of one thread: which kinds it has, and what each of them needs. */
struct streams {
	const struct stream_ops *ops[STREAM_KINDS]; /* NULL: the kind was not added */
	void *contexts[STREAM_KINDS];               /* the kind's own */
	int first_descriptor; /* stream_settle() moves a socket with this number or a higher one out of the table */
	/* It moves one that is out of the table into it, where there is a lower number; where there is none it makes
	 * this false. */
	bool to_table;
};

/* With plain descriptors only; first_descriptor is INT_MAX. */
void streams_init(struct streams *streams);
/* ops and context must outlive streams. */
void streams_add_kind(struct streams *streams, enum stream_kind kind, const struct stream_ops *ops, void *context);

/* ---- handles ---- */

static inline bool stream_exists(struct stream stream)
{
	return stream.handle >= 0;
}

static inline enum stream_kind stream_kind_of(struct stream stream)
{
	return (enum stream_kind)((uint32_t)stream.handle >> STREAM_NUMBER_BITS);
}

static inline int stream_number(struct stream stream)
{
	return stream.handle & STREAM_NUMBER_MAX;
}

static inline struct stream stream_of(enum stream_kind kind, int number)
{
	CHECK(kind < STREAM_KINDS && number >= 0 && number <= STREAM_NUMBER_MAX);
	return (struct stream){(int32_t)((uint32_t)kind << STREAM_NUMBER_BITS | (uint32_t)number)};
}

static inline bool stream_is_descriptor(struct stream stream)
{
	return (uint32_t)stream.handle <= (uint32_t)STREAM_NUMBER_MAX;
}

static inline bool stream_is_layered(struct stream stream)
{
	return stream.handle >= STREAM_LAYERED_FIRST << STREAM_NUMBER_BITS;
}

static inline const struct stream_ops *stream_ops_of(const struct streams *streams, struct stream stream)
{
	CHECK(stream_exists(stream) && streams->ops[stream_kind_of(stream)] != NULL);
	return streams->ops[stream_kind_of(stream)];
}

/* ---- reading and writing ----
 * Descriptors, which nearly all streams are, go straight to the kernel: no table is read for them. */

/* Up to `size` bytes. 0: the peer's output ended. -1: errno, which is EAGAIN or EINTR where there is nothing yet,
 * EPROTO where the peer breaks the kind's own protocol. *more: ask again, as above. */
static inline ssize_t stream_receive(struct streams *streams, struct stream stream, void *buffer, size_t size,
				     bool *more)
{
	if (!stream_is_descriptor(stream))
		return stream_ops_of(streams, stream)->receive(streams, stream, buffer, size, more);
	ssize_t count = recv(stream.handle, buffer, size, MSG_DONTWAIT);
	/* A short read says that the socket is empty: the next bytes bring an event. */
	*more = count == (ssize_t)size;
	return count;
}

/* How many bytes were taken, at least one. -1: errno; EAGAIN or EINTR: none for now. Never raises SIGPIPE. */
static inline ssize_t stream_send(struct streams *streams, struct stream stream, const void *bytes, size_t size)
{
	if (!stream_is_descriptor(stream))
		return stream_ops_of(streams, stream)->send(streams, stream, bytes, size);
	return send(stream.handle, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The same with 1 to IOV_MAX parts. */
static inline ssize_t stream_sendv(struct streams *streams, struct stream stream, const struct iovec *parts,
				   size_t count)
{
	if (!stream_is_descriptor(stream))
		return stream_ops_of(streams, stream)->sendv(streams, stream, parts, count);
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
	return sendmsg(stream.handle, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Whether the peer has sent something that was not received yet: in the socket, or inside the kind. */
bool stream_pending(struct streams *streams, struct stream stream);
/* The socket can be written: goes on with the kind's own output. 0; or -1 and errno. */
int stream_flush(struct streams *streams, struct stream stream);
/* Has TCP acknowledge what was received at once, rather than together with output or after 40 ms. */
void stream_acknowledge(struct streams *streams, struct stream stream);

/* ---- writing in two steps ----
 * For a caller that writes to many sockets with one call of the kernel. A kind makes of the caller's bytes those for
 * the socket; the caller sends them, and tells what came of it. Between the two steps nothing else is done with the
 * stream. */

/* What a kind puts around so many bytes, for each layer. */
#define STREAM_STAGE_BYTES_MAX 64u

/* The descriptor that bytes are to be sent to. -1: this stream is not written so, or not now: it has output of its own
 * to go on with, or has no descriptor. */
static inline int stream_stage_descriptor(const struct streams *streams, struct stream stream)
{
	if (stream_is_descriptor(stream))
		return stream.handle;
	const struct stream_ops *ops = stream_ops_of(streams, stream);
	return ops->stage_descriptor != NULL ? ops->stage_descriptor(streams, stream) : -1;
}

/* Makes of 1 to IOV_MAX parts the *bytes to be sent, where there is a descriptor. They are in the room, which each
 * layer takes some of, or where the only part is; they live as long as both. False: the room is too small, or the parts
 * are more than the kind puts together at once; nothing has changed, and stream_sendv() is the way. */
bool stream_stage(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count,
		  struct stream_room room, struct slice *bytes);
/* size: of all parts together; result: what send() gave for the bytes of stream_stage(), or a negative errno. Returns
 * what stream_sendv() does. After a short write or -1 the stream is to be offered the rest at once, for it may take
 * more. */
static inline ssize_t stream_staged(struct streams *streams, struct stream stream, size_t size, struct slice bytes,
				    ssize_t result)
{
	if (!stream_is_descriptor(stream))
		return stream_ops_of(streams, stream)->staged(streams, stream, size, bytes, result);
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

/* ---- moving ---- */

/* Moves the socket out of the descriptor table where the table is nearly full (first_descriptor) and there is a kind
 * to take it; the poller must know it by then. Returns the stream's handle from now on. */
struct stream stream_settle(struct streams *streams, struct stream stream);
/* Gives the stream up, for another thread to adopt. Returns its descriptor, which the caller owns; *carry is to go with
 * it. -1: it could not be, and nothing has changed; errno says why. */
int stream_release(struct streams *streams, struct stream stream, struct stream_carry *carry);
/* Makes a stream of what another thread released; takes the descriptor and *carry. STREAM_NONE: for want of memory;
 * both are still the caller's. */
struct stream stream_adopt(struct streams *streams, int fd, struct stream_carry *carry);
/* Frees what was released and nobody adopts. Does nothing for a plain kind. */
void stream_carry_drop(const struct streams *streams, struct stream_carry *carry);
/* Closes a descriptor that a stream was released to, and whose socket lives on elsewhere or was never used: no last
 * words, and the peer of a socket that nobody else holds is reset where it has sent something. */
void stream_close_descriptor(int fd);

/* ---- the socket itself ---- */

/* A descriptor of the socket at the bottom, for calls that a stream does not have. -1: there is none, and none of
 * STREAM_NONE. Not for reading or writing. stream_give_back() after use. */
int stream_borrow(struct streams *streams, struct stream stream);
void stream_give_back(struct streams *streams, struct stream stream, int fd);
/* All zero for a plain stream, and for STREAM_NONE. */
struct stream_facts stream_facts(const struct streams *streams, struct stream stream);

/* ---- the end ---- */

/* The output ends here, in the middle: nothing may follow a packet that was cut. Input goes on. */
void stream_shutdown(struct streams *streams, struct stream stream);
/* Last words, and the end. What the peer sent and nobody received is thrown away first, as far as it has come: unread
 * input makes the kernel send a reset, which may overtake our last packet. */
void stream_close(struct streams *streams, struct stream stream);

/* As much unread input as a close throws away. */
#define STREAM_DISCARD_BYTES ((size_t)64 * 1024)

#endif
