/* Opens and closes the parts of a shard. By the main thread. */
#include "access/access.h"
#include "base/layout_root.h"
#include "client/keepalive.h"
#include "client/subscribe.h"
#include "deliver/bodies/bodies.h"
#include "deliver/congestion.h"
#include "deliver/origin/origin.h"
#include "deliver/resumed.h"
#include "lifecycle/cleanup.h"
#include "lifecycle/due/revoke.h"
#include "lifecycle/stored/promised.h"
#include "lifecycle/stored/retell.h"
#include "memory/notes.h"
#include "route/retained_jobs.h"
#include "route/retained_mail.h"
#include "route/route.h"
#include "route/routing.h"
#include "runtime/nodes/moves.h"
#include "runtime/nodes/node_mail.h"
#include "session/pending_acks.h"
#include "shard/admissions.h"
#include "shard/loop.h"
#include "shard/nodes/node_mails.h"
#include "state/ending.h"
#include "state/shard.h"

#include <stdlib.h>

LAYOUT_ROOT(client);
LAYOUT_ENUM(client_state);
LAYOUT_ENUM(client_pause);
LAYOUT_ENUM(error);
LAYOUT_ROOT(review);

/* Limit of a shard's slab: partial packets, backlogs, client ids, kept messages, extensions. */
#define SLAB_BYTES_MAX ((size_t)8 << 30)
#define CLIENTS_MAX (1u << 26)
#define SUBSCRIPTIONS_PER_CLIENT 16u
#define SUBSCRIPTIONS_MIN 1000000u
#define ACL_CACHE_SLOTS 8192u
/* Distinct sets of rules in clients' tokens. */
#define TOKEN_RULES_MAX 1000000u
#define TOKEN_RULES_BYTES_MAX ((size_t)1 << 30)
/* Messages in flight or queued, of all sessions of a shard. */
#define FLOW_ENTRIES_MAX 256000000u
_Static_assert((ACL_CACHE_SLOTS & (ACL_CACHE_SLOTS - 1)) == 0, "slots are found by the low bits of a hash");

static void on_blocked(void *context, struct conn *conn)
{
	struct shard *shard = context;
	const struct client *client = (const void *)((const uint8_t *)conn - offsetof(struct client, conn));
	keepalive_blocked(shard, shard_client_ref(shard, client));
}

/* A flush found the connection broken. It may be a flush in the middle of a delivery, so the end is only noted, as
 * every end is. A client in GREETING learns of it by an event later. */
static void on_broken(void *context, struct conn *conn)
{
	struct shard *shard = context;
	const struct client *client = (const void *)((const uint8_t *)conn - offsetof(struct client, conn));
	if (client_is_connected(client))
		client_end(shard, shard_client_ref(shard, client), ERROR_CONNECTION_LOST);
}

static uint32_t subscriptions_limit(uint32_t clients)
{
	uint64_t wanted = (uint64_t)clients * SUBSCRIPTIONS_PER_CLIENT;
	if (wanted < SUBSCRIPTIONS_MIN)
		wanted = SUBSCRIPTIONS_MIN;
	return wanted < UINT32_MAX / 2 ? (uint32_t)wanted : UINT32_MAX / 2;
}

/* A batch came back: its receiver has the messages now, or will have them once its commit is safe. */
static void on_returned(void *context, const struct batch *batch, const uint32_t *tickets)
{
	struct shard *shard = context;
	for (uint32_t i = 0; i < batch->ticket_count; i++)
		route_release_ticket(shard, tickets[i], batch->receiver, batch->commit);
}

void shard_take_settings(struct shard *shard)
{
	shard->sessions.subscriptions.client_max = shard->env.settings->client_subscriptions_max;
	shard->sessions.subscriptions.client_bytes_max = shard->env.settings->client_subscription_bytes_max;
}

#define REVIEW_NOTE "review"

