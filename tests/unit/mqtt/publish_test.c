/* PUBLISH [3.3]: its fields, its size, and encoding it. */
#include "cases.h"

#include "mqtt/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_fields_of_3_1_1_are_taken(void **state)
{
	(void)state;
	struct slice body = case_bytes("'a/b' 0102 <hi>");
	struct mqtt_publish publish;
	assert_int_equal(mqtt_publish_decode(body, 0xD, MQTT_VERSION_3_1_1, false, &publish), ERROR_OK);
	ASSERT_TEXT(publish.topic, "a/b");
	ASSERT_TEXT(publish.payload, "hi");
	assert_int_equal(publish.packet_id, 0x0102);
	assert_int_equal(publish.qos, 2);
	assert_true(publish.dup);
	assert_true(publish.retain);
	assert_int_equal(publish.properties.size, 0);
	assert_false(publish.has_message_expiry);
	free((void *)body.data);
}

static void test_fields_of_5_are_taken(void **state)
{
	(void)state;
	struct slice body = case_bytes("'' [02 00000000 23 0007] <hi>");
	struct mqtt_publish publish;
	assert_int_equal(mqtt_publish_decode(body, 0, MQTT_VERSION_5, false, &publish), ERROR_OK);
	assert_int_equal(publish.topic.size, 0);
	assert_int_equal(publish.topic_alias, 7);
	assert_true(publish.has_message_expiry);
	assert_int_equal(publish.message_expiry_s, 0);
	assert_int_equal(publish.packet_id, 0);
	assert_int_equal(publish.properties.size, 8);
	ASSERT_TEXT(publish.payload, "hi");
	free((void *)body.data);
}

static void test_publish_encodes(void **state)
{
	(void)state;
	struct slice properties = case_bytes("23 0007");
	struct mqtt_publish publish = {
		.topic = slice_string("a/b"),
		.payload = slice_string("hi"),
		.properties = properties,
	};
	ASSERT_ENCODES("30 ['a/b' <hi>]", mqtt_publish_encode(&publish, MQTT_VERSION_3_1_1, out, out_size));
	ASSERT_ENCODES("30 ['a/b' [23 0007] <hi>]", mqtt_publish_encode(&publish, MQTT_VERSION_5, out, out_size));
	publish.qos = 1;
	publish.dup = publish.retain = true;
	publish.packet_id = 0x0102;
	ASSERT_ENCODES("3B ['a/b' 0102 <hi>]", mqtt_publish_encode(&publish, MQTT_VERSION_3_1, out, out_size));
	publish.properties.size = 0;
	ASSERT_ENCODES("3B ['a/b' 0102 [] <hi>]", mqtt_publish_encode(&publish, MQTT_VERSION_5, out, out_size));
	free((void *)properties.data);
}

/* Around each place where Remaining Length takes one more byte. */
static const struct {
	size_t body_bytes;
	size_t header_bytes;
} SIZES[] = {{127, 2}, {128, 3}, {16383, 3}, {16384, 4}, {2097151, 4}, {2097152, 5}};

static void test_size_is_what_encode_writes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
		size_t payload_bytes = SIZES[i].body_bytes - 3, size = SIZES[i].body_bytes + SIZES[i].header_bytes;
		uint8_t *payload = calloc(1, payload_bytes), *out = block_new(size);
		struct mqtt_publish publish = {.topic = slice_string("a"), .payload = slice_of(payload, payload_bytes)};
		assert_int_equal(mqtt_publish_size(&publish, MQTT_VERSION_3_1_1), size);
		assert_int_equal(mqtt_publish_encode(&publish, MQTT_VERSION_3_1_1, out, size - 1), 0);
		assert_int_equal(mqtt_publish_encode(&publish, MQTT_VERSION_3_1_1, out, size), size);
		struct mqtt_header header;
		assert_int_equal(mqtt_header_decode(out, size, &header), ERROR_OK);
		assert_int_equal(header.body_bytes, SIZES[i].body_bytes);
		free(payload);
		free(out);
	}
}

/* The sizes alone decide: nothing is read. */
static void test_what_mqtt_cannot_express_has_no_size(void **state)
{
	(void)state;
	uint8_t byte = 'a';
	struct mqtt_publish publish = {.topic = slice_of(&byte, 1),
				       .payload = slice_of(&byte, MQTT_BODY_BYTES_MAX - 3)};
	assert_int_equal(mqtt_publish_size(&publish, MQTT_VERSION_3_1_1), MQTT_BODY_BYTES_MAX + 5);
	publish.payload.size++;
	assert_int_equal(mqtt_publish_size(&publish, MQTT_VERSION_3_1_1), 0);
	assert_int_equal(mqtt_publish_encode(&publish, MQTT_VERSION_3_1_1, &byte, SIZE_MAX), 0);
	publish = (struct mqtt_publish){.topic = slice_of(&byte, UINT16_MAX + 1)};
	assert_int_equal(mqtt_publish_size(&publish, MQTT_VERSION_3_1_1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_of_3_1_1_are_taken),
		cmocka_unit_test(test_fields_of_5_are_taken),
		cmocka_unit_test(test_publish_encodes),
		cmocka_unit_test(test_size_is_what_encode_writes),
		cmocka_unit_test(test_what_mqtt_cannot_express_has_no_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
