/* Packets of waiting messages that are in the store alone: read ahead when their client takes them, in order, for the
 * connection that asked and no other. */
#include "failing_memory.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR_S 3600u
#define MESSAGES 1000u

static int scene_open(void **state)
{
	struct shard_scene *scene = shard_scene_new(1);
	scene->settings.queue_messages_max = 2 * MESSAGES;
	scene->settings.queue_bytes_max = 16 << 20;
	scene->settings.inflight_max = 65535;
	*state = scene;
	return 0;
}

/* Whatever a test does, nothing of it is left when the last session's time is over. */
static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	scene->sources[0].holds = false;
	shard_scene_pass_ms(scene, 2000u * HOUR_S);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

static uint64_t counted(const struct shard_scene *scene, enum counter counter)
{
	return shard_scene_counter(scene, 0, counter);
}

static const struct messages *messages_of(const struct shard_scene *scene)
{
	return &scene->shards[0].mem.messages;
}

static struct body_source *source_of(struct shard_scene *scene)
{
	return &scene->sources[0];
}

static uint32_t under_way(const struct shard_scene *scene)
{
	return scene->shards[0].mem.loads.under_way;
}

/* A session of an hour, subscribed, without a connection. */
static void keep_session(struct shard_scene *scene, const char *id, const char *filter, uint8_t qos)
{
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = id, .expiry_s = HOUR_S), false);
	peer_subscribe(&peer, filter, qos);
	peer_vanish(&peer);
}

static struct far_peer resume(struct shard_scene *scene, const char *id, uint16_t receive_max)
{
	return peer_sign_in(scene, PEER_CONNECT(.id = id, .expiry_s = HOUR_S, .receive_max = receive_max), true);
}

/* There is memory to read ahead. */
static void give_memory(struct shard_scene *scene)
{
	scene->settings.queue_memory_max = 4 << 20;
}

/* Publishes numbers. With the least of memory their packets are nowhere but in the store then. */
static void publish_numbers(struct shard_scene *scene, uint32_t first, uint32_t count, int digits, uint8_t qos)
{
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	static char payload[200000];
	for (uint32_t i = first; i < first + count; i++) {
		snprintf(payload, sizeof(payload), "%0*u", digits, i);
		peer_publish(&from, "t", payload, qos, (uint16_t)(1 + i));
		if (qos == 2)
			peer_ack(&from, MQTT_PUBREL, (uint16_t)(1 + i));
		if (i % 16 == 0)
			shard_scene_settle(scene);
	}
	shard_scene_settle(scene);
	peer_vanish(&from);
}

static bool hear_number(struct far_peer *peer, uint32_t number, int digits)
{
	static char payload[200000];
	struct heard heard;
	if (!peer_hears(peer, &heard))
		return false;
	snprintf(payload, sizeof(payload), "%0*u", digits, number);
	assert_int_equal(heard.header.type, MQTT_PUBLISH);
	assert_true(slice_equal(heard.publish.payload, slice_string(payload)));
	if (heard.publish.qos != 0)
		peer_ack(peer, MQTT_PUBACK, heard.publish.packet_id);
	return true;
}

static uint32_t hear_numbers(struct far_peer *peer, uint32_t first, int digits)
{
	uint32_t count = 0;
	while (hear_number(peer, first + count, digits))
		count++;
	return count;
}

/* ---- a long queue ---- */

static void test_long_queue_comes_in_order(void **state)
{
	struct shard_scene *scene = *state;
	static const uint16_t RECEIVE_MAX[] = {1, 7, 20, 0};
	keep_session(scene, "s", "t", 1);
	for (size_t i = 0; i < 4; i++) {
		struct body_source before = *source_of(scene);
		publish_numbers(scene, 0, MESSAGES, 100, 1);
		assert_int_equal(messages_of(scene)->absent_count, MESSAGES);
		assert_int_equal(messages_of(scene)->bytes, 0);
		struct far_peer peer = resume(scene, "s", RECEIVE_MAX[i]);
		assert_int_equal(hear_numbers(&peer, 0, 100), MESSAGES);
		assert_int_equal(messages_of(scene)->count, 0);
		/* With the least of memory they are read one by one, and may leave again before they are sent. */
		assert_true(source_of(scene)->bodies >= before.bodies + MESSAGES);
		assert_int_equal(source_of(scene)->loads - before.loads, source_of(scene)->bodies - before.bodies);
		peer_vanish(&peer);
	}
}

