/* The reading half of net/io.h: scratch, and what is kept of a packet that came in part. */
#include "base/layout_root.h"
#include "net/io.h"

#include "base/check.h"

#include <errno.h>

/* A read starts only where this much of scratch is left. It takes two reads' worth for itself: what was kept, which is
 * shorter than a read plus the few bytes of a packet's header, and what comes. The rest is for answers. */
#define SCRATCH_RESERVE_BYTES (8 * IO_READ_BYTES)
_Static_assert(SCRATCH_RESERVE_BYTES <= IO_SCRATCH_BYTES, "an empty scratch has room for a read");

/* In the slab, at conn->kept. */
struct kept_input {
	uint32_t capacity_bytes; /* of bytes[] */
	uint32_t used_bytes;
	uint32_t packet_bytes; /* size of the packet that it begins; 0: not known */
	bool replay;           /* it is to be parsed again although nothing new has come */
	bool skips;            /* nothing is kept: packet_bytes of what comes are thrown away */
	uint8_t bytes[];
};
LAYOUT_ROOT(kept_input);

static struct kept_input *kept_of(const struct io *io, const struct conn *conn)
{
	CHECK(conn->kept != 0);
	return slab_at(io->slab, conn->kept);
}

void io_drop_input(struct io *io, struct conn *conn)
{
	if (conn->kept == 0)
		return;
	slab_give(io->slab, conn->kept, sizeof(struct kept_input) + kept_of(io, conn)->capacity_bytes);
	conn->kept = 0;
}

/* One read into `room` bytes at `at`. *got: how many came, where the result is IO_BYTES. */
static inline enum io_result read_stream(struct io *io, const struct conn *conn, uint8_t *at, size_t room, size_t *got,
					 bool *more)
{
	ssize_t count = stream_receive(&io->streams, conn->stream, at, room, more);
	io->read_count++;
	CHECK(count <= (ssize_t)room);
	*got = count > 0 ? (size_t)count : 0;
	if (count > 0) {
		io->bytes_in += (uint64_t)count;
		return IO_BYTES;
	}
	if (count == 0)
		return IO_EOF;
	if (errno == EINTR)
		*more = true; /* no event would come for it */
	return errno == EAGAIN || errno == EINTR ? IO_NOTHING : IO_BROKEN;
}

/* A packet longer than a read stays in its block. The exception is one that was read into scratch because so little of
 * it was kept that its length was not known: it goes back to scratch, together with what stands behind it. */
static bool is_large(const struct kept_input *kept)
{
	return kept->packet_bytes > IO_READ_BYTES && kept->used_bytes <= kept->packet_bytes;
}

/* Doubles the block, up to the whole packet. A length that is announced costs nothing until the bytes come. */
static enum error grow_kept(struct io *io, struct conn *conn)
{
	struct kept_input *old = kept_of(io, conn);
	CHECK(old->capacity_bytes < old->packet_bytes && old->used_bytes == old->capacity_bytes);
	size_t capacity = (size_t)old->capacity_bytes * 2;
	if (capacity < 2 * IO_READ_BYTES)
		capacity = 2 * IO_READ_BYTES;
	if (capacity > old->packet_bytes)
		capacity = old->packet_bytes;
	uint32_t ref = slab_take(io->slab, sizeof(struct kept_input) + capacity);
	if (ref == 0)
		return ERROR_NO_MEMORY;
	struct kept_input *grown = slab_at(io->slab, ref);
	memcpy(grown, old, sizeof(*old) + old->used_bytes);
	grown->capacity_bytes = (uint32_t)capacity;
	io_drop_input(io, conn);
	conn->kept = ref;
	return ERROR_OK;
}

/* A packet longer than a read is put together in its block and parsed there. */
static enum io_result receive_large(struct io *io, struct conn *conn, struct slice *bytes, bool *more)
{
	struct kept_input *kept = kept_of(io, conn);
	if (kept->used_bytes == kept->capacity_bytes) {
		if (grow_kept(io, conn) != ERROR_OK) {
			errno = ENOMEM;
			return IO_BROKEN;
		}
		kept = kept_of(io, conn);
	}
	size_t room = kept->capacity_bytes - kept->used_bytes;
	CHECK(room != 0);
	size_t got;
	enum io_result result = read_stream(io, conn, kept->bytes + kept->used_bytes, room, &got, more);
	if (result != IO_BYTES)
		return result;
	kept->used_bytes += (uint32_t)got;
	if (kept->used_bytes < kept->packet_bytes)
		return IO_NOTHING;
	*bytes = slice_of(kept->bytes, kept->used_bytes);
	return IO_BYTES;
}

