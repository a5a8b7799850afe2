/* A gate whose requests for memory are refused, one in each run: whoever knocks meanwhile is let in, told why not, or
 * finds the connection closed; nobody else notices; and nothing of it is left, no place, no admission, no byte. */
#include "../failing_memory.h"
#include "../shard_scene.h"
#include "base/log.h"
#include "mqtt/encode.h"
#include "mqtt/field/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int poll_without_sleep(struct poller *poller, struct poller_event *events, int count, int timeout_ms)
{
	(void)timeout_ms;
	return poller_wait(poller, events, count, 0);
}

/* The gate itself, for its turn is private to it. */
#define poller_wait poll_without_sleep
#include "gate/gate.c" /* NOLINT(bugprone-suspicious-include) */
#undef poller_wait

#define VISITORS 6u
#define CONNECT_BYTES_MAX 512u
#define TURNS 4u

struct gate_scene {
	struct shard_scene *scene;
	struct gate all[2]; /* the second one plays: the first has the kernel's lists to look after */
	int admission_fds[SCENE_SHARDS_MAX];
	struct sockaddr_in address;
	int listener;
};

static struct gate_scene *gate_scene_new(void)
{
	struct gate_scene *gates = calloc(1, sizeof(*gates));
	assert_non_null(gates);
	gates->scene = shard_scene_new(2);
	gates->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	gates->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(gates->address);
	assert_int_equal(bind(gates->listener, (struct sockaddr *)&gates->address, size), 0);
	assert_int_equal(listen(gates->listener, 64), 0);
	assert_int_equal(getsockname(gates->listener, (struct sockaddr *)&gates->address, &size), 0);
	struct settings *settings = &gates->scene->settings;
	settings->listeners[0].fd = gates->listener;
	settings->listeners[0].loopback = true;
	settings->listener_count = 1;
	settings->handshakes_max = 100;
	settings->handshake_bytes_max = 1 << 20;
	settings->connect_timeout_ms = 60000;
	for (uint16_t i = 0; i < gates->scene->shard_count; i++)
		gates->admission_fds[i] = gates->scene->pairs[i][0];
	assert_int_equal(waker_open(&gates->all[0].waker), ERROR_OK);
	gates->all[1] = (struct gate){
		.settings = settings,
		.key = &gates->scene->key,
		.addresses = gates->scene->addresses,
		.access = gates->scene->access,
		.shards = gates->scene->shards,
		.admission_fds = gates->admission_fds,
		.internal_fd = -1,
		.shard_count = gates->scene->shard_count,
		.gates = gates->all,
		.gate_count = 2,
		.number = 1,
	};
	assert_int_equal(gate_open(&gates->all[1]), ERROR_OK);
	assert_int_equal(gate_thread_setup(&gates->all[1]), ERROR_OK);
	return gates;
}

static void gate_scene_free(struct gate_scene *gates)
{
	assert_int_equal(gates->all[1].handshakes.used, 0);
	assert_int_equal(gates->all[1].slab.used_bytes, 0);
	assert_int_equal(gates->all[1].batched, 0);
	assert_int_equal(gates->all[1].batched_bytes, 0);
	assert_int_equal(gates->all[1].wheel.filed, 0);
	assert_int_equal(counter_of(&gates->all[1].counters, COUNTER_handshakes_open), 0);
	poller_close(&gates->all[1].poller);
	gate_close(&gates->all[1]);
	waker_close(&gates->all[0].waker);
	close(gates->listener);
	shard_scene_settle(gates->scene);
	shard_scene_check_empty(gates->scene);
	shard_scene_free(gates->scene);
	free(gates);
}

static void gate_turns(struct gate_scene *gates, bool refuse)
{
	for (uint32_t i = 0; i < TURNS; i++) {
		if (refuse)
			failing_memory_start();
		gate_turn(&gates->all[1]);
		failing_memory_stop();
	}
}

