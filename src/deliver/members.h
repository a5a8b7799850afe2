/* Members of shared subscriptions that have messages waiting: they are passed over while other members have none. By
 * the shard's thread. */
#ifndef DELIVER_MEMBERS_H
#define DELIVER_MEMBERS_H

#include "session/refs.h"

#include <stdint.h>

struct shard;
struct client;
struct flow;

/* A message that came through this shared subscription of the client waits in its queue. */
void members_queued(struct shard *shard, struct client *client, struct subscription_ref subscription);
/* Part of its queue was sent. */
void members_sent(struct shard *shard, struct client *client, const struct flow *flow);
/* The client's connection ends. */
void members_end(struct shard *shard, struct client *client);

#endif
