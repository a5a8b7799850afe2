/* A message to one shard's subscribers, one after another: at QoS 0 as bytes that all of them share, at QoS 1 and 2
 * with a packet identifier of each session's own, or into its queue. By the shard's thread. */
#ifndef DELIVER_H
#define DELIVER_H

#include "deliver/delivery.h"
#include "subscriptions/subscriptions.h"

struct shard;
struct client;

/* packet: lives until the end of the turn. kept: what deliver_end() gave back when the walk was interrupted, or none.
 */
struct delivery deliver_begin(const uint8_t *packet, const struct publication *publication, bool is_mail,
			      struct message_ref kept);
/* The client has published it itself, and wants none of its own through this subscription [MQTT-3.8.3-3]. */
bool deliver_is_no_local(const struct shard *shard, const struct delivery *delivery,
			 const struct subscription *subscription);
void deliver_to(struct shard *shard, struct delivery *delivery, const struct subscription *subscription);
/* Lets go of the kept message. */
void deliver_end(struct shard *shard, struct delivery *delivery);

#endif
