#include "client_actor.h"

#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"

#include <sys/socket.h>
#include <unistd.h>

/* ---- what the server may say ---- */

static struct heard *find_heard(struct actor *actor, uint16_t packet_id)
{
	for (uint32_t i = 0; i < actor->heard_count; i++) {
		if (actor->heard[i].packet_id == packet_id)
			return &actor->heard[i];
	}
	return NULL;
}

/* No more under way than it asked for, and none with the identifier of another. */
static void hear(struct actor *actor, struct heard heard)
{
	CHECK(actor->careless || (actor->heard_count < actor->window && find_heard(actor, heard.packet_id) == NULL));
	if (actor->heard_count < ACTOR_HEARD_MAX && find_heard(actor, heard.packet_id) == NULL)
		actor->heard[actor->heard_count++] = heard;
}

static void check_publish(struct actor *actor, struct mqtt_header header, struct slice body,
			  struct mqtt_publish *publish)
{
	CHECK(mqtt_publish_decode(body, header.flags, actor->version, true, publish) == ERROR_OK);
	CHECK(publish->topic_alias <= actor->alias_max);
	CHECK(publish->topic.size != 0 || actor->aliases[publish->topic_alias]);
	if (publish->topic_alias != 0)
		actor->aliases[publish->topic_alias] = true;
	if (publish->qos != 0)
		hear(actor, (struct heard){.packet_id = publish->packet_id, .qos = publish->qos});
}

static void check_ack(struct actor *actor, struct mqtt_header header, struct slice body, struct mqtt_ack *ack)
{
	CHECK(mqtt_ack_decode(body, header.type, actor->version, ack) == ERROR_OK);
	if (header.type != MQTT_PUBREL || ack->reason != 0)
		return;
	struct heard *heard = find_heard(actor, ack->packet_id);
	if (heard != NULL)
		heard->released = true;
	else if (!actor->careless) /* of its connection before */
		hear(actor, (struct heard){.packet_id = ack->packet_id, .qos = 2, .received = true, .released = true});
}

static void check_connack(const struct actor *actor, struct slice body, struct mqtt_connack *connack)
{
	CHECK(mqtt_connack_decode(body, actor->version, connack) == ERROR_OK);
	CHECK(connack->reason == 0 || actor->may_be_refused);
	CHECK(!connack->session_present || !actor->clean);
}

static void check_body(struct actor *actor, struct mqtt_header header, struct slice body, struct actor_packet *packet)
{
	switch (header.type) {
	case MQTT_CONNACK:
		check_connack(actor, body, &packet->connack);
		return;
	case MQTT_PUBLISH:
		check_publish(actor, header, body, &packet->publish);
		return;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		check_ack(actor, header, body, &packet->ack);
		return;
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		CHECK(mqtt_suback_decode(body, header.type, actor->version, &packet->suback) == ERROR_OK);
		return;
	case MQTT_DISCONNECT:
		CHECK(actor->version == MQTT_VERSION_5);
		CHECK(mqtt_disconnect_decode(body, actor->version, true, &packet->disconnect) == ERROR_OK);
		return;
	default:
		CHECK(header.type == MQTT_PINGRESP && body.size == 0);
	}
}

/* One packet off the front; false when none is whole. */
static bool check_packet(struct actor *actor, struct slice *bytes)
{
	struct mqtt_header header;
	enum error error = mqtt_header_decode(bytes->data, bytes->size, &header);
	CHECK(error == ERROR_OK || error == ERROR_MORE);
	if (error == ERROR_MORE)
		return false;
	size_t size = (size_t)header.header_bytes + header.body_bytes;
	CHECK(mqtt_header_check(header) == ERROR_OK);
	if (bytes->size < size)
		return false;
	CHECK((header.type == MQTT_CONNACK) == !actor->greeted);
	/* A client that takes no two bytes has asked for no answer to its ping. */
	bool least = header.type == MQTT_CONNACK || header.type == MQTT_PINGRESP;
	CHECK(least || size <= actor->packet_bytes_max);
	actor->greeted = true;
	struct actor_packet packet = {.header = header};
	check_body(actor, header, slice_of(bytes->data + header.header_bytes, header.body_bytes), &packet);
	if (actor->observer.heard != NULL)
		actor->observer.heard(actor->observer.context, actor, &packet);
	*bytes = slice_of(bytes->data + size, bytes->size - size);
	return true;
}

