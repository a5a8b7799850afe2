/* One copy of a message for a client, however many of its subscriptions match (the option overlapping-subscriptions).
 * The copy has the highest QoS of these subscriptions and all their Subscription Identifiers [MQTT-3.3.4-2,
 * MQTT-3.3.4-3, MQTT-3.3.4-4]. Shared subscriptions are not merged: each of them brings a copy of its own.
 *
 * No state is kept for this. One record holds all filters that lead to one shard, and each of them can be asked for a
 * client's own subscription in a few steps. The copy goes out with the first one. A match that takes several slices
 * (route.c) makes a record for each slice, so a client may get a copy from each. By the shard's thread. */
#ifndef DELIVER_OVERLAP_H
#define DELIVER_OVERLAP_H

#include "deliver/deliver.h"

/* A message with more routes than this is delivered from a record, in slices of a turn, because each subscriber is
 * looked up in all of the routes. */
#define OVERLAP_DIRECT_ROUTES_MAX 16u

/* The message has `count` routes, some of which may lead to other shards. If clients get one copy, the delivery has the
 * routes from here on. They must live as long as the delivery. */
void overlap_begin(const struct shard *shard, struct delivery *delivery, const route_bits *routes, uint32_t count);

/* Replaces deliver_to() for a delivery that has its routes. delivery->route is the one that is walked. */
void overlap_deliver(struct shard *shard, struct delivery *delivery, const struct subscription *subscription);

#endif
