/* The gateway: its gates, its shards and what they share. Created, started and stopped by the main thread, which
 * carries no traffic itself. */
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

/* Opens the listeners and starts the threads. Keeps the settings, which must outlive the gateway, and writes the opened
 * listeners to them, with the ports that the kernel chose. Returns NULL after logging the reason; the process must then
 * exit. */
struct gateway *gateway_start(struct settings *settings);

/* Stops listening, sends DISCONNECT to version 5 clients if so configured [3.14], flushes, and ends the threads within
 * settings->drain_ms. Returns how many clients were still connected at the end. */
uint64_t gateway_stop(struct gateway *gateway);
/* After gateway_stop(), when no other thread uses the gateway any more. */
void gateway_free(struct gateway *gateway);

/* What the admin API may use until gateway_free(): counters, and what may be read with atomics only. Any thread. */
struct gateway_parts {
	struct shard *shards;
	struct gate *gates;
	struct mailbox *mailboxes;
	struct index *index;
	struct retained *retained;
	const struct hash_key *key; /* of client ids */
	struct settings_feed *feed;
	uint64_t table_descriptors; /* capacity of one descriptor table */
	uint32_t packet_bytes_max;
	uint16_t shard_count;
	uint16_t gate_count;
	bool private_tables;
};
struct gateway_parts gateway_parts(const struct gateway *gateway);

/* Gives all threads a copy of these settings and waits until each has switched to it. The caller makes sure that only
 * fields differ that may change at run time, and calls from one thread at a time. ERROR_NO_MEMORY: nothing has changed.
 * ERROR_TIMEOUT: a thread hangs; the others have the new settings. */
enum error gateway_reload(struct gateway *gateway, const struct settings *settings);
/* The settings in force. Valid until the next gateway_reload(). */
const struct settings *gateway_settings(const struct gateway *gateway);

/* Access control, for threads that bring keys and revocations. Valid until gateway_free(). */
struct access *gateway_access(struct gateway *gateway);
/* Adds the counters of a thread that the gateway did not start to its sum. They must outlive the gateway. At most
 * GATEWAY_COUNTERS_MAX times. Main thread. */
void gateway_count_also(struct gateway *gateway, const struct counters *counters);

/* Adds the counters of all threads to *sum. Any thread. */
void gateway_counters(const struct gateway *gateway, struct counters *sum);

#endif
