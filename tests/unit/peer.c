#include "peer.h"

#include "mqtt/decode.h"
#include "mqtt/encode.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PACKET_BYTES_MAX ((size_t)4 << 20)
#define READ_BYTES_MIN ((size_t)64 << 10)
#define SAY_TIMES_MAX 10000

/* ---- coming and going ---- */

static struct mqtt_connect connect_of(const struct peer_connect *asked)
{
	struct mqtt_connect connect = {
		.client_id = slice_string(asked->id != NULL ? asked->id : "peer"),
		.session_expiry_s = asked->expiry_s,
		.packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
		.receive_max = asked->receive_max != 0 ? asked->receive_max : UINT16_MAX,
		.topic_alias_max = asked->alias_max,
		.keepalive_s = asked->keepalive_s,
		.version = asked->version != 0 ? asked->version : MQTT_VERSION_5,
		.clean_start = asked->clean,
		.is_bridge = asked->bridge,
		.has_will = asked->will_topic != NULL,
		.request_problem_info = true,
	};
	if (asked->packet_bytes_max != 0)
		connect.packet_bytes_max = asked->packet_bytes_max;
	if (connect.has_will)
		connect.will = (struct mqtt_will){
			.topic = slice_string(asked->will_topic),
			.payload = slice_string(asked->will_payload != NULL ? asked->will_payload : "gone"),
			.properties = asked->will_properties,
			.delay_s = asked->will_delay_s,
			.qos = asked->will_qos,
			.retain = asked->will_retain,
		};
	return connect;
}

struct far_peer peer_connect(struct shard_scene *scene, const struct peer_connect *asked)
{
	static uint8_t packet[65536];
	struct mqtt_connect connect = connect_of(asked);
	size_t size = mqtt_connect_encode(&connect, packet, sizeof(packet));
	assert_int_not_equal(size, 0);
	assert_true(size + asked->rest.size <= sizeof(packet));
	if (asked->rest.size != 0)
		memcpy(packet + size, asked->rest.data, asked->rest.size);
	size += asked->rest.size;
	struct far_peer peer = {.scene = scene, .version = connect.version};
	peer.fd = shard_scene_connect(scene, asked->shard, slice_of(packet, size), asked->send_bytes);
	assert_true(peer.fd >= 0);
	return peer;
}

struct far_peer peer_sign_in(struct shard_scene *scene, const struct peer_connect *asked, bool present)
{
	struct far_peer peer = peer_connect(scene, asked);
	struct heard heard;
	assert_true(peer_hears(&peer, &heard));
	assert_int_equal(heard.header.type, MQTT_CONNACK);
	assert_int_equal(heard.connack.reason, 0);
	assert_int_equal(heard.connack.session_present, present);
	return peer;
}

static void close_end(struct far_peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
	free(peer->unread);
	peer->unread = NULL;
	peer->unread_bytes = peer->unread_capacity = peer->taken = 0;
}

void peer_drop(struct far_peer *peer)
{
	close_end(peer);
}

void peer_vanish(struct far_peer *peer)
{
	close_end(peer);
	shard_scene_settle(peer->scene);
}

void peer_leave(struct far_peer *peer)
{
	peer_say(peer, "\xe0", 2);
#ifdef SCENE_FRAMED
	shard_scene_settle(peer->scene); /* it takes several turns to read what it said */
#endif
	peer_vanish(peer);
}

void peer_disconnect(struct far_peer *peer, uint8_t reason, uint32_t expiry_s)
{
	uint8_t packet[] = {0xe0,
			    7,
			    reason,
			    5,
			    0x11,
			    (uint8_t)(expiry_s >> 24),
			    (uint8_t)(expiry_s >> 16),
			    (uint8_t)(expiry_s >> 8),
			    (uint8_t)expiry_s};
	peer_say(peer, packet, sizeof(packet));
	shard_scene_settle(peer->scene);
}

/* ---- saying ---- */

void peer_say(const struct far_peer *peer, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	for (int times = 0; size != 0; times++) {
		ssize_t some = send(peer->fd, at, size, MSG_NOSIGNAL);
		if (some < 0 && (errno != EAGAIN || times == SAY_TIMES_MAX))
			fail_msg("the server does not listen: %s", strerror(errno));
		if (some < 0)
			shard_scene_settle(peer->scene);
		at += some > 0 ? some : 0;
		size -= some > 0 ? (size_t)some : 0;
	}
}

void peer_publish_as(const struct far_peer *peer, const struct mqtt_publish *publish)
{
	size_t size = mqtt_publish_size(publish, peer->version);
	assert_in_range(size, 1, PACKET_BYTES_MAX);
	uint8_t *packet = malloc(size);
	assert_non_null(packet);
	assert_int_equal(mqtt_publish_encode(publish, peer->version, packet, size), size);
	peer_say(peer, packet, size);
	free(packet);
}

