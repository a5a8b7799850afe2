/* CONNECT [3.1]: its fields, and encoding it. */
#include "cases.h"

#include "mqtt/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mqtt_connect decoded(struct slice body, enum error expected)
{
	struct mqtt_connect connect;
	memset(&connect, 0xA5, sizeof(connect));
	assert_int_equal(mqtt_connect_decode(body, &connect), expected);
	return connect;
}

static void test_least_connect_has_the_defaults(void **state)
{
	(void)state;
	struct slice body = case_bytes("'MQTT' 05 02 003C [] 'id'");
	struct mqtt_connect connect = decoded(body, ERROR_OK);
	ASSERT_TEXT(connect.client_id, "id");
	assert_int_equal(connect.version, MQTT_VERSION_5);
	assert_int_equal(connect.keepalive_s, 60);
	assert_false(connect.is_bridge);
	assert_true(connect.clean_start);
	assert_false(connect.has_will);
	assert_false(connect.has_user_name);
	assert_false(connect.has_password);
	assert_int_equal(connect.session_expiry_s, 0);
	assert_int_equal(connect.receive_max, 65535);
	assert_int_equal(connect.packet_bytes_max, MQTT_BODY_BYTES_MAX + 5);
	assert_int_equal(connect.topic_alias_max, 0);
	assert_false(connect.request_response_info);
	assert_true(connect.request_problem_info);
	assert_null(connect.auth_method.data);
	assert_null(connect.auth_data.data);
	free((void *)body.data);
}

static void test_a_bridge_is_told_by_bit_7(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		enum error error;
		uint8_t version;
	} CASES[] = {
		{"'MQTT' 84 02 003C 'id'", ERROR_OK, MQTT_VERSION_3_1_1},
		{"'MQIsdp' 83 02 003C 'id'", ERROR_OK, MQTT_VERSION_3_1},
		{"'MQTT' 83 02 003C 'id'", ERROR_PROTOCOL_LEVEL, 0},
		{"'MQIsdp' 84 02 003C 'id'", ERROR_PROTOCOL_LEVEL, 0},
		{"'MQTT' 85 02 003C [] 'id'", ERROR_PROTOCOL_LEVEL, 0},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct slice body = case_bytes(CASES[i].body);
		struct mqtt_connect connect = decoded(body, CASES[i].error);
		assert_int_equal(connect.version, CASES[i].version);
		if (CASES[i].error == ERROR_OK)
			assert_true(connect.is_bridge);
		free((void *)body.data);
	}
}

static void test_every_property_is_taken(void **state)
{
	(void)state;
	struct slice body = case_bytes("'MQTT' 05 00 0000 [11 FFFFFFFF 21 0014 27 00010000 22 000A 19 01 17 00"
				       " 15 'SCRAM' 16 0002 00FF 26 'k' 'v'] 'id'");
	struct mqtt_connect connect = decoded(body, ERROR_OK);
	assert_false(connect.clean_start);
	assert_int_equal(connect.session_expiry_s, UINT32_MAX);
	assert_int_equal(connect.receive_max, 20);
	assert_int_equal(connect.packet_bytes_max, 65536);
	assert_int_equal(connect.topic_alias_max, 10);
	assert_true(connect.request_response_info);
	assert_false(connect.request_problem_info);
	ASSERT_TEXT(connect.auth_method, "SCRAM");
	assert_true(slice_equal(connect.auth_data, slice_of("\x00\xff", 2)));
	free((void *)body.data);
}

static void test_will_and_credentials_are_taken(void **state)
{
	(void)state;
	struct slice body =
		case_bytes("'MQTT' 05 F6 0000 [] 'id' [18 00000005 26 'k' 'v'] 'w/t' 'bye' 'user' 0002 00FF");
	struct mqtt_connect connect = decoded(body, ERROR_OK);
	assert_true(connect.has_will);
	assert_int_equal(connect.will.qos, 2);
	assert_true(connect.will.retain);
	assert_int_equal(connect.will.delay_s, 5);
	ASSERT_TEXT(connect.will.topic, "w/t");
	ASSERT_TEXT(connect.will.payload, "bye");
	assert_int_equal(connect.will.properties.size, 12);
	ASSERT_TEXT(connect.user_name, "user");
	assert_true(slice_equal(connect.password, slice_of("\x00\xff", 2)));
	free((void *)body.data);
}

