/* The gateway as a whole: its gates, its shards and what they share. Made, started and stopped by one thread, the main
 * one, which does no work of its own. */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "gateway/counters.h"
#include "gateway/settings.h"

struct gateway;
struct gate;
struct hash_key;
struct index;
struct mailbox;
struct retained;
struct shard;

/* Opens the listeners and starts the threads. The settings are kept, and their listeners changed (the port that was
 * chosen); they must outlive the gateway. NULL: it was logged why. */
struct gateway *gateway_start(struct settings *settings);

/* Stops listening, tells every client that understands it, flushes, and ends the threads within settings->drain_ms.
 * Returns the clients that were still connected when the time was up. */
uint64_t gateway_stop(struct gateway *gateway);
/* After gateway_stop(), when nobody looks at it any more. */
void gateway_free(struct gateway *gateway);

/* What the admin side may look at until gateway_free(): counters, and what is read with atomics only. Any thread. */
struct gateway_parts {
	struct shard *shards;
	struct gate *gates;
	struct mailbox *mailboxes;
	struct index *index;
	struct retained *retained;
	const struct hash_key *key; /* of client ids */
	const struct settings *settings;
	uint64_t table_descriptors; /* that one table may hold */
	uint16_t shard_count;
	uint16_t gate_count;
	bool private_tables;
};
struct gateway_parts gateway_parts(const struct gateway *gateway);

/* All threads' numbers. Any thread. */
void gateway_counters(const struct gateway *gateway, struct counters *sum);

#endif