/* There is memory for what is read ahead: each packet is read once, in few loads, and the next ones are asked for
 * before those that have come are used up. */
static void test_reads_ahead(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	publish_numbers(scene, 0, MESSAGES, 100, 1);
	assert_int_equal(messages_of(scene)->absent_count, MESSAGES);
	give_memory(scene);
	struct far_peer peer = resume(scene, "s", 10);
	struct body_source *source = source_of(scene);
	source->lateness = 0;
	assert_true(hear_number(&peer, 0, 100));
	assert_int_equal(source->loads, 1);
	assert_int_equal(source->bodies_max, STORE_LOAD_MAX);
	source->holds = true;
	uint32_t heard = 1;
	for (; source->loads == 1; heard++)
		assert_true(hear_number(&peer, heard, 100));
	assert_in_range(heard, STORE_LOAD_MAX / 2 - 10, STORE_LOAD_MAX / 2 + 1);
	heard += hear_numbers(&peer, heard, 100);
	assert_int_equal(heard, STORE_LOAD_MAX); /* the rest of the first load does not wait for the second */
	source->holds = false;
	heard += hear_numbers(&peer, heard, 100);
	assert_int_equal(heard, MESSAGES);
	assert_int_equal(source->bodies, MESSAGES);
	assert_in_range(source->loads, MESSAGES / STORE_LOAD_MAX, 2 * MESSAGES / STORE_LOAD_MAX + 2);
	peer_vanish(&peer);
}

/* A load has so many bytes, and a single message may have more. */
static void test_large_packets(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	publish_numbers(scene, 0, 30, 100000, 1);
	struct body_source *source = source_of(scene);
	scene->settings.queue_memory_max = 8 << 20;
	struct far_peer peer = resume(scene, "s", 1);
	assert_int_equal(hear_numbers(&peer, 0, 100000), 30);
	assert_in_range(source->bytes_max, 200000, 256 << 10);
	publish_numbers(scene, 0, 3, 190000, 1);
	peer_vanish(&peer);
	scene->settings.queue_memory_max = 1;
	shard_scene_settle(scene);
	assert_int_equal(messages_of(scene)->absent_count, 3);
	peer = resume(scene, "s", 1);
	assert_int_equal(hear_numbers(&peer, 0, 190000), 3);
	peer_vanish(&peer);
}

/* A new message does not overtake those that are being read. */
static void test_new_messages_wait_behind(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	publish_numbers(scene, 0, 10, 1, 1);
	source_of(scene)->holds = true;
	struct far_peer peer = resume(scene, "s", 0);
	peer_hears_nothing(&peer);
	publish_numbers(scene, 10, 10, 1, 1);
	peer_hears_nothing(&peer);
	source_of(scene)->holds = false;
	assert_int_equal(hear_numbers(&peer, 0, 1), 20);
	publish_numbers(scene, 20, 1, 1, 1);
	assert_true(hear_number(&peer, 20, 1));
	peer_vanish(&peer);
}

