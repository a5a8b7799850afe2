/* CONNACK [3.2]: its fields, and encoding it. */
#include "cases.h"

#include "mqtt/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_default_is_the_standards(void **state)
{
	(void)state;
	struct mqtt_connack connack = mqtt_connack_default();
	ASSERT_ENCODES("20 [00 00 []]", mqtt_connack_encode(&connack, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("20 [00 00]", mqtt_connack_encode(&connack, MQTT_VERSION_3_1_1, out, out_size));
}

static const char EVERYTHING[] = "00 00 [11 00000007 21 0014 24 01 25 00 27 00010000 22 000A 28 00 29 00 2A 00 13 001E"
				 " 12 'auto' 1F 'why']";

static void test_every_property_is_taken_and_encodes_again(void **state)
{
	(void)state;
	struct slice body = case_bytes(EVERYTHING);
	struct mqtt_connack connack;
	assert_int_equal(mqtt_connack_decode(body, MQTT_VERSION_5, &connack), ERROR_OK);
	assert_true(connack.has_session_expiry);
	assert_int_equal(connack.session_expiry_s, 7);
	assert_int_equal(connack.receive_max, 20);
	assert_int_equal(connack.qos_max, 1);
	assert_false(connack.retain_available);
	assert_int_equal(connack.packet_bytes_max, 65536);
	assert_int_equal(connack.topic_alias_max, 10);
	assert_false(connack.wildcard_available);
	assert_false(connack.subscription_id_available);
	assert_false(connack.shared_available);
	assert_true(connack.has_server_keepalive);
	assert_int_equal(connack.server_keepalive_s, 30);
	ASSERT_TEXT(connack.assigned_client_id, "auto");
	ASSERT_TEXT(connack.reason_string, "why");
	char packet[sizeof(EVERYTHING) + 8];
	snprintf(packet, sizeof(packet), "20 [%s]", EVERYTHING);
	ASSERT_ENCODES(packet, mqtt_connack_encode(&connack, MQTT_VERSION_5, out, out_size));
	free((void *)body.data);
}

static void test_session_present_goes_with_success_only(void **state)
{
	(void)state;
	struct mqtt_connack connack = mqtt_connack_default();
	connack.session_present = true;
	ASSERT_ENCODES("20 [01 00]", mqtt_connack_encode(&connack, MQTT_VERSION_3_1_1, out, out_size));
	connack.reason = 5; /* [MQTT-3.2.2-6] */
	ASSERT_ENCODES("20 [00 05]", mqtt_connack_encode(&connack, MQTT_VERSION_3_1_1, out, out_size));
}

/* Lengths that outgrow their first byte are moved into place. */
static void test_long_reason_string_encodes(void **state)
{
	(void)state;
	enum { SIZE = 200 };
	uint8_t text[SIZE], out[SIZE + 20];
	memset(text, 'x', SIZE);
	struct mqtt_connack connack = mqtt_connack_default(), again;
	connack.reason_string = slice_of(text, SIZE);
	size_t size = mqtt_connack_encode(&connack, MQTT_VERSION_5, out, sizeof(out));
	assert_int_equal(size, 1 + 2 + 2 + 2 + 3 + SIZE);
	for (size_t less = 0; less < size; less++)
		assert_int_equal(mqtt_connack_encode(&connack, MQTT_VERSION_5, out, less), 0);
	mqtt_connack_encode(&connack, MQTT_VERSION_5, out, size);
	assert_int_equal(mqtt_connack_decode(slice_of(out + 3, size - 3), MQTT_VERSION_5, &again), ERROR_OK);
	assert_true(slice_equal(again.reason_string, connack.reason_string));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_is_the_standards),
		cmocka_unit_test(test_every_property_is_taken_and_encodes_again),
		cmocka_unit_test(test_session_present_goes_with_success_only),
		cmocka_unit_test(test_long_reason_string_encodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
