#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/property_read.h"
#include "mqtt/field/property_write.h"
#include "mqtt/field/reader.h"
#include "mqtt/field/reason.h"
#include "mqtt/field/writer.h"

#define FLAG_SESSION_PRESENT 0x01u
#define RETURN_CODE_MAX 5 /* of 3.1.1 [3.2.2.3] */

struct mqtt_connack mqtt_connack_default(void)
{
	return (struct mqtt_connack){
		.retain_available = true,
		.wildcard_available = true,
		.subscription_id_available = true,
		.shared_available = true,
		.qos_max = 2,
		.receive_max = UINT16_MAX,
	};
}

static void connack_property_take(struct mqtt_connack *connack, const struct mqtt_property *property)
{
	switch (property->id) {
	case MQTT_PROPERTY_SESSION_EXPIRY:
		connack->has_session_expiry = true;
		connack->session_expiry_s = property->number;
		break;
	case MQTT_PROPERTY_RECEIVE_MAX:
		connack->receive_max = (uint16_t)property->number;
		break;
	case MQTT_PROPERTY_QOS_MAX:
		connack->qos_max = (uint8_t)property->number;
		break;
	case MQTT_PROPERTY_RETAIN_AVAILABLE:
		connack->retain_available = property->number != 0;
		break;
	case MQTT_PROPERTY_PACKET_BYTES_MAX:
		connack->packet_bytes_max = property->number;
		break;
	case MQTT_PROPERTY_ASSIGNED_CLIENT_ID:
		connack->assigned_client_id = property->data;
		break;
	case MQTT_PROPERTY_TOPIC_ALIAS_MAX:
		connack->topic_alias_max = (uint16_t)property->number;
		break;
	case MQTT_PROPERTY_REASON_STRING:
		connack->reason_string = property->data;
		break;
	case MQTT_PROPERTY_AUTH_METHOD:
		connack->auth_method = property->data;
		break;
	case MQTT_PROPERTY_RESPONSE_INFO:
		connack->response_information = property->data;
		break;
	case MQTT_PROPERTY_WILDCARD_AVAILABLE:
		connack->wildcard_available = property->number != 0;
		break;
	case MQTT_PROPERTY_SUBSCRIPTION_ID_AVAILABLE:
		connack->subscription_id_available = property->number != 0;
		break;
	case MQTT_PROPERTY_SHARED_AVAILABLE:
		connack->shared_available = property->number != 0;
		break;
	case MQTT_PROPERTY_SERVER_KEEPALIVE:
		connack->has_server_keepalive = true;
		connack->server_keepalive_s = (uint16_t)property->number;
		break;
	default:
		break;
	}
}

/* [3.2.2.3] */
static void connack_properties_decode(struct reader *reader, struct mqtt_connack *out)
{
	struct mqtt_property_walk walk = mqtt_property_walk_of(reader_properties(reader), MQTT_CONNACK);
	struct mqtt_property property;
	while (reader_property(reader, &walk, &property))
		connack_property_take(out, &property);
}

/* Connect Acknowledge Flags and the reason or return code [3.2.2.1, 3.2.2.2]. */
static void connack_result_decode(struct reader *reader, uint8_t version, struct mqtt_connack *out)
{
	uint8_t flags = reader_u8(reader);
	if (flags & ~FLAG_SESSION_PRESENT)
		reader_fail(reader, ERROR_CONNACK_FLAGS);
	out->session_present = flags & FLAG_SESSION_PRESENT;
	out->reason = reader_u8(reader);
	bool known = version == MQTT_VERSION_5 ? mqtt_reason_allowed(out->reason, MQTT_CONNACK, true)
					       : out->reason <= RETURN_CODE_MAX;
	if (!known)
		reader_fail(reader, ERROR_REASON_CODE);
	if (out->session_present && out->reason != MQTT_REASON_SUCCESS)
		reader_fail(reader, ERROR_CONNACK_SESSION);
}

