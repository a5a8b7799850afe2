/* The clients of a durable run against a server that answers what the test says, byte by byte, and breaks connections.
 */
#include "bench/sessions/engine.h"

#include "bench/measure/stamp.h"
#include "mqtt/encode.h"

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS_MAX 2000
#define TURN_NS 1000000u
#define PAYLOAD_BYTES 24u
#define PACKETS_BYTES_MAX 4096u

struct session_scene {
	struct engine engine;
	int listener;
	int server; /* the newest connection's end */
};

/* One publisher, no subscriber; or one of each. */
static void scene_open(struct session_scene *scene, uint32_t subscribers, uint8_t qos)
{
	struct engine_plan plan = {.cast = {.topic_prefix = "x/", .publishers = 1, .exact = subscribers, .qos = qos},
				   .client_prefix = "c",
				   .size = PAYLOAD_BYTES,
				   .window = 3,
				   .version = 5};
	struct url url = {.host = "127.0.0.1", .port = 0};
	struct address address;
	assert_null(url_resolve(&url, &address));
	scene->listener = dial_listen(&address, 8);
	scene->server = -1;
	assert_true(scene->listener >= 0);
	struct dial dial;
	dial_init(&dial, &address, true);
	assert_true(engine_open(&scene->engine, &plan, &dial));
}

static void scene_close(struct session_scene *scene)
{
	engine_close(&scene->engine);
	close(scene->server);
	close(scene->listener);
}

/* Turns the engine until the descriptor can be read. */
static void turn_until_readable(struct session_scene *scene, int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	int turns = 0;
	while (poll(&wait, 1, 0) == 0) {
		assert_true(turns++ < TURNS_MAX);
		engine_turn(&scene->engine, TURN_NS);
	}
}

/* Reads exactly so many bytes from the client. */
static void read_client(struct session_scene *scene, uint8_t *out, size_t size)
{
	for (size_t got = 0; got < size;) {
		turn_until_readable(scene, scene->server);
		ssize_t some = recv(scene->server, out + got, size - got, 0);
		assert_true(some > 0);
		got += (size_t)some;
	}
}

/* Reads one packet; returns its first byte, the body in out. */
static uint8_t read_packet(struct session_scene *scene, uint8_t *out, size_t *size)
{
	uint8_t head[2];
	read_client(scene, head, sizeof(head));
	assert_true(head[1] < 0x80);
	read_client(scene, out, head[1]);
	*size = head[1];
	return head[0];
}

static void send_client(struct session_scene *scene, const void *bytes, size_t size)
{
	assert_int_equal(send(scene->server, bytes, size, MSG_NOSIGNAL), size);
}

static void answer(struct session_scene *scene, uint8_t type, uint16_t packet_id)
{
	uint8_t packet[8];
	size_t size = mqtt_ack_encode(&(struct mqtt_ack){.packet_id = packet_id}, type, 5, packet, sizeof(packet));
	send_client(scene, packet, size);
}

/* Lets a client in. */
static void accept_client(struct session_scene *scene, uint32_t client, bool session_present)
{
	uint8_t body[128];
	size_t size;
	uint8_t connack[] = {0x20, 3, session_present, 0, 0};
	scene->engine.is_wanted[client] = true;
	scene->engine.retry_ns = 0;
	turn_until_readable(scene, scene->listener);
	close(scene->server);
	scene->server = accept(scene->listener, NULL, NULL);
	assert_true(scene->server >= 0);
	assert_int_equal(read_packet(scene, body, &size), 0x10);
	send_client(scene, connack, sizeof(connack));
}

static void turn_until_ready(struct session_scene *scene, uint32_t client)
{
	for (int turns = 0; scene->engine.pool.clients[client].state != CLIENT_READY; turns++) {
		assert_true(turns < TURNS_MAX);
		engine_turn(&scene->engine, TURN_NS);
	}
}

