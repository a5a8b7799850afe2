#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/property_read.h"
#include "mqtt/field/property_write.h"
#include "mqtt/field/reader.h"
#include "mqtt/field/writer.h"

/* Connect Flags [3.1.2.3]. */
#define FLAG_RESERVED 0x01u
#define FLAG_CLEAN_START 0x02u
#define FLAG_WILL 0x04u
#define FLAG_WILL_QOS_SHIFT 3
#define FLAG_WILL_RETAIN 0x20u
#define FLAG_PASSWORD 0x40u
#define FLAG_USER_NAME 0x80u

_Static_assert((FLAG_RESERVED | FLAG_CLEAN_START | FLAG_WILL | 3u << FLAG_WILL_QOS_SHIFT | FLAG_WILL_RETAIN |
		FLAG_PASSWORD | FLAG_USER_NAME) == 0xFF,
	       "every bit of the byte has one meaning");

/* Where there is no limit, what MQTT can express: the longest header and the longest body. */
#define PACKET_BYTES_MAX_DEFAULT (MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX)
#define RECEIVE_MAX_DEFAULT UINT16_MAX

static const char NAME[] = "MQTT";
static const char NAME_3_1[] = "MQIsdp";

/* Protocol Name and Version [3.1.2.1, 3.1.2.2]: MQTT_VERSION_3_1 goes by another name. */
static uint8_t connect_version_decode(struct reader *reader, bool *is_bridge)
{
	struct slice name = reader_string(reader);
	bool is_3_1 = slice_equal(name, slice_string(NAME_3_1));
	if (!is_3_1 && !slice_equal(name, slice_string(NAME)))
		reader_fail(reader, ERROR_PROTOCOL_NAME);
	uint8_t level = reader_u8(reader);
	*is_bridge =
		level == (MQTT_VERSION_3_1 | MQTT_LEVEL_BRIDGE) || level == (MQTT_VERSION_3_1_1 | MQTT_LEVEL_BRIDGE);
	if (*is_bridge)
		level &= (uint8_t)~MQTT_LEVEL_BRIDGE;
	if (is_3_1 ? level != MQTT_VERSION_3_1 : level != MQTT_VERSION_3_1_1 && level != MQTT_VERSION_5)
		reader_fail(reader, ERROR_PROTOCOL_LEVEL);
	return reader->error == ERROR_OK ? level : 0;
}

uint8_t mqtt_connect_version(struct slice body)
{
	struct reader reader = reader_of(body);
	bool is_bridge;
	return connect_version_decode(&reader, &is_bridge);
}

static enum error connect_flags_check(uint8_t flags, uint8_t version)
{
	unsigned will_qos = flags >> FLAG_WILL_QOS_SHIFT & 3;
	if (flags & FLAG_RESERVED)
		return ERROR_CONNECT_RESERVED;
	if (will_qos == 3 || (will_qos != 0 && !(flags & FLAG_WILL)))
		return ERROR_WILL_QOS;
	if ((flags & FLAG_WILL_RETAIN) && !(flags & FLAG_WILL))
		return ERROR_WILL_RETAIN;
	/* Version 5 allows it, for tokens [3.1.2.9]. */
	if (version < MQTT_VERSION_5 && (flags & FLAG_PASSWORD) && !(flags & FLAG_USER_NAME))
		return ERROR_PASSWORD_ALONE;
	return ERROR_OK;
}

static void connect_flags_decode(struct reader *reader, struct mqtt_connect *out)
{
	uint8_t flags = reader_u8(reader);
	enum error error = connect_flags_check(flags, out->version);
	if (error != ERROR_OK)
		reader_fail(reader, error);
	out->clean_start = flags & FLAG_CLEAN_START;
	out->has_will = flags & FLAG_WILL;
	out->will.qos = flags >> FLAG_WILL_QOS_SHIFT & 3;
	out->will.retain = flags & FLAG_WILL_RETAIN;
	out->has_password = flags & FLAG_PASSWORD;
	out->has_user_name = flags & FLAG_USER_NAME;
}

