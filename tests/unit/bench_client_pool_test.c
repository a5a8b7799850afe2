/* The bench's clients against a server that answers what the test says, byte by byte. */
#include "bench/client/pool.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 2000

struct scene {
	struct client_plan plan;
	struct client_pool pool;
	int listener;
	int server; /* the server's end of the client */
	char message[64];
	uint32_t messages;
	uint32_t readies;
	uint32_t acknowledgements;
	uint32_t writables;
	uint32_t number;  /* that number_of() gives */
	uint32_t topic;   /* that topic_of() gives */
	bool is_unwaited; /* what acknowledged() says */
	bool leaves;      /* as soon as it is ready */
	enum client_state lost_in;
};

static uint32_t topic_of(void *owner, uint32_t index)
{
	const struct scene *scene = owner;
	return scene->topic + index;
}

static uint32_t number_of(void *owner, uint32_t index)
{
	const struct scene *scene = owner;
	return scene->number + index;
}

static void on_ready(void *owner, uint32_t index)
{
	struct scene *scene = owner;
	scene->readies++;
	if (scene->leaves)
		client_pool_leave(&scene->pool, index);
}

static void on_message(void *owner, uint32_t index, const struct mqtt_publish *publish)
{
	struct scene *scene = owner;
	struct slice payload = publish->payload;
	assert_int_equal(index, 0);
	assert_true(payload.size < sizeof(scene->message));
	memcpy(scene->message, payload.data, payload.size);
	scene->message[payload.size] = '\0';
	scene->messages++;
}

static bool on_acknowledged(void *owner, uint32_t index, uint8_t type, uint16_t packet_id)
{
	struct scene *scene = owner;
	assert_int_equal(index, 0);
	assert_int_equal(packet_id, 0x1234);
	scene->acknowledgements += 1u << type;
	return !scene->is_unwaited;
}

static void on_writable(void *owner, uint32_t index)
{
	struct scene *scene = owner;
	assert_true(client_pool_may_send(&scene->pool, index));
	scene->writables++;
}

static void on_lost(void *owner, uint32_t index, enum client_state state, enum loss kind, uint32_t code)
{
	struct scene *scene = owner;
	assert_true(scene->pool.losses.counts[kind][code] > 0);
	assert_int_equal(scene->pool.clients[index].state, CLIENT_GONE);
	scene->lost_in = state;
}

static void scene_start(struct scene *scene)
{
	client_pool_start_next(&scene->pool);
	struct pollfd wait = {.fd = scene->listener, .events = POLLIN};
	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	scene->server = accept(scene->listener, NULL, NULL);
	assert_true(scene->server >= 0);
}

/* Everything but starting the client. */
static void scene_prepare(struct scene *scene, uint8_t version)
{
	struct url url = {.host = "127.0.0.1"};
	struct address address;
	memset(scene, 0, sizeof(*scene));
	scene->number = 7;
	scene->topic = 40;
	scene->server = -1;
	assert_null(url_resolve(&url, &address));
	scene->listener = dial_listen(&address, 8);
	assert_true(scene->listener >= 0);
	scene->plan =
		(struct client_plan){.client_prefix = "c", .topic_prefix = "t/", .keepalive_s = 9, .version = version};
	dial_init(&scene->plan.dial, &address, false);
	assert_true(client_pool_open(&scene->pool, &scene->plan, 0, 1));
	scene->pool.owner = scene;
	scene->pool.events = (struct client_events){.number_of = number_of,
						    .topic_of = topic_of,
						    .ready = on_ready,
						    .message = on_message,
						    .acknowledged = on_acknowledged,
						    .writable = on_writable,
						    .lost = on_lost};
}

static void scene_open(struct scene *scene, uint8_t version)
{
	scene_prepare(scene, version);
	scene_start(scene);
}

static void scene_close(struct scene *scene)
{
	client_pool_close(&scene->pool);
	if (scene->server >= 0)
		close(scene->server);
	close(scene->listener);
}

/* Each byte arrives by itself: the client must assemble packets however they are cut. */
static void answer(struct scene *scene, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		assert_int_equal(send(scene->server, (const uint8_t *)bytes + i, 1, MSG_NOSIGNAL), 1);
		assert_int_equal(client_pool_turn(&scene->pool, WAIT_MS), 1);
	}
}

