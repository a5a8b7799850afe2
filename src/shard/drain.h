/* Ends all clients before a shard's thread ends. By the shard's thread. */
#ifndef SHARD_DRAIN_H
#define SHARD_DRAIN_H

#include <stdbool.h>

struct shard;

/* Admits what the gates handed over last, then notes the ends of some more clients. A client with a backlog gets the
 * time to read it; then client_write() ends it. True: a round over all clients is complete and none is connected. */
bool drain_some(struct shard *shard);

#endif
