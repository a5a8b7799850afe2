/* A filter's subscribers on this shard: one subscription, which the filter's route names itself, or a list. In a shared
 * subscription [4.8.2] each message goes to one member; here is whose turn it is, and who is passed over. Owned by the
 * shard's thread. Each change is made with the filter's part of the index locked. */
#ifndef SUBSCRIPTIONS_SUBSCRIBER_LISTS_H
#define SUBSCRIPTIONS_SUBSCRIBER_LISTS_H

#include "subscriptions/subscription.h"
#include "topics/index/index.h"

/* ---- for subscriptions/subscriptions.c ---- */

/* Adds a subscriber to the locked node. ERROR_LIMIT, ERROR_NO_MEMORY. */
enum error subscribers_attach(struct subscriptions *subscriptions, struct index_slot slot, struct subscription_ref ref);
/* The subscription ends. A walk whose next one it was goes on after it. */
void subscribers_detach(struct subscriptions *subscriptions, struct subscription_ref ref);
/* A member of a shared subscription has connected or disconnected. */
void subscribers_set_live(struct subscriptions *subscriptions, struct subscription_ref ref, bool live);
/* The first subscription of a list's route. */
struct subscription_ref subscribers_first(const struct subscriptions *subscriptions, route_bits list);

/* ---- for delivery ---- */

/* Messages wait for this member of a shared subscription, or no longer do. It is passed over while others are free.
 * Does nothing for a member that is not connected. */
void subscriptions_set_busy(struct subscriptions *subscriptions, struct subscription_ref ref, bool busy);
/* The client of this member of a shared subscription has lost its connection, which its list does not show yet. */
void subscriptions_unset_live(struct subscriptions *subscriptions, struct subscription_ref ref);
/* How many subscriptions a route leads to: 1 for a shared one, 0 for a stale one. */
uint32_t subscriptions_count(const struct subscriptions *subscriptions, route_bits route);
/* A walk over a route's subscriptions. subscriptions_walk() begins it, subscriptions_next() returns the next one; NULL:
 * the walk is over. There is one walk at a time. Subscriptions may end during it. */
void subscriptions_walk(struct subscriptions *subscriptions, route_bits route);
const struct subscription *subscriptions_next(struct subscriptions *subscriptions);
/* After subscriptions_walk(): the member of a shared subscription that was picked; none: it is no such walk. */
struct subscription_ref subscriptions_picked(const struct subscriptions *subscriptions);

#endif
