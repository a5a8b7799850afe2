#include "safety.h"

#include "../random.h"
#include "base/check.h"
#include "mqtt/field/reason.h"
#include "session/packet_ids.h"
#include "session/registry.h"
#include "state/extension.h"

#include <stdlib.h>
#include <string.h>

#define PLACES_MAX 64u
#define IDS_MAX 4096u
#define KEPT_MAX 8192u
#define HEAD_BYTES_MAX 16u
#define WATCHED_MAX 32u

/* Something that a SUBSCRIBE or UNSUBSCRIBE did: its answer stands behind what was sent to the connection before. */
struct watched_request {
	uint64_t behind_bytes;
	uint32_t batch;
	uint16_t generation;
};

/* Batches are numbered from 1; 0: there was no such event. */
struct watched_session {
	uint32_t connected;
	struct watched_request requests[WATCHED_MAX]; /* a ring: the last ones */
	uint32_t request_count;
	uint32_t received[IDS_MAX]; /* by packet identifier, told first */
	uint32_t released[IDS_MAX];
	uint32_t completed[IDS_MAX]; /* told last */
};

/* What was written to a connection: the beginning of its last packet, and how much of it is to come. */
struct watched_output {
	uint16_t generation;
	bool is_known;
	uint64_t bytes; /* written */
	uint8_t head[HEAD_BYTES_MAX];
	uint32_t head_bytes;
	uint32_t left; /* of the packet, once its length is known */
	bool in_body;
};

struct watched_entry {
	struct client_ref session;
	uint16_t packet_id;
};

struct watched_shard {
	struct watched_session sessions[PLACES_MAX];
	struct watched_output outputs[PLACES_MAX];
	struct watched_entry entries[KEPT_MAX];
	uint32_t kept[KEPT_MAX];               /* number of a message, by its name modulo this */
	uint32_t queued[MODEL_MESSAGES_MAX];   /* for a session, by its publisher: told first */
	uint32_t retained[MODEL_MESSAGES_MAX]; /* told first */
};

static struct watched_shard watched_shards[SCENE_SHARDS_MAX];
static struct sim *watched_sim;
static uint64_t check_count;

/* ---- what is told ---- */

static struct watched_shard *shard_of(const struct journal_record *record)
{
	return &watched_shards[record - record->model->records];
}

static uint32_t batch_of(const struct journal_record *record)
{
	return (uint32_t)record->batches;
}

static struct watched_session *session_of(const struct journal_record *record, struct client_ref ref)
{
	CHECK_LT(ref.index, PLACES_MAX);
	return &shard_of(record)->sessions[ref.index];
}

static uint32_t number_of(const struct publication *publication, const uint8_t *packet)
{
	char text[8] = {0};
	struct slice payload = publication_parts(publication, packet).payload;
	memcpy(text, payload.data, payload.size < sizeof(text) - 1 ? payload.size : sizeof(text) - 1);
	uint32_t number = (uint32_t)strtoul(text, NULL, 10);
	return number < MODEL_MESSAGES_MAX ? number : 0;
}

/* What is told again is safe already, or was noted when it was told first. */
static bool is_again(const struct journal_record *record)
{
	return record->is_again;
}

static void note_first(uint32_t *batch, const struct journal_record *record)
{
	if (*batch == 0 && !is_again(record))
		*batch = batch_of(record);
}

static void watch_opened(void *context, struct client_ref ref, struct slice id)
{
	if (!is_again(context))
		*session_of(context, ref) = (struct watched_session){0};
	JOURNAL_MODEL_EVENTS.opened(context, ref, id);
}

static void watch_connected(void *context, struct client_ref ref, const struct journal_connected *told)
{
	JOURNAL_MODEL_EVENTS.connected(context, ref, told);
	if (!is_again(context))
		session_of(context, ref)->connected = batch_of(context);
}

static void note_request(const struct journal_record *record, struct client_ref ref)
{
	const struct client *client = shard_client(record->shard, ref);
	const struct watched_output *output = &shard_of(record)->outputs[ref.index];
	bool is_same = output->is_known && output->generation == client->conn.generation;
	struct watched_session *session = session_of(record, ref);
	session->requests[session->request_count++ % WATCHED_MAX] = (struct watched_request){
		.behind_bytes = (is_same ? output->bytes : 0) + io_queued_bytes(&record->shard->mem.io, &client->conn),
		.batch = batch_of(record),
		.generation = client->conn.generation,
	};
}

static void watch_subscribed(void *context, struct client_ref ref, struct subscription_ref subscription,
			     const struct journal_subscription *told)
{
	JOURNAL_MODEL_EVENTS.subscribed(context, ref, subscription, told);
	if (!is_again(context))
		note_request(context, ref);
}

static void watch_unsubscribed(void *context, struct client_ref ref, struct subscription_ref subscription)
{
	JOURNAL_MODEL_EVENTS.unsubscribed(context, ref, subscription);
	note_request(context, ref);
}

static void watch_kept(void *context, struct message_ref message, const struct journal_message *told)
{
	JOURNAL_MODEL_EVENTS.kept(context, message, told);
	shard_of(context)->kept[message.index % KEPT_MAX] = number_of(&told->publication, told->packet);
}

