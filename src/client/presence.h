/* Tells back ends that subscribe what becomes of clients, in topics below $SYS/presence/, as JSON at QoS 1
 * (docs/BACKENDS.md):
 *
 *   connected, disconnected     a connection
 *   session_ended               a session, with its connection or later
 *   will_published              a will
 *   subscribed, unsubscribed    a subscription
 *
 * An event costs a look-up in the index while nobody subscribes to it. Events of one client keep their order, for they
 * all come from its shard. Of Roost's own clients nothing is told. By the shard's thread. */
#ifndef CLIENT_PRESENCE_H
#define CLIENT_PRESENCE_H

#include "base/error.h"
#include "base/slice.h"
#include "session/refs.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct client;

void presence_connected(struct shard *shard, const struct client *client);
/* Call it while the client still has its id and its socket. */
void presence_disconnected(struct shard *shard, const struct client *client, enum error reason);

/* Call these while the client still has its id. */
void presence_will_published(struct shard *shard, const struct client *client, struct message_ref will);
/* reason: ERROR_NOT_FOUND for a session that has expired. */
void presence_session_ended(struct shard *shard, const struct client *client, enum error reason);

/* Whether anybody wants to know of subscriptions now: one question for all filters of a packet. */
bool presence_of_subscriptions(struct shard *shard);
void presence_subscribed(struct shard *shard, const struct client *client, struct slice filter, uint8_t qos);
/* reason: why the server has ended it; ERROR_OK: the client wanted it. */
void presence_unsubscribed(struct shard *shard, const struct client *client, struct slice filter, enum error reason);

#endif
