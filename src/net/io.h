/* A reactor's reading and writing. An idle connection keeps nothing here: what is read lands in one scratch buffer that
 * all connections share; what is sent is a list of pieces, which point to bytes that somebody keeps until the end of
 * the turn, and leaves with one system call a connection. Blocks are taken only for a packet that came in part, and for
 * output that the kernel did not take, and are given back as soon as possible.
 *
 * A turn is: io_receive() and io_send() as often as needed, then io_flush(), then io_turn_end(). What carries the bytes
 * is the stream's affair (net/stream.h). Owned by one thread. */
#ifndef NET_IO_H
#define NET_IO_H

#include "base/slice.h"
#include "memory/slab.h"
#include "net/fixed_files.h"
#include "net/stream.h"
#include "net/write_ring.h"

#include <stdbool.h>

/* At most this much is read from a connection at once; also the longest packet that is put together in scratch. */
#define IO_READ_BYTES ((size_t)64 * 1024)

/* For one turn. Where a turn needs more, its output so far is flushed in between. */
#define IO_SCRATCH_BYTES ((size_t)2 << 20)
#define IO_OUTBOXES_MAX 16384u
#define IO_PIECES_MAX 65536u

/* Output that waits for one connection; more breaks it. A caller's own limits are lower. */
#define IO_BACKLOG_BYTES_MAX ((size_t)128 << 20)

/* Sockets beyond what the owner's descriptor table may hold. */
struct fixed_plan {
	uint32_t sockets;     /* at most so many; 0: none */
	uint32_t ring_slots;  /* of them in one ring */
	int first_descriptor; /* a socket with this number or a higher one leaves the table */
};

/* The part of a connection that this layer owns; embedded in the client. */
struct conn {
	struct stream stream;
	uint16_t generation; /* of the pool slot: tells that an event of this turn is stale */
	uint16_t outbox;     /* this turn's output: its number + 1, or 0 */
	uint32_t kept;       /* slab reference: input that is not parsed yet, or 0 */
	uint32_t backlog;    /* slab reference: output that the kernel did not take, or that is held; or 0 */
};
_Static_assert(sizeof(struct conn) == 16, "a quarter of a client's cache line");
_Static_assert(IO_OUTBOXES_MAX <= UINT16_MAX, "an outbox's number has 16 bits");

enum io_result {
	IO_BYTES,   /* *bytes is to be parsed */
	IO_NOTHING, /* nothing to parse yet */
	IO_EOF,
	IO_BROKEN, /* errno says why */
};

struct io_outbox {
	struct conn *conn;
	uint32_t first_piece;
	uint32_t last_piece;
	uint32_t bytes;
};

struct io_piece {
	const uint8_t *data;
	uint32_t size;
	uint32_t next;
};

/* Called while output is flushed. They must not call back into io. */
struct io_observer {
	void (*blocked)(void *context, struct conn *conn); /* a backlog came to be */
	void (*broken)(void *context, struct conn *conn);  /* a write failed; errno says why */
	void *context;
};

struct io {
	struct slab *slab;
	struct io_observer observer;
	struct streams streams;
	struct fixed_files fixed_files; /* open after io_fix_files() */
	struct region scratch;
	size_t scratch_used;
	size_t read_bytes; /* at once, IO_READ_BYTES at the most and by default */
	struct region outbox_region;
	struct region piece_region;
	struct io_outbox *outboxes;
	struct io_piece *pieces;
	uint32_t outbox_count;
	uint32_t piece_count;
	uint64_t now_ms; /* set by the owner at the start of a turn */
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t read_count;
	uint64_t write_count;
	uint64_t backlog_bytes;   /* of all connections */
	struct write_ring writes; /* for turns with output for many */
};

/* The slab stays the caller's, and must outlive io. ERROR_NO_MEMORY. */
enum error io_open(struct io *io, struct slab *slab, struct io_observer observer);
/* Gives back what is in the descriptor table of the thread that used it, sockets in fixed files included: by that
 * thread, before it ends, for elsewhere their numbers may be others' descriptors. Nothing is read or written any more.
 */
void io_leave(struct io *io);
/* The thread ends, and another one goes on with the connections: gives back what that one makes anew. */
void io_rest(struct io *io);
void io_close(struct io *io);
/* Has io_settle() move sockets to fixed files. Before the first of them; without this call all stay in the table. */
enum error io_fix_files(struct io *io, const struct fixed_plan *plan);

/* Reads once. *bytes: what was kept before and what came now, in a row; valid until the end of the turn (of a packet
 * longer than IO_READ_BYTES: until io_keep()). *more: another call may have something without another event. Call
 * io_keep() after parsing. */
