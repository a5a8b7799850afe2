#include "net/fixed_files.h"

#include "base/check.h"
#include "base/layout_root.h"
#include "memory/notes.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The ring holds one request. */
#define RING_ENTRIES 1u
/* IORING_OP_FIXED_FD_INSTALL of Linux 6.8, which the headers of Debian 12 do not name yet. */
#define OP_FIXED_FD_INSTALL 54
/* SOCKET_URING_OP_SETSOCKOPT of Linux 6.7, the same. */
#define SOCKET_OP_SETSOCKOPT 3
/* What the kernel refuses for a moment, for want of memory say, is tried so often. Interruptions do not count. */
#define TRIES_MAX 4

static struct io_uring *ring_of(struct fixed_files *files, int handle)
{
	CHECK(fixed_files_is_handle(handle) && (uint32_t)(handle - FIXED_FILES_FIRST) < files->fresh);
	return &files->rings[(uint32_t)(handle - FIXED_FILES_FIRST) / files->ring_slots];
}

static int ring_slot_of(const struct fixed_files *files, int handle)
{
	return (int)((uint32_t)(handle - FIXED_FILES_FIRST) % files->ring_slots);
}

static bool open_ring(struct io_uring *ring, struct io_uring_params *params, uint32_t slots)
{
	*params = (struct io_uring_params){0};
	if (io_uring_queue_init_params(RING_ENTRIES, ring, params) != 0)
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
	struct io_uring_params params;
	if (!open_ring(&ring, &params, 1))
		return false;
	bool work = has_requests(&ring);
	io_uring_queue_exit(&ring);
	return work;
}

enum error fixed_files_open(struct fixed_files *files, uint32_t slots, uint32_t ring_slots)
{
	CHECK(slots != 0 && ring_slots != 0 && slots <= (uint32_t)FIXED_FILES_FIRST);
	uint32_t rings = (slots + ring_slots - 1) / ring_slots;
	*files = (struct fixed_files){.ring_slots = ring_slots, .slots = slots};
	files->rings = calloc(rings, sizeof(*files->rings));
	files->params = calloc(rings, sizeof(*files->params));
	files->free = malloc(slots * sizeof(*files->free));
	if (files->rings != NULL && files->params != NULL && files->free != NULL)
		return ERROR_OK;
	fixed_files_close(files);
	return ERROR_NO_MEMORY;
}

void fixed_files_close(struct fixed_files *files)
{
	for (uint32_t i = 0; i < files->ring_count; i++)
		io_uring_queue_exit(&files->rings[i]);
	free(files->rings);
	free(files->params);
	free(files->free);
	*files = (struct fixed_files){0};
}

void fixed_files_rings(const struct fixed_files *files, int *fds)
{
	for (uint32_t i = 0; i < files->ring_count; i++)
		fds[i] = files->rings[i].ring_fd;
}

void fixed_files_renumber(struct fixed_files *files, const int *fds)
{
	for (uint32_t i = 0; i < files->ring_count; i++) {
		CHECK(fds[i] >= 0);
		files->rings[i].ring_fd = files->rings[i].enter_ring_fd = fds[i];
	}
}

/* ---- from one program to the next ---- */

/* Of a struct fixed_files; the arrays are notes of their own. */
struct fixed_files_note {
	uint64_t request_count;
	uint64_t failure_count;
	uint32_t ring_count;
	uint32_t ring_slots;
	uint32_t fresh;
	uint32_t free_count;
	uint32_t held_count;
	uint32_t slots;
};
LAYOUT_ROOT(fixed_files_note);

enum error fixed_files_save(const struct fixed_files *files, const struct arena *arena)
{
	struct fixed_files_note note = {
		.request_count = files->request_count,
		.failure_count = files->failure_count,
		.ring_count = files->ring_count,
		.ring_slots = files->ring_slots,
		.fresh = files->fresh,
		.free_count = files->free_count,
		.held_count = files->held_count,
		.slots = files->slots,
	};
	int *fds = calloc(files->ring_count + 1u, sizeof(*fds));
	if (fds == NULL)
		return ERROR_NO_MEMORY;
	fixed_files_rings(files, fds);
	enum error error = arena_put(arena, "fixed files", &note, sizeof(note));
	if (error == ERROR_OK)
		error = arena_put(arena, "fixed file rings", fds, files->ring_count * sizeof(*fds));
	if (error == ERROR_OK)
		error = arena_put(arena, "fixed file params", files->params,
				  files->ring_count * sizeof(*files->params));
	if (error == ERROR_OK)
		error = arena_put(arena, "fixed files free", files->free, files->free_count * sizeof(*files->free));
	if (error == ERROR_OK)
		error = arena_put(arena, "fixed files held", files->free + files->slots - files->held_count,
				  files->held_count * sizeof(*files->free));
	free(fds);
	return error;
}

