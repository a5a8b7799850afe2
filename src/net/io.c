#include "net/io.h"

#include "base/check.h"
#include "net/stream_fixed.h"

enum error io_open(struct io *io, struct slab *slab, struct io_observer observer)
{
	*io = (struct io){.slab = slab, .observer = observer, .read_bytes = IO_READ_BYTES};
	streams_init(&io->streams);
	size_t outboxes_bytes = IO_OUTBOXES_MAX * sizeof(struct io_outbox);
	size_t pieces_bytes = IO_PIECES_MAX * sizeof(struct io_piece);
	if (region_open(&io->scratch, IO_SCRATCH_BYTES) != ERROR_OK ||
	    region_grow(&io->scratch, IO_SCRATCH_BYTES) != ERROR_OK ||
	    region_open(&io->outbox_region, outboxes_bytes) != ERROR_OK ||
	    region_grow(&io->outbox_region, outboxes_bytes) != ERROR_OK ||
	    region_open(&io->piece_region, pieces_bytes) != ERROR_OK ||
	    region_grow(&io->piece_region, pieces_bytes) != ERROR_OK) {
		io_close(io);
		return ERROR_NO_MEMORY;
	}
	io->outboxes = (void *)io->outbox_region.base;
	io->pieces = (void *)io->piece_region.base;
	return ERROR_OK;
}

void io_leave(struct io *io)
{
	write_ring_close(&io->writes);
	fixed_files_close(&io->fixed_files);
}

void io_rest(struct io *io)
{
	CHECK(io->outbox_count == 0 && io->piece_count == 0);
	write_ring_close(&io->writes);
}

void io_close(struct io *io)
{
	io_leave(io);
	region_close(&io->scratch);
	region_close(&io->outbox_region);
	region_close(&io->piece_region);
	*io = (struct io){0};
}

uint8_t *io_scratch(struct io *io, size_t size)
{
	if (io->scratch.reserved_bytes - io->scratch_used < size)
		return NULL;
	uint8_t *bytes = io->scratch.base + io->scratch_used;
	io->scratch_used += size;
	return bytes;
}

void io_turn_end(struct io *io)
{
	CHECK(io->outbox_count == 0 && io->piece_count == 0);
	io->scratch_used = 0;
}

enum error io_fix_files(struct io *io, const struct fixed_plan *plan)
{
	CHECK(plan->sockets != 0 && plan->ring_slots != 0);
	stream_fixed_add(&io->streams, &io->fixed_files, plan->first_descriptor);
	return fixed_files_open(&io->fixed_files, plan->sockets, plan->ring_slots);
}

void io_settle(struct io *io, struct conn *conn)
{
	conn->stream = stream_settle(&io->streams, conn->stream);
}

bool io_has_input(struct io *io, const struct conn *conn)
{
	return stream_pending(&io->streams, conn->stream);
}

void io_acknowledge(struct io *io, const struct conn *conn)
{
	stream_acknowledge(&io->streams, conn->stream);
}

void io_drop_outbox(struct io *io, struct conn *conn)
{
	if (conn->outbox == 0)
		return;
	CHECK(io->outboxes[conn->outbox - 1].conn == conn);
	io->outboxes[conn->outbox - 1].conn = NULL;
	conn->outbox = 0;
}

void io_disconnect(struct io *io, struct conn *conn)
{
	io_drop_outbox(io, conn);
	io_drop_input(io, conn);
	io_drop_backlog(io, conn);
	if (stream_exists(conn->stream)) {
		stream_close(&io->streams, conn->stream);
		conn->stream = STREAM_NONE;
	}
}

int io_release(struct io *io, struct conn *conn, struct stream_carry *carry)
{
	CHECK(conn->outbox == 0 && conn->backlog == 0);
	int fd = stream_release(&io->streams, conn->stream, carry);
	if (fd < 0)
		return -1;
	conn->stream = STREAM_NONE;
	io_drop_input(io, conn);
	return fd;
}