enum io_result io_receive(struct io *io, struct conn *conn, struct slice *bytes, bool *more);
/* Keeps what was not parsed of the last io_receive(), or nothing when rest is empty. packet_bytes: the size of the
 * packet that rest begins, as far as known (0: not known). replay: rest is to be parsed again although nothing new
 * comes. ERROR_NO_MEMORY: the connection cannot go on. */
enum error io_keep(struct io *io, struct conn *conn, struct slice rest, size_t packet_bytes, bool replay);

/* Throws the next `bytes` (not 0) away as they come. After io_keep() of nothing. ERROR_NO_MEMORY. */
enum error io_skip(struct io *io, struct conn *conn, size_t bytes);

/* `size` bytes that live until the end of the turn. NULL: a turn's worth is used up. */
uint8_t *io_scratch(struct io *io, size_t size);

static inline size_t io_scratch_left(const struct io *io)
{
	return io->scratch.reserved_bytes - io->scratch_used;
}

/* Makes sure that scratch has room to read once and to answer, if need be by writing this turn's output now. Only
 * while the caller holds nothing of this turn but what io_send() was given. io_receive() calls it by itself. */
void io_make_room(struct io *io);

/* Whether the peer has sent something that was not read yet. */
bool io_has_input(struct io *io, const struct conn *conn);

/* The owner's poller knows the socket: from now on it may do without a descriptor (io_fix_files()). */
void io_settle(struct io *io, struct conn *conn);

/* Appends to the connection's output of this turn. The bytes (not 0 of them) must live until io_flush(). */
void io_send(struct io *io, struct conn *conn, struct slice bytes);
/* Bytes that wait for this connection: blocked, and of this turn. */
size_t io_queued_bytes(const struct io *io, const struct conn *conn);
/* Writes this connection's output of this turn now. */
void io_flush_conn(struct io *io, struct conn *conn);
/* Writes all output of this turn. May be called in the middle of a turn. */
void io_flush(struct io *io);
/* After io_flush(): scratch is free again. */
void io_turn_end(struct io *io);

/* Whether io_resume() has anything to do once the socket can be written. */
static inline bool io_awaits_writing(const struct conn *conn)
{
	return conn->backlog != 0 || stream_is_layered(conn->stream);
}

/* The socket can be written: goes on with the backlog. False: the connection broke; errno says why. */
bool io_resume(struct io *io, struct conn *conn);
/* Since when (on the clock of io->now_ms) the backlog has made no progress; while it is held, now. Only with a backlog.
 */
uint64_t io_stalled_since_ms(const struct io *io, const struct conn *conn);

/* ---- output that is held ----
 * From io_hold() to io_unhold() nothing is written: what is sent, this turn's output so far included, goes to the
 * backlog and counts as one.
 *
 * A hold while the output is held already is for what is sent from then on. It waits behind the first one, and takes
 * the place of another that waits so. What the first one holds is not held any longer for it: otherwise one whose
 * output is held again and again would never be sent anything. */

/* number: of the hold, not 0. is_first: the connection has not been sent anything yet. ERROR_NO_MEMORY: it is not held,
 * unless it was. */
enum error io_hold(struct io *io, struct conn *conn, uint64_t number, bool is_first);
/* The number of the connection's first hold; 0: its output is not held. */
uint64_t io_held(const struct io *io, const struct conn *conn);
/* The number of its last one. */
uint64_t io_held_last(const struct io *io, const struct conn *conn);
/* Ends the first hold. io_resume() writes what waits for nothing else. Only while the output is held. */
void io_unhold(struct io *io, struct conn *conn);
/* Ends all holds, and drops what was held and this turn's output. False: nothing may be sent any more, since it would
 * be the connection's first output or would follow a packet that was cut. Only while the output is held. */
bool io_drop_held(struct io *io, struct conn *conn);

/* Writes at once, past everything that waits: the last words to a connection that had no output yet. What the kernel
 * does not take is lost: a new socket's buffer takes it, or the peer is gone. */
void io_send_last(struct io *io, const struct conn *conn, struct slice bytes);
/* Has TCP acknowledge what was read at once, rather than together with output or after 40 ms. One system call. */
void io_acknowledge(struct io *io, const struct conn *conn);
/* Closes the stream and gives back what the connection holds; output of this turn is dropped. Once more does nothing.
 */
void io_disconnect(struct io *io, struct conn *conn);
/* Gives the stream up as stream_release() does. Input that was kept is dropped; the connection must have no output. */
int io_release(struct io *io, struct conn *conn, struct stream_carry *carry);
/* Gives back what is kept of the input, or of the output; or forgets this turn's output. */
void io_drop_input(struct io *io, struct conn *conn);
void io_drop_outbox(struct io *io, struct conn *conn);
void io_drop_backlog(struct io *io, struct conn *conn);

#endif
