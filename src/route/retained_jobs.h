/* Retained messages for new subscriptions [3.3.1.3, 3.8.3.1]. Each session has a queue of jobs, one for each
 * subscription, in the order in which the client subscribed. The first job of a queue remembers how far its walk
 * through the retained messages has come, so neither messages nor filters are copied. A queue sends some messages in
 * each turn, and no faster than its client takes them. While the client takes nothing the queue waits, at no cost. It
 * also waits while a session that outlives its connection has none, and goes on with the next connection
 * [MQTT-3.3.1-9].
 *
 * A client gets what is retained at the time of sending. Owned by the shard's thread. */
#ifndef ROUTE_RETAINED_JOBS_H
#define ROUTE_RETAINED_JOBS_H

#include "session/refs.h"
#include "state/sessions.h"

struct arena;

struct shard;

/* arena: where its memory is, or NULL (memory/arena.h). clients, subscriptions: the most that there may be. */
enum error retained_jobs_open(struct retained_jobs *jobs, struct arena *arena, uint32_t clients,
			      uint32_t subscriptions);
/* Notes what lies beside its memory, for the program that adopts the arena (memory/arena.h). */
enum error retained_jobs_save(const struct retained_jobs *jobs, const struct arena *arena);
void retained_jobs_close(struct retained_jobs *jobs);

/* The client has made this subscription, or has repeated it: it gets the retained messages once more. Not for a shared
 * subscription, which gets none. A job ends with its subscription [MQTT-3.10.4-2]. ERROR_NO_MEMORY: the subscription
 * gets no retained messages, so the client must not be told that it succeeded. */
enum error retained_jobs_add(struct shard *shard, struct client_ref client, struct subscription_ref subscription);
/* How many walks are owed to the client's subscription. */
uint32_t retained_jobs_walks(const struct shard *shard, struct client_ref client, struct subscription_ref subscription);
/* The client has taken something, or has come back: its queue goes on if it can. */
void retained_jobs_wake(struct shard *shard, struct client_ref client);
/* The session is over: frees its jobs. False: the work was spent first; call again. */
bool retained_jobs_drop(struct shard *shard, struct client_ref client, uint64_t until);
/* Does a turn's work on the queues that can go on. */
void retained_jobs_run(struct shard *shard);

/* Whether a queue can go on now. */
static inline bool retained_jobs_ready(const struct retained_jobs *jobs)
{
	return jobs->ready_first != 0;
}

#endif
