/* Sessions that outlive their connections: found again, kept for as long as was agreed, with what waits for them within
 * limits; taken over in the middle of things; and what they cost. */
#include "base/log.h"
#include "mqtt/encode.h"
#include "mqtt/field/reason.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#define HOUR_S 3600u

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
	return 0;
}

/* Whatever a test does, nothing of it is left when the last session's time is over. */
static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	shard_scene_pass_ms(scene, 2000u * HOUR_S);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

static void pass_s(struct shard_scene *scene, uint32_t seconds)
{
	shard_scene_pass_ms(scene, seconds * 1000u);
	shard_scene_settle(scene);
}

static uint64_t counted(const struct shard_scene *scene, enum counter counter)
{
	return shard_scene_counter(scene, 0, counter);
}

/* A session of an hour, subscribed, without a connection. */
static void keep_session(struct shard_scene *scene, const char *id, const char *filter, uint8_t qos)
{
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = id, .expiry_s = HOUR_S), false);
	peer_subscribe(&peer, filter, qos);
	peer_vanish(&peer);
}

/* ---- found again ---- */

static void test_resumed_as_it_was(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t/+", 1);
	assert_int_equal(counted(scene, COUNTER_sessions_offline), 1);
	assert_int_equal(atomic_load(&scene->sessions_offline), 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = 4, .clean = true), false);
	peer_publish(&from, "t/1", "first", 1, 7);
	peer_hears_ack(&from, MQTT_PUBACK, 7, 0);
	peer_publish(&from, "t/1", "at QoS 0", 0, 0); /* is not kept */
	peer_publish(&from, "t/2", "second", 2, 8);
	peer_hears_ack(&from, MQTT_PUBREC, 8, 0);

	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S), true);
	assert_int_equal(counted(scene, COUNTER_sessions_offline), 0);
	assert_int_equal(atomic_load(&scene->sessions_offline), 0);
	struct mqtt_publish publish = peer_hears_publish(&peer, "t/1", "first", 1);
	assert_int_equal(publish.packet_id, 1);
	assert_false(publish.dup || publish.retain);
	publish = peer_hears_publish(&peer, "t/2", "second", 1);
	assert_int_equal(publish.packet_id, 2);
	peer_hears_nothing(&peer);
	peer_ack(&peer, MQTT_PUBACK, 1);
	peer_ack(&peer, MQTT_PUBACK, 2);
	peer_publish(&from, "t/3", "live", 0, 0);
	peer_hears_publish(&peer, "t/3", "live", 0);
	assert_int_equal(scene->shards[0].mem.messages.count, 0);
	peer_vanish(&peer);
	peer_vanish(&from);
}

/* Before version 5: for ever unless it is clean, and 3.1 has no flag that tells. */
static void test_versions_before_5(void **state)
{
	struct shard_scene *scene = *state;
	for (uint8_t version = 3; version <= 4; version++) {
		struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.version = version), false);
		peer_subscribe(&peer, "t", 1);
		peer_leave(&peer);
		pass_s(scene, 30 * 24 * HOUR_S);
		peer = peer_sign_in(scene, PEER_CONNECT(.version = version), version != 3);
		peer_publish(&peer, "t", "x", 0, 0);
		peer_hears_publish(&peer, "t", "x", 0);
		peer_leave(&peer);
		peer = peer_sign_in(scene, PEER_CONNECT(.version = version, .clean = true), false);
		peer_leave(&peer);
		peer = peer_sign_in(scene, PEER_CONNECT(.version = version, .clean = true), false);
		peer_publish(&peer, "t", "x", 0, 0);
		peer_hears_nothing(&peer);
		peer_leave(&peer);
	}
}

