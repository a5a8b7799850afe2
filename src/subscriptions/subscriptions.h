/* The subscriptions of one shard's clients: their filters and options, and for each filter the list of local
 * subscribers that a message walks. Owned by the shard's thread. Only the routes that lead here are shared, through the
 * index. */
#ifndef SUBSCRIPTIONS_H
#define SUBSCRIPTIONS_H

#include "base/slice.h"
#include "memory/pool.h"
#include "session/journal.h"
#include "session/session.h"
#include "subscriptions/own_table.h"
#include "subscriptions/subscription.h"
#include "topics/index/index.h"

struct arena;

/* arena: where its memory is, or NULL (memory/arena.h). limit: subscriptions. The index must outlive it.
 * ERROR_NO_MEMORY. */
enum error subscriptions_open(struct subscriptions *subscriptions, struct arena *arena, struct index *index,
			      uint16_t shard, uint32_t limit);
/* Notes what lies beside its memory, for the program that adopts the arena (memory/arena.h): a review goes on there. No
 * walk is under way. */
enum error subscriptions_save(const struct subscriptions *subscriptions, const struct arena *arena);
void subscriptions_close(struct subscriptions *subscriptions);

/* What a client asks for. filter: valid; "$share/group/filter" for a shared subscription [4.8.2]. */
struct subscription_wanted {
	struct slice filter;
	uint32_t identifier;
	uint8_t options; /* enum subscription_option */
	bool takes_origin;
};

/* The result. */
struct subscription_made {
	struct subscription_ref ref;
	bool replaced; /* options and identifier of the same filter [MQTT-3.8.4-3] */
};

/* Subscribes the client, which is connected, or replaces its subscription. ERROR_LIMIT, ERROR_NO_MEMORY. */
enum error subscriptions_add(struct subscriptions *subscriptions, struct session *session, struct client_ref client,
			     const struct subscription_wanted *wanted, struct subscription_made *made);
/* Tells the journal of the subscription once more. filter: its own, as index_filter_text() gives it. */
void subscriptions_tell(const struct subscriptions *subscriptions, struct subscription_ref ref, struct slice filter);
/* Unsubscribes. Returns the reference that the subscription had, which is free now; none: there was no subscription. */
struct subscription_ref subscriptions_remove(struct subscriptions *subscriptions, struct session *session,
					     struct client_ref client, struct slice filter);
/* The session's client has connected or disconnected: in a shared subscription, members without a connection get
 * nothing while others have one. Handles up to `most` of its subscriptions. True: there are more. *cursor: none at
 * first, then as this function left it; subscriptions may come and end between two calls. */
bool subscriptions_set_live_some(struct subscriptions *subscriptions, const struct session *session, bool live,
				 struct subscription_ref *cursor, uint32_t most);
/* A route to another member of the shared subscription that is connected; 0: there is none. To be called when the
 * session's own memberships are no longer live. turns: whose picks it counts. */
route_bits subscriptions_other_member(const struct subscriptions *subscriptions, struct subscription_ref ref,
				      struct routes *turns);
/* Ends one of the session's subscriptions. */
void subscriptions_end(struct subscriptions *subscriptions, struct session *session, struct subscription_ref ref);
/* Ends up to `most` of the session's subscriptions. False: none is left. */
bool subscriptions_clear(struct subscriptions *subscriptions, struct session *session, uint32_t most);

/* A walk over all subscriptions of one session, which may take several turns. It skips those that end meanwhile, and
 * does not see new ones. There is one walk at a time. */
void subscriptions_review_begin(struct subscriptions *subscriptions, const struct session *session);
/* None: the walk is over. */
struct subscription_ref subscriptions_review_next(struct subscriptions *subscriptions);
/* The filter's name in the index. */
uint32_t subscriptions_node(const struct subscriptions *subscriptions, struct subscription_ref ref);

/* Its reference, as struct flow_entry keeps it. */
struct subscription_ref subscriptions_ref(const struct subscriptions *subscriptions,
					  const struct subscription *subscription);
/* It must not have ended. */
const struct subscription *subscriptions_at(const struct subscriptions *subscriptions, struct subscription_ref ref);
/* NULL: it is no subscription of this client any more. */
const struct subscription *subscriptions_of_client(const struct subscriptions *subscriptions,
						   struct subscription_ref ref, struct client_ref client);
/* The client's own subscription among those that the route leads to, if it is not shared. Takes a few steps, however
 * many there are. NULL: it has none. */
const struct subscription *subscriptions_own(struct subscriptions *subscriptions, const struct session *session,
					     struct client_ref client, route_bits route);

#endif
