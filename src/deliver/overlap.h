/* One copy of a message for a client, however many of its subscriptions match it (the option
 * overlapping-subscriptions): at the highest QoS of them, and with all of their Subscription Identifiers
 * [MQTT-3.3.4-2, MQTT-3.3.4-3, MQTT-3.3.4-4]. Shared subscriptions are not among them: they bring a copy as ever.
 *
 * Nothing is remembered of a message. All filters that lead to one shard stand in one record, and each of them can be
 * asked for a client's own subscription in a few steps: the copy goes out with the first of them. A match that takes
 * several slices (route.c) makes a record of each slice, and there may be a copy through each. By the shard's thread.
 */
#ifndef DELIVER_OVERLAP_H
#define DELIVER_OVERLAP_H

#include "deliver/deliver.h"

/* With more routes than this a message is delivered in slices of a turn: each subscriber is looked for in all of them.
 */
#define OVERLAP_DIRECT_ROUTES_MAX 16u

/* The message goes through `count` routes, of which some may lead to other shards; where clients get one copy of it,
 * the delivery knows them from here on. The routes live as long as the delivery. */
void overlap_begin(const struct shard *shard, struct delivery *delivery, const route_bits *routes, uint32_t count);

/* In place of deliver_to() where the delivery knows its routes; its `route` says which one is walked. */
void overlap_deliver(struct shard *shard, struct delivery *delivery, const struct subscription *subscription);

#endif
