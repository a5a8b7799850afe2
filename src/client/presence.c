#include "client/presence.h"

#include "mqtt/encode.h"
#include "mqtt/field/topic.h"
#include "route/routing.h"
#include "runtime/client_transport.h"
#include "state/client_state.h"
#include "state/shard.h"
#include "topics/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TOPIC_CONNECTED "$SYS/presence/connected"
#define TOPIC_DISCONNECTED "$SYS/presence/disconnected"
#define TOPIC_UNSUBSCRIBED "$SYS/presence/unsubscribed"
/* A byte of a name may take six in JSON: \u0000. */
#define NAME_FACTOR 6u
#define REST_BYTES_MAX 512u

struct text {
	char *bytes;
	size_t used;
	size_t capacity;
};

static void presence_add(struct text *text, const char *more)
{
	size_t size = strlen(more);
	CHECK_LE(text->used + size, text->capacity);
	memcpy(text->bytes + text->used, more, size);
	text->used += size;
}

static void add_number(struct text *text, const char *name, uint64_t value)
{
	char field[64];
	snprintf(field, sizeof(field), ",\"%s\":%lu", name, value);
	presence_add(text, field);
}

/* The string is UTF-8 already [MQTT-1.5.4-1], so only what JSON reserves is escaped. */
static void add_string(struct text *text, const char *before, struct slice string)
{
	presence_add(text, before);
	CHECK_LE(text->used + string.size * NAME_FACTOR + 2, text->capacity);
	text->bytes[text->used++] = '"';
	for (size_t i = 0; i < string.size; i++) {
		uint8_t byte = string.data[i];
		if (byte >= ' ' && byte != '"' && byte != '\\') {
			text->bytes[text->used++] = (char)byte;
			continue;
		}
		char escaped[8];
		snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
		presence_add(text, escaped);
	}
	text->bytes[text->used++] = '"';
}

/* True, too, if one slice of the match is not enough to tell. */
static bool has_subscribers(struct shard *shard, const char *topic)
{
	struct index_place place = {0};
	shard->routing.routes.count = 0;
	shard->routing.routes.units_left = INDEX_UNITS_MIN;
	enum error error = index_match(shard->env.index, slice_string(topic), &place, &shard->routing.routes);
	turn_work_charge(&shard->loop.work, (uint64_t)(INDEX_UNITS_MIN - shard->routing.routes.units_left) * WORK_NODE);
	return error == ERROR_MORE || (error == ERROR_OK && shard->routing.routes.count != 0);
}

static void presence_publish(struct shard *shard, const char *topic, const struct text *text)
{
	struct mqtt_publish message = {
		.topic = slice_string(topic),
		.payload = slice_of(text->bytes, text->used),
		.qos = 1,
		.packet_id = 1, /* not read by anything */
	};
	size_t size = mqtt_publish_size(&message, MQTT_VERSION_3_1_1);
	uint8_t *packet = malloc(size);
	if (packet == NULL)
		return;
	CHECK(mqtt_publish_encode(&message, MQTT_VERSION_3_1_1, packet, size) == size);
	size_t header = size - 2 - message.topic.size - 2 - message.payload.size;
	CHECK_LE(header, MQTT_HEADER_BYTES_MAX);
	struct publication publication = publication_of(&message, MQTT_VERSION_3_1_1, size, header, shard->loop.now_s);
	struct message_ref kept = messages_new(&shard->mem.messages, &publication, packet);
	if (!message_ref_is_none(kept))
		routing_publish(shard, kept, client_ref_none(), NULL);
	free(packet);
}

/* How it comes. A certificate's subject is UTF-8, and may have been cut in the middle of a character. */
static void add_transport(struct text *text, const struct client *client, const struct stream_facts *facts)
{
	const char *version = client_tls_version(facts->tls_version);
	const char *cipher = client_tls_cipher(facts->tls_cipher);
	struct slice subject = facts->subject;
	add_string(text, ",\"transport\":",
		   slice_string(client_transport_name(client_transport(facts, client->session.is_unix))));
	if (version != NULL)
		add_string(text, ",\"tls\":", slice_string(version));
	if (cipher != NULL)
		add_string(text, ",\"cipher\":", slice_string(cipher));
	while (subject.size != 0 && mqtt_string_check(subject) != ERROR_OK)
		subject.size--;
	if (subject.size != 0)
		add_string(text, ",\"subject\":", subject);
}

/* filter: empty unless it is about a subscription. reason: NULL if the client has connected. */
static void presence_tell(struct shard *shard, const struct client *client, const char *topic, struct slice filter,
			  const char *reason)
{
	if (client->session.id == 0 || client_is_internal(client) || !has_subscribers(shard, topic))
		return;
	struct slice id = registry_id(&shard->sessions.registry, &client->session);
	struct stream_facts facts = stream_facts(&shard->mem.io.streams, client->conn.stream);
	struct text text = {.capacity = (id.size + filter.size + facts.subject.size) * NAME_FACTOR + REST_BYTES_MAX};
	text.bytes = malloc(text.capacity);
	if (text.bytes == NULL)
		return;
	add_string(&text, "{\"client\":", id);
	add_number(&text, "version", client->version);
	add_number(&text, "keepalive", client->keepalive_s);
	add_number(&text, "time", (uint64_t)time(NULL));
	if (filter.size != 0)
		add_string(&text, ",\"filter\":", filter);
	else
		add_transport(&text, client, &facts);
	if (reason != NULL)
		add_string(&text, ",\"reason\":", slice_string(reason));
	presence_add(&text, "}");
	presence_publish(shard, topic, &text);
	free(text.bytes);
}

void presence_connected(struct shard *shard, const struct client *client)
{
	presence_tell(shard, client, TOPIC_CONNECTED, slice_of(NULL, 0), NULL);
}

void presence_disconnected(struct shard *shard, const struct client *client, enum error reason)
{
	presence_tell(shard, client, TOPIC_DISCONNECTED, slice_of(NULL, 0), error_name(reason));
}

void presence_unsubscribed(struct shard *shard, const struct client *client, struct slice filter, enum error reason)
{
	presence_tell(shard, client, TOPIC_UNSUBSCRIBED, filter, error_name(reason));
}
