/* Messages at QoS 1 and 2 to one client: sent at once, or into its session's queue. What does not fit there makes
 * publishers wait where the client reads (deliver/congestion.h), and is dropped by the policy that was configured where
 * it does not. By the shard's thread. */
#ifndef DELIVER_QUEUE_H
#define DELIVER_QUEUE_H

#include "deliver/delivery.h"
#include "session/flow.h"
#include "subscriptions/subscription.h"

struct shard;
struct client;

/* qos: 1 or 2. Counts in the delivery whether the client takes it. */
void queue_deliver(struct shard *shard, struct delivery *delivery, struct client *client,
		   const struct subscription *subscription, uint8_t qos, bool retain);

/* The shared subscription that the entry came through; NULL: it has ended. */
const struct subscription *queue_subscription(const struct shard *shard, const struct client *client,
					      const struct flow_entry *entry);

/* Takes messages out that expired in the session's queue, some of them in one go. False: there may be more. */
bool queue_drop_expired(struct shard *shard, struct client *client);

/* Sends what waits in the session's queue, as far as window and output have room. */
void queue_send(struct shard *shard, struct client_ref ref);

/* Queues a retained message for the client, to be sent with queue_send(). False: no room. */
bool queue_retained(struct shard *shard, struct client_ref ref, const struct publication *publication,
		    const uint8_t *packet, uint8_t qos, uint32_t identifier);

#endif
