/* A client's connection: reading, writing, its end. By the shard's thread. */
#ifndef CLIENT_CONN_H
#define CLIENT_CONN_H

#include "base/error.h"

#include <stdint.h>

struct shard;

/* Reads once and handles every whole packet, or as many as the turn has work left for; the others wait for the next
 * turn. */
void client_read(struct shard *shard, uint32_t index);
/* The same where it cannot wait: at least one packet is handled. */
void client_read_now(struct shard *shard, uint32_t index);
/* The socket takes output again. */
void client_write(struct shard *shard, uint32_t index);
/* Ends the connection for this reason: its last words are sent where the protocol has some and the connection stands;
 * its will is published, or waits, as the standard says; the session ends too unless it outlives its connections; the
 * socket is closed at the end of the turn. */
void client_end(struct shard *shard, uint32_t index, enum error reason);
/* At the end of the turn: closes the socket; the client is free, or a session without a connection. */
void client_finish(struct shard *shard, uint32_t index);

#endif
