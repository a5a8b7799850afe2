/* What an entry of a stream asks for: messages with all that a message may have, and commands. What is wrong in entries
 * is in tests/scenario/consumers_of_redis_streams.py, with what becomes of them. */
#include "mqtt/field/property.h"
#include "relay/consumer/incoming.h"
#include "relay/consumer/properties_read.h"
#include "relay/json/properties_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PACKET_BYTES_MAX ((size_t)1 << 20)

struct scene {
	struct incoming incoming;
	struct incoming_field fields[16];
	size_t count;
};

static void add_field(struct scene *scene, const char *name, const char *value)
{
	scene->fields[scene->count++] =
		(struct incoming_field){.name = slice_string(name), .value = slice_string(value)};
}

static bool read_scene_where(struct scene *scene, bool checks_format)
{
	const struct incoming_limits limits = {.packet_bytes_max = PACKET_BYTES_MAX, .checks_format = checks_format};
	bool good = incoming_read(&scene->incoming, scene->fields, scene->count, &limits);
	assert_int_equal(good, scene->incoming.fault[0] == '\0');
	scene->count = 0;
	return good;
}

static bool read_scene(struct scene *scene)
{
	return read_scene_where(scene, true);
}

static void assert_slice(struct slice slice, const char *text)
{
	assert_int_equal(slice.size, strlen(text));
	assert_memory_equal(slice.data, text, slice.size);
}

static void test_a_message(void **state)
{
	(void)state;
	struct scene scene = {0};
	add_field(&scene, "topic", "a/b");
	assert_true(read_scene(&scene));
	assert_int_equal(scene.incoming.kind, INCOMING_PUBLISH);
	assert_slice(scene.incoming.publish.topic, "a/b");
	assert_int_equal(scene.incoming.publish.payload.size, 0);
	assert_int_equal(scene.incoming.publish.qos, 1);
	assert_false(scene.incoming.publish.retain);
	assert_int_equal(scene.incoming.publish.properties.size, 0);
	add_field(&scene, "payload", "p");
	add_field(&scene, "retain", "1");
	add_field(&scene, "qos", "2");
	add_field(&scene, "somebody's own", "x");
	add_field(&scene, "topic", "t");
	assert_true(read_scene(&scene));
	assert_slice(scene.incoming.publish.payload, "p");
	assert_int_equal(scene.incoming.publish.qos, 2);
	assert_true(scene.incoming.publish.retain);
	incoming_free(&scene.incoming);
}

/* The field counts where both are there. */
static void test_expiry(void **state)
{
	(void)state;
	struct scene scene = {0};
	for (int both = 0; both < 2; both++) {
		struct mqtt_property property;
		add_field(&scene, "topic", "t");
		add_field(&scene, "properties", "{\"message_expiry_s\":7,\"content_type\":\"c\"}");
		if (both)
			add_field(&scene, "expiry_s", "4294967295");
		assert_true(read_scene(&scene));
		struct slice rest = scene.incoming.publish.properties;
		assert_int_equal(mqtt_property_next(&rest, &property), ERROR_OK);
		assert_int_equal(property.id, MQTT_PROPERTY_CONTENT_TYPE);
		assert_int_equal(mqtt_property_next(&rest, &property), ERROR_OK);
		assert_int_equal(property.id, MQTT_PROPERTY_MESSAGE_EXPIRY);
		assert_int_equal(property.number, both ? UINT32_MAX : 7);
		assert_int_equal(rest.size, 0);
	}
	incoming_free(&scene.incoming);
}

/* What a rule writes of a message a consumer reads. */
static void test_properties_there_and_back(void **state)
{
	(void)state;
	static const char TEXT[] = "{\"payload_format\":1,\"content_type\":\"a\\\"b\",\"response_topic\":\"r/t\","
				   "\"correlation_data\":\"AAH/\",\"user\":[[\"n\",\"v\"],[\"n\",\"\\u0001\"]]}";
	uint8_t text[sizeof(TEXT)];
	char fault[PROPERTIES_FAULT_BYTES];
	struct bytes wire = {0};
	struct bytes again = {0};
	bool has_expiry = false;
	uint32_t expiry_s = 0;
	memcpy(text, TEXT, sizeof(TEXT));
	assert_true(properties_read(text, sizeof(TEXT) - 1, &wire, &has_expiry, &expiry_s, fault));
	assert_false(has_expiry);
	assert_int_equal(mqtt_properties_check(bytes_slice(&wire), 3), ERROR_OK);
	properties_json(bytes_slice(&wire), &again);
	assert_slice(bytes_slice(&again), TEXT);
	bytes_free(&wire);
	bytes_free(&again);
}

static void test_commands(void **state)
{
	(void)state;
	struct scene scene = {0};
	add_field(&scene, "command", "disconnect");
	add_field(&scene, "client", "c");
	assert_true(read_scene(&scene));
	assert_int_equal(scene.incoming.kind, INCOMING_DISCONNECT);
	assert_slice(scene.incoming.client, "c");
	add_field(&scene, "command", "revoke");
	add_field(&scene, "kind", "user");
	add_field(&scene, "id", "u");
	assert_true(read_scene(&scene));
	assert_int_equal(scene.incoming.kind, INCOMING_REVOKE);
	assert_int_equal(scene.incoming.revoked, REVOCATION_USER);
	assert_slice(scene.incoming.revoked_id, "u");
	assert_int_equal(scene.incoming.revoked_s, 0);
	/* A command's fields do not stay for the next. */
	add_field(&scene, "command", "end_session");
	assert_false(read_scene(&scene));
	assert_string_equal(scene.incoming.fault, "client: it is missing");
	add_field(&scene, "command", "");
	assert_false(read_scene(&scene));
	incoming_free(&scene.incoming);
}

static void test_limits(void **state)
{
	(void)state;
	static uint8_t payload[PACKET_BYTES_MAX];
	struct scene scene = {0};
	add_field(&scene, "topic", "t");
	scene.fields[scene.count++] =
		(struct incoming_field){.name = slice_string("payload"), .value = slice_of(payload, sizeof(payload))};
	assert_false(read_scene(&scene));
	add_field(&scene, "topic", "t");
	scene.fields[scene.count++] = (struct incoming_field){.name = slice_string("payload"),
							      .value = slice_of(payload, sizeof(payload) - 16)};
	assert_true(read_scene(&scene));
	/* More properties than there is room for values of their JSON. */
	static char properties[32768];
	size_t used = (size_t)snprintf(properties, sizeof(properties), "{\"user\":[[\"a\",\"b\"]");
	for (int i = 0; i < 400; i++)
		used += (size_t)snprintf(properties + used, sizeof(properties) - used, ",[\"a\",\"b\"]");
	snprintf(properties + used, sizeof(properties) - used, "]}");
	add_field(&scene, "topic", "t");
	add_field(&scene, "properties", properties);
	assert_false(read_scene(&scene));
	incoming_free(&scene.incoming);
}

/* What the gateway could only answer by ending the connection. */
static void test_payload_format(void **state)
{
	(void)state;
	struct scene scene = {0};
	for (int qos = 0; qos <= 2; qos++) {
		for (int checks = 0; checks <= 1; checks++) {
			add_field(&scene, "topic", "t");
			add_field(&scene, "payload", "\xff");
			add_field(&scene, "qos", qos == 0 ? "0" : qos == 1 ? "1" : "2");
			add_field(&scene, "properties", "{\"payload_format\":1}");
			assert_int_equal(read_scene_where(&scene, checks == 1), qos != 0 || checks == 0);
		}
	}
	incoming_free(&scene.incoming);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_properties_there_and_back),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_payload_format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
