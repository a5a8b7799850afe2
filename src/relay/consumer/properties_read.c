#include "relay/consumer/properties_read.h"

#include "auth/text/strict_json.h"
#include "mqtt/field/property_write.h"
#include "mqtt/field/topic.h"

#include <sodium.h>
#include <stdio.h>

_Static_assert(PROPERTIES_BYTES_MAX > UINT16_MAX, "one property of the largest size fits");

struct properties_reading {
	struct strict_json json;
	struct writer writer;
	bool *has_expiry;
	uint32_t *expiry_s;
	char *fault;
};

static bool properties_fail(struct properties_reading *reading, struct slice name, const char *what)
{
	snprintf(reading->fault, PROPERTIES_FAULT_BYTES, "%.*s%s%s", (int)(name.size < 40 ? name.size : 40),
		 name.size != 0 ? (const char *)name.data : "", name.size != 0 ? ": " : "", what);
	return false;
}

static bool read_json_number(struct properties_reading *reading, const struct strict_node *node, uint32_t most,
			     uint32_t *number)
{
	uint64_t value = 0;
	bool good = node->type == STRICT_NUMBER && node->text.size <= 10;
	for (size_t i = 0; i < node->text.size && good; i++) {
		good = node->text.data[i] >= '0' && node->text.data[i] <= '9';
		value = value * 10 + (uint64_t)(node->text.data[i] - '0');
	}
	if (!good || value > most)
		return properties_fail(reading, node->name, "a whole number in its range is wanted here");
	*number = (uint32_t)value;
	return true;
}

static bool check_json_text(struct properties_reading *reading, const struct strict_node *node, struct slice name)
{
	if (node->type == STRICT_STRING && node->text.size <= UINT16_MAX && mqtt_string_check(node->text) == ERROR_OK)
		return true;
	return properties_fail(reading, name,
			       "a string of at most 65535 bytes without a null character is wanted here");
}

static bool read_user_properties(struct properties_reading *reading, const struct strict_node *list)
{
	static const char WANTED[] = "a list of [name, value] is wanted here";
	const struct strict_node *pair = strict_first(list);
	if (list->type != STRICT_ARRAY)
		return properties_fail(reading, list->name, WANTED);
	for (uint32_t i = 0; i < list->count; i++, pair = strict_next(&reading->json, pair)) {
		if (pair->type != STRICT_ARRAY || pair->count != 2)
			return properties_fail(reading, list->name, WANTED);
		const struct strict_node *name = strict_first(pair);
		const struct strict_node *value = strict_next(&reading->json, name);
		if (!check_json_text(reading, name, list->name) || !check_json_text(reading, value, list->name))
			return false;
		property_write_binary(&reading->writer, MQTT_PROPERTY_USER_PROPERTY, name->text);
		writer_binary(&reading->writer, value->text);
	}
	return true;
}

/* Decoded in the packet: a property's name and two bytes for its length stand before it. */
static bool read_correlation(struct properties_reading *reading, const struct strict_node *node)
{
	uint8_t data[UINT16_MAX];
	size_t size = 0;
	const char *end = NULL;
	const char *text = (const char *)node->text.data;
	if (node->type != STRICT_STRING ||
	    sodium_base642bin(data, sizeof(data), text, node->text.size, NULL, &size, &end,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    end != text + node->text.size)
		return properties_fail(reading, node->name,
				       "at most 65535 bytes in base64 are wanted here, with padding");
	property_write_binary(&reading->writer, MQTT_PROPERTY_CORRELATION_DATA, slice_of(data, size));
	return true;
}

static bool read_json_property(struct properties_reading *reading, const struct strict_node *node)
{
	uint32_t number;
	if (slice_equal(node->name, slice_string("content_type"))) {
		property_write_binary(&reading->writer, MQTT_PROPERTY_CONTENT_TYPE, node->text);
		return check_json_text(reading, node, node->name);
	}
	if (slice_equal(node->name, slice_string("response_topic"))) {
		property_write_binary(&reading->writer, MQTT_PROPERTY_RESPONSE_TOPIC, node->text);
		if (node->type != STRICT_STRING || mqtt_topic_check(node->text) != ERROR_OK)
			return properties_fail(reading, node->name, "a topic without wildcards is wanted here");
		return check_json_text(reading, node, node->name);
	}
	if (slice_equal(node->name, slice_string("correlation_data")))
		return read_correlation(reading, node);
	if (slice_equal(node->name, slice_string("user")))
		return read_user_properties(reading, node);
	if (slice_equal(node->name, slice_string("payload_format"))) {
		if (!read_json_number(reading, node, 1, &number))
			return false;
		property_write_u8(&reading->writer, MQTT_PROPERTY_PAYLOAD_FORMAT, (uint8_t)number);
		return true;
	}
	if (slice_equal(node->name, slice_string("message_expiry_s"))) {
		*reading->has_expiry = true;
		return read_json_number(reading, node, UINT32_MAX, reading->expiry_s);
	}
	return properties_fail(reading, node->name, "there is no such property");
}

bool properties_read(uint8_t *json, size_t size, struct bytes *out, bool *has_expiry, uint32_t *expiry_s,
		     char fault[PROPERTIES_FAULT_BYTES])
{
	struct strict_node nodes[PROPERTIES_NODES_MAX];
	struct properties_reading reading = {
		.json = {.nodes = nodes, .capacity = PROPERTIES_NODES_MAX},
		.has_expiry = has_expiry,
		.expiry_s = expiry_s,
		.fault = fault,
	};
	size_t at;
	CHECK(out->size == 0);
	const char *wrong = strict_json_read(&reading.json, json, size, &at);
	if (wrong != NULL || nodes[0].type != STRICT_OBJECT)
		return properties_fail(&reading, slice_of(NULL, 0), wrong != NULL ? wrong : "an object is wanted here");
	if (!bytes_reserve(out, PROPERTIES_BYTES_MAX))
		return properties_fail(&reading, slice_of(NULL, 0), error_sentence(ERROR_NO_MEMORY));
	reading.writer = writer_of(out->data, PROPERTIES_BYTES_MAX);
	const struct strict_node *node = strict_first(&nodes[0]);
	for (uint32_t i = 0; i < nodes[0].count; i++, node = strict_next(&reading.json, node)) {
		if (!read_json_property(&reading, node))
			return false;
	}
	if (reading.writer.failed)
		return properties_fail(&reading, slice_of(NULL, 0), "they are longer than 65536 bytes");
	out->size = reading.writer.used;
	return true;
}
