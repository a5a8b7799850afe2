#include "state/client_state.h"

#include "base/check.h"
#include "state/shard.h"

/* Moves the gauges of a state that a client enters or leaves. */
static void count_state(struct shard *shard, enum client_state state, bool enters)
{
	static const enum counter GAUGES[CLIENT_STATE_COUNT] = {
		[CLIENT_FREE] = COUNTER_COUNT,
		[CLIENT_GREETING] = COUNTER_clients_greeting,
		[CLIENT_ACTIVE] = COUNTER_clients_active,
		[CLIENT_QUIET] = COUNTER_clients_quiet,
		[CLIENT_SUSPECT] = COUNTER_clients_suspect,
		[CLIENT_CLOSING] = COUNTER_clients_closing,
		[CLIENT_OFFLINE] = COUNTER_sessions_offline,
	};
	if (GAUGES[state] == COUNTER_COUNT)
		return;
	counter_add(&shard->counters.values[GAUGES[state]], enters ? 1 : UINT64_MAX);
}

void client_set_state(struct shard *shard, struct client *client, enum client_state next)
{
	static const uint8_t ALLOWED[CLIENT_STATE_COUNT] = {
		[CLIENT_FREE] = 1u << CLIENT_GREETING | 1u << CLIENT_OFFLINE,
		[CLIENT_GREETING] = 1u << CLIENT_ACTIVE | 1u << CLIENT_CLOSING,
		[CLIENT_ACTIVE] = 1u << CLIENT_QUIET | 1u << CLIENT_SUSPECT | 1u << CLIENT_CLOSING,
		[CLIENT_QUIET] = 1u << CLIENT_ACTIVE | 1u << CLIENT_SUSPECT | 1u << CLIENT_CLOSING,
		[CLIENT_SUSPECT] = 1u << CLIENT_ACTIVE | 1u << CLIENT_CLOSING,
		[CLIENT_CLOSING] = 1u << CLIENT_FREE | 1u << CLIENT_OFFLINE,
		[CLIENT_OFFLINE] = 1u << CLIENT_GREETING | 1u << CLIENT_FREE,
	};
	CHECK_LT(client->state, CLIENT_STATE_COUNT); /* 3 bits hold one value more */
	CHECK((ALLOWED[client->state] & 1u << next) != 0);
	count_state(shard, (enum client_state)client->state, false);
	count_state(shard, next, true);
	client->state = next & 7u;
}

void client_mark_ready(struct shard *shard, struct client_ref ref, struct client *client)
{
	if (client->ready || client->pause != PAUSE_NONE)
		return;
	CHECK(shard_client(shard, ref) == client);
	client->ready = 1;
	client_list_push(&shard->loop.ready, ref);
}

void client_pause(struct client *client, enum client_pause why)
{
	CHECK(why != PAUSE_NONE && client->pause == PAUSE_NONE);
	/* Its own packet may send it something, and a flush of that may end it before the packet is handled. */
	CHECK(client_is_connected(client) || client->state == CLIENT_CLOSING);
	client->pause = why & 7u;
}

void client_resume(struct shard *shard, struct client_ref ref, enum client_pause why)
{
	struct client *client = shard_client(shard, ref);
	if (!client_is_connected(client))
		return;
	CHECK_EQ(client->pause, why);
	client->pause = PAUSE_NONE;
	client->seen_tick = (uint32_t)(shard->loop.now_ms / WHEEL_TICK_MS); /* while paused it could not be heard */
	client_mark_ready(shard, ref, client);
}
