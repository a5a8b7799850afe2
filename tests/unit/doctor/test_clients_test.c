/* The calibration's clients: what they take and answer, in any pieces. */
#include "doctor/plan/test_clients.h"

#include "mqtt/encode.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

/* One client whose server is the test. */
struct scene {
	struct test_clients clients;
	int server;
};

static void scene_open(struct scene *scene)
{
	static const struct timeval patience = {.tv_usec = 50000};
	int pair[2];
	assert_true(test_clients_open(&scene->clients, PLAN_TCP, 1883, 2));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	scene->clients.items[0].fd = pair[0];
	scene->clients.count = 1;
	scene->server = pair[1];
}

static void scene_close(struct scene *scene)
{
	test_clients_close(&scene->clients);
	close(scene->server);
}

static void serve(struct scene *scene, const uint8_t *bytes, size_t size)
{
	assert_int_equal(write(scene->server, bytes, size), size);
}

/* What the client has sent since the last look. */
static void assert_sent(struct scene *scene, const uint8_t *wanted, size_t size)
{
	uint8_t bytes[512];
	ssize_t got = recv(scene->server, bytes, sizeof(bytes), MSG_DONTWAIT);
	assert_int_equal(got, size == 0 ? -1 : (ssize_t)size);
	if (size > 0)
		assert_memory_equal(bytes, wanted, size);
}

#define SERVE(scene, ...) serve(scene, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define ASSERT_SENT(scene, ...)                                                                                        \
	assert_sent(scene, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void test_signing_in(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene);
	SERVE(&scene, 0x20, 2, 0, 0, 0x90, 3, 0, 1, 1);
	assert_true(test_clients_await(&scene.clients, 0, TEST_CLIENT_SUBACK, 1));
	assert_int_equal(scene.clients.items[0].seen[TEST_CLIENT_CONNACK], 1);
	assert_int_equal(scene.clients.items[0].granted, 1);
	/* It has been seen: nothing more is read. */
	assert_true(test_clients_await(&scene.clients, 0, TEST_CLIENT_CONNACK, 1));
	scene_close(&scene);
}

static void test_messages_of_each_qos(void **state)
{
	(void)state;
	struct scene scene;
	struct test_client *client;
	scene_open(&scene);
	client = &scene.clients.items[0];
	SERVE(&scene, 0x30, 4, 0, 1, 'a', 'x');
	assert_true(test_clients_await(&scene.clients, 0, TEST_CLIENT_MESSAGE, 1));
	assert_sent(&scene, NULL, 0);

	SERVE(&scene, 0x32, 6, 0, 1, 'a', 0, 7, 'x');
	assert_true(test_clients_await(&scene.clients, 0, TEST_CLIENT_MESSAGE, 2));
	ASSERT_SENT(&scene, 0x40, 2, 0, 7);

	/* At QoS 2 it counts when it is released. */
	SERVE(&scene, 0x34, 6, 0, 1, 'a', 0, 9, 'x', 0xD0, 0);
	assert_true(test_clients_await(&scene.clients, 0, TEST_CLIENT_PINGRESP, 1));
	assert_int_equal(client->seen[TEST_CLIENT_MESSAGE], 2);
	ASSERT_SENT(&scene, 0x50, 2, 0, 9);
	SERVE(&scene, 0x62, 2, 0, 9);
	assert_true(test_clients_await(&scene.clients, 0, TEST_CLIENT_MESSAGE, 3));
	ASSERT_SENT(&scene, 0x70, 2, 0, 9);
	scene_close(&scene);
}

static void test_publishing_at_each_qos(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene);
	struct slice topic = slice_string("t");
	struct slice payload = slice_string("xy");
	assert_true(test_clients_publish(&scene.clients, 0, topic, payload, 0));
	ASSERT_SENT(&scene, 0x30, 5, 0, 1, 't', 'x', 'y');

	assert_true(test_clients_publish(&scene.clients, 0, topic, payload, 1));
	ASSERT_SENT(&scene, 0x32, 7, 0, 1, 't', 0, 1, 'x', 'y');
	SERVE(&scene, 0x40, 2, 0, 1);
	assert_true(test_clients_await(&scene.clients, 0, TEST_CLIENT_ACKNOWLEDGED, 1));

	assert_true(test_clients_publish(&scene.clients, 0, topic, payload, 2));
	ASSERT_SENT(&scene, 0x34, 7, 0, 1, 't', 0, 1, 'x', 'y');
	SERVE(&scene, 0x50, 2, 0, 1, 0xD0, 0);
	assert_true(test_clients_await(&scene.clients, 0, TEST_CLIENT_PINGRESP, 1));
	assert_int_equal(scene.clients.items[0].seen[TEST_CLIENT_ACKNOWLEDGED], 1);
	ASSERT_SENT(&scene, 0x62, 2, 0, 1);
	SERVE(&scene, 0x70, 2, 0, 1);
	assert_true(test_clients_await(&scene.clients, 0, TEST_CLIENT_ACKNOWLEDGED, 2));
	scene_close(&scene);
}

