/* New settings for threads that run. A snapshot is immutable; a thread takes up the newest between two turns and says
 * so, and one that every thread has left is freed. Published by one thread at a time. */
#ifndef RUNTIME_SETTINGS_FEED_H
#define RUNTIME_SETTINGS_FEED_H

#include "runtime/settings.h"

#include <stdatomic.h>

struct settings_feed {
	_Atomic(const struct settings *) current;
	struct settings *owned; /* the current snapshot, where it is ours to free; the publisher's alone */
};

/* A thread's side of it. */
struct settings_view {
	const struct settings_feed *feed; /* NULL: they never change */
	_Atomic(const struct settings *) seen;
};

/* Between two turns. True: *settings is another one from here on. */
static inline bool settings_refresh(struct settings_view *view, const struct settings **settings)
{
	if (view->feed == NULL)
		return false;
	const struct settings *newest = atomic_load_explicit(&view->feed->current, memory_order_acquire);
	if (newest == *settings)
		return false;
	*settings = newest;
	atomic_store_explicit(&view->seen, newest, memory_order_release);
	return true;
}

#endif