static void connect_property_take(struct mqtt_connect *connect, const struct mqtt_property *property)
{
	switch (property->id) {
	case MQTT_PROPERTY_SESSION_EXPIRY:
		connect->session_expiry_s = property->number;
		break;
	case MQTT_PROPERTY_RECEIVE_MAX:
		connect->receive_max = (uint16_t)property->number;
		break;
	case MQTT_PROPERTY_PACKET_BYTES_MAX:
		connect->packet_bytes_max = property->number;
		break;
	case MQTT_PROPERTY_TOPIC_ALIAS_MAX:
		connect->topic_alias_max = (uint16_t)property->number;
		break;
	case MQTT_PROPERTY_REQUEST_RESPONSE_INFO:
		connect->request_response_info = property->number != 0;
		break;
	case MQTT_PROPERTY_REQUEST_PROBLEM_INFO:
		connect->request_problem_info = property->number != 0;
		break;
	case MQTT_PROPERTY_AUTH_METHOD:
		connect->auth_method = property->data;
		break;
	case MQTT_PROPERTY_AUTH_DATA:
		connect->auth_data = property->data;
		break;
	default:
		break;
	}
}

/* [3.1.2.11] */
static void connect_properties_decode(struct reader *reader, struct mqtt_connect *out)
{
	out->properties = reader_properties(reader);
	struct mqtt_property_walk walk = mqtt_property_walk_of(out->properties, MQTT_CONNECT);
	struct mqtt_property property;
	while (reader_property(reader, &walk, &property))
		connect_property_take(out, &property);
	if (out->auth_data.data != NULL && out->auth_method.data == NULL)
		reader_fail(reader, ERROR_AUTH_DATA_ALONE);
}

/* Client Identifier [3.1.3.1]. 3.1.1 allows an empty one with a clean session only, 3.1 never. */
static void connect_client_id_decode(struct reader *reader, struct mqtt_connect *out)
{
	out->client_id = reader_string(reader);
	if (out->client_id.size > 0 || out->version == MQTT_VERSION_5)
		return;
	if (!out->clean_start || out->version == MQTT_VERSION_3_1)
		reader_fail(reader, ERROR_CLIENT_ID_EMPTY);
}

static void will_topic_decode(struct reader *reader, struct mqtt_will *out)
{
	out->topic = reader_string(reader);
	if (mqtt_topic_check(out->topic) != ERROR_OK)
		reader_fail(reader, ERROR_WILL_TOPIC);
}

/* [3.1.3.2 to 3.1.3.4] */
static void connect_will_decode(struct reader *reader, uint8_t version, struct mqtt_will *out)
{
	if (version == MQTT_VERSION_5) {
		out->properties = reader_properties(reader);
		struct mqtt_property_walk walk = mqtt_property_walk_of(out->properties, MQTT_PROPERTIES_OF_WILL);
		struct mqtt_property property;
		while (reader_property(reader, &walk, &property))
			if (property.id == MQTT_PROPERTY_WILL_DELAY)
				out->delay_s = property.number;
	}
	will_topic_decode(reader, out);
	out->payload = reader_binary(reader);
}

enum error mqtt_connect_decode(struct slice body, struct mqtt_connect *out)
{
	*out = (struct mqtt_connect){
		.packet_bytes_max = PACKET_BYTES_MAX_DEFAULT,
		.receive_max = RECEIVE_MAX_DEFAULT,
		.request_problem_info = true,
	};
	struct reader reader = reader_of(body);
	out->version = connect_version_decode(&reader, &out->is_bridge);
	connect_flags_decode(&reader, out);
	out->keepalive_s = reader_u16(&reader);
	if (out->version == MQTT_VERSION_5)
		connect_properties_decode(&reader, out);
	connect_client_id_decode(&reader, out);
	if (out->has_will)
		connect_will_decode(&reader, out->version, &out->will);
	if (out->has_user_name)
		out->user_name = reader_string(&reader);
	if (out->has_password)
		out->password = reader_binary(&reader);
	return reader_finish(&reader);
}

