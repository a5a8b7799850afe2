/* A client's connection: reading, writing, its end. Its session is in client_session.c, what its packets mean in
 * client_packet.c. */
#include "gateway/client.h"

#include "base/log.h"
#include "gateway/client_packet.h"
#include "gateway/client_session.h"
#include "gateway/deliver.h"
#include "gateway/presence.h"
#include "gateway/shard.h"
#include "mqtt/encode.h"
#include "mqtt/reason.h"
#include "net/peer.h"

#include <errno.h>

/* The gauges: a client enters or leaves the state. */
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
	bool open = state >= CLIENT_GREETING && state <= CLIENT_SUSPECT;
	if (open)
		counter_add(&shard->counters.values[COUNTER_connections_open], enters ? 1 : UINT64_MAX);
}

void client_set_state(struct shard *shard, struct client *client, enum client_state next)
{
	static const uint8_t ALLOWED[CLIENT_STATE_COUNT] = {
		[CLIENT_FREE] = 1u << CLIENT_GREETING,
		[CLIENT_GREETING] = 1u << CLIENT_ACTIVE | 1u << CLIENT_CLOSING,
		[CLIENT_ACTIVE] = 1u << CLIENT_QUIET | 1u << CLIENT_SUSPECT | 1u << CLIENT_CLOSING,
		[CLIENT_QUIET] = 1u << CLIENT_ACTIVE | 1u << CLIENT_SUSPECT | 1u << CLIENT_CLOSING,
		[CLIENT_SUSPECT] = 1u << CLIENT_ACTIVE | 1u << CLIENT_CLOSING,
		[CLIENT_CLOSING] = 1u << CLIENT_FREE | 1u << CLIENT_OFFLINE,
		[CLIENT_OFFLINE] = 1u << CLIENT_GREETING | 1u << CLIENT_FREE,
	};
	CHECK((ALLOWED[client->state] & 1u << next) != 0);
	count_state(shard, (enum client_state)client->state, false);
	count_state(shard, next, true);
	client->state = next & 7u;
}

/* ---- reading and writing ---- */

static void mark_ready(struct shard *shard, uint32_t index, struct client *client)
{
	if (client->ready || client->pause != PAUSE_NONE)
		return;
	client->ready = 1;
	list_push(&shard->ready, index);
}

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
	uint64_t before = shard->work.spent;
	client_read_now(shard, index);
	shard->work.fresh += shard->work.spent - before;
}

void client_read(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (!client_is_connected(client) || client->pause != PAUSE_NONE)
		return;
	if (turn_work_takes_packets(&shard->work)) {
		client_read_now(shard, index);
		return;
	}
	if (!client->ready && shard->work.fresh < WORK_SHARE_FRESH) {
		read_fresh(shard, index);
		return;
	}
	COUNT(&shard->counters, work_pauses);
	mark_ready(shard, index, client);
}

void client_read_now(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (!client_is_connected(client) || client->pause != PAUSE_NONE)
		return;
	turn_work_charge(&shard->work, WORK_READ);
	struct slice bytes;
	bool more;
	uint64_t bytes_in = shard->io.bytes_in;
	enum io_result result = io_receive(&shard->io, &client->conn, &bytes, &more);
	turn_work_charge(&shard->work, (shard->io.bytes_in - bytes_in) / WORK_UNIT_BYTES);
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
	bool some = shard->io.bytes_in != bytes_in;
	if (client_is_connected(client) && (more || (client->hung_up && some)))
		mark_ready(shard, index, client);
}

void client_resume(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (!client_is_connected(client))
		return;
	client->pause = PAUSE_NONE;
	client->seen_tick = (uint32_t)(shard->now_ms / WHEEL_TICK_MS); /* its silence so far was ours */
	mark_ready(shard, index, client);
}

