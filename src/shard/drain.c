#include "shard/drain.h"

#include "shard/admissions.h"
#include "state/ending.h"
#include "state/shard.h"

#define DRAINED_PER_TURN 512u

bool drain_some(struct shard *shard)
{
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
		if (!client_is_connected(client) || client->conn.backlog != 0)
			continue;
		shard->loop.drain_waits = false;
		if (client->conn.outbox == 0)
			client_end(shard, ref, ERROR_SERVER_STOPPING);
	}
	if (shard->loop.drain_next < shard->mem.clients.touched)
		return false;
	/* The next round comes to the clients that had output. This turn's flush may be all that they need. */
	shard->loop.drain_next = 0;
	return atomic_load_explicit(&shard->counters.values[COUNTER_connections_open], memory_order_relaxed) == 0;
}
