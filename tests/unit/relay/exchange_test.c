/* Messages and acknowledgements between the two sides of a bridge: what each side hears of what the other one says. */
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "relay/bridging/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* One side's other end. */
struct end {
	struct session_link *link;
	int fd;
	uint8_t version;
	uint8_t bytes[65536];
	size_t size;
};

struct scene {
	struct mqtt_bridge bridge;
	struct exchange exchange;
	struct end local;
	struct end remote;
};

static void open_end(struct end *end, struct session_link *link, uint8_t version)
{
	int pair[2];
	const struct session_peer peer = {.name = "the other side"};
	const struct mqtt_connect connect = {.client_id = slice_string("c"),
					     .version = version,
					     .receive_max = UINT16_MAX,
					     .packet_bytes_max = 100000};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	session_link_open_to(link, pair[0], &peer, &connect);
	*end = (struct end){.link = link, .fd = pair[1], .version = version};
}

/* What the link has sent next, in words: "PUBLISH 1", say. */
static const char *heard(struct end *end)
{
	static const char *const NAMES[] = {"",       "CONNECT", "CONNACK", "PUBLISH",  "PUBACK",
					    "PUBREC", "PUBREL",  "PUBCOMP", "SUBSCRIBE"};
	static char words[64];
	struct mqtt_header header;
	struct mqtt_publish publish;
	struct mqtt_ack ack;
	assert_true(session_link_flush(end->link));
	ssize_t got = recv(end->fd, end->bytes + end->size, sizeof(end->bytes) - end->size, 0);
	end->size += got > 0 ? (size_t)got : 0;
	if (end->size == 0)
		return "nothing";
	assert_int_equal(mqtt_header_decode(end->bytes, end->size, &header), ERROR_OK);
	struct slice body = slice_of(end->bytes + header.header_bytes, header.body_bytes);
	if (header.type == MQTT_PUBLISH) {
		assert_int_equal(mqtt_publish_decode(body, header.flags, end->version, true, &publish), ERROR_OK);
		snprintf(words, sizeof(words), "PUBLISH%u%s %u %.*s", publish.qos, publish.dup ? " again" : "",
			 publish.packet_id, (int)publish.topic.size, (const char *)publish.topic.data);
	} else if (header.type >= MQTT_PUBACK && header.type <= MQTT_PUBCOMP) {
		assert_int_equal(mqtt_ack_decode(body, header.type, end->version, &ack), ERROR_OK);
		snprintf(words, sizeof(words), "%s %u %02x", NAMES[header.type], ack.packet_id, ack.reason);
	} else {
		snprintf(words, sizeof(words), "%s", NAMES[header.type]);
	}
	size_t whole = header.header_bytes + header.body_bytes;
	end->size -= whole;
	memmove(end->bytes, end->bytes + whole, end->size);
	return words;
}

static void say(struct scene *scene, struct end *end, const uint8_t *bytes, size_t size)
{
	assert_true(size != 0 && send(end->fd, bytes, size, 0) == (ssize_t)size);
	bool is_local = end == &scene->local;
	assert_true(is_local ? exchange_read_local(&scene->exchange) : exchange_read_remote(&scene->exchange));
}

static void say_ack(struct scene *scene, struct end *end, uint8_t type, uint16_t id, uint8_t reason)
{
	uint8_t bytes[16];
	const struct mqtt_ack ack = {.packet_id = id, .reason = reason};
	say(scene, end, bytes, mqtt_ack_encode(&ack, type, end->version, bytes, sizeof(bytes)));
}

static void say_publish(struct scene *scene, struct end *end, const char *topic, uint8_t qos, uint16_t id, bool dup)
{
	uint8_t bytes[4096];
	const struct mqtt_publish publish = {.topic = slice_string(topic),
					     .payload = slice_string("payload"),
					     .qos = qos,
					     .packet_id = id,
					     .dup = dup};
	say(scene, end, bytes, mqtt_publish_encode(&publish, end->version, bytes, sizeof(bytes)));
}

static void say_connack(struct scene *scene, struct end *end, struct mqtt_connack connack)
{
	uint8_t bytes[64];
	assert_string_equal(heard(end), "CONNECT");
	say(scene, end, bytes, mqtt_connack_encode(&connack, end->version, bytes, sizeof(bytes)));
	assert_int_equal(end->link->state, SESSION_CONNECTED);
	session_link_be_ready(end->link);
}