static void test_expired_messages_are_not_read(void **state)
{
	static const uint8_t EXPIRES[] = {0x02, 0, 0, 0, 15};
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	for (uint16_t i = 0; i < 100; i++) {
		char payload[8];
		snprintf(payload, sizeof(payload), "%u", i);
		bool expires = i % 3 != 0;
		struct mqtt_publish publish = {.topic = slice_string("t"),
					       .payload = slice_string(payload),
					       .properties = slice_of(EXPIRES, expires ? sizeof(EXPIRES) : 0),
					       .has_message_expiry = expires,
					       .message_expiry_s = 15,
					       .packet_id = (uint16_t)(i + 1),
					       .qos = 1};
		peer_publish_as(&from, &publish);
	}
	peer_vanish(&from);
	assert_int_equal(messages_of(scene)->absent_count, 100);
	shard_scene_pass_ms(scene, 20000);
	give_memory(scene);
	struct far_peer peer = resume(scene, "s", 2);
	for (uint32_t i = 0; i < 100; i += 3)
		assert_true(hear_number(&peer, i, 1));
	peer_hears_nothing(&peer);
	assert_int_equal(counted(scene, COUNTER_messages_expired), 66);
	assert_int_equal(source_of(scene)->bodies, 34);
	assert_int_equal(messages_of(scene)->count, 0);
	peer_vanish(&peer);
}

/* What was sent may leave memory too. After the connection it is read again, and keeps its place and its identifier. */
static void test_sent_again_from_the_store(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 2);
	publish_numbers(scene, 0, 50, 1, 2);
	for (int times = 0; times < 3; times++) {
		struct far_peer peer = resume(scene, "s", 20);
		for (uint32_t i = 0; i < 20; i++) {
			char payload[8];
			snprintf(payload, sizeof(payload), "%u", i);
			struct mqtt_publish publish = peer_hears_publish(&peer, "t", payload, 2);
			assert_int_equal(publish.packet_id, i + 1);
			assert_int_equal(publish.dup, times != 0);
		}
		peer_hears_nothing(&peer);
		peer_vanish(&peer);
		assert_int_equal(messages_of(scene)->absent_count, 50);
	}
	struct far_peer peer = resume(scene, "s", 1);
	for (uint32_t i = 0; i < 50; i++) {
		char payload[8];
		snprintf(payload, sizeof(payload), "%u", i);
		struct mqtt_publish publish = peer_hears_publish(&peer, "t", payload, 2);
		assert_int_equal(publish.packet_id, i + 1);
		peer_completes(&peer, &publish);
	}
	assert_int_equal(messages_of(scene)->count, 0);
	peer_vanish(&peer);
}

/* A job of retained messages waits until the queue is short, and nothing but the load that ends makes it so. */
static void test_retained_messages_come_behind(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "keeper"), false);
	peer_publish_as(&from, &(struct mqtt_publish){.topic = slice_string("kept"),
						      .payload = slice_string("retained"),
						      .packet_id = 1,
						      .qos = 1,
						      .retain = true});
	keep_session(scene, "s", "t", 1);
	publish_numbers(scene, 0, 60, 1, 1);
	give_memory(scene);
	source_of(scene)->holds = true;
	struct far_peer peer = resume(scene, "s", 0);
	peer_subscribe(&peer, "kept", 1);
	peer_hears_nothing(&peer);
	source_of(scene)->holds = false;
	for (uint32_t i = 0; i < 60; i++) {
		char payload[8];
		snprintf(payload, sizeof(payload), "%u", i);
		peer_hears_publish(&peer, "t", payload, 1); /* which is not acknowledged */
	}
	peer_hears_publish(&peer, "kept", "retained", 1);
	peer_vanish(&peer);
	peer_publish_as(&from, &(struct mqtt_publish){.topic = slice_string("kept"), .retain = true});
	peer_vanish(&from);
}

/* ---- turns ---- */

static void answer_now(void *context)
{
	struct shard_scene *scene = context;
	scene->sources[0].holds = false;
}

