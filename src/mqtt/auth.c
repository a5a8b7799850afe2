#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/property_read.h"
#include "mqtt/field/property_write.h"
#include "mqtt/field/reader.h"
#include "mqtt/field/reason.h"

/* [3.15.2.2] */
static void auth_properties_decode(struct reader *reader, struct mqtt_auth *out)
{
	out->properties = reader_properties(reader);
	struct mqtt_property_walk walk = mqtt_property_walk_of(out->properties, MQTT_AUTH);
	struct mqtt_property property;
	while (reader_property(reader, &walk, &property)) {
		if (property.id == MQTT_PROPERTY_AUTH_METHOD)
			out->method = property.data;
		if (property.id == MQTT_PROPERTY_AUTH_DATA)
			out->data = property.data;
	}
	if (out->method.data == NULL)
		reader_fail(reader, ERROR_AUTH_METHOD_MISSING);
}

enum error mqtt_auth_decode(struct slice body, struct mqtt_auth *out)
{
	*out = (struct mqtt_auth){0};
	struct reader reader = reader_of(body);
	/* The form without code and properties means Success, which only a server may send [3.15.2.1]. */
	out->reason = body.size == 0 ? MQTT_REASON_SUCCESS : reader_u8(&reader);
	if (!mqtt_reason_allowed(out->reason, MQTT_AUTH, false))
		reader_fail(&reader, ERROR_REASON_CODE);
	auth_properties_decode(&reader, out);
	return reader_finish(&reader);
}

size_t mqtt_auth_encode(const struct mqtt_auth *auth, uint8_t *out, size_t out_size)
{
	struct writer writer = writer_of(out, out_size);
	size_t start = writer_packet_open(&writer, MQTT_AUTH, 0);
	writer_u8(&writer, auth->reason);
	size_t properties = writer_length_open(&writer);
	property_write_binary(&writer, MQTT_PROPERTY_AUTH_METHOD, auth->method);
	if (auth->data.size != 0)
		property_write_binary(&writer, MQTT_PROPERTY_AUTH_DATA, auth->data);
	writer_length_close(&writer, properties);
	return writer_finish(&writer, start);
}
