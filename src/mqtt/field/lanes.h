/* Eight bytes at once: a word of 64 bits is eight lanes of one byte each. For the checks of text, where nearly all
 * bytes are ASCII. Pure; any thread. */
#ifndef MQTT_LANES_H
#define MQTT_LANES_H

#include "base/slice.h"

#include <endian.h>

#define LANE_COUNT 8u
/* The same byte in every lane. */
#define LANES(byte) (UINT64_C(0x0101010101010101) * (byte))
#define LANES_HIGH_BITS LANES(0x80)

_Static_assert(LANE_COUNT == sizeof(uint64_t), "a lane is a byte");

/* The high bit of each lane that equals byte. Exact only where no lane has its high bit set, which makes
 * lane ^ byte at most 0x7F, so that adding 0x7F carries into the high bit but never into the next lane. */
static inline uint64_t lanes_equal(uint64_t ascii, uint8_t byte)
{
	return ~((ascii ^ LANES(byte)) + LANES(0x7F)) & LANES_HIGH_BITS;
}

/* How many lanes a result of lanes_equal() marks: the multiplication adds all lanes up in the highest. */
static inline size_t lanes_count(uint64_t marks)
{
	return (size_t)((marks >> 7) * LANES(1) >> 56);
}

/* The eight bytes at `bytes`, the first in the lowest lane. */
static inline uint64_t lanes_load(const uint8_t *bytes)
{
	uint64_t word;
	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

/* The lowest `count` (0 to 7) lanes; the others hold a harmless letter. */
static inline uint64_t lanes_keep(uint64_t word, size_t count)
{
	return (word & ((UINT64_C(1) << 8 * count) - 1)) | LANES('a') << 8 * count;
}

/* The last `count` (1 to 7) bytes of text, the first in the lowest lane, and 0 behind them. Without a loop and without
 * a read past the text: one load that ends with it, or of a text of 4 to 7 bytes two that overlap, or of one of 1 to 3
 * three bytes, some of which are the same. */
static inline uint64_t lanes_load_last(struct slice text, size_t count)
{
	const uint8_t *at = text.data + text.size - count;
	if (text.size >= LANE_COUNT)
		return lanes_load(at + count - LANE_COUNT) >> 8 * (LANE_COUNT - count);
	if (count < 4)
		return at[0] | (uint64_t)at[count / 2] << 8 * (count / 2) | (uint64_t)at[count - 1] << 8 * (count - 1);
	uint32_t low, high;
	memcpy(&low, at, sizeof(low));
	memcpy(&high, at + count - 4, sizeof(high));
	return le32toh(low) | (uint64_t)le32toh(high) >> 8 * (LANE_COUNT - count) << 32;
}

/* Whether every lane is ASCII and none is U+0000: subtracting 1 sets the high bit of a lane of 0, and a borrow only
 * leaves such a lane. */
static inline bool lanes_are_plain(uint64_t word)
{
	return (((word - LANES(1)) | word) & LANES_HIGH_BITS) == 0;
}

#endif
