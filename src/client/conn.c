#include "client/conn.h"

#include "client/acknowledge.h"
#include "client/keepalive.h"
#include "client/packet.h"
#include "deliver/congestion.h"
#include "deliver/queue.h"
#include "route/retained_jobs.h"
#include "route/retained_mail.h"
#include "route/route.h"
#include "state/client_state.h"
#include "state/ending.h"
#include "state/shard.h"

#include <errno.h>

/* ---- reading and writing ---- */

static enum error reason_of_errno(const struct shard *shard, const struct client *client, int number)
{
	enum error error;
	switch (number) {
	case EPROTO: /* the peer broke TLS, or WebSocket */
		error = stream_facts(&shard->mem.io.streams, client->conn.stream).error;
		return error != ERROR_OK ? error : ERROR_CONNECTION_LOST;
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
		client_end(shard, ref, reason_of_errno(shard, client, errno));
		return;
	}
	/* No further event comes after a hang-up, and what came may be only a part of a large packet. */
	bool some = shard->mem.io.bytes_in != bytes_in;
	if (client_is_connected(client) && (more || (client->hung_up && some)))
		client_mark_ready(shard, ref, client);
}

/* Writes what waits for the client, and goes on with what waited for that. */
static void write_on(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
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
	if (client->conn.backlog == 0 && draining && !acknowledge_awaits_commits(shard, ref)) {
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

void client_write(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	if (!client_is_connected(client) || !io_awaits_writing(&client->conn))
		return;
	/* Of a layered stream each event comes here, and nearly always nothing has waited. */
	if (client->conn.backlog != 0)
		write_on(shard, ref);
	else if (!io_resume(&shard->mem.io, &client->conn))
		client_end(shard, ref, ERROR_CONNECTION_LOST);
}

/* ---- commits ---- */

/* Unless the client was answered something else meanwhile, which waits for a later commit. */
static void client_unhold(struct shard *shard, const struct commit_wait *wait)
{
	struct client *client = shard_client(shard, wait->client);
	if (client->conn.generation != wait->generation || !client_is_connected(client) ||
	    (uint32_t)io_held(&shard->mem.io, &client->conn) != wait->commit)
		return;
	io_unhold(&shard->mem.io, &client->conn);
	write_on(shard, wait->client);
	if (client->conn.backlog != 0)
		keepalive_blocked(shard, wait->client);
}

void client_commits_run(struct shard *shard)
{
	struct commit_waits *commits = &shard->routing.commits;
	if (!commit_waits_any(commits))
		return;
	struct commit_wait wait;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_COMMITS);
	while (!turn_work_is_spent(&shard->loop.work, until) && commit_waits_next(commits, &wait)) {
		turn_work_charge(&shard->loop.work, WORK_ENTRY);
		switch ((enum commit_wait_kind)wait.kind) {
		case COMMIT_WAIT_TICKET:
			route_ticket_is_safe(shard, wait.ticket);
			break;
		case COMMIT_WAIT_ACK:
			acknowledge_committed(shard, &wait);
			break;
		case COMMIT_WAIT_MAIL:
			retained_mail_is_safe(shard);
			break;
		case COMMIT_WAIT_OUTPUT:
			client_unhold(shard, &wait);
			break;
		}
	}
}