static void test_clean_start_ends_it(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "t", "lost", 1, 1);
	peer_hears_ack(&from, MQTT_PUBACK, 1, 0);
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s", .clean = true, .expiry_s = HOUR_S), false);
	peer_hears_nothing(&peer);
	assert_int_equal(scene->shards[0].mem.messages.count, 0);
	assert_int_equal(counted(scene, COUNTER_messages_dropped_session), 1);
	peer_publish(&from, "t", "unheard", 1, 2);
	peer_hears_ack(&from, MQTT_PUBACK, 2, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	peer_hears_nothing(&peer);
	/* Its next connection finds the new one. */
	peer_vanish(&peer);
	peer = peer_sign_in(scene, PEER_CONNECT(.id = "s"), true);
	peer_vanish(&peer);
	peer_vanish(&from);
}

/* ---- for how long ---- */

static void test_expires_at_its_time(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.expiry_s = 300), false);
	peer_subscribe(&peer, "t", 1);
	pass_s(scene, 1000); /* time with a connection does not count */
	peer_vanish(&peer);
	pass_s(scene, 299);
	peer = peer_sign_in(scene, PEER_CONNECT(.expiry_s = 300), true);
	peer_vanish(&peer);
	pass_s(scene, 299);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	pass_s(scene, 3);
	assert_int_equal(shard_scene_clients(scene, 0), 0);
	assert_int_equal(counted(scene, COUNTER_sessions_expired), 1);
	assert_int_equal(atomic_load(&scene->sessions_offline), 0);
	peer = peer_sign_in(scene, PEER_CONNECT(.expiry_s = 0), false);
	peer_vanish(&peer);
}

/* Once a client has asked for less its session ends with its connection. */
static void test_expiry_changes_with_a_connection(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s"), true);
	peer_publish(&peer, "t", "x", 1, 1);
	peer_hears_publish(&peer, "t", "x", 1);
	peer_hears_ack(&peer, MQTT_PUBACK, 1, 0);
	peer_vanish(&peer);
	shard_scene_check_empty(scene);
}

static void test_expiry_changes_with_disconnect(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.expiry_s = 10), false);
	peer_disconnect(&peer, 0, 100);
	peer_hears_end(&peer);
	pass_s(scene, 99);
	peer = peer_sign_in(scene, PEER_CONNECT(.expiry_s = 10), true);
	peer_disconnect(&peer, 0, 0);
	peer_hears_end(&peer);
	shard_scene_check_empty(scene);
	/* From none to some it may not [3.14.2.2.2]. */
	peer = peer_sign_in(scene, PEER_CONNECT(.expiry_s = 0), false);
	peer_disconnect(&peer, 0, 10);
	peer_hears_disconnect(&peer, MQTT_REASON_PROTOCOL_ERROR);
	shard_scene_check_empty(scene);
}

static void test_longest_expiry_is_granted_and_told(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.session_expiry_max_s = 60;
	struct far_peer peer = peer_connect(scene, PEER_CONNECT(.expiry_s = UINT32_MAX));
	struct heard heard;
	assert_true(peer_hears(&peer, &heard));
	assert_true(heard.connack.has_session_expiry);
	assert_int_equal(heard.connack.session_expiry_s, 60);
	peer_disconnect(&peer, 0, UINT32_MAX); /* nor is it with DISCONNECT */
	peer_hears_end(&peer);
	pass_s(scene, 59);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	pass_s(scene, 3);
	assert_int_equal(shard_scene_clients(scene, 0), 0);
}

static void test_messages_expire_while_they_wait(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	static const uint8_t EXPIRY_10[] = {0x02, 0, 0, 0, 10}, EXPIRY_100[] = {0x02, 0, 0, 0, 100};
	struct mqtt_publish publish = {
		.topic = slice_string("t"),
		.payload = slice_string("short"),
		.properties = slice_of(EXPIRY_10, sizeof(EXPIRY_10)),
		.packet_id = 1,
		.qos = 1,
	};
	peer_publish_as(&from, &publish);
	publish.payload = slice_string("long");
	publish.properties = slice_of(EXPIRY_100, sizeof(EXPIRY_100));
	peer_publish_as(&from, &publish);
	shard_scene_settle(scene);
	pass_s(scene, 40);
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s"), true);
	struct mqtt_publish got = peer_hears_publish(&peer, "t", "long", 1);
	assert_true(got.has_message_expiry);
	assert_int_equal(got.message_expiry_s, 60);
	peer_hears_nothing(&peer);
	assert_int_equal(counted(scene, COUNTER_messages_expired), 1);
	peer_vanish(&peer);
	peer_vanish(&from);
}

