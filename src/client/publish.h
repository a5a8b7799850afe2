/* What a client publishes [3.3, 4.3]. By the shard's thread. */
#ifndef CLIENT_PUBLISH_H
#define CLIENT_PUBLISH_H

#include "base/error.h"
#include "mqtt/packet.h"
#include "session/refs.h"

struct shard;

/* A packet in its bytes. */
struct packet {
	struct mqtt_header header;
	struct slice whole;
	struct slice body;
};

/* ERROR_OK: it was taken; where routing it takes longer, the client is paused until that is over. ERROR_MORE: too many
 * messages are being routed or wait to be acknowledged, and the packet is to be tried again later; nothing of it was
 * done, and the client is paused where it is known until when. Otherwise the reason why the client ends. */
enum error client_publishes(struct shard *shard, struct client_ref ref, const struct packet *packet);

#endif
