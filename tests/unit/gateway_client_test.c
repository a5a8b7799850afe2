/* A client's life on its shard: paused and resumed, silent, broken, gone; and nothing of it left behind. */
#include "base/log.h"
#include "shard/loop.h"
#include "shard_scene.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
	return 0;
}

static int scene_open_two(void **state)
{
	*state = shard_scene_new(2);
	return 0;
}

static int scene_close(void **state)
{
	shard_scene_free(*state);
	return 0;
}

/* ---- what clients say ---- */

struct packet {
	uint8_t bytes[512];
	size_t size;
};

static void add(struct packet *packet, const void *bytes, size_t size)
{
	assert_true(packet->size + size <= sizeof(packet->bytes));
	memcpy(packet->bytes + packet->size, bytes, size);
	packet->size += size;
}

#define ADD(packet, text) add(packet, text, sizeof(text) - 1)

static void add_string(struct packet *packet, const char *text)
{
	size_t size = strlen(text);
	uint8_t head[2] = {(uint8_t)(size >> 8), (uint8_t)size};
	add(packet, head, 2);
	add(packet, text, size);
}

/* The second byte is set to what stands behind it. */
static struct slice done(struct packet *packet)
{
	assert_true(packet->size - 2 < 128);
	packet->bytes[1] = (uint8_t)(packet->size - 2);
	return slice_of(packet->bytes, packet->size);
}

static struct slice connect_bytes(struct packet *packet, uint8_t version, const char *id, uint8_t keepalive_s,
				  const char *will_topic)
{
	packet->size = 0;
	ADD(packet, "\x10\0\0\4MQTT");
	uint8_t fields[4] = {version, will_topic != NULL ? 6 : 2, 0, keepalive_s};
	add(packet, fields, 4);
	if (version == 5)
		ADD(packet, "\0");
	add_string(packet, id);
	if (will_topic != NULL) {
		if (version == 5)
			ADD(packet, "\0");
		add_string(packet, will_topic);
		add_string(packet, "gone");
	}
	return done(packet);
}

static void say(int fd, struct slice bytes)
{
	assert_int_equal(send(fd, bytes.data, bytes.size, MSG_NOSIGNAL), bytes.size);
}

static void subscribe(int fd, const char *filter)
{
	struct packet packet = {.size = 0};
	ADD(&packet, "\x82\0\0\1");
	add_string(&packet, filter);
	ADD(&packet, "\0");
	say(fd, done(&packet));
}

static void publish(int fd, const char *topic, const char *payload)
{
	struct packet packet = {.size = 0};
	ADD(&packet, "\x30\0");
	add_string(&packet, topic);
	add(&packet, payload, strlen(payload));
	say(fd, done(&packet));
}

static void expect(int fd, const void *bytes, size_t size)
{
	uint8_t got[256];
	ssize_t count = recv(fd, got, size < sizeof(got) ? size : sizeof(got), 0);
	assert_int_equal(count, size);
	assert_memory_equal(got, bytes, size);
}

#define EXPECT(fd, text) expect(fd, text, sizeof(text) - 1)

