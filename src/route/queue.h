/* Messages at QoS 1 and 2 to one client: sent at once, or into its session's queue. What does not fit there makes
 * publishers wait where the client reads (route/congestion.h), and is dropped by the policy that was configured where
 * it does not. By the shard's thread. */
#ifndef ROUTE_QUEUE_H
#define ROUTE_QUEUE_H

#include "flow/flow.h"
#include "route/deliver.h"

/* qos: 1 or 2. Counts in the delivery whether the client takes it. */
void queue_deliver(struct shard *shard, struct delivery *delivery, struct client *client,
		   const struct subscription *subscription, uint8_t qos, bool retain);

/* The shared subscription that the entry came through; NULL: it has ended. */
const struct subscription *queue_subscription(const struct shard *shard, const struct client *client,
					      const struct flow_entry *entry);

/* Whether what waits for the client goes on only when it acknowledges something. */
bool queue_awaits_acks(const struct shard *shard, const struct client *client);

/* Takes messages out that expired in the session's queue, some of them in one go. False: there may be more. */
bool queue_drop_expired(struct shard *shard, struct client *client);

#endif
