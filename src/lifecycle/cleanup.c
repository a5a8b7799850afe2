#include "lifecycle/cleanup.h"

#include "deliver/queue.h"
#include "route/retained_jobs.h"
#include "route/routing.h"
#include "state/client_state.h"
#include "state/extension.h"
#include "state/principal.h"
#include "state/release.h"
#include "state/shard.h"

#include <stdlib.h>

/* Work between two checks of the share. */
#define SUBSCRIPTIONS_PER_STEP 32u
#define ENTRIES_PER_STEP 64u
/* Price of a subscription that ends or becomes live: it takes the index's lock and misses the cache. A filter with
 * wildcards may remove a hundred nodes of the trie; this file cannot know that. */
#define SUBSCRIPTION_UNITS 16u
/* How many skipped entries of a queue cost one unit. */
#define PASSED_PER_UNIT 16u

struct session_cleanup {
	struct session_cleanup *next;
	struct client_ref client;
	struct subscription_ref cursor; /* of subscriptions_set_live_some() */
	uint32_t stay;                  /* entries seen that stay, because no other member is connected */
	bool live;                      /* what its shared subscriptions are set to */
	bool is_told;                   /* all of them are set */
	bool is_handed_on;              /* all of its entries were seen */
};

/* Connected, or about to be. */
static bool is_live(const struct client *client)
{
	return client->state == CLIENT_GREETING || client_is_connected(client);
}

static struct session_cleanup cleanup_of(struct client_ref ref, bool live)
{
	return (struct session_cleanup){.client = ref, .live = live, .is_handed_on = live};
}

/* Hands entries on to other members. An entry without another member stays with the session. Looks at one entry at
 * least. Each call starts the walk again, because entries may disappear between turns. False: there is more. */
static bool cleanup_hand_on(struct shard *shard, const struct client *client, struct session_cleanup *cleanup,
			    struct flow *flow, uint64_t until)
{
	struct flow_walk walk = {0};
	const struct flow_entry *entry;
	turn_work_charge(&shard->loop.work, ((uint64_t)flow->inflight + flow->queued) / PASSED_PER_UNIT);
	for (uint32_t stay = 0; (entry = flow_next_shared(flow, &shard->mem.flows, &walk)) != NULL;) {
		if (stay++ < cleanup->stay)
			continue;
		turn_work_charge(&shard->loop.work, SUBSCRIPTION_UNITS);
		route_bits route = 0;
		if (queue_subscription(shard, client, entry) != NULL)
			route = subscriptions_other_member(&shard->sessions.subscriptions, entry->subscription,
							   &shard->routing.routes);
		if (route == 0) {
			cleanup->stay++;
		} else {
			stay--;
			COUNT(&shard->counters, messages_handed_on);
			routing_hand_on(shard, flow_take_shared(flow, &shard->mem.flows, &walk), route);
		}
		if (turn_work_is_spent(&shard->loop.work, until))
			return false;
	}
	return true;
}

/* Sets the shared subscriptions live or not, then hands on what came through them [4.8.2]. False: there is more. */
static bool do_shared(struct shard *shard, struct client *client, struct session_cleanup *cleanup, uint64_t until)
{
	bool live = is_live(client);
	if (cleanup->live != live || client->session.moved) {
		client->session.moved = 0;
		*cleanup = cleanup_of(cleanup->client, live);
	}
	while (!cleanup->is_told) {
		if (turn_work_is_spent(&shard->loop.work, until))
			return false;
		cleanup->is_told = !subscriptions_set_live_some(&shard->sessions.subscriptions, &client->session, live,
								&cleanup->cursor, SUBSCRIPTIONS_PER_STEP);
		turn_work_charge(&shard->loop.work, SUBSCRIPTIONS_PER_STEP * SUBSCRIPTION_UNITS);
	}
	struct extension *extension = extension_of(shard, client);
	if (cleanup->is_handed_on || extension == NULL)
		return true;
	cleanup->is_handed_on = cleanup_hand_on(shard, client, cleanup, &extension->flow, until);
	return cleanup->is_handed_on;
}

