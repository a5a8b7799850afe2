#include "client/presence.h"

#include "base/clock.h"
#include "mqtt/encode.h"
#include "mqtt/field/topic.h"
#include "net/health.h"
#include "net/peer.h"
#include "route/other_nodes.h"
#include "route/routing.h"
#include "runtime/client_transport.h"
#include "state/client_state.h"
#include "state/principal.h"
#include "state/shard.h"
#include "topics/index/index.h"

#include <stdio.h>
#include <stdlib.h>

#define TOPIC_CONNECTED "$SYS/presence/connected"
#define TOPIC_DISCONNECTED "$SYS/presence/disconnected"
#define TOPIC_SESSION_ENDED "$SYS/presence/session_ended"
#define TOPIC_WILL_PUBLISHED "$SYS/presence/will_published"
#define TOPIC_SUBSCRIBED "$SYS/presence/subscribed"
#define TOPIC_UNSUBSCRIBED "$SYS/presence/unsubscribed"
/* A byte of a name may take six in JSON: \u0000. */
#define NAME_FACTOR 6u
#define REST_BYTES_MAX 768u

/* An event while it is written. */
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
	shard->routing.routes.peers = 0;
	shard->routing.routes.units_left = INDEX_UNITS_MIN;
	enum error error = index_match(shard->env.index, slice_string(topic), &place, &shard->routing.routes);
	turn_work_charge(&shard->loop.work, (uint64_t)(INDEX_UNITS_MIN - shard->routing.routes.units_left) * WORK_NODE);
	return error == ERROR_MORE || (error == ERROR_OK && shard->routing.routes.count != 0) ||
	       (shard->env.nodes != NULL && other_nodes_want(shard, slice_string(topic)));
}

