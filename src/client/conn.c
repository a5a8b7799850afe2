/* A client's connection: reading, writing, its end. Its session is in client_session.c, what its packets mean in
 * client_packet.c. */
#include "client/conn.h"

#include "access/addresses.h"
#include "base/log.h"
#include "client/packet.h"
#include "lifecycle/presence.h"
#include "lifecycle/session.h"
#include "mqtt/encode.h"
#include "mqtt/reason.h"
#include "net/peer.h"
#include "route/congestion.h"
#include "route/deliver.h"
#include "route/retained_jobs.h"
#include "route/routing.h"
#include "state/client_state.h"
#include "state/extension.h"
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

/* Others have used the turn up. One that now and then says something does not wait behind them: its first packet is
 * handled, what follows is for the next turn. */
static void read_fresh(struct shard *shard, uint32_t index)
{
	uint64_t before = shard->loop.work.spent;
	client_read_now(shard, index);
	shard->loop.work.fresh += shard->loop.work.spent - before;
}

void client_read(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (!client_is_connected(client) || client->pause != PAUSE_NONE)
		return;
	if (turn_work_takes_packets(&shard->loop.work)) {
		client_read_now(shard, index);
		return;
	}
	if (!client->ready && shard->loop.work.fresh < WORK_SHARE_FRESH) {
		read_fresh(shard, index);
		return;
	}
	COUNT(&shard->counters, work_pauses);
	client_mark_ready(shard, index, client);
}

void client_read_now(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
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
		client_consume(shard, index, bytes);
		break;
	case IO_NOTHING:
		break;
	case IO_EOF:
		client_end(shard, index, ERROR_CONNECTION_LOST);
		return;
	case IO_BROKEN:
		client_end(shard, index, reason_of_errno(errno));
		return;
	}
	/* There is no other event after a hang-up; what came may be only a part of a large packet. */
	bool some = shard->mem.io.bytes_in != bytes_in;
	if (client_is_connected(client) && (more || (client->hung_up && some)))
		client_mark_ready(shard, index, client);
}

void client_write(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (!client_is_connected(client) || client->conn.backlog == 0)
		return;
	size_t before = io_queued_bytes(&shard->mem.io, &client->conn);
	if (!io_resume(&shard->mem.io, &client->conn)) {
		client_end(shard, index, ERROR_CONNECTION_LOST);
		return;
	}
	congestion_sent(shard, client, 0, (uint32_t)(before - io_queued_bytes(&shard->mem.io, &client->conn)));
	bool draining = atomic_load_explicit(&shard->shared.draining, memory_order_relaxed);
	if (client->conn.backlog == 0 && draining) {
		client_end(shard, index, ERROR_SERVER_STOPPING);
		return;
	}
	if (client->pause == PAUSE_READER &&
	    io_queued_bytes(&shard->mem.io, &client->conn) <= shard->env.settings->queue_bytes_max / 2)
		client_resume(shard, index, PAUSE_READER);
	if (client->conn.backlog == 0) {
		deliver_queued(shard, index);
		retained_jobs_wake(shard, index);
	}
}

/* ---- going away ---- */

/* There is nobody to tell any more; or it is a stop, after which clients are to come back. Some take any DISCONNECT as
 * a word not to, while all take a connection that just ends as one to come again. */
static bool ends_without_a_word(const struct shard *shard, enum error reason)
{
	bool gone = reason == ERROR_CLOSED_BY_CLIENT || reason == ERROR_CLOSED_WITH_WILL ||
		    reason == ERROR_CONNECTION_LOST || reason == ERROR_STUCK_READER || reason == ERROR_PEER_DEAD;
	return gone || (reason == ERROR_SERVER_STOPPING && !shard->env.settings->disconnect_on_stop);
}

/* Version 5 clients are told why, as far as there is anyone to tell. */
static void say_goodbye(struct shard *shard, struct client *client, enum error reason)
{
	if (ends_without_a_word(shard, reason) || client->version != MQTT_VERSION_5 || !client_is_connected(client))
		return;
	struct slice sentence = slice_string(error_sentence(reason));
	size_t room = sentence.size + 32;
	uint8_t *at = io_scratch(&shard->mem.io, room);
	if (at == NULL)
		return;
	uint8_t code = (uint8_t)mqtt_disconnect_reason_of(reason);
	size_t size = mqtt_disconnect_encode(code, sentence, client->version, at, room);
	/* The reason string is left out where it would be too large for the client [MQTT-3.14.2-3]. */
	if (!extension_take_packet(shard, client, size))
		size = mqtt_disconnect_encode(code, slice_of(NULL, 0), client->version, at, room);
	if (size != 0 && extension_take_packet(shard, client, size))
		io_send(&shard->mem.io, &client->conn, slice_of(at, size));
}

static void log_end(struct shard *shard, const struct client *client, enum error reason)
{
	enum log_level level = error_rule(reason)[0] != '\0' && reason != ERROR_CLOSED_BY_CLIENT ? LOG_INFO : LOG_DEBUG;
	if (!log_enabled(level) || client->session.id == 0)
		return;
	struct slice id = registry_id(&shard->sessions.registry, &client->session);
	char text[PEER_TEXT_BYTES_MAX];
	int fd = io_borrow(&shard->mem.io, &client->conn);
	union peer peer = peer_of_socket(fd);
	io_return(&client->conn, fd);
	/* The address in front: what follows may hold a client's own words. */
	log_write(level, "%s: client \"%.*s\" ended: %s [%s]", peer_print(&peer, text), (int)id.size,
		  (const char *)id.data, error_sentence(reason), error_rule(reason));
}

void client_end(struct shard *shard, uint32_t index, enum error reason)
{
	struct client *client = shard_client(shard, index);
	if (client->state != CLIENT_GREETING && !client_is_connected(client))
		return;
	turn_work_charge(&shard->loop.work, WORK_END);
	bool was_active = client_is_connected(client);
	if (client->pause == PAUSE_ROOM)
		routing_disown(shard, index);
	pending_acks_forget(&shard->routing.acks, index);
	counter_add(&shard->counters.ends[reason], 1);
	log_end(shard, client, reason);
	say_goodbye(shard, client, reason);
	client_set_state(shard, client, CLIENT_CLOSING);
	wheel_remove(&shard->loop.wheel, index);
	list_push(&shard->sessions.closing, index);
	if (was_active)
		presence_disconnected(shard, client, reason);
	session_connection_ended(shard, index, was_active, reason);
}

void client_finish(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (client->state != CLIENT_CLOSING)
		return; /* another connection has the session already */
	if (client->conn.fd < 0)
		return; /* finished before, and its session takes more than this turn: its place is given back once */
	io_disconnect(&shard->mem.io, &client->conn);
	client->conn.generation++;
	addresses_leave(shard->env.addresses, client->address, true);
	client->address = 0;
	quota_give(shard->env.quota);
	if (client->session.id != 0) {
		session_goes_offline(shard, index);
		return;
	}
	if (client->session.cleaning)
		return; /* its place is given away when that is done */
	client_set_state(shard, client, CLIENT_FREE);
	pool_give(&shard->mem.clients, index);
}