/* False: there is more. */
static bool free_session(struct shard *shard, struct client *client, uint64_t until)
{
	struct session *session = &client->session;
	CHECK(session->id == 0 && !is_live(client));
	struct extension *extension = extension_of(shard, client);
	if (!retained_jobs_drop(shard, shard_client_ref(shard, client), until))
		return false;
	while (!subscription_ref_is_none(session->subscription)) {
		if (turn_work_is_spent(&shard->loop.work, until))
			return false;
		uint32_t count = session->subscription_count;
		subscriptions_clear(&shard->sessions.subscriptions, session, SUBSCRIPTIONS_PER_STEP);
		turn_work_charge(&shard->loop.work,
				 (uint64_t)(count - session->subscription_count) * SUBSCRIPTION_UNITS);
	}
	while (extension != NULL && extension->flow.last != 0) {
		if (turn_work_is_spent(&shard->loop.work, until))
			return false;
		uint32_t count = flow_clear(&extension->flow, &shard->mem.flows, ENTRIES_PER_STEP);
		turn_work_charge(&shard->loop.work, (uint64_t)count * WORK_ENTRY);
		counter_add(&shard->counters.values[COUNTER_messages_dropped_session], count);
	}
	extension_drop(shard, client);
	principal_drop(shard, client);
	return true;
}

static bool cleanup_go_on(struct shard *shard, struct session_cleanup *cleanup, uint64_t until)
{
	struct client *client = shard_client(shard, cleanup->client);
	if (client->session.has_shared && !do_shared(shard, client, cleanup, until))
		return false;
	return client->session.id != 0 || free_session(shard, client, until);
}

/* Works within what is left of the turn's share for ends. */
static bool go_on_within_share(struct shard *shard, struct session_cleanup *cleanup)
{
	uint64_t before = shard->loop.work.spent;
	if (shard->loop.work.ends >= WORK_SHARE_ENDS)
		return false;
	bool done = cleanup_go_on(shard, cleanup, shard->loop.work.spent + WORK_SHARE_ENDS - shard->loop.work.ends);
	shard->loop.work.ends += shard->loop.work.spent - before;
	return done;
}

static void cleanup_file(struct shard *shard, struct session_cleanup *cleanup)
{
	cleanup->next = NULL;
	*shard->sessions.cleanups_end = cleanup;
	shard->sessions.cleanups_end = &cleanup->next;
}

bool session_cleanup(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	if (client->session.cleaning) {
		client->session.moved = 1; /* the cleanup starts again */
		return false;
	}
	struct session_cleanup cleanup = cleanup_of(ref, is_live(client));
	if (go_on_within_share(shard, &cleanup))
		return true;
	struct session_cleanup *left = malloc(sizeof(*left));
	if (left == NULL) {
		cleanup_go_on(shard, &cleanup, UINT64_MAX);
		return true;
	}
	*left = cleanup;
	client->session.cleaning = 1;
	client->session.moved = 0;
	cleanup_file(shard, left);
	return false;
}

void session_give_place(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	CHECK(client->session.id == 0 && !client->session.cleaning && !client->session.journaled);
	client->conn.generation++; /* endings noted for this client do not concern the next one */
	client_set_state(shard, client, CLIENT_FREE);
	client_give(&shard->mem.clients, ref);
}

static struct session_cleanup *cleanup_take_first(struct shard *shard)
{
	struct session_cleanup *cleanup = shard->sessions.cleanups;
	CHECK(shard_client(shard, cleanup->client)->session.cleaning);
	shard->sessions.cleanups = cleanup->next;
	if (cleanup->next == NULL)
		shard->sessions.cleanups_end = &shard->sessions.cleanups;
	return cleanup;
}

void session_cleanups_run(struct shard *shard)
{
	while (shard->sessions.cleanups != NULL && shard->loop.work.ends < WORK_SHARE_ENDS) {
		struct session_cleanup *cleanup = cleanup_take_first(shard);
		struct client_ref ref = cleanup->client;
		shard->loop.work.ends += WORK_NODE;
		turn_work_step_begin(&shard->loop.work);
		bool done = go_on_within_share(shard, cleanup);
		turn_work_step_end(&shard->loop.work, &shard->counters);
		if (!done) {
			cleanup_file(shard, cleanup);
			continue;
		}
		free(cleanup);
		shard_client(shard, ref)->session.cleaning = 0;
		if (shard_client(shard, ref)->session.id == 0)
			session_give_place(shard, ref);
	}
}

void session_cleanups_fini(struct shard *shard)
{
	while (shard->sessions.cleanups != NULL)
		free(cleanup_take_first(shard));
}
