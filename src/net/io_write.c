/* The writing half of net/io.h: pieces, the flush, and the backlog of a connection that does not read.
 *
 * A backlog is a chain of blocks, the oldest bytes first. A chain grows at its end and shrinks at its front, so that a
 * byte is copied once however long it waits. One buffer that doubles would copy what waits again and again, and all of
 * it in one turn: fifty clients that fall behind together, each with half a mebibyte, held everybody up for 20 ms. */
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

/* In the slab, at conn->backlog. */
struct backlog {
	uint64_t stalled_since_ms;
	uint32_t bytes; /* that wait, in all blocks; never 0 */
	uint32_t first; /* slab references */
	uint32_t last;
};

/* bytes[head..tail) wait. Only the last block has head == tail, and only while it is being filled. */
struct backlog_block {
	uint32_t next; /* slab reference; 0: it is the last one */
	uint32_t capacity_bytes;
	uint32_t head;
	uint32_t tail;
	uint8_t bytes[];
};
_Static_assert(sizeof(struct backlog_block) < BLOCK_BYTES_MIN, "a block has room behind its head");

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
	size_t size = BLOCK_BYTES_MIN;
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

/* Takes what was written off the front. */
static void backlog_advance(struct io *io, struct backlog *backlog, size_t written)
{
	CHECK(written <= backlog->bytes);
	backlog->bytes -= (uint32_t)written;
	io->backlog_bytes -= written;
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

/* One system call for the oldest blocks. Returns what stream_sendv() does. */
static ssize_t backlog_write(struct io *io, const struct conn *conn, const struct backlog *backlog)
{
	struct iovec parts[PARTS_MAX];
	size_t count = 0;
	for (uint32_t ref = backlog->first; ref != 0 && count < PARTS_MAX; ref = backlog_block_at(io, ref)->next) {
		struct backlog_block *block = backlog_block_at(io, ref);
		CHECK(block->head < block->tail);
		parts[count++] = (struct iovec){block->bytes + block->head, block->tail - block->head};
	}
	io->write_count++;
	return stream_sendv(&io->streams, conn->stream, parts, count);
}

bool io_resume(struct io *io, struct conn *conn)
{
	if (stream_is_layered(conn->stream) && stream_flush(&io->streams, conn->stream) != 0)
		return errno == EAGAIN || errno == EINTR;
	while (conn->backlog != 0) {
		struct backlog *backlog = backlog_of(io, conn);
		ssize_t written = backlog_write(io, conn, backlog);
		if (written < 0 && errno == EINTR)
			continue; /* no event would come for it */
		if (written < 0)
			return errno == EAGAIN;
		io->bytes_out += (uint64_t)written;
		backlog_advance(io, backlog, (size_t)written);
		backlog->stalled_since_ms = io->now_ms;
		if (backlog->bytes == 0)
			io_drop_backlog(io, conn);
	}
	return true;
}

uint64_t io_stalled_since_ms(const struct io *io, const struct conn *conn)
{
	return backlog_of(io, conn)->stalled_since_ms;
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

/* The next outboxes that are one piece each for a plain descriptor: as many as a batch takes. Returns where to go on.
 */
static uint32_t gather(const struct io *io, uint32_t from, struct write_ring_entry *entries, uint32_t *places,
		       uint32_t *count)
{
	uint32_t at = from;
	for (*count = 0; at < io->outbox_count && *count < WRITE_RING_WRITES_MAX; at++) {
		const struct io_outbox *outbox = &io->outboxes[at];
		if (outbox->conn == NULL || outbox->conn->backlog != 0 ||
		    stream_kind_of(outbox->conn->stream) != STREAM_DESCRIPTOR)
			continue;
		const struct io_piece *piece = &io->pieces[outbox->first_piece];
		if (piece->next != UINT32_MAX)
			continue;
		entries[*count] = (struct write_ring_entry){
			.fd = outbox->conn->stream.handle, .size = piece->size, .data = piece->data};
		places[(*count)++] = at;
	}
	return at;
}

/* What left whole is done. What did not is left to flush_outbox(), which asks the kernel again and learns why. */
static void take_result(struct io *io, struct io_outbox *outbox, ssize_t written)
{
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

static void flush_together(struct io *io)
{
	struct write_ring_entry entries[WRITE_RING_WRITES_MAX];
	uint32_t places[WRITE_RING_WRITES_MAX];
	uint32_t count;
	for (uint32_t at = 0; at < io->outbox_count;) {
		at = gather(io, at, entries, places, &count);
		if (count < WRITE_RING_WRITES_MIN || !write_ring_send(&io->writes, entries, count))
			return;
		for (uint32_t i = 0; i < count; i++)
			take_result(io, &io->outboxes[places[i]], entries[i].result);
	}
}

void io_flush(struct io *io)
{
	if (io->outbox_count >= WRITE_RING_WRITES_MIN)
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
