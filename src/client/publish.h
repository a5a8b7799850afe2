/* Handles a client's PUBLISH packets [3.3, 4.3]. By the shard's thread. */
#ifndef CLIENT_PUBLISH_H
#define CLIENT_PUBLISH_H

#include "base/error.h"
#include "mqtt/packet.h"
#include "session/refs.h"

struct shard;

/* A packet, as parts of its bytes. whole is empty if it is too large (client/oversize.h). */
struct packet {
	struct mqtt_header header;
	struct slice whole;
	struct slice body;
};

/* ERROR_OK: the message was taken; if routing it takes longer, the client is paused until that is over. ERROR_MORE: too
 * many messages are being routed or wait to be acknowledged. Nothing of the packet was done, and it has to be tried
 * again later; the client is paused if it is known until when. Otherwise the reason why the client ends. */
enum error client_publishes(struct shard *shard, struct client_ref ref, const struct packet *packet);

#endif