static void expect_nothing(int fd)
{
	errno = 0;
	assert_int_equal(recv(fd, &(uint8_t){0}, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void expect_end(int fd)
{
	assert_int_equal(recv(fd, &(uint8_t){0}, 1, 0), 0);
	close(fd);
}

/* Signed in with version 3.1.1, CONNACK read. */
static int sign_in(struct shard_scene *scene, uint16_t shard, const char *id, uint8_t keepalive_s, const char *will,
		   int send_bytes)
{
	struct packet packet;
	int fd = shard_scene_connect(scene, shard, connect_bytes(&packet, 4, id, keepalive_s, will), send_bytes);
	assert_true(fd >= 0);
	shard_scene_settle(scene);
	EXPECT(fd, "\x20\2\0\0");
	return fd;
}

static int sign_in_and_subscribe(struct shard_scene *scene, uint16_t shard, const char *id, const char *filter)
{
	int fd = sign_in(scene, shard, id, 0, NULL, 0);
	subscribe(fd, filter);
	shard_scene_settle(scene);
	EXPECT(fd, "\x90\3\0\1\0");
	return fd;
}

static uint64_t ends(struct shard_scene *scene, enum error reason)
{
	return shard_scene_ends(scene, 0, reason);
}

/* ---- coming and going ---- */

static void test_life_of_a_client(void **state)
{
	struct shard_scene *scene = *state;
	int fd = sign_in_and_subscribe(scene, 0, "a", "t/+");
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	publish(fd, "t/1", "hello");
	shard_scene_settle(scene);
	EXPECT(fd, "\x30\x0a\0\3t/1hello");
	say(fd, slice_of("\xc0\0", 2));
	shard_scene_settle(scene);
	EXPECT(fd, "\xd0\0");
	say(fd, slice_of("\xe0\0", 2));
	shard_scene_settle(scene);
	expect_end(fd);
	assert_int_equal(ends(scene, ERROR_CLOSED_BY_CLIENT), 1);
	shard_scene_check_empty(scene);
}

static void test_take_over(void **state)
{
	struct shard_scene *scene = *state;
	struct packet packet;
	int older = shard_scene_connect(scene, 0, connect_bytes(&packet, 5, "same", 0, NULL), 0);
	shard_scene_settle(scene);
	uint8_t answer[64];
	assert_true(recv(older, answer, sizeof(answer), 0) > 4);
	int newer = sign_in(scene, 0, "same", 0, NULL, 0);
	assert_true(recv(older, answer, sizeof(answer), 0) > 4);
	assert_int_equal(answer[0], 0xe0);
	assert_int_equal(answer[2], 0x8e);
	expect_end(older);
	assert_int_equal(ends(scene, ERROR_TAKEN_OVER), 1);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	close(newer);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* A packet that began and does not end: the peer's end is found whatever has come of it. */
static void vanish_in_a_packet(struct shard_scene *scene, size_t announced, size_t sent, bool with_turns)
{
	int fd = sign_in(scene, 0, "v", 0, NULL, 0);
	uint8_t head[5] = {0x30, (uint8_t)(announced | 0x80), (uint8_t)(announced >> 7 | 0x80),
			   (uint8_t)(announced >> 14 & 0x7f), 0};
	static uint8_t zeroes[8192];
	say(fd, slice_of(head, 4));
	if (with_turns)
		shard_scene_settle(scene);
	for (size_t at = 0; at < sent; at += sizeof(zeroes)) {
		say(fd, slice_of(zeroes, sizeof(zeroes)));
		if (with_turns && at + 2 * sizeof(zeroes) < sent)
			shard_scene_settle(scene);
	}
	close(fd);
	shard_scene_settle(scene);
	if (shard_scene_clients(scene, 0) != 0)
		fail_msg("%zu of %zu bytes%s: the end was not seen", sent, announced, with_turns ? " in turns" : "");
	shard_scene_check_empty(scene);
}

static void test_vanishing_in_a_packet(void **state)
{
	for (size_t sent = 0; sent < 160000; sent += 16384) {
		vanish_in_a_packet(*state, 300000, sent, true);
		vanish_in_a_packet(*state, 300000, sent, false);
	}
	vanish_in_a_packet(*state, 60000, 16384, true);
}

static void test_keepalive(void **state)
{
	struct shard_scene *scene = *state;
	int fd = sign_in(scene, 0, "k", 10, NULL, 0);
	for (int i = 0; i < 5; i++) {
		shard_scene_pass_ms(scene, 14000);
		shard_scene_settle(scene);
		say(fd, slice_of("\xc0\0", 2));
		shard_scene_settle(scene);
		EXPECT(fd, "\xd0\0");
	}
	shard_scene_pass_ms(scene, 15000 + 300);
	shard_scene_settle(scene);
	expect_end(fd);
	assert_int_equal(ends(scene, ERROR_KEEPALIVE_TIMEOUT), 1);
	shard_scene_check_empty(scene);
}

/* ---- slow readers ---- */

/* Asks and does not read until the server has stopped reading it too. */
static void ask_until_paused(struct shard_scene *scene, int fd)
{
	static uint8_t pings[8192];
	for (size_t i = 0; i < sizeof(pings); i += 2)
		pings[i] = 0xc0;
	while (shard_scene_counter(scene, 0, COUNTER_reader_pauses) == 0) {
		ssize_t some = send(fd, pings, sizeof(pings), MSG_NOSIGNAL);
		assert_true(some < 0 || some % 2 == 0);
		shard_scene_settle(scene);
	}
}

static size_t read_all(struct shard_scene *scene, int fd)
{
	static uint8_t bytes[65536];
	size_t total = 0;
	ssize_t some;
	while ((some = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		total += (size_t)some;
		shard_scene_settle(scene);
	}
	return total;
}

/* While we are the ones who do not read, its silence is not its fault, and neither is it in the turn in which that
 * ends. */
static void test_paused_client_is_not_silent(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.stuck_timeout_ms = 1000000;
	int fd = sign_in(scene, 0, "p", 10, NULL, 4096);
	ask_until_paused(scene, fd);
	shard_scene_pass_ms(scene, 60000);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	static uint8_t bytes[65536];
	while (shard_scene_clients(scene, 0) == 1 && recv(fd, bytes, sizeof(bytes), 0) > 0) {
		shard_scene_pass_ms(scene, 200);
		shard_scene_turn_one(scene, 0);
	}
	assert_int_equal(ends(scene, ERROR_KEEPALIVE_TIMEOUT), 0);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	close(fd);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

static void test_stuck_reader(void **state)
{
	struct shard_scene *scene = *state;
	int fd = sign_in(scene, 0, "s", 0, NULL, 4096);
	ask_until_paused(scene, fd);
	shard_scene_pass_ms(scene, 4500);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	shard_scene_pass_ms(scene, 700);
	shard_scene_settle(scene);
	assert_int_equal(ends(scene, ERROR_STUCK_READER), 1);
	close(fd);
	shard_scene_check_empty(scene);
}

static void test_paused_reader_goes_on_where_it_stopped(void **state)
{
	struct shard_scene *scene = *state;
	int fd = sign_in(scene, 0, "p", 0, NULL, 4096);
	ask_until_paused(scene, fd);
	shard_scene_settle(scene);
	size_t answers = read_all(scene, fd);
	say(fd, slice_of("\xe0\0", 2));
	shard_scene_settle(scene);
	answers += read_all(scene, fd);
	assert_int_equal(answers, 2 * (shard_scene_counter(scene, 0, COUNTER_packets_in)));
	expect_end(fd);
	shard_scene_check_empty(scene);
}

static void test_messages_beyond_the_queue_are_dropped_and_counted(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_bytes_max = 8192;
	int slow = sign_in(scene, 0, "slow", 0, NULL, 4096);
	subscribe(slow, "t");
	int from = sign_in(scene, 0, "from", 0, NULL, 0);
	EXPECT(slow, "\x90\3\0\1\0");
	uint64_t sent = 0;
	for (; sent < 2000; sent++) {
		publish(from, "t", "0123456789012345678901234567890123456789");
		shard_scene_settle(scene);
	}
	uint64_t dropped = shard_scene_counter(scene, 0, COUNTER_messages_dropped_queue_full);
	assert_in_range(dropped, 1, sent - 1);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_out) + dropped, sent);
	assert_int_equal(read_all(scene, slow), (sent - dropped) * 45);
	close(slow);
	close(from);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* ---- many at once ---- */

/* Each brings more behind its CONNECT than one turn's scratch would hold for all. */
static void test_admissions_of_one_turn_are_all_greeted(void **state)
{
	struct shard_scene *scene = *state;
	enum { CLIENTS = 200 };
	int fds[CLIENTS];
	static uint8_t bytes[40000];
	for (int i = 0; i < CLIENTS; i++) {
		struct packet packet;
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		struct slice connect = connect_bytes(&packet, 4, id, 0, NULL);
		memcpy(bytes, connect.data, connect.size);
		for (size_t at = connect.size; at + 1 < sizeof(bytes); at += 2) {
			bytes[at] = 0xc0;
			bytes[at + 1] = 0;
		}
		size_t size = sizeof(bytes) - (sizeof(bytes) - connect.size) % 2;
		fds[i] = shard_scene_connect(scene, 0, slice_of(bytes, size), 0);
		assert_true(fds[i] >= 0);
		if (i % 32 == 31)
			shard_scene_turn_one(scene, 0);
	}
	shard_scene_settle(scene);
	for (int i = 0; i < CLIENTS; i++) {
		EXPECT(fds[i], "\x20\2\0\0\xd0\0\xd0\0");
		close(fds[i]);
	}
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* Those whose sockets broke are ended, with their wills; who comes next onto their places is not taken for them. */
static void test_places_of_the_broken_are_good_for_the_next(void **state)
{
	struct shard_scene *scene = *state;
	enum { CLIENTS = 20 };
	int fds[CLIENTS];
	int from = sign_in(scene, 0, "from", 0, NULL, 0);
	for (int i = 0; i < CLIENTS; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		fds[i] = sign_in(scene, 0, id, 0, "t", 0);
		subscribe(fds[i], "t");
		shard_scene_settle(scene);
		EXPECT(fds[i], "\x90\3\0\1\0");
	}
	for (int round = 0; round < 10; round++) {
		/* The writes to all of them fail in one turn, and their wills go to each other's broken sockets. */
		for (int i = 0; i < CLIENTS; i++)
			shutdown(fds[i], SHUT_RD);
		publish(from, "t", "x");
		shard_scene_turn_one(scene, 0);
		for (int i = 0; i < CLIENTS; i++) {
			char id[32];
			struct packet packet;
			close(fds[i]);
			snprintf(id, sizeof(id), "d%d-%d", round, i);
			fds[i] = shard_scene_connect(scene, 0, connect_bytes(&packet, 4, id, 0, "t"), 0);
		}
		shard_scene_settle(scene);
		assert_int_equal(shard_scene_clients(scene, 0), CLIENTS + 1);
		for (int i = 0; i < CLIENTS; i++) {
			EXPECT(fds[i], "\x20\2\0\0");
			subscribe(fds[i], "t");
		}
		shard_scene_settle(scene);
		for (int i = 0; i < CLIENTS; i++)
			EXPECT(fds[i], "\x90\3\0\1\0");
	}
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	close(from);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* A message's walk goes on to the right subscribers though one of them breaks in it and has a will. */
static void test_will_of_one_that_breaks_in_a_delivery(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_bytes_max = 1024;
	int fds[3];
	for (int i = 0; i < 3; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		fds[i] = sign_in(scene, 0, id, 0, i == 1 ? "will" : NULL, 0);
		subscribe(fds[i], "news");
		shard_scene_settle(scene);
		EXPECT(fds[i], "\x90\3\0\1\0");
	}
	int heir = sign_in_and_subscribe(scene, 0, "heir", "will");
	int from = sign_in(scene, 0, "from", 0, NULL, 0);
	static const char LINE[] = "0123456789012345678901234567890123456789012345678901234567890123456789";
	/* In one read: more than the queue holds, so that the one whose socket is broken is found so in the middle. */
	shutdown(fds[1], SHUT_RD);
	for (int i = 0; i < 100; i++)
		publish(from, "news", LINE);
	shard_scene_settle(scene);
	close(fds[1]);
	shard_scene_settle(scene);
	size_t message_bytes = 2 + 2 + 4 + sizeof(LINE) - 1;
	assert_int_equal(read_all(scene, fds[0]), 100 * message_bytes);
	assert_int_equal(read_all(scene, fds[2]), 100 * message_bytes);
	EXPECT(heir, "\x30\x0a\0\4willgone");
	expect_nothing(heir);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_wills_sent), 1);
	close(fds[0]);
	close(fds[2]);
	close(heir);
	close(from);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* ---- two shards ---- */

static void test_message_to_another_shard(void **state)
{
	struct shard_scene *scene = *state;
	int there = sign_in_and_subscribe(scene, 1, "there", "#");
	int here = sign_in_and_subscribe(scene, 0, "here", "t");
	publish(here, "t", "1");
	publish(here, "u", "2");
	shard_scene_settle(scene);
	EXPECT(here, "\x30\4\0\1t1");
	EXPECT(there, "\x30\4\0\1t1\x30\4\0\1u2");
	close(here);
	close(there);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* The other shard takes no turn: the publisher is paused rather than its messages dropped, and none is lost. */
static void test_publisher_waits_for_room_in_an_inbox(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_bytes_max = 64 << 20;
	int there = sign_in_and_subscribe(scene, 1, "there", "#");
	int here = sign_in(scene, 0, "here", 0, NULL, 0);
	static const char LINE[] = "0123456789012345678901234567890123456789012345678901234567890123456789";
	struct packet packet = {.size = 0};
	ADD(&packet, "\x30\0");
	add_string(&packet, "t");
	add(&packet, LINE, sizeof(LINE) - 1);
	struct slice message = done(&packet);
	size_t sent = 0;
	while (shard_scene_counter(scene, 0, COUNTER_publisher_pauses) == 0) {
		ssize_t some = send(here, message.data + sent % message.size, message.size - sent % message.size,
				    MSG_NOSIGNAL);
		sent += some > 0 ? (size_t)some : 0;
		shard_scene_turn_one(scene, 0);
		assert_true(sent < 64 << 20);
	}
	for (int i = 0; i < 10; i++)
		shard_scene_turn_one(scene, 0);
	if (sent % message.size != 0) /* the last one whole */
		say(here, slice_of(message.data + sent % message.size, message.size - sent % message.size));
	size_t messages = (sent + message.size - 1) / message.size;
	shard_scene_settle(scene);
	assert_int_equal(read_all(scene, there), messages * message.size);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_in), messages);
	close(here);
	close(there);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* A will for a client of another shard leaves with the turn in which it came to be due. */
static void test_will_reaches_another_shard_at_once(void **state)
{
	struct shard_scene *scene = *state;
	int there = sign_in_and_subscribe(scene, 1, "there", "w");
	int here = sign_in(scene, 0, "here", 0, "w", 0);
	close(here);
	shard_scene_turn_one(scene, 0);
	shard_scene_turn_one(scene, 0);
	shard_scene_turn_one(scene, 1);
	EXPECT(there, "\x30\7\0\1wgone");
	close(there);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* ---- stopping ---- */

/* Version 5 is told only where it is asked for. */
static void drain_ends_all(struct shard_scene *scene, bool told)
{
	struct packet packet;
	scene->settings.disconnect_on_stop = told;
	int v5 = shard_scene_connect(scene, 0, connect_bytes(&packet, 5, "five", 0, "w"), 0);
	int v4 = sign_in(scene, 0, "four", 0, "w", 0);
	int heir = sign_in_and_subscribe(scene, 0, "heir", "w");
	uint8_t answer[64];
	assert_true(recv(v5, answer, sizeof(answer), 0) > 4);
	shard_stop(&scene->shards[0], SCENE_START_MS + 100000);
	int turns = 0;
	while (shard_scene_turn_one(scene, 0))
		assert_true(++turns < 10);
	if (told) {
		assert_true(recv(v5, answer, sizeof(answer), 0) > 4);
		assert_int_equal(answer[0], 0xe0);
		assert_int_equal(answer[2], 0x8b);
	}
	expect_end(v5);
	expect_end(v4);
	expect_end(heir);
	assert_int_equal(ends(scene, ERROR_SERVER_STOPPING), 3);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_wills_sent), 0);
	shard_scene_check_empty(scene);
}

static void test_drain_ends_all_without_a_word(void **state)
{
	drain_ends_all(*state, false);
}

static void test_drain_tells_version_5_where_asked_to(void **state)
{
	drain_ends_all(*state, true);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
#define IN_TWO(test) cmocka_unit_test_setup_teardown(test, scene_open_two, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_life_of_a_client),
		IN_SCENE(test_take_over),
		IN_SCENE(test_vanishing_in_a_packet),
		IN_SCENE(test_keepalive),
		IN_SCENE(test_paused_client_is_not_silent),
		IN_SCENE(test_stuck_reader),
		IN_SCENE(test_paused_reader_goes_on_where_it_stopped),
		IN_SCENE(test_messages_beyond_the_queue_are_dropped_and_counted),
		IN_SCENE(test_admissions_of_one_turn_are_all_greeted),
		IN_SCENE(test_places_of_the_broken_are_good_for_the_next),
		IN_SCENE(test_will_of_one_that_breaks_in_a_delivery),
		IN_TWO(test_message_to_another_shard),
		IN_TWO(test_publisher_waits_for_room_in_an_inbox),
		IN_TWO(test_will_reaches_another_shard_at_once),
		IN_SCENE(test_drain_ends_all_without_a_word),
		IN_SCENE(test_drain_tells_version_5_where_asked_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
