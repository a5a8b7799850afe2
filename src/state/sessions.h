/* A shard's sessions: found by client id, their subscriptions, and what is under way about them: those that end, the
 * filters and retained messages that more than one turn goes by for. By the shard's thread. */
#ifndef STATE_SESSIONS_H
#define STATE_SESSIONS_H

#include "base/error.h"
#include "memory/list.h"
#include "memory/table.h"
#include "session/journal.h"
#include "session/refs.h"
#include "session/registry.h"
#include "subscriptions/subscriptions.h"

#include <stdbool.h>

/* What sessions are owed of retained messages (route/retained_jobs.h). */
struct retained_jobs {
	struct pool jobs;             /* struct retained_job */
	struct pool queues;           /* struct retained_queue */
	struct table by_subscription; /* jobs by their subscription: there is one a subscription at most */
	struct table by_client;       /* queues */
	uint32_t ready_first;         /* queues that can go on, in turns */
	uint32_t ready_last;
};

/* ---- clients and sessions that are to end (state/ending.h, lifecycle/end.h) ---- */

enum ending_kind {
	ENDING_CONNECTION, /* of a client that was greeted */
	ENDING_GREETING,   /* of one that was not: it was never here */
	ENDING_SESSION,    /* without a connection */
	ENDING_WILL,       /* the will of a session without a connection is due; the session goes on */
};

struct ending {
	struct client_ref client; /* none: it was carried out before its turn */
	uint16_t generation;      /* of the place: told apart from whoever has it next */
	uint8_t kind;             /* enum ending_kind */
	uint8_t reason;           /* enum error */
};
_Static_assert(ERROR_COUNT <= UINT8_MAX, "an ending keeps its reason in 8 bits");

/* A queue in the order in which the reasons were found. */
struct endings {
	struct ending *items;
	uint32_t first; /* that is not carried out */
	uint32_t count; /* the end of the queue */
	uint32_t capacity;
};

/* While so many wait, what ends clients by the hundred (draining, timers, revocations) waits for the next turn. */
#define ENDINGS_MANY 1024u

static inline uint32_t endings_waiting(const struct endings *endings)
{
	return endings->count - endings->first;
}

static inline bool endings_are_many(const struct endings *endings)
{
	return endings_waiting(endings) >= ENDINGS_MANY;
}

struct filter_job;
struct session_cleanup;

struct shard_sessions {
	struct journal journal; /* what is told of all that follows, and of messages */
	struct registry registry;
	struct subscriptions subscriptions;
	struct region connected_at_s; /* by client, on the shard's clock: written when one comes, read for who asks */
	struct endings endings;       /* clients and sessions that are to end */
	struct client_list closing;   /* clients that have ended, whose sockets are closed after the flush */
	struct session_cleanup *cleanups; /* of sessions that came or went and are not through (lifecycle/cleanup.h) */
	struct session_cleanup **cleanups_end;
	struct filter_job *filter_jobs; /* SUBSCRIBE and UNSUBSCRIBE that are not done yet (client/subscribe.h) */
	struct filter_job **filter_jobs_end;
	size_t filter_jobs_bytes;
	struct retained_jobs retained_jobs;
};

#endif
