/* The floor's relay: packets cut at every byte, many receivers, a receiver that does not read, receivers that leave. */
#include "bench/dial/dial.h"
#include "bench/floor/relay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SOCKETS_MAX 1024u
#define TURN_MS 20

struct scene {
	struct relay relay;
	struct dial dial;
};

static int scene_open(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct url url = {.host = "127.0.0.1"};
	struct address address;
	assert_non_null(scene);
	assert_null(url_resolve(&url, &address));
	int listener = dial_listen(&address, 64);
	assert_true(listener >= 0);
	assert_true(relay_open(&scene->relay, listener, SOCKETS_MAX));
	dial_init(&scene->dial, &address, true);
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	relay_close(&scene->relay);
	free(scene);
	return 0;
}

static void put(int fd, const void *bytes, size_t size)
{
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

#define PUT(fd, text) put(fd, text, sizeof(text) - 1)

/* Runs the relay until exactly these bytes have arrived. */
static void expect(struct scene *scene, int fd, const void *bytes, size_t size)
{
	uint8_t got[256];
	size_t have = 0;
	for (int turns = 0; turns < 100 && have < size; turns++) {
		relay_turn(&scene->relay, TURN_MS);
		ssize_t more = recv(fd, got + have, sizeof(got) - have, 0);
		have += more > 0 ? (size_t)more : 0;
	}
	assert_int_equal(have, size);
	assert_memory_equal(got, bytes, size);
}

#define EXPECT(scene, fd, text) expect(scene, fd, text, sizeof(text) - 1)

static void expect_nothing(struct scene *scene, int fd)
{
	uint8_t byte;
	relay_turn(&scene->relay, TURN_MS);
	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static int sign_in(struct scene *scene)
{
	int fd = dial_start(&scene->dial, 0);
	assert_true(fd >= 0);
	PUT(fd, "\x10\x0d\0\4MQTT\4\2\0\0\0\1c");
	EXPECT(scene, fd, "\x20\2\0\0");
	return fd;
}

static int subscribe_to_7(struct scene *scene)
{
	int fd = sign_in(scene);
	PUT(fd, "\x82\x08\0\x0a\0\3t/7\0");
	EXPECT(scene, fd, "\x90\3\0\x0a\0");
	return fd;
}

static const char PUBLISH_7[] = "\x30\x08\0\3t/7abc";

static void test_every_cut_of_a_packet_is_whole_again(void **state)
{
	struct scene *scene = *state;
	int from = sign_in(scene);
	int to = subscribe_to_7(scene);
	for (size_t cut = 1; cut < sizeof(PUBLISH_7) - 1; cut++) {
		put(from, PUBLISH_7, cut);
		expect_nothing(scene, to);
		put(from, PUBLISH_7 + cut, sizeof(PUBLISH_7) - 1 - cut);
		expect(scene, to, PUBLISH_7, sizeof(PUBLISH_7) - 1);
	}
	close(from);
	close(to);
}

static void test_version_5_is_answered_in_version_5(void **state)
{
	struct scene *scene = *state;
	int fd = dial_start(&scene->dial, 0);
	PUT(fd, "\x10\x0e\0\4MQTT\5\2\0\0\0\0\1c");
	EXPECT(scene, fd, "\x20\3\0\0\0");
	PUT(fd, "\x82\x09\0\x0a\0\0\3t/7\0");
	EXPECT(scene, fd, "\x90\4\0\x0a\0\0");
	PUT(fd, "\xc0\0");
	EXPECT(scene, fd, "\xd0\0");
	close(fd);
}

static void test_all_subscribers_get_it_and_nobody_else(void **state)
{
	struct scene *scene = *state;
	int from = sign_in(scene);
	int to[5];
	int other = sign_in(scene);
	PUT(other, "\x82\x08\0\1\0\3t/8\0");
	EXPECT(scene, other, "\x90\3\0\1\0");
	for (int i = 0; i < 5; i++)
		to[i] = subscribe_to_7(scene);
	close(to[2]); /* leaves the middle of the list */
	relay_turn(&scene->relay, TURN_MS);
	PUT(from, "\x30\x08\0\3t/7abc\x30\x08\0\3t/8def");
	EXPECT(scene, other, "\x30\x08\0\3t/8def");
	for (int i = 0; i < 5; i++) {
		if (i != 2)
			expect(scene, to[i], PUBLISH_7, sizeof(PUBLISH_7) - 1);
	}
	for (int i = 0; i < 5; i++) {
		if (i != 2)
			close(to[i]);
	}
	close(from);
	close(other);
}

/* More than both sockets' buffers hold piles up, and then arrives complete and in order. */
static void test_slow_reader_gets_everything_in_order(void **state)
{
	struct scene *scene = *state;
	int from = sign_in(scene);
	int to = subscribe_to_7(scene);
	static uint8_t packet[16 * 1024 + 4];
	uint32_t sent = 0;
	uint32_t received = 0;
	size_t have = 0;
	memcpy(packet, "\x30\x80\x80\1\0\3t/7", 9);
	while (sent < 1500) {
		memcpy(packet + 9, &sent, sizeof(sent));
		ssize_t taken = send(from, packet, sizeof(packet), MSG_NOSIGNAL);
		if (taken < 0) {
			assert_int_equal(errno, EAGAIN);
			relay_turn(&scene->relay, 0);
			continue;
		}
		for (size_t done = (size_t)taken; done < sizeof(packet);) {
			relay_turn(&scene->relay, 0);
			taken = send(from, packet + done, sizeof(packet) - done, MSG_NOSIGNAL);
			done += taken > 0 ? (size_t)taken : 0;
		}
		sent++;
	}
	for (int quiet = 0; received < sent && quiet < 1000; quiet++) {
		ssize_t got = recv(to, packet + have, sizeof(packet) - have, 0);
		relay_turn(&scene->relay, 0);
		if (got <= 0)
			continue;
		quiet = 0;
		have += (size_t)got;
		if (have == sizeof(packet)) {
			uint32_t number;
			memcpy(&number, packet + 9, sizeof(number));
			assert_int_equal(number, received++);
			have = 0;
		}
	}
	assert_int_equal(received, sent);
	close(from);
	close(to);
}

/* The publisher is acknowledged under its own identifier, the subscriber gets the relay's, and what it acknowledges is
 * swallowed. */
static void test_qos_1_is_acknowledged_and_numbered_anew(void **state)
{
	struct scene *scene = *state;
	int from = sign_in(scene);
	int to[2] = {subscribe_to_7(scene), subscribe_to_7(scene)};
	PUT(from, "\x32\x0a\0\3t/7\x12\x34"
		  "abc\x32\x0a\0\3t/7\x12\x35"
		  "def");
	EXPECT(scene, from, "\x40\2\x12\x34\x40\2\x12\x35");
	for (int i = 0; i < 2; i++) {
		EXPECT(scene, to[i],
		       "\x32\x0a\0\3t/7\0\1"
		       "abc\x32\x0a\0\3t/7\0\2"
		       "def");
		PUT(to[i], "\x40\2\0\1\x40\2\0\2");
		expect_nothing(scene, to[i]);
	}
	expect_nothing(scene, from);
	close(from);
	close(to[0]);
	close(to[1]);
}

static void test_qos_2_goes_through_both_handshakes(void **state)
{
	struct scene *scene = *state;
	int from = sign_in(scene);
	int to = subscribe_to_7(scene);
	PUT(from, "\x34\x0a\0\3t/7\x12\x34"
		  "abc");
	EXPECT(scene, from, "\x50\2\x12\x34");
	EXPECT(scene, to,
	       "\x34\x0a\0\3t/7\0\1"
	       "abc");
	PUT(from, "\x62\2\x12\x34");
	EXPECT(scene, from, "\x70\2\x12\x34");
	PUT(to, "\x50\2\0\1");
	EXPECT(scene, to, "\x62\2\0\1");
	PUT(to, "\x70\2\0\1");
	expect_nothing(scene, to);
	expect_nothing(scene, from);
	close(from);
	close(to);
}

static void test_identifiers_pass_over_0(void **state)
{
	struct scene *scene = *state;
	int from = sign_in(scene);
	int to = subscribe_to_7(scene);
	scene->relay.packet_id = UINT16_MAX;
	PUT(from, "\x32\x0a\0\3t/7\x12\x34"
		  "abc");
	EXPECT(scene, to,
	       "\x32\x0a\0\3t/7\0\1"
	       "abc");
	close(from);
	close(to);
}

/* There are more acknowledgements in one turn than there is room for. */
static void test_many_acknowledgements_in_one_turn(void **state)
{
	static const uint8_t publish[] = "\x32\x07\0\3t/8\x12\x34"; /* nobody listens there */
	struct scene *scene = *state;
	int from = sign_in(scene);
	uint32_t sent = 0;
	uint32_t received = 0;
	size_t half = 0;
	static uint8_t packets[9 * 4096];
	for (size_t i = 0; i < sizeof(packets); i += 9)
		memcpy(packets + i, publish, 9);
	/* Fill the socket before the relay looks. */
	for (ssize_t taken; (taken = send(from, packets + half, sizeof(packets) - half, MSG_NOSIGNAL)) > 0;) {
		sent += (uint32_t)taken;
		half = (half + (size_t)taken) % sizeof(packets);
	}
	uint32_t whole = sent / 9;
	uint8_t got[4096];
	for (int quiet = 0; received < whole * 4 && quiet < 1000; quiet++) {
		relay_turn(&scene->relay, 0);
		for (ssize_t more; (more = recv(from, got, sizeof(got), 0)) > 0;) {
			quiet = 0;
			for (ssize_t i = 0; i < more; i++, received++)
				assert_int_equal(got[i], (uint8_t) "\x40\2\x12\x34"[received % 4]);
		}
	}
	assert_int_equal(received, whole * 4);
	close(from);
}

/* The members of a shared subscription get messages in turn, also when members come and go. */
static void test_shared_messages_go_round(void **state)
{
	struct scene *scene = *state;
	int from = sign_in(scene);
	int member[3];
	for (int i = 0; i < 3; i++) {
		member[i] = sign_in(scene);
		PUT(member[i], "\x82\x11\0\1\0\x0c$share/g/t/7\1");
		EXPECT(scene, member[i], "\x90\3\0\1\1");
	}
	for (int i = 0; i < 5; i++) {
		put(from, PUBLISH_7, sizeof(PUBLISH_7) - 1);
		expect(scene, member[i % 3], PUBLISH_7, sizeof(PUBLISH_7) - 1);
		expect_nothing(scene, member[(i + 1) % 3]);
		expect_nothing(scene, member[(i + 2) % 3]);
	}
	close(member[0]); /* the last of the list now: 2, 0 ... after five messages the next is member 2 */
	relay_turn(&scene->relay, TURN_MS);
	for (int i = 0; i < 4; i++) {
		put(from, PUBLISH_7, sizeof(PUBLISH_7) - 1);
		expect(scene, member[2 - i % 2], PUBLISH_7, sizeof(PUBLISH_7) - 1);
	}
	close(member[2]);
	relay_turn(&scene->relay, TURN_MS);
	put(from, PUBLISH_7, sizeof(PUBLISH_7) - 1);
	expect(scene, member[1], PUBLISH_7, sizeof(PUBLISH_7) - 1);
	close(member[1]);
	relay_turn(&scene->relay, TURN_MS);
	put(from, PUBLISH_7, sizeof(PUBLISH_7) - 1);
	int late = subscribe_to_7(scene);
	expect_nothing(scene, late);
	close(late);
	close(from);
}

static void test_what_is_not_mqtt_is_closed(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} cases[] = {
		{"\x30\xff\xff\xff\xff\x7f", 6}, {"\x10\2\0\4", 4}, {"\xe0\0", 2},          {"\x82\3\0\1\0", 5},
		{"\x82\5\0\1\0\x09t", 7},        {"\x30\1\0", 3},   {"\x32\6\0\3t/7\1", 8}, {"\x50\1\0", 3},
	};
	struct scene *scene = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t byte;
		int fd = dial_start(&scene->dial, 0);
		put(fd, cases[i].bytes, cases[i].size);
		for (int turns = 0; turns < 3; turns++)
			relay_turn(&scene->relay, TURN_MS);
		assert_int_equal(recv(fd, &byte, 1, 0), 0);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_cut_of_a_packet_is_whole_again, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_version_5_is_answered_in_version_5, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_all_subscribers_get_it_and_nobody_else, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_slow_reader_gets_everything_in_order, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_qos_1_is_acknowledged_and_numbered_anew, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_qos_2_goes_through_both_handshakes, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_identifiers_pass_over_0, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_many_acknowledgements_in_one_turn, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_shared_messages_go_round, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_what_is_not_mqtt_is_closed, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
