/* The gateway's connections to other servers, each in a thread of its own: revocations from Redis, and token keys from
 * a URL. The main thread makes, starts and stops it. */
#ifndef BRIDGE_BRIDGE_H
#define BRIDGE_BRIDGE_H

#include "bridge/redis_revocations.h"
#include "control/gateway.h"

struct bridge;

/* Checks the settings, which must outlive it. Returns NULL after logging what is wrong with them. */
struct bridge *bridge_new(const struct settings *settings);
/* Where Redis is, for others that speak to it; valid until bridge_free(). NULL: none is configured. */
const struct redis_settings *bridge_redis(const struct bridge *bridge);
/* Starts what is configured. Returns false after logging why it cannot. */
bool bridge_start(struct bridge *bridge, struct gateway *gateway);
/* Ends the threads. Called before the gateway stops, which may still read the counters. */
void bridge_stop(struct bridge *bridge);
/* Called after the gateway has stopped. */
void bridge_free(struct bridge *bridge);

#endif
