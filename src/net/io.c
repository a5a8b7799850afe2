#include "net/io.h"

#include "base/check.h"

#include <limits.h>
#include <unistd.h>

enum error io_open(struct io *io, struct slab *slab, struct io_observer observer)
{
	*io = (struct io){.slab = slab, .observer = observer, .first_descriptor = INT_MAX, .read_bytes = IO_READ_BYTES};
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

void io_close(struct io *io)
{
	fixed_files_close(&io->fixed_files);
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
	CHECK(io->outbox_count == 0);
	io->scratch_used = 0;
}

enum error io_fix_files(struct io *io, const struct fixed_plan *plan)
{
	io->first_descriptor = plan->first_descriptor;
	return fixed_files_open(&io->fixed_files, plan->sockets, plan->ring_slots);
}

/* A table gives out its lowest free number, so a high one tells that it is nearly full. Where the socket cannot move it
 * stays: there is a reserve. */
void io_settle(struct io *io, struct conn *conn)
{
	if (conn->fd < io->first_descriptor)
		return;
	int handle = fixed_files_put(&io->fixed_files, conn->fd);
	if (handle >= 0)
		conn->fd = handle;
}

int io_borrow(struct io *io, const struct conn *conn)
{
	return fixed_files_is_handle(conn->fd) ? fixed_files_descriptor(&io->fixed_files, conn->fd) : conn->fd;
}

void io_return(const struct conn *conn, int fd)
{
	if (fixed_files_is_handle(conn->fd) && fd >= 0)
		close(fd);
}

/* Unread input at close() makes the kernel send a reset, which can overtake our last packet. */
static void close_socket(struct io *io, int fd)
{
	if (fixed_files_is_handle(fd)) {
		fixed_files_recv(&io->fixed_files, fd, NULL, IO_READ_BYTES, MSG_DONTWAIT | MSG_TRUNC);
		fixed_files_drop(&io->fixed_files, fd);
	} else {
		recv(fd, NULL, IO_READ_BYTES, MSG_DONTWAIT | MSG_TRUNC);
		close(fd);
	}
}

void io_disconnect(struct io *io, struct conn *conn)
{
	if (conn->outbox != 0) {
		io->outboxes[conn->outbox - 1].conn = NULL;
		conn->outbox = 0;
	}
	io_drop_input(io, conn);
	io_drop_backlog(io, conn);
	if (conn->fd >= 0) {
		close_socket(io, conn->fd);
		conn->fd = -1;
	}
}
