/* A client's connection: reading and writing. How it ends is in state/ending.h and lifecycle/end.h, what its packets
 * mean in client/packet.h. By the shard's thread. */
#ifndef CLIENT_CONN_H
#define CLIENT_CONN_H

#include "session/refs.h"
#include <stdint.h>

struct shard;

/* Reads once and handles every whole packet, or as many as the turn has work left for; the others wait for the next
 * turn. */
void client_read(struct shard *shard, struct client_ref ref);
/* The same where it cannot wait: at least one packet is handled. */
void client_read_now(struct shard *shard, struct client_ref ref);
/* The socket takes output again. */
void client_write(struct shard *shard, struct client_ref ref);

#endif