#define ANSWER(scene, text) answer(scene, text, sizeof(text) - 1)

static void assert_sent(struct scene *scene, const void *bytes, size_t size)
{
	uint8_t got[128];
	assert_int_equal(recv(scene->server, got, sizeof(got), 0), size);
	assert_memory_equal(got, bytes, size);
}

#define ASSERT_SENT(scene, text) assert_sent(scene, text, sizeof(text) - 1)

static void assert_lost(const struct scene *scene, enum loss kind, uint32_t code)
{
	assert_int_equal(losses_total(&scene->pool.losses), 1);
	assert_int_equal(scene->pool.losses.counts[kind][code], 1);
	assert_int_equal(scene->pool.clients[0].state, CLIENT_GONE);
	assert_int_equal(scene->pool.in_progress, 0);
	assert_int_equal(scene->pool.ready, 0);
}

/* Signs in and subscribes at the QoS, in version 3.1.1. */
static void sign_in_at(struct scene *scene, uint8_t qos, bool writes)
{
	uint8_t subscribe[] = "\x82\x09\0\1\0\4t/40";
	uint8_t suback[] = {0x90, 3, 0, 1, qos};
	subscribe[sizeof(subscribe) - 1] = qos; /* where the string ends */
	scene_prepare(scene, 4);
	scene->plan.qos = qos;
	scene->plan.writes = writes;
	scene_start(scene);
	ASSERT_SENT(scene, "\x10\x0e\0\4MQTT\4\2\0\x09\0\2c7");
	if (writes) /* the socket's first event: there is room in it */
		assert_int_equal(client_pool_turn(&scene->pool, WAIT_MS), 1);
	ANSWER(scene, "\x20\2\0\0");
	assert_sent(scene, subscribe, sizeof(subscribe));
	answer(scene, suback, sizeof(suback));
	assert_int_equal(scene->pool.ready, 1);
	assert_int_equal(scene->readies, 1);
}

static void sign_in(struct scene *scene)
{
	scene_open(scene, 4);
	ASSERT_SENT(scene, "\x10\x0e\0\4MQTT\4\2\0\x09\0\2c7");
	ANSWER(scene, "\x20\2\0\0");
	ASSERT_SENT(scene, "\x82\x09\0\1\0\4t/40\0");
	assert_int_equal(scene->pool.in_progress, 1);
	ANSWER(scene, "\x90\3\0\1\0");
	assert_int_equal(scene->pool.ready, 1);
	assert_int_equal(scene->pool.in_progress, 0);
	assert_true(scene->pool.connect_done_ns > 0);
}

static void test_signs_in_and_subscribes(void **state)
{
	(void)state;
	struct scene scene;
	sign_in(&scene);
	ANSWER(&scene, "\x30\x09\0\4t/40abc");
	assert_int_equal(scene.messages, 1);
	assert_string_equal(scene.message, "abc");
	client_pool_leave(&scene.pool, 0);
	ASSERT_SENT(&scene, "\xe0\0");
	assert_int_equal(losses_total(&scene.pool.losses), 0);
	scene_close(&scene);
}

static void test_many_packets_in_one_read(void **state)
{
	(void)state;
	struct scene scene;
	sign_in(&scene);
	static const char packets[] = "\x30\x07\0\4t/40a\xd0\0\x30\x07\0\4t/40b\x30";
	assert_int_equal(send(scene.server, packets, sizeof(packets) - 1, 0), sizeof(packets) - 1);
	client_pool_turn(&scene.pool, WAIT_MS);
	assert_int_equal(scene.messages, 2);
	assert_string_equal(scene.message, "b");
	ANSWER(&scene, "\x07\0\4t/40c");
	assert_int_equal(scene.messages, 3);
	assert_string_equal(scene.message, "c");
	scene_close(&scene);
}