/* What the refusal has to be worded in. */
static const struct {
	const char *body;
	enum error error;
	uint8_t version;
} VERSIONS[] = {
	{"'MQIsdp' 03 02 0000 ''", ERROR_CLIENT_ID_EMPTY, MQTT_VERSION_3_1},
	{"'MQTT' 04 03 0000 ''", ERROR_CONNECT_RESERVED, MQTT_VERSION_3_1_1},
	{"'MQTT' 05 02 0000", ERROR_PACKET_SHORT, MQTT_VERSION_5},
	{"'MQTT' 05", ERROR_PACKET_SHORT, MQTT_VERSION_5},
	{"'MQTT'", ERROR_PACKET_SHORT, 0},
	{"'MQTT' 06 02 0000 [] ''", ERROR_PROTOCOL_LEVEL, 0},
	{"'HTTP' 05 02 0000 [] ''", ERROR_PROTOCOL_NAME, 0},
	{"", ERROR_PACKET_SHORT, 0},
};

static void test_version_is_known_as_soon_as_it_was_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(VERSIONS) / sizeof(VERSIONS[0]); i++) {
		struct slice body = case_bytes(VERSIONS[i].body);
		assert_int_equal(decoded(body, VERSIONS[i].error).version, VERSIONS[i].version);
		free((void *)body.data);
	}
}

static struct mqtt_connect least(uint8_t version)
{
	return (struct mqtt_connect){
		.version = version,
		.client_id = slice_string("id"),
		.clean_start = true,
		.keepalive_s = 60,
		.receive_max = 65535,
		.packet_bytes_max = MQTT_BODY_BYTES_MAX + 5,
		.request_problem_info = true,
	};
}

static void test_least_connect_encodes(void **state)
{
	(void)state;
	struct mqtt_connect connect = least(MQTT_VERSION_3_1);
	ASSERT_ENCODES("10 ['MQIsdp' 03 02 003C 'id']", mqtt_connect_encode(&connect, out, out_size));
	connect = least(MQTT_VERSION_3_1_1);
	ASSERT_ENCODES("10 ['MQTT' 04 02 003C 'id']", mqtt_connect_encode(&connect, out, out_size));
	connect = least(MQTT_VERSION_5);
	ASSERT_ENCODES("10 ['MQTT' 05 02 003C [] 'id']", mqtt_connect_encode(&connect, out, out_size));
}

static void test_full_connect_encodes(void **state)
{
	(void)state;
	struct slice more = case_bytes("26 'k' 'v'");
	struct mqtt_connect connect = least(MQTT_VERSION_5);
	connect.session_expiry_s = 1;
	connect.receive_max = 2;
	connect.packet_bytes_max = 3;
	connect.topic_alias_max = 4;
	connect.request_response_info = true;
	connect.request_problem_info = false;
	connect.auth_method = slice_string("m");
	connect.auth_data = slice_string("d");
	connect.properties = more;
	connect.has_user_name = connect.has_password = connect.has_will = true;
	connect.user_name = slice_string("u");
	connect.password = slice_string("p");
	connect.will = (struct mqtt_will){.topic = slice_string("w"), .qos = 2, .retain = true, .delay_s = 5};
	connect.will.properties = more;
	ASSERT_ENCODES("10 ['MQTT' 05 F6 003C [11 00000001 21 0002 27 00000003 22 0004 19 01 17 00 15 'm' 16 'd'"
		       " 26 'k' 'v'] 'id' [18 00000005 26 'k' 'v'] 'w' '' 'u' 'p']",
		       mqtt_connect_encode(&connect, out, out_size));
	free((void *)more.data);
}

static void test_string_that_has_no_length_does_not_encode(void **state)
{
	(void)state;
	size_t size = UINT16_MAX + 1;
	uint8_t *text = calloc(1, size), *out = block_new(2 * size);
	struct mqtt_connect connect = least(MQTT_VERSION_5);
	connect.client_id = slice_of(text, size);
	assert_int_equal(mqtt_connect_encode(&connect, out, 2 * size), 0);
	connect.client_id.size--;
	assert_true(mqtt_connect_encode(&connect, out, 2 * size) > size);
	free(text);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_least_connect_has_the_defaults),
		cmocka_unit_test(test_a_bridge_is_told_by_bit_7),
		cmocka_unit_test(test_every_property_is_taken),
		cmocka_unit_test(test_will_and_credentials_are_taken),
		cmocka_unit_test(test_version_is_known_as_soon_as_it_was_read),
		cmocka_unit_test(test_least_connect_encodes),
		cmocka_unit_test(test_full_connect_encodes),
		cmocka_unit_test(test_string_that_has_no_length_does_not_encode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
