/* Handles the packets of a client that is signed in. By the shard's thread. */
#ifndef CLIENT_PACKET_H
#define CLIENT_PACKET_H

#include "base/slice.h"
#include "session/refs.h"

#include <stdint.h>

struct shard;

/* Handles every complete packet in `bytes` and keeps the rest. The client may be CLOSING afterwards. */
void client_consume(struct shard *shard, struct client_ref ref, struct slice bytes);

#endif