static void test_pipelined_subscribe_goes_with_connect(void **state)
{
	(void)state;
	struct scene scene;
	sign_in(&scene);
	uint8_t greeting[64];
	scene.plan.pipeline = true;
	client_pool_close(&scene.pool);
	close(scene.server);
	assert_true(client_pool_open(&scene.pool, &scene.plan, 7, 1)); /* without number_of: client 0 is number 7 */
	scene.pool.owner = &scene;
	scene.pool.events.topic_of = topic_of;
	client_pool_start_next(&scene.pool);
	scene.server = accept(scene.listener, NULL, NULL);
	assert_int_equal(recv(scene.server, greeting, sizeof(greeting), 0), 16 + 11);
	ANSWER(&scene, "\x20\2\0\0\x90\3\0\1\0");
	assert_int_equal(scene.pool.ready, 1);
	scene_close(&scene);
}

static void test_missing_pingresp_is_a_loss(void **state)
{
	(void)state;
	struct scene scene;
	sign_in(&scene);
	client_pool_ping(&scene.pool, 0);
	ASSERT_SENT(&scene, "\xc0\0");
	ANSWER(&scene, "\xd0\0");
	client_pool_ping(&scene.pool, 0);
	assert_int_equal(losses_total(&scene.pool.losses), 0);
	client_pool_ping(&scene.pool, 0);
	assert_lost(&scene, LOSS_NO_PINGRESP, 0);
	scene_close(&scene);
}

/* A probe is not a keepalive ping: the next ping does not count it as unanswered, the one after that does. */
static void test_probe(void **state)
{
	(void)state;
	struct scene scene;
	sign_in(&scene);
	client_pool_probe(&scene.pool);
	ASSERT_SENT(&scene, "\xc0\0");
	assert_int_equal(scene.pool.pings_pending, 1);
	client_pool_probe(&scene.pool); /* one is enough */
	client_pool_ping(&scene.pool, 0);
	assert_int_equal(losses_total(&scene.pool.losses), 0);
	ANSWER(&scene, "\xd0\0");
	assert_int_equal(scene.pool.pings_pending, 0);
	ANSWER(&scene, "\xd0\0"); /* nobody asked */
	assert_int_equal(scene.pool.pings_pending, 0);
	client_pool_probe(&scene.pool);
	ASSERT_SENT(&scene, "\xc0\0");
	client_pool_ping(&scene.pool, 0);
	assert_int_equal(scene.pool.pings_pending, 1);
	client_pool_ping(&scene.pool, 0);
	assert_lost(&scene, LOSS_NO_PINGRESP, 0);
	assert_int_equal(scene.pool.pings_pending, 0);
	client_pool_probe(&scene.pool);
	assert_int_equal(scene.pool.pings_pending, 0);
	scene_close(&scene);
}

static void test_qos_1_is_acknowledged_once_a_read(void **state)
{
	(void)state;
	static const char packets[] = "\x32\x09\0\4t/40\x12\x34"
				      "a\x32\x09\0\4t/40\x12\x35"
				      "b";
	struct scene scene;
	sign_in_at(&scene, 1, false);
	assert_int_equal(send(scene.server, packets, sizeof(packets) - 1, 0), sizeof(packets) - 1);
	client_pool_turn(&scene.pool, WAIT_MS);
	assert_int_equal(scene.messages, 2);
	ASSERT_SENT(&scene, "\x40\2\x12\x34\x40\2\x12\x35");
	scene_close(&scene);
}

static void test_qos_2_is_received_and_released(void **state)
{
	(void)state;
	struct scene scene;
	sign_in_at(&scene, 2, false);
	ANSWER(&scene, "\x34\x09\0\4t/40\x12\x34"
		       "a");
	ASSERT_SENT(&scene, "\x50\2\x12\x34");
	assert_int_equal(scene.pool.received_qos_2, 1);
	assert_int_equal(scene.pool.released, 0);
	ANSWER(&scene, "\x62\2\x12\x34");
	ASSERT_SENT(&scene, "\x70\2\x12\x34");
	assert_int_equal(scene.pool.released, 1);
	ANSWER(&scene, "\x62\2\x12\x34"); /* once more: nothing is left to release */
	assert_lost(&scene, LOSS_PROTOCOL, 0);
	scene_close(&scene);
}