/* ---- how much waits ---- */

static void publish_numbers(struct shard_scene *scene, const struct far_peer *from, uint32_t first, uint32_t count,
			    size_t padding)
{
	for (uint32_t i = first; i < first + count; i++) {
		char payload[2048];
		snprintf(payload, sizeof(payload), "%0*u", (int)padding + 1, i);
		peer_publish(from, "t", payload, 1, (uint16_t)(1 + i));
		shard_scene_settle(scene);
	}
}

/* Takes and acknowledges messages that were published so; returns how many. */
static uint32_t hear_numbers(struct far_peer *peer, uint32_t first, size_t padding)
{
	struct heard heard;
	uint32_t count = 0;
	while (peer_hears(peer, &heard)) {
		char payload[2048];
		snprintf(payload, sizeof(payload), "%0*u", (int)padding + 1, first + count);
		assert_int_equal(heard.header.type, MQTT_PUBLISH);
		if (!slice_equal(heard.publish.payload, slice_string(payload)))
			fail_msg("%.*s instead of %s", (int)heard.publish.payload.size,
				 (const char *)heard.publish.payload.data, payload);
		peer_ack(peer, MQTT_PUBACK, heard.publish.packet_id);
		count++;
	}
	return count;
}

static void test_full_queue_forgets_the_oldest(void **state)
{
	struct shard_scene *scene = *state;
	keep_session(scene, "s", "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	publish_numbers(scene, &from, 0, 50, 0);
	assert_int_equal(counted(scene, COUNTER_messages_dropped_queue_full), 30);
	assert_int_equal(scene->shards[0].mem.messages.count, 20);
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s"), true);
	assert_int_equal(hear_numbers(&peer, 30, 0), 20);
	peer_vanish(&peer);
	peer_vanish(&from);
}

static void test_full_queue_refuses_the_newest(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_drops_newest = true;
	keep_session(scene, "s", "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	publish_numbers(scene, &from, 0, 50, 0);
	assert_int_equal(counted(scene, COUNTER_messages_dropped_queue_full), 30);
	for (uint16_t i = 0; i < 50; i++)
		peer_hears_ack(&from, MQTT_PUBACK, (uint16_t)(1 + i), i < 20 ? 0 : MQTT_REASON_QUOTA_EXCEEDED);
	/* Where somebody else takes it there is nothing to try again. */
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	peer_subscribe(&other, "t", 1);
	peer_publish(&from, "t", "x", 1, 99);
	peer_hears_ack(&from, MQTT_PUBACK, 99, 0);
	assert_int_equal(counted(scene, COUNTER_messages_dropped_queue_full), 31);
	peer_vanish(&other);
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s"), true);
	assert_int_equal(hear_numbers(&peer, 0, 0), 20);
	peer_vanish(&peer);
	peer_vanish(&from);
}

/* By bytes. What would not fit into an empty queue takes nothing away from it, and its publisher is told. */
static void test_queue_is_bounded_by_bytes(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_bytes_max = 4000;
	keep_session(scene, "s", "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	publish_numbers(scene, &from, 0, 10, 1000);
	assert_int_equal(scene->shards[0].mem.messages.count, 3);
	const struct messages *messages = &scene->shards[0].mem.messages;
	assert_in_range(messages->bytes + messages->absent_bytes, 3000, 4000);
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S), true);
	assert_int_equal(hear_numbers(&peer, 7, 1000), 3);
	peer_vanish(&peer);
	publish_numbers(scene, &from, 0, 2, 1000);
	peer_counts(&from, MQTT_PUBACK);
	uint64_t dropped = counted(scene, COUNTER_messages_dropped_queue_full);
	static uint8_t large[20000];
	struct mqtt_publish publish = {
		.topic = slice_string("t"), .payload = slice_of(large, sizeof(large)), .packet_id = 99};
	for (publish.qos = 1; publish.qos <= 2; publish.qos++) {
		peer_publish_as(&from, &publish);
		peer_hears_ack(&from, publish.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, 99, MQTT_REASON_QUOTA_EXCEEDED);
	}
	assert_int_equal(counted(scene, COUNTER_messages_dropped_queue_full), dropped + 2);
	assert_int_equal(scene->shards[0].mem.messages.count, 2);
	peer = peer_sign_in(scene, PEER_CONNECT(.id = "s"), true);
	assert_int_equal(hear_numbers(&peer, 0, 1000), 2);
	peer_vanish(&peer);
	peer_vanish(&from);
}

/* What was sent before the connection was lost stays, and takes no room from the others. */
static void test_full_queue_keeps_what_was_sent(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S), false);
	peer_subscribe(&peer, "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	publish_numbers(scene, &from, 0, 10, 0); /* a window full */
	assert_int_equal(peer_counts(&peer, MQTT_PUBLISH), 10);
	peer_vanish(&peer);
	publish_numbers(scene, &from, 10, 30, 0);
	assert_int_equal(counted(scene, COUNTER_messages_dropped_queue_full), 10);
	peer = peer_sign_in(scene, PEER_CONNECT(.id = "s"), true);
	for (uint16_t i = 0; i < 30; i++) {
		char payload[16];
		snprintf(payload, sizeof(payload), "%u", i < 10 ? i : i + 10);
		struct mqtt_publish publish = peer_hears_publish(&peer, "t", payload, 1);
		assert_int_equal(publish.packet_id, i + 1);
		assert_int_equal(publish.dup, i < 10);
		peer_ack(&peer, MQTT_PUBACK, publish.packet_id);
	}
	peer_hears_nothing(&peer);
	peer_vanish(&peer);
	peer_vanish(&from);
}

