#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/property_read.h"
#include "mqtt/field/reader.h"
#include "mqtt/field/reason.h"
#include "mqtt/field/writer.h"

#define SUBACK_FAILURE_3_1_1 0x80 /* [3.9.3 of 3.1.1] */

/* UNSUBACK has no payload before version 5 [3.11.3 of 3.1.1]. */
static bool suback_has_codes(uint8_t type, uint8_t version)
{
	return type == MQTT_SUBACK || version == MQTT_VERSION_5;
}

static bool suback_code_is_valid(uint8_t code, uint8_t type, uint8_t version)
{
	if (version == MQTT_VERSION_5)
		return mqtt_reason_allowed(code, type, true);
	return code <= 2 || code == SUBACK_FAILURE_3_1_1;
}

/* One byte for each filter, so at least one [3.9.3, 3.11.3]. */
static void suback_codes_decode(struct reader *reader, uint8_t type, uint8_t version, struct mqtt_suback *out)
{
	if (reader->rest.size == 0)
		reader_fail(reader, ERROR_PACKET_SHORT);
	out->codes = reader_rest(reader);
	for (size_t i = 0; i < out->codes.size; i++)
		if (!suback_code_is_valid(out->codes.data[i], type, version))
			reader_fail(reader, ERROR_REASON_CODE);
}

enum error mqtt_suback_decode(struct slice body, uint8_t type, uint8_t version, struct mqtt_suback *out)
{
	CHECK(type == MQTT_SUBACK || type == MQTT_UNSUBACK);
	*out = (struct mqtt_suback){0};
	struct reader reader = reader_of(body);
	out->packet_id = reader_packet_id(&reader);
	if (version == MQTT_VERSION_5)
		out->properties = reader_properties_checked(&reader, type);
	if (suback_has_codes(type, version))
		suback_codes_decode(&reader, type, version, out);
	return reader_finish(&reader);
}

size_t mqtt_suback_encode(uint16_t packet_id, const uint8_t *codes, size_t count, uint8_t type, uint8_t version,
			  uint8_t *out, size_t out_size)
{
	CHECK(type == MQTT_SUBACK || type == MQTT_UNSUBACK);
	struct writer writer = writer_of(out, out_size);
	size_t start = writer_packet_open(&writer, type, 0);
	writer_u16(&writer, packet_id);
	if (version == MQTT_VERSION_5)
		writer_varint(&writer, 0);
	if (!suback_has_codes(type, version))
		return writer_finish(&writer, start);
	writer_bytes(&writer, slice_of(codes, count));
	return count == 0 ? 0 : writer_finish(&writer, start);
}
