/* A shard: one thread, one poller, one descriptor table, and all that its clients need. A client lives on the shard
 * that its id hashes to, always. Other threads reach a shard only through its mailbox and its admissions socket. */
#ifndef GATEWAY_SHARD_H
#define GATEWAY_SHARD_H

#include "auth/rules/acl_cache.h"
#include "auth/rules/acl_pool.h"
#include "base/list.h"
#include "gateway/access.h"
#include "gateway/client.h"
#include "gateway/command.h"
#include "gateway/congestion.h"
#include "gateway/counters.h"
#include "gateway/extras.h"
#include "gateway/overload.h"
#include "gateway/pulse.h"
#include "gateway/retained_jobs.h"
#include "gateway/review.h"
#include "gateway/revoke.h"
#include "gateway/routing.h"
#include "gateway/seats.h"
#include "gateway/settings_feed.h"
#include "gateway/turn_work.h"
#include "net/fdpass.h"
#include "net/fdtable.h"
#include "net/inbox.h"
#include "net/poller.h"
#include "session/flow.h"
#include "session/registry.h"
#include "session/retained.h"
#include "session/subscriptions.h"

#include <pthread.h>

/* A parcel that is being delivered, and how far. A walk over many subscribers may take several turns. */
struct mail {
	struct parcel *parcel;
	uint32_t offset; /* of the letter */
	uint32_t route;  /* of the letter's routes, the next to walk */
	uint32_t kept;   /* the letter's message in shard->messages, 0: no session needed it so far */
	bool walking;    /* in the middle of a route */
};

/* A batch of clients that the gates have let in, and how far it is taken. */
struct arrivals {
	int fds[FDPASS_BATCH_MAX];
	struct admission *admissions[FDPASS_BATCH_MAX];
	size_t fd_count; /* fewer than admissions where sockets were lost on their way */
	uint32_t count;
	uint32_t next;
};

struct filter_job;
struct session_cleanup;
struct gateway;

struct shard {
	/* Set before the thread starts. */
	const struct settings *settings;
	struct mailbox *mailboxes;
	struct congestion_board *boards; /* of all shards, by number */
	struct seats *seats;
	struct index *index;
	struct retained *retained;
	struct addresses *addresses;
	struct access *access;
	_Atomic uint32_t *sessions_offline;                              /* of the whole gateway */
	void (*sum_counters)(const void *context, struct counters *sum); /* of all threads; NULL: not told about */
	const void *sum_context;
	const int *keep_fds; /* what its descriptor table keeps */
	size_t keep_count;
	int admissions_fd; /* the receiving end (net/fdpass.h) */
	uint16_t number;
	uint16_t shard_count;
	struct fixed_plan fixed; /* sockets that its table does not hold */

	/* Its own. */
	pthread_t thread;
	struct poller poller;
	struct post post;
	struct io io;
	struct slab slab;
	struct pool clients;
	struct wheel wheel;
	struct registry registry;
	struct subscriptions subscriptions;
	struct routes routes;
	struct acl *acl; /* rules as they are now, and decisions by them */
	struct acl_cache acl_cache;
	struct acl_pool token_rules;
	struct sign_in sign_in; /* for AUTH */
	uint32_t access_version;
	struct revoke revoke;
	struct review review;
	struct messages messages;
	struct flow_store flows;
	struct arrivals arrivals;
	struct mail mail;
	struct routings routings;
	struct filter_job *filter_jobs; /* SUBSCRIBE and UNSUBSCRIBE that are not done yet (client_subscribe.h) */
	struct filter_job **filter_jobs_end;
	size_t filter_jobs_bytes;
	struct session_cleanup *cleanups; /* of sessions that came or went and are not through */
	struct session_cleanup **cleanups_end;
	struct retained_jobs retained_jobs;
	struct list ready;           /* clients with more to read */
	uint32_t round_left;         /* the first of them that came to wait when the others did; 0: there is no round */
	uint64_t round_began_ms;     /* when those came to wait, at the earliest */
	struct list broken;          /* clients whose write failed */
	struct list closing;         /* clients to be freed at the end of the turn */
	struct parcel *read_parcels; /* delivered in this turn, to be returned after the flush */
	uint32_t *lane_routes;       /* a message's routes, counted by shard */
	struct region connected_at_s; /* by client, on the shard's clock: written when one comes, read for who asks */
	struct pulse pulse;
	struct turn_work work;
	uint64_t now_ms;
	uint32_t now_s; /* the same: the clock of sessions, wills and messages */
	uint32_t started_s;
	struct congestion congestion;
	uint32_t loss_log_next_s; /* when it may be logged again that a client loses messages */
	uint32_t sys_next_s;      /* when the $SYS topics are due again */
	uint32_t drain_next;      /* client that draining looks at next */
	bool drain_waits;         /* the last round found only clients whose output waits */
	struct counters counters;
	enum fdtable_kind table;
	clockid_t cpu_clock; /* what its thread has used; set before it says that it has started */

	struct overload overload;
	uint64_t slept_from_ms; /* before this turn; 0: it did not sleep */
	uint64_t ran_ns;        /* what its thread had run for at ran_at_ms */
	uint64_t ran_at_ms;

	/* Shared. */
	_Atomic uint32_t lag_ms;  /* of overload, for the gates */
	struct commands commands; /* of the admin side */
	struct settings_view settings_view;
	_Atomic bool draining; /* set by the main thread: end everyone, then the thread ends */
	_Atomic bool started;
	_Atomic bool failed;
	_Atomic uint64_t drain_until_ms;
};

/* Everything but the thread; called by the main thread. */
enum error shard_open(struct shard *shard);
void shard_close(struct shard *shard);
enum error shard_start(struct shard *shard);
/* Ends the thread: drains the clients until drain_until_ms. Does not wait for it. */
void shard_stop(struct shard *shard, uint64_t drain_until_ms);

static inline struct client *shard_client(const struct shard *shard, uint32_t index)
{
	return pool_at(&shard->clients, index);
}

/* The shard that a client id with this hash lives on. The high half decides: the registry uses the low one. */
static inline uint16_t shard_of_hash(uint64_t hash, uint16_t shard_count)
{
	return (uint16_t)((hash >> 32) * shard_count >> 32);
}

/* When the client's connection came, on the shard's clock; 0: it is not known. */
static inline uint32_t shard_connected_at_s(const struct shard *shard, uint32_t index)
{
	const uint32_t *at_s = (const void *)shard->connected_at_s.base;
	return (index + 1u) * sizeof(*at_s) <= shard->connected_at_s.usable_bytes ? at_s[index] : 0;
}

/* Notes that it came now. Without memory it is not known, that is all. */
static inline void shard_note_connected(struct shard *shard, uint32_t index)
{
	if (region_grow(&shard->connected_at_s, (index + 1u) * sizeof(uint32_t)) == ERROR_OK)
		((uint32_t *)(void *)shard->connected_at_s.base)[index] = shard->now_s;
}

/* A second of the shard's clock in milliseconds of it. */
static inline uint64_t shard_clock_ms(const struct shard *shard, uint32_t at_s)
{
	(void)shard;
	return (uint64_t)at_s * 1000;
}

static inline uint32_t shard_client_index(const struct shard *shard, const struct client *client)
{
	return (uint32_t)((size_t)((const uint8_t *)client - shard->clients.region.base) / sizeof(*client));
}

#endif