void peer_publish(const struct far_peer *peer, const char *topic, const char *payload, uint8_t qos, uint16_t packet_id)
{
	struct mqtt_publish publish = {
		.topic = slice_string(topic),
		.payload = slice_string(payload),
		.packet_id = packet_id,
		.qos = qos,
	};
	peer_publish_as(peer, &publish);
}

void peer_ack_with(const struct far_peer *peer, uint8_t type, uint16_t packet_id, uint8_t reason)
{
	uint8_t packet[8];
	struct mqtt_ack ack = {.packet_id = packet_id, .reason = reason};
	size_t size = mqtt_ack_encode(&ack, type, peer->version, packet, sizeof(packet));
	peer_say(peer, packet, size);
}

void peer_ack(const struct far_peer *peer, uint8_t type, uint16_t packet_id)
{
	peer_ack_with(peer, type, packet_id, 0);
}

void peer_ask(const struct far_peer *peer, const struct mqtt_subscription *asked, uint32_t identifier)
{
	uint8_t packet[1024];
	size_t size = mqtt_subscribe_encode(1, identifier, asked, 1, peer->version, packet, sizeof(packet));
	assert_int_not_equal(size, 0);
	peer_say(peer, packet, size);
}

static void hears_codes(struct far_peer *peer, uint8_t type, uint8_t code)
{
	struct heard heard;
	assert_true(peer_hears(peer, &heard));
	assert_int_equal(heard.header.type, type);
	assert_int_equal(heard.suback.packet_id, 1);
	if (heard.suback.codes.size != 0) /* UNSUBACK has none before version 5 */
		assert_int_equal(heard.suback.codes.data[0], code);
}

void peer_subscribe_as(struct far_peer *peer, const struct mqtt_subscription *asked, uint32_t identifier)
{
	peer_ask(peer, asked, identifier);
	hears_codes(peer, MQTT_SUBACK, asked->qos);
}

void peer_subscribe(struct far_peer *peer, const char *filter, uint8_t qos)
{
	struct mqtt_subscription asked = {.filter = slice_string(filter), .qos = qos};
	peer_subscribe_as(peer, &asked, 0);
}

void peer_unsubscribe(struct far_peer *peer, const char *filter)
{
	uint8_t packet[1024];
	struct slice asked = slice_string(filter);
	size_t size = mqtt_unsubscribe_encode(1, &asked, 1, peer->version, packet, sizeof(packet));
	assert_int_not_equal(size, 0);
	peer_say(peer, packet, size);
	hears_codes(peer, MQTT_UNSUBACK, MQTT_REASON_SUCCESS);
}

/* ---- hearing ---- */

/* False: nothing came. */
static bool read_more(struct far_peer *peer)
{
	if (peer->fd < 0)
		return false;
	if (peer->taken != 0) {
		memmove(peer->unread, peer->unread + peer->taken, peer->unread_bytes - peer->taken);
		peer->unread_bytes -= peer->taken;
		peer->taken = 0;
	}
	if (peer->unread_capacity - peer->unread_bytes < READ_BYTES_MIN) {
		peer->unread_capacity = peer->unread_bytes * 2 + READ_BYTES_MIN;
		peer->unread = realloc(peer->unread, peer->unread_capacity);
		assert_non_null(peer->unread);
	}
	ssize_t some = recv(peer->fd, peer->unread + peer->unread_bytes, peer->unread_capacity - peer->unread_bytes, 0);
	if (some > 0)
		peer->unread_bytes += (size_t)some;
	return some > 0;
}

static enum error decode(const struct far_peer *peer, struct heard *heard)
{
	uint8_t type = heard->header.type;
	switch (type) {
	case MQTT_CONNACK:
		return mqtt_connack_decode(heard->body, peer->version, &heard->connack);
	case MQTT_PUBLISH:
		return mqtt_publish_decode(heard->body, heard->header.flags, peer->version, true, &heard->publish);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return mqtt_ack_decode(heard->body, type, peer->version, &heard->ack);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return mqtt_suback_decode(heard->body, type, peer->version, &heard->suback);
	case MQTT_DISCONNECT:
		return mqtt_disconnect_decode(heard->body, peer->version, true, &heard->disconnect);
	default:
		return type == MQTT_PINGRESP ? mqtt_empty_decode(heard->body) : ERROR_PACKET_TYPE;
	}
}

