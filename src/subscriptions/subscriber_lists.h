/* Who of this shard subscribes to a filter: one subscription, which is the filter's route itself, or a list. Of a
 * shared subscription each message goes to one member: whose turn it is, and who is passed over. Owned by the shard's
 * thread; each change is made with the filter's part of the index locked. */
#ifndef SUBSCRIPTIONS_SUBSCRIBER_LISTS_H
#define SUBSCRIPTIONS_SUBSCRIBER_LISTS_H

#include "subscriptions/subscription.h"
#include "topics/index.h"

/* ---- for subscriptions/subscriptions.c ---- */

/* One more subscriber of the locked node. ERROR_LIMIT, ERROR_NO_MEMORY. */
enum error subscribers_attach(struct subscriptions *subscriptions, struct index_slot slot, struct subscription_ref ref);
/* The subscription ends: a walk that stands on it goes on behind it. */
void subscribers_detach(struct subscriptions *subscriptions, struct subscription_ref ref);
/* A member of a shared subscription is connected, or not any more. */
void subscribers_set_live(struct subscriptions *subscriptions, struct subscription_ref ref, bool live);
/* One of those that a list's route leads to. */
struct subscription_ref subscribers_first(const struct subscriptions *subscriptions, route_bits list);

/* ---- for who delivers ---- */

/* Messages wait for the client of this shared subscription, or not any more: a member for whom some do is passed over
 * while others are free. */
void subscriptions_set_busy(struct subscriptions *subscriptions, struct subscription_ref ref, bool busy);
/* The client of this member of a shared subscription is not connected, which the lists do not know yet. */
void subscriptions_unset_live(struct subscriptions *subscriptions, struct subscription_ref ref);
/* How many subscriptions a route leads to, of a shared one 1; 0 when it is stale. */
uint32_t subscriptions_count(const struct subscriptions *subscriptions, route_bits route);
/* A walk over a route's subscriptions: start sets the cursor, each next returns one and moves on; NULL at the end.
 * There is one walk at a time; subscriptions may end during it. */
void subscriptions_walk(struct subscriptions *subscriptions, route_bits route);
const struct subscription *subscriptions_next(struct subscriptions *subscriptions);
/* Right after the start: the one member of a shared subscription that was picked among several; 0: it is no such walk.
 */
struct subscription_ref subscriptions_picked(const struct subscriptions *subscriptions);

#endif