static enum error shard_find_review(struct shard *shard)
{
	const struct arena *arena = shard->env.arena;
	struct review *review = &shard->guard.review;
	return !arena_is_adopted(arena) || arena_get_exact(arena, REVIEW_NOTE, review, sizeof(*review))
		       ? ERROR_OK
		       : ERROR_NOT_FOUND;
}

enum error shard_save_memory(const struct shard *shard)
{
	const struct arena *arena = shard->env.arena;
	enum error error = slab_save(&shard->mem.slab, arena);
	if (error == ERROR_OK)
		error = pool_save(&shard->mem.clients, arena);
	if (error == ERROR_OK)
		error = transports_save(&shard->mem.transports, arena);
	if (error == ERROR_OK)
		error = messages_save(&shard->mem.messages, arena);
	if (error == ERROR_OK)
		error = flow_store_save(&shard->mem.flows, arena);
	if (error == ERROR_OK)
		error = registry_save(&shard->sessions.registry, arena);
	if (error == ERROR_OK)
		error = subscriptions_save(&shard->sessions.subscriptions, arena);
	if (error == ERROR_OK)
		error = retained_jobs_save(&shard->sessions.retained_jobs, arena);
	if (error == ERROR_OK)
		error = pending_acks_save(&shard->routing.acks, arena);
	if (error == ERROR_OK)
		error = acl_pool_save(&shard->guard.token_rules, arena);
	if (error == ERROR_OK)
		error = arena_put(arena, REVIEW_NOTE, &shard->guard.review, sizeof(shard->guard.review));
	return error;
}

/* Receivers of records, and senders: shards, and in a cluster other nodes. */
static uint16_t shard_numbers(const struct shard *shard)
{
	return shard->env.nodes != NULL ? node_port_numbers(shard->env.nodes) : shard->env.shard_count;
}

