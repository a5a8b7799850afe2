/* Shared subscriptions between clients: each message to one of them, and what one leaves behind to another. */
#include "base/log.h"
#include "mqtt/encode.h"
#include "peer.h"
#include "route/routing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR_S 3600u
#define MEMBERS 4

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

static uint64_t counted(const struct shard_scene *scene, enum counter counter)
{
	uint64_t sum = 0;
	for (uint16_t shard = 0; shard < scene->shard_count; shard++)
		sum += shard_scene_counter(scene, shard, counter);
	return sum;
}

static struct far_peer publisher(struct shard_scene *scene)
{
	return peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = 4, .clean = true), false);
}

static struct far_peer member(struct shard_scene *scene, const struct peer_connect *connect, const char *filter,
			      uint8_t qos)
{
	struct far_peer peer = peer_sign_in(scene, connect, false);
	peer_subscribe(&peer, filter, qos);
	return peer;
}

static void publish_numbers(const struct far_peer *from, uint8_t qos, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		char payload[16];
		snprintf(payload, sizeof(payload), "%u", i);
		peer_publish(from, "t", payload, qos, (uint16_t)(1 + i));
		shard_scene_settle(from->scene);
	}
}

/* How often each number came; all that is there is taken. */
static uint32_t take_numbers(struct far_peer *peer, uint32_t *times, uint32_t most, bool acknowledge)
{
	struct heard heard;
	uint32_t count = 0;
	while (peer_hears(peer, &heard)) {
		if (heard.header.type != MQTT_PUBLISH)
			continue;
		char payload[16] = "";
		unsigned number;
		memcpy(payload, heard.publish.payload.data, heard.publish.payload.size);
		assert_int_equal(sscanf(payload, "%u", &number), 1);
		assert_true(number < most);
		times[number]++;
		count++;
		if (acknowledge && heard.publish.qos == 1)
			peer_ack(peer, MQTT_PUBACK, heard.publish.packet_id);
	}
	return count;
}

/* ---- one of them ---- */

static void each_gets_its_share(struct shard_scene *scene, uint8_t qos)
{
	enum { MESSAGES = 40 };
	struct far_peer members[MEMBERS];
	uint32_t times[MESSAGES] = {0};
	struct far_peer plain = member(scene, PEER_CONNECT(.id = "plain"), "t", 0);
	for (int i = 0; i < MEMBERS; i++) {
		char id[16];
		snprintf(id, sizeof(id), "m%d", i);
		struct peer_connect connect = {.id = id, .shard = (uint16_t)(i % scene->shard_count)};
		members[i] = member(scene, &connect, "$share/g/t", qos);
	}
	struct far_peer from = publisher(scene);
	publish_numbers(&from, qos, 0, MESSAGES);
	for (int i = 0; i < MEMBERS; i++)
		assert_int_equal(take_numbers(&members[i], times, MESSAGES, true), MESSAGES / MEMBERS);
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(times[i], 1);
	assert_int_equal(peer_counts(&plain, MQTT_PUBLISH), MESSAGES); /* who shares nothing gets all */
	for (int i = 0; i < MEMBERS; i++)
		peer_vanish(&members[i]);
	peer_vanish(&plain);
	peer_vanish(&from);
}

static void test_each_gets_its_share(void **state)
{
	each_gets_its_share(*state, 0);
	each_gets_its_share(*state, 1);
}

