#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/property_read.h"
#include "mqtt/field/reader.h"
#include "mqtt/field/reason.h"
#include "mqtt/field/writer.h"

/* Reason code and properties, which may be left out from the end on: no code means success, no Property Length means
 * no properties [3.4.2.1, 3.4.2.2.1]. */
static void ack_reason_decode(struct reader *reader, uint8_t type, struct mqtt_ack *out)
{
	if (reader->rest.size == 0)
		return;
	out->reason = reader_u8(reader);
	/* Which of the acknowledgements' codes are one side's alone, the standard does not say but for 0x10. */
	if (!mqtt_reason_allowed(out->reason, type, true))
		reader_fail(reader, ERROR_REASON_CODE);
	if (reader->rest.size > 0)
		out->properties = reader_properties_checked(reader, type);
}

enum error mqtt_ack_decode(struct slice body, uint8_t type, uint8_t version, struct mqtt_ack *out)
{
	CHECK(type >= MQTT_PUBACK && type <= MQTT_PUBCOMP);
	*out = (struct mqtt_ack){0};
	struct reader reader = reader_of(body);
	out->packet_id = reader_packet_id(&reader);
	if (version == MQTT_VERSION_5)
		ack_reason_decode(&reader, type, out);
	return reader_finish(&reader);
}

static void ack_properties_encode(struct writer *writer, struct slice properties)
{
	size_t start = writer_length_open(writer);
	writer_bytes(writer, properties);
	writer_length_close(writer, start);
}

size_t mqtt_ack_encode(const struct mqtt_ack *ack, uint8_t type, uint8_t version, uint8_t *out, size_t out_size)
{
	CHECK(type >= MQTT_PUBACK && type <= MQTT_PUBCOMP);
	struct writer writer = writer_of(out, out_size);
	/* PUBREL's reserved flags are 0010 [MQTT-3.6.1-1]. */
	size_t start = writer_packet_open(&writer, type, type == MQTT_PUBREL ? 0x02 : 0);
	writer_u16(&writer, ack->packet_id);
	bool has_properties = version == MQTT_VERSION_5 && ack->properties.size > 0;
	if (has_properties || (version == MQTT_VERSION_5 && ack->reason != MQTT_REASON_SUCCESS))
		writer_u8(&writer, ack->reason);
	if (has_properties)
		ack_properties_encode(&writer, ack->properties);
	return writer_finish(&writer, start);
}
