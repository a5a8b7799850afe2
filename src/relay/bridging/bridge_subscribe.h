/* What a bridge subscribes to, at either end. Owned by the bridges' thread. */
#ifndef RELAY_BRIDGING_BRIDGE_SUBSCRIBE_H
#define RELAY_BRIDGING_BRIDGE_SUBSCRIBE_H

#include "relay/item/mqtt_bridge.h"
#include "relay/session/session_asker.h"

/* local is CONNECTED, and READY when all is answered, or at once where there is nothing to ask for. is_first: filters
 * of an earlier configuration are withdrawn; otherwise all is as it was left, where the session is. */
void bridge_subscribe_local(const struct mqtt_bridge *bridge, struct session_asker *asker, struct session_link *local,
			    bool is_first);
/* The same for the broker, where filters of an earlier configuration are withdrawn as far as they are known. No Local
 * keeps away what the bridge itself has sent up. */
void bridge_subscribe_remote(const struct mqtt_bridge *bridge, struct session_link *remote);

#endif
