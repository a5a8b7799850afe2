#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/property_read.h"
#include "mqtt/field/property_write.h"
#include "mqtt/field/reader.h"
#include "mqtt/field/reason.h"
#include "mqtt/field/writer.h"

/* [3.14.2.2] */
static void disconnect_properties_decode(struct reader *reader, bool from_server, struct mqtt_disconnect *out)
{
	out->properties = reader_properties(reader);
	struct mqtt_property_walk walk = mqtt_property_walk_of(out->properties, MQTT_DISCONNECT);
	struct mqtt_property property;
	while (reader_property(reader, &walk, &property)) {
		switch (property.id) {
		case MQTT_PROPERTY_SESSION_EXPIRY:
			if (from_server)
				reader_fail(reader, ERROR_SESSION_EXPIRY_SENT);
			out->has_session_expiry = true;
			out->session_expiry_s = property.number;
			break;
		case MQTT_PROPERTY_REASON_STRING:
			out->reason_string = property.data;
			break;
		default:
			break;
		}
	}
}

/* Reason code and properties, which may be left out from the end on [3.14.2.1, 3.14.2.2.1]. */
static void disconnect_reason_decode(struct reader *reader, bool from_server, struct mqtt_disconnect *out)
{
	if (reader->rest.size == 0)
		return;
	out->reason = reader_u8(reader);
	if (!mqtt_reason_allowed(out->reason, MQTT_DISCONNECT, from_server))
		reader_fail(reader, ERROR_REASON_CODE);
	if (reader->rest.size > 0)
		disconnect_properties_decode(reader, from_server, out);
}

enum error mqtt_disconnect_decode(struct slice body, uint8_t version, bool from_server, struct mqtt_disconnect *out)
{
	*out = (struct mqtt_disconnect){0};
	struct reader reader = reader_of(body);
	if (version == MQTT_VERSION_5)
		disconnect_reason_decode(&reader, from_server, out);
	else if (from_server) /* a server just closes [2.2.1 of 3.1.1] */
		reader_fail(&reader, ERROR_PACKET_TYPE);
	return reader_finish(&reader);
}

static void disconnect_properties_encode(struct writer *writer, struct slice reason_string,
					 struct slice server_reference)
{
	size_t start = writer_length_open(writer);
	if (reason_string.size > 0)
		property_write_binary(writer, MQTT_PROPERTY_REASON_STRING, reason_string);
	if (server_reference.size > 0)
		property_write_binary(writer, MQTT_PROPERTY_SERVER_REFERENCE, server_reference);
	writer_length_close(writer, start);
}

size_t mqtt_disconnect_encode(uint8_t reason, struct slice reason_string, struct slice server_reference,
			      uint8_t version, uint8_t *out, size_t out_size)
{
	struct writer writer = writer_of(out, out_size);
	size_t start = writer_packet_open(&writer, MQTT_DISCONNECT, 0);
	bool has_properties = version == MQTT_VERSION_5 && (reason_string.size > 0 || server_reference.size > 0);
	if (has_properties || (version == MQTT_VERSION_5 && reason != MQTT_REASON_SUCCESS))
		writer_u8(&writer, reason);
	if (has_properties)
		disconnect_properties_encode(&writer, reason_string, server_reference);
	return writer_finish(&writer, start);
}
