/* What a signed-in client's packets mean. By the shard's thread. */
#ifndef CLIENT_PACKET_H
#define CLIENT_PACKET_H

#include "base/slice.h"
#include "session/refs.h"

#include <stdint.h>

struct shard;

/* Handles every whole packet in bytes and keeps the rest. The client may have ended afterwards. */
void client_consume(struct shard *shard, struct client_ref ref, struct slice bytes);

#endif
