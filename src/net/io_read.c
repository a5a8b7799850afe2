/* The reading half of net/io.h: scratch, and what is kept of a packet that came in part. */
#include "net/io.h"

#include "base/check.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* A read starts only where this much is left: its own bytes, and answers to them, which are never longer. */
#define SCRATCH_RESERVE_BYTES (8 * IO_READ_BYTES)

/* In the slab, at conn->kept. */
struct kept {
	uint32_t capacity_bytes; /* of bytes[] */
	uint32_t used_bytes;
	uint32_t packet_bytes; /* size of the packet it begins, 0: not known */
	bool replay;
	bool skips; /* nothing is kept: the rest of the packet, packet_bytes, is thrown away as it comes */
	uint8_t bytes[];
};

static struct kept *kept_of(const struct io *io, const struct conn *conn)
{
	return slab_at(io->slab, conn->kept);
}

void io_drop_input(struct io *io, struct conn *conn)
{
	if (conn->kept == 0)
		return;
	slab_give(io->slab, conn->kept, sizeof(struct kept) + kept_of(io, conn)->capacity_bytes);
	conn->kept = 0;
}

static ssize_t receive(struct io *io, const struct conn *conn, void *buffer, size_t size, int flags)
{
	if (fixed_files_is_handle(conn->fd))
		return fixed_files_recv(&io->fixed_files, conn->fd, buffer, size, flags);
	return recv(conn->fd, buffer, size, flags);
}

void io_acknowledge(struct io *io, const struct conn *conn)
{
	static const int ON = 1;
	if (fixed_files_is_handle(conn->fd))
		fixed_files_setsockopt(&io->fixed_files, conn->fd, IPPROTO_TCP, TCP_QUICKACK, ON);
	else
		setsockopt(conn->fd, IPPROTO_TCP, TCP_QUICKACK, &ON, sizeof(ON));
}

static enum io_result result_of_read(struct io *io, ssize_t count, size_t room, bool *more)
{
	io->read_count++;
	/* A short read means that the socket is drained: the next bytes bring a new event. After a signal none comes.
	 */
	*more = count == (ssize_t)room || (count < 0 && errno == EINTR);
	if (count > 0) {
		io->bytes_in += (uint64_t)count;
		return IO_BYTES;
	}
	if (count == 0)
		return IO_EOF;
	return errno == EAGAIN || errno == EINTR ? IO_NOTHING : IO_BROKEN;
}

/* A packet longer than a read stays in its block. One that was read into scratch nevertheless, because so little of it
 * was kept that its length was not known, goes back there together with what is behind it. */
static bool is_large(const struct kept *kept)
{
	return kept->packet_bytes > IO_READ_BYTES && kept->used_bytes <= kept->packet_bytes;
}

/* Doubles the block, up to the whole packet: a length that is announced and does not come costs only what came. */
static enum error grow_kept(struct io *io, struct conn *conn)
{
	struct kept *old = kept_of(io, conn);
	size_t capacity = (size_t)old->capacity_bytes * 2;
	if (capacity < 2 * IO_READ_BYTES)
		capacity = 2 * IO_READ_BYTES;
	if (capacity > old->packet_bytes)
		capacity = old->packet_bytes;
	uint32_t ref = slab_take(io->slab, sizeof(struct kept) + capacity);
	if (ref == 0)
		return ERROR_NO_MEMORY;
	struct kept *grown = slab_at(io->slab, ref);
	memcpy(grown, old, sizeof(*old) + old->used_bytes);
	grown->capacity_bytes = (uint32_t)capacity;
	io_drop_input(io, conn);
	conn->kept = ref;
	return ERROR_OK;
}

/* A packet longer than a read: it is put together in its block and parsed there. */
static enum io_result receive_large(struct io *io, struct conn *conn, struct slice *bytes, bool *more)
{
	struct kept *kept = kept_of(io, conn);
	if (kept->used_bytes == kept->capacity_bytes) {
		if (grow_kept(io, conn) != ERROR_OK) {
			errno = ENOMEM;
			return IO_BROKEN;
		}
		kept = kept_of(io, conn);
	}
	size_t room = kept->capacity_bytes - kept->used_bytes;
	ssize_t count = receive(io, conn, kept->bytes + kept->used_bytes, room, 0);
	enum io_result result = result_of_read(io, count, room, more);
	if (result != IO_BYTES)
		return result;
	kept->used_bytes += (uint32_t)count;
	if (kept->used_bytes < kept->packet_bytes)
		return IO_NOTHING;
	*bytes = slice_of(kept->bytes, kept->used_bytes);
	return IO_BYTES;
}