static void watch_queued(void *context, struct client_ref ref, uint32_t entry, const struct journal_entry *told)
{
	JOURNAL_MODEL_EVENTS.queued(context, ref, entry, told);
	CHECK_LT(entry, KEPT_MAX);
	shard_of(context)->entries[entry] = (struct watched_entry){.session = ref};
	/* What another member hands on, or what was retained, comes at any time. */
	if (!told->shared && !told->retain)
		note_first(&shard_of(context)->queued[shard_of(context)->kept[told->message.index % KEPT_MAX]],
			   context);
}

static void watch_sent(void *context, uint32_t entry, uint16_t packet_id)
{
	JOURNAL_MODEL_EVENTS.sent(context, entry, packet_id);
	CHECK_LT(packet_id, IDS_MAX);
	shard_of(context)->entries[entry].packet_id = packet_id;
	if (!is_again(context))
		session_of(context, shard_of(context)->entries[entry].session)->released[packet_id] = 0;
}

static void watch_moved(void *context, uint32_t from, uint32_t to)
{
	JOURNAL_MODEL_EVENTS.moved(context, from, to);
	shard_of(context)->entries[to] = shard_of(context)->entries[from];
}

static void watch_released(void *context, uint32_t entry)
{
	JOURNAL_MODEL_EVENTS.released(context, entry);
	const struct watched_entry *watched = &shard_of(context)->entries[entry];
	note_first(&session_of(context, watched->session)->released[watched->packet_id], context);
}

static void watch_received(void *context, struct client_ref ref, uint16_t packet_id)
{
	JOURNAL_MODEL_EVENTS.received(context, ref, packet_id);
	CHECK_LT(packet_id, IDS_MAX);
	note_first(&session_of(context, ref)->received[packet_id], context);
}

static void watch_completed(void *context, struct client_ref ref, uint16_t packet_id)
{
	JOURNAL_MODEL_EVENTS.completed(context, ref, packet_id);
	CHECK_LT(packet_id, IDS_MAX);
	session_of(context, ref)->completed[packet_id] = batch_of(context);
	session_of(context, ref)->received[packet_id] = 0;
}

static void watch_retained(void *context, const struct journal_retained *told)
{
	JOURNAL_MODEL_EVENTS.retained(context, told);
	if (told->message != NULL)
		note_first(&shard_of(context)->retained[number_of(&told->message->publication, told->message->packet)],
			   context);
}

void safety_listen(struct journal_events *events)
{
	*events = JOURNAL_MODEL_EVENTS;
	events->opened = watch_opened;
	events->connected = watch_connected;
	events->subscribed = watch_subscribed;
	events->unsubscribed = watch_unsubscribed;
	events->kept = watch_kept;
	events->queued = watch_queued;
	events->sent = watch_sent;
	events->moved = watch_moved;
	events->released = watch_released;
	events->received = watch_received;
	events->completed = watch_completed;
	events->retained = watch_retained;
}

/* ---- what leaves ---- */

static bool is_safe(uint16_t shard, uint32_t batch)
{
	check_count += batch != 0;
	return batch <= watched_sim->scene->records[shard].safe;
}

static void look_at_message(uint32_t number, uint16_t packet_id)
{
	const struct sim_client *client = &watched_sim->clients[number];
	for (uint32_t i = 0; i < client->outbox_count; i++) {
		uint32_t message = client->outbox[i].message;
		if (client->outbox[i].packet_id != packet_id)
			continue;
		for (uint16_t shard = 0; shard < watched_sim->scene->shard_count; shard++) {
			if (!is_safe(shard, watched_shards[shard].queued[message]) ||
			    !is_safe(shard, watched_shards[shard].retained[message]))
				violation("message %u of client %u is acknowledged, and not safe on shard %u", message,
					  number, shard);
		}
	}
}

/* All that was done for it before its answer was sent, which begins behind so many bytes. */
static bool requests_are_safe(uint16_t number, const struct watched_session *session, uint16_t generation,
			      uint64_t behind_bytes)
{
	bool safe = true;
	for (uint32_t i = 0; i < session->request_count && i < WATCHED_MAX; i++) {
		const struct watched_request *request = &session->requests[i];
		if (request->generation != generation || request->behind_bytes <= behind_bytes)
			safe = is_safe(number, request->batch) && safe;
	}
	return safe;
}

static void look_at_session(const struct shard *shard, const struct client *client, uint8_t type, uint16_t packet_id,
			    uint64_t behind_bytes)
{
	uint16_t number = shard->env.number;
	const struct watched_session *session = &watched_shards[number].sessions[shard_client_ref(shard, client).index];
	bool safe = true;
	CHECK_LT(packet_id, IDS_MAX);
	switch (type) {
	case MQTT_CONNACK:
		safe = is_safe(number, session->connected);
		break;
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		/* Without memory to hold its answer a client ends, and what stands before that answer may leave. */
		safe = requests_are_safe(number, session, client->conn.generation, behind_bytes) ||
		       (watched_sim->hooks->memory_fails && client->state == CLIENT_CLOSING);
		break;
	case MQTT_PUBREC:
		safe = is_safe(number, session->received[packet_id]) &&
		       (session->received[packet_id] != 0 ||
			!packet_ids_has(&shard->mem.slab, extension_of(shard, client)->received, packet_id));
		break;
	case MQTT_PUBREL:
		safe = is_safe(number, session->released[packet_id]);
		break;
	case MQTT_PUBCOMP:
		safe = is_safe(number, session->completed[packet_id]);
		break;
	default:
		break;
	}
	if (!safe)
		violation("a packet of type %u leaves, identifier %u, and its event is not safe", type, packet_id);
}

