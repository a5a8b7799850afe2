/* A shard's sessions: their registry by client id, their subscriptions, and work on them that takes more than one turn
 * (ends, cleanups, filters, retained messages). By the shard's thread. */
#ifndef STATE_SESSIONS_H
#define STATE_SESSIONS_H

#include "base/error.h"
#include "memory/list.h"
#include "memory/table.h"
#include "session/journal.h"
#include "session/refs.h"
#include "session/registry.h"
#include "subscriptions/subscriptions.h"
#include "topics/retained.h"

#include <stdbool.h>

/* Retained messages that new subscriptions have not got yet (route/retained_jobs.h). */
struct retained_jobs {
	struct pool jobs;             /* struct retained_job */
	struct pool queues;           /* struct retained_queue */
	struct table by_subscription; /* jobs; at most one for each subscription */
	struct table by_client;       /* queues */
	uint32_t ready_first;         /* queues that can go on, which take turns */
	uint32_t ready_last;
};

/* ---- clients and sessions that are to end (state/ending.h, lifecycle/end.h) ---- */

enum ending_kind {
	ENDING_CONNECTION, /* of a client that has its CONNACK */
	ENDING_GREETING,   /* of a client that has none: no presence is published, and its will is dropped */
	ENDING_SESSION,    /* of an OFFLINE session */
	ENDING_WILL,       /* the will of an OFFLINE session is due; the session goes on */
};

struct ending {
	struct client_ref client; /* none: a take-over carried it out early */
	uint16_t generation;      /* of the client's place, which may belong to another client by now */
	uint8_t kind;             /* enum ending_kind */
	uint8_t reason;           /* enum error */
};
_Static_assert(ERROR_COUNT <= UINT8_MAX, "an ending keeps its reason in 8 bits");
_Static_assert(sizeof(struct ending) == 8, "a drain notes one for each of a million clients");

/* A queue, first in, first out: items[first] to items[count - 1] are not carried out yet. */
struct endings {
	struct ending *items;
	uint32_t first;
	uint32_t count;
	uint32_t capacity;
};

/* With this many in the queue, sources that end clients by the hundred (draining, timers, revocations) wait for the
 * next turn. */
#define ENDINGS_MANY 1024u

static inline uint32_t endings_waiting(const struct endings *endings)
{
	return endings->count - endings->first;
}

static inline bool endings_are_many(const struct endings *endings)
{
	return endings_waiting(endings) >= ENDINGS_MANY;
}

/* ---- checkpoints of the journal (lifecycle/stored/retell.h) ---- */

enum retell_stage {
	RETELL_IDLE,     /* -> TELLING */
	RETELL_TELLING,  /* sessions, and on shard 0 retained messages -> LEAVING */
	RETELL_LEAVING,  /* all is told; own messages older than that wait for their routing -> ARRIVING */
	RETELL_ARRIVING, /* these are on their way to other shards -> IDLE */
};

struct retell {
	uint32_t number; /* of the checkpoint that was begun last; 0: none yet */
	uint32_t next;   /* client to be told next, and the last one: later ones were told as they came */
	uint32_t last;
	struct retained_walk walk;
	uint8_t stage;          /* enum retell_stage */
	bool is_retained_told;  /* or it is not this shard's to tell */
	bool are_messages_told; /* of it; the rest is next_cleared's */
	uint32_t next_cleared;  /* retained_tell_cleared_step() */
	uint64_t own_until;     /* of routings.own_left */
	uint32_t *marks;        /* of the outbox, by shard */
	uint32_t begun;         /* checkpoints, since the start */
	bool has_run;           /* retell_run() has, before */
	bool all_begun;         /* so have all shards, as far as that matters */
};

struct moves;
struct resumed;
struct filter_job;
struct promised;
struct session_cleanup;

struct shard_sessions {
	struct journal journal; /* is told of changes to sessions, subscriptions and messages */
	struct registry registry;
	struct subscriptions subscriptions;
	struct region connected_at_s; /* by client, on the shard's clock: written at CONNECT, read by the admin side */
	struct endings endings;
	struct client_list closing;       /* clients that have ended; their sockets close after the flush */
	struct session_cleanup *cleanups; /* not finished yet (lifecycle/cleanup.h) */
	struct session_cleanup **cleanups_end;
	struct filter_job *filter_jobs; /* SUBSCRIBE and UNSUBSCRIBE packets not finished yet (client/subscribe.h) */
	struct filter_job **filter_jobs_end;
	size_t filter_jobs_bytes;
	struct retained_jobs retained_jobs;
	struct retell retell;
	struct promised *promised; /* of an earlier process, to be passed on (lifecycle/stored/promised.h) */
	struct promised **promised_end;
	struct moves *moves;     /* to and from other nodes (runtime/nodes/moves.h); NULL: there are no other nodes */
	struct resumed *resumed; /* of publishers' sessions, from before a restart (deliver/resumed.h); NULL: none */
};

#endif
