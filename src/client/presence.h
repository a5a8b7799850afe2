/* Who comes and who goes, told on $SYS/presence/connected and $SYS/presence/disconnected as JSON, at QoS 1, to back
 * ends that subscribe; and who loses a subscription, on $SYS/presence/unsubscribed. Costs a look-up while nobody does.
 * By the shard's thread. */
#ifndef CLIENT_PRESENCE_H
#define CLIENT_PRESENCE_H

#include "base/error.h"
#include "base/slice.h"

struct shard;
struct client;

void presence_connected(struct shard *shard, const struct client *client);
/* While the client still has its id. */
/* A subscription of the client's has ended without its asking. On "$SYS/presence/unsubscribed". */
void presence_unsubscribed(struct shard *shard, const struct client *client, struct slice filter, enum error reason);
void presence_disconnected(struct shard *shard, const struct client *client, enum error reason);

#endif
