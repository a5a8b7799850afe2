#include "shard/drain.h"

#include "client/acknowledge.h"
#include "lifecycle/moving.h"
#include "shard/admissions.h"
#include "state/ending.h"
#include "state/shard.h"

#define DRAINED_PER_TURN 512u

/* The shards of clients that still wait for acknowledgements need this one to take their messages. So where
 * acknowledgements wait for commits, no shard stops while any other has a client. */
static bool others_have_clients(const struct shard *shard)
{
	if (!commit_waits_are_on(&shard->routing.commits))
		return false;
	const struct quota *quota = shard->env.quota;
	while (quota->whole != NULL)
		quota = quota->whole;
	return atomic_load(&quota->taken) != 0;
}

bool drain_some(struct shard *shard)
{
	shard->routing.commits_last = true;
	shard->mem.transports.websockets.close_code = WS_CLOSE_GOING_AWAY;
	moving_stop(shard, ERROR_SERVER_STOPPING);
	if (admissions_take(shard))
		return false;
	CHECK_LE(shard->loop.drain_next, shard->mem.clients.touched);
	if (shard->loop.drain_next == 0)
		shard->loop.drain_waits = true;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ENDS);
	for (uint32_t i = 0; i < DRAINED_PER_TURN && shard->loop.drain_next < shard->mem.clients.touched; i++) {
		if (turn_work_is_spent(&shard->loop.work, until) || endings_are_many(&shard->sessions.endings))
			return false;
		struct client_ref ref = {++shard->loop.drain_next};
		struct client *client = shard_client(shard, ref);
		if (!client_is_connected(client) || client->conn.backlog != 0 || acknowledge_awaits_commits(shard, ref))
			continue;
		shard->loop.drain_waits = false;
		if (client->conn.outbox == 0)
			client_end(shard, ref, ERROR_SERVER_STOPPING);
	}
	if (shard->loop.drain_next < shard->mem.clients.touched)
		return false;
	/* The next round comes to the clients that had output. This turn's flush may be all that they need. */
	shard->loop.drain_next = 0;
	return counter_of(&shard->counters, COUNTER_connections_open) == 0 &&
	       counter_of(&shard->counters, COUNTER_connections_internal) == 0 && !others_have_clients(shard);
}
