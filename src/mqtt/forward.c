#include "mqtt/forward.h"

#include "base/check.h"
#include "mqtt/field/property_write.h"

#define PROPERTY_BYTES_U16 3u
#define PROPERTY_BYTES_U32 5u

/* Where the sender's alias stands, which is left out. properties.size: nowhere. */
static size_t forward_alias_at(const struct mqtt_forward *forward)
{
	if (!forward->strips_alias)
		return forward->properties.size;
	return mqtt_property_find(forward->properties, 0, MQTT_PROPERTY_TOPIC_ALIAS);
}

/* Where the sender's expiry stands, in whose place another is written. properties.size: nowhere. */
static size_t forward_expiry_at(const struct mqtt_forward *forward)
{
	if (!forward->has_expiry_left)
		return forward->properties.size;
	return mqtt_property_find(forward->properties, forward->expiry_at, MQTT_PROPERTY_MESSAGE_EXPIRY);
}

/* The sender's properties from *at on, up to `to`. */
static void forward_copy_up_to(const struct mqtt_forward *forward, size_t *at, size_t to, struct writer *writer)
{
	CHECK(*at <= to && to <= forward->properties.size);
	if (to > *at)
		writer_bytes(writer, slice_of(forward->properties.data + *at, to - *at));
	*at = to;
}

/* The sender's properties as they are, but for its alias and the expiry: three copies at most, for there may be
 * 200,000 of them, to each of many receivers. */
static void forward_copy_properties(const struct mqtt_forward *forward, size_t alias_at, struct writer *writer)
{
	size_t end = forward->properties.size, at = 0, expiry_at = forward_expiry_at(forward);
	if (alias_at < expiry_at) {
		forward_copy_up_to(forward, &at, alias_at, writer);
		at += PROPERTY_BYTES_U16;
	}
	if (expiry_at < end) {
		forward_copy_up_to(forward, &at, expiry_at, writer);
		property_write_u32(writer, MQTT_PROPERTY_MESSAGE_EXPIRY, forward->expiry_left_s);
		at += PROPERTY_BYTES_U32;
	}
	if (alias_at > expiry_at && alias_at < end) {
		forward_copy_up_to(forward, &at, alias_at, writer);
		at += PROPERTY_BYTES_U16;
	}
	forward_copy_up_to(forward, &at, end, writer);
}

static size_t forward_property_bytes(const struct mqtt_forward *forward, size_t alias_at)
{
	size_t bytes = forward->properties.size;
	if (alias_at < bytes)
		bytes -= PROPERTY_BYTES_U16;
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
	CHECK(forward->topic.size <= UINT16_MAX);
	CHECK(!forward->alias_known || forward->alias != 0);
	struct mqtt_forward_size size = {0};
	size_t body = 2 + forward_topic_bytes(forward) + (forward->qos != 0 ? 2u : 0u);
	if (forward->version == MQTT_VERSION_5) {
		size.sender_alias_at = forward_alias_at(forward);
		size.property_bytes = forward_property_bytes(forward, size.sender_alias_at);
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
	CHECK(size->packet_id_at >= MQTT_HEADER_BYTES_MIN + 2 && size->packet_id_at <= size->head_bytes);
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
		forward_copy_properties(forward, size->sender_alias_at, &writer);
	}
	CHECK(!writer.failed && writer.used == size->head_bytes);
}

void mqtt_forward_relocate(const struct mqtt_forward *forward, const struct mqtt_forward_size *size,
			   const uint8_t *packet, struct mqtt_publish *publish)
{
	const uint8_t *payload = packet + size->head_bytes;
	CHECK(!forward->alias_known && forward->qos == publish->qos && forward->packet_id == publish->packet_id);
	CHECK(size->packet_id_at >= forward->topic.size && size->head_bytes >= size->property_bytes);
	publish->topic = slice_of(packet + size->packet_id_at - forward->topic.size, forward->topic.size);
	publish->properties = slice_of(payload - size->property_bytes, size->property_bytes);
	publish->payload = slice_of(payload, forward->payload_bytes);
	publish->topic_alias = forward->alias;
	publish->retain = forward->retain;
	publish->dup = forward->dup;
}
