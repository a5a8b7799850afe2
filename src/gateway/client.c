/* A client's life: greeted, active, closing, gone. What its packets mean is in client_packet.c. */
#include "gateway/client.h"

#include "base/log.h"
#include "gateway/admission.h"
#include "gateway/client_packet.h"
#include "gateway/route.h"
#include "gateway/shard.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/reason.h"

#include <errno.h>

/* In the slab, at client->will. */
struct will {
	uint32_t bytes;
	uint8_t version;  /* the packet's form */
	uint8_t packet[]; /* an encoded PUBLISH */
};

static void client_set_state(struct shard *shard, struct client *client, enum client_state next)
{
	static const uint8_t ALLOWED[] = {
		[CLIENT_FREE] = 1u << CLIENT_GREETING,
		[CLIENT_GREETING] = 1u << CLIENT_ACTIVE | 1u << CLIENT_CLOSING,
		[CLIENT_ACTIVE] = 1u << CLIENT_CLOSING,
		[CLIENT_CLOSING] = 1u << CLIENT_FREE,
	};
	CHECK((ALLOWED[client->state] & 1u << next) != 0);
	if (next == CLIENT_GREETING)
		COUNT(&shard->counters, connections_open);
	else if (next == CLIENT_CLOSING)
		COUNT_DOWN(&shard->counters, connections_open);
	client->state = (uint8_t)next;
}

/* ---- coming in ---- */

static uint64_t keepalive_deadline_ms(const struct client *client)
{
	if (client->keepalive_s == 0)
		return WHEEL_NEVER;
	/* One and a half times the keepalive [MQTT-3.1.2-22] after the tick in which the last packet came. */
	return ((uint64_t)client->seen_tick + 1) * WHEEL_TICK_MS + (uint64_t)client->keepalive_s * 1500;
}

static enum error store_will(struct shard *shard, struct client *client, struct slice will)
{
	if (will.size == 0)
		return ERROR_OK;
	client->will = slab_take(&shard->slab, sizeof(struct will) + will.size);
	if (client->will == 0)
		return ERROR_NO_MEMORY;
	struct will *stored = slab_at(&shard->slab, client->will);
	stored->bytes = (uint32_t)will.size;
	stored->version = client->version;
	memcpy(stored->packet, will.data, will.size);
	return ERROR_OK;
}

static uint32_t client_new(struct shard *shard, int fd, const struct admission *admission)
{
	uint32_t index = pool_take(&shard->clients);
	if (index == 0)
		return 0;
	struct client *client = shard_client(shard, index);
	uint32_t generation = client->conn.generation;
	*client = (struct client){
		.conn = {.fd = fd, .generation = generation},
		.packet_bytes_max = admission->packet_bytes_max,
		.seen_tick = (uint32_t)(shard->now_ms / WHEEL_TICK_MS),
		.keepalive_s = admission->keepalive_s,
		.version = admission->version & 7u,
		.state = CLIENT_FREE,
	};
	client_set_state(shard, client, CLIENT_GREETING);
	return index;
}

/* CONNACK. False when it is larger than the client takes [MQTT-3.1.2-24]. */
static bool greet(struct shard *shard, struct client *client, const struct admission *admission)
{
	struct mqtt_connack connack = mqtt_connack_default();
	/* The truth about what is not there yet. */
	connack.qos_max = 0;
	connack.retain_available = false;
	connack.subscription_id_available = false;
	connack.shared_available = false;
	connack.packet_bytes_max = shard->settings->packet_bytes_max;
	connack.has_session_expiry = admission->expiry_asked; /* it ends with the connection: 0 */
	if (admission->assigned_id)
		connack.assigned_client_id = admission_id(admission);

	size_t room = 64 + connack.assigned_client_id.size;
	uint8_t *at = io_scratch(&shard->io, room);
	size_t size = at != NULL ? mqtt_connack_encode(&connack, client->version, at, room) : 0;
	if (size == 0 || size > client->packet_bytes_max)
		return false;
	io_send(&shard->io, &client->conn, slice_of(at, size));
	return true;
}

/* No room for it after all: it is closed. The gate counts seats, so this is rare. */
static void turn_away(struct shard *shard, int fd)
{
	struct conn conn = {.fd = fd};
	io_disconnect(&shard->io, &conn);
	seats_give(shard->seats);
	counter_add(&shard->counters.ends[ERROR_SERVER_FULL], 1);
}

/* What the client sent behind its CONNECT; output may point to it until the flush, so it moves to scratch. */
static void consume_rest(struct shard *shard, uint32_t index, struct slice rest)
{
	if (rest.size == 0)
		return;
	uint8_t *at = io_scratch(&shard->io, rest.size);
	if (at == NULL) {
		client_end(shard, index, ERROR_NO_MEMORY);
		return;
	}
	memcpy(at, rest.data, rest.size);
	client_consume(shard, index, slice_of(at, rest.size));
}

