/* An input is a byte that chooses version and side, and a stream of packets. What a decoder accepts must come out the
 * same after encoding and decoding again; what it refuses must at least not break anything. */
#include "fuzz.h"

#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/property.h"
#include "mqtt/field/reason.h"

#include <stdlib.h>

#define SUBSCRIPTIONS_MAX 1024

struct stream {
	uint8_t version;
	bool from_server;
	struct mqtt_header header;
	struct slice body;
};

/* A packet that was encoded again, in a block of exactly its size. */
struct packet {
	uint8_t *bytes;
	struct slice body;
	struct mqtt_header header;
};

/* An encoder adds at most the header and a property length to what it was given. */
static size_t room_for(struct slice body)
{
	return body.size + 64;
}

static struct packet packet_of(uint8_t *out, size_t size, const struct stream *stream)
{
	CHECK(size > 0);
	struct packet packet = {.bytes = block_new(size)};
	memcpy(packet.bytes, out, size);
	free(out);
	CHECK(mqtt_header_decode(packet.bytes, size, &packet.header) == ERROR_OK);
	CHECK(mqtt_header_check(packet.header) == ERROR_OK);
	CHECK(packet.header.type == stream->header.type && packet.header.flags == stream->header.flags);
	CHECK((size_t)packet.header.header_bytes + packet.header.body_bytes == size);
	packet.body = slice_of(packet.bytes + packet.header.header_bytes, packet.header.body_bytes);
	return packet;
}

static bool bodies_equal(const struct packet *packet, const struct stream *stream)
{
	return slice_equal(packet->body, stream->body);
}

static void properties_walk(struct slice properties, uint8_t packet)
{
	CHECK(mqtt_properties_check(properties, packet) == ERROR_OK);
	struct slice all = properties;
	struct mqtt_property property;
	uint64_t seen = 0;
	enum error error;
	for (size_t at = 0; (error = mqtt_property_next(&properties, &property)) == ERROR_OK;
	     at = all.size - properties.size) {
		CHECK(property.data.size <= UINT16_MAX && property.value.size <= UINT16_MAX);
		CHECK((seen >> property.id & 1) != 0 || mqtt_property_find(all, 0, property.id) == at);
		seen |= UINT64_C(1) << property.id;
	}
	CHECK(error == ERROR_MORE);
}

/* The properties are written as they came, so the fields that were taken from them must not be written twice. */
static void connect_fields_reset(struct mqtt_connect *connect)
{
	connect->session_expiry_s = 0;
	connect->packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX;
	connect->receive_max = UINT16_MAX;
	connect->topic_alias_max = 0;
	connect->request_response_info = false;
	connect->request_problem_info = true;
	connect->auth_method = connect->auth_data = slice_of(NULL, 0);
	connect->will.delay_s = 0;
}

static enum error try_connect(const struct stream *stream)
{
	struct mqtt_connect connect;
	enum error error = mqtt_connect_decode(stream->body, &connect);
	if (error != ERROR_OK)
		return error;
	properties_walk(connect.properties, MQTT_CONNECT);
	properties_walk(connect.will.properties, MQTT_PROPERTIES_OF_WILL);
	connect_fields_reset(&connect);
	uint8_t *out = block_new(room_for(stream->body));
	size_t size = mqtt_connect_encode(&connect, out, room_for(stream->body));
	struct packet packet = packet_of(out, size, stream);
	CHECK(bodies_equal(&packet, stream));
	free(packet.bytes);
	return ERROR_OK;
}

/* User properties and the like are not kept, so the bytes may differ; what is kept may not. */
static enum error try_connack(const struct stream *stream)
{
	struct mqtt_connack connack, again = {0};
	enum error error = mqtt_connack_decode(stream->body, stream->version, &connack);
	if (error != ERROR_OK)
		return error;
	uint8_t *out = block_new(room_for(stream->body));
	size_t size = mqtt_connack_encode(&connack, stream->version, out, room_for(stream->body));
	struct packet packet = packet_of(out, size, stream);
	CHECK(mqtt_connack_decode(packet.body, stream->version, &again) == ERROR_OK);
	CHECK(again.reason == connack.reason && again.session_present == connack.session_present);
	CHECK(again.receive_max == connack.receive_max && again.qos_max == connack.qos_max);
	CHECK(again.topic_alias_max == connack.topic_alias_max);
	CHECK(again.packet_bytes_max == connack.packet_bytes_max);
	CHECK(again.has_session_expiry == connack.has_session_expiry);
	CHECK(again.session_expiry_s == connack.session_expiry_s);
	CHECK(again.has_server_keepalive == connack.has_server_keepalive);
	CHECK(again.server_keepalive_s == connack.server_keepalive_s);
	CHECK(again.retain_available == connack.retain_available);
	CHECK(again.shared_available == connack.shared_available);
	CHECK(again.wildcard_available == connack.wildcard_available);
	CHECK(again.subscription_id_available == connack.subscription_id_available);
	CHECK(slice_equal(again.assigned_client_id, connack.assigned_client_id));
	CHECK(slice_equal(again.reason_string, connack.reason_string));
	free(packet.bytes);
	return ERROR_OK;
}