enum error mqtt_connack_decode(struct slice body, uint8_t version, struct mqtt_connack *out)
{
	*out = mqtt_connack_default();
	struct reader reader = reader_of(body);
	connack_result_decode(&reader, version, out);
	if (version == MQTT_VERSION_5)
		connack_properties_decode(&reader, out);
	return reader_finish(&reader);
}

static void connack_limits_encode(struct writer *writer, const struct mqtt_connack *connack)
{
	if (connack->has_session_expiry)
		property_write_u32(writer, MQTT_PROPERTY_SESSION_EXPIRY, connack->session_expiry_s);
	if (connack->receive_max != UINT16_MAX)
		property_write_u16(writer, MQTT_PROPERTY_RECEIVE_MAX, connack->receive_max);
	if (connack->qos_max < 2)
		property_write_u8(writer, MQTT_PROPERTY_QOS_MAX, connack->qos_max);
	if (!connack->retain_available)
		property_write_u8(writer, MQTT_PROPERTY_RETAIN_AVAILABLE, 0);
	if (connack->packet_bytes_max != 0)
		property_write_u32(writer, MQTT_PROPERTY_PACKET_BYTES_MAX, connack->packet_bytes_max);
	if (connack->topic_alias_max != 0)
		property_write_u16(writer, MQTT_PROPERTY_TOPIC_ALIAS_MAX, connack->topic_alias_max);
	if (!connack->wildcard_available)
		property_write_u8(writer, MQTT_PROPERTY_WILDCARD_AVAILABLE, 0);
	if (!connack->subscription_id_available)
		property_write_u8(writer, MQTT_PROPERTY_SUBSCRIPTION_ID_AVAILABLE, 0);
	if (!connack->shared_available)
		property_write_u8(writer, MQTT_PROPERTY_SHARED_AVAILABLE, 0);
	if (connack->has_server_keepalive)
		property_write_u16(writer, MQTT_PROPERTY_SERVER_KEEPALIVE, connack->server_keepalive_s);
}

static void connack_properties_encode(struct writer *writer, const struct mqtt_connack *connack)
{
	size_t start = writer_length_open(writer);
	connack_limits_encode(writer, connack);
	if (connack->assigned_client_id.size > 0)
		property_write_binary(writer, MQTT_PROPERTY_ASSIGNED_CLIENT_ID, connack->assigned_client_id);
	if (connack->reason_string.size > 0)
		property_write_binary(writer, MQTT_PROPERTY_REASON_STRING, connack->reason_string);
	if (connack->auth_method.size > 0)
		property_write_binary(writer, MQTT_PROPERTY_AUTH_METHOD, connack->auth_method);
	if (connack->server_reference.size > 0)
		property_write_binary(writer, MQTT_PROPERTY_SERVER_REFERENCE, connack->server_reference);
	if (connack->user_name.size > 0) {
		property_write_binary(writer, MQTT_PROPERTY_USER_PROPERTY, connack->user_name);
		writer_binary(writer, connack->user_value);
	}
	if (connack->response_information.size > 0)
		property_write_binary(writer, MQTT_PROPERTY_RESPONSE_INFO, connack->response_information);
	writer_length_close(writer, start);
}

size_t mqtt_connack_encode(const struct mqtt_connack *connack, uint8_t version, uint8_t *out, size_t out_size)
{
	CHECK(connack->qos_max <= 2);
	CHECK(version == MQTT_VERSION_5 || connack->reason <= RETURN_CODE_MAX);
	struct writer writer = writer_of(out, out_size);
	size_t start = writer_packet_open(&writer, MQTT_CONNACK, 0);
	/* A refusal never tells of a session [MQTT-3.2.2-6]. */
	bool session_present = connack->session_present && connack->reason == MQTT_REASON_SUCCESS;
	writer_u8(&writer, session_present ? FLAG_SESSION_PRESENT : 0);
	writer_u8(&writer, connack->reason);
	if (version == MQTT_VERSION_5)
		connack_properties_encode(&writer, connack);
	return writer_finish(&writer, start);
}