/* An answer that comes just before the shard sleeps keeps it from that. */
static void test_answer_before_sleep(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	publish_numbers(scene, 0, 1, 1, 1);
	source_of(scene)->holds = true;
	source_of(scene)->lateness = 0;
	struct far_peer peer = resume(scene, "s", 0);
	shard_scene_settle(scene);
	shard_scene_turn_one(scene, 0);
	assert_int_not_equal(shard_scene_sleep_ms(), 0);
	shard_scene_before_sleep(answer_now, scene);
	shard_scene_turn_one(scene, 0);
	assert_int_equal(shard_scene_sleep_ms(), 0);
	shard_scene_before_sleep(NULL, NULL);
	assert_true(hear_number(&peer, 0, 1));
	peer_vanish(&peer);
}

/* Many answers take several turns, between which the shard does not sleep. */
static void test_answers_share_a_turn(void **state)
{
	struct shard_scene *scene = *state;
	enum { CLIENTS = 10, COUNT = 60, DIGITS = 4000 };
	struct far_peer peers[CLIENTS];
	char id[8];
	for (uint32_t i = 0; i < CLIENTS; i++) {
		snprintf(id, sizeof(id), "s%u", i);
		keep_session(scene, id, id, 1);
	}
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	static char payload[DIGITS + 1];
	memset(payload, 'x', DIGITS);
	for (uint32_t i = 0; i < CLIENTS * COUNT; i++) {
		snprintf(id, sizeof(id), "s%u", i % CLIENTS);
		peer_publish(&from, id, payload, 1, (uint16_t)(i + 1));
		shard_scene_settle(scene);
	}
	peer_vanish(&from);
	scene->settings.queue_memory_max = 64 << 20;
	source_of(scene)->holds = true;
	source_of(scene)->lateness = 0;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		snprintf(id, sizeof(id), "s%u", i);
		peers[i] = resume(scene, id, 0);
	}
	shard_scene_settle(scene);
	assert_int_equal(under_way(scene), CLIENTS);
	source_of(scene)->holds = false;
	shard_scene_turn_one(scene, 0);
	assert_in_range(under_way(scene), 1, CLIENTS - 1);
	shard_scene_turn_one(scene, 0);
	assert_int_equal(shard_scene_sleep_ms(), 0);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		assert_int_equal(peer_counts(&peers[i], MQTT_PUBLISH), COUNT);
		peer_vanish(&peers[i]);
	}
}

/* ---- connections that end while packets are being read ---- */

static void test_taken_over_while_it_reads(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	publish_numbers(scene, 0, 100, 1, 1);
	give_memory(scene);
	source_of(scene)->holds = true;
	struct far_peer older = resume(scene, "s", 0);
	assert_int_equal(under_way(scene), 1);
	struct far_peer newer = resume(scene, "s", 0);
	assert_int_equal(under_way(scene), 2); /* each for its own connection */
	peer_hears_nothing(&newer);
	source_of(scene)->holds = false;
	assert_int_equal(hear_numbers(&newer, 0, 1), 100);
	assert_int_equal(under_way(scene), 0);
	peer_vanish(&older);
	peer_vanish(&newer);
}

static void test_lost_while_it_reads(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	publish_numbers(scene, 0, 100, 1, 1);
	give_memory(scene);
	source_of(scene)->holds = true;
	struct far_peer peer = resume(scene, "s", 0);
	peer_vanish(&peer);
	assert_int_equal(under_way(scene), 1);
	source_of(scene)->holds = false;
	shard_scene_settle(scene);
	assert_int_equal(messages_of(scene)->absent_count, 100); /* nobody takes them now */
	peer = resume(scene, "s", 0);
	assert_int_equal(hear_numbers(&peer, 0, 1), 100);
	peer_vanish(&peer);
}

