/* The writing half of net/io.h: pieces, the flush, and the backlog of a connection that does not read.
 *
 * A backlog is a chain of blocks, the oldest bytes first. A chain grows at its end and shrinks at its front, so that a
 * byte is copied once however long it waits. One buffer that doubles would copy what waits again and again, and all of
 * it in one turn: fifty clients that fall behind together, each with half a mebibyte, held everybody up for 20 ms. */
#include "base/layout_root.h"
#include "net/io.h"

#include "base/check.h"

#include <errno.h>

/* Of one write, where there are so many: the kernel takes 1024. */
#define PARTS_MAX 128
_Static_assert(PARTS_MAX <= 1024, "UIO_MAXIOV");

/* A block with its head: as large as what waits already, within these bounds. One of the largest size gives its pages
 * back to the kernel while it is free (memory/slab.h). */
#define BLOCK_BYTES_MIN 1024u
#define BLOCK_BYTES_MAX 65536u
/* Of the first block while output is held: an answer or two, for each of very many clients. */
#define HELD_BLOCK_BYTES_MIN 128u

/* In the slab, at conn->backlog. */
struct backlog {
	uint64_t stalled_since_ms;
	uint64_t held;       /* number of the hold; 0: it is not held */
	uint64_t next;       /* of the one behind it; 0: there is none */
	uint32_t mark_bytes; /* so many of the bytes wait for `held` alone, and those behind them for `next` */
	uint32_t free_bytes; /* held: so many of the bytes may leave, for an earlier hold has ended */
	uint32_t bytes;      /* that wait, in all blocks; 0 only while it is held */
	uint32_t first;      /* slab references */
	uint32_t last;
	bool is_first; /* held: nothing was written to the connection before */
	bool is_cut; /* held: there was output when the hold began, and a packet of it may have been written in part */
};
LAYOUT_ROOT(backlog);

/* bytes[head..tail) wait. Only the last block has head == tail, and only while it is being filled. */
struct backlog_block {
	uint32_t next; /* slab reference; 0: it is the last one */
	uint32_t capacity_bytes;
	uint32_t head;
	uint32_t tail;
	uint8_t bytes[];
};
_Static_assert(sizeof(struct backlog_block) < BLOCK_BYTES_MIN, "a block has room behind its head");
_Static_assert(sizeof(struct backlog_block) < HELD_BLOCK_BYTES_MIN, "and so has the first one while output is held");
LAYOUT_ROOT(backlog_block);

static struct backlog *backlog_of(const struct io *io, const struct conn *conn)
{
	CHECK(conn->backlog != 0);
	return slab_at(io->slab, conn->backlog);
}

static struct backlog_block *backlog_block_at(const struct io *io, uint32_t ref)
{
	CHECK(ref != 0);
	return slab_at(io->slab, ref);
}

/* ---- the backlog ---- */

/* Gives the oldest block back. */
static void backlog_drop_block(struct io *io, struct backlog *backlog)
{
	uint32_t ref = backlog->first;
	struct backlog_block *block = backlog_block_at(io, ref);
	CHECK((block->next == 0) == (ref == backlog->last));
	backlog->first = block->next;
	slab_give(io->slab, ref, sizeof(*block) + block->capacity_bytes);
}

void io_drop_backlog(struct io *io, struct conn *conn)
{
	if (conn->backlog == 0)
		return;
	struct backlog *backlog = backlog_of(io, conn);
	while (backlog->first != 0)
		backlog_drop_block(io, backlog);
	CHECK(io->backlog_bytes >= backlog->bytes);
	io->backlog_bytes -= backlog->bytes;
	slab_give(io->slab, conn->backlog, sizeof(*backlog));
	conn->backlog = 0;
}

static enum error backlog_begin(struct io *io, struct conn *conn)
{
	uint32_t ref = slab_take(io->slab, sizeof(struct backlog));
	if (ref == 0)
		return ERROR_NO_MEMORY;
	*(struct backlog *)slab_at(io->slab, ref) = (struct backlog){.stalled_since_ms = io->now_ms};
	conn->backlog = ref;
	return ERROR_OK;
}

/* A block for at least one of `more` bytes: for all of them and as much again as waits, as far as a block goes. */
static enum error backlog_add_block(struct io *io, struct backlog *backlog, size_t more)
{
	size_t wanted = more > backlog->bytes ? more : backlog->bytes;
	size_t size = backlog->held != 0 && backlog->first == 0 ? HELD_BLOCK_BYTES_MIN : BLOCK_BYTES_MIN;
	while (size < BLOCK_BYTES_MAX && size - sizeof(struct backlog_block) < wanted)
		size *= 2;
	uint32_t ref = slab_take(io->slab, size);
	if (ref == 0)
		return ERROR_NO_MEMORY;
	*(struct backlog_block *)slab_at(io->slab, ref) =
		(struct backlog_block){.capacity_bytes = (uint32_t)(size - sizeof(struct backlog_block))};
	if (backlog->first == 0)
		backlog->first = ref;
	else
		backlog_block_at(io, backlog->last)->next = ref;
	backlog->last = ref;
	return ERROR_OK;
}

