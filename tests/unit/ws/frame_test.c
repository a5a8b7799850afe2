/* Heads of frames as RFC 6455 has them, cut at every byte; the mask beside the one of section 5.3 as it stands there.
 */
#include "ws/frame.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Hexadecimal digits in a block of their own, so that a sanitizer sees a step past their end. */
static struct slice bytes_of(const char *digits)
{
	size_t size = strlen(digits) / 2;
	uint8_t *bytes = malloc(size); /* NOLINT(clang-analyzer-optin.portability.UnixAPI): 0 is meant */
	for (size_t i = 0; i < size; i++) {
		char pair[3] = {digits[2 * i], digits[2 * i + 1]};
		bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return slice_of(bytes, size);
}

static const struct {
	const char *bytes;
	bool from_client;
	struct ws_head head;
} HEADS[] = {
	/* [5.7] */
	{"8105", false, {5, 2, WS_TEXT, true, false, {0}}},
	{"818537fa213d", true, {5, 6, WS_TEXT, true, true, {0x37, 0xfa, 0x21, 0x3d}}},
	{"0103", false, {3, 2, WS_TEXT, false, false, {0}}},
	{"8002", false, {2, 2, WS_CONTINUATION, true, false, {0}}},
	{"8905", false, {5, 2, WS_PING, true, false, {0}}},
	{"8a8537fa213d", true, {5, 6, WS_PONG, true, true, {0x37, 0xfa, 0x21, 0x3d}}},
	{"827e0100", false, {256, 4, WS_BINARY, true, false, {0}}},
	{"827f0000000000010000", false, {65536, 10, WS_BINARY, true, false, {0}}},
	/* edges of the lengths */
	{"0200", false, {0, 2, WS_BINARY, false, false, {0}}},
	{"828000000000", true, {0, 6, WS_BINARY, true, true, {0}}},
	{"827d", false, {125, 2, WS_BINARY, true, false, {0}}},
	{"827e007e", false, {126, 4, WS_BINARY, true, false, {0}}},
	{"82feffff01020304", true, {65535, 8, WS_BINARY, true, true, {1, 2, 3, 4}}},
	{"827f7fffffffffffffff", false, {INT64_MAX, 10, WS_BINARY, true, false, {0}}},
	{"82ff7fffffffffffffff01020304", true, {INT64_MAX, 14, WS_BINARY, true, true, {1, 2, 3, 4}}},
	{"887d", false, {125, 2, WS_CLOSE, true, false, {0}}},
};

static void test_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
		struct slice bytes = bytes_of(HEADS[i].bytes);
		const struct ws_head *wanted = &HEADS[i].head;
		struct ws_head head;
		for (size_t size = 0; size < bytes.size; size++) {
			uint8_t *cut = malloc(size); /* NOLINT(clang-analyzer-optin.portability.UnixAPI) */
			memcpy(cut, bytes.data, size);
			assert_int_equal(ws_head_read(slice_of(cut, size), HEADS[i].from_client, &head), ERROR_MORE);
			free(cut);
		}
		assert_int_equal(ws_head_read(bytes, HEADS[i].from_client, &head), ERROR_OK);
		assert_int_equal(head.payload_bytes, wanted->payload_bytes);
		assert_int_equal(head.bytes, wanted->bytes);
		assert_int_equal(head.opcode, wanted->opcode);
		assert_int_equal(head.is_final, wanted->is_final);
		assert_int_equal(head.is_masked, wanted->is_masked);
		assert_memory_equal(head.mask, wanted->mask, 4);
		uint8_t out[WS_HEAD_BYTES_MAX];
		if (head.is_final) {
			size_t size = ws_head_write((enum ws_opcode)head.opcode, head.payload_bytes,
						    head.is_masked ? head.mask : NULL, out);
			assert_int_equal(size, bytes.size);
			assert_memory_equal(out, bytes.data, size);
		}
		free((void *)bytes.data);
	}
}

static const struct {
	const char *bytes; /* as many as it takes to tell */
	bool from_client;
	enum error error;
} REFUSED[] = {
	{"c2", true, ERROR_WS_RESERVED}, /* RSV1: compressed, which was not negotiated */
	{"a2", true, ERROR_WS_RESERVED},
	{"92", true, ERROR_WS_RESERVED},
	{"83", true, ERROR_WS_RESERVED},
	{"87", true, ERROR_WS_RESERVED},
	{"8b", true, ERROR_WS_RESERVED},
	{"8f", true, ERROR_WS_RESERVED},
	{"09", true, ERROR_WS_CONTROL}, /* fragmented */
	{"08", true, ERROR_WS_CONTROL},
	{"89fe", true, ERROR_WS_CONTROL}, /* 126 bytes */
	{"88ff", true, ERROR_WS_CONTROL},
	{"8200", true, ERROR_WS_MASK},
	{"8900", true, ERROR_WS_MASK},
	{"8280", false, ERROR_WS_MASK},
	{"82fe007d", true, ERROR_WS_LENGTH}, /* not minimal */
	{"82fe0000", true, ERROR_WS_LENGTH},
	{"82ff000000000000ffff", true, ERROR_WS_LENGTH},
	{"82ff0000000000000000", true, ERROR_WS_LENGTH},
	{"82ff80", true, ERROR_WS_LENGTH}, /* 2^63 */
	{"827fff", false, ERROR_WS_LENGTH},
};

