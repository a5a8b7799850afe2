/* A cursor over the body of one packet. It latches its first fault: once one read has failed, every later read gives
 * zero or an empty slice, so that a decoder lists the fields in the order of the specification's table and looks at
 * the fault once, at the end. Owned by the decoder's stack frame; private to src/mqtt; reads nothing past `rest`. */
#ifndef MQTT_READER_H
#define MQTT_READER_H

#include "base/check.h"
#include "base/error.h"
#include "mqtt/field/topic.h"

struct reader {
	struct slice rest;
	enum error error;
};

static inline struct reader reader_of(struct slice body)
{
	return (struct reader){.rest = body, .error = ERROR_OK};
}

static inline void reader_fail(struct reader *reader, enum error error)
{
	if (reader->error != ERROR_OK)
		return;
	reader->error = error;
	reader->rest.size = 0;
}

/* The next size bytes as they are. */
static inline struct slice reader_bytes(struct reader *reader, size_t size)
{
	struct slice bytes = slice_of(reader->rest.data, size);
	if (size > reader->rest.size) {
		reader_fail(reader, ERROR_PACKET_SHORT);
		return slice_of(NULL, 0);
	}
	if (size == 0) /* data may be NULL, and NULL + 0 is undefined */
		return bytes;
	reader->rest = slice_of(reader->rest.data + size, reader->rest.size - size);
	return bytes;
}

static inline struct slice reader_rest(struct reader *reader)
{
	return reader_bytes(reader, reader->rest.size);
}

/* Byte [1.5.1]. */
static inline uint8_t reader_u8(struct reader *reader)
{
	struct slice bytes = reader_bytes(reader, 1);
	return bytes.size == 0 ? 0 : bytes.data[0];
}

/* Two Byte Integer [1.5.2]. */
static inline uint16_t reader_u16(struct reader *reader)
{
	struct slice bytes = reader_bytes(reader, 2);
	if (bytes.size == 0)
		return 0;
	return (uint16_t)(bytes.data[0] << 8 | bytes.data[1]);
}

/* Four Byte Integer [1.5.3]. */
static inline uint32_t reader_u32(struct reader *reader)
{
	uint32_t high = reader_u16(reader);
	return high << 16 | reader_u16(reader);
}

/* Variable Byte Integer [1.5.5], in the fewest bytes only [MQTT-1.5.5-1]. */
static inline uint32_t reader_varint(struct reader *reader)
{
	uint32_t value = 0;
	for (unsigned shift = 0; shift < 28; shift += 7) {
		uint8_t byte = reader_u8(reader);
		value |= (uint32_t)(byte & 0x7F) << shift;
		if (byte & 0x80)
			continue;
		if (byte == 0 && shift > 0)
			break;
		return value;
	}
	reader_fail(reader, ERROR_LENGTH_MALFORMED);
	return 0;
}

/* Binary Data [1.5.6]; also a string whose bytes were checked before. */
static inline struct slice reader_binary(struct reader *reader)
{
	return reader_bytes(reader, reader_u16(reader));
}

/* UTF-8 Encoded String [1.5.4]. */
static inline struct slice reader_string(struct reader *reader)
{
	struct slice string = reader_binary(reader);
	enum error error = mqtt_string_check(string);
	if (error != ERROR_OK)
		reader_fail(reader, error);
	return string;
}

/* Packet Identifier: never 0 [MQTT-2.2.1-3]. */
static inline uint16_t reader_packet_id(struct reader *reader)
{
	uint16_t packet_id = reader_u16(reader);
	if (packet_id == 0)
		reader_fail(reader, ERROR_PACKET_ID_ZERO);
	return packet_id;
}

/* The first fault, or what is left over after the last field. */
static inline enum error reader_finish(struct reader *reader)
{
	CHECK(reader->error == ERROR_OK || reader->rest.size == 0);
	if (reader->rest.size > 0)
		reader_fail(reader, ERROR_PACKET_TRAILING);
	return reader->error;
}

#endif
