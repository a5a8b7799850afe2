/* A rule's side of its session: what it says to the gateway, and what it makes of its answers. */
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/protocol.h"
#include "relay/session/session_link.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	struct session_link link;
	struct topics topics;
	int gateway;
	uint8_t bytes[4096];
	size_t size;
};

static struct scene open_scene(void)
{
	int pair[2];
	struct scene scene = {.link = {.fd = -1}};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	strcpy(scene.topics.filters[0], "a/#");
	strcpy(scene.topics.filters[1], "b");
	scene.topics.count = 2;
	scene.gateway = pair[1];
	session_link_open(&scene.link, pair[0], slice_string("$roost/rule/r"));
	return scene;
}

static void close_scene(struct scene *scene)
{
	session_link_close(&scene->link);
	close(scene->gateway);
}

/* The packet that the link has sent next. */
static struct slice said(struct scene *scene, struct mqtt_header *header)
{
	assert_true(session_link_flush(&scene->link));
	ssize_t got = recv(scene->gateway, scene->bytes + scene->size, sizeof(scene->bytes) - scene->size, 0);
	if (got > 0)
		scene->size += (size_t)got;
	assert_int_equal(mqtt_header_decode(scene->bytes, scene->size, header), ERROR_OK);
	size_t whole = header->header_bytes + header->body_bytes;
	assert_true(whole <= scene->size);
	static uint8_t body[4096];
	memcpy(body, scene->bytes + header->header_bytes, header->body_bytes);
	scene->size -= whole;
	memmove(scene->bytes, scene->bytes + whole, scene->size);
	return slice_of(body, header->body_bytes);
}

static bool tell(struct scene *scene, const void *bytes, size_t size, struct mqtt_publish *publish)
{
	bool more;
	assert_int_equal(send(scene->gateway, bytes, size, 0), size);
	assert_true(session_link_read(&scene->link, &more));
	return session_link_next(&scene->link, publish);
}

static void connect_scene(struct scene *scene)
{
	struct mqtt_header header;
	struct mqtt_publish publish;
	uint8_t bytes[64];
	struct mqtt_connack connack = mqtt_connack_default();
	said(scene, &header);
	size_t size = mqtt_connack_encode(&connack, MQTT_VERSION_5, bytes, sizeof(bytes));
	assert_false(tell(scene, bytes, size, &publish));
	assert_int_equal(scene->link.state, SESSION_CONNECTED);
}

/* Answers for the two filters. */
static void grant(struct scene *scene)
{
	struct mqtt_publish publish;
	uint8_t bytes[64];
	for (uint16_t id = 2; id <= 3; id++) {
		assert_int_equal(scene->link.state, SESSION_SUBSCRIBING);
		size_t size = mqtt_suback_encode(id, (const uint8_t[]){1}, 1, MQTT_SUBACK, MQTT_VERSION_5, bytes,
						 sizeof(bytes));
		assert_false(tell(scene, bytes, size, &publish));
	}
}

static void subscribe_scene(struct scene *scene)
{
	struct mqtt_header header;
	connect_scene(scene);
	session_link_subscribe(&scene->link, &scene->topics, 1, NULL, 0);
	said(scene, &header);
	said(scene, &header);
	grant(scene);
	assert_int_equal(scene->link.state, SESSION_READY);
}

static void test_connect(void **state)
{
	(void)state;
	struct scene scene = open_scene();
	struct mqtt_header header;
	struct mqtt_connect connect;
	assert_int_equal(mqtt_connect_decode(said(&scene, &header), &connect), ERROR_OK);
	assert_int_equal(connect.version, MQTT_VERSION_5);
	assert_int_equal(connect.session_expiry_s, UINT32_MAX);
	assert_int_equal(connect.receive_max, UINT16_MAX);
	assert_int_equal(connect.keepalive_s, 0);
	assert_false(connect.clean_start);
	assert_true(slice_equal(connect.client_id, slice_string("$roost/rule/r")));
	close_scene(&scene);
}

static void test_subscribe(void **state)
{
	(void)state;
	struct scene scene = open_scene();
	struct mqtt_header header;
	struct mqtt_subscribe subscribe;
	struct mqtt_unsubscribe unsubscribe;
	struct mqtt_subscription subscription;
	struct mqtt_publish publish;
	struct slice filter;
	uint8_t bytes[64];
	const struct slice stale[] = {slice_string("old/#")};
	connect_scene(&scene);
	session_link_subscribe(&scene.link, &scene.topics, 1, stale, 1);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(mqtt_subscribe_decode(said(&scene, &header), MQTT_VERSION_5, &subscribe), ERROR_OK);
		assert_int_equal(subscribe.filter_count, 1);
		assert_int_equal(subscribe.identifier, topics_identifier(scene.topics.filters[i]));
		assert_true(mqtt_subscribe_next(&subscribe.filters, MQTT_VERSION_5, &subscription));
		assert_true(slice_equal(subscription.filter, slice_string(i == 0 ? "a/#" : "b")));
		assert_true(subscription.qos == 1 && subscription.retain_as_published &&
			    subscription.retain_handling == 2);
	}
	assert_int_equal(mqtt_unsubscribe_decode(said(&scene, &header), MQTT_VERSION_5, &unsubscribe), ERROR_OK);
	assert_true(mqtt_unsubscribe_next(&unsubscribe.filters, &filter));
	assert_true(slice_equal(filter, stale[0]));
	grant(&scene);
	assert_int_equal(scene.link.state, SESSION_SUBSCRIBING);
	size_t size =
		mqtt_suback_encode(1, (const uint8_t[]){0}, 1, MQTT_UNSUBACK, MQTT_VERSION_5, bytes, sizeof(bytes));
	assert_false(tell(&scene, bytes, size, &publish));
	assert_int_equal(scene.link.state, SESSION_READY);
	close_scene(&scene);
}