/* The session, and with it the last reference to its messages but the load's. */
static void test_ended_while_it_reads(void **state)
{
	struct shard_scene *scene = *state;
	for (int again = 0; again < 2; again++) {
		keep_session(scene, "s", "t", 1);
		scene->settings.queue_memory_max = 1;
		publish_numbers(scene, 0, 100, 1, 1);
		give_memory(scene);
		source_of(scene)->holds = true;
		struct far_peer peer = resume(scene, "s", 0);
		peer_disconnect(&peer, 0, 0);
		peer_vanish(&peer);
		assert_int_equal(messages_of(scene)->count, STORE_LOAD_MAX);
		if (again == 0) { /* another one in its place */
			peer = peer_sign_in(scene, PEER_CONNECT(.id = "s"), false);
			peer_subscribe(&peer, "t", 1);
		}
		source_of(scene)->holds = false;
		shard_scene_settle(scene);
		assert_int_equal(messages_of(scene)->count, 0);
		if (again == 0) {
			peer_hears_nothing(&peer);
			peer_vanish(&peer);
		}
	}
}

/* All of its queue is gone when the answer comes. */
static void test_queue_ends_while_it_reads(void **state)
{
	static const uint8_t EXPIRES[] = {0x02, 0, 0, 0, 15};
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	struct mqtt_publish publish = {.topic = slice_string("t"),
				       .payload = slice_string("x"),
				       .properties = slice_of(EXPIRES, sizeof(EXPIRES)),
				       .has_message_expiry = true,
				       .message_expiry_s = 15,
				       .packet_id = 1,
				       .qos = 1};
	peer_publish_as(&from, &publish);
	shard_scene_settle(scene);
	source_of(scene)->holds = true;
	struct far_peer peer = resume(scene, "s", 0);
	assert_int_equal(under_way(scene), 1);
	shard_scene_pass_ms(scene, 20000);
	source_of(scene)->holds = false;
	peer_hears_nothing(&peer);
	assert_int_equal(messages_of(scene)->count, 0);
	peer_publish(&from, "t", "y", 1, 2);
	peer_hears_publish(&peer, "t", "y", 1);
	peer_vanish(&peer);
	peer_vanish(&from);
}

/* ---- several clients ---- */

/* A message is there once, read for whoever needs it first, and each gets it in its place. */
static void test_clients_with_the_same_messages(void **state)
{
	struct shard_scene *scene = *state;
	enum { CLIENTS = 12, COUNT = 200 };
	struct far_peer peers[CLIENTS];
	char id[8];
	for (uint32_t i = 0; i < CLIENTS; i++) {
		snprintf(id, sizeof(id), "s%u", i);
		keep_session(scene, id, "t", 1);
	}
	publish_numbers(scene, 0, COUNT, 20, 1);
	assert_int_equal(messages_of(scene)->count, COUNT);
	assert_int_equal(messages_of(scene)->absent_count, COUNT);
	source_of(scene)->lateness = 5;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		snprintf(id, sizeof(id), "s%u", i);
		scene->settings.queue_memory_max = i % 2 == 0 ? 1 : 1 << 20;
		peers[i] = resume(scene, id, (uint16_t)(1 + i * 7));
	}
	for (uint32_t number = 0; number < COUNT; number++) {
		for (uint32_t i = 0; i < CLIENTS; i++)
			assert_true(hear_number(&peers[i], number, 20));
	}
	for (uint32_t i = 0; i < CLIENTS; i++)
		peer_vanish(&peers[i]);
}

/* Who is connected and takes a message at once does not keep it in memory for the others, nor do they lose it. */
static void test_one_takes_what_waits_for_another(void **state)
{
	struct shard_scene *scene = *state;
	for (int first = 0; first < 2; first++) { /* whether the one that is connected comes before or behind */
		if (first == 0)
			keep_session(scene, "offline", "t", 1);
		struct far_peer online = peer_sign_in(scene, PEER_CONNECT(.id = "online", .expiry_s = HOUR_S), false);
		peer_subscribe(&online, "t", 1);
		if (first == 1)
			keep_session(scene, "offline", "t", 1);
		publish_numbers(scene, 0, 30, 1, 1);
		assert_int_equal(messages_of(scene)->absent_count, 30);
		assert_int_equal(hear_numbers(&online, 0, 1), 30);
		assert_int_equal(messages_of(scene)->count, 30);
		assert_int_equal(messages_of(scene)->bytes, 0);
		struct far_peer peer = resume(scene, "offline", 3);
		assert_int_equal(hear_numbers(&peer, 0, 1), 30);
		peer_disconnect(&peer, 0, 0);
		peer_disconnect(&online, 0, 0);
		peer_vanish(&peer);
		peer_vanish(&online);
	}
}

