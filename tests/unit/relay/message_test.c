/* Where a message comes from: what the gateway puts in front of the publisher's properties, and what a publisher cannot
 * make up. */
#include "relay/entry/bytes.h"
#include "relay/entry/message.h"
#include "relay/json/properties_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct wire {
	uint8_t bytes[512];
	size_t size;
};

static void put_string(struct wire *wire, const char *text)
{
	size_t size = strlen(text);
	wire->bytes[wire->size++] = 0;
	wire->bytes[wire->size++] = (uint8_t)size;
	memcpy(wire->bytes + wire->size, text, size);
	wire->size += size;
}

static void put_user(struct wire *wire, const char *name, const char *value)
{
	wire->bytes[wire->size++] = 0x26;
	put_string(wire, name);
	put_string(wire, value);
}

static struct relay_message read_wire(const struct wire *wire)
{
	struct relay_message message;
	const struct mqtt_publish publish = {
		.topic = slice_string("t"),
		.payload = slice_string("p"),
		.properties = slice_of(wire->bytes, wire->size),
		.qos = 1,
		.retain = true,
	};
	relay_message_read(&publish, &message);
	assert_true(message.retain && message.qos == 1);
	return message;
}

static void assert_slice(struct slice slice, const char *expected)
{
	assert_int_equal(slice.size, strlen(expected));
	assert_memory_equal(slice.data, expected, slice.size);
}

static void test_whole_origin(void **state)
{
	(void)state;
	struct wire wire = {0};
	put_user(&wire, "roost-client", "c-1");
	put_user(&wire, "roost-user", "alice");
	put_user(&wire, "roost-address", "10.0.0.1:5");
	put_user(&wire, "roost-time", "1700000000123");
	size_t origin = wire.size;
	put_user(&wire, "roost-client", "forged");
	struct relay_message message = read_wire(&wire);
	assert_slice(message.client, "c-1");
	assert_slice(message.user, "alice");
	assert_slice(message.address, "10.0.0.1:5");
	assert_slice(message.time, "1700000000123");
	assert_int_equal(relay_message_time_ms(&message), 1700000000123);
	assert_int_equal(message.properties.size, wire.size - origin);
}

/* The time is always known, so nothing that follows it can stand for what is not. */
static void test_publishers_forge_nothing(void **state)
{
	(void)state;
	struct wire wire = {0};
	put_user(&wire, "roost-client", "c-1");
	put_user(&wire, "roost-time", "5");
	size_t origin = wire.size;
	put_user(&wire, "roost-user", "root");
	put_user(&wire, "roost-address", "127.0.0.1");
	struct relay_message message = read_wire(&wire);
	assert_null(message.user.data);
	assert_null(message.address.data);
	assert_int_equal(message.properties.size, wire.size - origin);
}

static void test_no_origin(void **state)
{
	(void)state;
	struct wire wire = {0};
	struct relay_message message = read_wire(&wire);
	assert_null(message.client.data);
	assert_int_equal(relay_message_time_ms(&message), 0);
	put_user(&wire, "colour", "red");
	put_user(&wire, "roost-client", "c");
	message = read_wire(&wire);
	assert_null(message.client.data);
	assert_int_equal(message.properties.size, wire.size);
}

/* It is in front of what the message has, and no part of it. */
static void test_subscription_identifier(void **state)
{
	(void)state;
	struct wire wire = {.bytes = {0x0b, 0x81, 0x01}, .size = 3};
	put_user(&wire, "roost-client", "c-1");
	put_user(&wire, "roost-time", "5");
	struct relay_message message = read_wire(&wire);
	assert_int_equal(message.subscription, 129);
	assert_slice(message.client, "c-1");
	assert_slice(message.time, "5");
	assert_int_equal(message.properties.size, 0);
}

static void test_time_that_is_none(void **state)
{
	(void)state;
	const struct relay_message message = {.time = slice_string("12x")};
	assert_int_equal(relay_message_time_ms(&message), 0);
}

static void assert_json(const struct wire *wire, const char *expected)
{
	struct bytes out = {0};
	properties_json(slice_of(wire->bytes, wire->size), &out);
	assert_false(out.failed);
	assert_slice(bytes_slice(&out), expected);
	bytes_free(&out);
}

static void test_properties_as_json(void **state)
{
	(void)state;
	struct wire wire = {0};
	assert_json(&wire, "");
	put_user(&wire, "a", "\"\\\n");
	put_user(&wire, "a", "");
	assert_json(&wire, "{\"user\":[[\"a\",\"\\\"\\\\\\u000a\"],[\"a\",\"\"]]}");
	static const uint8_t MORE[] = {0x01, 1, 0x02, 0,   0,    1, 0, 0x03, 0,    1,    'x',
				       0x08, 0, 1,    'r', 0x09, 0, 2, 0,    0xff, 0x0b, 7};
	memcpy(wire.bytes + wire.size, MORE, sizeof(MORE));
	wire.size += sizeof(MORE);
	assert_json(&wire,
		    "{\"payload_format\":1,\"message_expiry_s\":256,\"content_type\":\"x\",\"response_topic\":\"r\","
		    "\"correlation_data\":\"AP8=\",\"user\":[[\"a\",\"\\\"\\\\\\u000a\"],[\"a\",\"\"]]}");
	static const uint8_t EMPTY_DATA[] = {0x09, 0, 0};
	memcpy(wire.bytes, EMPTY_DATA, sizeof(EMPTY_DATA));
	wire.size = sizeof(EMPTY_DATA);
	assert_json(&wire, "{\"correlation_data\":\"\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_origin),
		cmocka_unit_test(test_publishers_forge_nothing),
		cmocka_unit_test(test_no_origin),
		cmocka_unit_test(test_time_that_is_none),
		cmocka_unit_test(test_subscription_identifier),
		cmocka_unit_test(test_properties_as_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