static bool fixed_note_is_sound(const struct fixed_files_note *note)
{
	return note->ring_slots != 0 && note->slots != 0 && note->slots <= (uint32_t)FIXED_FILES_FIRST &&
	       note->ring_count <= (note->slots + note->ring_slots - 1) / note->ring_slots &&
	       note->fresh <= (uint64_t)note->ring_count * note->ring_slots && note->fresh <= note->slots &&
	       (uint64_t)note->free_count + note->held_count <= note->fresh;
}

static enum error adopt_arrays(struct fixed_files *files, const struct arena *arena)
{
	uint32_t *held = files->free + files->slots - files->held_count;
	if (!arena_get_exact(arena, "fixed file params", files->params, files->ring_count * sizeof(*files->params)) ||
	    !arena_get_exact(arena, "fixed files free", files->free, files->free_count * sizeof(*files->free)) ||
	    !arena_get_exact(arena, "fixed files held", held, files->held_count * sizeof(*held)))
		return ERROR_NOT_FOUND;
	for (uint32_t i = 0; i < files->free_count; i++) {
		if (files->free[i] >= files->fresh)
			return ERROR_NOT_FOUND;
	}
	return ERROR_OK;
}

/* liburing takes a ring for a fresh one, whose entries are counted from 0. */
static void go_on_counting(struct io_uring *ring)
{
	ring->sq.sqe_head = ring->sq.sqe_tail = *ring->sq.ktail;
}

static enum error adopt_rings(struct fixed_files *files, const struct arena *arena, uint32_t count)
{
	struct slice fds;
	if (!arena_get(arena, "fixed file rings", &fds) || fds.size != count * sizeof(int))
		return ERROR_NOT_FOUND;
	for (; files->ring_count < count; files->ring_count++) {
		struct io_uring *ring = &files->rings[files->ring_count];
		int fd;
		memcpy(&fd, fds.data + files->ring_count * sizeof(fd), sizeof(fd));
		int failure = io_uring_queue_mmap(fd, &files->params[files->ring_count], ring);
		if (failure != 0) {
			errno = -failure;
			return ERROR_SYSTEM;
		}
		go_on_counting(ring);
	}
	return ERROR_OK;
}

enum error fixed_files_adopt(struct fixed_files *files, const struct arena *arena)
{
	struct fixed_files_note note;
	if (!arena_get_exact(arena, "fixed files", &note, sizeof(note)) || !fixed_note_is_sound(&note))
		return ERROR_NOT_FOUND;
	enum error error = fixed_files_open(files, note.slots, note.ring_slots);
	if (error != ERROR_OK)
		return error;
	files->request_count = note.request_count;
	files->failure_count = note.failure_count;
	files->fresh = note.fresh;
	files->free_count = note.free_count;
	files->held_count = note.held_count;
	files->ring_count = note.ring_count;
	error = adopt_arrays(files, arena);
	files->ring_count = 0;
	return error == ERROR_OK ? adopt_rings(files, arena, note.ring_count) : error;
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
		if (!open_ring(&files->rings[files->ring_count], &files->params[files->ring_count], files->ring_slots))
			return false;
		files->ring_count++;
	}
	*slot = files->fresh++;
	return true;
}

/* The slot holds fd from now on, or nothing (-1). False: it is as it was; errno says why. */
static bool update_slot(struct fixed_files *files, int handle, int fd)
{
	int done = 0;
	for (int tries = 0; tries < TRIES_MAX && done != 1;) {
		done = io_uring_register_files_update(ring_of(files, handle), (unsigned)ring_slot_of(files, handle),
						      &fd, 1);
		tries += done != -EINTR;
	}
	if (done == 1)
		return true;
	files->failure_count++;
	errno = done < 0 ? -done : EIO;
	return false;
}

/* A slot that could not be emptied may still hold its socket, and is not given out before it is empty. Such slots are
 * kept at the far end of free[]: each slot is in one of the two parts or in use, so they never meet. */
static void hold_slot(struct fixed_files *files, uint32_t slot)
{
	files->held_count++;
	CHECK(files->free_count + files->held_count <= files->slots);
	files->free[files->slots - files->held_count] = slot;
}

static void empty_held_slot(struct fixed_files *files)
{
	if (files->held_count == 0)
		return;
	uint32_t slot = files->free[files->slots - files->held_count];
	if (!update_slot(files, FIXED_FILES_FIRST + (int)slot, -1))
		return;
	files->held_count--;
	files->free[files->free_count++] = slot;
}

int fixed_files_put(struct fixed_files *files, int fd)
{
	uint32_t slot;
	empty_held_slot(files);
	if (!take_slot(files, &slot))
		return -1;
	int handle = FIXED_FILES_FIRST + (int)slot;
	if (!update_slot(files, handle, fd)) {
		files->free[files->free_count++] = slot;
		return -1;
	}
	close(fd);
	return handle;
}

