/* What comes between a client's TCP connection and its CONNECT, where something carries MQTT: the TLS handshake, then
 * the upgrade to a WebSocket. OpenSSL's objects live only here; afterwards the client's stream has all there is
 * (transport/stream_tls.h). For the pool's own files; its thread. */
#ifndef BENCH_OPENING_H
#define BENCH_OPENING_H

#include "bench/client/pool.h"

/* Tickets of earlier connections that a pool keeps to resume with. */
#define CLIENT_TICKETS_MAX 64u

/* The kinds of streams that plan->dial.transport needs. Returns false without memory. */
bool opening_prepare(struct client_pool *pool);
/* All streams are closed. After a failed opening_prepare(), too. */
void opening_finish(struct client_pool *pool);

/* Sends what comes first on the connection. Returns false if TCP is not up yet and nothing was sent; call it again
 * then. */
bool opening_start(struct client_pool *pool, uint32_t index);
/* Goes on with `size` bytes in the pool's scratch, of a client that is OPENING. Returns true if its stream is a new one
 * that may have bytes for the client already. When all is done, it sends the greeting. */
bool opening_take(struct client_pool *pool, uint32_t index, size_t size);

#endif
