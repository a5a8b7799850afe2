/* A shard: one thread, one poller, one descriptor table, and all that its clients need. A client lives on the shard
 * that its id hashes to, always. This is its state, in parts that each have a header; what is done with it is in route,
 * client, lifecycle and shard/loop.h. Other threads reach a shard only through its mailbox, its admissions socket and
 * `shared`. */
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
#include "runtime/deadline.h"
#include "runtime/quota.h"
#include "runtime/settings.h"
#include "runtime/settings_feed.h"
#include "session/flow.h"
#include "session/messages.h"
#include "session/refs.h"
#include "state/client.h"
#include "state/loop.h"
#include "state/routing.h"
#include "state/sessions.h"

struct arena;
struct mailbox;
struct congestion_board;
struct index;
struct retained;
struct addresses;
struct access;

/* What a shard is given before its thread starts and never changes itself. What is behind the pointers is shared with
 * other threads: it is immutable, or takes care of itself. */
struct shard_environment {
	const struct settings *settings; /* the snapshot that it has taken up last (shared.settings_view) */
	struct mailbox *mailboxes;
	struct congestion_board *boards; /* of all shards, by number */
	struct quota *quota;
	struct index *index;
	struct retained *retained;
	struct addresses *addresses;
	struct access *access;
	_Atomic uint32_t *sessions_offline;                              /* of the whole gateway */
	void (*sum_counters)(const void *context, struct counters *sum); /* of all threads; NULL: not told about */
	const void *sum_context;
	const struct journal_events *journal_events; /* NULL: nothing of its sessions is kept elsewhere */
	void *journal_context;
	struct arena *arena; /* of its clients, sessions and messages; NULL: their memory ends with the program */
	const int *keep_fds; /* what its descriptor table keeps */
	size_t keep_count;
	int admissions_fd; /* the receiving end (reactor/fdpass.h) */
	uint16_t number;
	uint16_t shard_count;
	struct fixed_plan fixed; /* sockets that its table does not hold */
};

/* Where a shard's objects are: all of them are found by an index or a reference, none by a pointer that outlives the
 * call. By the shard's thread. */
struct shard_memory {
	struct pool clients;
	struct slab slab;         /* what varies in length, or exists only at times */
	struct io io;             /* scratch, and output that waits */
	struct messages messages; /* kept by sessions */
	struct flow_store flows;  /* which session keeps which */
};

/* Rights that were taken (client/review.h). */
/* Clients that wait to be looked at alone; beyond that everyone is. */
#define REVIEW_ASKED_MAX 64u

struct review {
	struct client_ref asked[REVIEW_ASKED_MAX]; /* clients whose token allows something else than before */
	uint32_t asked_count;
	uint32_t next;            /* of a round over all clients, 0: there is none */
	bool again;               /* and one more round behind it */
	struct client_ref client; /* whose subscriptions are looked at (subscriptions_review_next()), 0: nobody's */
	uint32_t ended;           /* of them so far */
};

/* Revocations of live sessions (lifecycle/revoke.h). */
struct revoke {
	uint64_t *hashes; /* on the heap while there are some: slots, of which half are free (0) */
	uint32_t slots;   /* a power of two, 0: none */
	uint32_t count;   /* hashes in them */
	uint32_t next;    /* client that the sweep looks at next; 0: it has not begun */
};

/* What a shard knows of who may do what: the rules as they are now, decisions by them, and what was taken away and is
 * not carried out everywhere yet. By the shard's thread. */
struct shard_guard {
	struct acl *acl; /* a reference to the rule file's rules */
	struct acl_cache acl_cache;
	struct acl_pool token_rules;
	struct sign_in sign_in;  /* for AUTH */
	uint32_t access_version; /* of the snapshots above */
	struct revoke revoke;
	struct review review;
};

/* What other threads read or write. */
struct shard_shared {
	_Atomic uint32_t lag_ms;  /* of overload, for the gates */
	struct commands commands; /* of the admin side */
	struct settings_view settings_view;
	_Atomic bool draining; /* set by the main thread: end everyone, then the thread ends */
	_Atomic bool started;
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

/* The shard that a client id with this hash lives on. The high half decides: the registry uses the low one. */
static inline uint16_t shard_of_hash(uint64_t hash, uint16_t shard_count)
{
	return (uint16_t)((hash >> 32) * shard_count >> 32);
}

/* When the client's connection came, on the shard's clock; 0: it is not known. */
static inline uint32_t shard_connected_at_s(const struct shard *shard, struct client_ref ref)
{
	const uint32_t *at_s = (const void *)shard->sessions.connected_at_s.base;
	size_t known = shard->sessions.connected_at_s.usable_bytes / sizeof(*at_s);
	return ref.index < known ? at_s[ref.index] : 0;
}

/* Notes that it came now. Without memory it is not known, that is all. */
static inline void shard_note_connected(struct shard *shard, struct client_ref ref)
{
	if (region_grow(&shard->sessions.connected_at_s, (ref.index + 1u) * sizeof(uint32_t)) == ERROR_OK)
		((uint32_t *)(void *)shard->sessions.connected_at_s.base)[ref.index] = shard->loop.now_s;
}

/* Both clocks, as the turn began. Only where there is a journal. */
static inline struct deadline_clock shard_deadline_clock(const struct shard *shard)
{
	CHECK(journal_is_on(&shard->sessions.journal));
	return (struct deadline_clock){.wall_s = shard->sessions.journal.wall_s, .now_s = shard->loop.now_s};
}

/* When a message expires, as the journal is told; expires_s: as in struct publication. */
static inline int64_t shard_message_deadline(const struct shard *shard, uint32_t expires_s)
{
	return expires_s != 0 ? deadline_to_wall(shard_deadline_clock(shard), expires_s) : DEADLINE_NEVER_S;
}

/* A second of the shard's clock in milliseconds of it. */
static inline uint64_t shard_clock_ms(const struct shard *shard, uint32_t at_s)
{
	(void)shard;
	return (uint64_t)at_s * 1000;
}

#endif