static uint8_t connect_flags_of(const struct mqtt_connect *connect)
{
	unsigned flags = 0;
	CHECK(!connect->has_will || connect->will.qos <= 2);
	if (connect->clean_start)
		flags |= FLAG_CLEAN_START;
	if (connect->has_will)
		flags |= FLAG_WILL | (connect->will.qos & 3u) << FLAG_WILL_QOS_SHIFT;
	if (connect->has_will && connect->will.retain)
		flags |= FLAG_WILL_RETAIN;
	if (connect->has_password)
		flags |= FLAG_PASSWORD;
	if (connect->has_user_name)
		flags |= FLAG_USER_NAME;
	return (uint8_t)flags;
}

static void connect_properties_encode(struct writer *writer, const struct mqtt_connect *connect)
{
	size_t start = writer_length_open(writer);
	if (connect->session_expiry_s != 0)
		property_write_u32(writer, MQTT_PROPERTY_SESSION_EXPIRY, connect->session_expiry_s);
	if (connect->receive_max != RECEIVE_MAX_DEFAULT)
		property_write_u16(writer, MQTT_PROPERTY_RECEIVE_MAX, connect->receive_max);
	if (connect->packet_bytes_max != PACKET_BYTES_MAX_DEFAULT)
		property_write_u32(writer, MQTT_PROPERTY_PACKET_BYTES_MAX, connect->packet_bytes_max);
	if (connect->topic_alias_max != 0)
		property_write_u16(writer, MQTT_PROPERTY_TOPIC_ALIAS_MAX, connect->topic_alias_max);
	if (connect->request_response_info)
		property_write_u8(writer, MQTT_PROPERTY_REQUEST_RESPONSE_INFO, 1);
	if (!connect->request_problem_info)
		property_write_u8(writer, MQTT_PROPERTY_REQUEST_PROBLEM_INFO, 0);
	if (connect->auth_method.data != NULL)
		property_write_binary(writer, MQTT_PROPERTY_AUTH_METHOD, connect->auth_method);
	if (connect->auth_data.data != NULL)
		property_write_binary(writer, MQTT_PROPERTY_AUTH_DATA, connect->auth_data);
	writer_bytes(writer, connect->properties);
	writer_length_close(writer, start);
}

static void connect_will_encode(struct writer *writer, const struct mqtt_will *will, uint8_t version)
{
	if (version == MQTT_VERSION_5) {
		size_t start = writer_length_open(writer);
		if (will->delay_s != 0)
			property_write_u32(writer, MQTT_PROPERTY_WILL_DELAY, will->delay_s);
		writer_bytes(writer, will->properties);
		writer_length_close(writer, start);
	}
	writer_binary(writer, will->topic);
	writer_binary(writer, will->payload);
}

size_t mqtt_connect_encode(const struct mqtt_connect *connect, uint8_t *out, size_t out_size)
{
	struct writer writer = writer_of(out, out_size);
	size_t start = writer_packet_open(&writer, MQTT_CONNECT, 0);
	writer_binary(&writer, slice_string(connect->version == MQTT_VERSION_3_1 ? NAME_3_1 : NAME));
	writer_u8(&writer, (uint8_t)(connect->version | (connect->is_bridge ? MQTT_LEVEL_BRIDGE : 0)));
	writer_u8(&writer, connect_flags_of(connect));
	writer_u16(&writer, connect->keepalive_s);
	if (connect->version == MQTT_VERSION_5)
		connect_properties_encode(&writer, connect);
	writer_binary(&writer, connect->client_id);
	if (connect->has_will)
		connect_will_encode(&writer, &connect->will, connect->version);
	if (connect->has_user_name)
		writer_binary(&writer, connect->user_name);
	if (connect->has_password)
		writer_binary(&writer, connect->password);
	return writer_finish(&writer, start);
}
