/* Who comes and who goes, told on $SYS/presence/connected and $SYS/presence/disconnected as JSON, at QoS 1, to back
 * ends that subscribe. Costs a look-up while nobody does. By the shard's thread. */
#ifndef GATEWAY_PRESENCE_H
#define GATEWAY_PRESENCE_H

#include "base/error.h"

struct shard;
struct client;

void presence_connected(struct shard *shard, const struct client *client);
/* While the client still has its id. */
void presence_disconnected(struct shard *shard, const struct client *client, enum error reason);

#endif