void client_write(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (!client_is_connected(client) || !io_awaits_writing(&client->conn))
		return;
	size_t before = io_queued_bytes(&shard->io, &client->conn);
	if (!io_resume(&shard->io, &client->conn)) {
		client_end(shard, index, ERROR_CONNECTION_LOST);
		return;
	}
	uint32_t sent = (uint32_t)(before - io_queued_bytes(&shard->io, &client->conn));
	turn_work_charge(&shard->work, WORK_WRITE + sent / WORK_UNIT_BYTES);
	congestion_sent(shard, client, 0, sent);
	bool draining = atomic_load_explicit(&shard->draining, memory_order_relaxed);
	if (client->conn.backlog == 0 && draining) {
		client_end(shard, index, ERROR_SERVER_STOPPING);
		return;
	}
	if (client->pause == PAUSE_READER &&
	    io_queued_bytes(&shard->io, &client->conn) <= shard->settings->queue_bytes_max / 2)
		client_resume(shard, index);
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
	return gone || (reason == ERROR_SERVER_STOPPING && !shard->settings->disconnect_on_stop);
}

/* Version 5 clients are told why, as far as there is anyone to tell. */
static void say_goodbye(struct shard *shard, struct client *client, enum error reason)
{
	if (ends_without_a_word(shard, reason) || client->version != MQTT_VERSION_5 || !client_is_connected(client))
		return;
	struct slice sentence = slice_string(error_sentence(reason));
	size_t room = sentence.size + 32;
	uint8_t *at = io_scratch(&shard->io, room);
	if (at == NULL)
		return;
	uint8_t code = (uint8_t)mqtt_disconnect_reason_of(reason);
	size_t size = mqtt_disconnect_encode(code, sentence, client->version, at, room);
	/* The reason string is left out where it would be too large for the client [MQTT-3.14.2-3]. */
	if (!extras_take_packet(shard, client, size))
		size = mqtt_disconnect_encode(code, slice_of(NULL, 0), client->version, at, room);
	if (size != 0 && extras_take_packet(shard, client, size))
		io_send(&shard->io, &client->conn, slice_of(at, size));
}

static void log_end(struct shard *shard, const struct client *client, enum error reason)
{
	enum log_level level = error_rule(reason)[0] != '\0' && reason != ERROR_CLOSED_BY_CLIENT ? LOG_INFO : LOG_DEBUG;
	if (!log_enabled(level) || client->session.id == 0)
		return;
	struct slice id = registry_id(&shard->registry, &client->session);
	char text[PEER_TEXT_BYTES_MAX];
	union peer peer = peer_of_stream(&shard->io.streams, client->conn.stream);
	/* The address in front: what follows may hold a client's own words. */
	log_write(level, "%s: client \"%.*s\" ended: %s [%s]", peer_print(&peer, text), (int)id.size,
		  (const char *)id.data, error_sentence(reason), error_rule(reason));
}

void client_end(struct shard *shard, uint32_t index, enum error reason)
{
	struct client *client = shard_client(shard, index);
	if (client->state != CLIENT_GREETING && !client_is_connected(client))
		return;
	turn_work_charge(&shard->work, WORK_END);
	bool was_active = client_is_connected(client);
	if (client->pause == PAUSE_ROOM)
		routing_disown(shard, index);
	counter_add(&shard->counters.ends[reason], 1);
	log_end(shard, client, reason);
	say_goodbye(shard, client, reason);
	client_set_state(shard, client, CLIENT_CLOSING);
	wheel_remove(&shard->wheel, index);
	list_push(&shard->closing, index);
	if (was_active)
		presence_disconnected(shard, client, reason);
	session_connection_ended(shard, index, was_active, reason);
}

void client_finish(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (client->state != CLIENT_CLOSING)
		return; /* another connection has the session already */
	if (!stream_exists(client->conn.stream))
		return; /* finished before, and its session takes more than this turn: its place is given back once */
	io_disconnect(&shard->io, &client->conn);
	client->conn.generation++;
	addresses_leave(shard->addresses, client->address, true);
	client->address = 0;
	seats_give(shard->seats);
	if (client->session.id != 0) {
		session_goes_offline(shard, index);
		return;
	}
	if (client->session.cleaning)
		return; /* its place is given away when that is done */
	client_set_state(shard, client, CLIENT_FREE);
	pool_give(&shard->clients, index);
}