/* Cut at every byte. */
static void test_publish_and_puback(void **state)
{
	(void)state;
	struct scene scene = open_scene();
	struct mqtt_header header;
	struct mqtt_publish publish;
	struct mqtt_ack ack;
	uint8_t bytes[256];
	const struct mqtt_publish sent = {
		.topic = slice_string("a/b"), .payload = slice_string("payload"), .qos = 1, .packet_id = 513};
	subscribe_scene(&scene);
	size_t size = mqtt_publish_encode(&sent, MQTT_VERSION_5, bytes, sizeof(bytes));
	for (size_t i = 0; i + 1 < size; i++)
		assert_false(tell(&scene, &bytes[i], 1, &publish));
	assert_true(tell(&scene, &bytes[size - 1], 1, &publish));
	assert_true(slice_equal(publish.payload, sent.payload) && publish.packet_id == 513);
	assert_false(session_link_next(&scene.link, &publish));
	session_link_acknowledge(&scene.link, 513);
	assert_int_equal(mqtt_ack_decode(said(&scene, &header), MQTT_PUBACK, MQTT_VERSION_5, &ack), ERROR_OK);
	assert_int_equal(header.type, MQTT_PUBACK);
	assert_int_equal(ack.packet_id, 513);
	close_scene(&scene);
}

static void assert_broken(const void *bytes, size_t size, const char *fault)
{
	struct scene scene = open_scene();
	struct mqtt_publish publish;
	subscribe_scene(&scene);
	assert_false(tell(&scene, bytes, size, &publish));
	if (!session_link_is_broken(&scene.link) || strstr(scene.link.fault, fault) == NULL)
		fail_msg("\"%s\" has no \"%s\"", scene.link.fault, fault);
	close_scene(&scene);
}

static void test_answers_that_break_it(void **state)
{
	(void)state;
	assert_broken("\xe0\x01\x8e", 3, "reason 0x8e");
	assert_broken("\xe0\x00", 2, "reason 0x00");
	assert_broken("\x20\x03\x00\x00\x00", 5, "CONNACK");
	assert_broken("\xd0\x00", 2, "nobody asked for");
	assert_broken("\xc0\x00", 2, "type 12");
	assert_broken("\x90\x04\x00\x01\x00\x00", 6, "does not belong");
	assert_broken("\x30\xff\xff\xff\xff\x01", 6, "no MQTT");
	assert_broken("\x34\x05\x00\x01t\x00\x01", 7, "PUBLISH");
}

static void test_refusals(void **state)
{
	(void)state;
	struct scene scene = open_scene();
	struct mqtt_publish publish;
	struct mqtt_header header;
	uint8_t bytes[64];
	struct mqtt_connack connack = mqtt_connack_default();
	connack.reason = 0x85;
	said(&scene, &header);
	size_t size = mqtt_connack_encode(&connack, MQTT_VERSION_5, bytes, sizeof(bytes));
	assert_false(tell(&scene, bytes, size, &publish));
	assert_non_null(strstr(scene.link.fault, "0x85"));
	close_scene(&scene);
	scene = open_scene();
	connect_scene(&scene);
	session_link_subscribe(&scene.link, &scene.topics, 1, NULL, 0);
	size = mqtt_suback_encode(3, (const uint8_t[]){0x97}, 1, MQTT_SUBACK, MQTT_VERSION_5, bytes, sizeof(bytes));
	assert_false(tell(&scene, bytes, size, &publish));
	assert_non_null(strstr(scene.link.fault, "topic filter 2 with reason 0x97"));
	close_scene(&scene);
}

static void test_the_other_end_closes(void **state)
{
	(void)state;
	struct scene scene = open_scene();
	bool more;
	subscribe_scene(&scene);
	close(scene.gateway);
	assert_false(session_link_read(&scene.link, &more));
	assert_true(session_link_is_broken(&scene.link));
	session_link_close(&scene.link);
	assert_int_equal(scene.link.fd, -1);
}

static void test_ping(void **state)
{
	(void)state;
	struct scene scene = open_scene();
	struct mqtt_publish publish;
	struct mqtt_header header;
	subscribe_scene(&scene);
	session_link_ping(&scene.link);
	said(&scene, &header);
	assert_int_equal(header.type, MQTT_PINGREQ);
	assert_int_equal(scene.link.pongs_due, 1);
	assert_false(tell(&scene, "\xd0\x00", 2, &publish));
	assert_int_equal(scene.link.pongs_due, 0);
	assert_false(session_link_is_broken(&scene.link));
	close_scene(&scene);
}

static void test_close_says_so(void **state)
{
	(void)state;
	struct scene scene = open_scene();
	subscribe_scene(&scene);
	session_link_close(&scene.link);
	ssize_t got = recv(scene.gateway, scene.bytes, sizeof(scene.bytes), 0);
	assert_int_equal(got, 2);
	assert_memory_equal(scene.bytes, "\xe0\x00", 2);
	close(scene.gateway);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_subscribe),
		cmocka_unit_test(test_publish_and_puback),
		cmocka_unit_test(test_answers_that_break_it),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_the_other_end_closes),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_close_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
