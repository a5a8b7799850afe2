/* Waiting for many descriptors at once. In the server only the file behind this header knows how the system does it.
 * poller.c uses epoll; a system with kqueue needs one file beside it. poller_poll.c makes do with poll(2), for the
 * tests alone: it shows that nothing above relies on more than what is promised here, and it is slow.
 *
 * A descriptor is added once. An edge-triggered one is reported when something changed since it was reported last:
 * bytes came, room was made after the socket had been full, the peer closed. It may be reported although nothing
 * changed. One that is added and has something already is reported too. A tag is an index and a generation, never a
 * pointer, since an event may be of something that is over by the time it is handled.
 *
 * Owned by one thread; descriptors are those of that thread's table. */
#ifndef REACTOR_POLLER_H
#define REACTOR_POLLER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct poller {
	int fd;                 /* the kernel's own; -1: this implementation has none */
	struct poller_set *set; /* of an implementation that keeps its descriptors itself, else NULL */
};

enum poller_mode {
	POLLER_EDGE_BOTH,  /* reading and writing, edge-triggered: sockets of clients */
	POLLER_EDGE_READ,  /* edge-triggered: wake-ups, which nobody else reads */
	POLLER_LEVEL_READ, /* reading, for as long as there is something: socket pairs */
	/* The same, where several pollers wait for one thing: one of those that sleep is woken where the system can do
	 * that, and perhaps all of them elsewhere. */
	POLLER_SHARED_READ,
};

/* The kernel writes an array of these where its own event has the same layout; poller.c asserts that it has. */
#ifdef __x86_64__
#define POLLER_PACKED __attribute__((packed))
#else
#define POLLER_PACKED
#endif
struct poller_event {
	uint32_t what; /* of POLLER_IN ... */
	uint64_t tag;
} POLLER_PACKED;

/* Bits of `what`. */
#define POLLER_IN 0x1u
#define POLLER_OUT 0x4u
#define POLLER_ERROR 0x8u
#define POLLER_BOTH_CLOSED 0x10u
#define POLLER_PEER_CLOSED 0x2000u

enum error poller_open(struct poller *poller);
void poller_close(struct poller *poller);
/* Whether a socket is reported still after its descriptor was closed, while something else (a fixed file) holds it. */
bool poller_outlives_descriptors(void);

/* ERROR_SYSTEM: errno says why; EEXIST: it was added before. */
enum error poller_add(struct poller *poller, int fd, uint64_t tag, enum poller_mode mode);
/* Does nothing where it was not added. Closing the last descriptor of a socket removes it too. */
void poller_remove(struct poller *poller, int fd);

/* Up to `count` events, at least 1. timeout_ms: 0 returns at once, -1 waits for ever. Returns how many; 0 after a
 * signal. */
int poller_wait(struct poller *poller, struct poller_event *events, int count, int timeout_ms);

static inline bool poller_readable(const struct poller_event *event)
{
	return (event->what & (POLLER_IN | POLLER_PEER_CLOSED | POLLER_BOTH_CLOSED | POLLER_ERROR)) != 0;
}

static inline bool poller_writable(const struct poller_event *event)
{
	return (event->what & POLLER_OUT) != 0;
}

/* The peer has closed, or the connection broke: what is still to be read ends with that. */
static inline bool poller_hung_up(const struct poller_event *event)
{
	return (event->what & (POLLER_PEER_CLOSED | POLLER_BOTH_CLOSED | POLLER_ERROR)) != 0;
}

#endif
