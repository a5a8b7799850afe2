/* What a client publishes, and what it acknowledges of what was published to it [4.3]. By the shard's thread. */
#ifndef CLIENT_PUBLISH_H
#define CLIENT_PUBLISH_H

#include "base/error.h"
#include "flow/refs.h"
#include "mqtt/packet.h"

struct shard;

/* A packet in its bytes. */
struct packet {
	struct mqtt_header header;
	struct slice whole;
	struct slice body;
};

/* ERROR_OK: it was taken; where routing it takes longer, the client is paused until client_published(). ERROR_MORE: too
 * many wait already, the packet is to be tried again later. Otherwise the reason why the client ends. */
enum error client_publishes(struct shard *shard, struct client_ref ref, const struct packet *packet);
/* A message that took longer is with all who subscribe, or was dropped for this reason: the client, which has not ended
 * meanwhile, gets its acknowledgement and goes on. */
void client_published(struct shard *shard, struct client_ref ref, uint8_t qos, uint16_t packet_id, bool matched,
		      enum error error);
/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
enum error client_acknowledges(struct shard *shard, struct client_ref ref, const struct packet *packet);

#endif