/* ---- how many ---- */

static void test_no_more_sessions_than_may_be(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.sessions_offline_max = 2;
	for (int i = 0; i < 4; i++) {
		char id[16];
		snprintf(id, sizeof(id), "s%d", i);
		keep_session(scene, id, "t", 1);
	}
	assert_int_equal(shard_scene_clients(scene, 0), 2);
	assert_int_equal(counted(scene, COUNTER_sessions_refused), 2);
	assert_int_equal(atomic_load(&scene->sessions_offline), 2);
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s3", .expiry_s = HOUR_S), false);
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "s1"), true);
	peer_vanish(&peer); /* there is room for it again */
	assert_int_equal(atomic_load(&scene->sessions_offline), 2);
	peer_vanish(&other);
}

/* A session that goes from one connection to the next is never without one: no limit touches it. */
static void test_take_over_while_no_more_sessions_may_be(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.sessions_offline_max = 1;
	keep_session(scene, "offline", "t", 1);
	struct far_peer older = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S), false);
	peer_subscribe(&older, "t", 1);
	struct far_peer newer = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S), true);
	peer_hears_disconnect(&older, MQTT_REASON_SESSION_TAKEN_OVER);
	peer_publish(&newer, "t", "x", 0, 0);
	peer_hears_publish(&newer, "t", "x", 0);
	assert_int_equal(counted(scene, COUNTER_sessions_refused), 0);
	assert_int_equal(atomic_load(&scene->sessions_offline), 1);
	peer_vanish(&newer); /* now it is refused */
	assert_int_equal(counted(scene, COUNTER_sessions_refused), 1);
	assert_int_equal(atomic_load(&scene->sessions_offline), 1);
}

/* ---- taken over ---- */

