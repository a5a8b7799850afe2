/* The writing half of net/io.h: pieces, the flush, and the backlog of a connection that does not read. */
#include "net/io.h"

#include "base/check.h"

#include <errno.h>
#include <sys/uio.h>

#define PARTS_MAX 128
#define BACKLOG_BYTES_MIN 1024u

/* In the slab, at conn->backlog. bytes[head..tail) wait. */
struct backlog {
	uint64_t stalled_since_ms;
	uint32_t capacity_bytes;
	uint32_t head;
	uint32_t tail;
	uint8_t bytes[];
};

static struct backlog *backlog_of(const struct io *io, const struct conn *conn)
{
	return slab_at(io->slab, conn->backlog);
}

void io_drop_backlog(struct io *io, struct conn *conn)
{
	if (conn->backlog == 0)
		return;
	struct backlog *backlog = backlog_of(io, conn);
	io->backlog_bytes -= backlog->tail - backlog->head;
	slab_give(io->slab, conn->backlog, sizeof(*backlog) + backlog->capacity_bytes);
	conn->backlog = 0;
}

/* A backlog with room for `more` bytes behind its tail; the old one's bytes move to the front of it. */
static enum error make_room(struct io *io, struct conn *conn, uint32_t more)
{
	struct backlog *old = conn->backlog != 0 ? backlog_of(io, conn) : NULL;
	uint32_t waiting = old != NULL ? old->tail - old->head : 0;
	if (old != NULL && old->capacity_bytes - old->tail >= more)
		return ERROR_OK;
	if (old != NULL && old->capacity_bytes - waiting >= more && old->head >= waiting) {
		memmove(old->bytes, old->bytes + old->head, waiting);
		old->head = 0;
		old->tail = waiting;
		return ERROR_OK;
	}
	size_t wanted = ((size_t)waiting + more) * 2;
	if (wanted < BACKLOG_BYTES_MIN)
		wanted = BACKLOG_BYTES_MIN;
	if (wanted > SLAB_BLOCK_BYTES_MAX / 2)
		return ERROR_LIMIT;
	uint32_t ref = slab_take(io->slab, sizeof(struct backlog) + wanted);
	if (ref == 0)
		return ERROR_NO_MEMORY;
	struct backlog *grown = slab_at(io->slab, ref);
	*grown = (struct backlog){
		.stalled_since_ms = old != NULL ? old->stalled_since_ms : io->now_ms,
		.capacity_bytes = (uint32_t)wanted,
		.tail = waiting,
	};
	if (old != NULL) {
		memcpy(grown->bytes, old->bytes + old->head, waiting);
		slab_give(io->slab, conn->backlog, sizeof(*old) + old->capacity_bytes);
	}
	conn->backlog = ref;
	return ERROR_OK;
}

/* Copies the pieces to the backlog. */
static enum error keep_pieces(struct io *io, const struct io_outbox *outbox)
{
	struct conn *conn = outbox->conn;
	enum error error = make_room(io, conn, outbox->bytes);
	if (error != ERROR_OK)
		return error;
	struct backlog *backlog = backlog_of(io, conn);
	for (uint32_t index = outbox->first_piece; index != UINT32_MAX; index = io->pieces[index].next) {
		const struct io_piece *piece = &io->pieces[index];
		memcpy(backlog->bytes + backlog->tail, piece->data, piece->size);
		backlog->tail += piece->size;
	}
	io->backlog_bytes += outbox->bytes;
	return ERROR_OK;
}

static ssize_t write_bytes(struct io *io, const struct conn *conn, const void *bytes, size_t size)
{
	io->write_count++;
	if (fixed_files_is_handle(conn->fd))
		return fixed_files_send(&io->fixed_files, conn->fd, bytes, size, MSG_NOSIGNAL);
	return send(conn->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t write_parts(struct io *io, const struct conn *conn, const struct msghdr *message)
{
	io->write_count++;
	if (fixed_files_is_handle(conn->fd))
		return fixed_files_sendmsg(&io->fixed_files, conn->fd, message, MSG_NOSIGNAL);
	return sendmsg(conn->fd, message, MSG_NOSIGNAL);
}

void io_send_last(struct io *io, const struct conn *conn, struct slice bytes)
{
	ssize_t written = write_bytes(io, conn, bytes.data, bytes.size);
	if (written > 0)
		io->bytes_out += (uint64_t)written;
}

/* One system call. Returns what send() does. */
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
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
	return write_parts(io, outbox->conn, &message);
}

/* Takes what was written off the front of the outbox. */
static void advance(struct io *io, struct io_outbox *outbox, size_t written)
{
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

static void end_output(struct io *io, const struct conn *conn)
{
	if (fixed_files_is_handle(conn->fd))
		fixed_files_shutdown(&io->fixed_files, conn->fd, SHUT_WR);
	else
		shutdown(conn->fd, SHUT_WR);
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
		advance(io, &rest, (size_t)written);
	}
	if (rest.bytes == 0)
		return;
	if (keep_pieces(io, &rest) != ERROR_OK) {
		end_output(io, conn); /* nothing may follow a packet that was cut */
		errno = ENOMEM;
		io->observer.broken(io->observer.context, conn);
	} else if (!was_blocked) {
		io->observer.blocked(io->observer.context, conn);
	}
}

void io_flush(struct io *io)
{
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

/* The piece behind the outbox's last one may just be its continuation: messages that were read in a row and go to one
 * receiver leave as one piece. */
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
		bytes += backlog_of(io, conn)->tail - backlog_of(io, conn)->head;
	if (conn->outbox != 0)
		bytes += io->outboxes[conn->outbox - 1].bytes;
	return bytes;
}

bool io_resume(struct io *io, struct conn *conn)
{
	while (conn->backlog != 0) {
		struct backlog *backlog = backlog_of(io, conn);
		ssize_t written = write_bytes(io, conn, backlog->bytes + backlog->head, backlog->tail - backlog->head);
		if (written < 0 && errno == EINTR)
			continue; /* no event would come for it */
		if (written < 0)
			return errno == EAGAIN;
		io->bytes_out += (uint64_t)written;
		io->backlog_bytes -= (uint64_t)written;
		backlog->head += (uint32_t)written;
		backlog->stalled_since_ms = io->now_ms;
		if (backlog->head == backlog->tail)
			io_drop_backlog(io, conn);
	}
	return true;
}

uint64_t io_stalled_since_ms(const struct io *io, const struct conn *conn)
{
	return backlog_of(io, conn)->stalled_since_ms;
}
