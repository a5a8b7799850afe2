/* SUBACK and UNSUBACK [3.9, 3.11]. */
#include "cases.h"

#include "mqtt/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_codes_are_taken(void **state)
{
	(void)state;
	struct slice body = case_bytes("0102 [1F 'r'] 02 87");
	struct mqtt_suback suback;
	assert_int_equal(mqtt_suback_decode(body, MQTT_SUBACK, MQTT_VERSION_5, &suback), ERROR_OK);
	assert_int_equal(suback.packet_id, 0x0102);
	assert_int_equal(suback.properties.size, 4);
	assert_true(slice_equal(suback.codes, slice_of("\x02\x87", 2)));
	free((void *)body.data);
}

static void test_unsuback_of_3_1_1_has_no_codes(void **state)
{
	(void)state;
	struct slice body = case_bytes("0102");
	struct mqtt_suback suback;
	assert_int_equal(mqtt_suback_decode(body, MQTT_UNSUBACK, MQTT_VERSION_3_1_1, &suback), ERROR_OK);
	assert_int_equal(suback.codes.size, 0);
	free((void *)body.data);
}

static void test_suback_encodes(void **state)
{
	(void)state;
	const uint8_t codes[] = {0x00, 0x80};
	ASSERT_ENCODES("90 [0102 [] 00 80]",
		       mqtt_suback_encode(0x0102, codes, 2, MQTT_SUBACK, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("90 [0102 00 80]",
		       mqtt_suback_encode(0x0102, codes, 2, MQTT_SUBACK, MQTT_VERSION_3_1_1, out, out_size));
	ASSERT_ENCODES("B0 [0102 [] 00]",
		       mqtt_suback_encode(0x0102, codes, 1, MQTT_UNSUBACK, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("B0 [0102]",
		       mqtt_suback_encode(0x0102, codes, 2, MQTT_UNSUBACK, MQTT_VERSION_3_1_1, out, out_size));
	uint8_t packet[16];
	assert_int_equal(mqtt_suback_encode(1, codes, 0, MQTT_SUBACK, MQTT_VERSION_5, packet, sizeof(packet)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes_are_taken),
		cmocka_unit_test(test_unsuback_of_3_1_1_has_no_codes),
		cmocka_unit_test(test_suback_encodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
