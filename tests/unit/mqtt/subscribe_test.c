/* SUBSCRIBE and UNSUBSCRIBE [3.8, 3.10]: walking over them, and encoding them. */
#include "cases.h"

#include "mqtt/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_subscriptions_are_walked_over(void **state)
{
	(void)state;
	struct slice body = case_bytes("0102 [0B 07] 'a/#' 00 '$share/g/b' 29 'c' 16");
	struct mqtt_subscribe subscribe;
	struct mqtt_subscription next;
	assert_int_equal(mqtt_subscribe_decode(body, MQTT_VERSION_5, &subscribe), ERROR_OK);
	assert_int_equal(subscribe.packet_id, 0x0102);
	assert_int_equal(subscribe.identifier, 7);
	assert_int_equal(subscribe.filter_count, 3);
	assert_true(mqtt_subscribe_next(&subscribe.filters, MQTT_VERSION_5, &next));
	ASSERT_TEXT(next.filter, "a/#");
	assert_int_equal(next.qos, 0);
	assert_true(mqtt_subscribe_next(&subscribe.filters, MQTT_VERSION_5, &next));
	ASSERT_TEXT(next.filter, "$share/g/b");
	assert_int_equal(next.qos, 1);
	assert_false(next.no_local);
	assert_true(next.retain_as_published);
	assert_int_equal(next.retain_handling, 2);
	assert_true(mqtt_subscribe_next(&subscribe.filters, MQTT_VERSION_5, &next));
	assert_int_equal(next.qos, 2);
	assert_true(next.no_local);
	assert_false(next.retain_as_published);
	assert_int_equal(next.retain_handling, 1);
	assert_false(mqtt_subscribe_next(&subscribe.filters, MQTT_VERSION_5, &next));
	free((void *)body.data);
}

static void test_unsubscriptions_are_walked_over(void **state)
{
	(void)state;
	struct slice body = case_bytes("0102 'a/#' ''");
	struct mqtt_unsubscribe unsubscribe;
	struct slice filter;
	assert_int_equal(mqtt_unsubscribe_decode(body, MQTT_VERSION_3_1_1, &unsubscribe), ERROR_OK);
	assert_int_equal(unsubscribe.packet_id, 0x0102);
	assert_int_equal(unsubscribe.filter_count, 2);
	assert_true(mqtt_unsubscribe_next(&unsubscribe.filters, &filter));
	ASSERT_TEXT(filter, "a/#");
	assert_true(mqtt_unsubscribe_next(&unsubscribe.filters, &filter));
	ASSERT_TEXT(filter, "");
	assert_false(mqtt_unsubscribe_next(&unsubscribe.filters, &filter));
	free((void *)body.data);
}

static void test_subscribe_encodes(void **state)
{
	(void)state;
	const struct mqtt_subscription two[] = {
		{.filter = slice_string("a"), .qos = 1},
		{.filter = slice_string("b"),
		 .qos = 2,
		 .no_local = true,
		 .retain_as_published = true,
		 .retain_handling = 2},
	};
	ASSERT_ENCODES("82 [0102 [] 'a' 01 'b' 2E]",
		       mqtt_subscribe_encode(0x0102, 0, two, 2, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("82 [0102 [0B 8001] 'a' 01]",
		       mqtt_subscribe_encode(0x0102, 128, two, 1, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("82 [0102 'a' 01 'b' 02]",
		       mqtt_subscribe_encode(0x0102, 7, two, 2, MQTT_VERSION_3_1_1, out, out_size));
}

static void test_unsubscribe_encodes(void **state)
{
	(void)state;
	const struct slice two[] = {slice_string("a"), slice_string("b")};
	ASSERT_ENCODES("A2 [0102 [] 'a' 'b']", mqtt_unsubscribe_encode(0x0102, two, 2, MQTT_VERSION_5, out, out_size));
	ASSERT_ENCODES("A2 [0102 'a']", mqtt_unsubscribe_encode(0x0102, two, 1, MQTT_VERSION_3_1_1, out, out_size));
}

/* [MQTT-3.8.3-2, MQTT-3.10.3-2], and an identifier that has no encoding. */
static void test_what_mqtt_cannot_express_does_not_encode(void **state)
{
	(void)state;
	uint8_t out[64];
	const struct mqtt_subscription one = {.filter = slice_string("a")};
	assert_int_equal(mqtt_subscribe_encode(1, 0, &one, 0, MQTT_VERSION_5, out, sizeof(out)), 0);
	assert_int_equal(mqtt_unsubscribe_encode(1, NULL, 0, MQTT_VERSION_5, out, sizeof(out)), 0);
	uint32_t identifier = MQTT_BODY_BYTES_MAX;
	assert_int_not_equal(mqtt_subscribe_encode(1, identifier, &one, 1, MQTT_VERSION_5, out, sizeof(out)), 0);
	assert_int_equal(mqtt_subscribe_encode(1, identifier + 1, &one, 1, MQTT_VERSION_5, out, sizeof(out)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subscriptions_are_walked_over),
		cmocka_unit_test(test_unsubscriptions_are_walked_over),
		cmocka_unit_test(test_subscribe_encodes),
		cmocka_unit_test(test_unsubscribe_encodes),
		cmocka_unit_test(test_what_mqtt_cannot_express_does_not_encode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
