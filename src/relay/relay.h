/* What connects the gateway to back ends: rules, which send publishes to Redis Streams, hooks, which post them to HTTP
 * endpoints, consumers, which publish what stands in streams, bridges to other brokers, and the table of who is online.
 * Each is a client of Roost's own, and each kind has threads of its own (relay/session/session_thread.h). The main
 * thread makes, starts and stops them; they may be stopped and started again, which keeps the sessions. */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "relay/bridging/bridge_relay.h"
#include "relay/consumer/consumer_relay.h"
#include "relay/hook/hook_relay.h"
#include "relay/items.h"
#include "relay/stream/stream_relay.h"
#include "relay/table/table_relay.h"

struct relay;

struct relay_settings {
	struct redis_target redis;
	const char *presence_table; /* "": there is none */
	const char *node;
	bool private_tables; /* of descriptors */
};

/* Copies items and settings, but not the strings in the settings of Redis. NULL: memory or descriptors are short. */
struct relay *relay_new(const struct relay_items *items, const struct relay_settings *settings);
/* Main thread, after relay_stop(). relay may be NULL, here and below. */
void relay_free(struct relay *relay);

/* Starts what there are items for. After gateway_start() or gateway_thaw(). What cannot be started is logged; the
 * gateway serves on, and what items take waits in their sessions. */
void relay_start(struct relay *relay, struct gateway *gateway);
/* Ends all threads and their connections, within some seconds. Before gateway_stop() and gateway_freeze(). Does nothing
 * where it was not started. */
void relay_stop(struct relay *relay);
/* The same where the gateway ends: what says in Redis that it is there goes, too. */
void relay_leave(struct relay *relay);

/* Hands over other items, which relay_tend() puts to use. Kinds whose items have stayed the same go on. Any thread that
 * has relay_fd() in its descriptor table. */
void relay_use(struct relay *relay, const struct relay_items *items, const struct relay_items *before);
/* For poll(): readable when relay_tend() is due. -1: relay is NULL. */
int relay_fd(const struct relay *relay);
/* Starts anew where there are other items or a session was lost, and, now and then, what could not be started. To be
 * called whenever the main thread wakes, while the gateway runs. */
void relay_tend(struct relay *relay, struct gateway *gateway);

/* How each kind is doing. What waits is asked of the gateway: any thread but a shard's, with the shards' wakers in its
 * descriptor table. */
void relay_rules_status(struct relay *relay, struct stream_status *status);
void relay_hooks_status(struct relay *relay, struct hooks_status *status);
void relay_bridges_status(struct relay *relay, struct bridges_status *status);
/* Any thread. */
void relay_table_status(struct relay *relay, struct table_status *status);
void relay_consumers_status(struct relay *relay, struct consumers_status *status);

#endif
