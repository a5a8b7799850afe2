#include "net/fixed_files.h"

#include "base/check.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <unistd.h>

/* The ring holds one request. */
#define RING_ENTRIES 1u
/* IORING_OP_FIXED_FD_INSTALL of Linux 6.8, which the headers of Debian 12 do not name yet. */
#define OP_FIXED_FD_INSTALL 54

static struct io_uring *ring_of(struct fixed_files *files, int handle)
{
	return &files->rings[(uint32_t)(handle - FIXED_FILES_FIRST) / files->ring_slots];
}

static int slot_of(const struct fixed_files *files, int handle)
{
	return (int)((uint32_t)(handle - FIXED_FILES_FIRST) % files->ring_slots);
}

static bool open_ring(struct io_uring *ring, uint32_t slots)
{
	if (io_uring_queue_init(RING_ENTRIES, ring, 0) != 0)
		return false;
	if (io_uring_register_files_sparse(ring, slots) == 0)
		return true;
	io_uring_queue_exit(ring);
	return false;
}

static bool has_requests(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool has = probe != NULL && probe->last_op >= OP_FIXED_FD_INSTALL;
	io_uring_free_probe(probe);
	return has;
}

bool fixed_files_work(void)
{
	struct io_uring ring;
	if (!open_ring(&ring, 1))
		return false;
	bool work = has_requests(&ring);
	io_uring_queue_exit(&ring);
	return work;
}

enum error fixed_files_open(struct fixed_files *files, uint32_t slots, uint32_t ring_slots)
{
	uint32_t rings = (slots + ring_slots - 1) / ring_slots;
	*files = (struct fixed_files){.ring_slots = ring_slots, .slots = slots};
	files->rings = calloc(rings, sizeof(*files->rings));
	files->free = malloc(slots * sizeof(*files->free));
	if (files->rings != NULL && files->free != NULL)
		return ERROR_OK;
	fixed_files_close(files);
	return ERROR_NO_MEMORY;
}

void fixed_files_close(struct fixed_files *files)
{
	for (uint32_t i = 0; i < files->ring_count; i++)
		io_uring_queue_exit(&files->rings[i]);
	free(files->rings);
	free(files->free);
	*files = (struct fixed_files){0};
}

static bool take_slot(struct fixed_files *files, uint32_t *slot)
{
	if (files->free_count != 0) {
		*slot = files->free[--files->free_count];
		return true;
	}
	if (files->fresh == files->slots)
		return false;
	if (files->fresh == files->ring_count * files->ring_slots) {
		if (!open_ring(&files->rings[files->ring_count], files->ring_slots))
			return false;
		files->ring_count++;
	}
	*slot = files->fresh++;
	return true;
}

int fixed_files_put(struct fixed_files *files, int fd)
{
	uint32_t slot;
	if (!take_slot(files, &slot))
		return -1;
	int handle = FIXED_FILES_FIRST + (int)slot;
	int done = io_uring_register_files_update(ring_of(files, handle), (unsigned)slot_of(files, handle), &fd, 1);
	if (done != 1) {
		files->free[files->free_count++] = slot;
		errno = -done;
		return -1;
	}
	close(fd);
	return handle;
}

void fixed_files_drop(struct fixed_files *files, int handle)
{
	int none = -1;
	io_uring_register_files_update(ring_of(files, handle), (unsigned)slot_of(files, handle), &none, 1);
	files->free[files->free_count++] = (uint32_t)(handle - FIXED_FILES_FIRST);
}

static struct io_uring_sqe *request(struct fixed_files *files, int handle)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring_of(files, handle));
	CHECK(sqe != NULL);
	return sqe;
}

/* Nothing waits in the kernel: MSG_DONTWAIT requests are over when they were submitted. */
static int result(struct fixed_files *files, int handle)
{
	struct io_uring *ring = ring_of(files, handle);
	struct io_uring_cqe *cqe = NULL;
	int failure = io_uring_submit(ring);
	if (failure >= 0 && io_uring_peek_cqe(ring, &cqe) != 0)
		failure = io_uring_wait_cqe(ring, &cqe);
	int done = cqe != NULL ? cqe->res : failure;
	if (cqe != NULL)
		io_uring_cqe_seen(ring, cqe);
	if (done >= 0)
		return done;
	errno = -done;
	return -1;
}

ssize_t fixed_files_recv(struct fixed_files *files, int handle, void *buffer, size_t size, int flags)
{
	struct io_uring_sqe *sqe = request(files, handle);
	io_uring_prep_recv(sqe, slot_of(files, handle), buffer, size, flags | MSG_DONTWAIT);
	sqe->flags = IOSQE_FIXED_FILE;
	return result(files, handle);
}

ssize_t fixed_files_send(struct fixed_files *files, int handle, const void *buffer, size_t size, int flags)
{
	struct io_uring_sqe *sqe = request(files, handle);
	io_uring_prep_send(sqe, slot_of(files, handle), buffer, size, flags | MSG_DONTWAIT);
	sqe->flags = IOSQE_FIXED_FILE;
	return result(files, handle);
}

ssize_t fixed_files_sendmsg(struct fixed_files *files, int handle, const struct msghdr *message, int flags)
{
	struct io_uring_sqe *sqe = request(files, handle);
	io_uring_prep_sendmsg(sqe, slot_of(files, handle), message, (unsigned)(flags | MSG_DONTWAIT));
	sqe->flags = IOSQE_FIXED_FILE;
	return result(files, handle);
}

int fixed_files_shutdown(struct fixed_files *files, int handle, int how)
{
	struct io_uring_sqe *sqe = request(files, handle);
	io_uring_prep_shutdown(sqe, slot_of(files, handle), how);
	sqe->flags = IOSQE_FIXED_FILE;
	return result(files, handle);
}

int fixed_files_descriptor(struct fixed_files *files, int handle)
{
	struct io_uring_sqe *sqe = request(files, handle);
	io_uring_prep_rw(OP_FIXED_FD_INSTALL, sqe, slot_of(files, handle), NULL, 0, 0);
	sqe->flags = IOSQE_FIXED_FILE;
	return result(files, handle);
}
