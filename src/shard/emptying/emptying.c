#include "shard/emptying/emptying.h"

#include "client/acknowledge.h"
#include "state/client_state.h"
#include "state/ending.h"
#include "state/shard.h"

/* Of clients that are looked at in a turn, and how often a shard looks. */
#define LOOKS_PER_TURN 512u
#define EMPTYING_POLL_MS 50u

static uint64_t clients_connected(const struct shard *shard)
{
	return atomic_load_explicit(&shard->counters.values[COUNTER_connections_open], memory_order_relaxed);
}

/* The end itself waits for the turn's end, so those that were noted in this turn are still counted. */
static void end_some(struct shard *shard, uint64_t most)
{
	struct emptying *emptying = &shard->loop.emptying;
	enum error reason = (enum error)shard->env.settings->drain.reason;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ENDS);
	for (uint32_t i = 0; i < LOOKS_PER_TURN && most != 0; i++) {
		if (turn_work_is_spent(&shard->loop.work, until) || endings_are_many(&shard->sessions.endings))
			return;
		if (emptying->next >= shard->mem.clients.touched) {
			emptying->next = 0; /* what had output may have been read by the next round */
			return;
		}
		struct client_ref ref = {++emptying->next};
		struct client *client = shard_client(shard, ref);
		if (!client_is_connected(client) || client_is_internal(client) || client->conn.backlog != 0 ||
		    client->conn.outbox != 0 || acknowledge_awaits_commits(shard, ref))
			continue;
		client_end(shard, ref, reason);
		most--;
	}
}

void emptying_run(struct shard *shard)
{
	const struct drain_settings *drain = &shard->env.settings->drain;
	struct emptying *emptying = &shard->loop.emptying;
	uint64_t connected = clients_connected(shard);
	if (drain->number != emptying->number)
		*emptying = (struct emptying){.number = drain->number, .clients = connected};
	if (!drain_refuses(drain, shard->loop.now_ms))
		return;
	uint64_t left = drain_may_be_left(drain, emptying->clients, shard->loop.now_ms);
	/* Those who were let in at the last moment count as well. */
	if (connected > left)
		end_some(shard, connected - left);
}

uint32_t emptying_wait_ms(const struct shard *shard, uint32_t limit_ms)
{
	bool active = shard->env.settings->drain.number != 0 && clients_connected(shard) != 0;
	return active && limit_ms > EMPTYING_POLL_MS ? EMPTYING_POLL_MS : limit_ms;
}
