/* Reads from and writes to a client's connection. state/ending.h and lifecycle/end.h have its end, client/packet.h has
 * what its packets mean. By the shard's thread. */
#ifndef CLIENT_CONN_H
#define CLIENT_CONN_H

#include "session/refs.h"
#include <stdint.h>

struct shard;

/* Reads once and handles every complete packet, or as many as the turn has work left for. The others wait for the next
 * turn. */
void client_read(struct shard *shard, struct client_ref ref);
/* The same, but at least one packet is handled whatever the turn has left. */
void client_read_now(struct shard *shard, struct client_ref ref);
/* The socket takes output again. */
void client_write(struct shard *shard, struct client_ref ref);
/* Lets go what waited for commits that are safe now: tickets, acknowledgements, clients' output. Within its share of
 * the turn. */
void client_commits_run(struct shard *shard);

#endif
