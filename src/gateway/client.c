/* A client's connection: reading, writing, its end. Its session is in client_session.c, what its packets mean in
 * client_packet.c. */
#include "gateway/client.h"

#include "base/log.h"
#include "gateway/client_packet.h"
#include "gateway/client_session.h"
#include "gateway/deliver.h"
#include "gateway/shard.h"
#include "mqtt/encode.h"
#include "mqtt/reason.h"

#include <errno.h>

void client_set_state(struct shard *shard, struct client *client, enum client_state next)
{
	static const uint8_t ALLOWED[CLIENT_STATE_COUNT] = {
		[CLIENT_FREE] = 1u << CLIENT_GREETING,
		[CLIENT_GREETING] = 1u << CLIENT_ACTIVE | 1u << CLIENT_CLOSING,
		[CLIENT_ACTIVE] = 1u << CLIENT_CLOSING,
		[CLIENT_CLOSING] = 1u << CLIENT_FREE | 1u << CLIENT_OFFLINE,
		[CLIENT_OFFLINE] = 1u << CLIENT_GREETING | 1u << CLIENT_FREE,
	};
	CHECK((ALLOWED[client->state] & 1u << next) != 0);
	if (client->state == CLIENT_OFFLINE)
		COUNT_DOWN(&shard->counters, sessions_offline);
	if (next == CLIENT_GREETING)
		COUNT(&shard->counters, connections_open);
	else if (next == CLIENT_CLOSING)
		COUNT_DOWN(&shard->counters, connections_open);
	else if (next == CLIENT_OFFLINE)
		COUNT(&shard->counters, sessions_offline);
	client->state = (uint8_t)next;
}

/* ---- reading and writing ---- */

static void mark_ready(struct shard *shard, uint32_t index, struct client *client)
{
	if (client->ready || client->pause != PAUSE_NONE)
		return;
	client->ready = 1;
	list_push(&shard->ready, index);
}

void client_read(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (client->state != CLIENT_ACTIVE || client->pause != PAUSE_NONE)
		return;
	struct slice bytes;
	bool more;
	uint64_t bytes_in = shard->io.bytes_in;
	switch (io_receive(&shard->io, &client->conn, &bytes, &more)) {
	case IO_BYTES:
		client_consume(shard, index, bytes);
		break;
	case IO_NOTHING:
		break;
	case IO_EOF:
		client_end(shard, index, ERROR_CONNECTION_LOST);
		return;
	case IO_BROKEN:
		client_end(shard, index, errno == ENOMEM ? ERROR_NO_MEMORY : ERROR_CONNECTION_LOST);
		return;
	}
	/* There is no other event after a hang-up; what came may be only a part of a large packet. */
	bool some = shard->io.bytes_in != bytes_in;
	if (client->state == CLIENT_ACTIVE && (more || (client->hung_up && some)))
		mark_ready(shard, index, client);
}

void client_resume(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (client->state != CLIENT_ACTIVE)
		return;
	client->pause = PAUSE_NONE;
	client->seen_tick = (uint32_t)(shard->now_ms / WHEEL_TICK_MS); /* its silence so far was ours */
	mark_ready(shard, index, client);
}

void client_write(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (client->state != CLIENT_ACTIVE || client->conn.backlog == 0)
		return;
	if (!io_resume(&shard->io, &client->conn)) {
		client_end(shard, index, ERROR_CONNECTION_LOST);
		return;
	}
	bool draining = atomic_load_explicit(&shard->draining, memory_order_relaxed);
	if (client->conn.backlog == 0 && draining) {
		client_end(shard, index, ERROR_SERVER_STOPPING);
		return;
	}
	if (client->pause == PAUSE_READER &&
	    io_queued_bytes(&shard->io, &client->conn) <= shard->settings->queue_bytes_max / 2)
		client_resume(shard, index);
	if (client->conn.backlog == 0)
		deliver_queued(shard, index);
}

/* ---- time ---- */

uint64_t client_keepalive_deadline_ms(const struct client *client)
{
	if (client->keepalive_s == 0)
		return WHEEL_NEVER;
	/* One and a half times the keepalive [MQTT-3.1.2-22] after the tick in which the last packet came. */
	return ((uint64_t)client->seen_tick + 1) * WHEEL_TICK_MS + (uint64_t)client->keepalive_s * 1500;
}

