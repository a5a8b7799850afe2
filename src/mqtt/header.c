#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/reader.h"
#include "mqtt/field/writer.h"

_Static_assert(MQTT_BODY_BYTES_MAX == (1u << 28) - 1, "four bytes of seven bits each");
_Static_assert(MQTT_HEADER_BYTES_MAX == 1 + 4, "the type and the longest Remaining Length");

enum error mqtt_header_decode(const uint8_t *bytes, size_t size, struct mqtt_header *out)
{
	if (size < 2)
		return ERROR_MORE;
	/* Remaining Length is one to four bytes: bytes[1] to bytes[4]. */
	uint32_t length = 0;
	size_t last = 0;
	do {
		if (++last == MQTT_HEADER_BYTES_MAX)
			return ERROR_LENGTH_MALFORMED;
		if (last == size)
			return ERROR_MORE;
		length |= (uint32_t)(bytes[last] & 0x7F) << (7 * (last - 1));
	} while (bytes[last] & 0x80);
	if (bytes[last] == 0 && last > 1)
		return ERROR_LENGTH_MALFORMED;
	*out = (struct mqtt_header){
		.type = bytes[0] >> 4,
		.flags = bytes[0] & 0x0F,
		.header_bytes = (uint8_t)(last + 1),
		.body_bytes = length,
	};
	return ERROR_OK;
}

enum error mqtt_header_check(struct mqtt_header header)
{
	switch (header.type) {
	case 0:
		return ERROR_PACKET_TYPE;
	case MQTT_PUBLISH:
		return ERROR_OK;
	case MQTT_PUBREL:
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return header.flags == 0x02 ? ERROR_OK : ERROR_FLAGS_RESERVED;
	default:
		return header.flags == 0 ? ERROR_OK : ERROR_FLAGS_RESERVED;
	}
}

enum error mqtt_empty_decode(struct slice body)
{
	struct reader reader = reader_of(body);
	return reader_finish(&reader);
}

size_t mqtt_empty_encode(uint8_t type, uint8_t *out, size_t out_size)
{
	CHECK(type == MQTT_PINGREQ || type == MQTT_PINGRESP);
	struct writer writer = writer_of(out, out_size);
	return writer_finish(&writer, writer_packet_open(&writer, type, 0));
}