static void open_both(struct scene *scene, uint8_t version, struct mqtt_connack connack)
{
	open_end(&scene->remote, &scene->exchange.remote, version);
	say_connack(scene, &scene->remote, connack);
	scene->exchange.is_open = true;
	open_end(&scene->local, &scene->exchange.local, MQTT_VERSION_5);
	say_connack(scene, &scene->local, mqtt_connack_default());
}

static struct scene *begin(uint8_t version, struct mqtt_connack connack)
{
	static struct scene scene;
	char fault[ITEM_FAULT_BYTES_MAX];
	mqtt_bridge_init(&scene.bridge);
	assert_true(mqtt_bridge_key("up")->set(&scene.bridge, "u/# qos=2 remote=r/", fault));
	assert_true(mqtt_bridge_key("down")->set(&scene.bridge, "d/# qos=2 local=l/", fault));
	exchange_init(&scene.exchange, &scene.bridge);
	open_both(&scene, version, connack);
	return &scene;
}

static void close_both(struct scene *scene)
{
	exchange_close(&scene->exchange);
	close(scene->local.fd);
	close(scene->remote.fd);
}

static void end(struct scene *scene)
{
	close_both(scene);
	exchange_fini(&scene->exchange);
}

static void qos_1_is_acknowledged_when_the_other_side_has_it(void **state)
{
	(void)state;
	struct scene *scene = begin(MQTT_VERSION_5, mqtt_connack_default());
	say_publish(scene, &scene->local, "u/x", 1, 7, false);
	assert_string_equal(heard(&scene->remote), "PUBLISH1 7 r/u/x");
	assert_string_equal(heard(&scene->local), "nothing");
	say_ack(scene, &scene->remote, MQTT_PUBACK, 7, 0x10);
	assert_string_equal(heard(&scene->local), "PUBACK 7 00");
	say_publish(scene, &scene->remote, "d/x", 1, 9, false);
	assert_string_equal(heard(&scene->local), "PUBLISH1 9 l/d/x");
	assert_string_equal(heard(&scene->remote), "nothing");
	say_ack(scene, &scene->local, MQTT_PUBACK, 9, 0);
	assert_string_equal(heard(&scene->remote), "PUBACK 9 00");
	assert_int_equal(scene->exchange.counts.sent, 1);
	assert_int_equal(scene->exchange.counts.received, 1);
	end(scene);
}

/* Each step of QoS 2 is the other side's; the identifier is cleared first, once. */
static void qos_2_goes_step_by_step(void **state)
{
	(void)state;
	struct scene *scene = begin(MQTT_VERSION_5, mqtt_connack_default());
	struct end *from = &scene->local, *to = &scene->remote;
	for (int turn = 0; turn < 4; turn++) {
		bool is_up = turn < 2;
		from = is_up ? &scene->local : &scene->remote;
		to = is_up ? &scene->remote : &scene->local;
		say_publish(scene, from, is_up ? "u" : "d", 2, 3, false);
		if (turn % 2 == 0) {
			assert_string_equal(heard(to), "PUBREL 3 00");
			say_ack(scene, to, MQTT_PUBCOMP, 3, 0x92);
		}
		assert_string_equal(heard(to), is_up ? "PUBLISH2 3 r/u" : "PUBLISH2 3 l/d");
		assert_string_equal(heard(from), "nothing");
		say_ack(scene, to, MQTT_PUBREC, 3, 0);
		assert_string_equal(heard(from), "PUBREC 3 00");
		assert_string_equal(heard(to), "nothing");
		say_ack(scene, from, MQTT_PUBREL, 3, 0);
		assert_string_equal(heard(to), "PUBREL 3 00");
		say_ack(scene, to, MQTT_PUBCOMP, 3, 0);
		assert_string_equal(heard(from), "PUBCOMP 3 00");
	}
	assert_int_equal(scene->exchange.counts.sent, 2);
	assert_int_equal(scene->exchange.counts.received, 2);
	end(scene);
}

/* What was under way is resumed by the sessions: nothing of it is known here, and nothing is cleared. */
static void a_connection_that_was_lost_is_resumed(void **state)
{
	(void)state;
	struct scene *scene = begin(MQTT_VERSION_5, mqtt_connack_default());
	say_publish(scene, &scene->local, "u", 2, 1, false);
	close_both(scene);
	open_both(scene, MQTT_VERSION_5, mqtt_connack_default());
	say_publish(scene, &scene->local, "u", 2, 1, true);
	assert_string_equal(heard(&scene->remote), "PUBLISH2 again 1 r/u");
	say_ack(scene, &scene->remote, MQTT_PUBREC, 1, 0);
	close_both(scene);
	open_both(scene, MQTT_VERSION_5, mqtt_connack_default());
	say_ack(scene, &scene->local, MQTT_PUBREL, 1, 0);
	assert_string_equal(heard(&scene->remote), "PUBREL 1 00");
	say_ack(scene, &scene->remote, MQTT_PUBCOMP, 1, 0);
	assert_string_equal(heard(&scene->local), "PUBCOMP 1 00");
	end(scene);
}

