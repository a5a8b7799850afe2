/* Much at once: more in one turn than its scratch holds, messages longer than a read, inboxes that are full. Nothing is
 * lost, doubled or out of order, and nobody is sent away for it. */
#include "base/log.h"
#include "mqtt/encode.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#define MANY_BYTES ((size_t)4 << 20)

static struct shard_scene *roomy_scene(uint16_t shards)
{
	struct shard_scene *scene = shard_scene_new(shards);
	scene->settings.packet_bytes_max = MANY_BYTES; /* more than scratch */
	scene->settings.inflight_max = 65535;
	scene->settings.queue_messages_max = 1000000;
	scene->settings.queue_bytes_max = 64 << 20;
	return scene;
}

static int scene_open(void **state)
{
	*state = roomy_scene(1);
	return 0;
}

static int scene_open_two(void **state)
{
	*state = roomy_scene(2);
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	for (uint16_t shard = 0; shard < scene->shard_count; shard++)
		assert_int_equal(shard_scene_counter(scene, shard, COUNTER_messages_dropped_memory), 0);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

/* ---- messages that are told apart by a number in front of their payload ---- */

struct burst {
	uint8_t bytes[MANY_BYTES];
	size_t size;
	uint32_t count;
};

static void burst_add(struct burst *burst, struct mqtt_publish *publish, uint8_t version, size_t payload_bytes)
{
	static uint8_t payload[MANY_BYTES];
	memcpy(payload, &burst->count, sizeof(burst->count));
	publish->payload = slice_of(payload, payload_bytes);
	publish->packet_id = (uint16_t)(1 + burst->count++);
	size_t size =
		mqtt_publish_encode(publish, version, burst->bytes + burst->size, sizeof(burst->bytes) - burst->size);
	assert_int_not_equal(size, 0);
	burst->size += size;
}

static uint32_t number_of(const struct mqtt_publish *publish)
{
	uint32_t number;
	assert_true(publish->payload.size >= sizeof(number));
	memcpy(&number, publish->payload.data, sizeof(number));
	return number;
}

/* Takes `count` messages, in order, and acknowledges them. */
static void hears_numbers(struct far_peer *peer, uint32_t count, uint8_t qos, size_t payload_bytes)
{
	for (uint32_t i = 0; i < count; i++) {
		struct heard heard;
		if (!peer_hears(peer, &heard) || heard.header.type != MQTT_PUBLISH)
			fail_msg("message %u of %u does not come", i, count);
		assert_int_equal(number_of(&heard.publish), i);
		assert_int_equal(heard.publish.payload.size, payload_bytes);
		assert_int_equal(heard.publish.qos, qos);
		if (qos == 1)
			peer_ack(peer, MQTT_PUBACK, heard.publish.packet_id);
	}
	peer_hears_nothing(peer);
}

/* ---- more than scratch ---- */

/* A read of 64 KiB becomes many times as much for subscribers each of whom has identifiers of its own; among them such
 * as share a frame. */
static void fan_out(struct shard_scene *scene, uint32_t subscribers)
{
	enum { MESSAGES = 120, PAYLOAD_BYTES = 500, MOST = 400 };
	static struct far_peer peers[MOST];
	static struct burst burst;
	for (uint32_t i = 0; i < subscribers; i++) {
		char id[16];
		snprintf(id, sizeof(id), "to%u", i);
		peers[i] = peer_sign_in(scene, PEER_CONNECT(.id = id, .version = i % 2 == 0 ? 4 : 5, .clean = true),
					false);
		peer_subscribe(&peers[i], "t", i % 4 < 2);
	}
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = 4, .clean = true), false);
	burst.size = burst.count = 0;
	for (uint32_t i = 0; i < MESSAGES; i++)
		burst_add(&burst, &(struct mqtt_publish){.topic = slice_string("t"), .qos = 1}, 4, PAYLOAD_BYTES);
	peer_say(&from, burst.bytes, burst.size);
	shard_scene_settle(scene);
	for (uint32_t i = 0; i < subscribers; i++)
		hears_numbers(&peers[i], MESSAGES, i % 4 < 2, PAYLOAD_BYTES);
	assert_int_equal(peer_counts(&from, MQTT_PUBACK), MESSAGES);
	for (uint32_t i = 0; i < subscribers; i++)
		peer_vanish(&peers[i]);
	peer_vanish(&from);
}

static void test_fan_out_made_directly(void **state)
{
	fan_out(*state, 200);
}

