/* A cursor that writes one packet. It latches the first field that does not fit: nothing is written from there on and
 * the packet's size comes out as 0. Owned by the encoder's stack frame. */
#ifndef MQTT_WRITER_H
#define MQTT_WRITER_H

#include "base/check.h"
#include "base/slice.h"
#include "mqtt/field/protocol.h"

struct writer {
	uint8_t *out;
	size_t size;
	size_t used;
	bool failed;
};

static inline struct writer writer_of(uint8_t *out, size_t out_size)
{
	return (struct writer){.out = out, .size = out_size};
}

/* Room for size bytes, or NULL. */
static inline uint8_t *writer_room(struct writer *writer, size_t size)
{
	if (writer->failed || size > writer->size - writer->used) {
		writer->failed = true;
		return NULL;
	}
	uint8_t *room = writer->out + writer->used;
	writer->used += size;
	return room;
}

static inline void writer_u8(struct writer *writer, uint8_t value)
{
	uint8_t *room = writer_room(writer, 1);
	if (room != NULL)
		room[0] = value;
}

static inline void writer_u16(struct writer *writer, uint16_t value)
{
	writer_u8(writer, (uint8_t)(value >> 8));
	writer_u8(writer, (uint8_t)value);
}

static inline void writer_u32(struct writer *writer, uint32_t value)
{
	writer_u16(writer, (uint16_t)(value >> 16));
	writer_u16(writer, (uint16_t)value);
}

static inline void writer_bytes(struct writer *writer, struct slice bytes)
{
	if (bytes.size == 0)
		return;
	uint8_t *room = writer_room(writer, bytes.size);
	if (room != NULL)
		memcpy(room, bytes.data, bytes.size);
}

/* Binary Data and UTF-8 Encoded String: the length has two bytes [1.5.4, 1.5.6]. */
static inline void writer_binary(struct writer *writer, struct slice data)
{
	if (data.size > UINT16_MAX)
		writer->failed = true;
	writer_u16(writer, (uint16_t)data.size);
	writer_bytes(writer, data);
}

/* Bytes that a Variable Byte Integer takes [1.5.5]. */
static inline size_t varint_bytes(size_t value)
{
	return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : 4;
}

/* Writes the value into out, which has varint_bytes(value) bytes; value is at most MQTT_BODY_BYTES_MAX. */
static inline void varint_write(uint8_t *out, size_t value)
{
	for (; value >= 128; value >>= 7)
		*out++ = (uint8_t)(value | 0x80);
	*out = (uint8_t)value;
}

/* Variable Byte Integer. */
static inline void writer_varint(struct writer *writer, uint32_t value)
{
	if (value > MQTT_BODY_BYTES_MAX)
		writer->failed = true;
	uint8_t *room = writer_room(writer, varint_bytes(value));
	if (room != NULL)
		varint_write(room, value);
}

/* A length in front of what it measures: open before, close after. It guesses one byte and moves the rest up where
 * more are needed, so that short packets, which are nearly all, are written in one pass without being measured. */
static inline size_t writer_length_open(struct writer *writer)
{
	writer_u8(writer, 0);
	return writer->used;
}

static inline void writer_length_close(struct writer *writer, size_t start)
{
	CHECK(start <= writer->used && writer->used <= writer->size);
	size_t length = writer->used - start;
	size_t more = varint_bytes(length) - 1;
	if (length > MQTT_BODY_BYTES_MAX || writer_room(writer, more) == NULL)
		writer->failed = true;
	if (writer->failed)
		return;
	if (more > 0)
		memmove(writer->out + start + more, writer->out + start, length);
	varint_write(writer->out + start - 1, length);
}

/* The first byte of a packet and its Remaining Length, which writer_finish() closes. */
static inline size_t writer_packet_open(struct writer *writer, uint8_t type, uint8_t flags)
{
	writer_u8(writer, (uint8_t)(type << 4 | flags));
	return writer_length_open(writer);
}

/* The packet's size, or 0. */
static inline size_t writer_finish(struct writer *writer, size_t start)
{
	writer_length_close(writer, start);
	return writer->failed ? 0 : writer->used;
}

#endif
