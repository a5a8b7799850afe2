/* Queues of those of Roost's own sessions that have bounds of their own, such as a bridge's, whose broker may be away
 * for days: publishers never wait for them, and what is too much is dropped, as the configuration says. By the shard's
 * thread. */
#ifndef DELIVER_OWN_QUEUE_H
#define DELIVER_OWN_QUEUE_H

#include "deliver/outgoing.h"
#include "runtime/settings/settings.h"

/* Messages that are dropped for a new one, at most: bounds that have become much narrower take effect over many. */
#define OWN_QUEUE_DROPS_MAX 64u

/* NULL: the client's session has no such bounds. A comparison, where the configuration names no session. */
const struct own_queue *own_queue_of(const struct shard *shard, const struct client *client);
struct queue_limits own_queue_limits(const struct shard *shard, const struct own_queue *own);

#endif