static void a_refusal_ends_a_message(void **state)
{
	(void)state;
	struct scene *scene = begin(MQTT_VERSION_5, mqtt_connack_default());
	say_publish(scene, &scene->local, "u", 1, 1, false);
	heard(&scene->remote);
	say_ack(scene, &scene->remote, MQTT_PUBACK, 1, 0x87);
	assert_string_equal(heard(&scene->local), "PUBACK 1 80");
	say_publish(scene, &scene->remote, "d", 2, 5, false);
	assert_string_equal(heard(&scene->local), "PUBREL 5 00");
	assert_string_equal(heard(&scene->local), "PUBLISH2 5 l/d");
	say_ack(scene, &scene->local, MQTT_PUBREC, 5, 0x97);
	assert_string_equal(heard(&scene->remote), "PUBREC 5 97");
	assert_int_equal(scene->exchange.counts.dead, 1);
	assert_int_equal(scene->exchange.counts.refused, 1);
	assert_string_not_equal(scene->exchange.poison, "");
	end(scene);
}

/* Before version 5 there is no word for a refusal, so the rest of the exchange is made up. */
static void a_refusal_before_version_5(void **state)
{
	(void)state;
	struct scene *scene = begin(MQTT_VERSION_3_1_1, mqtt_connack_default());
	say_publish(scene, &scene->remote, "d", 2, 5, true);
	assert_string_equal(heard(&scene->local), "PUBLISH2 again 5 l/d");
	say_ack(scene, &scene->local, MQTT_PUBREC, 5, 0x97);
	assert_string_equal(heard(&scene->remote), "PUBREC 5 00");
	say_ack(scene, &scene->remote, MQTT_PUBREL, 5, 0);
	assert_string_equal(heard(&scene->remote), "PUBCOMP 5 00");
	assert_string_equal(heard(&scene->local), "nothing");
	end(scene);
}

static void what_cannot_go_over_is_acknowledged_here(void **state)
{
	(void)state;
	struct scene *scene = begin(MQTT_VERSION_5, mqtt_connack_default());
	say_publish(scene, &scene->local, "elsewhere", 2, 4, false);
	assert_string_equal(heard(&scene->local), "PUBREC 4 00");
	say_ack(scene, &scene->local, MQTT_PUBREL, 4, 0);
	assert_string_equal(heard(&scene->local), "PUBCOMP 4 00");
	say_publish(scene, &scene->remote, "elsewhere", 1, 4, false);
	assert_string_equal(heard(&scene->remote), "PUBACK 4 00");
	say_publish(scene, &scene->remote, "elsewhere", 0, 0, false);
	assert_string_equal(heard(&scene->remote), "nothing");
	assert_int_equal(scene->exchange.counts.dead, 1);
	assert_int_equal(scene->exchange.counts.refused, 2);
	end(scene);
}

/* QoS 2 goes up as QoS 1, and the steps that are missing are made up. */
static void a_broker_without_qos_2(void **state)
{
	(void)state;
	struct mqtt_connack connack = mqtt_connack_default();
	connack.qos_max = 1;
	struct scene *scene = begin(MQTT_VERSION_5, connack);
	say_publish(scene, &scene->local, "u", 2, 6, false);
	assert_string_equal(heard(&scene->remote), "PUBLISH1 6 r/u");
	say_ack(scene, &scene->remote, MQTT_PUBACK, 6, 0);
	assert_string_equal(heard(&scene->local), "PUBREC 6 00");
	say_ack(scene, &scene->local, MQTT_PUBREL, 6, 0);
	assert_string_equal(heard(&scene->local), "PUBCOMP 6 00");
	/* One of an earlier connection. */
	say_ack(scene, &scene->local, MQTT_PUBREL, 8, 0);
	assert_string_equal(heard(&scene->local), "PUBCOMP 8 00");
	assert_string_equal(heard(&scene->remote), "nothing");
	end(scene);
}

