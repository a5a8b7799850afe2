/* The layered kinds of streams that the threads of the gateway have, all of them together: gates, which put them on top
 * of sockets, and shards, which adopt them. Owned by one thread. */
#ifndef TRANSPORT_TRANSPORTS_H
#define TRANSPORT_TRANSPORTS_H

#include "transport/stream_proxied.h"
#include "transport/stream_tls.h"
#include "transport/stream_websocket.h"

struct transports {
	struct tls_streams tls;
	struct websocket_streams websockets;
	struct proxied_streams proxied;
};

/* limit: connections. arena: as of the kinds. ERROR_NO_MEMORY: what was opened is closed again. */
enum error transports_open(struct transports *transports, struct streams *streams, struct arena *arena, uint32_t limit);
/* Notes what lies beside its memory, for the program that adopts the arena (memory/arena.h). */
enum error transports_save(const struct transports *transports, const struct arena *arena);
/* Streams that are left end with it; their sockets are not closed. Zero is allowed: nothing was opened. */
void transports_close(struct transports *transports);

#endif
