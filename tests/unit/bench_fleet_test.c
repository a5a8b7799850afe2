/* The bench's clients against a server that answers what the test says, byte by byte. */
#include "bench/fleet.h"

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
	struct fleet_plan plan;
	struct fleet fleet;
	int listener;
	int server; /* the server's end of the client */
	char message[64];
	uint32_t messages;
};

static uint32_t topic_of(void *owner, uint32_t index)
{
	(void)owner;
	return 40 + index;
}

static void on_message(void *owner, uint32_t index, struct slice payload)
{
	struct scene *scene = owner;
	assert_int_equal(index, 0);
	assert_true(payload.size < sizeof(scene->message));
	memcpy(scene->message, payload.data, payload.size);
	scene->message[payload.size] = '\0';
	scene->messages++;
}

static void scene_open(struct scene *scene, uint8_t version)
{
	struct url url = {.host = "127.0.0.1"};
	struct address address;
	memset(scene, 0, sizeof(*scene));
	assert_null(url_resolve(&url, &address));
	scene->listener = dial_listen(&address, 8);
	assert_true(scene->listener >= 0);
	scene->plan =
		(struct fleet_plan){.client_prefix = "c", .topic_prefix = "t/", .keepalive_s = 9, .version = version};
	dial_init(&scene->plan.dial, &address, false);
	assert_true(fleet_open(&scene->fleet, &scene->plan, 7, 1));
	scene->fleet.owner = scene;
	scene->fleet.events.topic_of = topic_of;
	scene->fleet.events.message = on_message;
	fleet_start_next(&scene->fleet);
	struct pollfd wait = {.fd = scene->listener, .events = POLLIN};
	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	scene->server = accept(scene->listener, NULL, NULL);
	assert_true(scene->server >= 0);
}

static void scene_close(struct scene *scene)
{
	fleet_close(&scene->fleet);
	if (scene->server >= 0)
		close(scene->server);
	close(scene->listener);
}

/* Each byte arrives alone: the client must put packets together whatever the cuts are. */
static void answer(struct scene *scene, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		assert_int_equal(send(scene->server, (const uint8_t *)bytes + i, 1, MSG_NOSIGNAL), 1);
		assert_int_equal(fleet_turn(&scene->fleet, WAIT_MS), 1);
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
	assert_int_equal(losses_total(&scene->fleet.losses), 1);
	assert_int_equal(scene->fleet.losses.counts[kind][code], 1);
	assert_int_equal(scene->fleet.clients[0].state, CLIENT_GONE);
	assert_int_equal(scene->fleet.in_progress, 0);
	assert_int_equal(scene->fleet.ready, 0);
}

static void sign_in(struct scene *scene)
{
	scene_open(scene, 4);
	ASSERT_SENT(scene, "\x10\x0e\0\4MQTT\4\2\0\x09\0\2c7");
	ANSWER(scene, "\x20\2\0\0");
	ASSERT_SENT(scene, "\x82\x09\0\1\0\4t/40\0");
	assert_int_equal(scene->fleet.in_progress, 1);
	ANSWER(scene, "\x90\3\0\1\0");
	assert_int_equal(scene->fleet.ready, 1);
	assert_int_equal(scene->fleet.in_progress, 0);
	assert_true(scene->fleet.settled_ns > 0);
}

static void test_signs_in_and_subscribes(void **state)
{
	(void)state;
	struct scene scene;
	sign_in(&scene);
	ANSWER(&scene, "\x30\x09\0\4t/40abc");
	assert_int_equal(scene.messages, 1);
	assert_string_equal(scene.message, "abc");
	fleet_leave(&scene.fleet, 0);
	ASSERT_SENT(&scene, "\xe0\0");
	assert_int_equal(losses_total(&scene.fleet.losses), 0);
	scene_close(&scene);
}

static void test_many_packets_in_one_read(void **state)
{
	(void)state;
	struct scene scene;
	sign_in(&scene);
	static const char packets[] = "\x30\x07\0\4t/40a\xd0\0\x30\x07\0\4t/40b\x30";
	assert_int_equal(send(scene.server, packets, sizeof(packets) - 1, 0), sizeof(packets) - 1);
	fleet_turn(&scene.fleet, WAIT_MS);
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
	fleet_close(&scene.fleet);
	close(scene.server);
	assert_true(fleet_open(&scene.fleet, &scene.plan, 7, 1));
	scene.fleet.owner = &scene;
	scene.fleet.events.topic_of = topic_of;
	fleet_start_next(&scene.fleet);
	scene.server = accept(scene.listener, NULL, NULL);
	assert_int_equal(recv(scene.server, greeting, sizeof(greeting), 0), 16 + 11);
	ANSWER(&scene, "\x20\2\0\0\x90\3\0\1\0");
	assert_int_equal(scene.fleet.ready, 1);
	scene_close(&scene);
}

static void test_missing_pingresp_is_a_loss(void **state)
{
	(void)state;
	struct scene scene;
	sign_in(&scene);
	fleet_ping(&scene.fleet, 0);
	ASSERT_SENT(&scene, "\xc0\0");
	ANSWER(&scene, "\xd0\0");
	fleet_ping(&scene.fleet, 0);
	assert_int_equal(losses_total(&scene.fleet.losses), 0);
	fleet_ping(&scene.fleet, 0);
	assert_lost(&scene, LOSS_NO_PINGRESP, 0);
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
		{4, "\x90\3\0\1\0", 5, LOSS_PROTOCOL, 0},
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
	fleet_turn(&scene.fleet, WAIT_MS);
	assert_lost(&scene, LOSS_CLOSED, 0);
	scene.server = -1;
	scene_close(&scene);
	sign_in(&scene);
	setsockopt(scene.server, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(scene.server);
	fleet_turn(&scene.fleet, WAIT_MS);
	assert_lost(&scene, LOSS_RESET, ECONNRESET);
	scene.server = -1;
	scene_close(&scene);
}

static void test_silence_is_given_up(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene, 4);
	fleet_give_up(&scene.fleet);
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
		cmocka_unit_test(test_refusals_and_ends_are_told_apart),
		cmocka_unit_test(test_closing_and_resetting_are_told_apart),
		cmocka_unit_test(test_silence_is_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
