/* Wakes a reactor that sleeps in its poller. Costs one load if it does not sleep. The descriptor is opened before the
 * threads start, so that the table of each thread has it. Any thread may wake; one thread, the owner, sleeps. */
#ifndef REACTOR_WAKER_H
#define REACTOR_WAKER_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct waker {
	int fd; /* an eventfd; the owner registers it POLLER_EDGE_READ and never reads it */
	_Atomic bool asleep;
	_Atomic uint64_t woken_ns; /* when a thread woke it, on the monotonic clock; 0: none since it fell asleep */
};

enum error waker_open(struct waker *waker);
void waker_close(struct waker *waker);

/* The owner is about to sleep. It must check its inboxes once more after this and, if there is
 * something, call waker_awake() instead of sleeping. */
void waker_sleep(struct waker *waker);
/* The owner is awake again. */
void waker_awake(struct waker *waker);
/* When another thread ended the last sleep; 0: none did. Owner only. */
static inline uint64_t waker_woken_ns(const struct waker *waker)
{
	return atomic_load_explicit(&waker->woken_ns, memory_order_relaxed);
}

/* Call this after the work is visible to the owner, that is after it was pushed. Any thread. */
void waker_wake(struct waker *waker);

#endif
