/* What a client publishes, and what it acknowledges of what was published to it [4.3]. By the shard's thread. */
#ifndef GATEWAY_CLIENT_PUBLISH_H
#define GATEWAY_CLIENT_PUBLISH_H

#include "base/error.h"
#include "mqtt/packet.h"

struct shard;

/* A packet in its bytes. */
struct packet {
	struct mqtt_header header;
	struct slice whole;
	struct slice body;
};

/* ERROR_OK; ERROR_MORE: an inbox is full, the packet has to wait; otherwise the reason why the client ends. */
enum error client_publishes(struct shard *shard, uint32_t index, const struct packet *packet);
/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
enum error client_acknowledges(struct shard *shard, uint32_t index, const struct packet *packet);

#endif
