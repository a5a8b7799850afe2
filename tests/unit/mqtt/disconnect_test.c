/* DISCONNECT and AUTH [3.14, 3.15]. */
#include "cases.h"

#include "mqtt/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_what_is_left_out_is_normal(void **state)
{
	(void)state;
	struct mqtt_disconnect disconnect;
	assert_int_equal(mqtt_disconnect_decode(slice_of(NULL, 0), MQTT_VERSION_5, false, &disconnect), ERROR_OK);
	assert_int_equal(disconnect.reason, 0);
	assert_false(disconnect.has_session_expiry);
	assert_int_equal(disconnect.reason_string.size, 0);
}

static void test_fields_of_disconnect_are_taken(void **state)
{
	(void)state;
	struct slice body = case_bytes("04 [11 00000005 1F 'bye']");
	struct mqtt_disconnect disconnect;
	assert_int_equal(mqtt_disconnect_decode(body, MQTT_VERSION_5, false, &disconnect), ERROR_OK);
	assert_int_equal(disconnect.reason, 0x04);
	assert_true(disconnect.has_session_expiry);
	assert_int_equal(disconnect.session_expiry_s, 5);
	ASSERT_TEXT(disconnect.reason_string, "bye");
	assert_int_equal(disconnect.properties.size, 11);
	free((void *)body.data);
}

static void test_disconnect_encodes_as_short_as_allowed(void **state)
{
	(void)state;
	struct slice none = slice_of(NULL, 0), why = slice_string("why");
	ASSERT_ENCODES("E0 []", mqtt_disconnect_encode(0, none, none, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("E0 [8E]", mqtt_disconnect_encode(0x8E, none, none, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("E0 [00 [1F 'why']]", mqtt_disconnect_encode(0, why, none, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("E0 [9C [1C 'why']]", mqtt_disconnect_encode(0x9C, none, why, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("E0 [9D [1F 'why' 1C 'there']]",
		       mqtt_disconnect_encode(0x9D, why, slice_string("there"), MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("E0 []", mqtt_disconnect_encode(0x8E, why, why, MQTT_VERSION_3_1_1, out, out_size));
}

static void test_fields_of_auth_are_taken(void **state)
{
	(void)state;
	struct slice body = case_bytes("19 [15 'SCRAM' 16 0002 00FF]");
	struct mqtt_auth auth;
	assert_int_equal(mqtt_auth_decode(body, &auth), ERROR_OK);
	assert_int_equal(auth.reason, 0x19);
	ASSERT_TEXT(auth.method, "SCRAM");
	assert_true(slice_equal(auth.data, slice_of("\x00\xff", 2)));
	free((void *)body.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_left_out_is_normal),
		cmocka_unit_test(test_fields_of_disconnect_are_taken),
		cmocka_unit_test(test_disconnect_encodes_as_short_as_allowed),
		cmocka_unit_test(test_fields_of_auth_are_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