static void test_fan_out_by_records(void **state)
{
	fan_out(*state, 300);
}

/* What else comes in the same read is answered as ever. */
static void test_requests_behind_a_fan_out(void **state)
{
	struct shard_scene *scene = *state;
	enum { SUBSCRIBERS = 200, MESSAGES = 60 };
	static struct far_peer peers[SUBSCRIBERS];
	static struct burst burst;
	for (uint32_t i = 0; i < SUBSCRIBERS; i++) {
		char id[16];
		snprintf(id, sizeof(id), "to%u", i);
		peers[i] = peer_sign_in(scene, PEER_CONNECT(.id = id), false);
		peer_subscribe(&peers[i], "t", 1);
	}
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	burst.size = burst.count = 0;
	for (uint32_t i = 0; i < MESSAGES; i++)
		burst_add(&burst, &(struct mqtt_publish){.topic = slice_string("t"), .qos = 1}, 5, 900);
	struct mqtt_subscription asked = {.filter = slice_string("t"), .qos = 1};
	uint8_t *at = burst.bytes + burst.size;
	at += mqtt_subscribe_encode(1, 0, &asked, 1, 5, at, 100);
	at += mqtt_unsubscribe_encode(2, &asked.filter, 1, 5, at, 100);
	at += mqtt_empty_encode(MQTT_PINGREQ, at, 100);
	peer_say(&from, burst.bytes, (size_t)(at - burst.bytes));
	shard_scene_settle(scene);
	for (uint16_t i = 0; i < MESSAGES; i++)
		peer_hears_ack(&from, MQTT_PUBACK, i + 1, 0);
	static const uint8_t TYPES[] = {MQTT_SUBACK, MQTT_UNSUBACK, MQTT_PINGRESP};
	for (int i = 0; i < 3; i++) {
		struct heard heard;
		assert_true(peer_hears(&from, &heard));
		assert_int_equal(heard.header.type, TYPES[i]);
	}
	for (uint32_t i = 0; i < SUBSCRIBERS; i++) {
		hears_numbers(&peers[i], MESSAGES, 1, 900);
		peer_vanish(&peers[i]);
	}
	peer_vanish(&from);
}

/* Small packets whose aliases stand for a long topic: each is many times as long with its topic. */
static void test_burst_of_topic_aliases(void **state)
{
	struct shard_scene *scene = *state;
	enum { MESSAGES = 4000 };
	static struct burst burst;
	static char topic[1001];
	memset(topic, 't', sizeof(topic) - 1);
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .alias_max = 4), false);
	peer_subscribe(&to, "#", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	burst.size = burst.count = 0;
	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct mqtt_publish publish = {
			.topic = i == 0 ? slice_string(topic) : slice_of(NULL, 0),
			.properties = slice_of("\x23\0\1", 3),
			.qos = 1,
		};
		burst_add(&burst, &publish, 5, 4);
	}
	peer_say(&from, burst.bytes, burst.size);
	hears_numbers(&to, MESSAGES, 1, 4);
	assert_int_equal(peer_counts(&from, MQTT_PUBACK), MESSAGES);
	peer_vanish(&from);
	peer_vanish(&to);
}

/* ---- longer than a read ---- */

/* To subscribers of each kind, at once, some of whom take it slowly. */
static void large_message(struct shard_scene *scene, size_t payload_bytes, uint8_t version, uint16_t alias)
{
	enum { SUBSCRIBERS = 6 };
	struct far_peer peers[SUBSCRIBERS];
	static struct burst burst;
	for (uint32_t i = 0; i < SUBSCRIBERS; i++) {
		char id[16];
		snprintf(id, sizeof(id), "to%u", i);
		struct peer_connect connect = {.id = id,
					       .version = i % 2 == 0 ? 4 : 5,
					       .clean = true,
					       .alias_max = i == 3,
					       .send_bytes = i < 3 ? 4096 : 0};
		peers[i] = peer_sign_in(scene, &connect, false);
		peer_subscribe(&peers[i], "topic", (uint8_t)(i / 3));
	}
	struct far_peer from =
		peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = version, .clean = true), false);
	uint8_t property[3] = {0x23, 0, (uint8_t)alias};
	burst.size = burst.count = 0;
	for (int i = 0; i < 3; i++) {
		struct mqtt_publish publish = {
			.topic = i == 0 || alias == 0 ? slice_string("topic") : slice_of(NULL, 0),
			.properties = slice_of(property, alias != 0 ? sizeof(property) : 0),
			.qos = 1,
		};
		burst.size = 0;
		burst_add(&burst, &publish, version, payload_bytes);
		peer_say(&from, burst.bytes, burst.size);
	}
	for (uint32_t i = 0; i < SUBSCRIBERS; i++)
		hears_numbers(&peers[i], 3, (uint8_t)(i / 3), payload_bytes);
	assert_int_equal(peer_counts(&from, MQTT_PUBACK), 3);
	for (uint32_t i = 0; i < SUBSCRIBERS; i++)
		peer_vanish(&peers[i]);
	peer_vanish(&from);
}