static void test_take_over_with_messages_under_way(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer older = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S), false);
	peer_subscribe(&older, "t", 2);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "t", "one", 1, 1);
	peer_publish(&from, "t", "two", 2, 2);
	peer_publish(&from, "t", "three", 2, 3);
	peer_hears_publish(&older, "t", "one", 1);
	peer_hears_publish(&older, "t", "two", 2);
	struct mqtt_publish three = peer_hears_publish(&older, "t", "three", 2);
	peer_ack(&older, MQTT_PUBREC, three.packet_id);
	peer_hears_ack(&older, MQTT_PUBREL, three.packet_id, 0);
	/* In one turn: a message, and the connection that takes over. */
	peer_publish(&from, "t", "four", 1, 4);
	struct far_peer newer = peer_connect(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S));
	struct heard heard;
	assert_true(peer_hears(&newer, &heard));
	assert_true(heard.connack.session_present);
	assert_true(peer_hears_publish(&newer, "t", "one", 1).dup);
	assert_true(peer_hears_publish(&newer, "t", "two", 2).dup);
	peer_hears_ack(&newer, MQTT_PUBREL, three.packet_id, 0);
	peer_hears_publish(&newer, "t", "four", 1);
	peer_hears_nothing(&newer);
	assert_true(peer_hears(&older, &heard)); /* it may have been sent this one too */
	if (heard.header.type == MQTT_PUBLISH)
		assert_true(peer_hears(&older, &heard));
	assert_int_equal(heard.disconnect.reason, MQTT_REASON_SESSION_TAKEN_OVER);
	peer_hears_end(&older);
	assert_int_equal(counted(scene, COUNTER_connections_open), 2);
	peer_vanish(&newer);
	peer_vanish(&from);
}

/* The write to the older connection fails in the very turn in which the next one takes its place. */
static void test_take_over_of_a_broken_connection(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_bytes_max = 1024;
	for (int clean = 0; clean < 2; clean++) {
		struct peer_connect connect = {.id = "s", .clean = clean != 0, .expiry_s = HOUR_S};
		struct far_peer older = peer_sign_in(scene, &connect, false);
		peer_subscribe(&older, "t", 0);
		struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
		static uint8_t payload[1000];
		struct mqtt_publish publish = {.topic = slice_string("t"),
					       .payload = slice_of(payload, sizeof(payload))};
		/* More than its queue holds, so that it is written to before the turn ends. */
		shutdown(older.fd, SHUT_RD);
		for (int i = 0; i < 4; i++)
			peer_publish_as(&from, &publish);
		struct far_peer newer = peer_sign_in(scene, &connect, clean == 0);
		peer_say(&newer, "\xc0", 2);
		struct heard heard;
		assert_true(peer_hears(&newer, &heard));
		assert_int_equal(heard.header.type, MQTT_PINGRESP);
		peer_vanish(&older);
		peer_vanish(&from);
		peer_hears_nothing(&newer);
		peer_disconnect(&newer, 0, 0);
		peer_hears_end(&newer);
		shard_scene_check_empty(scene);
	}
}

/* Its queue fills scratch, so that its own socket is written to, and found broken, before what it has sent behind its
 * CONNECT is looked at. */
static void test_breaks_before_what_follows_its_connect(void **state)
{
	struct shard_scene *scene = *state;
	enum { MESSAGES = 2200, FILTERS = 1200 };
	static char payload[1000];
	static uint8_t rest[32768];
	struct mqtt_subscription asked[FILTERS];
	scene->settings.queue_messages_max = scene->settings.inflight_max = MESSAGES;
	scene->settings.queue_bytes_max = 4 << 20;
	scene->settings.queue_memory_max = 0; /* all of it is sent at once */
	memset(payload, 'x', sizeof(payload) - 1);
	for (int i = 0; i < FILTERS; i++)
		asked[i] = (struct mqtt_subscription){.filter = slice_string("a/+/+/+/+/+")};
	keep_session(scene, "s", "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	for (uint16_t id = 1; id <= MESSAGES; id++) {
		peer_publish(&from, "t", payload, 1, id);
		if (id % 50 == 0)
			shard_scene_settle(scene);
	}
	assert_int_equal(peer_counts(&from, MQTT_PUBACK), MESSAGES);
	size_t size = mqtt_subscribe_encode(1, 0, asked, FILTERS, 5, rest, sizeof(rest));
	assert_int_not_equal(size, 0);
	struct far_peer peer =
		peer_connect(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S, .rest = slice_of(rest, size)));
	peer_vanish(&peer);
	assert_int_equal(counted(scene, COUNTER_sessions_offline), 1);
	assert_int_equal(counted(scene, COUNTER_queue_messages), MESSAGES);
	assert_int_equal(counted(scene, COUNTER_filter_pauses), 0);
	peer_vanish(&from);
}

