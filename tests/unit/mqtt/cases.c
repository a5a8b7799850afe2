#include "cases.h"

#include "base/check.h"
#include "mqtt/field/property.h"

#include <ctype.h>
#include <stdlib.h>

#define CASE_BYTES_MAX 4096
#define GROUPS_MAX 4

static uint8_t hex_digit(char digit)
{
	CHECK(isxdigit(digit));
	return (uint8_t)(isdigit(digit) ? digit - '0' : tolower(digit) - 'a' + 10);
}

/* Copies up to the closing mark; returns what follows it. */
static const char *quoted_copy(const char *text, char end, uint8_t *bytes, size_t *size)
{
	for (; *text != end; text++)
		bytes[(*size)++] = (uint8_t)*text;
	return text + 1;
}

static const char *string_copy(const char *text, uint8_t *bytes, size_t *size)
{
	size_t start = *size;
	*size += 2;
	text = quoted_copy(text, '\'', bytes, size);
	bytes[start] = (uint8_t)((*size - start - 2) >> 8);
	bytes[start + 1] = (uint8_t)(*size - start - 2);
	return text;
}

static void group_close(uint8_t *bytes, size_t start, size_t *size)
{
	size_t length = *size - start;
	size_t prefix = length < 128 ? 1 : 2;
	CHECK(length < 16384);
	memmove(bytes + start + prefix, bytes + start, length);
	bytes[start] = (uint8_t)(prefix == 1 ? length : length | 0x80);
	if (prefix == 2)
		bytes[start + 1] = (uint8_t)(length >> 7);
	*size += prefix;
}

static size_t notation_read(const char *text, uint8_t *bytes)
{
	size_t size = 0, depth = 0;
	size_t groups[GROUPS_MAX];
	while (*text != '\0') {
		CHECK(size < CASE_BYTES_MAX / 2);
		char mark = *text++;
		if (mark == ' ')
			continue;
		if (mark == '[') {
			CHECK(depth < GROUPS_MAX);
			groups[depth++] = size;
		} else if (mark == ']') {
			CHECK(depth > 0);
			group_close(bytes, groups[--depth], &size);
		} else if (mark == '\'')
			text = string_copy(text, bytes, &size);
		else if (mark == '<')
			text = quoted_copy(text, '>', bytes, &size);
		else
			bytes[size++] = (uint8_t)(hex_digit(mark) << 4 | hex_digit(*text++));
	}
	CHECK(depth == 0);
	return size;
}

uint8_t *block_new(size_t size)
{
	uint8_t *block = malloc(size); /* NOLINT(clang-analyzer-optin.portability.UnixAPI): 0 is meant */
	CHECK(block != NULL);
	return block;
}

struct slice case_bytes(const char *body)
{
	uint8_t bytes[CASE_BYTES_MAX];
	size_t size = notation_read(body, bytes);
	uint8_t *exact = block_new(size);
	if (size > 0)
		memcpy(exact, bytes, size);
	return slice_of(exact, size);
}

static void properties_walk(struct slice properties)
{
	struct mqtt_property property;
	enum error error;
	while ((error = mqtt_property_next(&properties, &property)) == ERROR_OK)
		CHECK(property.data.size <= UINT16_MAX);
	CHECK(error == ERROR_MORE);
}

static enum error subscribe_decode(struct slice body, uint8_t version)
{
	struct mqtt_subscribe subscribe;
	enum error error = mqtt_subscribe_decode(body, version, &subscribe);
	if (error != ERROR_OK)
		return error;
	struct mqtt_subscription subscription;
	uint32_t count = 0;
	while (mqtt_subscribe_next(&subscribe.filters, version, &subscription))
		count++;
	CHECK(count == subscribe.filter_count);
	properties_walk(subscribe.properties);
	return ERROR_OK;
}

static enum error unsubscribe_decode(struct slice body, uint8_t version)
{
	struct mqtt_unsubscribe unsubscribe;
	enum error error = mqtt_unsubscribe_decode(body, version, &unsubscribe);
	if (error != ERROR_OK)
		return error;
	struct slice filter;
	uint32_t count = 0;
	while (mqtt_unsubscribe_next(&unsubscribe.filters, &filter))
		count++;
	CHECK(count == unsubscribe.filter_count);
	properties_walk(unsubscribe.properties);
	return ERROR_OK;
}

static enum error connect_decode(struct slice body)
{
	struct mqtt_connect connect;
	enum error error = mqtt_connect_decode(body, &connect);
	if (error != ERROR_OK)
		return error;
	properties_walk(connect.properties);
	properties_walk(connect.will.properties);
	return ERROR_OK;
}

enum error case_decode(const struct mqtt_case *which, struct slice body)
{
	union {
		struct mqtt_connack connack;
		struct mqtt_publish publish;
		struct mqtt_ack ack;
		struct mqtt_suback suback;
		struct mqtt_disconnect disconnect;
		struct mqtt_auth auth;
	} out;
	enum error error = mqtt_header_check((struct mqtt_header){.type = which->type, .flags = which->flags});
	if (error != ERROR_OK)
		return error;
	switch ((enum mqtt_type)which->type) {
	case MQTT_CONNECT:
		return connect_decode(body);
	case MQTT_CONNACK:
		return mqtt_connack_decode(body, which->version, &out.connack);
	case MQTT_PUBLISH:
		return mqtt_publish_decode(body, which->flags, which->version, which->from_server, &out.publish);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return mqtt_ack_decode(body, which->type, which->version, &out.ack);
	case MQTT_SUBSCRIBE:
		return subscribe_decode(body, which->version);
	case MQTT_UNSUBSCRIBE:
		return unsubscribe_decode(body, which->version);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return mqtt_suback_decode(body, which->type, which->version, &out.suback);
	case MQTT_PINGREQ:
	case MQTT_PINGRESP:
		return mqtt_empty_decode(body);
	case MQTT_DISCONNECT:
		return mqtt_disconnect_decode(body, which->version, which->from_server, &out.disconnect);
	case MQTT_AUTH:
		return mqtt_auth_decode(body, &out.auth);
	}
	return ERROR_PACKET_TYPE;
}
