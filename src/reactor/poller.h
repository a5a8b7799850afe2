/* Waiting for many descriptors at once: the seam between a reactor and the kernel's way of doing it (epoll here; a
 * kqueue one would sit beside poller.c). Edge-triggered: a descriptor is registered once, for reading and writing, and
 * reported when something changes. The tag is an index and a generation, never a pointer.
 *
 * Owned by one thread; descriptors are those of that thread's table. */
#ifndef REACTOR_POLLER_H
#define REACTOR_POLLER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct poller {
	int fd;
};

enum poller_mode {
	POLLER_EDGE_BOTH,   /* reading and writing, edge-triggered: sockets of clients */
	POLLER_EDGE_READ,   /* reading, edge-triggered: wake-ups, which then need not be read */
	POLLER_LEVEL_READ,  /* reading, for as long as there is something: socket pairs */
	POLLER_SHARED_READ, /* the same, where several pollers wait for one thing: of those that sleep one is woken */
};

enum error poller_open(struct poller *poller);
void poller_close(struct poller *poller);

enum error poller_add(struct poller *poller, int fd, uint64_t tag, enum poller_mode mode);
/* Does nothing where it was not added. Added again, it is reported if there is something. */
void poller_remove(struct poller *poller, int fd);

/* Up to `count` events. timeout_ms: 0 returns at once, -1 waits for ever. Returns how many; 0 after a signal. */
int poller_wait(struct poller *poller, struct epoll_event *events, int count, int timeout_ms);

static inline bool poller_readable(const struct epoll_event *event)
{
	return (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
}

static inline bool poller_writable(const struct epoll_event *event)
{
	return (event->events & EPOLLOUT) != 0;
}

/* The peer has closed, or the connection broke: what is still to be read ends with that. */
static inline bool poller_hung_up(const struct epoll_event *event)
{
	return (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
}

#endif
