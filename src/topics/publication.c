#include "topics/publication.h"

#include "base/check.h"
#include "mqtt/field/property.h"

static uint32_t publication_expiry_of(const struct mqtt_publish *publish, uint32_t now_s)
{
	if (!publish->has_message_expiry)
		return 0;
	uint64_t expires_s = (uint64_t)now_s + publish->message_expiry_s;
	if (expires_s == 0)
		return 1; /* at once: 0 would mean never */
	return expires_s < UINT32_MAX ? (uint32_t)expires_s : 0;
}

struct publication publication_of(const struct mqtt_publish *publish, uint8_t version, size_t packet_bytes,
				  size_t header_bytes, uint32_t now_s)
{
	CHECK(header_bytes >= MQTT_HEADER_BYTES_MIN && header_bytes <= MQTT_HEADER_BYTES_MAX);
	return (struct publication){
		.packet_bytes = (uint32_t)packet_bytes,
		.expires_s = publication_expiry_of(publish, now_s),
		.topic_bytes = (uint16_t)publish->topic.size,
		.header_bytes = (uint8_t)header_bytes,
		.qos = publish->qos & 3u,
		.retain = publish->retain,
		.is_5 = version == MQTT_VERSION_5,
	};
}

/* Reads a Variable Byte Integer that was checked before [1.5.5], and moves *at past it. */
static size_t read_length(const uint8_t **at)
{
	size_t value = 0;
	for (unsigned shift = 0;; shift += 7) {
		uint8_t byte = *(*at)++;
		value |= (size_t)(byte & 0x7fu) << shift;
		if (byte < 0x80)
			return value;
	}
}

struct publication_parts publication_parts(const struct publication *publication, const uint8_t *packet)
{
	struct publication_parts parts;
	parts.expiry_at = 0;
	const uint8_t *at = packet + publication->header_bytes + 2;
	parts.topic = slice_of(at, publication->topic_bytes);
	at += publication->topic_bytes + (publication->qos != 0 ? 2 : 0);
	size_t property_bytes = publication->is_5 ? read_length(&at) : 0;
	parts.properties = slice_of(at, property_bytes);
	at += property_bytes;
	parts.payload = slice_of(at, (size_t)(packet + publication->packet_bytes - at));
	return parts;
}

void publication_find_expiry(struct publication_parts *parts)
{
	parts->expiry_at = mqtt_property_find(parts->properties, 0, MQTT_PROPERTY_MESSAGE_EXPIRY);
}

struct mqtt_forward publication_forward(const struct publication *publication, const struct publication_parts *parts,
					uint8_t version, uint32_t now_s)
{
	struct mqtt_forward forward = {
		.topic = parts->topic,
		.payload_bytes = parts->payload.size,
		.version = version,
	};
	if (version != MQTT_VERSION_5)
		return forward;
	forward.properties = parts->properties;
	if (publication->expires_s != 0) {
		forward.has_expiry_left = true;
		forward.expiry_at = parts->expiry_at;
		forward.expiry_left_s = publication->expires_s > now_s ? publication->expires_s - now_s : 0;
	}
	return forward;
}
