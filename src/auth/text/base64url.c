#include "auth/text/base64url.h"

#include "base/check.h"

/* Set for the characters of the alphabet; all others have 0, which an AND over all of them finds. */
#define GOOD 0x40u

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const uint8_t VALUES[256] = {
#define V(character, value) [character] = (GOOD | (value))
	V('A', 0),  V('B', 1),  V('C', 2),  V('D', 3),  V('E', 4),  V('F', 5),  V('G', 6),  V('H', 7),
	V('I', 8),  V('J', 9),  V('K', 10), V('L', 11), V('M', 12), V('N', 13), V('O', 14), V('P', 15),
	V('Q', 16), V('R', 17), V('S', 18), V('T', 19), V('U', 20), V('V', 21), V('W', 22), V('X', 23),
	V('Y', 24), V('Z', 25), V('a', 26), V('b', 27), V('c', 28), V('d', 29), V('e', 30), V('f', 31),
	V('g', 32), V('h', 33), V('i', 34), V('j', 35), V('k', 36), V('l', 37), V('m', 38), V('n', 39),
	V('o', 40), V('p', 41), V('q', 42), V('r', 43), V('s', 44), V('t', 45), V('u', 46), V('v', 47),
	V('w', 48), V('x', 49), V('y', 50), V('z', 51), V('0', 52), V('1', 53), V('2', 54), V('3', 55),
	V('4', 56), V('5', 57), V('6', 58), V('7', 59), V('8', 60), V('9', 61), V('-', 62), V('_', 63),
#undef V
};

_Static_assert(sizeof(ALPHABET) - 1 == 64, "six bits a character");

/* Four characters as 24 bits; *good loses its mark where one is not of the alphabet. */
static inline uint32_t base64url_quantum(const uint8_t *text, uint32_t *good)
{
	uint32_t a = VALUES[text[0]], b = VALUES[text[1]], c = VALUES[text[2]], d = VALUES[text[3]];
	*good &= a & b & c & d;
	return (a & 63) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63);
}

bool base64url_decode(struct slice text, uint8_t *out, size_t *size)
{
	uint32_t good = GOOD;
	const uint8_t *at = text.data;
	uint8_t *to = out;
	size_t rest = text.size;
	for (; rest >= 4; rest -= 4, at += 4, to += 3) {
		uint32_t bits = base64url_quantum(at, &good);
		to[0] = (uint8_t)(bits >> 16);
		to[1] = (uint8_t)(bits >> 8);
		to[2] = (uint8_t)bits;
	}
	*size = (size_t)(to - out);
	if (rest == 0)
		return good != 0;
	/* Two characters carry one byte and four bits over, three carry two and two; one carries none. */
	uint8_t last[4] = {'A', 'A', 'A', 'A'};
	memcpy(last, at, rest);
	uint32_t bits = base64url_quantum(last, &good);
	to[0] = (uint8_t)(bits >> 16);
	if (rest == 3)
		to[1] = (uint8_t)(bits >> 8);
	*size += rest == 3 ? 2 : 1;
	uint32_t left_over = rest == 3 ? bits & 0xFF : bits & 0xFFFF;
	CHECK(*size <= BASE64URL_DECODED_BYTES_MAX(text.size));
	return good != 0 && rest != 1 && left_over == 0;
}

size_t base64url_encode(struct slice bytes, char *out)
{
	size_t size = 0;
	for (size_t i = 0; i < bytes.size; i += 3) {
		size_t have = bytes.size - i < 3 ? bytes.size - i : 3;
		uint32_t bits = (uint32_t)bytes.data[i] << 16;
		if (have > 1)
			bits |= (uint32_t)bytes.data[i + 1] << 8;
		if (have > 2)
			bits |= bytes.data[i + 2];
		for (size_t character = 0; character <= have; character++)
			out[size++] = ALPHABET[bits >> (18 - 6 * character) & 63];
	}
	CHECK(size == BASE64URL_ENCODED_BYTES(bytes.size));
	return size;
}
