/* How long the queues of bridges may become: the shards know no bridges, but sessions with bounds of their own. Pure;
 * any thread. */
#ifndef DAEMON_OPTIONS_BRIDGE_QUEUES_H
#define DAEMON_OPTIONS_BRIDGE_QUEUES_H

#include "relay/item/mqtt_bridge.h"
#include "runtime/settings/settings.h"

/* Replaces those that the settings have. */
void bridge_queues_take(struct settings *settings, const struct mqtt_bridges *bridges);

#endif