static void test_large_messages(void **state)
{
	static const size_t SIZES[] = {1024, 1025, 4000, 4096, 65500, 65536, 300000, 1000000, 3000000};
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
		large_message(*state, SIZES[i], 4, 0);
		large_message(*state, SIZES[i], 5, 0);
	}
}

/* With an alias in the place of their topic. */
static void test_large_messages_with_an_alias(void **state)
{
	static const size_t SIZES[] = {1024, 65500, 65536, 300000, 1000000, 3000000};
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++)
		large_message(*state, SIZES[i], 5, 2);
}

/* Large ones in a session's queue leave with the next connection, from where they are kept. */
static void test_large_messages_that_waited(void **state)
{
	struct shard_scene *scene = *state;
	static struct burst burst;
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .expiry_s = 100), false);
	peer_subscribe(&to, "t", 1);
	peer_vanish(&to);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	burst.count = 0;
	for (int i = 0; i < 20; i++) {
		burst.size = 0;
		burst_add(&burst, &(struct mqtt_publish){.topic = slice_string("t"), .qos = 1}, 5, 200000);
		peer_say(&from, burst.bytes, burst.size);
	}
	to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .send_bytes = 4096), true);
	hears_numbers(&to, 20, 1, 200000);
	peer_vanish(&to);
	peer_vanish(&from);
}

/* What a client says behind its CONNECT is heard though its queue has filled scratch. */
static void test_requests_behind_connect_of_a_long_queue(void **state)
{
	struct shard_scene *scene = *state;
	enum { MESSAGES = 2500, PINGS = 1500 };
	static struct burst burst;
	uint8_t pings[2 * PINGS] = {0};
	for (size_t i = 0; i < sizeof(pings); i += 2)
		pings[i] = MQTT_PINGREQ << 4;
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .expiry_s = 100), false);
	peer_subscribe(&to, "t", 1);
	peer_vanish(&to);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	burst.size = burst.count = 0;
	for (int i = 0; i < MESSAGES; i++)
		burst_add(&burst, &(struct mqtt_publish){.topic = slice_string("t"), .qos = 1}, 5, 1000);
	peer_say(&from, burst.bytes, burst.size);
	shard_scene_settle(scene);
	to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .rest = slice_of(pings, sizeof(pings))), true);
	struct heard heard;
	uint32_t count = 0;
	while (peer_hears(&to, &heard) && heard.header.type == MQTT_PUBLISH) {
		assert_int_equal(number_of(&heard.publish), count++);
		peer_ack(&to, MQTT_PUBACK, heard.publish.packet_id);
	}
	assert_int_equal(count, MESSAGES);
	assert_int_equal(heard.header.type, MQTT_PINGRESP);
	assert_int_equal(peer_counts(&to, MQTT_PINGRESP), PINGS - 1);
	peer_vanish(&to);
	peer_vanish(&from);
}

/* ---- full inboxes ---- */

/* The other shard takes no turn: the publisher is paused before what was promised is dropped, and goes on in its place.
 */
static void fill_the_inbox(struct shard_scene *scene, uint8_t qos)
{
	static struct burst burst;
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = 4, .clean = true), false);
	uint64_t paused = shard_scene_counter(scene, 0, COUNTER_publisher_pauses);
	uint64_t taken = shard_scene_counter(scene, 0, COUNTER_messages_in);
	uint32_t sent = 0;
	burst.count = 0;
	while (shard_scene_counter(scene, 0, COUNTER_publisher_pauses) == paused) {
		burst.size = 0;
		for (int i = 0; i < 20; i++)
			burst_add(&burst, &(struct mqtt_publish){.topic = slice_string("t"), .qos = qos}, 4, 3000);
		peer_say(&from, burst.bytes, burst.size);
		shard_scene_turn_one(scene, 0);
		sent += 20;
		assert_true(sent < 10000);
	}
	for (int i = 0; i < 10; i++)
		shard_scene_turn_one(scene, 0);
	assert_true(shard_scene_counter(scene, 0, COUNTER_messages_in) - taken < sent);
	hears_numbers(&to, sent, 1, 3000);
	for (uint32_t i = 0; i < sent; i++)
		peer_hears_ack(&from, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, (uint16_t)(i + 1), 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_duplicate), 0);
	peer_vanish(&to);
	peer_vanish(&from);
}

