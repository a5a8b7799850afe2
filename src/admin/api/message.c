#include "admin/api/message.h"

#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/property.h"
#include "mqtt/field/property_write.h"
#include "mqtt/field/topic.h"

#include <sodium.h>
#include <stdlib.h>

#define PROPERTY_BYTES_MAX 65536u

_Static_assert(PROPERTY_BYTES_MAX > UINT16_MAX, "one property of the largest size fits");

/* The message being read, and where to describe a fault. */
struct reading {
	char *fault;
	struct mqtt_publish publish;
	uint8_t *payload;     /* decoded from base64, or NULL */
	uint8_t *correlation; /* likewise */
	uint8_t *properties;
};

static bool message_fail(struct reading *reading, const char *field, const char *what)
{
	snprintf(reading->fault, MESSAGE_FAULT_BYTES_MAX, "%.40s: %s", field, what);
	return false;
}

static struct slice text_of_json(const json_t *json)
{
	return slice_of(json_string_value(json), json_string_length(json));
}

/* ---- fields ---- */

static bool read_base64_field(struct reading *reading, const char *field, const json_t *json, uint8_t **bytes,
			      struct slice *decoded)
{
	if (!json_is_string(json))
		return message_fail(reading, field, "a string is wanted here");
	CHECK(*bytes == NULL); /* an object has each key once, and only one form of payload is accepted */
	size_t room = json_string_length(json) / 4 * 3 + 3;
	size_t size;
	*bytes = malloc(room);
	if (*bytes == NULL)
		return message_fail(reading, field, "out of memory");
	const char *end;
	if (sodium_base642bin(*bytes, room, json_string_value(json), json_string_length(json), NULL, &size, &end,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    end != json_string_value(json) + json_string_length(json))
		return message_fail(reading, field, "this is not base64, with its padding");
	CHECK(size <= room);
	*decoded = slice_of(*bytes, size);
	return true;
}

static bool read_topic_field(struct reading *reading, const char *field, const json_t *json, struct slice *topic)
{
	if (!json_is_string(json))
		return message_fail(reading, field, "a string is wanted here");
	*topic = text_of_json(json);
	if (topic->size > UINT16_MAX)
		return message_fail(reading, field, error_sentence(ERROR_TOPIC_LONG));
	enum error error = mqtt_topic_check(*topic);
	return error == ERROR_OK || message_fail(reading, field, error_sentence(error));
}

static bool read_number_field(struct reading *reading, const char *field, const json_t *json, json_int_t most,
			      uint32_t *value)
{
	if (!json_is_integer(json) || json_integer_value(json) < 0 || json_integer_value(json) > most)
		return message_fail(reading, field, "a whole number in its range is wanted here");
	*value = (uint32_t)json_integer_value(json);
	return true;
}

static bool read_flag_field(struct reading *reading, const char *field, const json_t *json, bool *value)
{
	*value = json_is_true(json);
	return json_is_boolean(json) || message_fail(reading, field, "true or false is wanted here");
}

/* ---- properties of version 5 ---- */

static bool is_string16(const json_t *json)
{
	return json_is_string(json) && json_string_length(json) <= UINT16_MAX &&
	       mqtt_string_check(text_of_json(json)) == ERROR_OK;
}

static bool write_user_properties(struct reading *reading, const json_t *json, struct writer *writer)
{
	size_t i;
	const json_t *pair;
	if (!json_is_array(json))
		return message_fail(reading, "user_properties", "a list of [name, value] is wanted here");
	json_array_foreach(json, i, pair)
	{
		if (json_array_size(pair) != 2 || !is_string16(json_array_get(pair, 0)) ||
		    !is_string16(json_array_get(pair, 1)))
			return message_fail(reading, "user_properties", "a list of [name, value] is wanted here");
		property_write_binary(writer, MQTT_PROPERTY_USER_PROPERTY, text_of_json(json_array_get(pair, 0)));
		writer_binary(writer, text_of_json(json_array_get(pair, 1)));
	}
	return true;
}

static bool write_text(struct reading *reading, const char *field, const json_t *json, enum mqtt_property_id id,
		       struct writer *writer)
{
	if (!is_string16(json))
		return message_fail(reading, field,
				    "a string of at most 65535 bytes without a null character is wanted here");
	property_write_binary(writer, id, text_of_json(json));
	return true;
}

static bool write_property(struct reading *reading, const char *field, const json_t *json, struct writer *writer)
{
	struct slice data;
	bool flag;
	if (strcmp(field, "content_type") == 0)
		return write_text(reading, field, json, MQTT_PROPERTY_CONTENT_TYPE, writer);
	if (strcmp(field, "response_topic") == 0)
		return read_topic_field(reading, field, json, &data) &&
		       write_text(reading, field, json, MQTT_PROPERTY_RESPONSE_TOPIC, writer);
	if (strcmp(field, "user_properties") == 0)
		return write_user_properties(reading, json, writer);
	if (strcmp(field, "correlation_data_base64") == 0) {
		if (!read_base64_field(reading, field, json, &reading->correlation, &data))
			return false;
		if (data.size > UINT16_MAX)
			return message_fail(reading, field, "it is longer than 65535 bytes");
		property_write_binary(writer, MQTT_PROPERTY_CORRELATION_DATA, data);
		return true;
	}
	if (strcmp(field, "payload_is_utf8") == 0) {
		if (!read_flag_field(reading, field, json, &flag))
			return false;
		property_write_u8(writer, MQTT_PROPERTY_PAYLOAD_FORMAT, flag);
		return true;
	}
	if (strcmp(field, "message_expiry_seconds") == 0) {
		if (!read_number_field(reading, field, json, UINT32_MAX, &reading->publish.message_expiry_s))
			return false;
		reading->publish.has_message_expiry = true;
		property_write_u32(writer, MQTT_PROPERTY_MESSAGE_EXPIRY, reading->publish.message_expiry_s);
		return true;
	}
	return message_fail(reading, field, "there is no such property");
}

static bool read_properties(struct reading *reading, const json_t *json)
{
	const char *field;
	json_t *value;
	if (!json_is_object(json))
		return message_fail(reading, "properties", "an object is wanted here");
	CHECK(reading->properties == NULL); /* an object has each key once */
	reading->properties = malloc(PROPERTY_BYTES_MAX);
	if (reading->properties == NULL)
		return message_fail(reading, "properties", "out of memory");
	struct writer writer = writer_of(reading->properties, PROPERTY_BYTES_MAX);
	json_object_foreach((json_t *)(uintptr_t)json, field, value)
	{
		if (!write_property(reading, field, value, &writer))
			return false;
	}
	if (writer.failed)
		return message_fail(reading, "properties", "they are longer than 65536 bytes");
	reading->publish.properties = slice_of(reading->properties, writer.used);
	return true;
}

/* ---- the whole ---- */

static bool read_field(struct reading *reading, const char *field, const json_t *json)
{
	uint32_t number;
	struct mqtt_publish *publish = &reading->publish;
	if (strcmp(field, "topic") == 0)
		return read_topic_field(reading, field, json, &publish->topic);
	if (strcmp(field, "payload") == 0 && publish->payload.data == NULL) {
		publish->payload = text_of_json(json);
		return json_is_string(json) || message_fail(reading, field, "a string is wanted here");
	}
	if (strcmp(field, "payload_base64") == 0 && publish->payload.data == NULL)
		return read_base64_field(reading, field, json, &reading->payload, &publish->payload);
	if (strcmp(field, "payload") == 0 || strcmp(field, "payload_base64") == 0)
		return message_fail(reading, field, "there are payload and payload_base64; one is enough");
	if (strcmp(field, "qos") == 0) {
		if (!read_number_field(reading, field, json, 2, &number))
			return false;
		publish->qos = (uint8_t)number;
		return true;
	}
	if (strcmp(field, "retain") == 0)
		return read_flag_field(reading, field, json, &publish->retain);
	if (strcmp(field, "properties") == 0)
		return read_properties(reading, json);
	return message_fail(reading, field, "there is no such field");
}

static bool read_fields(struct reading *reading, const json_t *json)
{
	const char *field;
	json_t *value;
	if (!json_is_object(json))
		return message_fail(reading, "message", "an object is wanted here");
	json_object_foreach((json_t *)(uintptr_t)json, field, value)
	{
		if (!read_field(reading, field, value))
			return false;
	}
	if (reading->publish.topic.size == 0)
		return message_fail(reading, "topic", "it is missing");
	if (mqtt_topic_is_reserved(reading->publish.topic))
		return message_fail(reading, "topic", error_sentence(ERROR_TOPIC_RESERVED));
	return true;
}

static bool encode_message(struct reading *reading, uint32_t packet_bytes_max, struct command_message *message)
{
	struct mqtt_publish *publish = &reading->publish;
	uint8_t version = publish->properties.size != 0 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1;
	publish->packet_id = publish->qos != 0; /* no one reads it */
	size_t size = mqtt_publish_size(publish, version);
	if (size == 0 || size > packet_bytes_max)
		return message_fail(reading, "payload", "the packet would be larger than packet-bytes-max");
	uint8_t *packet = malloc(size);
	if (packet == NULL)
		return message_fail(reading, "payload", "out of memory");
	struct mqtt_header header;
	CHECK(mqtt_publish_encode(publish, version, packet, size) == size);
	CHECK(mqtt_header_decode(packet, size, &header) == ERROR_OK);
	message->packet = packet;
	message->publication = publication_of(publish, version, size, header.header_bytes, 0);
	return true;
}

bool message_read(const json_t *json, uint32_t packet_bytes_max, struct command_message *message,
		  char fault[MESSAGE_FAULT_BYTES_MAX])
{
	struct reading reading = {.fault = fault};
	bool good = read_fields(&reading, json) && encode_message(&reading, packet_bytes_max, message);
	free(reading.payload);
	free(reading.correlation);
	free(reading.properties);
	return good;
}

void message_free(struct command_message *message)
{
	free((void *)(uintptr_t)message->packet);
	message->packet = NULL;
}