static enum error backlog_append(struct io *io, struct backlog *backlog, const uint8_t *bytes, size_t size)
{
	while (size != 0) {
		struct backlog_block *block = backlog->first != 0 ? backlog_block_at(io, backlog->last) : NULL;
		if (block == NULL || block->tail == block->capacity_bytes) {
			if (backlog_add_block(io, backlog, size) != ERROR_OK)
				return ERROR_NO_MEMORY;
			continue;
		}
		size_t room = block->capacity_bytes - block->tail;
		size_t part = size < room ? size : room;
		memcpy(block->bytes + block->tail, bytes, part);
		block->tail += (uint32_t)part;
		backlog->bytes += (uint32_t)part;
		io->backlog_bytes += part;
		bytes += part;
		size -= part;
	}
	return ERROR_OK;
}

/* Copies the pieces to the backlog. On an error some of them may be there, and the backlog may be empty. */
static enum error keep_pieces(struct io *io, const struct io_outbox *outbox)
{
	struct conn *conn = outbox->conn;
	if (conn->backlog == 0 && backlog_begin(io, conn) != ERROR_OK)
		return ERROR_NO_MEMORY;
	struct backlog *backlog = backlog_of(io, conn);
	uint64_t sum = (uint64_t)backlog->bytes + outbox->bytes;
	if (sum > IO_BACKLOG_BYTES_MAX)
		return ERROR_LIMIT;
	for (uint32_t index = outbox->first_piece; index != UINT32_MAX; index = io->pieces[index].next) {
		const struct io_piece *piece = &io->pieces[index];
		if (backlog_append(io, backlog, piece->data, piece->size) != ERROR_OK)
			return ERROR_NO_MEMORY;
	}
	CHECK(backlog->bytes == sum); /* an outbox's bytes are those of its pieces */
	return ERROR_OK;
}

/* How many of the bytes may leave now. */
static uint32_t backlog_writable(const struct backlog *backlog)
{
	return backlog->held == 0 || backlog->free_bytes > backlog->bytes ? backlog->bytes : backlog->free_bytes;
}

/* Takes what was written off the front. */
static void backlog_advance(struct io *io, struct backlog *backlog, size_t written)
{
	CHECK(written <= backlog_writable(backlog));
	backlog->bytes -= (uint32_t)written;
	io->backlog_bytes -= written;
	if (backlog->held != 0)
		backlog->free_bytes -= (uint32_t)written;
	if (backlog->next != 0)
		backlog->mark_bytes -= (uint32_t)written; /* which is behind all that is free */
	while (written != 0) {
		struct backlog_block *block = backlog_block_at(io, backlog->first);
		uint32_t waiting = block->tail - block->head;
		if (written < waiting) {
			block->head += (uint32_t)written;
			return;
		}
		written -= waiting;
		backlog_drop_block(io, backlog);
	}
}

/* One system call for the oldest blocks, up to `most` bytes. Returns what stream_sendv() does. */
static ssize_t backlog_write(struct io *io, const struct conn *conn, const struct backlog *backlog, uint32_t most)
{
	struct iovec parts[PARTS_MAX];
	size_t count = 0;
	for (uint32_t ref = backlog->first; most != 0 && count < PARTS_MAX; ref = backlog_block_at(io, ref)->next) {
		struct backlog_block *block = backlog_block_at(io, ref);
		CHECK(block->head < block->tail);
		uint32_t size = block->tail - block->head < most ? block->tail - block->head : most;
		parts[count++] = (struct iovec){block->bytes + block->head, size};
		most -= size;
	}
	io->write_count++;
	return stream_sendv(&io->streams, conn->stream, parts, count);
}

bool io_resume(struct io *io, struct conn *conn)
{
	if (stream_is_layered(conn->stream) && stream_flush(&io->streams, conn->stream) != 0)
		return errno == EAGAIN || errno == EINTR;
	while (conn->backlog != 0 && backlog_writable(backlog_of(io, conn)) != 0) {
		struct backlog *backlog = backlog_of(io, conn);
		ssize_t written = backlog_write(io, conn, backlog, backlog_writable(backlog));
		if (written < 0 && errno == EINTR)
			continue; /* no event would come for it */
		if (written < 0)
			return errno == EAGAIN;
		io->bytes_out += (uint64_t)written;
		backlog_advance(io, backlog, (size_t)written);
		backlog->stalled_since_ms = io->now_ms;
		if (backlog->bytes == 0 && backlog->held == 0)
			io_drop_backlog(io, conn);
	}
	return true;
}

