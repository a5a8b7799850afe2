/* Bridges, which carry messages between this gateway and other MQTT brokers. A bridge is a client of Roost's own: its
 * session, which never expires, has what the broker has not acknowledged yet, so that it is as durable as the store,
 * bounded, and visible. One thread serves all bridges (bridge_loop.h). The main thread makes, starts and stops it; it
 * may be stopped and started again, which keeps the sessions. */
#ifndef RELAY_BRIDGING_BRIDGE_RELAY_H
#define RELAY_BRIDGING_BRIDGE_RELAY_H

#include "relay/bridging/bridge_status.h"
#include "relay/item/mqtt_bridge.h"

struct gateway;
struct bridge_relay;

/* Copies the bridges, but not the node's name, which is in their client ids. attention_fd: an eventfd that is written
 * to when bridge_relay_is_due(); the caller's. NULL: memory is short. */
struct bridge_relay *bridge_relay_new(const struct mqtt_bridges *bridges, const char *node, int attention_fd,
				      bool private_table);
/* After bridge_relay_stop(). */
void bridge_relay_free(struct bridge_relay *relay);

/* Starts the thread, where there are bridges. Sessions of bridges that are gone take no more, and end where nothing
 * waits in them. False: after logging why; what bridges take waits in their sessions. */
bool bridge_relay_start(struct bridge_relay *relay, struct gateway *gateway);
/* Ends the thread and its connections, within little more than BRIDGE_LOOP_STOP_MS, or however long the system looks a
 * name up. Does nothing where it was not started. */
void bridge_relay_stop(struct bridge_relay *relay);

/* Hands over other bridges, which it has from its next start on. Any thread that has the attention descriptor. */
void bridge_relay_use(struct bridge_relay *relay, const struct mqtt_bridges *bridges);
/* Whether it is to be stopped and started: there are other bridges, or it could not be started. Main thread. */
bool bridge_relay_is_due(struct bridge_relay *relay);

/* What waits is asked of the gateway. Any thread but a shard's, with the shards' wakers in its descriptor table. */
void bridge_relay_status(struct bridge_relay *relay, struct bridges_status *status);

#endif
