/* Opens and closes the parts of a shard. By the main thread. */
#include "access/access.h"
#include "client/keepalive.h"
#include "client/subscribe.h"
#include "deliver/congestion.h"
#include "lifecycle/cleanup.h"
#include "lifecycle/revoke.h"
#include "route/retained_jobs.h"
#include "route/routing.h"
#include "session/pending_acks.h"
#include "shard/admissions.h"
#include "shard/loop.h"
#include "state/ending.h"
#include "state/shard.h"

#include <stdlib.h>

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
	/* A client over its rate is visited soon: only reading it again tells how long its pause lasts. */
	uint64_t wait_ms = client->pause == PAUSE_RATE ? 1 : shard->env.settings->stuck_timeout_ms;
	keepalive_hurry(shard, shard_client_ref(shard, client), shard->loop.now_ms + wait_ms);
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

/* Batches came back: their receivers have the messages now. */
static void on_returned(void *context, const uint32_t *tickets, uint32_t count)
{
	struct shard *shard = context;
	for (uint32_t i = 0; i < count; i++)
		pending_acks_is_safe(&shard->routing.acks, tickets[i]);
}

void shard_take_settings(struct shard *shard)
{
	shard->sessions.subscriptions.client_max = shard->env.settings->client_subscriptions_max;
	shard->sessions.subscriptions.client_bytes_max = shard->env.settings->client_subscription_bytes_max;
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
	messages_init(&shard->mem.messages, &shard->mem.slab);
	shard->sessions.journal =
		(struct journal){.events = shard->env.journal_events, .context = shard->env.journal_context};
	struct io_observer observer = {.blocked = on_blocked, .broken = on_broken, .context = shard};
	if (slab_open_in(&shard->mem.slab, arena, "slab", SLAB_BYTES_MAX) != ERROR_OK ||
	    pool_open_in(&shard->mem.clients, arena, "clients", sizeof(struct client), clients) != ERROR_OK ||
	    io_open(&shard->mem.io, &shard->mem.slab, observer) != ERROR_OK ||
	    registry_open(&shard->sessions.registry, arena, &shard->mem.clients, &shard->mem.slab, clients) !=
		    ERROR_OK ||
	    subscriptions_open(&shard->sessions.subscriptions, arena, shard->env.index, shard->env.number,
			       subscriptions_limit(clients)) != ERROR_OK ||
	    retained_jobs_open(&shard->sessions.retained_jobs, arena, clients, subscriptions_limit(clients)) !=
		    ERROR_OK ||
	    flow_store_open(&shard->mem.flows, arena, &shard->mem.messages, FLOW_ENTRIES_MAX) != ERROR_OK ||
	    acl_cache_open(&shard->guard.acl_cache, ACL_CACHE_SLOTS) != ERROR_OK ||
	    acl_pool_open(&shard->guard.token_rules, TOKEN_RULES_MAX, TOKEN_RULES_BYTES_MAX) != ERROR_OK ||
	    access_sign_in_init(shard->env.access, &shard->guard.sign_in, false) != ERROR_OK ||
	    outbox_init(&shard->routing.outbox, shard->env.mailboxes, shard->env.shard_count, shard->env.number) !=
		    ERROR_OK ||
	    pending_acks_open(&shard->routing.acks, arena, clients) != ERROR_OK ||
	    region_open_in(&shard->sessions.connected_at_s, arena, "connected at",
			   ((size_t)clients + 1) * sizeof(uint32_t)) != ERROR_OK)
		return ERROR_NO_MEMORY;
	if (shard->env.fixed.sockets != 0 && io_fix_files(&shard->mem.io, &shard->env.fixed) != ERROR_OK)
		return ERROR_NO_MEMORY;
	shard->routing.outbox.returned = on_returned;
	shard->routing.outbox.context = shard;
	shard->mem.messages.journal = shard->mem.flows.journal = shard->sessions.subscriptions.journal =
		&shard->sessions.journal;
	shard_take_settings(shard);
	commands_open(&shard->shared.commands);
	shard->routing.peer_routes = calloc(shard->env.shard_count, sizeof(*shard->routing.peer_routes));
	return shard->routing.peer_routes != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void shard_close(struct shard *shard)
{
	admissions_fini(shard);
	free(shard->routing.mail.batch);
	retained_jobs_close(&shard->sessions.retained_jobs);
	routings_fini(shard);
	filter_jobs_fini(shard);
	revoke_fini(&shard->guard.revoke);
	session_cleanups_fini(shard);
	outbox_fini(&shard->routing.outbox);
	pending_acks_close(&shard->routing.acks);
	client_list_fini(&shard->routing.acks_awaited);
	subscriptions_close(&shard->sessions.subscriptions);
	flow_store_close(&shard->mem.flows);
	acl_cache_close(&shard->guard.acl_cache);
	acl_pool_close(&shard->guard.token_rules);
	sign_in_fini(&shard->guard.sign_in);
	acl_put(&shard->guard.acl);
	registry_close(&shard->sessions.registry);
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
}
