/* PUBACK, PUBREC, PUBREL and PUBCOMP [3.4 to 3.7]. */
#include "cases.h"

#include "mqtt/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_what_is_left_out_is_success(void **state)
{
	(void)state;
	struct slice body = case_bytes("0102");
	struct mqtt_ack ack;
	assert_int_equal(mqtt_ack_decode(body, MQTT_PUBACK, MQTT_VERSION_5, &ack), ERROR_OK);
	assert_int_equal(ack.packet_id, 0x0102);
	assert_int_equal(ack.reason, 0);
	assert_int_equal(ack.properties.size, 0);
	free((void *)body.data);
}

static void test_code_and_properties_are_taken(void **state)
{
	(void)state;
	struct slice body = case_bytes("0102 97 [1F 'full']");
	struct mqtt_ack ack;
	assert_int_equal(mqtt_ack_decode(body, MQTT_PUBREC, MQTT_VERSION_5, &ack), ERROR_OK);
	assert_int_equal(ack.reason, 0x97);
	assert_int_equal(ack.properties.size, 7);
	ASSERT_ENCODES("50 [0102 97 [1F 'full']]", mqtt_ack_encode(&ack, MQTT_PUBREC, MQTT_VERSION_5, out, out_size));
	free((void *)body.data);
}

static void test_ack_encodes_as_short_as_allowed(void **state)
{
	(void)state;
	struct mqtt_ack ack = {.packet_id = 0x0102};
	ASSERT_ENCODES("40 [0102]", mqtt_ack_encode(&ack, MQTT_PUBACK, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("62 [0102]", mqtt_ack_encode(&ack, MQTT_PUBREL, MQTT_VERSION_5, out, out_size));
	ack.reason = 0x92;
	ASSERT_ENCODES("70 [0102 92]", mqtt_ack_encode(&ack, MQTT_PUBCOMP, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("70 [0102]", mqtt_ack_encode(&ack, MQTT_PUBCOMP, MQTT_VERSION_3_1_1, out, out_size));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_left_out_is_success),
		cmocka_unit_test(test_code_and_properties_are_taken),
		cmocka_unit_test(test_ack_encodes_as_short_as_allowed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
