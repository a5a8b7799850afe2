#include "mqtt/forward.h"

#include "base/check.h"
#include "mqtt/field/property_write.h"

#define PROPERTY_BYTES_U16 3u

/* The sender's properties with another expiry in its place. What stands before it is not looked at again for each
 * receiver: there may be 200,000 user properties. */
static size_t forward_copy_with_expiry(const struct mqtt_forward *forward, struct writer *writer)
{
	const uint8_t *begin = forward->properties.data;
	struct slice rest = slice_of(begin + forward->expiry_at, forward->properties.size - forward->expiry_at);
	struct mqtt_property property = {0};
	const uint8_t *at = rest.data;
	while (writer != NULL && rest.size != 0 && property.id != MQTT_PROPERTY_MESSAGE_EXPIRY) {
		at = rest.data;
		CHECK(mqtt_property_next(&rest, &property) == ERROR_OK);
	}
	if (writer != NULL && property.id == MQTT_PROPERTY_MESSAGE_EXPIRY) {
		writer_bytes(writer, slice_of(begin, (size_t)(at - begin)));
		property_write_u32(writer, MQTT_PROPERTY_MESSAGE_EXPIRY, forward->expiry_left_s);
		writer_bytes(writer, rest);
	} else if (writer != NULL) {
		writer_bytes(writer, forward->properties);
	}
	return forward->properties.size;
}

/* The sender's properties as they are, but for its alias and the expiry. Measures only where writer is NULL. */
static size_t forward_copy_properties(const struct mqtt_forward *forward, struct writer *writer)
{
	if (!forward->strips_alias && !forward->has_expiry_left) {
		if (writer != NULL)
			writer_bytes(writer, forward->properties);
		return forward->properties.size;
	}
	if (!forward->strips_alias)
		return forward_copy_with_expiry(forward, writer);
	size_t size = 0;
	struct slice rest = forward->properties;
	while (rest.size != 0) {
		struct mqtt_property property;
		const uint8_t *begin = rest.data;
		CHECK(mqtt_property_next(&rest, &property) == ERROR_OK);
		if (property.id == MQTT_PROPERTY_TOPIC_ALIAS)
			continue;
		if (writer != NULL && property.id == MQTT_PROPERTY_MESSAGE_EXPIRY && forward->has_expiry_left)
			property_write_u32(writer, MQTT_PROPERTY_MESSAGE_EXPIRY, forward->expiry_left_s);
		else if (writer != NULL)
			writer_bytes(writer, slice_of(begin, (size_t)(rest.data - begin)));
		size += (size_t)(rest.data - begin);
	}
	return size;
}

static size_t forward_property_bytes(const struct mqtt_forward *forward)
{
	size_t bytes = forward_copy_properties(forward, NULL);
	if (forward->alias != 0)
		bytes += PROPERTY_BYTES_U16;
	if (forward->subscription_id != 0)
		bytes += 1 + varint_bytes(forward->subscription_id);
	return bytes;
}

static size_t forward_topic_bytes(const struct mqtt_forward *forward)
{
	return forward->alias_known ? 0 : forward->topic.size;
}

struct mqtt_forward_size mqtt_forward_measure(const struct mqtt_forward *forward)
{
	struct mqtt_forward_size size = {0};
	size_t body = 2 + forward_topic_bytes(forward) + (forward->qos != 0 ? 2u : 0u);
	if (forward->version == MQTT_VERSION_5) {
		size.property_bytes = forward_property_bytes(forward);
		body += varint_bytes(size.property_bytes) + size.property_bytes;
	}
	size_t length = body + forward->payload_bytes;
	if (length > MQTT_BODY_BYTES_MAX)
		return size;
	size_t header = 1 + varint_bytes(length);
	size.head_bytes = header + body;
	size.packet_bytes = header + length;
	size.packet_id_at = header + 2 + forward_topic_bytes(forward);
	return size;
}

void mqtt_forward_encode(const struct mqtt_forward *forward, const struct mqtt_forward_size *size, uint8_t *out)
{
	CHECK(forward->qos <= 2 && size->packet_bytes - size->head_bytes == forward->payload_bytes);
	struct writer writer = writer_of(out, size->head_bytes);
	unsigned flags = (unsigned)forward->qos << 1 | (forward->retain ? 1u : 0u) | (forward->dup ? 8u : 0u);
	writer_u8(&writer, (uint8_t)(MQTT_PUBLISH << 4 | flags));
	size_t header_bytes = size->packet_id_at - 2 - forward_topic_bytes(forward);
	writer_varint(&writer, (uint32_t)(size->packet_bytes - header_bytes));
	writer_binary(&writer, forward->alias_known ? slice_of(NULL, 0) : forward->topic);
	if (forward->qos != 0)
		writer_u16(&writer, forward->packet_id);
	if (forward->version == MQTT_VERSION_5) {
		writer_varint(&writer, (uint32_t)size->property_bytes);
		if (forward->alias != 0)
			property_write_u16(&writer, MQTT_PROPERTY_TOPIC_ALIAS, forward->alias);
		if (forward->subscription_id != 0)
			property_write_varint(&writer, MQTT_PROPERTY_SUBSCRIPTION_ID, forward->subscription_id);
		forward_copy_properties(forward, &writer);
	}
	CHECK(!writer.failed && writer.used == size->head_bytes);
}