uint64_t io_stalled_since_ms(const struct io *io, const struct conn *conn)
{
	const struct backlog *backlog = backlog_of(io, conn);
	return backlog->held != 0 ? io->now_ms : backlog->stalled_since_ms;
}

/* ---- output that is held ---- */

enum error io_hold(struct io *io, struct conn *conn, uint64_t number, bool is_first)
{
	CHECK(number != 0);
	size_t queued = io_queued_bytes(io, conn);
	bool has_output = conn->backlog != 0 || conn->outbox != 0;
	if (conn->backlog == 0 && backlog_begin(io, conn) != ERROR_OK)
		return ERROR_NO_MEMORY;
	struct backlog *backlog = backlog_of(io, conn);
	if (backlog->held == 0) {
		CHECK(!is_first || !has_output);
		backlog->is_first = is_first;
		backlog->is_cut = has_output;
		backlog->held = number;
	} else if (backlog->held != number) {
		if (backlog->next == 0)
			backlog->mark_bytes = queued < IO_BACKLOG_BYTES_MAX ? (uint32_t)queued : IO_BACKLOG_BYTES_MAX;
		backlog->next = number;
	}
	return ERROR_OK;
}

uint64_t io_held(const struct io *io, const struct conn *conn)
{
	return conn->backlog != 0 ? backlog_of(io, conn)->held : 0;
}

uint64_t io_held_last(const struct io *io, const struct conn *conn)
{
	const struct backlog *backlog = conn->backlog != 0 ? backlog_of(io, conn) : NULL;
	return backlog == NULL ? 0 : backlog->next != 0 ? backlog->next : backlog->held;
}

void io_unhold(struct io *io, struct conn *conn)
{
	struct backlog *backlog = backlog_of(io, conn);
	CHECK(backlog->held != 0);
	backlog->held = backlog->next;
	backlog->free_bytes = backlog->next != 0 ? backlog->mark_bytes : 0;
	backlog->next = 0;
	backlog->is_first = backlog->is_first && backlog->held != 0 && backlog->free_bytes == 0;
	backlog->is_cut = false; /* what may be cut is free, or nothing is held */
	backlog->stalled_since_ms = io->now_ms;
	if (backlog->bytes == 0 && backlog->held == 0)
		io_drop_backlog(io, conn);
}

bool io_drop_held(struct io *io, struct conn *conn)
{
	const struct backlog *backlog = backlog_of(io, conn);
	CHECK(backlog->held != 0);
	bool may_follow = !backlog->is_first && !backlog->is_cut && backlog->free_bytes == 0;
	io_drop_outbox(io, conn);
	io_drop_backlog(io, conn);
	return may_follow;
}

/* ---- the flush ---- */

static ssize_t write_bytes(struct io *io, const struct conn *conn, const void *bytes, size_t size)
{
	io->write_count++;
	return stream_send(&io->streams, conn->stream, bytes, size);
}

void io_send_last(struct io *io, const struct conn *conn, struct slice bytes)
{
	ssize_t written = write_bytes(io, conn, bytes.data, bytes.size);
	if (written > 0)
		io->bytes_out += (uint64_t)written;
}

/* One system call. Returns what stream_send() does. */
static ssize_t write_pieces(struct io *io, const struct io_outbox *outbox)
{
	const struct io_piece *first = &io->pieces[outbox->first_piece];
	if (first->next == UINT32_MAX)
		return write_bytes(io, outbox->conn, first->data, first->size);

	struct iovec parts[PARTS_MAX];
	size_t count = 0;
	for (uint32_t index = outbox->first_piece; index != UINT32_MAX && count < PARTS_MAX;
	     index = io->pieces[index].next) {
		const struct io_piece *piece = &io->pieces[index];
		parts[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)piece->data, .iov_len = piece->size};
	}
	io->write_count++;
	return stream_sendv(&io->streams, outbox->conn->stream, parts, count);
}

/* Takes what was written off the front of the outbox. */
static void advance_outbox(struct io *io, struct io_outbox *outbox, size_t written)
{
	CHECK(written <= outbox->bytes);
	outbox->bytes -= (uint32_t)written;
	while (written != 0) {
		struct io_piece *piece = &io->pieces[outbox->first_piece];
		if (written < piece->size) {
			piece->data += written;
			piece->size -= (uint32_t)written;
			return;
		}
		written -= piece->size;
		outbox->first_piece = piece->next;
	}
}