/* While some are connected those who are not get nothing; when nobody is, what can wait waits for them. */
static void test_members_without_a_connection(void **state)
{
	struct shard_scene *scene = *state;
	enum { MESSAGES = 30 };
	uint32_t times[MESSAGES] = {0};
	struct far_peer kept = member(scene, PEER_CONNECT(.id = "kept", .expiry_s = HOUR_S), "$share/g/t", 1);
	struct peer_connect connect = {.id = "live", .shard = (uint16_t)(scene->shard_count - 1), .expiry_s = HOUR_S};
	struct far_peer live = member(scene, &connect, "$share/g/t", 1);
	struct far_peer from = publisher(scene);
	peer_vanish(&kept);
	publish_numbers(&from, 1, 0, 10);
	assert_int_equal(take_numbers(&live, times, MESSAGES, true), 10);
	peer_vanish(&live);
	publish_numbers(&from, 1, 10, 10);
	kept = peer_sign_in(scene, PEER_CONNECT(.id = "kept", .expiry_s = HOUR_S), true);
	live = peer_sign_in(scene, &connect, true);
	uint32_t kept_count = take_numbers(&kept, times, MESSAGES, true);
	assert_int_equal(kept_count, 5);
	assert_int_equal(take_numbers(&live, times, MESSAGES, true), 5);
	publish_numbers(&from, 1, 20, 10);
	assert_int_equal(take_numbers(&kept, times, MESSAGES, true), 5);
	assert_int_equal(take_numbers(&live, times, MESSAGES, true), 5);
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(times[i], 1);
	peer_vanish(&kept);
	peer_vanish(&live);
	peer_vanish(&from);
}

/* ---- what one leaves behind ---- */

/* Not acknowledged, or not sent: to the others who are there, once [4.8.2]. */
static void leaves_messages_behind(struct shard_scene *scene, uint32_t expiry_s, bool by_disconnect)
{
	enum { MESSAGES = 24 };
	uint32_t times[MESSAGES] = {0};
	struct far_peer others[2];
	struct far_peer leaving =
		member(scene, PEER_CONNECT(.id = "leaving", .receive_max = 5, .expiry_s = expiry_s), "$share/g/t", 1);
	struct far_peer from = publisher(scene);
	publish_numbers(&from, 1, 0, MESSAGES / 2);
	uint32_t mine[MESSAGES] = {0};
	assert_int_equal(take_numbers(&leaving, mine, MESSAGES, false), 5);
	peer_ack(&leaving, MQTT_PUBACK, 2);
	shard_scene_settle(scene);
	for (int i = 0; i < 2; i++) {
		char id[16];
		snprintf(id, sizeof(id), "m%d", i);
		others[i] = member(scene, PEER_CONNECT(.id = id, .shard = (uint16_t)(i % scene->shard_count)),
				   "$share/g/t", 1);
	}
	uint64_t before = counted(scene, COUNTER_messages_handed_on);
	if (by_disconnect)
		peer_leave(&leaving);
	else
		peer_vanish(&leaving);
	assert_int_equal(counted(scene, COUNTER_messages_handed_on) - before, MESSAGES / 2 - 1);
	publish_numbers(&from, 1, MESSAGES / 2, MESSAGES / 2);
	for (int i = 0; i < 2; i++)
		assert_in_range(take_numbers(&others[i], times, MESSAGES, true), MESSAGES / 2 - 2, MESSAGES / 2 + 1);
	for (uint32_t i = 0; i < MESSAGES; i++)
		assert_int_equal(times[i], i == 1 ? 0 : 1); /* the one that was acknowledged */
	if (expiry_s != 0) {                                /* nothing of it comes to who comes back */
		leaving = peer_sign_in(scene, PEER_CONNECT(.id = "leaving"), true);
		peer_hears_nothing(&leaving);
		peer_vanish(&leaving);
	}
	for (int i = 0; i < 2; i++)
		peer_vanish(&others[i]);
	peer_vanish(&from);
	assert_int_equal(counted(scene, COUNTER_messages_dropped_session), 0);
}

static void test_leaves_messages_behind(void **state)
{
	leaves_messages_behind(*state, 0, false);
	leaves_messages_behind(*state, 0, true);
	leaves_messages_behind(*state, HOUR_S, false);
	leaves_messages_behind(*state, HOUR_S, true);
}