static void test_what_was_published_is_acknowledged_by_the_server(void **state)
{
	(void)state;
	struct scene scene;
	sign_in_at(&scene, 1, false);
	ANSWER(&scene, "\x40\2\x12\x34");
	assert_int_equal(scene.acknowledgements, 1u << MQTT_PUBACK);
	ANSWER(&scene, "\x50\2\x12\x34");
	ASSERT_SENT(&scene, "\x62\2\x12\x34");
	ANSWER(&scene, "\x70\2\x12\x34");
	assert_int_equal(scene.acknowledgements, 1u << MQTT_PUBACK | 1u << MQTT_PUBREC | 1u << MQTT_PUBCOMP);
	scene.is_unwaited = true;
	ANSWER(&scene, "\x40\2\x12\x34");
	assert_lost(&scene, LOSS_PROTOCOL, 0);
	assert_int_equal(scene.lost_in, CLIENT_READY);
	scene_close(&scene);
}

/* What the socket does not take is kept and goes out before anything else. Then the owner is told. */
static void test_unsent_bytes_keep_their_order(void **state)
{
	(void)state;
	static uint8_t block[65536];
	struct scene scene;
	size_t sent = 0;
	size_t got = 0;
	sign_in_at(&scene, 0, true);
	while (client_pool_may_send(&scene.pool, 0)) {
		for (size_t i = 0; i < sizeof(block); i++, sent++)
			block[i] = (uint8_t)(sent % 251);
		client_pool_send(&scene.pool, 0, block, sizeof(block));
	}
	block[0] = (uint8_t)(sent++ % 251);
	client_pool_send(&scene.pool, 0, block, 1);
	uint32_t writables = scene.writables;
	while (got < sent) {
		ssize_t more = recv(scene.server, block, sizeof(block), MSG_DONTWAIT);
		for (ssize_t i = 0; i < more; i++, got++)
			assert_int_equal(block[i], got % 251);
		if (more <= 0)
			assert_int_equal(client_pool_turn(&scene.pool, WAIT_MS), 1);
	}
	assert_true(client_pool_may_send(&scene.pool, 0));
	assert_true(scene.writables > writables);
	scene_close(&scene);
}

static void test_full_socket_is_a_loss_unless_the_owner_writes(void **state)
{
	(void)state;
	static uint8_t block[65536];
	struct scene scene;
	sign_in_at(&scene, 0, false);
	while (client_pool_may_send(&scene.pool, 0))
		client_pool_send(&scene.pool, 0, block, sizeof(block));
	assert_lost(&scene, LOSS_BLOCKED, 0);
	scene_close(&scene);
}

/* The slot of a client that left is used again, for a client with another number. */
static void test_places_are_used_again(void **state)
{
	(void)state;
	struct scene scene;
	scene_prepare(&scene, 4);
	scene.topic = CLIENT_NO_TOPIC;
	scene.leaves = true;
	for (scene.number = 1; scene.number < 4; scene.number++) {
		uint8_t connect[] = "\x10\x0e\0\4MQTT\4\2\0\x09\0\2c";
		connect[sizeof(connect) - 1] = (uint8_t)('0' + scene.number); /* where the string ends */
		client_pool_start(&scene.pool, 0);
		scene.server = accept(scene.listener, NULL, NULL);
		assert_sent(&scene, connect, sizeof(connect));
		ANSWER(&scene, "\x20\2\0\0");
		ASSERT_SENT(&scene, "\xe0\0");
		assert_int_equal(scene.readies, scene.number);
		close(scene.server);
	}
	scene.server = -1;
	assert_int_equal(losses_total(&scene.pool.losses), 0);
	assert_int_equal(scene.pool.started, 1);
	scene_close(&scene);
}

static void test_shared_subscription_and_credentials(void **state)
{
	(void)state;
	struct slice token = slice_string("token");
	char text[1];
	struct credentials credentials = {.user_name = "user", .text = text, .tokens = &token, .token_count = 1};
	struct scene scene;
	scene_prepare(&scene, 4);
	scene.topic = 40 | CLIENT_TOPIC_SHARED;
	scene.plan.qos = 2;
	scene.plan.credentials = &credentials;
	scene_start(&scene);
	ASSERT_SENT(&scene, "\x10\x1b\0\4MQTT\4\xc2\0\x09\0\2c7\0\4user\0\5token");
	ANSWER(&scene, "\x20\2\0\0");
	ASSERT_SENT(&scene, "\x82\x16\0\1\0\x11$share/bench/t/40\2");
	scene_close(&scene);
}

