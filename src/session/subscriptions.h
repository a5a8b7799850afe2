/* The subscriptions of one shard's clients: which filter, which options, and for each filter the list of local
 * subscribers that a message walks. Owned by the shard's thread; only the routes that lead here are shared, through
 * the index. */
#ifndef SESSION_SUBSCRIPTIONS_H
#define SESSION_SUBSCRIPTIONS_H

#include "base/pool.h"
#include "base/slice.h"
#include "session/index.h"
#include "session/session.h"

enum subscription_option {
	SUBSCRIPTION_QOS_MASK = 0x03,
	SUBSCRIPTION_NO_LOCAL = 0x04,
	SUBSCRIPTION_RETAIN_AS_PUBLISHED = 0x08,
};

struct subscription {
	uint32_t client;      /* pool index of the subscriber */
	uint32_t client_next; /* its next subscription, and the one before */
	uint32_t client_previous;
	uint32_t node; /* index_name() of the filter */
	uint32_t list; /* the list it is in, or 0: it is the only one here */
	uint32_t list_next;
	uint32_t list_previous;
	uint16_t generation; /* tells a route that is stale */
	uint8_t options;     /* enum subscription_option */
	uint8_t reserved;
};
_Static_assert(sizeof(struct subscription) == 32, "a subscription is part of the memory contract");

struct subscriber_list {
	uint32_t first;
	uint32_t count;
	uint16_t generation;
	uint16_t reserved;
};

struct subscriptions {
	struct pool pool;
	struct pool lists;
	struct index *index;
	uint32_t cursor;     /* the walk's place: the subscription that comes next, kept valid when it ends meanwhile */
	uint32_t client_max; /* subscriptions that one session may have; no bound unless set after opening */
	uint16_t shard;
};

/* limit: subscriptions. The index must outlive it. */
enum error subscriptions_open(struct subscriptions *subscriptions, struct index *index, uint16_t shard, uint32_t limit);
void subscriptions_close(struct subscriptions *subscriptions);

/* Subscribes, or replaces the options of the same filter [MQTT-3.8.4-3] (*replaced). ERROR_LIMIT, ERROR_NO_MEMORY. */
enum error subscriptions_add(struct subscriptions *subscriptions, struct session *session, uint32_t client,
			     struct slice filter, uint8_t options, bool *replaced);
/* False when there was none. */
bool subscriptions_remove(struct subscriptions *subscriptions, struct session *session, uint32_t client,
			  struct slice filter);
/* Ends all of the session's. */
void subscriptions_clear(struct subscriptions *subscriptions, struct session *session);

/* How many subscriptions a route leads to, 0 when it is stale. */
uint32_t subscriptions_count(const struct subscriptions *subscriptions, route_bits route);
/* A walk over a route's subscriptions: start sets the cursor, each next returns one and moves on; NULL at the end.
 * There is one walk at a time; subscriptions may end during it. */
void subscriptions_walk(struct subscriptions *subscriptions, route_bits route);
const struct subscription *subscriptions_next(struct subscriptions *subscriptions);

#endif