static void presence_publish(struct shard *shard, const char *topic, struct text *text)
{
	presence_add(text, "}");
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

/* ---- what events have in common ---- */

/* Begins an event with what all of them have. False: nobody is to hear of it, or there is no memory. strings: bytes of
 * what the caller adds by add_string(). */
static bool presence_begin(struct shard *shard, const struct client *client, const char *topic, size_t strings,
			   struct text *text)
{
	if (client->session.id == 0)
		return false;
	struct slice id = registry_id(&shard->sessions.registry, &client->session);
	if (session_id_is_internal(id) || !has_subscribers(shard, topic))
		return false;
	const struct principal *principal = principal_of(shard, client);
	struct slice user = slice_of(NULL, 0);
	if (principal != NULL)
		user = slice_of(principal->user, principal->user_bytes);
	*text = (struct text){.capacity = (id.size + user.size + strings) * NAME_FACTOR + REST_BYTES_MAX};
	text->bytes = malloc(text->capacity);
	if (text->bytes == NULL)
		return false;
	turn_work_charge(&shard->loop.work, WORK_PRESENCE);
	uint64_t now_ms = clock_wall_ms();
	add_string(text, "{\"client\":", id);
	if (user.size != 0)
		add_string(text, ",\"user\":", user);
	add_number(text, "time", now_ms / 1000);
	add_number(text, "time_ms", now_ms);
	if (shard->env.settings->node[0] != '\0')
		add_string(text, ",\"node\":", slice_string(shard->env.settings->node));
	return true;
}

static void presence_end(struct shard *shard, const char *topic, struct text *text)
{
	presence_publish(shard, topic, text);
	free(text->bytes);
}

static void add_reason(struct text *text, const char *reason)
{
	add_string(text, ",\"reason\":", slice_string(reason));
}

static void add_version(struct text *text, const struct client *client)
{
	add_number(text, "version", client->version);
	add_number(text, "keepalive", client->keepalive_s);
}

/* ---- connections ---- */

static void add_peer(struct shard *shard, struct text *text, const struct client *client)
{
	char address[PEER_TEXT_BYTES_MAX];
	union peer peer = peer_of_stream(&shard->mem.io.streams, client->conn.stream);
	if (peer.any.sa_family != AF_UNSPEC)
		add_string(text, ",\"address\":", slice_string(peer_print(&peer, address)));
}

static bool begin_of_connection(struct shard *shard, const struct client *client, const char *topic, struct text *text)
{
	struct stream_facts facts = stream_facts(&shard->mem.io.streams, client->conn.stream);
	if (!presence_begin(shard, client, topic, facts.subject.size, text))
		return false;
	add_version(text, client);
	add_peer(shard, text, client);
	add_transport(text, client, &facts);
	return true;
}

static void add_traffic(struct shard *shard, struct text *text, const struct client *client)
{
	struct traffic traffic;
	if (!health_read_traffic(&shard->mem.io.streams, client->conn.stream, &traffic))
		return;
	add_number(text, "bytes_received", traffic.received);
	add_number(text, "bytes_sent", traffic.acknowledged);
}

static void add_duration(struct shard *shard, struct text *text, const struct client *client)
{
	uint32_t at_s = shard_connected_at_s(shard, shard_client_ref(shard, client));
	if (at_s != 0 && at_s <= shard->loop.now_s)
		add_number(text, "duration_s", shard->loop.now_s - at_s);
}

void presence_connected(struct shard *shard, const struct client *client)
{
	struct text text;
	if (begin_of_connection(shard, client, TOPIC_CONNECTED, &text))
		presence_end(shard, TOPIC_CONNECTED, &text);
}

void presence_disconnected(struct shard *shard, const struct client *client, enum error reason)
{
	struct text text;
	if (!begin_of_connection(shard, client, TOPIC_DISCONNECTED, &text))
		return;
	add_duration(shard, &text, client);
	add_traffic(shard, &text, client);
	add_reason(&text, error_name(reason));
	presence_end(shard, TOPIC_DISCONNECTED, &text);
}

/* ---- sessions ---- */

void presence_will_published(struct shard *shard, const struct client *client, struct message_ref will)
{
	struct text text;
	const struct message *message = message_at(&shard->mem.messages, will);
	struct slice topic =
		publication_parts(&message->publication, message_packet(&shard->mem.messages, message)).topic;
	if (!presence_begin(shard, client, TOPIC_WILL_PUBLISHED, topic.size, &text))
		return;
	add_string(&text, ",\"topic\":", topic);
	add_number(&text, "qos", message->publication.qos);
	presence_add(&text, message->publication.retain ? ",\"retain\":true" : ",\"retain\":false");
	presence_end(shard, TOPIC_WILL_PUBLISHED, &text);
}

void presence_session_ended(struct shard *shard, const struct client *client, enum error reason)
{
	struct text text;
	if (!presence_begin(shard, client, TOPIC_SESSION_ENDED, 0, &text))
		return;
	add_reason(&text, reason == ERROR_NOT_FOUND ? "EXPIRED" : error_name(reason));
	presence_end(shard, TOPIC_SESSION_ENDED, &text);
}

/* ---- subscriptions ---- */

bool presence_of_subscriptions(struct shard *shard)
{
	return has_subscribers(shard, TOPIC_SUBSCRIBED) || has_subscribers(shard, TOPIC_UNSUBSCRIBED);
}

static bool begin_of_filter(struct shard *shard, const struct client *client, const char *topic, struct slice filter,
			    struct text *text)
{
	if (!presence_begin(shard, client, topic, filter.size, text))
		return false;
	if (client->state != CLIENT_OFFLINE)
		add_version(text, client);
	add_string(text, ",\"filter\":", filter);
	return true;
}

void presence_subscribed(struct shard *shard, const struct client *client, struct slice filter, uint8_t qos)
{
	struct text text;
	if (!begin_of_filter(shard, client, TOPIC_SUBSCRIBED, filter, &text))
		return;
	add_number(&text, "qos", qos);
	presence_end(shard, TOPIC_SUBSCRIBED, &text);
}

void presence_unsubscribed(struct shard *shard, const struct client *client, struct slice filter, enum error reason)
{
	struct text text;
	if (!begin_of_filter(shard, client, TOPIC_UNSUBSCRIBED, filter, &text))
		return;
	if (reason != ERROR_OK)
		add_reason(&text, error_name(reason));
	presence_end(shard, TOPIC_UNSUBSCRIBED, &text);
}
