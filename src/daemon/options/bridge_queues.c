#include "daemon/options/bridge_queues.h"

#include "base/check.h"

#include <string.h>

_Static_assert(MQTT_BRIDGES_MAX <= SETTINGS_OWN_QUEUES_MAX, "each bridge has a queue");
_Static_assert(ITEM_CLIENT_BYTES_MAX <= SETTINGS_OWN_ID_BYTES_MAX, "a client id has room");

void bridge_queues_take(struct settings *settings, const struct mqtt_bridges *bridges)
{
	CHECK_LE(bridges->count, MQTT_BRIDGES_MAX);
	memset(settings->own_queues, 0, sizeof(settings->own_queues));
	settings->own_queue_count = bridges->count;
	for (uint32_t i = 0; i < bridges->count; i++) {
		const struct mqtt_bridge *bridge = &bridges->items[i];
		struct own_queue *own = &settings->own_queues[i];
		char id[ITEM_CLIENT_BYTES_MAX];
		size_t size = item_client_id(MQTT_BRIDGE_CLIENT_PREFIX, bridge->name, id);
		memcpy(own->client_id, id, size + 1);
		own->messages_max = bridge->queue_messages;
		own->bytes_max = bridge->queue_bytes;
		own->drops_oldest = !bridge->drops_newest;
	}
}
