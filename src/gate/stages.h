/* The stages of a handshake, in their order (gate/handshake/handshake.h): reads, and hands each stage its bytes. Gate's
 * thread only. */
#ifndef GATE_STAGES_H
#define GATE_STAGES_H

#include "gate/handshake/handshake.h"

/* The stage in which a new connection begins. */
enum gate_stage gate_first_stage(const struct gate *gate, uint8_t listener, const union peer *peer);
/* Reads until the handshake ends, waits for something, or the socket is empty. */
void gate_stages_read(struct gate *gate, uint32_t index);
/* Goes on with TLS handshakes whose turn it is, for a few milliseconds. */
void gate_stages_run_tls(struct gate *gate);

#endif