static void test_taken_over_again_and_again(void **state)
{
	struct shard_scene *scene = *state;
	enum { CONNECTIONS = 40 };
	struct far_peer peers[CONNECTIONS];
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	for (int i = 0; i < CONNECTIONS; i++) {
		peers[i] = peer_connect(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S));
		if (i == 0) {
			shard_scene_settle(scene);
			peer_ask(&peers[0], &(struct mqtt_subscription){.filter = slice_string("t"), .qos = 1}, 0);
			shard_scene_settle(scene);
			peer_publish(&from, "t", "x", 1, 1);
			shard_scene_settle(scene);
		} else if (i % 7 == 0) {
			shard_scene_turn_one(scene, 0);
		}
	}
	assert_int_equal(peer_counts(&peers[CONNECTIONS - 1], MQTT_PUBLISH), 1);
	assert_int_equal(counted(scene, COUNTER_connections_open), 2);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_TAKEN_OVER), CONNECTIONS - 1);
	for (int i = 0; i < CONNECTIONS; i++)
		peer_vanish(&peers[i]);
	peer_vanish(&from);
}

/* The last of many connections of one turn begins anew, and what it leaves takes more than that turn to free: each of
 * them gives its place back once. */
static void test_taken_over_again_and_again_then_clean(void **state)
{
	struct shard_scene *scene = *state;
	enum { CONNECTIONS = 10, FILTERS = 1500 };
	struct far_peer peers[CONNECTIONS];
	scene->shards[0].sessions.subscriptions.client_max = FILTERS;
	struct far_peer first = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = HOUR_S), false);
	for (int i = 0; i < FILTERS; i++) {
		char filter[16];
		snprintf(filter, sizeof(filter), "f/%d", i);
		peer_subscribe(&first, filter, 0);
	}
	for (int i = 0; i < CONNECTIONS; i++) {
		bool last = i == CONNECTIONS - 1;
		peers[i] = peer_connect(scene, PEER_CONNECT(.id = "s", .clean = last, .expiry_s = HOUR_S));
	}
	shard_scene_turn_one(scene, 0);
	assert_int_not_equal(scene->shards[0].sessions.cleanups, NULL);
	shard_scene_settle(scene);
	assert_int_equal(atomic_load(&scene->quota.taken), 1);
	for (int i = 0; i < CONNECTIONS - 1; i++)
		peer_drop(&peers[i]);
	peer_drop(&first);
	struct heard heard;
	assert_true(peer_hears(&peers[CONNECTIONS - 1], &heard));
	assert_false(heard.connack.session_present);
	peer_disconnect(&peers[CONNECTIONS - 1], 0, 0);
	peer_hears_end(&peers[CONNECTIONS - 1]);
}

/* ---- what it costs ---- */

static size_t memory_of(const struct shard_scene *scene)
{
	const struct shard *shard = &scene->shards[0];
	return shard->mem.slab.used_bytes +
	       (size_t)shard->mem.flows.entries.used * shard->mem.flows.entries.object_bytes;
}