/* Takes a whole packet off what came. */
static bool take_packet(struct far_peer *peer, struct heard *heard)
{
	size_t size = peer->unread_bytes - peer->taken;
	const uint8_t *at = peer->unread + peer->taken;
	if (size == 0 || mqtt_header_decode(at, size, &heard->header) != ERROR_OK)
		return false;
	size_t whole = (size_t)heard->header.header_bytes + heard->header.body_bytes;
	if (size < whole)
		return false;
	assert_int_equal(mqtt_header_check(heard->header), ERROR_OK);
	heard->body = slice_of(at + heard->header.header_bytes, heard->header.body_bytes);
	enum error error = decode(peer, heard);
	if (error != ERROR_OK)
		fail_msg("a packet of type %u: %s", heard->header.type, error_sentence(error));
	peer->taken += whole;
	return true;
}

bool peer_heard(struct far_peer *peer, struct heard *heard)
{
	*heard = (struct heard){.body = {0}};
	while (!take_packet(peer, heard)) {
		if (!read_more(peer))
			return false;
	}
	return true;
}

/* What came and is no packet yet. */
static size_t bytes_in_part(const struct far_peer *peer)
{
#ifdef SCENE_FRAMED
	return peer->unread_bytes + link_unread(peer->fd);
#else
	return peer->unread_bytes;
#endif
}

bool peer_hears(struct far_peer *peer, struct heard *heard)
{
	if (peer_heard(peer, heard))
		return true;
	size_t bytes;
	do { /* a packet may be longer than its socket holds */
		bytes = bytes_in_part(peer);
		shard_scene_settle(peer->scene);
		if (peer_heard(peer, heard))
			return true;
	} while (bytes_in_part(peer) != bytes);
	return false;
}

struct mqtt_publish peer_hears_publish(struct far_peer *peer, const char *topic, const char *payload, uint8_t qos)
{
	struct heard heard;
	if (!peer_hears(peer, &heard))
		fail_msg("\"%s\" does not come to \"%s\"", payload, topic);
	if (heard.header.type != MQTT_PUBLISH)
		fail_msg("packet of type %u instead of \"%s\"", heard.header.type, payload);
	const struct mqtt_publish *publish = &heard.publish;
	if (!slice_equal(publish->topic, slice_string(topic)) || !slice_equal(publish->payload, slice_string(payload)))
		fail_msg("\"%.*s\" to \"%.*s\" instead of \"%s\" to \"%s\"", (int)publish->payload.size,
			 (const char *)publish->payload.data, (int)publish->topic.size,
			 (const char *)publish->topic.data, payload, topic);
	assert_int_equal(publish->qos, qos);
	return *publish;
}

void peer_hears_ack(struct far_peer *peer, uint8_t type, uint16_t packet_id, uint8_t reason)
{
	struct heard heard;
	assert_true(peer_hears(peer, &heard));
	assert_int_equal(heard.header.type, type);
	assert_int_equal(heard.ack.packet_id, packet_id);
	assert_int_equal(heard.ack.reason, peer->version == MQTT_VERSION_5 ? reason : 0);
}

static bool is_at_end(const struct far_peer *peer)
{
	uint8_t byte;
	return peer->unread_bytes == peer->taken && recv(peer->fd, &byte, 1, 0) == 0;
}

void peer_hears_nothing(struct far_peer *peer)
{
	struct heard heard;
	if (peer_hears(peer, &heard))
		fail_msg("packet of type %u, flags %u instead of nothing", heard.header.type, heard.header.flags);
	assert_int_equal(peer->unread_bytes, peer->taken);
	assert_false(is_at_end(peer));
}

void peer_hears_end(struct far_peer *peer)
{
	struct heard heard;
	if (peer_hears(peer, &heard))
		fail_msg("packet of type %u instead of the end", heard.header.type);
	assert_true(is_at_end(peer));
	close_end(peer);
}

void peer_hears_disconnect(struct far_peer *peer, uint8_t reason)
{
	struct heard heard;
	assert_true(peer_hears(peer, &heard));
	assert_int_equal(heard.header.type, MQTT_DISCONNECT);
	assert_int_equal(heard.disconnect.reason, reason);
	peer_hears_end(peer);
}

void peer_completes(struct far_peer *peer, const struct mqtt_publish *publish)
{
	uint16_t packet_id = publish->packet_id;
	if (publish->qos == 1) {
		peer_ack(peer, MQTT_PUBACK, packet_id);
	} else if (publish->qos == 2) {
		peer_ack(peer, MQTT_PUBREC, packet_id);
		peer_hears_ack(peer, MQTT_PUBREL, packet_id, 0);
		peer_ack(peer, MQTT_PUBCOMP, packet_id);
	}
	shard_scene_settle(peer->scene);
}

uint32_t peer_counts(struct far_peer *peer, uint8_t type)
{
	struct heard heard;
	uint32_t count = 0;
	while (peer_hears(peer, &heard))
		count += heard.header.type == type;
	return count;
}
