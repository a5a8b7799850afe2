/* Ends all clients before a shard's thread ends. By the shard's thread. */
#ifndef SHARD_DRAIN_H
#define SHARD_DRAIN_H

#include <stdbool.h>

struct shard;

/* Notes some more clients that are to end, after taking in those whom the gates let in last. One with output that waits
 * is given the time to read it: client_write() ends it then. True when a round over all of them is complete and nobody
 * is connected any more. */
bool drain_some(struct shard *shard);

#endif
