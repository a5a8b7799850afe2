/* Ends all clients before a shard's thread ends. By the shard's thread. */
#ifndef SHARD_DRAIN_H
#define SHARD_DRAIN_H

#include <stdbool.h>

struct shard;

/* Admits what the gates handed over last, then notes the ends of some more clients. A client with a backlog gets the
 * time to read it; then client_write() ends it. Where acknowledgements wait for commits, nothing more that would have
 * to be acknowledged is taken, and a client gets the acknowledgements that it waits for. True: a round over all clients
 * is complete, none is connected, and no other shard needs this one. */
bool drain_some(struct shard *shard);

#endif
