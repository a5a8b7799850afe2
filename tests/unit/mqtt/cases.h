/* Packets written down to be read beside the standard, and one way to decode them all. Shared by the tests of the
 * codec. */
#ifndef TESTS_MQTT_CASES_H
#define TESTS_MQTT_CASES_H

#include "mqtt/decode.h"

/* The body is a text of
 *   2A        a byte, in hexadecimal,
 *   'a/b'     a UTF-8 Encoded String: its two-byte length and its bytes,
 *   <a/b>     just the bytes,
 *   [...]     a group, with its length in front of it as a Variable Byte Integer; groups nest. */
/* In the order in which a row reads best: NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct mqtt_case {
	const char *name; /* with the rule's number, where one is broken */
	uint8_t type;
	uint8_t flags;
	uint8_t version;
	bool from_server;
	const char *body;
	enum error error;
	uint64_t good_cuts; /* bit n: the first n bytes are a good packet too */
};

extern const struct mqtt_case MQTT_GOOD[];
extern const size_t MQTT_GOOD_COUNT;
extern const struct mqtt_case MQTT_REFUSED[];
extern const size_t MQTT_REFUSED_COUNT;

#define GOOD_CUT(size) (UINT64_C(1) << (size))

/* A block of exactly that size, also of 0, so that a sanitizer sees a step past its end; the caller frees it. */
uint8_t *block_new(size_t size);

/* The bytes of such a text, in a block of exactly their size, which the caller frees. */
struct slice case_bytes(const char *body);

/* Checks the header, decodes the body as a packet of the case's type, version and side, and walks over what is in it:
 * properties, subscriptions. */
enum error case_decode(const struct mqtt_case *which, struct slice body);

/* The call writes into out, which holds out_size bytes: it must give the expected packet where out_size is enough, and
 * 0 for every smaller one. */
#define ASSERT_ENCODES(expected_text, call)                                                                            \
	do {                                                                                                           \
		struct slice expected = case_bytes(expected_text);                                                     \
		for (size_t out_size = 0; out_size <= expected.size; out_size++) {                                     \
			uint8_t *out = block_new(out_size);                                                            \
			size_t size = (call);                                                                          \
			assert_int_equal(size, out_size == expected.size ? expected.size : 0);                         \
			assert_memory_equal(out, expected.data, size);                                                 \
			free(out);                                                                                     \
		}                                                                                                      \
		free((void *)expected.data);                                                                           \
	} while (0)

#define ASSERT_TEXT(slice, text) assert_true(slice_equal(slice, slice_string(text)))

#endif
