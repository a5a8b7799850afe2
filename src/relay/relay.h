/* Rules that send publishes to Redis Streams. A rule is a client of Roost's own: its session, which never expires, has
 * what Redis has not confirmed yet, so that it is as durable as the store, bounded, and visible. One thread serves all
 * rules (relay/relay_loop.h). The main thread makes, starts and stops it; it may be stopped and started again, which
 * keeps the sessions. */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "relay/entry/rule.h"
#include "relay/redis_side.h"
#include "relay/status.h"

struct gateway;
struct relay;

/* Copies rules and settings, but not the strings in the settings. NULL: memory or descriptors are short. */
struct relay *relay_new(const struct rules *rules, const struct redis_side_settings *redis, bool private_table);
/* Main thread, after relay_stop(). relay may be NULL, here and below. */
void relay_free(struct relay *relay);

/* Opens a session for each rule and starts the thread, where there are rules. Sessions of rules that are gone take no
 * more, and end where nothing waits in them. After gateway_start() or gateway_thaw(). False: after logging why; the
 * gateway serves on, and what rules take waits in their sessions. */
bool relay_start(struct relay *relay, struct gateway *gateway);
/* Ends the thread and its sessions' connections, within little more than RELAY_STOP_MS; longer where Redis is just
 * being connected to. Before gateway_stop() and gateway_freeze(). Does nothing where it was not started. */
void relay_stop(struct relay *relay);

/* Hands over other rules, which relay_tend() puts to use. Any thread that has relay_fd() in its descriptor table. */
void relay_use(struct relay *relay, const struct rules *rules);
/* For poll(): readable when relay_tend() is due. -1: relay is NULL. */
int relay_fd(const struct relay *relay);
/* Starts anew where there are other rules, or a session was lost. Main thread, while the gateway runs. */
void relay_tend(struct relay *relay, struct gateway *gateway);

/* What waits is asked of the gateway. Any thread but a shard's, with the shards' wakers in its descriptor table. */
void relay_status(struct relay *relay, struct relay_status *status);

#endif