static void test_full_inbox(void **state)
{
	fill_the_inbox(*state, 1);
	fill_the_inbox(*state, 2);
}

/* The publisher goes while it is paused; what was not taken from it is gone with it, what was taken arrives. */
static void test_full_inbox_whose_publisher_vanishes(void **state)
{
	struct shard_scene *scene = *state;
	static struct burst burst;
	scene->settings.receive_max = UINT16_MAX; /* it is the inbox that is full first */
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .expiry_s = 100), false);
	burst.size = burst.count = 0;
	for (int i = 0; i < 300; i++)
		burst_add(&burst, &(struct mqtt_publish){.topic = slice_string("t"), .qos = 1}, 5, 3000);
	size_t said = 0;
	while (shard_scene_counter(scene, 0, COUNTER_publisher_pauses) == 0) {
		if (said == burst.size)
			said = 0;
		ssize_t some = send(from.fd, burst.bytes + said, burst.size - said, MSG_NOSIGNAL);
		said += some > 0 ? (size_t)some : 0;
		shard_scene_turn_one(scene, 0);
	}
	struct far_peer newer = peer_connect(scene, PEER_CONNECT(.id = "from"));
	shard_scene_turn_one(scene, 0);
	peer_vanish(&from);
	uint64_t taken = shard_scene_counter(scene, 0, COUNTER_messages_in);
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), taken);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_in), taken);
	peer_vanish(&newer);
	peer_vanish(&to);
}

/* More than one turn reads of a client: the shard does not rest between its turns. *said: of the burst, over and over.
 */
static void turn_with_work_left(struct shard_scene *scene, const struct far_peer *from, const struct burst *burst,
				size_t *said)
{
	ssize_t some = 0;
	while (some >= 0) {
		some = send(from->fd, burst->bytes + *said, burst->size - *said, MSG_NOSIGNAL | MSG_DONTWAIT);
		*said = some > 0 ? (*said + (size_t)some) % burst->size : *said;
	}
	shard_scene_turn_one(scene, 0);
	assert_int_not_equal(scene->shards[0].loop.ready.count, 0);
}

/* The same time, once its own and once the machine's. */
static void test_a_long_turn_and_a_stall(void **state)
{
	struct shard_scene *scene = *state;
	struct overload *overload = &scene->shards[0].loop.overload;
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	size_t said = 0;
	static struct burst burst;
	burst_add(&burst, &(struct mqtt_publish){.topic = slice_string("t")}, 5, 1000);
	turn_with_work_left(scene, &from, &burst, &said);
	shard_scene_stall_ms(scene, 250);
	shard_scene_turn_one(scene, 0);
	assert_int_equal(overload->grade, OVERLOAD_SLOW);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_stalled_turns), 1);

	turn_with_work_left(scene, &from, &burst, &said);
	shard_scene_pass_ms(scene, 250);
	shard_scene_turn_one(scene, 0);
	assert_int_equal(overload->grade, OVERLOAD_SHED);
	assert_int_equal(atomic_load(&scene->shards[0].shared.lag_ms), 250);

	/* The scale is an option. */
	scene->settings.overload_refuse_ms = 1000;
	turn_with_work_left(scene, &from, &burst, &said);
	shard_scene_pass_ms(scene, 250);
	shard_scene_turn_one(scene, 0);
	assert_int_equal(overload->grade, OVERLOAD_SLOW);
	peer_vanish(&from);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
#define IN_TWO(test) cmocka_unit_test_setup_teardown(test, scene_open_two, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_fan_out_made_directly),
		IN_SCENE(test_fan_out_by_records),
		IN_SCENE(test_requests_behind_a_fan_out),
		IN_SCENE(test_burst_of_topic_aliases),
		IN_SCENE(test_large_messages),
		IN_SCENE(test_large_messages_with_an_alias),
		IN_SCENE(test_large_messages_that_waited),
		IN_SCENE(test_requests_behind_connect_of_a_long_queue),
		IN_SCENE(test_a_long_turn_and_a_stall),
		IN_TWO(test_full_inbox),
		IN_TWO(test_full_inbox_whose_publisher_vanishes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
