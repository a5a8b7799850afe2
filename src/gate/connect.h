/* The last stage: CONNECT [3.1], which is refused or admitted, or has to wait for a password's check (gate/passwords.h)
 * or for somebody outside (gate/asking.h); and handing admitted sockets to the shards, one batch a shard and turn.
 * Gate's thread only. */
#ifndef GATE_CONNECT_H
#define GATE_CONNECT_H

#include "gate/handshake/handshake.h"

/* Input in the CONNECT stage. The handshake ends, or the bytes are kept. */
void gate_connect_take(struct gate *gate, uint32_t index, struct slice bytes);

/* Sends the shard's batch of admitted sockets. Returns false if the shard does not keep up, so that the batch has to
 * wait. */
bool gate_batch_send(struct gate *gate, uint16_t shard);

#endif
