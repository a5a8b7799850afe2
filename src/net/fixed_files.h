/* Sockets beyond what a descriptor table holds. io_uring keeps files in tables of its own, which count towards no limit
 * of the process: each is at most as large as RLIMIT_NOFILE, but a thread may have many. A thread that has put a socket
 * there closes its descriptor and goes on with a handle, a number from FIXED_FILES_FIRST on, which no descriptor
 * reaches. An epoll that knew the descriptor goes on reporting the socket until its handle is dropped.
 *
 * A call on a handle is one system call, as on a descriptor. A ring carries one request at a time: it is the way to the
 * files, not a queue. A completion is matched to its request, so that no socket gets another's answer. What the kernel
 * refuses, for want of memory say, is tried a few times, and then fails with ENOMEM or EIO.
 *
 * Owned by one thread. Needs Linux 6.8, with io_uring allowed. */
#ifndef NET_FIXED_FILES_H
#define NET_FIXED_FILES_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define FIXED_FILES_FIRST (1 << 28)

struct arena;
struct io_uring;
struct io_uring_params;

struct fixed_files {
	struct io_uring *rings;         /* ring_count of them are set up */
	struct io_uring_params *params; /* with which the kernel made each, to map it anew */
	uint32_t *free;                 /* slots that were given back; from its end, those that could not be emptied */
	uint32_t ring_count;
	uint32_t ring_slots;
	uint32_t fresh; /* slots below it have been used */
	uint32_t free_count;
	uint32_t held_count;
	uint32_t slots;         /* how many there may be */
	uint64_t request_count; /* the number of the last one */
	uint64_t failure_count; /* calls that the kernel refused, whatever the socket would have said */
};

/* Whether this kernel can do it and lets this process. Tries it with a ring, which is closed again. */
bool fixed_files_work(void);

/* Room for `slots` sockets, ring_slots in a ring (at most RLIMIT_NOFILE). Rings are made as they are needed. */
enum error fixed_files_open(struct fixed_files *files, uint32_t slots, uint32_t ring_slots);
void fixed_files_close(struct fixed_files *files);

static inline bool fixed_files_is_handle(int fd)
{
	return fd >= FIXED_FILES_FIRST;
}

/* Slots that are taken. */
static inline uint32_t fixed_files_count(const struct fixed_files *files)
{
	return files->fresh - files->free_count;
}

/* Handles that were not dropped: without slots that the kernel did not empty. */
static inline uint32_t fixed_files_sockets(const struct fixed_files *files)
{
	return files->fresh - files->free_count - files->held_count;
}

/* Notes in the arena what the next program needs to go on with the sockets, beside the rings' descriptors.
 * ERROR_NO_MEMORY. */
enum error fixed_files_save(const struct fixed_files *files, const struct arena *arena);
/* In place of fixed_files_open(): what the previous program noted, with its rings, whose descriptors are the caller's
 * (fixed_files_rings() has them). ERROR_NOT_FOUND: there is no such note, or it contradicts itself; ERROR_SYSTEM: a
 * ring cannot be mapped, errno says why; ERROR_NO_MEMORY. */
enum error fixed_files_adopt(struct fixed_files *files, const struct arena *arena);

/* The rings' descriptors, which hold the sockets: ring_count of them. */
void fixed_files_rings(const struct fixed_files *files, int *fds);
/* The rings have these numbers from now on: in the table of another thread, which goes on with them. */
void fixed_files_renumber(struct fixed_files *files, const int *fds);

/* Moves the socket: its descriptor is closed. Returns the handle. -1: there is no room, or errno says why; fd stays as
 * it is. */
int fixed_files_put(struct fixed_files *files, int fd);
/* Like close(). A socket that the kernel does not give up is shut down, and its slot is used again only when it is
 * empty. */
void fixed_files_drop(struct fixed_files *files, int handle);

/* Like recv(), send(), sendmsg() and shutdown() on a descriptor, with MSG_DONTWAIT. */
ssize_t fixed_files_recv(struct fixed_files *files, int handle, void *buffer, size_t size, int flags);
ssize_t fixed_files_send(struct fixed_files *files, int handle, const void *buffer, size_t size, int flags);
ssize_t fixed_files_sendmsg(struct fixed_files *files, int handle, const struct msghdr *message, int flags);
int fixed_files_shutdown(struct fixed_files *files, int handle, int how);

/* Like setsockopt() with an int. There is no getsockopt(): the kernel has it for SOL_SOCKET only. */
int fixed_files_setsockopt(struct fixed_files *files, int handle, int level, int option, int value);

/* Another descriptor of the same socket, for calls that are no requests. The caller closes it. -1: errno. */
int fixed_files_descriptor(struct fixed_files *files, int handle);

#endif