void client_admit(struct shard *shard, int fd, const struct admission *admission)
{
	io_make_room(&shard->io);
	struct slice id = admission_id(admission);
	uint32_t hash = (uint32_t)admission->hash;
	uint32_t older = registry_find(&shard->registry, hash, id);
	if (older != 0)
		client_end(shard, older, ERROR_TAKEN_OVER);

	uint32_t index = client_new(shard, fd, admission);
	if (index == 0) {
		turn_away(shard, fd);
		return;
	}
	struct client *client = shard_client(shard, index);
	uint64_t tag = (uint64_t)client->conn.generation << 32 | index;
	if (registry_insert(&shard->registry, index, hash, id) != ERROR_OK ||
	    store_will(shard, client, admission_will(admission)) != ERROR_OK) {
		client_end(shard, index, ERROR_NO_MEMORY);
		return;
	}
	if (poller_add(&shard->poller, fd, tag, POLLER_EDGE_BOTH) != ERROR_OK) {
		client_end(shard, index, ERROR_SYSTEM);
		return;
	}
	if (client->keepalive_s != 0)
		wheel_add(&shard->wheel, index, keepalive_deadline_ms(client));
	if (!greet(shard, client, admission)) {
		client_end(shard, index, ERROR_PACKET_TOO_LARGE);
		return;
	}
	client_set_state(shard, client, CLIENT_ACTIVE);
	COUNT(&shard->counters, connections_signed_in);
	consume_rest(shard, index, admission_rest(admission));
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
	if (client->conn.backlog == 0 && atomic_load_explicit(&shard->draining, memory_order_relaxed))
		client_end(shard, index, ERROR_SERVER_STOPPING);
	else if (client->pause == PAUSE_READER &&
		 io_queued_bytes(&shard->io, &client->conn) <= shard->settings->queue_bytes_max / 2)
		client_resume(shard, index);
}

void client_blocked(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	if (client->state != CLIENT_ACTIVE)
		return;
	wheel_remove(&shard->wheel, index);
	uint64_t stuck_ms = shard->now_ms + shard->settings->stuck_timeout_ms;
	uint64_t silent_ms = keepalive_deadline_ms(client);
	wheel_add(&shard->wheel, index, stuck_ms < silent_ms ? stuck_ms : silent_ms);
}

uint64_t client_visit(void *context, uint32_t index, uint64_t now_ms)
{
	struct shard *shard = context;
	struct client *client = shard_client(shard, index);
	uint64_t silent_ms = keepalive_deadline_ms(client);
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

/* ---- going away ---- */

/* Whether the standard has the will published when the connection ends so [MQTT-3.1.2-8, MQTT-3.1.2-10]. */
static bool will_is_due(enum error reason)
{
	return reason != ERROR_CLOSED_BY_CLIENT && reason != ERROR_SERVER_STOPPING;
}

static void free_will(struct shard *shard, uint32_t will)
{
	const struct will *stored = slab_at(&shard->slab, will);
	slab_give(&shard->slab, will, sizeof(*stored) + stored->bytes);
}

bool client_publish_will(struct shard *shard, uint32_t will)
{
	const struct will *stored = slab_at(&shard->slab, will);
	uint32_t size = stored->bytes;
	const uint8_t *packet = stored->packet;
	uint8_t *copy = io_scratch(&shard->io, size);
	if (copy != NULL)
		packet = memcpy(copy, packet, size);
	struct mqtt_header header;
	struct mqtt_publish publish;
	CHECK(mqtt_header_decode(packet, size, &header) == ERROR_OK);
	CHECK(mqtt_publish_decode(slice_of(packet + header.header_bytes, header.body_bytes), header.flags,
				  stored->version, false, &publish) == ERROR_OK);
	struct message message = {slice_of(packet, size), publish.topic, 0, stored->version};
	enum error error = route_message(shard, &message);
	if (error == ERROR_MORE)
		return false;
	if (error == ERROR_OK)
		COUNT(&shard->counters, wills_sent);
	else
		COUNT(&shard->counters, messages_dropped_memory);
	if (copy == NULL) /* output points to the will itself, which goes now */
		io_flush(&shard->io);
	free_will(shard, will);
	return true;
}

/* The will goes out, waits for room in an inbox, or is forgotten. */
static void settle_will(struct shard *shard, struct client *client, bool was_active, enum error reason)
{
	uint32_t will = client->will;
	client->will = 0;
	if (will == 0)
		return;
	if (!was_active || !will_is_due(reason))
		free_will(shard, will);
	else if (shard->wills.count != 0 || !client_publish_will(shard, will))
		list_push(&shard->wills, will);
}

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
	uint8_t code = (uint8_t)mqtt_disconnect_reason_of(reason);
	size_t size = mqtt_disconnect_encode(code, sentence, client->version, at, room);
	/* The reason string is left out where it would be too large for the client [MQTT-3.14.2-3]. */
	if (size > client->packet_bytes_max)
		size = mqtt_disconnect_encode(code, slice_of(NULL, 0), client->version, at, room);
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
	if (client->state == CLIENT_CLOSING)
		return;
	bool was_active = client->state == CLIENT_ACTIVE;
	counter_add(&shard->counters.ends[reason], 1);
	log_end(shard, client, reason);
	say_goodbye(shard, client, reason);
	client_set_state(shard, client, CLIENT_CLOSING);
	subscriptions_clear(&shard->subscriptions, &client->session);
	wheel_remove(&shard->wheel, index);
	registry_remove(&shard->registry, index);
	settle_will(shard, client, was_active, reason);
	list_push(&shard->closing, index);
}

void client_finish(struct shard *shard, uint32_t index)
{
	struct client *client = shard_client(shard, index);
	io_disconnect(&shard->io, &client->conn);
	client->conn.generation++;
	client_set_state(shard, client, CLIENT_FREE);
	pool_give(&shard->clients, index);
	seats_give(shard->seats);
}
