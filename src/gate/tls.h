/* The TLS stage: from a stranger's first bytes to a stream over TLS. Gate's thread only. */
#ifndef GATE_TLS_H
#define GATE_TLS_H

#include "gate/handshake/handshake.h"

/* Takes over the current contexts of the listeners. */
void gate_tls_refresh(struct gate *gate);
void gate_tls_close(struct gate *gate);

/* Input in the TLS stage. Files the handshake with it, or, when its turn has come, goes on with it. ERROR_OK: the stage
 * is over, the stream is TLS, and all of the bytes are used. ERROR_MORE: the handshake waits, and the bytes are kept,
 * or it was refused: *bytes is what is left of them then. Otherwise the reason for a refusal. */
enum error gate_tls_take(struct gate *gate, uint32_t index, struct slice bytes);

#endif