/* Reads a PUBLISH of x/t/0 and checks it: number n has the identifier n + 1. */
static void expect_publish(struct session_scene *scene, uint64_t number, uint8_t first_byte)
{
	uint8_t body[128];
	size_t size;
	struct stamp stamp;
	assert_int_equal(read_packet(scene, body, &size), first_byte);
	assert_int_equal(size, 2 + 5 + 2 + 1 + PAYLOAD_BYTES);
	assert_int_equal(body[7] << 8 | body[8], number + 1);
	assert_true(stamp_read(slice_of(body + 10, PAYLOAD_BYTES), &stamp));
	assert_int_equal(stamp.number, number);
}

static void turn_until_acknowledged(struct session_scene *scene, uint64_t count)
{
	for (int turns = 0; scene->engine.ledger.sums.acknowledged < count; turns++) {
		assert_true(turns < TURNS_MAX);
		engine_turn(&scene->engine, TURN_NS);
	}
}

static void test_a_publisher_sends_again_what_was_not_acknowledged(void **state)
{
	(void)state;
	struct session_scene scene;
	scene_open(&scene, 0, 1);
	accept_client(&scene, 0, false);
	turn_until_ready(&scene, 0);
	engine_flow(&scene.engine, true);
	for (uint64_t number = 0; number < 3; number++)
		expect_publish(&scene, number, 0x32);
	engine_flow(&scene.engine, false);
	answer(&scene, MQTT_PUBACK, 1);
	turn_until_acknowledged(&scene, 1);
	engine_break(&scene.engine);
	engine_server_up(&scene.engine);
	accept_client(&scene, 0, true);
	expect_publish(&scene, 1, 0x3A);
	expect_publish(&scene, 2, 0x3A);
	answer(&scene, MQTT_PUBACK, 2);
	answer(&scene, MQTT_PUBACK, 3);
	assert_true(engine_finish_publishers(&scene.engine, 1000));
	assert_int_equal(scene.engine.ledger.sums.acknowledged, 3);
	assert_true(engine_is_clean(&scene.engine));
	scene_close(&scene);
}

/* A message that PUBREC took on is not sent again: its PUBREL is. */
static void test_a_publisher_resumes_each_half_of_qos_2(void **state)
{
	(void)state;
	struct session_scene scene;
	uint8_t body[128];
	size_t size;
	scene_open(&scene, 0, 2);
	accept_client(&scene, 0, false);
	turn_until_ready(&scene, 0);
	engine_flow(&scene.engine, true);
	for (uint64_t number = 0; number < 3; number++)
		expect_publish(&scene, number, 0x34);
	engine_flow(&scene.engine, false);
	answer(&scene, MQTT_PUBREC, 2);
	assert_int_equal(read_packet(&scene, body, &size), 0x62);
	engine_break(&scene.engine);
	engine_server_up(&scene.engine);
	accept_client(&scene, 0, true);
	expect_publish(&scene, 0, 0x3C);
	assert_int_equal(read_packet(&scene, body, &size), 0x62);
	assert_int_equal(body[1], 2);
	expect_publish(&scene, 2, 0x3C);
	/* The server had ended that handshake before: Packet Identifier not found is no refusal. */
	static const uint8_t pubcomp[] = {0x70, 3, 0, 2, 0x92};
	send_client(&scene, pubcomp, sizeof(pubcomp));
	/* This one it refuses: Quota exceeded. */
	static const uint8_t pubrec[] = {0x50, 3, 0, 1, 0x97};
	send_client(&scene, pubrec, sizeof(pubrec));
	answer(&scene, MQTT_PUBREC, 3);
	assert_int_equal(read_packet(&scene, body, &size), 0x62);
	answer(&scene, MQTT_PUBCOMP, 3);
	assert_true(engine_finish_publishers(&scene.engine, 1000));
	assert_int_equal(scene.engine.ledger.sums.acknowledged, 2);
	assert_int_equal(scene.engine.refused, 1);
	assert_int_equal(scene.engine.quota, 1);
	scene_close(&scene);
}

static void send_message(struct session_scene *scene, uint16_t packet_id, uint64_t number, bool again)
{
	uint8_t packet[PACKETS_BYTES_MAX];
	uint8_t payload[PAYLOAD_BYTES] = {0};
	stamp_write(&(struct stamp){.publisher = 0, .number = number}, payload);
	struct mqtt_publish publish = {.topic = slice_string("x/t/0"),
				       .payload = slice_of(payload, sizeof(payload)),
				       .packet_id = packet_id,
				       .qos = 2,
				       .dup = again};
	size_t size = mqtt_publish_encode(&publish, 5, packet, sizeof(packet));
	send_client(scene, packet, size);
}