/* A packet leaves, behind so many bytes; so much of its body is known. */
static void look_at_packet(const struct shard *shard, const struct client *client, uint8_t type, const uint8_t *body,
			   uint32_t size, uint64_t behind_bytes)
{
	if (client->session.id == 0 || size < 2)
		return;
	uint8_t id = registry_id(&shard->sessions.registry, &client->session).data[0];
	uint16_t packet_id = (uint16_t)(body[0] << 8 | body[1]);
	uint8_t reason = size > 2 && client->version == MQTT_VERSION_5 ? body[2] : 0;
	if (type == MQTT_CONNACK)
		packet_id = 0;
	if ((type == MQTT_PUBACK || type == MQTT_PUBREC) && reason < MQTT_REASON_UNSPECIFIED_ERROR)
		look_at_message((uint32_t)(id - 'a'), packet_id);
	bool is_looked_at = type == MQTT_CONNACK || type == MQTT_SUBACK || type == MQTT_UNSUBACK ||
			    type == MQTT_PUBREL || type == MQTT_PUBCOMP ||
			    (type == MQTT_PUBREC && reason < MQTT_REASON_UNSPECIFIED_ERROR);
	if (is_looked_at && client->session.journaled)
		look_at_session(shard, client, type, packet_id, behind_bytes);
}

/* The length of the header, and of the body. False: more is to come. */
static bool read_header(const struct watched_output *output, uint32_t *header_bytes, uint32_t *body_bytes)
{
	*body_bytes = 0;
	for (uint32_t at = 1; at < output->head_bytes; at++) {
		*body_bytes |= (output->head[at] & 0x7Fu) << (7 * (at - 1));
		*header_bytes = at + 1;
		if ((output->head[at] & 0x80u) == 0)
			return true;
	}
	return false;
}

static void watch_byte(const struct shard *shard, const struct client *client, struct watched_output *output,
		       uint8_t byte)
{
	uint32_t header = 0;
	uint32_t body = 0;
	output->bytes++;
	if (output->head_bytes < HEAD_BYTES_MAX)
		output->head[output->head_bytes++] = byte;
	if (output->in_body)
		output->left--;
	else if (!read_header(output, &header, &output->left))
		return;
	output->in_body = true;
	CHECK(read_header(output, &header, &body));
	uint32_t known = output->head_bytes - header;
	bool is_news = known == (body < 3 ? body : 3) && body - known == output->left;
	if (is_news)
		look_at_packet(shard, client, output->head[0] >> 4, output->head + header, known,
			       output->bytes - header - known);
	if (output->left != 0)
		return;
	output->head_bytes = 0;
	output->in_body = false;
}

static void watch_output(int fd, const uint8_t *bytes, size_t size)
{
	for (uint16_t number = 0; number < watched_sim->scene->shard_count; number++) {
		const struct shard *shard = &watched_sim->scene->shards[number];
		for (uint32_t place = 1; place <= shard->mem.clients.touched && place < PLACES_MAX; place++) {
			const struct client *client = shard_client(shard, (struct client_ref){place});
			if (client->state == CLIENT_FREE || client->state == CLIENT_OFFLINE ||
			    client->conn.stream.handle != fd)
				continue;
			struct watched_output *output = &watched_shards[number].outputs[place];
			if (!output->is_known || output->generation != client->conn.generation)
				*output = (struct watched_output){.generation = client->conn.generation,
								  .is_known = true};
			for (size_t i = 0; i < size; i++)
				watch_byte(shard, client, output, bytes[i]);
		}
	}
}

/* ---- plays ---- */

void safety_begin(struct sim *sim)
{
	memset(watched_shards, 0, sizeof(watched_shards));
	watched_sim = sim;
	faults_watch_output(watch_output);
}

void safety_restart(void)
{
	memset(watched_shards, 0, sizeof(watched_shards));
}

void safety_end(void)
{
	faults_watch_output(NULL);
}

void safety_commit(struct sim *sim, uint64_t seed, bool all)
{
	struct random random = {.state = seed * 0x9E3779B97F4A7C15u | 1u};
	for (uint16_t shard = 0; shard < sim->scene->shard_count; shard++) {
		struct journal_record *record = &sim->scene->records[shard];
		uint64_t more = record->batches - record->safe;
		if (!all && random_below(&random, 4) != 0)
			continue;
		record->safe += all || more == 0 ? more : 1 + random_below(&random, (uint32_t)more);
	}
}

uint64_t safety_checks(void)
{
	return check_count;
}
