/* Publishes new settings to running threads. A snapshot is immutable. Each thread switches to the newest between two
 * turns and records that; a snapshot that no thread uses any more is freed. One thread publishes at a time. */
#ifndef RUNTIME_SETTINGS_FEED_H
#define RUNTIME_SETTINGS_FEED_H

#include "base/check.h"
#include "runtime/settings/settings.h"

#include <stdatomic.h>

struct settings_feed {
	_Atomic(const struct settings *) current;
	struct settings *owned; /* the current snapshot if it is on the heap; publisher only */
};

/* One thread's view of the feed. */
struct settings_view {
	const struct settings_feed *feed; /* NULL: the settings never change */
	_Atomic(const struct settings *) seen;
};

/* Called between two turns. Returns true if *settings has changed. */
static inline bool settings_refresh(struct settings_view *view, const struct settings **settings)
{
	if (view->feed == NULL)
		return false;
	const struct settings *newest = atomic_load_explicit(&view->feed->current, memory_order_acquire);
	CHECK(newest != NULL);
	if (newest == *settings)
		return false;
	*settings = newest;
	atomic_store_explicit(&view->seen, newest, memory_order_release);
	return true;
}

#endif
