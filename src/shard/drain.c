#include "shard/drain.h"

#include "shard/admissions.h"
#include "state/ending.h"
#include "state/shard.h"

#define DRAINED_PER_TURN 512u

bool drain_some(struct shard *shard)
{
	if (admissions_take(shard))
		return false;
	if (shard->loop.drain_next == 0)
		shard->loop.drain_waits = true;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ENDS);
	for (uint32_t i = 0; i < DRAINED_PER_TURN && shard->loop.drain_next < shard->mem.clients.touched; i++) {
		if (turn_work_is_spent(&shard->loop.work, until) || endings_are_many(&shard->sessions.endings))
			return false;
		uint32_t index = ++shard->loop.drain_next;
		struct client *client = shard_client(shard, index);
		if (!client_is_connected(client) || client->conn.backlog != 0)
			continue;
		shard->loop.drain_waits = false;
		if (client->conn.outbox == 0)
			client_end(shard, index, ERROR_SERVER_STOPPING);
	}
	if (shard->loop.drain_next < shard->mem.clients.touched)
		return false;
	/* Round again for those who had output; the turn's flush may have been all that they needed. */
	shard->loop.drain_next = 0;
	return atomic_load_explicit(&shard->counters.values[COUNTER_connections_open], memory_order_relaxed) == 0;
}