static void test_refused_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(REFUSED); i++) {
		struct slice bytes = bytes_of(REFUSED[i].bytes);
		struct ws_head head;
		for (size_t size = 0; size < bytes.size; size++)
			assert_int_equal(ws_head_read(slice_of(bytes.data, size), REFUSED[i].from_client, &head),
					 ERROR_MORE);
		assert_int_equal(ws_head_read(bytes, REFUSED[i].from_client, &head), REFUSED[i].error);
		free((void *)bytes.data);
	}
}

/* ---- the mask ---- */

static void test_mask_of_the_standard(void **state)
{
	(void)state;
	static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d};
	uint8_t bytes[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};
	ws_mask(bytes, bytes, sizeof(bytes), MASK, 0);
	assert_memory_equal(bytes, "Hello", 5);
}

/* [5.3]: "octet i of the transformed data is the XOR of octet i of the original data with octet at index i modulo 4 of
 * the masking key". */
static void mask_naively(uint8_t *bytes, size_t size, const uint8_t mask[4], uint64_t offset)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] ^= mask[(offset + i) % 4];
}

/* Each size, offset and distance, at each alignment; nothing beside it is touched. */
static void test_mask_is_the_naive_one(void **state)
{
	(void)state;
	struct random random = {41};
	uint8_t before[160], bytes[160], wanted[160];
	for (size_t i = 0; i < sizeof(before); i++)
		before[i] = (uint8_t)random_next(&random);
	for (size_t size = 0; size <= 75; size++) {
		for (size_t distance = 0; distance <= 40; distance++) {
			size_t at = random_below(&random, 8), from = at + distance;
			uint64_t offset = (uint64_t)random_next(&random) << 30 | random_next(&random);
			uint8_t mask[4] = {(uint8_t)random_next(&random), 0xff, 0, (uint8_t)random_next(&random)};
			memcpy(bytes, before, sizeof(bytes));
			memcpy(wanted, before, sizeof(wanted));
			memmove(wanted + at, before + from, size);
			mask_naively(wanted + at, size, mask, offset);
			ws_mask(bytes + at, bytes + from, size, mask, offset);
			assert_memory_equal(bytes, wanted, at + size);
			/* Behind it are bytes that were there, or that were read. */
			assert_memory_equal(bytes + from + size, before + from + size, sizeof(bytes) - from - size);
		}
	}
}

static void test_mask_stays_within_its_block(void **state)
{
	(void)state;
	static const uint8_t MASK[4] = {1, 2, 3, 4};
	for (size_t size = 0; size <= 70; size++) {
		uint8_t *bytes = calloc(1, size); /* NOLINT(clang-analyzer-optin.portability.UnixAPI) */
		ws_mask(bytes, bytes, size, MASK, 3);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(bytes[i], (3 + i) % 4 + 1);
		free(bytes);
	}
}

/* ---- Close ---- */

static void test_close(void **state)
{
	(void)state;
	static const struct {
		uint16_t first, last;
		enum error error;
	} CODES[] = {
		{0, 999, ERROR_WS_CLOSE},      {1000, 1003, ERROR_OK},       {1004, 1006, ERROR_WS_CLOSE},
		{1007, 1014, ERROR_OK},        {1015, 2999, ERROR_WS_CLOSE}, {3000, 4999, ERROR_OK},
		{5000, 65535, ERROR_WS_CLOSE},
	};
	uint16_t code;
	for (size_t i = 0; i < COUNT_OF(CODES); i++) {
		for (uint32_t n = CODES[i].first; n <= CODES[i].last; n++) {
			uint8_t payload[] = {(uint8_t)(n >> 8), (uint8_t)n, 'b', 'y', 'e'};
			assert_int_equal(ws_close_read(slice_of(payload, 2 + n % 4), &code), CODES[i].error);
			assert_int_equal(code, n);
		}
	}
	assert_int_equal(ws_close_read(slice_of("", 0), &code), ERROR_OK);
	assert_int_equal(code, 0);
	assert_int_equal(ws_close_read(slice_of("\3", 1), &code), ERROR_WS_CLOSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_refused_heads),
		cmocka_unit_test(test_mask_of_the_standard),
		cmocka_unit_test(test_mask_is_the_naive_one),
		cmocka_unit_test(test_mask_stays_within_its_block),
		cmocka_unit_test(test_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