/* Moves what is kept back into scratch, in front of what was read or will be. */
static struct slice restore_kept(struct io *io, struct conn *conn, uint8_t *at)
{
	struct kept_input *kept = kept_of(io, conn);
	CHECK(!kept->skips && at + kept->used_bytes <= io->scratch.base + io->scratch.reserved_bytes);
	struct slice restored = slice_of(at, kept->used_bytes);
	memcpy(at, kept->bytes, kept->used_bytes);
	io_drop_input(io, conn);
	return restored;
}

/* What stands behind the skipped packet is for the caller. */
static enum io_result receive_skipping(struct io *io, struct conn *conn, struct slice *bytes, bool *more)
{
	struct kept_input *kept = kept_of(io, conn);
	uint8_t *at = io->scratch.base + io->scratch_used;
	CHECK(kept->packet_bytes != 0 && kept->used_bytes == 0);
	size_t got;
	enum io_result result = read_stream(io, conn, at, IO_READ_BYTES, &got, more);
	if (result != IO_BYTES)
		return result;
	if (got < kept->packet_bytes) {
		kept->packet_bytes -= (uint32_t)got;
		return IO_NOTHING;
	}
	*bytes = slice_of(at + kept->packet_bytes, got - kept->packet_bytes);
	io->scratch_used += got;
	io_drop_input(io, conn);
	return bytes->size != 0 ? IO_BYTES : IO_NOTHING;
}

static enum io_result replay_kept(struct io *io, struct conn *conn, struct slice *bytes, bool *more)
{
	struct kept_input *kept = kept_of(io, conn);
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

void io_make_room(struct io *io)
{
	if (io_scratch_left(io) >= SCRATCH_RESERVE_BYTES)
		return;
	io_flush(io);
	io_turn_end(io);
	CHECK(io_scratch_left(io) >= SCRATCH_RESERVE_BYTES);
}

enum io_result io_receive(struct io *io, struct conn *conn, struct slice *bytes, bool *more)
{
	*bytes = (struct slice){0};
	*more = false;
	io_make_room(io);
	size_t kept_bytes = 0;
	if (conn->kept != 0) {
		struct kept_input *kept = kept_of(io, conn);
		if (kept->skips)
			return receive_skipping(io, conn, bytes, more);
		if (kept->replay)
			return replay_kept(io, conn, bytes, more);
		if (is_large(kept))
			return receive_large(io, conn, bytes, more);
		kept_bytes = kept->used_bytes;
	}

	uint8_t *at = io->scratch.base + io->scratch_used;
	size_t got;
	enum io_result result = read_stream(io, conn, at + kept_bytes, io->read_bytes, &got, more);
	if (result != IO_BYTES)
		return result;
	if (kept_bytes != 0)
		restore_kept(io, conn, at);
	*bytes = slice_of(at, kept_bytes + got);
	io->scratch_used += bytes->size;
	return IO_BYTES;
}

enum error io_keep(struct io *io, struct conn *conn, struct slice rest, size_t packet_bytes, bool replay)
{
	if (conn->kept != 0) {
		/* A packet longer than a read is taken whole, or stays where it is. */
		struct kept_input *kept = kept_of(io, conn);
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
	CHECK(packet_bytes <= UINT32_MAX);
	uint32_t ref = slab_take(io->slab, sizeof(struct kept_input) + rest.size);
	if (ref == 0)
		return ERROR_NO_MEMORY;
	struct kept_input *kept = slab_at(io->slab, ref);
	*kept = (struct kept_input){
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
	uint32_t ref = slab_take(io->slab, sizeof(struct kept_input));
	if (ref == 0)
		return ERROR_NO_MEMORY;
	*(struct kept_input *)slab_at(io->slab, ref) =
		(struct kept_input){.packet_bytes = (uint32_t)bytes, .skips = true};
	conn->kept = ref;
	return ERROR_OK;
}
