/* What a shard keeps of subscriptions (subscriptions/subscriptions.h, subscriptions/subscriber_lists.h). Owned by the
 * shard's thread. */
#ifndef SUBSCRIPTIONS_SUBSCRIPTION_H
#define SUBSCRIPTIONS_SUBSCRIPTION_H

#include "memory/pool.h"
#include "session/refs.h"
#include "subscriptions/own_table.h"
#include "topics/routes.h"

#include <stdbool.h>

struct index;
struct journal;

enum subscription_option {
	SUBSCRIPTION_QOS_MASK = 0x03,
	SUBSCRIPTION_NO_LOCAL = 0x04,
	SUBSCRIPTION_RETAIN_AS_PUBLISHED = 0x08,
	/* The rest is kept by subscriptions.c. */
	SUBSCRIPTION_SHARED = 0x10, /* one of its list gets each message [4.8.2] */
	SUBSCRIPTION_LISTED = 0x20, /* it is in a list; otherwise it is the filter's only one here */
	SUBSCRIPTION_LIVE = 0x40,   /* shared: its client is connected */
	SUBSCRIPTION_BUSY = 0x80,   /* shared: messages wait for its client already */
};
#define SUBSCRIPTION_OPTIONS_ASKED 0x0fu

struct subscription {
	struct subscription_ref client_next; /* the subscriber's next subscription, and the one before */
	struct subscription_ref client_previous;
	struct client_ref client; /* the subscriber; none: the subscription has ended (not first: the pool's link is)
				   */
	uint32_t node;            /* index_name() of the filter, or of the shared subscription */
	uint32_t identifier;      /* version 5's Subscription Identifier, 0: none */
	struct subscription_ref list_next;
	struct subscription_ref list_previous;
	uint16_t generation; /* tells a route that is stale */
	uint8_t options;     /* enum subscription_option */
	uint8_t reserved;
};
_Static_assert(sizeof(struct subscription) == 32, "a subscription is part of the memory contract");
DEFINE_POOL_REF(subscription);

/* Of a shared subscription the connected members stand in front; they take turns, and those who are busy are passed
 * over where another one is near. */
struct subscriber_list {
	struct subscription_ref first;
	struct subscription_ref last;
	struct subscription_ref turn; /* shared: the member that is next, 0: the first */
	uint32_t count;
	uint32_t live; /* shared: connected members */
	uint32_t busy; /* and those of all members for whom messages wait */
	uint16_t generation;
	uint16_t reserved;
};

struct subscriptions {
	struct pool pool;
	struct pool lists;
	struct own_table own; /* of sessions with many */
	struct index *index;
	struct journal *journal; /* told of sessions that are journaled; NULL where none is */
	struct subscription_ref
		cursor;      /* the walk's place: the subscription that comes next, kept valid when it ends meanwhile */
	bool cursor_is_last; /* of a shared subscription one member is walked to */
	uint64_t looks;      /* subscriptions that were looked at to find a client's own, for who counts work */
	struct subscription_ref review; /* of subscriptions_review_next(): what comes next, kept valid likewise */
	/* What one session may have: subscriptions, and bytes of the index for their filters, of which as many as a
	 * walk is made for have any. No bounds unless set after opening. */
	uint32_t client_max;
	uint32_t client_bytes_max;
	uint16_t shard;
};

/* The subscription of a route of one. */
static inline struct subscription_ref subscription_of_route(route_bits route)
{
	return (struct subscription_ref){route_index(route)};
}

#endif
