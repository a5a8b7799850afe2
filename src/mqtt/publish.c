#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/property_read.h"
#include "mqtt/field/reader.h"
#include "mqtt/field/writer.h"

/* The fixed header's flags [3.3.1]. */
#define FLAG_RETAIN 0x01u
#define FLAG_QOS_SHIFT 1
#define FLAG_DUP 0x08u

_Static_assert((FLAG_RETAIN | 3u << FLAG_QOS_SHIFT | FLAG_DUP) == 0x0F, "every flag has one meaning");
_Static_assert(MQTT_PUBLISH_FLAGS_OURS == (FLAG_RETAIN | FLAG_DUP), "what packet.h says of them");

static void publish_flags_decode(struct reader *reader, uint8_t flags, struct mqtt_publish *out)
{
	out->retain = flags & FLAG_RETAIN;
	out->qos = flags >> FLAG_QOS_SHIFT & 3;
	out->dup = flags & FLAG_DUP;
	if (out->qos == 3)
		reader_fail(reader, ERROR_PUBLISH_QOS);
	if (out->dup && out->qos == 0)
		reader_fail(reader, ERROR_PUBLISH_DUP);
}

/* [3.3.2.3] */
static void publish_properties_decode(struct reader *reader, bool from_server, struct mqtt_publish *out)
{
	out->properties = reader_properties(reader);
	struct mqtt_property_walk walk = mqtt_property_walk_of(out->properties, MQTT_PUBLISH);
	struct mqtt_property property;
	while (reader_property(reader, &walk, &property)) {
		switch (property.id) {
		case MQTT_PROPERTY_TOPIC_ALIAS:
			out->topic_alias = (uint16_t)property.number;
			break;
		case MQTT_PROPERTY_MESSAGE_EXPIRY:
			out->has_message_expiry = true;
			out->message_expiry_s = property.number;
			break;
		case MQTT_PROPERTY_SUBSCRIPTION_ID:
			if (!from_server)
				reader_fail(reader, ERROR_SUBSCRIPTION_ID_SENT);
			break;
		default:
			break;
		}
	}
}

/* The alias stands in for an empty topic [3.3.2.3.4]. Checked after the properties have told whether there is one. */
static void publish_topic_check(struct reader *reader, const struct mqtt_publish *publish)
{
	if (publish->topic.size == 0 && publish->topic_alias != 0)
		return;
	enum error error = mqtt_topic_check(publish->topic);
	if (error != ERROR_OK)
		reader_fail(reader, error);
}

enum error mqtt_publish_decode(struct slice body, uint8_t flags, uint8_t version, bool from_server,
			       struct mqtt_publish *out)
{
	CHECK(flags <= 0x0F);
	*out = (struct mqtt_publish){0};
	struct reader reader = reader_of(body);
	publish_flags_decode(&reader, flags, out);
	/* Not reader_string(): publish_topic_check() checks its encoding in the same pass as its wildcards. */
	out->topic = reader_binary(&reader);
	if (out->qos > 0)
		out->packet_id = reader_packet_id(&reader);
	if (version == MQTT_VERSION_5)
		publish_properties_decode(&reader, from_server, out);
	publish_topic_check(&reader, out);
	out->payload = reader_rest(&reader);
	return reader.error;
}

/* Remaining Length. */
static size_t publish_body_bytes(const struct mqtt_publish *publish, uint8_t version)
{
	size_t bytes = 2 + publish->topic.size + publish->payload.size;
	if (publish->qos > 0)
		bytes += 2;
	if (version == MQTT_VERSION_5)
		bytes += varint_bytes(publish->properties.size) + publish->properties.size;
	return bytes;
}

size_t mqtt_publish_size(const struct mqtt_publish *publish, uint8_t version)
{
	size_t bytes = publish_body_bytes(publish, version);
	if (bytes > MQTT_BODY_BYTES_MAX || publish->topic.size > UINT16_MAX)
		return 0;
	return 1 + varint_bytes(bytes) + bytes;
}

static uint8_t publish_flags_of(const struct mqtt_publish *publish)
{
	CHECK(publish->qos <= 2);
	unsigned flags = (unsigned)publish->qos << FLAG_QOS_SHIFT;
	if (publish->retain)
		flags |= FLAG_RETAIN;
	if (publish->dup)
		flags |= FLAG_DUP;
	return (uint8_t)flags;
}

size_t mqtt_publish_encode(const struct mqtt_publish *publish, uint8_t version, uint8_t *out, size_t out_size)
{
	/* Measured first, unlike other packets, whose length is moved into place: a payload is too long to move. */
	size_t size = mqtt_publish_size(publish, version);
	if (size == 0 || size > out_size)
		return 0;
	struct writer writer = writer_of(out, out_size);
	writer_u8(&writer, (uint8_t)(MQTT_PUBLISH << 4 | publish_flags_of(publish)));
	writer_varint(&writer, (uint32_t)publish_body_bytes(publish, version));
	writer_binary(&writer, publish->topic);
	if (publish->qos > 0)
		writer_u16(&writer, publish->packet_id);
	if (version == MQTT_VERSION_5) {
		writer_varint(&writer, (uint32_t)publish->properties.size);
		writer_bytes(&writer, publish->properties);
	}
	writer_bytes(&writer, publish->payload);
	CHECK(!writer.failed && writer.used == size);
	return size;
}
