/* A shard: one thread, one poller, one descriptor table, and everything that its clients need. A client always lives on
 * the shard that its client id hashes to. This header holds the shard's state, in named parts. The folders deliver,
 * route, client, lifecycle and shard act on it. Other threads reach a shard only through its mailbox, its admissions
 * socket and `shared`. */
#ifndef STATE_SHARD_H
#define STATE_SHARD_H

#include "auth/rules/acl_cache.h"
#include "auth/rules/acl_pool.h"
#include "auth/sign_in.h"
#include "memory/pool.h"
#include "memory/slab.h"
#include "net/io.h"
#include "runtime/command.h"
#include "runtime/counters.h"
#include "runtime/quota.h"
#include "runtime/settings/settings.h"
#include "runtime/settings/settings_feed.h"
#include "session/flow.h"
#include "session/messages.h"
#include "session/refs.h"
#include "state/client.h"
#include "state/loop.h"
#include "state/routing.h"
#include "state/sessions.h"
#include "store/deadline.h"
#include "store/load.h"
#include "transport/transports.h"

struct arena;
struct mailbox;
struct congestion_board;
struct index;
struct retained;
struct addresses;
struct access;
struct message_source;
struct store_figures;
struct node_port;

/* What a shard may ask the store. context: the store. */
struct shard_store {
	bool (*is_full)(const void *context);   /* any thread */
	bool (*is_behind)(const void *context); /* any thread: full, and what was told fills its buffers or memory */
	void (*figures)(const void *context, struct store_figures *figures);
	const void *context;
};

/* What a shard is given before its thread starts. The shard only replaces `settings`. What the pointers lead to is
 * shared with other threads: it is immutable, or synchronizes itself. */
struct shard_environment {
	const struct settings *settings; /* the current snapshot (shared.settings_view) */
	struct mailbox *mailboxes;
	struct congestion_board *boards; /* of all shards, by number, and the nodes thread's */
	struct quota *quota;
	struct index *index;
	struct retained *retained;
	struct addresses *addresses;
	struct access *access;
	struct node_port
		*nodes; /* to the nodes thread (runtime/nodes/node_mail.h); NULL: the gateway is in no cluster */
	_Atomic bool
		*origin_takers; /* by shard, and behind them whether any does (deliver/origin/origin.h); NULL: none */
	_Atomic uint32_t *sessions_offline;  /* of the whole gateway */
	_Atomic uint32_t *checkpoints_begun; /* how often shards began to tell all again, of the whole gateway */
	void (*sum_counters)(const void *context, struct counters *sum); /* of all threads; NULL: no $SYS topics */
	const void *sum_context;
	const struct journal_events *journal_events; /* NULL: there is no journal */
	const struct journal_safety *journal_safety; /* NULL: what it is told is safe at once */
	void *journal_context;
	const struct journal_checkpoints *journal_checkpoints; /* NULL: nothing is ever told again */
	const struct message_source *message_source;           /* NULL: no packet leaves memory */
	void *message_source_context;
	struct arena *arena; /* of its clients, sessions and messages; NULL: their memory ends with the program */
	const int *keep_fds; /* descriptors that its private table keeps */
	size_t keep_count;
	int admissions_fd; /* the receiving end (reactor/fdpass.h) */
	uint16_t number;
	uint16_t shard_count;
	struct shard_store store; /* what the journal writes to; all NULL: nothing */
	struct fixed_plan fixed;  /* sockets that live in io_uring's file table (net/fixed_files.h) */
};

/* Packets of waiting messages that are read from the store (deliver/bodies/bodies.h). */
struct body_loads {
	struct store_load *answered; /* taken from the source and not dealt with yet: first in, first out */
	struct store_load **answered_end;
	uint32_t under_way;    /* loads, from the question until they are dealt with */
	uint64_t bytes;        /* of their packets */
	uint32_t starved_next; /* last client of a round over those that memory was short for; 0: there is no round */
	bool starved;          /* since that round began it was short for some */
	uint64_t starved_ms;   /* when it was last */
	uint32_t loss_log_next_s;
};

/* Where a shard's objects live. References and indices name them; no pointer to one outlives the call. By the shard's
 * thread. */
struct shard_memory {
	struct pool clients;
	struct slab slab; /* objects of variable length, or that exist only at times */
	struct io io;     /* scratch, and clients' pending output */
	struct transports transports;
	struct messages messages; /* that sessions keep */
	struct body_loads loads;
	struct flow_store flows; /* entries of all sessions' flows */
};

/* How many clients may wait for a review of their own. With more, all clients are reviewed. */
#define REVIEW_ASKED_MAX 64u

/* Subscriptions whose permission was withdrawn (client/review.h). */
struct review {
	struct client_ref asked[REVIEW_ASKED_MAX]; /* clients whose token now has other permissions */
	uint32_t asked_count;
	uint32_t next;            /* client of a round over all clients; 0: there is no round */
	bool again;               /* another round follows this one */
	struct client_ref client; /* whose subscriptions are being reviewed (subscriptions_review_next()); or none */
	uint32_t ended;           /* how many of its subscriptions were ended */
	uint32_t round_clients;   /* of this round: clients that lost some */
	uint64_t round_ended;     /* and how many subscriptions */
};

/* Revocations of live sessions (lifecycle/due/revoke.h). The set is open-addressed and at most half full. */
struct revoke {
	uint64_t *hashes; /* `slots` of them, on the heap while there are any; 0: a free slot */
	uint32_t slots;   /* a power of two; 0: no set */
	uint32_t count;   /* hashes in the set */
	uint32_t next;    /* client that the sweep looks at next; 0: the sweep has not begun */
};