/* What is kept goes back into scratch, in front of what was or will be read. */
static struct slice restore_kept(struct io *io, struct conn *conn, uint8_t *at)
{
	struct kept *kept = kept_of(io, conn);
	struct slice restored = slice_of(at, kept->used_bytes);
	memcpy(at, kept->bytes, kept->used_bytes);
	io_drop_input(io, conn);
	return restored;
}

/* What is behind the packet is for the caller. */
static enum io_result skip(struct io *io, struct conn *conn, struct slice *bytes, bool *more)
{
	struct kept *kept = kept_of(io, conn);
	uint8_t *at = io->scratch.base + io->scratch_used;
	ssize_t count = receive(io, conn, at, IO_READ_BYTES, 0);
	enum io_result result = result_of_read(io, count, IO_READ_BYTES, more);
	if (result != IO_BYTES)
		return result;
	if ((size_t)count < kept->packet_bytes) {
		kept->packet_bytes -= (uint32_t)count;
		return IO_NOTHING;
	}
	*bytes = slice_of(at + kept->packet_bytes, (size_t)count - kept->packet_bytes);
	io->scratch_used += (size_t)count;
	io_drop_input(io, conn);
	return bytes->size != 0 ? IO_BYTES : IO_NOTHING;
}

static enum io_result replay_kept(struct io *io, struct conn *conn, struct slice *bytes, bool *more)
{
	struct kept *kept = kept_of(io, conn);
	*more = true;
	kept->replay = false;
	if (is_large(kept)) {
		*bytes = slice_of(kept->bytes, kept->used_bytes);
	} else {
		*bytes = restore_kept(io, conn, io->scratch.base + io->scratch_used);
		io->scratch_used += bytes->size;
	}
	return IO_BYTES;
}

bool io_has_input(struct io *io, const struct conn *conn)
{
	uint8_t byte;
	return receive(io, conn, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) > 0;
}

void io_make_room(struct io *io)
{
	if (io->scratch.reserved_bytes - io->scratch_used >= SCRATCH_RESERVE_BYTES)
		return;
	io_flush(io);
	io_turn_end(io);
}

enum io_result io_receive(struct io *io, struct conn *conn, struct slice *bytes, bool *more)
{
	*bytes = (struct slice){0};
	*more = false;
	io_make_room(io);
	size_t kept_bytes = 0;
	if (conn->kept != 0) {
		struct kept *kept = kept_of(io, conn);
		if (kept->skips)
			return skip(io, conn, bytes, more);
		if (kept->replay)
			return replay_kept(io, conn, bytes, more);
		if (is_large(kept))
			return receive_large(io, conn, bytes, more);
		kept_bytes = kept->used_bytes;
	}

	uint8_t *at = io->scratch.base + io->scratch_used;
	ssize_t count = receive(io, conn, at + kept_bytes, io->read_bytes, 0);
	enum io_result result = result_of_read(io, count, io->read_bytes, more);
	if (result != IO_BYTES)
		return result;
	if (kept_bytes != 0)
		restore_kept(io, conn, at);
	*bytes = slice_of(at, kept_bytes + (size_t)count);
	io->scratch_used += bytes->size;
	return IO_BYTES;
}

enum error io_keep(struct io *io, struct conn *conn, struct slice rest, size_t packet_bytes, bool replay)
{
	if (conn->kept != 0) {
		/* A packet longer than a read: taken whole, or it stays where it is. */
		struct kept *kept = kept_of(io, conn);
		if (rest.size != 0) {
			CHECK(rest.data == kept->bytes && rest.size == kept->used_bytes);
			kept->replay = replay;
			return ERROR_OK;
		}
		io_flush(io); /* pieces may still point into it */
		io_drop_input(io, conn);
	}
	if (rest.size == 0)
		return ERROR_OK;
	uint32_t ref = slab_take(io->slab, sizeof(struct kept) + rest.size);
	if (ref == 0)
		return ERROR_NO_MEMORY;
	struct kept *kept = slab_at(io->slab, ref);
	*kept = (struct kept){
		.capacity_bytes = (uint32_t)rest.size,
		.used_bytes = (uint32_t)rest.size,
		.packet_bytes = (uint32_t)packet_bytes,
		.replay = replay,
	};
	memcpy(kept->bytes, rest.data, rest.size);
	conn->kept = ref;
	return ERROR_OK;
}

enum error io_skip(struct io *io, struct conn *conn, size_t bytes)
{
	CHECK(conn->kept == 0 && bytes != 0);
	uint32_t ref = slab_take(io->slab, sizeof(struct kept));
	if (ref == 0)
		return ERROR_NO_MEMORY;
	*(struct kept *)slab_at(io->slab, ref) = (struct kept){.packet_bytes = (uint32_t)bytes, .skips = true};
	conn->kept = ref;
	return ERROR_OK;
}