static enum error try_publish(const struct stream *stream)
{
	struct mqtt_publish publish;
	enum error error =
		mqtt_publish_decode(stream->body, stream->header.flags, stream->version, stream->from_server, &publish);
	if (error != ERROR_OK)
		return error;
	properties_walk(publish.properties, MQTT_PUBLISH);
	size_t size = mqtt_publish_size(&publish, stream->version);
	uint8_t *out = block_new(size);
	CHECK(mqtt_publish_encode(&publish, stream->version, out, size - 1) == 0);
	CHECK(mqtt_publish_encode(&publish, stream->version, out, size) == size);
	struct packet packet = packet_of(out, size, stream);
	CHECK(bodies_equal(&packet, stream));
	free(packet.bytes);
	return ERROR_OK;
}

static enum error try_ack(const struct stream *stream)
{
	struct mqtt_ack ack, again = {0};
	uint8_t type = stream->header.type;
	enum error error = mqtt_ack_decode(stream->body, type, stream->version, &ack);
	if (error != ERROR_OK)
		return error;
	properties_walk(ack.properties, type);
	uint8_t *out = block_new(room_for(stream->body));
	size_t size = mqtt_ack_encode(&ack, type, stream->version, out, room_for(stream->body));
	struct packet packet = packet_of(out, size, stream);
	CHECK(packet.body.size <= stream->body.size);
	CHECK(mqtt_ack_decode(packet.body, type, stream->version, &again) == ERROR_OK);
	CHECK(again.packet_id == ack.packet_id && again.reason == ack.reason);
	CHECK(slice_equal(again.properties, ack.properties));
	free(packet.bytes);
	return ERROR_OK;
}

static bool subscriptions_equal(const struct mqtt_subscription *a, const struct mqtt_subscription *b)
{
	return slice_equal(a->filter, b->filter) && a->qos == b->qos && a->no_local == b->no_local &&
	       a->retain_as_published == b->retain_as_published && a->retain_handling == b->retain_handling;
}

static enum error try_subscribe(const struct stream *stream)
{
	struct mqtt_subscribe subscribe, again = {0};
	enum error error = mqtt_subscribe_decode(stream->body, stream->version, &subscribe);
	if (error != ERROR_OK || subscribe.filter_count > SUBSCRIPTIONS_MAX)
		return error;
	properties_walk(subscribe.properties, MQTT_SUBSCRIBE);
	struct mqtt_subscription all[SUBSCRIPTIONS_MAX], next;
	uint32_t count = 0;
	while (mqtt_subscribe_next(&subscribe.filters, stream->version, &next))
		all[count++] = next;
	CHECK(count == subscribe.filter_count);
	uint8_t *out = block_new(room_for(stream->body));
	size_t size = mqtt_subscribe_encode(subscribe.packet_id, subscribe.identifier, all, count, stream->version, out,
					    room_for(stream->body));
	struct packet packet = packet_of(out, size, stream);
	CHECK(mqtt_subscribe_decode(packet.body, stream->version, &again) == ERROR_OK);
	CHECK(again.packet_id == subscribe.packet_id && again.identifier == subscribe.identifier);
	CHECK(again.filter_count == count);
	for (uint32_t i = 0; i < count; i++) {
		CHECK(mqtt_subscribe_next(&again.filters, stream->version, &next));
		CHECK(subscriptions_equal(&all[i], &next));
	}
	free(packet.bytes);
	return ERROR_OK;
}

static enum error try_unsubscribe(const struct stream *stream)
{
	struct mqtt_unsubscribe unsubscribe, again = {0};
	enum error error = mqtt_unsubscribe_decode(stream->body, stream->version, &unsubscribe);
	if (error != ERROR_OK || unsubscribe.filter_count > SUBSCRIPTIONS_MAX)
		return error;
	properties_walk(unsubscribe.properties, MQTT_UNSUBSCRIBE);
	struct slice all[SUBSCRIPTIONS_MAX], rest = unsubscribe.filters, next;
	uint32_t count = 0;
	while (mqtt_unsubscribe_next(&rest, &next))
		all[count++] = next;
	CHECK(count == unsubscribe.filter_count);
	uint8_t *out = block_new(room_for(stream->body));
	size_t size = mqtt_unsubscribe_encode(unsubscribe.packet_id, all, count, stream->version, out,
					      room_for(stream->body));
	struct packet packet = packet_of(out, size, stream);
	CHECK(mqtt_unsubscribe_decode(packet.body, stream->version, &again) == ERROR_OK);
	CHECK(again.packet_id == unsubscribe.packet_id && again.filter_count == count);
	CHECK(slice_equal(again.filters, unsubscribe.filters));
	free(packet.bytes);
	return ERROR_OK;
}

