#include "base/check.h"
#include "control/gateway.h"
#include "gate/gate.h"
#include "runtime/settings/settings_feed.h"
#include "state/shard.h"

#include <stdlib.h>
#include <time.h>

/* 5 s. That is ample: sleeping threads are woken, and no turn is long. */
#define SEEN_TRIES 5000
#define SEEN_PAUSE_NS 1000000

static bool all_have_seen(const struct gateway_parts *parts, const struct settings *settings)
{
	for (uint16_t i = 0; i < parts->shard_count; i++) {
		if (atomic_load_explicit(&parts->shards[i].shared.settings_view.seen, memory_order_acquire) != settings)
			return false;
	}
	for (uint16_t i = 0; i < parts->gate_count; i++) {
		if (atomic_load_explicit(&parts->gates[i].settings_view.seen, memory_order_acquire) != settings)
			return false;
	}
	return true;
}

static void wake_all(const struct gateway_parts *parts)
{
	for (uint16_t i = 0; i < parts->shard_count; i++)
		waker_wake(&parts->mailboxes[i].waker);
	for (uint16_t i = 0; i < parts->gate_count; i++)
		waker_wake(&parts->gates[i].waker);
}

enum error gateway_reload(struct gateway *gateway, const struct settings *settings)
{
	struct gateway_parts parts = gateway_parts(gateway);
	struct settings_feed *feed = parts.feed;
	struct settings *fresh = malloc(sizeof(*fresh));
	if (fresh == NULL)
		return ERROR_NO_MEMORY;
	*fresh = *settings;
	struct settings *old = feed->owned;
	CHECK(old == NULL || old == atomic_load(&feed->current)); /* else a thread may still use it */
	feed->owned = fresh;
	atomic_store_explicit(&feed->current, fresh, memory_order_release);
	wake_all(&parts);
	for (int i = 0; i < SEEN_TRIES && !all_have_seen(&parts, fresh); i++)
		nanosleep(&(struct timespec){.tv_nsec = SEEN_PAUSE_NS}, NULL);
	/* A hanging thread may still use the old settings, so they are leaked. */
	if (!all_have_seen(&parts, fresh))
		return ERROR_TIMEOUT;
	free(old);
	return ERROR_OK;
}

const struct settings *gateway_settings(const struct gateway *gateway)
{
	return atomic_load_explicit(&gateway_parts(gateway).feed->current, memory_order_acquire);
}