/* The kernel does not take the rest: it becomes the connection's backlog, or its end. */
static void block_outbox(struct io *io, const struct io_outbox *rest)
{
	struct conn *conn = rest->conn;
	bool was_blocked = conn->backlog != 0;
	if (keep_pieces(io, rest) != ERROR_OK) {
		if (conn->backlog != 0 && backlog_of(io, conn)->bytes == 0)
			io_drop_backlog(io, conn);
		stream_shutdown(&io->streams, conn->stream); /* nothing may follow a packet that was cut */
		errno = ENOMEM;
		io->observer.broken(io->observer.context, conn);
	} else if (!was_blocked) {
		io->observer.blocked(io->observer.context, conn);
	}
}

static void flush_outbox(struct io *io, struct io_outbox *outbox)
{
	struct conn *conn = outbox->conn;
	if (conn == NULL)
		return;
	outbox->conn = NULL;
	conn->outbox = 0;
	struct io_outbox rest = *outbox;
	rest.conn = conn;

	bool was_blocked = conn->backlog != 0;
	while (!was_blocked && rest.bytes != 0) {
		ssize_t written = write_pieces(io, &rest);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno != EAGAIN) {
			io->observer.broken(io->observer.context, conn);
			return;
		}
		if (written < 0)
			break;
		io->bytes_out += (uint64_t)written;
		advance_outbox(io, &rest, (size_t)written);
	}
	if (rest.bytes != 0)
		block_outbox(io, &rest);
}

/* ---- many at once ---- */

/* Of one outbox. With more, the way into the kernel is a small part of what a write costs. */
#define STAGED_PARTS_MAX 16u
#define STAGED_BYTES_MAX ((size_t)8 * 1024)
/* Two layers that put something around the bytes, each in a place of its own. */
#define STAGED_ROOM_BYTES_MAX (2 * (STAGED_BYTES_MAX + STREAM_STAGE_BYTES_MAX))
_Static_assert(STAGED_ROOM_BYTES_MAX < IO_SCRATCH_BYTES / 64, "an empty scratch has room for dozens of writes");

struct staged_batch {
	struct write_ring_entry entries[WRITE_RING_WRITES_MAX];
	uint32_t places[WRITE_RING_WRITES_MAX]; /* of their outboxes */
	uint32_t count;
	struct stream_room room;
};

/* Up to STAGED_PARTS_MAX. 0: it has more. */
static size_t parts_of_outbox(const struct io *io, const struct io_outbox *outbox, struct iovec *parts)
{
	size_t count = 0;
	for (uint32_t at = outbox->first_piece; at != UINT32_MAX; at = io->pieces[at].next) {
		if (count == STAGED_PARTS_MAX)
			return 0;
		parts[count++] = (struct iovec){(void *)(uintptr_t)io->pieces[at].data, io->pieces[at].size};
	}
	return count;
}

/* Adds the outbox, unless it has to be written by itself. */
static void stage_outbox(struct io *io, struct staged_batch *batch, uint32_t place, int fd)
{
	struct iovec parts[STAGED_PARTS_MAX];
	const struct io_outbox *outbox = &io->outboxes[place];
	struct slice bytes;
	size_t count = parts_of_outbox(io, outbox, parts);
	if (count == 0 || !stream_stage(&io->streams, outbox->conn->stream, parts, count, batch->room, &bytes))
		return;
	batch->entries[batch->count] =
		(struct write_ring_entry){.fd = fd, .size = (uint32_t)bytes.size, .data = bytes.data};
	batch->places[batch->count++] = place;
	if (bytes.data >= batch->room.at && bytes.data < batch->room.at + batch->room.bytes) {
		size_t used = (size_t)(bytes.data + bytes.size - batch->room.at);
		batch->room.at += used;
		batch->room.bytes -= used;
	}
}

/* The next outboxes, as many as a batch takes. Returns where to go on. What is staged lies in the scratch behind that
 * of the turn, and is gone with the batch. */
