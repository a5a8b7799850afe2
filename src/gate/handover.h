/* Hands admitted sockets from a gate to the shards, one batch per shard and turn. Gate's thread only. */
#ifndef GATE_HANDOVER_H
#define GATE_HANDOVER_H

#include "gate/state.h"

/* Adds a socket to the shard's batch, which must hold fewer than FDPASS_BATCH_MAX. Takes over fd and admission. */
void gate_batch_add(struct gate *gate, uint16_t shard, int fd, struct admission *admission);
/* Sends the batch. Returns false if the shard does not keep up, so that the batch has to wait. */
bool gate_batch_send(struct gate *gate, uint16_t shard);

#endif
