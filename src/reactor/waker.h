/* Wakes a reactor that sleeps in its poller, and costs one load when it does not sleep. The descriptor is made before
 * the threads start, so that it stands in each one's table. Any thread may wake; one owner sleeps. */
#ifndef REACTOR_WAKER_H
#define REACTOR_WAKER_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct waker {
	int fd; /* an eventfd; the owner registers it POLLER_EDGE_READ and never reads it */
	_Atomic bool asleep;
	_Atomic uint64_t
		woken_ns; /* when somebody woke it, on the monotonic clock; 0: nobody did since it fell asleep */
};

enum error waker_open(struct waker *waker);
void waker_close(struct waker *waker);

/* The owner is about to sleep. It must look at its inboxes once more after this, and call waker_awake() instead of
 * sleeping where something came. */
void waker_sleep(struct waker *waker);
void waker_awake(struct waker *waker);
/* When the sleep that has just ended was ended by another thread; 0: it was not. For the owner. */
static inline uint64_t waker_woken_ns(const struct waker *waker)
{
	return atomic_load_explicit(&waker->woken_ns, memory_order_relaxed);
}

/* Call after the work was made visible. */
void waker_wake(struct waker *waker);

#endif
