/* Numbers in messages between nodes: little-endian, at any alignment. A reader never reads beyond the bytes, and says
 * in the end whether there were enough. Pure; any thread. */
#ifndef CLUSTER_WIRE_H
#define CLUSTER_WIRE_H

#include "base/slice.h"

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>

static inline uint8_t *wire_put_u8(uint8_t *at, uint8_t value)
{
	*at = value;
	return at + 1;
}

static inline uint8_t *wire_put_u16(uint8_t *at, uint16_t value)
{
	value = htole16(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static inline uint8_t *wire_put_u32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static inline uint8_t *wire_put_u64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

struct wire_reader {
	struct slice rest;
	bool failed; /* there were fewer bytes; what was read from then on is 0 */
};

static inline struct wire_reader wire_read(struct slice body)
{
	return (struct wire_reader){.rest = body};
}

/* So many bytes; data NULL: there are fewer. */
static inline struct slice wire_get(struct wire_reader *reader, size_t size)
{
	if (reader->rest.size < size) {
		reader->failed = true;
		reader->rest.size = 0;
		return slice_of(NULL, 0);
	}
	struct slice taken = slice_of(reader->rest.data, size);
	reader->rest = slice_of(reader->rest.data + size, reader->rest.size - size);
	return taken;
}

static inline uint8_t wire_get_u8(struct wire_reader *reader)
{
	struct slice bytes = wire_get(reader, 1);
	return bytes.data != NULL ? bytes.data[0] : 0;
}

static inline uint16_t wire_get_u16(struct wire_reader *reader)
{
	uint16_t value = 0;
	struct slice bytes = wire_get(reader, sizeof(value));
	if (bytes.data != NULL)
		memcpy(&value, bytes.data, sizeof(value));
	return le16toh(value);
}

static inline uint32_t wire_get_u32(struct wire_reader *reader)
{
	uint32_t value = 0;
	struct slice bytes = wire_get(reader, sizeof(value));
	if (bytes.data != NULL)
		memcpy(&value, bytes.data, sizeof(value));
	return le32toh(value);
}

static inline uint64_t wire_get_u64(struct wire_reader *reader)
{
	uint64_t value = 0;
	struct slice bytes = wire_get(reader, sizeof(value));
	if (bytes.data != NULL)
		memcpy(&value, bytes.data, sizeof(value));
	return le64toh(value);
}

/* All was read, and nothing was missing. */
static inline bool wire_is_done(const struct wire_reader *reader)
{
	return !reader->failed && reader->rest.size == 0;
}

#endif