static void check_unread(struct actor *actor)
{
	struct slice rest = slice_of(actor->unread, actor->unread_bytes);
	while (check_packet(actor, &rest))
		;
	memmove(actor->unread, rest.data, rest.size);
	actor->unread_bytes = rest.size;
}

/* ---- what clients do ---- */

void actor_begin(struct actor *actor, int fd, struct slice bytes, uint32_t inflight_max)
{
	struct mqtt_header header;
	struct mqtt_connect connect;
	CHECK(mqtt_header_decode(bytes.data, bytes.size, &header) == ERROR_OK);
	CHECK(mqtt_connect_decode(slice_of(bytes.data + header.header_bytes, header.body_bytes), &connect) == ERROR_OK);
	*actor = (struct actor){
		.fd = fd,
		.version = connect.version,
		.clean = connect.clean_start,
		.careless = bytes.size > (size_t)header.header_bytes + header.body_bytes,
		.packet_bytes_max = connect.packet_bytes_max,
		.window = connect.receive_max < inflight_max ? connect.receive_max : inflight_max,
		.alias_max = connect.topic_alias_max < ACTOR_ALIASES_MAX ? connect.topic_alias_max : ACTOR_ALIASES_MAX,
		.may_be_refused = actor->may_be_refused,
		.observer = actor->observer,
		.unread = actor->unread,
	};
}

void actor_leave(struct actor *actor)
{
	if (actor->fd >= 0)
		close(actor->fd);
	actor->fd = -1;
	actor->unread_bytes = 0;
}

void actor_read(struct actor *actor, size_t wanted)
{
	if (actor->fd < 0)
		return;
	size_t room = ACTOR_UNREAD_BYTES_MAX - actor->unread_bytes;
	ssize_t some = recv(actor->fd, actor->unread + actor->unread_bytes, wanted < room ? wanted : room, 0);
	if (some > 0) {
		actor->unread_bytes += (size_t)some;
		check_unread(actor);
	} else if (some == 0) {
		actor_leave(actor);
	}
}

void actor_say(struct actor *actor, struct slice bytes)
{
	if (actor->fd < 0 || bytes.size == 0)
		return;
	/* A packet that is cut off makes something else of what follows. */
	if (send(actor->fd, bytes.data, bytes.size, MSG_NOSIGNAL) != (ssize_t)bytes.size)
		actor->careless = true;
}

void actor_say_ack(struct actor *actor, uint8_t type, uint16_t packet_id)
{
	uint8_t packet[8];
	struct mqtt_ack ack = {.packet_id = packet_id};
	actor_say(actor, slice_of(packet, mqtt_ack_encode(&ack, type, actor->version, packet, sizeof(packet))));
}

/* Does what is next for a message; true when that was the last. */
static bool go_on_with(struct actor *actor, struct heard *heard)
{
	if (heard->qos == 1)
		actor_say_ack(actor, MQTT_PUBACK, heard->packet_id);
	else if (!heard->received)
		actor_say_ack(actor, MQTT_PUBREC, heard->packet_id);
	else if (heard->released)
		actor_say_ack(actor, MQTT_PUBCOMP, heard->packet_id);
	heard->received = true;
	return heard->qos == 1 || heard->released;
}

void actor_acknowledge(struct actor *actor, uint32_t count, bool newest)
{
	for (; count != 0 && actor->heard_count != 0; count--) {
		uint32_t at = newest ? actor->heard_count - 1 : 0;
		if (!go_on_with(actor, &actor->heard[at]))
			return;
		actor->heard_count--;
		memmove(&actor->heard[at], &actor->heard[at + 1], (actor->heard_count - at) * sizeof(actor->heard[0]));
	}
}