/* At QoS 2 what was sent is this session's alone [MQTT-4.8.2-5]; what was not may go elsewhere. */
static void test_qos_2_that_was_sent_stays(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer leaving =
		member(scene, PEER_CONNECT(.id = "leaving", .receive_max = 2, .expiry_s = HOUR_S), "$share/g/t", 2);
	struct far_peer from = publisher(scene);
	publish_numbers(&from, 2, 0, 4);
	struct mqtt_publish first = peer_hears_publish(&leaving, "t", "0", 2);
	peer_hears_publish(&leaving, "t", "1", 2);
	peer_ack(&leaving, MQTT_PUBREC, first.packet_id);
	peer_hears_ack(&leaving, MQTT_PUBREL, first.packet_id, 0);
	struct far_peer other = member(scene, PEER_CONNECT(.id = "other"), "$share/g/t", 2);
	peer_vanish(&leaving);
	peer_hears_publish(&other, "t", "2", 2);
	peer_hears_publish(&other, "t", "3", 2);
	peer_hears_nothing(&other);
	leaving = peer_sign_in(scene, PEER_CONNECT(.id = "leaving"), true);
	peer_hears_ack(&leaving, MQTT_PUBREL, first.packet_id, 0);
	assert_true(peer_hears_publish(&leaving, "t", "1", 2).dup);
	peer_hears_nothing(&leaving);
	peer_vanish(&leaving);
	peer_vanish(&other);
	peer_vanish(&from);
}

/* The last one keeps what it has, or it is lost with it. */
static void test_nobody_else(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = publisher(scene);
	for (uint32_t expiry_s = 0; expiry_s <= HOUR_S; expiry_s += HOUR_S) {
		struct far_peer last = member(scene, PEER_CONNECT(.id = "last", .expiry_s = expiry_s), "$share/g/t", 1);
		publish_numbers(&from, 1, 0, 3);
		uint32_t times[3] = {0};
		assert_int_equal(take_numbers(&last, times, 3, false), 3);
		uint64_t before = counted(scene, COUNTER_messages_dropped_session);
		peer_vanish(&last);
		assert_int_equal(counted(scene, COUNTER_messages_dropped_session) - before, expiry_s == 0 ? 3 : 0);
	}
	struct far_peer last = peer_sign_in(scene, PEER_CONNECT(.id = "last", .expiry_s = HOUR_S), true);
	for (uint32_t i = 0; i < 3; i++) {
		char payload[16];
		snprintf(payload, sizeof(payload), "%u", i);
		assert_true(peer_hears_publish(&last, "t", payload, 1).dup);
	}
	peer_vanish(&last);
	/* When its session ends others may be there meanwhile. */
	struct far_peer other = member(scene, PEER_CONNECT(.id = "other"), "$share/g/t", 1);
	peer_hears_nothing(&other);
	shard_scene_pass_ms(scene, 2000u * HOUR_S);
	uint32_t times[3] = {0};
	assert_int_equal(take_numbers(&other, times, 3, true), 3);
	peer_vanish(&other);
	peer_vanish(&from);
}

/* Only what came through that subscription goes on: not what came through another, shared or not. */
static void test_of_several_subscriptions(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer leaving = member(scene, PEER_CONNECT(.id = "leaving", .expiry_s = HOUR_S), "$share/g/t", 1);
	peer_subscribe(&leaving, "$share/h/u", 1);
	peer_subscribe(&leaving, "v", 1);
	struct far_peer from = publisher(scene);
	peer_publish(&from, "v", "own", 1, 1);
	peer_publish(&from, "u", "of h", 1, 2);
	peer_publish(&from, "t", "of g", 1, 3);
	assert_int_equal(peer_counts(&leaving, MQTT_PUBLISH), 3);
	struct far_peer g = member(scene, PEER_CONNECT(.id = "g"), "$share/g/t", 1);
	struct far_peer h = member(scene, PEER_CONNECT(.id = "h"), "$share/h/u", 1);
	peer_vanish(&leaving);
	peer_hears_publish(&g, "t", "of g", 1);
	peer_hears_publish(&h, "u", "of h", 1);
	peer_hears_nothing(&g);
	peer_hears_nothing(&h);
	leaving = peer_sign_in(scene, PEER_CONNECT(.id = "leaving"), true);
	peer_hears_publish(&leaving, "v", "own", 1);
	peer_hears_nothing(&leaving);
	peer_vanish(&leaving);
	peer_vanish(&g);
	peer_vanish(&h);
	peer_vanish(&from);
}

