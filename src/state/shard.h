/* A shard: one thread, one poller, one descriptor table, and all that its clients need. A client lives on the shard
 * that its id hashes to, always. This is its state, in parts that each have a header; what is done with it is in route,
 * client, lifecycle and shard/loop.h. Other threads reach a shard only through its mailbox, its admissions socket and
 * `shared`. */
#ifndef STATE_SHARD_H
#define STATE_SHARD_H

#include "runtime/command.h"
#include "runtime/settings_feed.h"
#include "state/client.h"
#include "state/environment.h"
#include "state/guard.h"
#include "state/loop.h"
#include "state/memory.h"
#include "state/routing.h"
#include "state/sessions.h"

/* What other threads read or write. */
struct shard_shared {
	_Atomic uint32_t lag_ms;  /* of overload, for the gates */
	struct commands commands; /* of the admin side */
	struct settings_view settings_view;
	_Atomic bool draining; /* set by the main thread: end everyone, then the thread ends */
	_Atomic bool started;
	_Atomic bool failed;
	_Atomic uint64_t drain_until_ms;
};

struct shard {
	struct shard_environment env;
	struct shard_loop loop;
	struct shard_memory mem;
	struct shard_sessions sessions;
	struct shard_routing routing;
	struct shard_guard guard;
	struct counters counters; /* written by its thread alone, read by others */
	struct shard_shared shared;
};

static inline struct client *shard_client(const struct shard *shard, uint32_t index)
{
	return pool_at(&shard->mem.clients, index);
}

/* The shard that a client id with this hash lives on. The high half decides: the registry uses the low one. */
static inline uint16_t shard_of_hash(uint64_t hash, uint16_t shard_count)
{
	return (uint16_t)((hash >> 32) * shard_count >> 32);
}

/* When the client's connection came, on the shard's clock; 0: it is not known. */
static inline uint32_t shard_connected_at_s(const struct shard *shard, uint32_t index)
{
	const uint32_t *at_s = (const void *)shard->sessions.connected_at_s.base;
	return (index + 1u) * sizeof(*at_s) <= shard->sessions.connected_at_s.usable_bytes ? at_s[index] : 0;
}

/* Notes that it came now. Without memory it is not known, that is all. */
static inline void shard_note_connected(struct shard *shard, uint32_t index)
{
	if (region_grow(&shard->sessions.connected_at_s, (index + 1u) * sizeof(uint32_t)) == ERROR_OK)
		((uint32_t *)(void *)shard->sessions.connected_at_s.base)[index] = shard->loop.now_s;
}

/* A second of the shard's clock in milliseconds of it. */
static inline uint64_t shard_clock_ms(const struct shard *shard, uint32_t at_s)
{
	(void)shard;
	return (uint64_t)at_s * 1000;
}

static inline uint32_t shard_client_index(const struct shard *shard, const struct client *client)
{
	return (uint32_t)((size_t)((const uint8_t *)client - shard->mem.clients.region.base) / sizeof(*client));
}

#endif