void client_blocked(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (client->state != CLIENT_ACTIVE)
		return;
	wheel_remove(&shard->wheel, index);
	uint64_t stuck_ms = shard->now_ms + shard->settings->stuck_timeout_ms;
	uint64_t silent_ms = client_keepalive_deadline_ms(client);
	wheel_add(&shard->wheel, index, stuck_ms < silent_ms ? stuck_ms : silent_ms);
}

static uint64_t visit_connected(struct shard *shard, uint32_t index, uint64_t now_ms)
{
	struct client *client = shard_client(shard, index);
	uint64_t silent_ms = client_keepalive_deadline_ms(client);
	uint64_t stuck_ms = WHEEL_NEVER;
	if (client->conn.backlog != 0)
		stuck_ms = io_stalled_since_ms(&shard->io, &client->conn) + shard->settings->stuck_timeout_ms;
	if (stuck_ms <= now_ms)
		client_end(shard, index, ERROR_STUCK_READER);
	else if (silent_ms <= now_ms && io_has_input(&client->conn))
		silent_ms = now_ms + WHEEL_TICK_MS; /* it spoke, and we were too busy to listen */
	else if (silent_ms <= now_ms && client->pause == PAUSE_NONE)
		client_end(shard, index, ERROR_KEEPALIVE_TIMEOUT);
	else if (silent_ms <= now_ms)
		silent_ms = now_ms + WHEEL_TICK_MS; /* we are the ones who do not read */
	return stuck_ms < silent_ms ? stuck_ms : silent_ms;
}

uint64_t client_visit(void *context, uint32_t index, uint64_t now_ms)
{
	struct shard *shard = context;
	if (shard_client(shard, index)->state == CLIENT_OFFLINE)
		return session_visit(shard, index);
	return visit_connected(shard, index, now_ms);
}

/* ---- going away ---- */

/* Version 5 clients are told why, as far as there is anyone to tell. */
static void say_goodbye(struct shard *shard, struct client *client, enum error reason)
{
	bool gone = reason == ERROR_CLOSED_BY_CLIENT || reason == ERROR_CLOSED_WITH_WILL ||
		    reason == ERROR_CONNECTION_LOST || reason == ERROR_STUCK_READER;
	if (gone || client->version != MQTT_VERSION_5 || client->state != CLIENT_ACTIVE)
		return;
	struct slice sentence = slice_string(error_sentence(reason));
	size_t room = sentence.size + 32;
	uint8_t *at = io_scratch(&shard->io, room);
	if (at == NULL)
		return;
	size_t size = mqtt_disconnect_encode((uint8_t)mqtt_reason_of(reason), sentence, client->version, at, room);
	/* The reason string is left out where it would be too large for the client [MQTT-3.14.2-3]. */
	if (size > client->packet_bytes_max)
		size = mqtt_disconnect_encode((uint8_t)mqtt_reason_of(reason), slice_of(NULL, 0), client->version, at,
					      room);
	if (size != 0 && size <= client->packet_bytes_max)
		io_send(&shard->io, &client->conn, slice_of(at, size));
}

static void log_end(struct shard *shard, const struct client *client, enum error reason)
{
	enum log_level level = error_rule(reason)[0] != '\0' && reason != ERROR_CLOSED_BY_CLIENT ? LOG_INFO : LOG_DEBUG;
	if (!log_enabled(level) || client->session.id == 0)
		return;
	struct slice id = registry_id(&shard->registry, &client->session);
	log_write(level, "client \"%.*s\" ended: %s [%s]", (int)id.size, (const char *)id.data, error_sentence(reason),
		  error_rule(reason));
}

void client_end(struct shard *shard, uint32_t index, enum error reason)
{
	struct client *client = shard_client(shard, index);
	if (client->state != CLIENT_GREETING && client->state != CLIENT_ACTIVE)
		return;
	bool was_active = client->state == CLIENT_ACTIVE;
	counter_add(&shard->counters.ends[reason], 1);
	log_end(shard, client, reason);
	say_goodbye(shard, client, reason);
	client_set_state(shard, client, CLIENT_CLOSING);
	wheel_remove(&shard->wheel, index);
	list_push(&shard->closing, index);
	session_connection_ended(shard, index, was_active, reason);
}

void client_finish(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (client->state != CLIENT_CLOSING)
		return; /* another connection has the session already */
	io_disconnect(&shard->io, &client->conn);
	client->conn.generation++;
	seats_give(shard->seats);
	if (client->session.id != 0) {
		session_goes_offline(shard, index);
		return;
	}
	client_set_state(shard, client, CLIENT_FREE);
	pool_give(&shard->clients, index);
}