/* What came through a subscription that is no more stays this session's: the next subscription is none of its business,
 * though it may have its place. */
static void test_unsubscribed_with_messages_under_way(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer leaving = peer_sign_in(scene, PEER_CONNECT(.id = "leaving", .expiry_s = HOUR_S), false);
	peer_subscribe_as(&leaving, &(struct mqtt_subscription){.filter = slice_string("$share/g/t"), .qos = 1}, 5);
	struct far_peer from = publisher(scene);
	publish_numbers(&from, 1, 0, 1);
	struct mqtt_publish publish = peer_hears_publish(&leaving, "t", "0", 1);
	assert_true(slice_equal(publish.properties, slice_of("\x0b\5", 2)));
	peer_unsubscribe(&leaving, "$share/g/t");
	peer_subscribe_as(&leaving, &(struct mqtt_subscription){.filter = slice_string("$share/h/u"), .qos = 1}, 6);
	assert_int_equal(scene->shards[0].sessions.subscriptions.pool.touched, 1);
	struct far_peer other = member(scene, PEER_CONNECT(.id = "other"), "$share/h/u", 1);
	peer_vanish(&leaving);
	peer_hears_nothing(&other);
	leaving = peer_sign_in(scene, PEER_CONNECT(.id = "leaving", .expiry_s = HOUR_S), true);
	publish = peer_hears_publish(&leaving, "t", "0", 1);
	assert_true(publish.dup);
	assert_int_equal(publish.properties.size, 0); /* nor is its identifier */
	peer_disconnect(&leaving, 0, 0);
	peer_hears_end(&leaving);
	peer_hears_nothing(&other);
	peer_vanish(&other);
	peer_vanish(&from);
}

/* To a shard whose inbox is full: handed on when there is room, though who left them is gone. */
static void test_handed_on_when_there_is_room(void **state)
{
	struct shard_scene *scene = *state;
	enum { MESSAGES = 8 };
	scene->settings.queue_bytes_max = 64 << 20;
	struct far_peer flooded = member(scene, PEER_CONNECT(.id = "flooded", .shard = 1), "flood", 0);
	struct far_peer leaving = member(scene, PEER_CONNECT(.id = "leaving"), "$share/g/t", 1);
	struct far_peer from = publisher(scene);
	publish_numbers(&from, 1, 0, MESSAGES);
	uint32_t mine[MESSAGES] = {0};
	assert_int_equal(take_numbers(&leaving, mine, MESSAGES, false), MESSAGES);
	struct far_peer other = member(scene, PEER_CONNECT(.id = "other", .shard = 1), "$share/g/t", 1);
	static const uint8_t MESSAGE[] = {0x30, 8, 0, 5, 'f', 'l', 'o', 'o', 'd', 'x'};
	uint8_t burst[100 * sizeof(MESSAGE)];
	for (size_t at = 0; at < sizeof(burst); at += sizeof(MESSAGE))
		memcpy(burst + at, MESSAGE, sizeof(MESSAGE));
	while (shard_scene_counter(scene, 0, COUNTER_publisher_pauses) == 0) {
		peer_say(&from, burst, sizeof(burst));
		shard_scene_turn_one(scene, 0);
	}
	peer_say(&leaving, "\xe0", 2);
	shard_scene_turn_one(scene, 0);
	assert_true(routing_waits_for_room(&scene->shards[0]));
	uint32_t times[MESSAGES] = {0};
	assert_int_equal(take_numbers(&other, times, MESSAGES, true), MESSAGES);
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(times[i], 1);
	peer_vanish(&leaving);
	peer_vanish(&other);
	peer_vanish(&from);
	peer_vanish(&flooded);
}

