/* Tells back ends that subscribe which clients come and go, on $SYS/presence/connected and $SYS/presence/disconnected,
 * and which lose a subscription, on $SYS/presence/unsubscribed: as JSON, at QoS 1. Costs a look-up while there is no
 * subscriber. By the shard's thread. */
#ifndef CLIENT_PRESENCE_H
#define CLIENT_PRESENCE_H

#include "base/error.h"
#include "base/slice.h"

struct shard;
struct client;

void presence_connected(struct shard *shard, const struct client *client);
/* The server has ended a subscription of the client. */
void presence_unsubscribed(struct shard *shard, const struct client *client, struct slice filter, enum error reason);
/* Call it while the client still has its id. */
void presence_disconnected(struct shard *shard, const struct client *client, enum error reason);

#endif
