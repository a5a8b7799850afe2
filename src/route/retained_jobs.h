/* Retained messages for new subscriptions [3.3.1.3, 3.8.3.1]. What a session is owed of them is a queue of jobs, one a
 * subscription, in the order in which they were asked for: the first says how far its walk through the retained
 * messages has come, so that neither messages nor filters are copied. A queue goes on for some messages a turn, and no
 * faster than its client takes them. While the client takes nothing the queue waits, at no cost; so it does while a
 * session that is kept has no connection, and goes on with the next one [MQTT-3.3.1-9].
 *
 * What is sent is what is retained at the time of sending. Owned by the shard's thread. */
#ifndef ROUTE_RETAINED_JOBS_H
#define ROUTE_RETAINED_JOBS_H

#include "session/refs.h"
#include "state/sessions.h"

struct shard;

/* clients, subscriptions: as many as there may be. */
enum error retained_jobs_open(struct retained_jobs *jobs, uint32_t clients, uint32_t subscriptions);
void retained_jobs_close(struct retained_jobs *jobs);

/* The client's subscription is new, or was asked for again: then there is one walk more for it. Not for a shared
 * subscription, which gets none. Jobs end with their subscription [MQTT-3.10.4-2]. ERROR_NO_MEMORY: it gets no retained
 * message, so that its client cannot be told that all is well. */
enum error retained_jobs_add(struct shard *shard, struct client_ref client, struct subscription_ref subscription);
/* How many walks are owed to the client's subscription. */
uint32_t retained_jobs_walks(const struct shard *shard, struct client_ref client, struct subscription_ref subscription);
/* The client has taken something, or has come back: its queue goes on if it can. */
void retained_jobs_wake(struct shard *shard, struct client_ref client);
/* The session is over. False: the work was spent first, and there is more to free. */
bool retained_jobs_drop(struct shard *shard, struct client_ref client, uint64_t until);
/* Some steps of the queues that can go on. */
void retained_jobs_run(struct shard *shard);

/* Whether one can go on now. */
static inline bool retained_jobs_ready(const struct retained_jobs *jobs)
{
	return jobs->ready_first != 0;
}

#endif