static uint32_t gather(struct io *io, uint32_t from, struct staged_batch *batch)
{
	uint32_t at = from;
	batch->count = 0;
	batch->room = (struct stream_room){io->scratch.base + io->scratch_used, io_scratch_left(io)};
	for (; at < io->outbox_count && batch->count < WRITE_RING_WRITES_MAX; at++) {
		const struct io_outbox *outbox = &io->outboxes[at];
		if (outbox->conn == NULL || outbox->conn->backlog != 0)
			continue;
		const struct io_piece *piece = &io->pieces[outbox->first_piece];
		struct stream stream = outbox->conn->stream;
		if (stream_is_descriptor(stream) && piece->next == UINT32_MAX) { /* nearly all */
			batch->entries[batch->count] = (struct write_ring_entry){
				.fd = stream.handle, .size = piece->size, .data = piece->data};
			batch->places[batch->count++] = at;
			continue;
		}
		int fd = stream_stage_descriptor(&io->streams, stream);
		if (fd < 0 || outbox->bytes > STAGED_BYTES_MAX)
			continue;
		if (batch->room.bytes < STAGED_ROOM_BYTES_MAX)
			break;
		stage_outbox(io, batch, at, fd);
	}
	return at;
}

/* What left whole is done. What did not is left to flush_outbox(), which asks the kernel again and learns why. */
static void take_result(struct io *io, struct io_outbox *outbox, const struct write_ring_entry *entry)
{
	ssize_t written = stream_staged(&io->streams, outbox->conn->stream, outbox->bytes,
					slice_of(entry->data, entry->size), entry->result);
	if (written <= 0)
		return;
	io->write_count++;
	io->bytes_out += (uint64_t)written;
	advance_outbox(io, outbox, (size_t)written);
	if (outbox->bytes != 0)
		return;
	outbox->conn->outbox = 0;
	outbox->conn = NULL;
}

/* Too few for the ring, or there is none: what is staged has to leave. */
static void send_one_by_one(struct staged_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		struct write_ring_entry *entry = &batch->entries[i];
		entry->result = send(entry->fd, entry->data, entry->size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (entry->result < 0)
			entry->result = -errno;
	}
}

static void flush_together(struct io *io)
{
	struct staged_batch batch;
	for (uint32_t at = 0; at < io->outbox_count;) {
		at = gather(io, at, &batch);
		if (batch.count < WRITE_RING_WRITES_MIN || !write_ring_send(&io->writes, batch.entries, batch.count))
			send_one_by_one(&batch);
		for (uint32_t i = 0; i < batch.count; i++)
			take_result(io, &io->outboxes[batch.places[i]], &batch.entries[i]);
		if (batch.count == 0)
			return;
	}
}

void io_flush(struct io *io)
{
	if (io->outbox_count >= WRITE_RING_WRITES_MIN && !io->writes.is_refused)
		flush_together(io);
	for (uint32_t i = 0; i < io->outbox_count; i++)
		flush_outbox(io, &io->outboxes[i]);
	io->outbox_count = 0;
	io->piece_count = 0;
}

void io_flush_conn(struct io *io, struct conn *conn)
{
	if (conn->outbox != 0)
		flush_outbox(io, &io->outboxes[conn->outbox - 1]);
}

/* The bytes may continue the outbox's last piece in memory: messages that were read in a row and go to one receiver
 * leave as one piece. */
static bool extend_last_piece(struct io *io, struct io_outbox *outbox, struct slice bytes)
{
	struct io_piece *last = &io->pieces[outbox->last_piece];
	if (last->data + last->size != bytes.data)
		return false;
	last->size += (uint32_t)bytes.size;
	outbox->bytes += (uint32_t)bytes.size;
	return true;
}

void io_send(struct io *io, struct conn *conn, struct slice bytes)
{
	CHECK(bytes.size != 0 && bytes.size <= UINT32_MAX);
	if (conn->outbox != 0 && extend_last_piece(io, &io->outboxes[conn->outbox - 1], bytes))
		return;
	if (io->piece_count == IO_PIECES_MAX || io->outbox_count == IO_OUTBOXES_MAX)
		io_flush(io);

	uint32_t index = io->piece_count++;
	io->pieces[index] = (struct io_piece){bytes.data, (uint32_t)bytes.size, UINT32_MAX};
	if (conn->outbox != 0) {
		struct io_outbox *outbox = &io->outboxes[conn->outbox - 1];
		io->pieces[outbox->last_piece].next = index;
		outbox->last_piece = index;
		outbox->bytes += (uint32_t)bytes.size;
		return;
	}
	io->outboxes[io->outbox_count++] = (struct io_outbox){conn, index, index, (uint32_t)bytes.size};
	conn->outbox = (uint16_t)io->outbox_count;
}

size_t io_queued_bytes(const struct io *io, const struct conn *conn)
{
	size_t bytes = 0;
	if (conn->backlog != 0)
		bytes += backlog_of(io, conn)->bytes;
	if (conn->outbox != 0)
		bytes += io->outboxes[conn->outbox - 1].bytes;
	return bytes;
}
