/* Messages from JSON: the packet that comes of them, and what is wrong with those that are none. */
#include "admin/api/message.h"
#include "mqtt/decode.h"
#include "mqtt/field/property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static char fault[MESSAGE_FAULT_BYTES_MAX];

static bool read_text(const char *text, struct command_message *message)
{
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	assert_non_null(json);
	fault[0] = '\0';
	bool good = message_read(json, 1000, message, fault);
	json_decref(json);
	return good;
}

static struct mqtt_publish decode(const struct command_message *message)
{
	struct mqtt_header header;
	struct mqtt_publish publish;
	uint32_t size = message->publication.packet_bytes;
	assert_int_equal(mqtt_header_decode(message->packet, size, &header), ERROR_OK);
	assert_int_equal(header.header_bytes + header.body_bytes, size);
	struct slice body = slice_of(message->packet + header.header_bytes, header.body_bytes);
	uint8_t version = message->publication.is_5 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1;
	assert_int_equal(mqtt_publish_decode(body, header.flags, version, false, &publish), ERROR_OK);
	return publish;
}

static void test_least(void **state)
{
	(void)state;
	struct command_message message;
	assert_true(read_text("{\"topic\": \"a/b\"}", &message));
	struct mqtt_publish publish = decode(&message);
	assert_true(slice_equal(publish.topic, slice_string("a/b")));
	assert_int_equal(publish.payload.size, 0);
	assert_int_equal(publish.qos, 0);
	assert_false(publish.retain || message.publication.is_5);
	assert_int_equal(message.publication.expires_s, 0);
	message_free(&message);
}

static void test_all(void **state)
{
	(void)state;
	struct command_message message;
	assert_true(read_text(
		"{\"topic\": \"t\", \"payload_base64\": \"AP8Q\", \"qos\": 2, \"retain\": true, \"properties\": {"
		"\"content_type\": \"x\", \"response_topic\": \"r\", \"correlation_data_base64\": \"AQI=\","
		"\"payload_is_utf8\": false, \"message_expiry_seconds\": 60,"
		"\"user_properties\": [[\"k\", \"v\"], [\"k\", \"w\"]]}}",
		&message));
	struct mqtt_publish publish = decode(&message);
	assert_true(slice_equal(publish.payload, slice_of("\0\xff\x10", 3)));
	assert_int_equal(publish.qos, 2);
	assert_true(publish.retain && message.publication.is_5 && publish.has_message_expiry);
	assert_int_equal(publish.message_expiry_s, 60);
	assert_int_equal(message.publication.expires_s, 60);
	struct mqtt_property property;
	struct slice rest = publish.properties;
	int count = 0;
	while (mqtt_property_next(&rest, &property) == ERROR_OK)
		count++;
	assert_int_equal(count, 7);
	message_free(&message);
}

static void test_null_character_in_a_payload(void **state)
{
	(void)state;
	struct command_message message;
	assert_true(read_text("{\"topic\": \"t\", \"payload\": \"a\\u0000b\"}", &message));
	assert_true(slice_equal(decode(&message).payload, slice_of("a\0b", 3)));
	message_free(&message);
}

static void test_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *field;
	} WRONG[] = {
		{"[]", "message"},
		{"3", "message"},
		{"{}", "topic"},
		{"{\"topic\": \"\"}", "topic"},
		{"{\"topic\": 1}", "topic"},
		{"{\"topic\": \"a/#\"}", "topic"},
		{"{\"topic\": \"a\\u0000\"}", "topic"},
		{"{\"topic\": \"$SYS/x\"}", "topic"},
		{"{\"topic\": \"t\", \"payload\": 3}", "payload"},
		{"{\"topic\": \"t\", \"payload\": \"x\", \"payload_base64\": \"eA==\"}", "payload_base64"},
		{"{\"topic\": \"t\", \"payload_base64\": \"x\", \"payload\": \"eA==\"}", "payload_base64"},
		{"{\"topic\": \"t\", \"payload_base64\": \"e A==\"}", "payload_base64"},
		{"{\"topic\": \"t\", \"payload_base64\": \"eA\"}", "payload_base64"},
		{"{\"topic\": \"t\", \"qos\": 3}", "qos"},
		{"{\"topic\": \"t\", \"qos\": -1}", "qos"},
		{"{\"topic\": \"t\", \"qos\": \"1\"}", "qos"},
		{"{\"topic\": \"t\", \"qos\": 1.0}", "qos"},
		{"{\"topic\": \"t\", \"retain\": 1}", "retain"},
		{"{\"topic\": \"t\", \"ttl\": 1}", "ttl"},
		{"{\"topic\": \"t\", \"properties\": []}", "properties"},
		{"{\"topic\": \"t\", \"properties\": {\"topic_alias\": 1}}", "topic_alias"},
		{"{\"topic\": \"t\", \"properties\": {\"response_topic\": \"+\"}}", "response_topic"},
		{"{\"topic\": \"t\", \"properties\": {\"message_expiry_seconds\": 4294967296}}",
		 "message_expiry_seconds"},
		{"{\"topic\": \"t\", \"properties\": {\"user_properties\": [[\"a\"]]}}", "user_properties"},
		{"{\"topic\": \"t\", \"properties\": {\"user_properties\": [[\"a\", 1]]}}", "user_properties"},
		{"{\"topic\": \"t\", \"properties\": {\"content_type\": \"a\\u0000\"}}", "content_type"},
	};
	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		struct command_message message;
		assert_false(read_text(WRONG[i].text, &message));
		assert_memory_equal(fault, WRONG[i].field, strlen(WRONG[i].field));
	}
}

static void test_size_of_the_packet(void **state)
{
	(void)state;
	char text[1200];
	struct command_message message;
	/* Header 3, topic 3, payload. */
	snprintf(text, sizeof(text), "{\"topic\": \"t\", \"payload\": \"%0*d\"}", 994, 0);
	assert_true(read_text(text, &message));
	assert_int_equal(message.publication.packet_bytes, 1000);
	message_free(&message);
	snprintf(text, sizeof(text), "{\"topic\": \"t\", \"payload\": \"%0*d\"}", 995, 0);
	assert_false(read_text(text, &message));
	assert_non_null(strstr(fault, "packet-bytes-max"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_least),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_null_character_in_a_payload),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_size_of_the_packet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
