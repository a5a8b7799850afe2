#include "client/keepalive.h"

#include "net/health.h"
#include "state/client_state.h"
#include "state/ending.h"
#include "state/principal.h"
#include "state/shard.h"

/* Silence in milliseconds, for each second of the keepalive. */
#define QUIET_MS_PER_SECOND 1200u
#define CLOSED_MS_PER_SECOND 1500u
_Static_assert(1000 < QUIET_MS_PER_SECOND && QUIET_MS_PER_SECOND < CLOSED_MS_PER_SECOND,
	       "a client is QUIET after its keepalive, and before it is closed");
_Static_assert(CLIENT_ACTIVE < CLIENT_QUIET && CLIENT_QUIET < CLIENT_SUSPECT, "grade() compares states");

/* The latest time at which the last packet can have come: only its tick is known. */
static uint64_t seen_ms(const struct client *client)
{
	return ((uint64_t)client->seen_tick + 1) * WHEEL_TICK_MS;
}

static uint64_t closed_ms(const struct client *client)
{
	if (client->keepalive_s == 0)
		return WHEEL_NEVER;
	return seen_ms(client) + (uint64_t)client->keepalive_s * CLOSED_MS_PER_SECOND;
}

static uint64_t quiet_ms(const struct client *client)
{
	return seen_ms(client) + (uint64_t)client->keepalive_s * QUIET_MS_PER_SECOND;
}

static uint64_t suspect_ms(const struct shard *shard, const struct client *client)
{
	uint64_t grace_ms = shard->env.settings->grace_ms;
	/* The grace may be longer than the time between the two, or than the clock's age. */
	return closed_ms(client) > quiet_ms(client) + grace_ms ? closed_ms(client) - grace_ms : quiet_ms(client);
}

/* When the credentials that the client signed in with expire. */
static uint64_t expires_ms(const struct shard *shard, const struct client *client)
{
	const struct principal *principal = principal_of(shard, client);
	if (principal == NULL || principal->expires_s == PRINCIPAL_NEVER_S)
		return WHEEL_NEVER;
	return shard_clock_ms(shard, principal->expires_s);
}

/* When its grade may change next. */
static uint64_t next_grade_ms(const struct shard *shard, const struct client *client)
{
	uint32_t probe_s = shard->env.settings->idle_probe_s;
	if (client->keepalive_s == 0 && probe_s == 0)
		return WHEEL_NEVER;
	if (client->keepalive_s == 0)
		return shard->loop.now_ms +
		       (client->state == CLIENT_SUSPECT ? shard->env.settings->grace_ms : probe_s * 1000u);
	switch (client->state) {
	case CLIENT_SUSPECT:
		return closed_ms(client);
	case CLIENT_QUIET:
		return suspect_ms(shard, client);
	default:
		return quiet_ms(client);
	}
}

/* When a client whose output makes no progress is ended. One of Roost's own may wait for another server, and long. */
static uint64_t stuck_ms(const struct shard *shard, const struct client *client)
{
	if (client->conn.backlog == 0 || io_held(&shard->mem.io, &client->conn) != 0 || client_is_internal(client))
		return WHEEL_NEVER;
	return io_stalled_since_ms(&shard->mem.io, &client->conn) + shard->env.settings->stuck_timeout_ms;
}

static uint64_t next_ms(const struct shard *shard, const struct client *client)
{
	uint64_t grade_ms = next_grade_ms(shard, client);
	uint64_t end_ms = expires_ms(shard, client);
	uint64_t next = end_ms < grade_ms ? end_ms : grade_ms;
	return stuck_ms(shard, client) < next ? stuck_ms(shard, client) : next;
}

void keepalive_begin(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	if (client->keepalive_s == 0 && shard->env.settings->idle_probe_s != 0)
		health_probe(&shard->mem.io.streams, client->conn.stream, shard->env.settings->idle_probe_s);
	uint64_t deadline_ms = next_ms(shard, client);
	if (deadline_ms != WHEEL_NEVER)
		wheel_add(&shard->loop.wheel, ref.index, deadline_ms);
}

void keepalive_hurry(struct shard *shard, struct client_ref ref, uint64_t until_ms)
{
	struct client *client = shard_client(shard, ref);
	if (!client_is_connected(client))
		return;
	wheel_remove(&shard->loop.wheel, ref.index);
	uint64_t deadline_ms = next_ms(shard, client);
	wheel_add(&shard->loop.wheel, ref.index, until_ms < deadline_ms ? until_ms : deadline_ms);
}

void keepalive_blocked(struct shard *shard, struct client_ref ref)
{
	/* A client over its rate is visited soon: only reading it again tells how long its pause lasts. */
	uint64_t wait_ms = shard_client(shard, ref)->pause == PAUSE_RATE ? 1 : shard->env.settings->stuck_timeout_ms;
	keepalive_hurry(shard, ref, shard->loop.now_ms + wait_ms);
}

void keepalive_heard(struct shard *shard, struct client *client)
{
	client->seen_tick = (uint32_t)(shard->loop.now_ms / WHEEL_TICK_MS);
	if (client->state == CLIENT_ACTIVE)
		return;
	client_set_state(shard, client, CLIENT_ACTIVE);
	COUNT(&shard->counters, clients_came_back);
}

/* Whether the client may have sent something that we have not read: there is input, or we do not read from it. */
static bool is_unread(struct shard *shard, const struct client *client)
{
	return client->pause != PAUSE_NONE || io_has_input(&shard->mem.io, &client->conn);
}

static void grade(struct shard *shard, struct client *client, enum client_state state)
{
	if (client->state < state)
		client_set_state(shard, client, state);
}

static void grade_by_keepalive(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	uint64_t now_ms = shard->loop.now_ms;
	if (quiet_ms(client) > now_ms)
		return;
	if (closed_ms(client) <= now_ms && is_unread(shard, client))
		client->seen_tick = (uint32_t)(now_ms / WHEEL_TICK_MS);
	else if (closed_ms(client) <= now_ms)
		client_end(shard, ref, ERROR_KEEPALIVE_TIMEOUT);
	else
		grade(shard, client, suspect_ms(shard, client) <= now_ms ? CLIENT_SUSPECT : CLIENT_QUIET);
}

static void grade_by_tcp(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	bool answers =
		!health_is_unanswered(&shard->mem.io.streams, client->conn.stream, shard->env.settings->grace_ms);
	if (answers && client->state != CLIENT_ACTIVE)
		client_set_state(shard, client, CLIENT_ACTIVE);
	else if (!answers && client->state == CLIENT_SUSPECT)
		client_end(shard, ref, ERROR_PEER_DEAD);
	else if (!answers)
		grade(shard, client, CLIENT_SUSPECT);
}

uint64_t keepalive_visit(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	CHECK(client_is_connected(client));
	if (client->pause == PAUSE_RATE)
		client_resume(shard, ref, PAUSE_RATE);
	if (stuck_ms(shard, client) <= shard->loop.now_ms)
		client_end(shard, ref, ERROR_STUCK_READER);
	else if (expires_ms(shard, client) <= shard->loop.now_ms)
		client_end(shard, ref, ERROR_SIGN_IN_EXPIRED);
	else if (client->keepalive_s != 0)
		grade_by_keepalive(shard, ref);
	else if (shard->env.settings->idle_probe_s != 0)
		grade_by_tcp(shard, ref);
	return client_is_connected(client) ? next_ms(shard, client) : 0;
}
