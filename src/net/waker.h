/* Wakes a reactor that sleeps in its poller, and costs one load when it does not sleep. The descriptor is made before
 * the threads start, so that it stands in each one's table. Any thread may wake; one owner sleeps. */
#ifndef NET_WAKER_H
#define NET_WAKER_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>

struct waker {
	int fd; /* an eventfd; the owner registers it POLLER_EDGE_READ and never reads it */
	_Atomic bool asleep;
};

enum error waker_open(struct waker *waker);
void waker_close(struct waker *waker);

/* The owner is about to sleep. It must look at its inboxes once more after this, and call waker_awake() instead of
 * sleeping where something came. */
void waker_sleep(struct waker *waker);
void waker_awake(struct waker *waker);

/* Call after the work was made visible. */
void waker_wake(struct waker *waker);

#endif