static void test_other_packets(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene);
	assert_true(test_clients_ping(&scene.clients, 0));
	ASSERT_SENT(&scene, 0xC0, 0);
	assert_true(test_clients_subscribe(&scene.clients, 0, slice_string("t"), 2));
	ASSERT_SENT(&scene, 0x82, 6, 0, 2, 0, 1, 't', 2);
	scene_close(&scene);
}

/* Cut at every byte, it is the same. */
static void test_pieces(void **state)
{
	(void)state;
	static const uint8_t STREAM[] = {0x20, 2, 0,   0,   0x90, 3,    0, 1,    0, 0x30, 5,
					 0,    1, 'a', 'x', 'y',  0xD0, 0, 0x40, 2, 0,    1};
	for (size_t cut = 0; cut <= sizeof(STREAM); cut++) {
		struct test_clients clients = {.epoll = -1};
		struct test_client client = {.fd = -1};
		ssize_t first = test_clients_take(&clients, &client, STREAM, cut);
		assert_true(first >= 0 && (size_t)first <= cut);
		ssize_t second = test_clients_take(&clients, &client, STREAM + first, sizeof(STREAM) - (size_t)first);
		assert_int_equal(first + second, sizeof(STREAM));
		for (int sign = 0; sign < TEST_CLIENT_SIGNS; sign++)
			assert_int_equal(client.seen[sign], 1);
	}
}

static void test_what_no_server_may_say(void **state)
{
	(void)state;
	static const struct {
		uint8_t bytes[12];
		size_t size;
	} CASES[] = {
		{{0x20, 2, 0, 5}, 4},                   /* not authorised */
		{{0x20, 2, 2, 0}, 4},                   /* reserved flag */
		{{0x90, 3, 0, 1, 0x80}, 5},             /* refused subscription */
		{{0x90, 4, 0, 1, 0, 0}, 6},             /* two answers to one filter */
		{{0x00, 0}, 2},                         /* no packet has type 0 */
		{{0x10, 0}, 2},                         /* CONNECT from a server */
		{{0x36, 5, 0, 1, 'a', 0, 1}, 7},        /* QoS 3 */
		{{0x40, 1, 0}, 3},                      /* PUBACK too short */
		{{0x60, 2, 0, 1}, 4},                   /* PUBREL without its flag */
		{{0xD0, 1, 0}, 3},                      /* PINGRESP with a body */
		{{0xE0, 0}, 2},                         /* DISCONNECT: 3.1.1 has none from a server */
		{{0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1}, 6}, /* length of five bytes */
		{{0x30, 0xFF, 0xFF, 0xFF, 0x7F}, 5},    /* longer than is ever asked for */
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct test_clients clients = {.epoll = -1};
		struct test_client client = {.fd = -1};
		if (test_clients_take(&clients, &client, CASES[i].bytes, CASES[i].size) != -1)
			fail_msg("case %zu was taken", i);
	}
}

static void test_faults_are_said(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene);
	/* Nobody answers. */
	assert_false(test_clients_await(&scene.clients, 0, TEST_CLIENT_PINGRESP, 1));
	assert_non_null(strstr(scene.clients.fault, "no answer from the server"));
	SERVE(&scene, 0x20, 2, 0, 5);
	assert_false(test_clients_await(&scene.clients, 0, TEST_CLIENT_CONNACK, 1));
	assert_non_null(strstr(scene.clients.fault, "refused"));
	shutdown(scene.server, SHUT_WR);
	assert_false(test_clients_await(&scene.clients, 0, TEST_CLIENT_CONNACK, 1));
	assert_non_null(strstr(scene.clients.fault, strerror(ECONNRESET)));
	shutdown(scene.server, SHUT_RD);
	assert_false(test_clients_ping(&scene.clients, 0));
	assert_non_null(strstr(scene.clients.fault, "cannot send"));
	scene_close(&scene);
}

static void test_nobody_listens(void **state)
{
	(void)state;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	struct test_clients clients;
	/* A port that is bound and not listened on. */
	int bound = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(bound, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(bound, (struct sockaddr *)&address, &size), 0);
	assert_true(test_clients_open(&clients, PLAN_TCP, ntohs(address.sin_port), 4));
	assert_false(test_clients_connect(&clients, 4));
	assert_non_null(strstr(clients.fault, "cannot connect"));
	test_clients_close(&clients);
	close(bound);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signing_in),
		cmocka_unit_test(test_messages_of_each_qos),
		cmocka_unit_test(test_publishing_at_each_qos),
		cmocka_unit_test(test_other_packets),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_what_no_server_may_say),
		cmocka_unit_test(test_faults_are_said),
		cmocka_unit_test(test_nobody_listens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