/* A shard's access control: the current rules, cached decisions, and revocations that are still being carried out. By
 * the shard's thread. */
struct shard_guard {
	struct acl *acl; /* a reference to the rules of the rule file */
	struct acl_cache acl_cache;
	struct acl_pool token_rules;
	struct sign_in sign_in;  /* for AUTH */
	uint32_t access_version; /* of the snapshots that acl and sign_in hold */
	struct revoke revoke;
	struct review review;
};

/* How far the shard has come with an upgrade (shard/freeze/freeze.h). */
struct shard_freeze {
	_Atomic uint32_t halt; /* enum shard_halt: set by the main thread */
	_Atomic bool taken;    /* its descriptors: the same */
	/* Set by the shard's thread. */
	_Atomic bool prepared;
	_Atomic uint64_t immovable; /* sockets that could not be moved */
	_Atomic bool looked;
	_Atomic bool
		frozen; /* the thread waits for its descriptors to be taken; the field is main's again after that */
	_Atomic int32_t tid;
	bool arriving; /* the gates have handed over more than the turn took; its own, as is the next */
	bool leaves;   /* the last turn was taken */
	_Atomic(const char *) unquiet;
	_Atomic uint64_t activity;
	uint32_t next; /* client whose socket is moved next; its own */
	bool empties;  /* sockets leave the table; its own */
	bool returns;  /* they go back to it; its own */
	bool resumes;  /* between two threads: the next one goes on with what is there */
};

/* What other threads read or write. */
struct shard_shared {
	_Atomic uint32_t lag_ms;  /* loop.overload.lag_ms, for the gates */
	struct commands commands; /* from the admin side */
	struct settings_view settings_view;
	struct shard_freeze freeze;
	_Atomic bool draining; /* set by the main thread: end all clients, then the thread */
	_Atomic bool started;  /* set by the shard's thread, after `failed` */
	_Atomic bool failed;
	_Atomic uint64_t drain_until_ms;
};

struct shard {
	struct shard_environment env;
	struct shard_loop loop;
	struct shard_memory mem;
	struct shard_sessions sessions;
	struct shard_routing routing;
	struct shard_guard guard;
	struct counters counters; /* written by its thread alone, read by others */
	struct shard_shared shared;
};

static inline struct client *shard_client(const struct shard *shard, struct client_ref ref)
{
	return client_at(&shard->mem.clients, ref);
}

static inline struct client_ref shard_client_ref(const struct shard *shard, const struct client *client)
{
	size_t offset = (size_t)((const uint8_t *)client - shard->mem.clients.region.base);
	return (struct client_ref){(uint32_t)(offset / sizeof(*client))};
}

/* The shard of a client id with this hash. Uses the high half, since the registry uses the low half. */
static inline uint16_t shard_of_hash(uint64_t hash, uint16_t shard_count)
{
	return (uint16_t)((hash >> 32) * shard_count >> 32);
}

/* When the client connected, on the shard's clock; 0: unknown. */
static inline uint32_t shard_connected_at_s(const struct shard *shard, struct client_ref ref)
{
	const uint32_t *at_s = (const void *)shard->sessions.connected_at_s.base;
	size_t known = shard->sessions.connected_at_s.usable_bytes / sizeof(*at_s);
	return ref.index < known ? at_s[ref.index] : 0;
}

/* Notes that the client connected now. Without memory the time stays unknown; nothing else depends on it. */
static inline void shard_note_connected(struct shard *shard, struct client_ref ref)
{
	if (region_grow(&shard->sessions.connected_at_s, (ref.index + 1u) * sizeof(uint32_t)) == ERROR_OK)
		((uint32_t *)(void *)shard->sessions.connected_at_s.base)[ref.index] = shard->loop.now_s;
}

/* Nothing may be taken now that would have to be kept: the device is full or broken. Any thread. */
static inline bool shard_store_is_full(const struct shard *shard)
{
	return shard->env.store.is_full != NULL && shard->env.store.is_full(shard->env.store.context);
}

/* Even what is kept already must not be told anew: the store's buffers are full. Any thread. */
static inline bool shard_store_is_behind(const struct shard *shard)
{
	return shard->env.store.is_behind != NULL && shard->env.store.is_behind(shard->env.store.context);
}

/* Wall clock and shard's clock, as read when the turn began. Only where there is a journal. */
static inline struct deadline_clock shard_deadline_clock(const struct shard *shard)
{
	CHECK(journal_is_on(&shard->sessions.journal));
	return (struct deadline_clock){.wall_s = shard->sessions.journal.wall_s, .now_s = shard->loop.now_s};
}

/* Sets that clock, which never goes back. wall_s: the machine's, or that of the last batch that was stored. */
static inline void shard_deadline_clock_read(struct shard *shard, int64_t wall_s)
{
	shard->sessions.journal.wall_s = deadline_clock_read(&shard->loop.deadlines, wall_s, shard->loop.now_s);
}

/* When a message expires, on the wall clock, for the journal. expires_s: as in struct publication. */
static inline int64_t shard_message_deadline(const struct shard *shard, uint32_t expires_s)
{
	return expires_s != 0 ? deadline_to_wall(shard_deadline_clock(shard), expires_s) : DEADLINE_NEVER_S;
}

/* Converts seconds of the shard's clock to its milliseconds. */
static inline uint64_t shard_clock_ms(const struct shard *shard, uint32_t at_s)
{
	(void)shard;
	return (uint64_t)at_s * 1000;
}

#endif
