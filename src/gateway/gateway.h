/* The gateway as a whole: its gates, its shards and what they share. Made, started and stopped by one thread, the main
 * one, which does no work of its own. */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "gateway/counters.h"
#include "gateway/settings.h"

#define GATEWAY_COUNTERS_MAX 8u

struct gateway;

/* Opens the listeners and starts the threads. The settings are kept, and their listeners changed (the port that was
 * chosen); they must outlive the gateway. NULL: it was logged why. */
struct gateway *gateway_start(struct settings *settings);

/* Stops listening, tells every client that understands it, flushes, and ends the threads within settings->drain_ms.
 * Frees the gateway. Returns the clients that were still connected when the time was up. */
uint64_t gateway_stop(struct gateway *gateway);

/* Who may come in, for those who bring keys and revocations. As long as the gateway is there. */
struct access *gateway_access(struct gateway *gateway);
/* Counts these too: a block of a thread that is not the gateway's own, which outlives it. At most
 * GATEWAY_COUNTERS_MAX of them; main thread. */
void gateway_count_also(struct gateway *gateway, const struct counters *counters);

/* All threads' numbers. Any thread. */
void gateway_counters(const struct gateway *gateway, struct counters *sum);

#endif
