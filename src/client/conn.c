#include "client/conn.h"

#include "client/packet.h"
#include "deliver/congestion.h"
#include "deliver/queue.h"
#include "route/retained_jobs.h"
#include "state/client_state.h"
#include "state/ending.h"
#include "state/shard.h"

#include <errno.h>

/* ---- reading and writing ---- */

static enum error reason_of_errno(int number)
{
	switch (number) {
	case ENOMEM:
		return ERROR_NO_MEMORY;
	case ETIMEDOUT:
	case EHOSTUNREACH:
		return ERROR_PEER_DEAD;
	default:
		return ERROR_CONNECTION_LOST;
	}
}

/* Other clients have used up the turn's work. A client that sends something now and then does not wait behind them: its
 * first packet is handled, and the rest waits for the next turn. */
static void read_fresh(struct shard *shard, struct client_ref ref)
{
	uint64_t before = shard->loop.work.spent;
	client_read_now(shard, ref);
	shard->loop.work.fresh += shard->loop.work.spent - before;
}

void client_read(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	if (!client_is_connected(client) || client->pause != PAUSE_NONE)
		return;
	if (turn_work_takes_packets(&shard->loop.work)) {
		client_read_now(shard, ref);
		return;
	}
	if (!client->ready && shard->loop.work.fresh < WORK_SHARE_FRESH) {
		read_fresh(shard, ref);
		return;
	}
	COUNT(&shard->counters, work_pauses);
	client_mark_ready(shard, ref, client);
}

void client_read_now(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	if (!client_is_connected(client) || client->pause != PAUSE_NONE)
		return;
	turn_work_charge(&shard->loop.work, WORK_READ);
	struct slice bytes;
	bool more;
	uint64_t bytes_in = shard->mem.io.bytes_in;
	enum io_result result = io_receive(&shard->mem.io, &client->conn, &bytes, &more);
	turn_work_charge(&shard->loop.work, (shard->mem.io.bytes_in - bytes_in) / WORK_UNIT_BYTES);
	switch (result) {
	case IO_BYTES:
		client_consume(shard, ref, bytes);
		break;
	case IO_NOTHING:
		break;
	case IO_EOF:
		client_end(shard, ref, ERROR_CONNECTION_LOST);
		return;
	case IO_BROKEN:
		client_end(shard, ref, reason_of_errno(errno));
		return;
	}
	/* No further event comes after a hang-up, and what came may be only a part of a large packet. */
	bool some = shard->mem.io.bytes_in != bytes_in;
	if (client_is_connected(client) && (more || (client->hung_up && some)))
		client_mark_ready(shard, ref, client);
}

void client_write(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	if (!client_is_connected(client) || !io_awaits_writing(&client->conn))
		return;
	size_t before = io_queued_bytes(&shard->mem.io, &client->conn);
	if (!io_resume(&shard->mem.io, &client->conn)) {
		client_end(shard, ref, ERROR_CONNECTION_LOST);
		return;
	}
	size_t left = io_queued_bytes(&shard->mem.io, &client->conn);
	CHECK_LE(left, before); /* resuming appends nothing */
	uint32_t sent = (uint32_t)(before - left);
	turn_work_charge(&shard->loop.work, WORK_WRITE + sent / WORK_UNIT_BYTES);
	congestion_sent(shard, client, 0, sent);
	bool draining = atomic_load_explicit(&shard->shared.draining, memory_order_relaxed);
	if (client->conn.backlog == 0 && draining) {
		client_end(shard, ref, ERROR_SERVER_STOPPING);
		return;
	}
	if (client->pause == PAUSE_READER &&
	    io_queued_bytes(&shard->mem.io, &client->conn) <= shard->env.settings->queue_bytes_max / 2)
		client_resume(shard, ref, PAUSE_READER);
	if (client->conn.backlog == 0) {
		queue_send(shard, ref);
		retained_jobs_wake(shard, ref);
	}
}
