/* Messages at QoS 1 and 2 to one client: sent at once, or appended to its session's queue. When a message does not fit
 * into the queue of a client that reads, publishers wait for the client (deliver/congestion.h). For a client that does
 * not read, the configured policy drops a message. By the shard's thread. */
#ifndef DELIVER_QUEUE_H
#define DELIVER_QUEUE_H

#include "deliver/delivery.h"
#include "session/flow.h"
#include "subscriptions/subscription.h"

struct shard;
struct client;

/* qos: 1 or 2. Notes in the delivery whether the client takes the message (taken) or has no room for it (refused). */
void queue_deliver(struct shard *shard, struct delivery *delivery, struct client *client,
		   const struct subscription *subscription, uint8_t qos, bool retain);

/* The shared subscription that a shared entry came through; NULL: it has ended. */
const struct subscription *queue_subscription(const struct shard *shard, const struct client *client,
					      const struct flow_entry *entry);

/* Tells the journal of an entry: it was just appended, or the session is told once more. Does nothing if the session is
 * not journaled. */
void queue_tell(struct shard *shard, const struct client *client, uint32_t entry,
		const struct publisher_name *publisher);

/* Queues a message that had waited for the client on another node: a copy of the entry, with a reference of its own. It
 * may be dropped like any other that finds no room. */
void queue_moved_here(struct shard *shard, struct client_ref ref, const struct flow_entry *entry);

/* Removes expired messages from the session's queue, a bounded number of entries per call. False: call again. */
bool queue_drop_expired(struct shard *shard, struct client *client);

/* Sends what waits in the session's queue, as far as the window and the output have room. May free the client's
 * extension. */
void queue_send(struct shard *shard, struct client_ref ref);

/* Queues a retained message for the client; queue_send() sends it. qos: of the subscription. False: no memory. */
bool queue_retained(struct shard *shard, struct client_ref ref, const struct publication *publication,
		    const uint8_t *packet, uint8_t qos, uint32_t identifier);

#endif