static void test_least_receive_maximum_is_kept(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene, 5);
	assert_int_equal(scene.pool.receive_max, UINT16_MAX);
	ANSWER(&scene, "\x20\6\0\0\3\x21\0\x14");
	assert_int_equal(scene.pool.receive_max, 20);
	scene_close(&scene);
}

static void test_refusals_and_ends_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		uint8_t version;
		const char *bytes;
		size_t size;
		enum loss kind;
		uint32_t code;
	} cases[] = {
		{4, "\x20\2\0\5", 4, LOSS_REFUSED, 5},
		{5, "\x20\3\0\x87\0", 5, LOSS_REFUSED, 0x87},
		{4, "\x20\2\0\0\x90\3\0\1\x80", 9, LOSS_SUBSCRIBE, 0x80},
		{5, "\x20\3\0\0\0\xe0\1\x8b", 8, LOSS_DISCONNECT, 0x8b},
		{4, "\x20\2\0\0\x90\3\0\1\1", 9, LOSS_GRANTED, 0},
		{4, "\x90\3\0\1\0", 5, LOSS_PROTOCOL, 0},
		{4, "\x20\2\0\0\x62\2\0\1", 8, LOSS_PROTOCOL, 0},
		{5, "\x20\3\0\0\0\x40\3\x12\x34\x97", 10, LOSS_PUBLISH, 0x97},
		{5, "\x20\3\0\0\0\x50\3\x12\x34\x87", 10, LOSS_PUBLISH, 0x87},
		{4, "\x10\0", 2, LOSS_PROTOCOL, 0},
		{4, "\x20\xff\xff\xff\xff", 5, LOSS_PROTOCOL, 0},
		{4, "\x20\3\0\0\0", 5, LOSS_PROTOCOL, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene scene;
		scene_open(&scene, cases[i].version);
		answer(&scene, cases[i].bytes, cases[i].size);
		assert_lost(&scene, cases[i].kind, cases[i].code);
		scene_close(&scene);
	}
}

static void test_closing_and_resetting_are_told_apart(void **state)
{
	(void)state;
	static const struct linger reset = {.l_onoff = 1};
	struct scene scene;
	sign_in(&scene);
	close(scene.server);
	client_pool_turn(&scene.pool, WAIT_MS);
	assert_lost(&scene, LOSS_CLOSED, 0);
	scene.server = -1;
	scene_close(&scene);
	sign_in(&scene);
	setsockopt(scene.server, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(scene.server);
	client_pool_turn(&scene.pool, WAIT_MS);
	assert_lost(&scene, LOSS_RESET, ECONNRESET);
	scene.server = -1;
	scene_close(&scene);
}

static void test_silence_is_given_up(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene, 4);
	client_pool_give_up(&scene.pool);
	assert_lost(&scene, LOSS_NO_ANSWER, 0);
	scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signs_in_and_subscribes),
		cmocka_unit_test(test_many_packets_in_one_read),
		cmocka_unit_test(test_pipelined_subscribe_goes_with_connect),
		cmocka_unit_test(test_missing_pingresp_is_a_loss),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_qos_1_is_acknowledged_once_a_read),
		cmocka_unit_test(test_qos_2_is_received_and_released),
		cmocka_unit_test(test_what_was_published_is_acknowledged_by_the_server),
		cmocka_unit_test(test_unsent_bytes_keep_their_order),
		cmocka_unit_test(test_full_socket_is_a_loss_unless_the_owner_writes),
		cmocka_unit_test(test_places_are_used_again),
		cmocka_unit_test(test_shared_subscription_and_credentials),
		cmocka_unit_test(test_least_receive_maximum_is_kept),
		cmocka_unit_test(test_refusals_and_ends_are_told_apart),
		cmocka_unit_test(test_closing_and_resetting_are_told_apart),
		cmocka_unit_test(test_silence_is_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
