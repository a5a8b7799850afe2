/* The fixed header [2.1] and the packets that are nothing else. */
#include "cases.h"

#include "mqtt/encode.h"
#include "mqtt/field/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
	const char *bytes;
	enum error error;
	struct mqtt_header header;
} HEADERS[] = {
	/* The digits of table 2-1 of [1.5.5], at their edges. */
	{"C000", ERROR_OK, {MQTT_PINGREQ, 0, 2, 0}},
	{"307F", ERROR_OK, {MQTT_PUBLISH, 0, 2, 127}},
	{"3D8001", ERROR_OK, {MQTT_PUBLISH, 0xD, 3, 128}},
	{"30FF7F", ERROR_OK, {MQTT_PUBLISH, 0, 3, 16383}},
	{"30808001", ERROR_OK, {MQTT_PUBLISH, 0, 4, 16384}},
	{"30FFFF7F", ERROR_OK, {MQTT_PUBLISH, 0, 4, 2097151}},
	{"3080808001", ERROR_OK, {MQTT_PUBLISH, 0, 5, 2097152}},
	{"30FFFFFF7F", ERROR_OK, {MQTT_PUBLISH, 0, 5, MQTT_BODY_BYTES_MAX}},
	{"300100", ERROR_OK, {MQTT_PUBLISH, 0, 2, 1}},
	/* not whole yet */
	{"", ERROR_MORE, {0}},
	{"30", ERROR_MORE, {0}},
	{"3080", ERROR_MORE, {0}},
	{"308080", ERROR_MORE, {0}},
	{"30808080", ERROR_MORE, {0}},
	/* MQTT-1.5.5-1 */
	{"3080808080", ERROR_LENGTH_MALFORMED, {0}},
	{"308000", ERROR_LENGTH_MALFORMED, {0}},
	{"30FF00", ERROR_LENGTH_MALFORMED, {0}},
	{"30808000", ERROR_LENGTH_MALFORMED, {0}},
	{"3080808000", ERROR_LENGTH_MALFORMED, {0}},
};

static void test_header_decodes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(HEADERS) / sizeof(HEADERS[0]); i++) {
		struct slice bytes = case_bytes(HEADERS[i].bytes);
		struct mqtt_header header = {0};
		assert_int_equal(mqtt_header_decode(bytes.data, bytes.size, &header), HEADERS[i].error);
		assert_int_equal(header.type, HEADERS[i].header.type);
		assert_int_equal(header.flags, HEADERS[i].header.flags);
		assert_int_equal(header.header_bytes, HEADERS[i].header.header_bytes);
		assert_int_equal(header.body_bytes, HEADERS[i].header.body_bytes);
		free((void *)bytes.data);
	}
}

static void test_header_encodes_what_it_decodes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(HEADERS) / sizeof(HEADERS[0]); i++) {
		if (HEADERS[i].error != ERROR_OK)
			continue;
		uint8_t out[MQTT_HEADER_BYTES_MAX];
		struct mqtt_header header = HEADERS[i].header, again;
		struct writer writer = writer_of(out, sizeof(out));
		writer_u8(&writer, (uint8_t)(header.type << 4 | header.flags));
		writer_varint(&writer, header.body_bytes);
		size_t size = writer.used;
		assert_int_equal(size, header.header_bytes);
		assert_int_equal(mqtt_header_decode(out, size, &again), ERROR_OK);
		assert_int_equal(again.type, header.type);
		assert_int_equal(again.flags, header.flags);
		assert_int_equal(again.body_bytes, header.body_bytes);
	}
}

/* Table 2-2 of [2.1.3]: the only flags that each type may have, or -1 where all are its own. */
static const int FLAGS[16] = {
	[MQTT_PUBLISH] = -1,
	[MQTT_PUBREL] = 2,
	[MQTT_SUBSCRIBE] = 2,
	[MQTT_UNSUBSCRIBE] = 2,
};

static enum error expected_check(unsigned type, unsigned flags)
{
	if (type == 0)
		return ERROR_PACKET_TYPE;
	return FLAGS[type] == -1 || FLAGS[type] == (int)flags ? ERROR_OK : ERROR_FLAGS_RESERVED;
}

static void test_header_is_checked(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		struct mqtt_header header = {.type = (uint8_t)(first >> 4), .flags = first & 0xF};
		assert_int_equal(mqtt_header_check(header), expected_check(first >> 4, first & 0xF));
	}
}

static void test_ping_is_two_bytes(void **state)
{
	(void)state;
	ASSERT_ENCODES("C0 []", mqtt_empty_encode(MQTT_PINGREQ, out, out_size));
	ASSERT_ENCODES("D0 []", mqtt_empty_encode(MQTT_PINGRESP, out, out_size));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_decodes),
		cmocka_unit_test(test_header_encodes_what_it_decodes),
		cmocka_unit_test(test_header_is_checked),
		cmocka_unit_test(test_ping_is_two_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