/* The contract: a small message that waits costs at most 48 bytes more than its packet has. */
static void test_cost_of_a_queued_message(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_messages_max = 1000;
	keep_session(scene, "s", "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = 4, .clean = true), false);
	for (size_t padding = 0; padding <= 200; padding += 7) {
		char payload[256] = "";
		memset(payload, 'p', padding);
		struct mqtt_publish publish = {.topic = slice_string("t"), .payload = slice_string(payload), .qos = 1};
		size_t packet_bytes = mqtt_publish_size(&publish, 4);
		size_t before = memory_of(scene);
		for (uint16_t i = 1; i <= 10; i++)
			peer_publish(&from, "t", payload, 1, i);
		shard_scene_settle(scene);
		if (SCENE_KIND.evicts) {
			/* The packets are in the store alone: what is left is the entries and the messages' heads. */
			assert_true(scene->shards[0].mem.messages.absent_bytes >= 10 * packet_bytes);
			assert_int_equal(memory_of(scene) - before, 10 * (16 + 32));
		} else {
			assert_in_range(memory_of(scene) - before, 10 * packet_bytes, 10 * (packet_bytes + 48));
		}
	}
	peer_vanish(&from);
}

/* One that waits for many sessions of a shard is there once, and an entry for each. */
static void test_message_for_many_sessions_is_kept_once(void **state)
{
	struct shard_scene *scene = *state;
	enum { SESSIONS = 100, PAYLOAD_BYTES = 10000 };
	scene->settings.queue_memory_max = 0;
	for (int i = 0; i < SESSIONS; i++) {
		char id[16];
		snprintf(id, sizeof(id), "s%d", i);
		keep_session(scene, id, "t", 2);
	}
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	static uint8_t payload[PAYLOAD_BYTES];
	struct mqtt_publish publish = {
		.topic = slice_string("t"), .payload = slice_of(payload, sizeof(payload)), .packet_id = 1, .qos = 1};
	size_t before = memory_of(scene);
	peer_publish_as(&from, &publish);
	shard_scene_settle(scene);
	assert_int_equal(counted(scene, COUNTER_queue_messages), SESSIONS);
	assert_int_equal(counted(scene, COUNTER_stored_messages), 1);
	size_t entries = SESSIONS * sizeof(struct flow_entry);
	assert_in_range(memory_of(scene) - before, PAYLOAD_BYTES + entries, PAYLOAD_BYTES * 5 / 4 + entries);
	peer_vanish(&from);
}

/* What only some sessions have goes when it says nothing any more. */
static void test_idle_client_has_no_extension(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s"), false);
	peer_subscribe(&peer, "t", 2);
	size_t idle = memory_of(scene);
	for (uint8_t qos = 1; qos <= 2; qos++) {
		peer_publish(&peer, "t", "x", qos, 5);
		struct mqtt_publish publish = peer_hears_publish(&peer, "t", "x", qos);
		peer_hears_ack(&peer, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, 5, 0);
		assert_true(memory_of(scene) > idle);
		peer_completes(&peer, &publish);
		if (qos == 2) {
			peer_ack(&peer, MQTT_PUBREL, 5);
			peer_hears_ack(&peer, MQTT_PUBCOMP, 5, 0);
		}
		assert_int_equal(memory_of(scene), idle);
	}
	peer_vanish(&peer);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_resumed_as_it_was),
		IN_SCENE(test_versions_before_5),
		IN_SCENE(test_clean_start_ends_it),
		IN_SCENE(test_expires_at_its_time),
		IN_SCENE(test_expiry_changes_with_a_connection),
		IN_SCENE(test_expiry_changes_with_disconnect),
		IN_SCENE(test_longest_expiry_is_granted_and_told),
		IN_SCENE(test_messages_expire_while_they_wait),
		IN_SCENE(test_full_queue_forgets_the_oldest),
		IN_SCENE(test_full_queue_refuses_the_newest),
		IN_SCENE(test_queue_is_bounded_by_bytes),
		IN_SCENE(test_full_queue_keeps_what_was_sent),
		IN_SCENE(test_no_more_sessions_than_may_be),
		IN_SCENE(test_take_over_while_no_more_sessions_may_be),
		IN_SCENE(test_take_over_with_messages_under_way),
		IN_SCENE(test_take_over_of_a_broken_connection),
		IN_SCENE(test_breaks_before_what_follows_its_connect),
		IN_SCENE(test_taken_over_again_and_again),
		IN_SCENE(test_taken_over_again_and_again_then_clean),
		IN_SCENE(test_cost_of_a_queued_message),
		IN_SCENE(test_message_for_many_sessions_is_kept_once),
		IN_SCENE(test_idle_client_has_no_extension),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