/* What may go to another member is in memory, and goes there whole; the same message waits apart for others. */
static void test_shared_messages_stay(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "plain", "t", 1);
	struct far_peer member =
		peer_sign_in(scene, PEER_CONNECT(.id = "m1", .expiry_s = HOUR_S, .receive_max = 1), false);
	peer_subscribe(&member, "$share/g/t", 1);
	publish_numbers(scene, 0, 20, 30, 1);
	assert_int_equal(messages_of(scene)->absent_count, 20);
	assert_int_equal(messages_of(scene)->count, 40);
	assert_true(messages_of(scene)->bytes >= 20 * 30);
	assert_int_equal(messages_of(scene)->apart_bytes, 0);
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "m2", .expiry_s = HOUR_S), false);
	peer_subscribe(&other, "$share/g/t", 1);
	peer_vanish(&member);
	assert_int_equal(hear_numbers(&other, 0, 30), 20);
	struct far_peer peer = resume(scene, "plain", 4);
	assert_int_equal(hear_numbers(&peer, 0, 30), 20);
	peer_vanish(&peer);
	peer_vanish(&other);
}

/* ---- limits ---- */

static void test_memory_is_bounded(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_memory_max = 10000;
	char id[8];
	for (uint32_t i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "s%u", i);
		keep_session(scene, id, "t", 1);
	}
	publish_numbers(scene, 0, MESSAGES, 200, 1);
	assert_in_range(messages_of(scene)->bytes, 9000, 10000);
	assert_true(messages_of(scene)->absent_bytes >= MESSAGES * 200u - 10000u);
	assert_int_equal(counted(scene, COUNTER_stored_absent_messages), messages_of(scene)->absent_count);
	assert_int_equal(counted(scene, COUNTER_stored_absent_bytes), messages_of(scene)->absent_bytes);
	assert_int_equal(counted(scene, COUNTER_stored_bytes), messages_of(scene)->bytes);
	/* Who comes back and reads little is read ahead for, which leaves again. */
	struct far_peer peers[5];
	for (uint32_t i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "s%u", i);
		peers[i] = resume(scene, id, 3);
		assert_true(hear_number(&peers[i], 0, 200));
		shard_scene_settle(scene);
		assert_in_range(messages_of(scene)->apart_bytes, 0, 10000);
	}
	for (uint32_t i = 0; i < 5; i++)
		peer_vanish(&peers[i]);
}

/* A client that is sent everything at once and acknowledges nothing may be gone: little of it stays in memory. */
static void test_unacknowledged_messages_leave(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S), false);
	peer_subscribe(&peer, "t", 1);
	publish_numbers(scene, 0, 500, 20, 1);
	assert_int_equal(peer_counts(&peer, MQTT_PUBLISH), 500);
	assert_int_equal(messages_of(scene)->count, 500);
	assert_int_equal(messages_of(scene)->absent_count, 500 - 16);
	peer_vanish(&peer);
	peer = resume(scene, "s", 0);
	assert_int_equal(hear_numbers(&peer, 0, 20), 500);
	assert_int_equal(counted(scene, COUNTER_messages_repeated), 500);
	publish_numbers(scene, 0, 10, 2000, 1);
	assert_int_equal(messages_of(scene)->count, 10);
	assert_int_equal(messages_of(scene)->absent_count, 10 - 2);
	assert_int_equal(hear_numbers(&peer, 0, 2000), 10);
	peer_vanish(&peer);
}

