/* What the gateway has to do with other servers, each in a thread of its own: revocations in Redis, keys from a URL.
 * Made, started and stopped by the main thread. */
#ifndef BRIDGE_BRIDGE_H
#define BRIDGE_BRIDGE_H

#include "control/gateway.h"

struct bridge;

/* Looks at the settings, which outlive it, before anything is started. NULL: it was logged what is wrong. */
struct bridge *bridge_new(const struct settings *settings);
/* Starts what is configured, for a gateway that is there. False: it was logged why. */
bool bridge_start(struct bridge *bridge, struct gateway *gateway);
/* Ends the threads. Before the gateway stops; it may still read the counters then. */
void bridge_stop(struct bridge *bridge);
/* After the gateway has stopped. */
void bridge_free(struct bridge *bridge);

#endif