static enum error try_suback(const struct stream *stream)
{
	struct mqtt_suback suback, again = {0};
	uint8_t type = stream->header.type;
	enum error error = mqtt_suback_decode(stream->body, type, stream->version, &suback);
	if (error != ERROR_OK)
		return error;
	properties_walk(suback.properties, type);
	uint8_t *out = block_new(room_for(stream->body));
	size_t size = mqtt_suback_encode(suback.packet_id, suback.codes.data, suback.codes.size, type, stream->version,
					 out, room_for(stream->body));
	struct packet packet = packet_of(out, size, stream);
	CHECK(mqtt_suback_decode(packet.body, type, stream->version, &again) == ERROR_OK);
	CHECK(again.packet_id == suback.packet_id && slice_equal(again.codes, suback.codes));
	free(packet.bytes);
	return ERROR_OK;
}

static enum error try_disconnect(const struct stream *stream)
{
	struct mqtt_disconnect disconnect, again = {0};
	enum error error = mqtt_disconnect_decode(stream->body, stream->version, stream->from_server, &disconnect);
	if (error != ERROR_OK)
		return error;
	properties_walk(disconnect.properties, MQTT_DISCONNECT);
	uint8_t *out = block_new(room_for(stream->body));
	size_t size = mqtt_disconnect_encode(disconnect.reason, disconnect.reason_string, slice_of(NULL, 0),
					     stream->version, out, room_for(stream->body));
	struct packet packet = packet_of(out, size, stream);
	CHECK(mqtt_disconnect_decode(packet.body, stream->version, stream->from_server, &again) == ERROR_OK);
	CHECK(again.reason == disconnect.reason && slice_equal(again.reason_string, disconnect.reason_string));
	free(packet.bytes);
	return ERROR_OK;
}

static enum error try_empty(const struct stream *stream)
{
	enum error error = mqtt_empty_decode(stream->body);
	if (error != ERROR_OK)
		return error;
	uint8_t *out = block_new(2);
	struct packet packet = packet_of(out, mqtt_empty_encode(stream->header.type, out, 2), stream);
	free(packet.bytes);
	return ERROR_OK;
}

static enum error try_auth(const struct stream *stream)
{
	struct mqtt_auth auth;
	enum error error = mqtt_auth_decode(stream->body, &auth);
	if (error == ERROR_OK)
		properties_walk(auth.properties, MQTT_AUTH);
	return error;
}

static enum error try_packet(const struct stream *stream)
{
	switch ((enum mqtt_type)stream->header.type) {
	case MQTT_CONNECT:
		return try_connect(stream);
	case MQTT_CONNACK:
		return try_connack(stream);
	case MQTT_PUBLISH:
		return try_publish(stream);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return try_ack(stream);
	case MQTT_SUBSCRIBE:
		return try_subscribe(stream);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return try_suback(stream);
	case MQTT_UNSUBSCRIBE:
		return try_unsubscribe(stream);
	case MQTT_PINGREQ:
	case MQTT_PINGRESP:
		return try_empty(stream);
	case MQTT_DISCONNECT:
		return try_disconnect(stream);
	case MQTT_AUTH:
		return try_auth(stream);
	}
	return ERROR_PACKET_TYPE;
}

/* A refusal must be one that can be told to the peer. */
static void refusal_check(enum error error)
{
	CHECK(error > ERROR_MORE && error < ERROR_COUNT);
	CHECK(mqtt_reason_of(error) >= MQTT_REASON_UNSPECIFIED_ERROR);
	CHECK(mqtt_return_code_of(error) <= 5);
	CHECK(error_name(error)[0] != '\0');
}

/* The body alone in a block, so that a sanitizer sees a read past its end. */
static void body_try(struct stream *stream, const uint8_t *data)
{
	uint8_t *body = block_new(stream->header.body_bytes);
	memcpy(body, data, stream->header.body_bytes);
	stream->body = slice_of(body, stream->header.body_bytes);
	enum error error = mqtt_header_check(stream->header);
	if (error == ERROR_OK)
		error = try_packet(stream);
	if (error != ERROR_OK)
		refusal_check(error);
	free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct stream stream = {.version = (uint8_t)(MQTT_VERSION_3_1 + data[0] % 3), .from_server = data[0] & 0x80};
	for (size_t at = 1; at < size;) {
		enum error error = mqtt_header_decode(data + at, size - at, &stream.header);
		if (error != ERROR_OK) {
			CHECK(error == ERROR_MORE || error == ERROR_LENGTH_MALFORMED);
			break;
		}
		at += stream.header.header_bytes;
		if (stream.header.body_bytes > size - at)
			break;
		body_try(&stream, data + at);
		at += stream.header.body_bytes;
	}
	return 0;
}
