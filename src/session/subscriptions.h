/* The subscriptions of one shard's clients: which filter, which options, and for each filter the list of local
 * subscribers that a message walks. Owned by the shard's thread; only the routes that lead here are shared, through
 * the index. */
#ifndef SESSION_SUBSCRIPTIONS_H
#define SESSION_SUBSCRIPTIONS_H

#include "base/slice.h"
#include "memory/pool.h"
#include "session/journal.h"
#include "session/own_table.h"
#include "session/session.h"
#include "topics/index.h"

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
	uint32_t client_next; /* the subscriber's next subscription, and the one before */
	uint32_t client_previous;
	struct client_ref client; /* the subscriber; none: the subscription has ended (not first: the pool's link is)
				   */
	uint32_t node;            /* index_name() of the filter, or of the shared subscription */
	uint32_t identifier;      /* version 5's Subscription Identifier, 0: none */
	uint32_t list_next;
	uint32_t list_previous;
	uint16_t generation; /* tells a route that is stale */
	uint8_t options;     /* enum subscription_option */
	uint8_t reserved;
};
_Static_assert(sizeof(struct subscription) == 32, "a subscription is part of the memory contract");

/* Of a shared subscription the connected members stand in front; they take turns, and those who are busy are passed
 * over where another one is near. */
struct subscriber_list {
	uint32_t first;
	uint32_t last;
	uint32_t turn; /* shared: the member that is next, 0: the first */
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
	uint32_t cursor;     /* the walk's place: the subscription that comes next, kept valid when it ends meanwhile */
	bool cursor_is_last; /* of a shared subscription one member is walked to */
	uint64_t looks;      /* subscriptions that were looked at to find a client's own, for who counts work */
	uint32_t review;     /* of subscriptions_review_next(): what comes next, kept valid likewise */
	/* What one session may have: subscriptions, and bytes of the index for their filters, of which as many as a
	 * walk is made for have any. No bounds unless set after opening. */
	uint32_t client_max;
	uint32_t client_bytes_max;
	uint16_t shard;
};

/* limit: subscriptions. The index must outlive it. */
enum error subscriptions_open(struct subscriptions *subscriptions, struct index *index, uint16_t shard, uint32_t limit);
void subscriptions_close(struct subscriptions *subscriptions);

/* What a client asks for. filter: checked, "$share/group/filter" for a shared subscription. */
struct subscription_wanted {
	struct slice filter;
	uint32_t identifier;
	uint8_t options; /* enum subscription_option */
};

/* What came of it. */
struct subscription_made {
	uint32_t index;
	bool replaced; /* options and identifier of the same filter [MQTT-3.8.4-3] */
};

/* Subscribes, or replaces. The client is connected. ERROR_LIMIT, ERROR_NO_MEMORY. */
enum error subscriptions_add(struct subscriptions *subscriptions, struct session *session, struct client_ref client,
			     const struct subscription_wanted *wanted, struct subscription_made *made);
/* Returns what its index was, which is free now; 0: there was none. */
uint32_t subscriptions_remove(struct subscriptions *subscriptions, struct session *session, struct client_ref client,
			      struct slice filter);
/* The session's client is connected, or not any more: members of shared subscriptions that are not get nothing while
 * others are. Looks at `most` of its subscriptions; true when there are more. *cursor: 0 at first, then as it was left;
 * subscriptions may come and end meanwhile. */
bool subscriptions_set_live_some(struct subscriptions *subscriptions, const struct session *session, bool live,
				 uint32_t *cursor, uint32_t most);
/* Messages wait for the client of this shared subscription, or not any more: a member for whom some do is passed over
 * while others are free. */
void subscriptions_set_busy(struct subscriptions *subscriptions, uint32_t index, bool busy);
/* A route to another, connected member of the session's shared subscription; 0: there is none. Once the session's own
 * are not live. turns: whose picks are counted on. */
route_bits subscriptions_other_member(const struct subscriptions *subscriptions, uint32_t subscription,
				      struct routes *turns);
/* The client of this member of a shared subscription is not connected, which the lists do not know yet. */
void subscriptions_unset_live(struct subscriptions *subscriptions, uint32_t index);
/* Ends one of the session's. */
void subscriptions_end(struct subscriptions *subscriptions, struct session *session, uint32_t index);
/* Ends some of the session's, at most so many; false when none is left. */
bool subscriptions_clear(struct subscriptions *subscriptions, struct session *session, uint32_t most);

/* A walk over all subscriptions of one session, one at a time, which may take its time: those that end meanwhile are
 * passed over, and those that come are not met. */
void subscriptions_review_begin(struct subscriptions *subscriptions, const struct session *session);
/* 0 at the end. */
uint32_t subscriptions_review_next(struct subscriptions *subscriptions);
/* The filter's name in the index. */
uint32_t subscriptions_node(const struct subscriptions *subscriptions, uint32_t index);

/* How many subscriptions a route leads to, of a shared one 1; 0 when it is stale. */
uint32_t subscriptions_count(const struct subscriptions *subscriptions, route_bits route);
/* Its index, as struct flow_entry keeps it. */
uint32_t subscriptions_index(const struct subscriptions *subscriptions, const struct subscription *subscription);
/* It must be one that stands. */
const struct subscription *subscriptions_at(const struct subscriptions *subscriptions, uint32_t index);
/* NULL: it is not the client's any more. */
const struct subscription *subscriptions_of_client(const struct subscriptions *subscriptions, uint32_t index,
						   struct client_ref client);
/* The client's own, unshared subscription that the route leads to, found in a few steps; NULL: it has none there. */
const struct subscription *subscriptions_own(struct subscriptions *subscriptions, const struct session *session,
					     struct client_ref client, route_bits route);
/* A walk over a route's subscriptions: start sets the cursor, each next returns one and moves on; NULL at the end.
 * There is one walk at a time; subscriptions may end during it. */
void subscriptions_walk(struct subscriptions *subscriptions, route_bits route);
const struct subscription *subscriptions_next(struct subscriptions *subscriptions);
/* Right after the start: the one member of a shared subscription that was picked among several; 0: it is no such walk.
 */
uint32_t subscriptions_picked(const struct subscriptions *subscriptions);

#endif