enum error shard_open(struct shard *shard)
{
	CHECK_LT(shard->env.number, shard->env.shard_count);
	/* Clients that are closing still have their place for a while: hence 1024 more. */
	uint64_t places = (uint64_t)shard->env.quota->limit + shard->env.settings->sessions_offline_max + 1024;
	uint32_t clients = places < CLIENTS_MAX ? (uint32_t)places : CLIENTS_MAX;
	struct arena *arena = shard->env.arena;
	routings_init(&shard->routing.routings);
	shard->sessions.filter_jobs_end = &shard->sessions.filter_jobs;
	shard->sessions.cleanups_end = &shard->sessions.cleanups;
	shard->sessions.promised_end = &shard->sessions.promised;
	messages_init(&shard->mem.messages, &shard->mem.slab);
	bodies_init(&shard->mem.loads);
	shard->sessions.journal = (struct journal){.events = shard->env.journal_events,
						   .safety = shard->env.journal_safety,
						   .checkpoints = shard->env.journal_checkpoints,
						   .context = shard->env.journal_context};
	struct io_observer observer = {.blocked = on_blocked, .broken = on_broken, .context = shard};
	if (slab_open_in(&shard->mem.slab, arena, "slab", SLAB_BYTES_MAX) != ERROR_OK ||
	    pool_open_in(&shard->mem.clients, arena, "clients", sizeof(struct client), clients) != ERROR_OK ||
	    io_open(&shard->mem.io, &shard->mem.slab, observer) != ERROR_OK ||
	    transports_open(&shard->mem.transports, &shard->mem.io.streams, arena, clients) != ERROR_OK ||
	    registry_open(&shard->sessions.registry, arena, &shard->mem.clients, &shard->mem.slab, clients) !=
		    ERROR_OK ||
	    subscriptions_open(&shard->sessions.subscriptions, arena, shard->env.index, shard->env.number,
			       subscriptions_limit(clients)) != ERROR_OK ||
	    retained_jobs_open(&shard->sessions.retained_jobs, arena, clients, subscriptions_limit(clients)) !=
		    ERROR_OK ||
	    flow_store_open(&shard->mem.flows, arena, &shard->mem.messages, FLOW_ENTRIES_MAX) != ERROR_OK ||
	    acl_cache_open(&shard->guard.acl_cache, ACL_CACHE_SLOTS) != ERROR_OK ||
	    acl_pool_open(&shard->guard.token_rules, arena, TOKEN_RULES_MAX, TOKEN_RULES_BYTES_MAX) != ERROR_OK ||
	    access_sign_in_init(shard->env.access, &shard->guard.sign_in, false) != ERROR_OK ||
	    outbox_init(&shard->routing.outbox, shard->env.mailboxes, shard_numbers(shard), shard->env.number) !=
		    ERROR_OK ||
	    pending_acks_open(&shard->routing.acks, arena, clients) != ERROR_OK ||
	    commit_waits_open(&shard->routing.commits, &shard->sessions.journal, shard->env.shard_count,
			      shard->env.number) != ERROR_OK ||
	    region_open_in(&shard->sessions.connected_at_s, arena, "connected at",
			   ((size_t)clients + 1) * sizeof(uint32_t)) != ERROR_OK ||
	    messages_find(&shard->mem.messages, arena) != ERROR_OK || shard_find_review(shard) != ERROR_OK)
		return ERROR_NO_MEMORY;
	if (shard->env.fixed.sockets != 0 && io_fix_files(&shard->mem.io, &shard->env.fixed) != ERROR_OK)
		return ERROR_NO_MEMORY;
	if (shard->env.nodes != NULL)
		shard->sessions.moves = moves_new();
	if (retell_open(shard) != ERROR_OK || (shard->env.nodes != NULL && shard->sessions.moves == NULL))
		return ERROR_NO_MEMORY;
	outbox_share(&shard->routing.outbox, shard->env.shard_count);
	shard->routing.outbox.returned = on_returned;
	shard->routing.outbox.context = shard;
	shard->mem.messages.journal = shard->mem.flows.journal = shard->sessions.subscriptions.journal =
		&shard->sessions.journal;
	shard_take_settings(shard);
	commands_open(&shard->shared.commands);
	shard->routing.peer_routes = calloc(shard_numbers(shard), sizeof(*shard->routing.peer_routes));
	return shard->routing.peer_routes != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void shard_close(struct shard *shard)
{
	admissions_fini(shard);
	node_mails_drop(shard);
	free(shard->routing.mail.batch);
	bodies_fini(&shard->mem.loads);
	retained_jobs_close(&shard->sessions.retained_jobs);
	routings_fini(shard);
	retained_mails_drop(shard);
	filter_jobs_fini(shard);
	revoke_fini(&shard->guard.revoke);
	session_cleanups_fini(shard);
	promised_fini(shard);
	resumed_close(shard);
	retell_close(shard);
	outbox_fini(&shard->routing.outbox);
	pending_acks_close(&shard->routing.acks);
	commit_waits_close(&shard->routing.commits);
	client_list_fini(&shard->routing.acks_awaited);
	origins_fini(&shard->routing.origins);
	subscriptions_close(&shard->sessions.subscriptions);
	flow_store_close(&shard->mem.flows);
	acl_cache_close(&shard->guard.acl_cache);
	acl_pool_close(&shard->guard.token_rules);
	sign_in_fini(&shard->guard.sign_in);
	acl_put(&shard->guard.acl);
	registry_close(&shard->sessions.registry);
	transports_close(&shard->mem.transports);
	io_close(&shard->mem.io);
	pool_close(&shard->mem.clients);
	slab_close(&shard->mem.slab);
	region_close(&shard->sessions.connected_at_s);
	commands_close(&shard->shared.commands);
	routes_fini(&shard->routing.routes);
	client_list_fini(&shard->loop.ready);
	congestion_fini(&shard->routing.congestion);
	client_list_fini(&shard->sessions.closing);
	endings_fini(&shard->sessions.endings);
	free(shard->routing.peer_routes);
	moves_free(shard->sessions.moves);
	shard->sessions.moves = NULL;
}