/* The one that should take them goes too, and the next, and the next. */
static void test_handed_on_and_on(void **state)
{
	struct shard_scene *scene = *state;
	enum { ALL = 12, MESSAGES = 20 };
	struct far_peer members[ALL];
	scene->settings.inflight_max = 1000;
	for (int i = 0; i < ALL; i++) {
		char id[16];
		snprintf(id, sizeof(id), "m%d", i);
		struct peer_connect connect = {
			.id = id, .shard = (uint16_t)(i % scene->shard_count), .expiry_s = i % 3 == 0 ? HOUR_S : 0};
		members[i] = member(scene, &connect, "$share/g/t", 1);
	}
	struct far_peer from = publisher(scene);
	publish_numbers(&from, 1, 0, MESSAGES);
	for (int i = 0; i + 1 < ALL; i++)
		peer_vanish(&members[i]);
	uint32_t times[MESSAGES] = {0};
	assert_int_equal(take_numbers(&members[ALL - 1], times, MESSAGES, true), MESSAGES);
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(times[i], 1);
	peer_vanish(&members[ALL - 1]);
	peer_vanish(&from);
}

/* A member that leaves thousands behind takes no turn for itself: they go a share in each. */
static void test_handed_on_in_shares(void **state)
{
	struct shard_scene *scene = *state;
	enum { MESSAGES = 6000 };
	scene->settings.inflight_max = UINT16_MAX;
	scene->settings.queue_bytes_max = 1 << 20;
	struct far_peer leaving = member(scene, PEER_CONNECT(.id = "leaving"), "$share/g/t", 1);
	struct far_peer from = publisher(scene);
	static uint32_t times[MESSAGES];
	memset(times, 0, sizeof(times));
	publish_numbers(&from, 1, 0, MESSAGES);
	assert_int_equal(take_numbers(&leaving, times, MESSAGES, false), MESSAGES);
	struct far_peer other = member(scene, PEER_CONNECT(.id = "other"), "$share/g/t", 1);
	uint64_t before = shard_scene_counter(scene, 0, COUNTER_messages_out);
	atomic_store(&scene->shards[0].counters.turn_work_max, 0);
	peer_say(&leaving, "\xe0", 2);
	shard_scene_turn_one(scene, 0);
	uint64_t now = shard_scene_counter(scene, 0, COUNTER_messages_out);
	assert_in_range(now - before, 1, MESSAGES / 2);
	shard_scene_settle(scene);
	assert_in_range(atomic_load(&scene->shards[0].counters.turn_work_max), 1, 2 * WORK_SHARE_ENDS);
	memset(times, 0, sizeof(times));
	assert_int_equal(take_numbers(&other, times, MESSAGES, true), MESSAGES);
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(times[i], 1);
	peer_vanish(&leaving);
	peer_vanish(&other);
	peer_vanish(&from);
}

#define MANY 2000u

/* Its shared subscriptions are being told of, over some turns; meanwhile it comes, subscribes to one more and goes, in
 * one turn. */
static void test_a_member_that_comes_and_goes_while_others_are_told(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.client_subscriptions_max = scene->shards[0].sessions.subscriptions.client_max = MANY + 1;
	static uint8_t packet[MANY * 32];
	static struct mqtt_subscription asked[MANY];
	static char filters[MANY][24];
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(filters[i], sizeof(filters[i]), "$share/g/m/%u", i);
		asked[i] = (struct mqtt_subscription){.filter = slice_string(filters[i]), .qos = 1};
	}
	struct far_peer gone = peer_sign_in(scene, PEER_CONNECT(.id = "gone", .expiry_s = HOUR_S), false);
	size_t size = mqtt_subscribe_encode(1, 0, asked, MANY, MQTT_VERSION_5, packet, sizeof(packet));
	peer_say(&gone, packet, size);
	assert_int_equal(peer_counts(&gone, MQTT_SUBACK), 1);
	struct far_peer other = member(scene, PEER_CONNECT(.id = "other"), "$share/g/t", 1);
	peer_drop(&gone);
	shard_scene_turn_one(scene, 0);
	assert_non_null(scene->shards[0].sessions.cleanups);
	struct mqtt_subscription new = {.filter = slice_string("$share/g/t"), .qos = 1};
	size = mqtt_subscribe_encode(2, 0, &new, 1, MQTT_VERSION_5, packet, sizeof(packet));
	memcpy(packet + size, "\xe0", 2); /* DISCONNECT */
	struct peer_connect again = {.id = "gone", .expiry_s = HOUR_S, .rest = slice_of(packet, size + 2)};
	gone = peer_connect(scene, &again);
	shard_scene_turn_one(scene, 0);
	assert_non_null(scene->shards[0].sessions.cleanups);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_subscriptions_open), MANY + 2);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sessions_offline), 1);
	peer_vanish(&gone);
	struct far_peer from = publisher(scene);
	static uint32_t times[10];
	memset(times, 0, sizeof(times));
	publish_numbers(&from, 1, 0, 10);
	assert_int_equal(take_numbers(&other, times, 10, true), 10);
	peer_vanish(&other);
	peer_vanish(&from);
}