/* 0: none leaves memory, also of those that had left. */
static void test_without_a_limit(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	publish_numbers(scene, 0, 10, 1, 1);
	assert_int_equal(messages_of(scene)->absent_count, 10);
	scene->settings.queue_memory_max = 0;
	publish_numbers(scene, 10, 10, 1, 1);
	assert_int_equal(messages_of(scene)->absent_count, 10);
	struct far_peer peer = resume(scene, "s", 1);
	assert_int_equal(hear_numbers(&peer, 0, 1), 20);
	peer_vanish(&peer);
}

static void test_unreadable_messages_are_counted(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	publish_numbers(scene, 0, 40, 1, 1);
	source_of(scene)->fails_one = 1;
	struct far_peer peer = resume(scene, "s", 3);
	peer_hears_nothing(&peer);
	assert_int_equal(counted(scene, COUNTER_messages_lost_unreadable), 40);
	assert_int_equal(messages_of(scene)->count, 0);
	peer_vanish(&peer);
	/* Some of them: what is left comes in order. */
	publish_numbers(scene, 0, 200, 1, 1);
	source_of(scene)->fails_one = 4;
	source_of(scene)->failed = 0;
	scene->settings.queue_memory_max = 1 << 20;
	peer = resume(scene, "s", 3);
	struct heard heard;
	uint32_t count = 0;
	for (int32_t last = -1; peer_hears(&peer, &heard); count++) {
		int32_t number = 0;
		for (size_t i = 0; i < heard.publish.payload.size; i++)
			number = number * 10 + heard.publish.payload.data[i] - '0';
		assert_true(number > last);
		last = number;
		peer_ack(&peer, MQTT_PUBACK, heard.publish.packet_id);
	}
	uint64_t failed = source_of(scene)->failed;
	assert_in_range(failed, 20, 90);
	assert_int_equal(count, 200 - failed);
	assert_int_equal(counted(scene, COUNTER_messages_lost_unreadable), 40 + failed);
	peer_vanish(&peer);
}

/* Whatever the store's reader lacks, memory or descriptors: what is on the device is not lost for that. */
static void test_what_cannot_be_read_now_is_read_later(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	publish_numbers(scene, 0, 40, 1, 1);
	source_of(scene)->fails_one = 1;
	source_of(scene)->fails_for_now = true;
	struct far_peer peer = resume(scene, "s", 3);
	peer_hears_nothing(&peer);
	shard_scene_pass_ms(scene, 1000);
	peer_hears_nothing(&peer);
	assert_true(source_of(scene)->loads > 1);
	source_of(scene)->fails_one = 3;
	uint32_t heard = 0;
	for (unsigned tries = 0; heard < 40 && tries < 1000; tries++) {
		heard += hear_numbers(&peer, heard, 1);
		shard_scene_pass_ms(scene, 200);
	}
	assert_int_equal(heard, 40);
	assert_int_equal(counted(scene, COUNTER_messages_lost_unreadable), 0);
	peer_vanish(&peer);
}

/* ---- memory is short ---- */

#define FEW 20u

/* Notes which of the numbers come. False: the client was not let in, or its connection has ended. */
static bool hear_some(struct far_peer *peer, bool *seen)
{
	struct heard heard;
	while (peer_hears(peer, &heard)) {
		if (heard.header.type == MQTT_CONNACK && heard.connack.reason != 0)
			return false;
		if (heard.header.type == MQTT_DISCONNECT)
			return false;
		if (heard.header.type != MQTT_PUBLISH)
			continue;
		char text[8] = "";
		assert_true(heard.publish.payload.size < sizeof(text));
		memcpy(text, heard.publish.payload.data, heard.publish.payload.size);
		unsigned long number = strtoul(text, NULL, 10);
		assert_true(number < FEW);
		seen[number] = true;
		peer_ack(peer, MQTT_PUBACK, heard.publish.packet_id);
	}
	return counted(peer->scene, COUNTER_sessions_offline) == 0;
}

/* A session is resumed while one request of its shard for memory, or each from one on, is refused. When there is memory
 * again the client has all of its messages, on the same connection if that is still there. */
