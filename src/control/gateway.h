/* The gateway as a whole: its gates, its shards and what they share. Made, started and stopped by one thread, the main
 * one, which does no work of its own. */
#ifndef CONTROL_GATEWAY_H
#define CONTROL_GATEWAY_H

#include "runtime/counters.h"
#include "runtime/settings.h"

#define GATEWAY_COUNTERS_MAX 8u

struct gateway;
struct gate;
struct hash_key;
struct index;
struct mailbox;
struct retained;
struct settings_feed;
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
	struct settings_feed *feed;
	uint64_t table_descriptors; /* that one table may hold */
	uint32_t packet_bytes_max;
	uint16_t shard_count;
	uint16_t gate_count;
	bool private_tables;
};
struct gateway_parts gateway_parts(const struct gateway *gateway);

/* Gives all threads these settings, a copy of them, and waits until each has taken them up. Only fields that may change
 * while threads run may differ from the ones before; who calls sees to that, and calls from one thread at a time.
 * ERROR_NO_MEMORY: nothing has changed. ERROR_TIMEOUT: a thread hangs; the others have them. */
enum error gateway_reload(struct gateway *gateway, const struct settings *settings);
/* Those in force, until the next gateway_reload(). */
const struct settings *gateway_settings(const struct gateway *gateway);

/* Who may come in, for those who bring keys and revocations. As long as the gateway is there. */
struct access *gateway_access(struct gateway *gateway);
/* Counts these too: a block of a thread that is not the gateway's own, which outlives it. At most
 * GATEWAY_COUNTERS_MAX of them; main thread. */
void gateway_count_also(struct gateway *gateway, const struct counters *counters);

/* All threads' numbers. Any thread. */
void gateway_counters(const struct gateway *gateway, struct counters *sum);

#endif
