/* The data of subscriptions on one shard. The functions are in subscriptions/subscriptions.h and
 * subscriptions/subscriber_lists.h. Owned by the shard's thread. */
#ifndef SUBSCRIPTIONS_SUBSCRIPTION_H
#define SUBSCRIPTIONS_SUBSCRIPTION_H

#include "memory/pool.h"
#include "session/refs.h"
#include "subscriptions/own_table.h"
#include "topics/index/routes.h"

#include <stdbool.h>

struct index;
struct journal;

enum subscription_option {
	SUBSCRIPTION_QOS_MASK = 0x03,
	SUBSCRIPTION_NO_LOCAL = 0x04,
	SUBSCRIPTION_RETAIN_AS_PUBLISHED = 0x08,
	/* The rest is state, which the client does not choose. */
	SUBSCRIPTION_SHARED = 0x10, /* one member of its list gets each message [4.8.2] */
	SUBSCRIPTION_LISTED = 0x20, /* it is in a list; otherwise it is the filter's only one on this shard */
	SUBSCRIPTION_LIVE = 0x40,   /* shared: its client is connected */
	SUBSCRIPTION_BUSY = 0x80,   /* shared: its client is connected, and messages wait for it */
};
/* The options that a client asks for [3.8.3.1]. */
#define SUBSCRIPTION_OPTIONS_ASKED 0x0fu
_Static_assert((SUBSCRIPTION_QOS_MASK | SUBSCRIPTION_NO_LOCAL | SUBSCRIPTION_RETAIN_AS_PUBLISHED) ==
		       SUBSCRIPTION_OPTIONS_ASKED,
	       "what a client asks for, and nothing else");
_Static_assert(SUBSCRIPTION_BUSY <= UINT8_MAX, "subscription.options holds every option");

struct subscription {
	struct subscription_ref client_next; /* the subscriber's next subscription, and its previous one */
	struct subscription_ref client_previous;
	struct client_ref client; /* the subscriber; none: it has ended. Not first: the pool's link goes there. */
	uint32_t node;            /* index_name() of the filter, or of the shared subscription */
	uint32_t identifier;      /* version 5's Subscription Identifier, 0: none */
	struct subscription_ref list_next;
	struct subscription_ref list_previous;
	uint16_t generation; /* a route with another one is stale */
	uint8_t options;     /* enum subscription_option */
	bool takes_origin;   /* its client is one of Roost's own, and is told where messages come from */
};
_Static_assert(sizeof(struct subscription) == 32, "a subscription is part of the memory contract");
_Static_assert(offsetof(struct subscription, client) >= sizeof(uint32_t), "the pool's link does not overwrite it");
DEFINE_POOL_REF(subscription);

/* The subscribers of a filter on this shard, or the members of a shared subscription. Its connected members are at the
 * front. They take turns; busy ones are passed over if a free one is near. */
struct subscriber_list {
	struct subscription_ref first;
	struct subscription_ref last;
	struct subscription_ref turn; /* shared: the member whose turn it is, 0: the first */
	uint32_t count;
	uint32_t live; /* shared: connected members */
	uint32_t busy; /* shared: connected members for whom messages wait */
	uint16_t generation;
	uint16_t reserved;
};

struct subscriptions {
	struct pool pool;
	struct pool lists;
	struct own_table own; /* of sessions with many */
	struct index *index;
	struct journal *journal;        /* told of sessions that are journaled; NULL where none is */
	struct subscription_ref cursor; /* the walk's next subscription; moves on when that one ends */
	bool cursor_is_last;            /* the walk is to one member of a shared subscription */
	uint64_t looks; /* subscriptions examined to find a client's own; the caller charges them as work */
	struct subscription_ref review; /* of subscriptions_review_next(): the next one; moves on likewise */
	/* What one session may have: subscriptions, and bytes of the index for their filters. The bytes do not count
	 * for a session with up to OWN_WALK_MAX subscriptions. Unlimited unless set after opening. */
	uint32_t client_max;
	uint32_t client_bytes_max;
	uint16_t shard;
};

/* The subscription of a ROUTE_ONE. */
static inline struct subscription_ref subscription_of_route(route_bits route)
{
	return (struct subscription_ref){route_index(route)};
}

#endif