static int knock(const struct gate_scene *gates)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&gates->address, sizeof(gates->address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static size_t connect_packet(uint32_t number, uint8_t *out)
{
	char id[8];
	snprintf(id, sizeof(id), "v%u", number);
	struct mqtt_connect connect = {
		.client_id = slice_string(number != 0 ? id : ""), /* one that is given an id */
		.packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
		.receive_max = UINT16_MAX,
		.version = number % 2 == 0 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1,
		.clean_start = true,
		.has_will = number % 3 == 0,
		.will = {.topic = slice_string("w"), .payload = slice_string("gone")},
		.request_problem_info = true,
	};
	size_t size = mqtt_connect_encode(&connect, out, CONNECT_BYTES_MAX);
	assert_int_not_equal(size, 0);
	return size;
}

/* The second half comes when the first has been read; behind it a PINGREQ. */
static void say_in_two(struct gate_scene *gates, const int *fds, bool refuse)
{
	uint8_t packet[CONNECT_BYTES_MAX];
	for (uint32_t half = 0; half < 2; half++) {
		for (uint32_t i = 0; i < VISITORS; i++) {
			size_t size = connect_packet(i, packet);
			size_t from = half * (size / 2);
			size_t bytes = half == 0 ? size / 2 : size - from;
			send(fds[i], packet + from, bytes, MSG_NOSIGNAL);
			if (half != 0)
				send(fds[i], "\xc0", 2, MSG_NOSIGNAL);
		}
		gate_turns(gates, refuse);
	}
}

/* True: let in, and its PINGREQ was answered. False: told why not, or closed. */
static bool is_in(int fd, uint8_t version)
{
	uint8_t heard[256];
	ssize_t got = recv(fd, heard, sizeof(heard), 0);
	if (got <= 0) {
		assert_true(got == 0 || errno == ECONNRESET);
		return false;
	}
	assert_true(got >= 4);
	assert_int_equal(heard[0], MQTT_CONNACK << 4);
	if (heard[3] == 0) {
		assert_int_equal(heard[got - 2], MQTT_PINGRESP << 4);
		return true;
	}
	assert_true(version == MQTT_VERSION_5
			    ? heard[3] == MQTT_REASON_SERVER_UNAVAILABLE || heard[3] == MQTT_REASON_SERVER_BUSY ||
				      heard[3] == MQTT_REASON_QUOTA_EXCEEDED
			    : heard[3] == 3);
	return false;
}

static uint32_t visit_all(struct gate_scene *gates, bool refuse)
{
	int fds[VISITORS];
	uint32_t in = 0;
	for (uint32_t i = 0; i < VISITORS; i++)
		fds[i] = knock(gates);
	gate_turns(gates, refuse);
	say_in_two(gates, fds, refuse);
	shard_scene_settle(gates->scene);
	for (uint32_t i = 0; i < VISITORS; i++)
		in += is_in(fds[i], i % 2 == 0 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1);
	assert_int_equal(gates->scene->quota.taken, in);
	for (uint32_t i = 0; i < VISITORS; i++)
		close(fds[i]);
	gate_turns(gates, false);
	shard_scene_settle(gates->scene);
	return in;
}

static void play_visitors(void *context)
{
	uint32_t *turned_away = context;
	struct gate_scene *gates = gate_scene_new();
	uint32_t in = visit_all(gates, true);
	*turned_away += VISITORS - in;
	assert_int_equal(counter_of(&gates->all[1].counters, COUNTER_connections_refused), VISITORS - in);
	/* There is memory again. */
	assert_int_equal(visit_all(gates, false), VISITORS);
	gate_scene_free(gates);
}

static void sweep_visitors(enum failing_mode mode)
{
	uint32_t turned_away = 0;
	assert_true(failing_memory_sweep(FAILING_ALL, mode, play_visitors, &turned_away) >= 3 * VISITORS);
	assert_int_not_equal(turned_away, 0);
}

static void test_each_request_once(void **state)
{
	(void)state;
	sweep_visitors(FAILING_ONCE);
}

static void test_all_from_each_request_on(void **state)
{
	(void)state;
	sweep_visitors(FAILING_FROM_THERE);
}

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_request_once, NULL, failing_memory_teardown),
		cmocka_unit_test_setup_teardown(test_all_from_each_request_on, NULL, failing_memory_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
