/* The subscriptions of one shard's clients: which filter, which options, and for each filter the list of local
 * subscribers that a message walks. Owned by the shard's thread; only the routes that lead here are shared, through
 * the index. */
#ifndef SUBSCRIPTIONS_H
#define SUBSCRIPTIONS_H

#include "base/slice.h"
#include "memory/pool.h"
#include "session/journal.h"
#include "session/session.h"
#include "subscriptions/own_table.h"
#include "subscriptions/subscription.h"
#include "topics/index.h"

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
	struct subscription_ref ref;
	bool replaced; /* options and identifier of the same filter [MQTT-3.8.4-3] */
};

/* Subscribes, or replaces. The client is connected. ERROR_LIMIT, ERROR_NO_MEMORY. */
enum error subscriptions_add(struct subscriptions *subscriptions, struct session *session, struct client_ref client,
			     const struct subscription_wanted *wanted, struct subscription_made *made);
/* Returns what its index was, which is free now; 0: there was none. */
struct subscription_ref subscriptions_remove(struct subscriptions *subscriptions, struct session *session,
					     struct client_ref client, struct slice filter);
/* The session's client is connected, or not any more: members of shared subscriptions that are not get nothing while
 * others are. Looks at `most` of its subscriptions; true when there are more. *cursor: 0 at first, then as it was left;
 * subscriptions may come and end meanwhile. */
bool subscriptions_set_live_some(struct subscriptions *subscriptions, const struct session *session, bool live,
				 struct subscription_ref *cursor, uint32_t most);
/* A route to another, connected member of the session's shared subscription; 0: there is none. Once the session's own
 * are not live. turns: whose picks are counted on. */
route_bits subscriptions_other_member(const struct subscriptions *subscriptions, struct subscription_ref ref,
				      struct routes *turns);
/* Ends one of the session's. */
void subscriptions_end(struct subscriptions *subscriptions, struct session *session, struct subscription_ref ref);
/* Ends some of the session's, at most so many; false when none is left. */
bool subscriptions_clear(struct subscriptions *subscriptions, struct session *session, uint32_t most);

/* A walk over all subscriptions of one session, one at a time, which may take its time: those that end meanwhile are
 * passed over, and those that come are not met. */
void subscriptions_review_begin(struct subscriptions *subscriptions, const struct session *session);
/* 0 at the end. */
struct subscription_ref subscriptions_review_next(struct subscriptions *subscriptions);
/* The filter's name in the index. */
uint32_t subscriptions_node(const struct subscriptions *subscriptions, struct subscription_ref ref);

/* Its index, as struct flow_entry keeps it. */
struct subscription_ref subscriptions_ref(const struct subscriptions *subscriptions,
					  const struct subscription *subscription);
/* It must be one that stands. */
const struct subscription *subscriptions_at(const struct subscriptions *subscriptions, struct subscription_ref ref);
/* NULL: it is not the client's any more. */
const struct subscription *subscriptions_of_client(const struct subscriptions *subscriptions,
						   struct subscription_ref ref, struct client_ref client);
/* The client's own, unshared subscription that the route leads to, found in a few steps; NULL: it has none there. */
const struct subscription *subscriptions_own(struct subscriptions *subscriptions, const struct session *session,
					     struct client_ref client, route_bits route);

#endif
