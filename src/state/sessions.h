/* A shard's sessions: found by client id, their subscriptions, and what is under way about them: those that end, the
 * filters and retained messages that more than one turn goes by for. By the shard's thread. */
#ifndef STATE_SESSIONS_H
#define STATE_SESSIONS_H

#include "memory/list.h"
#include "memory/table.h"
#include "session/registry.h"
#include "session/subscriptions.h"

/* What sessions are owed of retained messages (route/retained_jobs.h). */
struct retained_jobs {
	struct pool jobs;             /* struct retained_job */
	struct pool queues;           /* struct retained_queue */
	struct table by_subscription; /* jobs by their subscription: there is one a subscription at most */
	struct table by_client;       /* queues */
	uint32_t ready_first;         /* queues that can go on, in turns */
	uint32_t ready_last;
};

struct filter_job;
struct session_cleanup;

struct shard_sessions {
	struct registry registry;
	struct subscriptions subscriptions;
	struct region connected_at_s; /* by client, on the shard's clock: written when one comes, read for who asks */
	struct list broken;           /* clients whose write failed */
	struct list closing;          /* clients to be freed at the end of the turn */
	struct session_cleanup *cleanups; /* of sessions that came or went and are not through (lifecycle/cleanup.h) */
	struct session_cleanup **cleanups_end;
	struct filter_job *filter_jobs; /* SUBSCRIBE and UNSUBSCRIBE that are not done yet (client/subscribe.h) */
	struct filter_job **filter_jobs_end;
	size_t filter_jobs_bytes;
	struct retained_jobs retained_jobs;
};

#endif