static void resume_without_memory(void *context)
{
	struct shard_scene *scene = context;
	bool seen[FEW] = {false};
	scene->settings.queue_memory_max = 1;
	keep_session(scene, "s", "t", 1);
	publish_numbers(scene, 0, FEW, 1, 1);
	assert_int_equal(messages_of(scene)->absent_count, FEW);
	give_memory(scene);
	uint64_t dropped = counted(scene, COUNTER_messages_dropped_memory);
	struct far_peer peer = peer_connect(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S, .receive_max = 5));
	failing_memory_start();
	shard_scene_settle(scene);
	failing_memory_stop();
	shard_scene_pass_ms(scene, 100); /* what was in vain is tried again after a while */
	if (!hear_some(&peer, seen)) {
		peer_vanish(&peer);
		peer = peer_connect(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S));
		assert_true(hear_some(&peer, seen));
	}
	uint64_t missing = counted(scene, COUNTER_messages_dropped_memory) - dropped;
	for (uint32_t i = 0; i < FEW; i++)
		missing -= seen[i] ? 0 : 1;
	assert_int_equal(missing, 0);
	assert_int_equal(messages_of(scene)->count, 0);
	peer_disconnect(&peer, 0, 0);
	peer_vanish(&peer);
	shard_scene_check_empty(scene);
}

static void test_memory_is_refused(void **state)
{
	assert_in_range(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, resume_without_memory, *state), 10, 1000);
	assert_in_range(failing_memory_sweep(FAILING_ALL, FAILING_FROM_THERE, resume_without_memory, *state), 5, 1000);
}

/* ---- what it costs ---- */

static size_t memory_of(const struct shard_scene *scene)
{
	const struct shard *shard = &scene->shards[0];
	return shard->mem.slab.used_bytes +
	       (size_t)shard->mem.flows.entries.used * shard->mem.flows.entries.object_bytes;
}

/* A session with 100 messages of 200 bytes: entries and heads, and 8 bytes each for the places that the store keeps. */
static void test_cost_of_an_offline_session(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	size_t before = memory_of(scene);
	publish_numbers(scene, 0, 100, 193, 1); /* and topic, identifier and header: 200 bytes */
	assert_in_range(messages_of(scene)->absent_bytes, 100 * 198, 100 * 202);
	size_t absent = memory_of(scene) - before;
	print_message("100 messages of 200 bytes cost %zu bytes, and 800 in the store, with their packets absent\n",
		      absent);
	assert_int_equal(absent, 100 * (16 + 32));
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_long_queue_comes_in_order),
		IN_SCENE(test_reads_ahead),
		IN_SCENE(test_large_packets),
		IN_SCENE(test_new_messages_wait_behind),
		IN_SCENE(test_expired_messages_are_not_read),
		IN_SCENE(test_sent_again_from_the_store),
		IN_SCENE(test_retained_messages_come_behind),
		IN_SCENE(test_answer_before_sleep),
		IN_SCENE(test_answers_share_a_turn),
		IN_SCENE(test_taken_over_while_it_reads),
		IN_SCENE(test_lost_while_it_reads),
		IN_SCENE(test_ended_while_it_reads),
		IN_SCENE(test_queue_ends_while_it_reads),
		IN_SCENE(test_clients_with_the_same_messages),
		IN_SCENE(test_one_takes_what_waits_for_another),
		IN_SCENE(test_shared_messages_stay),
		IN_SCENE(test_memory_is_bounded),
		IN_SCENE(test_unacknowledged_messages_leave),
		IN_SCENE(test_without_a_limit),
		IN_SCENE(test_unreadable_messages_are_counted),
		IN_SCENE(test_what_cannot_be_read_now_is_read_later),
		IN_SCENE(test_memory_is_refused),
		IN_SCENE(test_cost_of_an_offline_session),
	};
	return cmocka_run_group_tests_name("packets that are in the store alone", tests, NULL, NULL);
}
