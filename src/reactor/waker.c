#include "reactor/waker.h"

#include "base/check.h"
#include "base/clock.h"

#include <sys/eventfd.h>
#include <unistd.h>

_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2, "waking takes no lock");

enum error waker_open(struct waker *waker)
{
	waker->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	atomic_init(&waker->asleep, false);
	atomic_init(&waker->woken_ns, 0);
	return waker->fd >= 0 ? ERROR_OK : ERROR_SYSTEM;
}

void waker_close(struct waker *waker)
{
	close(waker->fd);
	waker->fd = -1;
}

void waker_sleep(struct waker *waker)
{
	CHECK(!atomic_load_explicit(&waker->asleep, memory_order_relaxed));
	/* Sequentially consistent, paired with the fence in waker_wake(): either the other thread sees that we sleep,
	 * or our last check of the inboxes sees its work. */
	atomic_store_explicit(&waker->woken_ns, 0, memory_order_relaxed);
	atomic_store(&waker->asleep, true);
	atomic_thread_fence(memory_order_seq_cst);
}

void waker_awake(struct waker *waker)
{
	atomic_store_explicit(&waker->asleep, false, memory_order_relaxed);
}

void waker_wake(struct waker *waker)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&waker->asleep, memory_order_relaxed))
		return;
	/* Stored before the owner can wake. Two threads that wake it at once store nearly the same time. */
	atomic_store_explicit(&waker->woken_ns, clock_now_ns(), memory_order_relaxed);
	if (!atomic_exchange(&waker->asleep, false))
		return;
	eventfd_write(waker->fd, 1);
}