static void expect_pubrec(struct session_scene *scene, uint16_t packet_id)
{
	uint8_t body[128];
	size_t size;
	assert_int_equal(read_packet(scene, body, &size), 0x50);
	assert_int_equal(body[0] << 8 | body[1], packet_id);
}

/* Brings the subscriber, which is client 1, online for the first time. */
static void subscribe(struct session_scene *scene)
{
	static const uint8_t suback[] = {0x90, 4, 0, 1, 0, 2};
	uint8_t body[128];
	size_t size;
	/* A client is started only behind those before it. */
	accept_client(scene, 0, false);
	turn_until_ready(scene, 0);
	scene->engine.is_wanted[0] = false;
	client_pool_leave(&scene->engine.pool, 0);
	accept_client(scene, 1, false);
	assert_int_equal(read_packet(scene, body, &size), 0x82);
	send_client(scene, suback, sizeof(suback));
	turn_until_ready(scene, 1);
	/* As if it had been published. */
	scene->engine.authors.list[0].inflight.next = 10;
	scene->engine.authors.list[0].inflight.oldest = 10;
}

static void test_a_subscriber_knows_a_message_again(void **state)
{
	(void)state;
	struct session_scene scene;
	uint8_t body[128];
	size_t size;
	scene_open(&scene, 1, 2);
	subscribe(&scene);
	send_message(&scene, 1, 0, false);
	expect_pubrec(&scene, 1);
	engine_break(&scene.engine);
	engine_server_up(&scene.engine);
	/* It does not subscribe again, so the next packet is PUBREC. */
	accept_client(&scene, 1, true);
	send_message(&scene, 1, 0, true);
	expect_pubrec(&scene, 1);
	assert_true(engine_is_clean(&scene.engine));
	answer(&scene, MQTT_PUBREL, 1);
	assert_int_equal(read_packet(&scene, body, &size), 0x70);
	send_message(&scene, 1, 1, false);
	expect_pubrec(&scene, 1);
	assert_int_equal(scene.engine.ledger.sums.arrived, 2);
	assert_true(engine_is_clean(&scene.engine));
	/* Another message under the same identifier, before PUBREL. */
	send_message(&scene, 1, 2, false);
	expect_pubrec(&scene, 1);
	assert_int_equal(scene.engine.faults.identifiers_reused, 1);
	/* The first one once more, as a new message. */
	send_message(&scene, 2, 0, false);
	expect_pubrec(&scene, 2);
	assert_int_equal(scene.engine.ledger.sums.faults[LEDGER_DOUBLED], 1);
	assert_false(engine_is_clean(&scene.engine));
	scene_close(&scene);
}

static void test_a_session_that_the_server_has_lost(void **state)
{
	(void)state;
	struct session_scene scene;
	uint8_t body[128];
	size_t size;
	scene_open(&scene, 1, 2);
	subscribe(&scene);
	engine_break(&scene.engine);
	engine_server_up(&scene.engine);
	accept_client(&scene, 1, false);
	assert_int_equal(read_packet(&scene, body, &size), 0x82);
	assert_int_equal(scene.engine.faults.sessions_lost, 1);
	assert_false(engine_is_clean(&scene.engine));
	scene_close(&scene);
}

static void test_messages_that_nobody_has_sent(void **state)
{
	(void)state;
	struct session_scene scene;
	scene_open(&scene, 1, 2);
	subscribe(&scene);
	send_message(&scene, 1, 10, false);
	expect_pubrec(&scene, 1);
	assert_int_equal(scene.engine.faults.foreign, 1);
	scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_publisher_sends_again_what_was_not_acknowledged),
		cmocka_unit_test(test_a_publisher_resumes_each_half_of_qos_2),
		cmocka_unit_test(test_a_subscriber_knows_a_message_again),
		cmocka_unit_test(test_a_session_that_the_server_has_lost),
		cmocka_unit_test(test_messages_that_nobody_has_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