/* One for whom messages wait is passed over, here and from other shards, until it has taken them. */
static void test_a_busy_member_is_passed_over(void **state)
{
	struct shard_scene *scene = *state;
	enum { MESSAGES = 200 };
	uint16_t shard = (uint16_t)(scene->shard_count - 1);
	struct far_peer busy =
		member(scene, PEER_CONNECT(.id = "busy", .shard = shard, .receive_max = 1), "$share/g/t", 1);
	struct far_peer idle = member(scene, PEER_CONNECT(.id = "idle"), "$share/g/t", 1);
	struct far_peer from = publisher(scene);
	uint32_t times[2 * MESSAGES] = {0};
	uint32_t by_idle = 0;
	for (uint32_t i = 0; i < MESSAGES; i++) {
		publish_numbers(&from, 1, i, 1);
		by_idle += take_numbers(&idle, times, 2 * MESSAGES, true);
	}
	assert_in_range(by_idle, MESSAGES - 2, MESSAGES - 1);
	uint32_t by_busy = take_numbers(&busy, times, 2 * MESSAGES, true);
	assert_int_equal(by_idle + by_busy, MESSAGES);
	/* Free again, it has its turn. */
	by_busy = 0;
	for (uint32_t i = MESSAGES; i < 2 * MESSAGES; i++) {
		publish_numbers(&from, 1, i, 1);
		take_numbers(&idle, times, 2 * MESSAGES, true);
		by_busy += take_numbers(&busy, times, 2 * MESSAGES, true);
	}
	assert_in_range(by_busy, MESSAGES / 2 - 1, MESSAGES / 2 + 1);
	for (int i = 0; i < 2 * MESSAGES; i++)
		assert_int_equal(times[i], 1);
	peer_vanish(&busy);
	peer_vanish(&idle);
	peer_vanish(&from);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
#define IN_TWO(test)                                                                                                   \
	{                                                                                                              \
#test "_on_two_shards", test, scene_open_two, scene_close, NULL                                        \
	}

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_each_gets_its_share),
		IN_TWO(test_each_gets_its_share),
		IN_SCENE(test_members_without_a_connection),
		IN_TWO(test_members_without_a_connection),
		IN_SCENE(test_leaves_messages_behind),
		IN_TWO(test_leaves_messages_behind),
		IN_SCENE(test_qos_2_that_was_sent_stays),
		IN_SCENE(test_nobody_else),
		IN_SCENE(test_of_several_subscriptions),
		IN_SCENE(test_unsubscribed_with_messages_under_way),
		IN_TWO(test_handed_on_when_there_is_room),
		IN_SCENE(test_handed_on_and_on),
		IN_TWO(test_handed_on_and_on),
		IN_SCENE(test_handed_on_in_shares),
		IN_SCENE(test_a_member_that_comes_and_goes_while_others_are_told),
		IN_SCENE(test_a_busy_member_is_passed_over),
		IN_TWO(test_a_busy_member_is_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