/* The broker's messages may be there before the session here is open: none of them is lost. */
static void what_comes_early_waits(void **state)
{
	(void)state;
	static struct scene scene;
	uint8_t bytes[256];
	char fault[ITEM_FAULT_BYTES_MAX];
	struct mqtt_connack connack = mqtt_connack_default();
	const struct mqtt_publish early = {.topic = slice_string("d"), .qos = 1, .packet_id = 1};
	mqtt_bridge_init(&scene.bridge);
	assert_true(mqtt_bridge_key("down")->set(&scene.bridge, "d", fault));
	exchange_init(&scene.exchange, &scene.bridge);
	open_end(&scene.remote, &scene.exchange.remote, MQTT_VERSION_5);
	heard(&scene.remote);
	size_t size = mqtt_connack_encode(&connack, MQTT_VERSION_5, bytes, sizeof(bytes));
	size += mqtt_publish_encode(&early, MQTT_VERSION_5, bytes + size, sizeof(bytes) - size);
	say(&scene, &scene.remote, bytes, size);
	assert_int_equal(scene.exchange.remote.state, SESSION_CONNECTED);
	assert_true(scene.exchange.remote_stalled);
	session_link_be_ready(&scene.exchange.remote);
	scene.exchange.is_open = true;
	open_end(&scene.local, &scene.exchange.local, MQTT_VERSION_5);
	assert_false(exchange_wants_remote(&scene.exchange));
	say_connack(&scene, &scene.local, mqtt_connack_default());
	assert_true(exchange_wants_remote(&scene.exchange));
	assert_true(exchange_read_remote(&scene.exchange));
	assert_string_equal(heard(&scene.local), "PUBLISH1 1 d");
	end(&scene);
}

static void a_packet_that_is_too_long_is_not_read(void **state)
{
	(void)state;
	struct scene *scene = begin(MQTT_VERSION_5, mqtt_connack_default());
	static const uint8_t HEAD[] = {MQTT_PUBLISH << 4, 0x81, 0x80, 0x04}; /* 65,537 bytes */
	scene->exchange.remote.peer.packet_bytes_max = 65536;
	assert_int_equal(send(scene->remote.fd, HEAD, sizeof(HEAD), 0), sizeof(HEAD));
	assert_false(exchange_read_remote(&scene->exchange));
	assert_non_null(strstr(scene->exchange.remote.fault, "larger than the maximum packet size"));
	end(scene);
}

/* A session that is new may give an identifier anew that the other side holds for half done. */
static void identifiers_of_a_new_session_are_cleared_again(void **state)
{
	(void)state;
	struct scene *scene = begin(MQTT_VERSION_5, mqtt_connack_default());
	say_publish(scene, &scene->local, "u", 2, 1, false);
	assert_string_equal(heard(&scene->remote), "PUBREL 1 00");
	assert_string_equal(heard(&scene->remote), "PUBLISH2 1 r/u");
	exchange_forget(&scene->exchange.up);
	say_publish(scene, &scene->local, "u", 2, 1, false);
	assert_string_equal(heard(&scene->remote), "PUBREL 1 00");
	end(scene);
}

/* A side that takes nothing has little waiting for it. */
static void a_side_that_is_slow_holds_the_other_one_up(void **state)
{
	(void)state;
	struct scene *scene = begin(MQTT_VERSION_5, mqtt_connack_default());
	uint16_t count = 0;
	while (exchange_wants_local(&scene->exchange))
		say_publish(scene, &scene->local, "u", 1, ++count, false);
	assert_true(scene->exchange.remote.out.size < EXCHANGE_OUTPUT_BYTES_MAX + 4096);
	while (strcmp(heard(&scene->remote), "nothing") != 0)
		continue;
	assert_true(exchange_wants_local(&scene->exchange));
	end(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qos_1_is_acknowledged_when_the_other_side_has_it),
		cmocka_unit_test(qos_2_goes_step_by_step),
		cmocka_unit_test(a_connection_that_was_lost_is_resumed),
		cmocka_unit_test(a_refusal_ends_a_message),
		cmocka_unit_test(a_refusal_before_version_5),
		cmocka_unit_test(what_cannot_go_over_is_acknowledged_here),
		cmocka_unit_test(a_broker_without_qos_2),
		cmocka_unit_test(what_comes_early_waits),
		cmocka_unit_test(a_packet_that_is_too_long_is_not_read),
		cmocka_unit_test(identifiers_of_a_new_session_are_cleared_again),
		cmocka_unit_test(a_side_that_is_slow_holds_the_other_one_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
