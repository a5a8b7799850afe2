/* Sockets on their way from a gate to its shards, sent together at the end of the turn. By the gate's thread. */
#ifndef GATE_HANDOVER_H
#define GATE_HANDOVER_H

#include "gate/state.h"

/* The shard's batch has room: fewer than FDPASS_BATCH_MAX are in it. Owns fd and admission. */
void gate_batch_add(struct gate *gate, uint16_t shard, int fd, struct admission *admission);
/* Sends it. False when the shard lags and it has to wait. */
bool gate_batch_send(struct gate *gate, uint16_t shard);

#endif