void fixed_files_drop(struct fixed_files *files, int handle)
{
	uint32_t slot = (uint32_t)(handle - FIXED_FILES_FIRST);
	CHECK(files->free_count + files->held_count < files->fresh);
	if (update_slot(files, handle, -1)) {
		files->free[files->free_count++] = slot;
		return;
	}
	fixed_files_shutdown(files, handle, SHUT_RDWR); /* at least the peer learns that it is over */
	hold_slot(files, slot);
}

/* ---- requests ---- */

/* The entry for the next request. One that the kernel did not take is still there: its caller was told that it failed,
 * so it is written over. */
static struct io_uring_sqe *request(struct fixed_files *files, int handle)
{
	struct io_uring *ring = ring_of(files, handle);
	struct io_uring_sqe *sqe = io_uring_sq_ready(ring) != 0 ? ring->sq.sqes : io_uring_get_sqe(ring);
	CHECK(sqe != NULL);
	return sqe;
}

/* False: the kernel did not take the request; errno says why. It is never EAGAIN, which a socket says, and which its
 * owner answers by waiting for an event that would not come. */
static bool submit(struct io_uring *ring)
{
	int taken = 0;
	for (int tries = 0; tries < TRIES_MAX && io_uring_sq_ready(ring) != 0;) {
		taken = io_uring_submit(ring);
		tries += taken != -EINTR;
	}
	if (io_uring_sq_ready(ring) == 0)
		return true;
	errno = taken == -EAGAIN || taken == -ENOMEM ? ENOMEM : EIO;
	return false;
}

/* Waits for this request's completion. Others that come belong to requests that were given up, and nobody asks for
 * them. False: it did not come; errno says why. */
static bool await_completion(struct io_uring *ring, uint64_t number, int *done)
{
	int failure = 0;
	for (int tries = 0; tries < TRIES_MAX;) {
		struct io_uring_cqe *cqe = NULL;
		failure = io_uring_wait_cqe(ring, &cqe);
		if (failure != 0) {
			tries += failure != -EINTR;
			continue;
		}
		bool ours = cqe->user_data == number;
		*done = cqe->res;
		io_uring_cqe_seen(ring, cqe);
		if (ours)
			return true;
	}
	errno = EIO;
	return false;
}

/* Hardly anything waits in the kernel: requests with MSG_DONTWAIT are over once they are submitted, and so is
 * everything but shutdown. So none that is given up still has a buffer of ours. */
static int result(struct fixed_files *files, int handle, struct io_uring_sqe *sqe)
{
	struct io_uring *ring = ring_of(files, handle);
	uint64_t number = ++files->request_count;
	int done;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->user_data = number;
	if (!submit(ring) || !await_completion(ring, number, &done)) {
		files->failure_count++;
		return -1;
	}
	if (done >= 0)
		return done;
	errno = -done;
	return -1;
}

ssize_t fixed_files_recv(struct fixed_files *files, int handle, void *buffer, size_t size, int flags)
{
	struct io_uring_sqe *sqe = request(files, handle);
	io_uring_prep_recv(sqe, ring_slot_of(files, handle), buffer, size, flags | MSG_DONTWAIT);
	return result(files, handle, sqe);
}

ssize_t fixed_files_send(struct fixed_files *files, int handle, const void *buffer, size_t size, int flags)
{
	struct io_uring_sqe *sqe = request(files, handle);
	io_uring_prep_send(sqe, ring_slot_of(files, handle), buffer, size, flags | MSG_DONTWAIT);
	return result(files, handle, sqe);
}

ssize_t fixed_files_sendmsg(struct fixed_files *files, int handle, const struct msghdr *message, int flags)
{
	struct io_uring_sqe *sqe = request(files, handle);
	io_uring_prep_sendmsg(sqe, ring_slot_of(files, handle), message, (unsigned)(flags | MSG_DONTWAIT));
	return result(files, handle, sqe);
}

int fixed_files_shutdown(struct fixed_files *files, int handle, int how)
{
	struct io_uring_sqe *sqe = request(files, handle);
	io_uring_prep_shutdown(sqe, ring_slot_of(files, handle), how);
	return result(files, handle, sqe);
}

int fixed_files_descriptor(struct fixed_files *files, int handle)
{
	struct io_uring_sqe *sqe = request(files, handle);
	io_uring_prep_rw(OP_FIXED_FD_INSTALL, sqe, ring_slot_of(files, handle), NULL, 0, 0);
	return result(files, handle, sqe);
}

int fixed_files_setsockopt(struct fixed_files *files, int handle, int level, int option, int value)
{
	struct io_uring_sqe *sqe = request(files, handle);
	/* Level and option take the place of the address, the pointer to the value that of addr3. */
	uint32_t names[2] = {(uint32_t)level, (uint32_t)option};
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, ring_slot_of(files, handle), NULL, 0, 0);
	memcpy(&sqe->addr, names, sizeof(names));
	sqe->cmd_op = SOCKET_OP_SETSOCKOPT;
	sqe->file_index = sizeof(value);
	sqe->addr3 = (uint64_t)(uintptr_t)&value;
	return result(files, handle, sqe);
}
