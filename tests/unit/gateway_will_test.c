/* Wills: whether, when, and to whom. */
#include "base/log.h"
#include "peer.h"
#include "route/routing.h"
#include "shard/loop.h"
#include "topics/retained.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HOUR_S 3600u

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

static void pass_s(struct shard_scene *scene, uint32_t seconds)
{
	shard_scene_pass_ms(scene, seconds * 1000u);
	shard_scene_settle(scene);
}

static uint64_t wills_sent(const struct shard_scene *scene)
{
	return shard_scene_counter(scene, 0, COUNTER_wills_sent);
}

static struct far_peer heir(struct shard_scene *scene)
{
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "heir"), false);
	peer_subscribe(&peer, "w", 2);
	return peer;
}

/* ---- whether ---- */

static void test_by_how_the_connection_ends(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = heir(scene);
	for (uint8_t version = 4; version <= 5; version++) {
		struct peer_connect connect = {.id = "c", .version = version, .clean = true, .will_topic = "w"};
		struct far_peer peer = peer_sign_in(scene, &connect, false);
		peer_vanish(&peer);
		peer_hears_publish(&to, "w", "gone", 0);
		peer = peer_sign_in(scene, &connect, false);
		peer_leave(&peer);
		peer_hears_nothing(&to);
		peer = peer_sign_in(scene, &connect, false);
		peer_say(&peer, "\xf1", 2); /* what may not be said */
		shard_scene_settle(scene);
		peer_vanish(&peer);
		peer_hears_publish(&to, "w", "gone", 0);
		connect.keepalive_s = 1;
		peer = peer_sign_in(scene, &connect, false);
		pass_s(scene, 3);
		peer_hears_publish(&to, "w", "gone", 0);
		peer_vanish(&peer);
	}
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "c", .will_topic = "w"), false);
	peer_disconnect(&peer, MQTT_REASON_DISCONNECT_WITH_WILL, 0);
	peer_hears_end(&peer);
	peer_hears_publish(&to, "w", "gone", 0);
	peer_hears_nothing(&to);
	assert_int_equal(wills_sent(scene), 7);
	peer_vanish(&to);
}

static void test_not_of_a_connection_that_was_not_greeted(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = heir(scene);
	for (uint32_t expiry_s = 0; expiry_s <= HOUR_S; expiry_s += HOUR_S) {
		struct far_peer peer = peer_connect(
			scene, PEER_CONNECT(.id = "c", .packet_bytes_max = 2, .will_topic = "w", .expiry_s = expiry_s));
		peer_hears_end(&peer);
		peer_hears_nothing(&to);
		assert_int_equal(shard_scene_clients(scene, 0), 1);
	}
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_PACKET_TOO_LARGE), 2);
	peer_vanish(&to);
}

static void test_own_subscriptions_do_not_get_it(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "c", .will_topic = "w"), false);
	peer_subscribe(&peer, "w", 0);
	peer_vanish(&peer); /* with its session */
	assert_int_equal(wills_sent(scene), 1);
	/* A session that is kept gets it like any other. */
	peer = peer_sign_in(scene, PEER_CONNECT(.id = "c", .will_topic = "w", .will_qos = 1, .expiry_s = HOUR_S),
			    false);
	peer_subscribe(&peer, "w", 1);
	peer_vanish(&peer);
	peer = peer_sign_in(scene, PEER_CONNECT(.id = "c"), true);
	peer_hears_publish(&peer, "w", "gone", 1);
	peer_leave(&peer);
}

/* ---- when ---- */

static void test_delay(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = heir(scene);
	struct peer_connect connect = {.id = "c", .expiry_s = HOUR_S, .will_topic = "w", .will_delay_s = 300};
	struct far_peer peer = peer_sign_in(scene, &connect, false);
	peer_vanish(&peer);
	pass_s(scene, 299);
	peer_hears_nothing(&to);
	pass_s(scene, 3);
	peer_hears_publish(&to, "w", "gone", 0);
	pass_s(scene, HOUR_S);
	peer_hears_nothing(&to);
	assert_int_equal(wills_sent(scene), 1);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	peer_vanish(&to);
}

/* [MQTT-3.1.3-9] */
static void test_delay_is_cut_short_by_the_next_connection(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = heir(scene);
	struct peer_connect connect = {.id = "c", .expiry_s = HOUR_S, .will_topic = "w", .will_delay_s = 300};
	struct far_peer peer = peer_sign_in(scene, &connect, false);
	for (int round = 0; round < 3; round++) {
		peer_vanish(&peer);
		pass_s(scene, 299);
		peer = peer_sign_in(scene, &connect, true);
		pass_s(scene, 1000);
		peer_hears_nothing(&to);
	}
	/* The same while the older connection stands. */
	struct far_peer newer = peer_sign_in(scene, PEER_CONNECT(.id = "c", .expiry_s = HOUR_S), true);
	peer_hears_disconnect(&peer, MQTT_REASON_SESSION_TAKEN_OVER);
	pass_s(scene, 1000);
	peer_hears_nothing(&to);
	peer_vanish(&newer); /* which has none of its own */
	pass_s(scene, 1000);
	peer_hears_nothing(&to);
	assert_int_equal(wills_sent(scene), 0);
	peer_vanish(&to);
}

/* [3.1.3.2.2]: with its session at the latest. */
static void test_session_ends_before_the_delay(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = heir(scene);
	struct peer_connect connect = {.id = "c", .expiry_s = 100, .will_topic = "w", .will_delay_s = 300};
	struct far_peer peer = peer_sign_in(scene, &connect, false);
	peer_vanish(&peer);
	pass_s(scene, 99);
	peer_hears_nothing(&to);
	pass_s(scene, 3);
	peer_hears_publish(&to, "w", "gone", 0);
	/* A session that ends with its connection. */
	connect.expiry_s = 0;
	peer = peer_sign_in(scene, &connect, false);
	peer_vanish(&peer);
	peer_hears_publish(&to, "w", "gone", 0);
	/* A clean start ends the one before. */
	connect.expiry_s = HOUR_S;
	for (int alive = 0; alive < 2; alive++) {
		peer = peer_sign_in(scene, &connect, false);
		if (alive == 0)
			peer_vanish(&peer);
		peer_hears_nothing(&to);
		struct far_peer newer = peer_sign_in(scene, PEER_CONNECT(.id = "c", .clean = true), false);
		peer_hears_publish(&to, "w", "gone", 0);
		peer_hears_nothing(&to);
		if (alive != 0)
			peer_hears_disconnect(&peer, MQTT_REASON_SESSION_TAKEN_OVER);
		peer_vanish(&newer);
	}
	assert_int_equal(wills_sent(scene), 4);
	peer_vanish(&to);
}

/* Without a delay the end of the connection is enough, whatever comes next. */
static void test_take_over_without_delay(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = heir(scene);
	struct far_peer older = peer_sign_in(
		scene, PEER_CONNECT(.id = "c", .expiry_s = HOUR_S, .will_topic = "w", .will_payload = "older"), false);
	struct far_peer newer = peer_sign_in(
		scene, PEER_CONNECT(.id = "c", .expiry_s = HOUR_S, .will_topic = "w", .will_payload = "newer"), true);
	peer_hears_publish(&to, "w", "older", 0);
	peer_hears_nothing(&to);
	peer_hears_disconnect(&older, MQTT_REASON_SESSION_TAKEN_OVER);
	peer_vanish(&newer);
	peer_hears_publish(&to, "w", "newer", 0);
	peer_hears_nothing(&to);
	peer_vanish(&to);
}

/* DISCONNECT may make its session end at once, with its will or without. */
static void test_disconnect_ends_the_session(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = heir(scene);
	struct peer_connect connect = {.id = "c", .expiry_s = HOUR_S, .will_topic = "w", .will_delay_s = 300};
	struct far_peer peer = peer_sign_in(scene, &connect, false);
	peer_disconnect(&peer, MQTT_REASON_DISCONNECT_WITH_WILL, 0);
	peer_hears_end(&peer);
	peer_hears_publish(&to, "w", "gone", 0);
	peer = peer_sign_in(scene, &connect, false);
	peer_disconnect(&peer, MQTT_REASON_SUCCESS, 0);
	peer_hears_end(&peer);
	peer = peer_sign_in(scene, &connect, false);
	peer_disconnect(&peer, MQTT_REASON_SUCCESS, HOUR_S);
	peer_hears_end(&peer);
	pass_s(scene, 2 * HOUR_S);
	peer_hears_nothing(&to);
	assert_int_equal(wills_sent(scene), 1);
	peer_vanish(&to);
}

/* ---- how ---- */

static void test_with_all_that_it_says(void **state)
{
	struct shard_scene *scene = *state;
	static const uint8_t PROPERTIES[] = "\x02\0\0\0\x3c\x26\0\1k\0\1v";
	struct far_peer to = heir(scene);
	struct peer_connect connect = {
		.id = "c",
		.expiry_s = HOUR_S,
		.will_topic = "w",
		.will_payload = "all of it",
		.will_properties = slice_of(PROPERTIES, sizeof(PROPERTIES) - 1),
		.will_delay_s = 100,
		.will_qos = 2,
		.will_retain = true,
	};
	struct far_peer peer = peer_sign_in(scene, &connect, false);
	pass_s(scene, 1000);
	peer_vanish(&peer);
	pass_s(scene, 102);
	/* Its time begins when it is published. */
	struct mqtt_publish publish = peer_hears_publish(&to, "w", "all of it", 2);
	assert_true(slice_equal(publish.properties, slice_of(PROPERTIES, sizeof(PROPERTIES) - 1)));
	assert_false(publish.retain || publish.dup);
	peer_completes(&to, &publish);
	peer_subscribe(&to, "w", 0);
	publish = peer_hears_publish(&to, "w", "all of it", 0);
	assert_true(publish.retain);
	assert_int_equal(publish.message_expiry_s, 60);
	pass_s(scene, 60);
	peer_subscribe(&to, "w", 0);
	peer_hears_nothing(&to);
	peer_vanish(&to);
}

static void test_empty_retained_will_takes_away(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer =
		peer_sign_in(scene, PEER_CONNECT(.id = "a", .will_topic = "w", .will_retain = true), false);
	peer_vanish(&peer);
	assert_int_equal(retained_size(scene->retained).messages, 1);
	peer = peer_sign_in(scene, PEER_CONNECT(.id = "b", .will_topic = "w", .will_payload = "", .will_retain = true),
			    false);
	peer_vanish(&peer);
	assert_int_equal(retained_size(scene->retained).messages, 0);
}

static void test_to_sessions_without_a_connection(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .expiry_s = HOUR_S), false);
	peer_subscribe(&to, "w", 1);
	peer_vanish(&to);
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "c", .will_topic = "w", .will_qos = 1), false);
	peer_vanish(&peer);
	assert_int_equal(scene->shards[0].mem.messages.count, 1); /* the will itself, kept no second time */
	to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), true);
	peer_hears_publish(&to, "w", "gone", 1);
	peer_vanish(&to);
}

/* ---- many, and no room ---- */

/* Clients that are each other's heirs, all lost in one turn. */
static void test_many_in_one_turn(void **state)
{
	struct shard_scene *scene = *state;
	enum { CLIENTS = 100 };
	struct far_peer peers[CLIENTS];
	scene->settings.queue_messages_max = CLIENTS;
	struct far_peer to = heir(scene);
	for (int i = 0; i < CLIENTS; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		struct peer_connect connect = {.id = id,
					       .expiry_s = i % 2 != 0 ? HOUR_S : 0,
					       .will_topic = "w",
					       .will_payload = id,
					       .will_qos = (uint8_t)(i % 3)};
		peers[i] = peer_sign_in(scene, &connect, false);
		peer_subscribe(&peers[i], "w", 1);
	}
	for (int i = 0; i < CLIENTS; i++)
		shutdown(peers[i].fd, SHUT_RDWR);
	struct heard heard;
	bool seen[CLIENTS] = {false};
	while (peer_hears(&to, &heard)) {
		if (heard.header.type != MQTT_PUBLISH)
			continue;
		int i = 0;
		char id[16] = "";
		memcpy(id, heard.publish.payload.data, heard.publish.payload.size);
		assert_int_equal(sscanf(id, "c%d", &i), 1);
		assert_false(seen[i]);
		seen[i] = true;
		assert_int_equal(heard.publish.qos, i % 3);
		if (heard.publish.qos != 0)
			peer_ack(&to, heard.publish.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, heard.publish.packet_id);
		if (heard.publish.qos == 2)
			peer_ack(&to, MQTT_PUBCOMP, heard.publish.packet_id);
	}
	for (int i = 0; i < CLIENTS; i++)
		assert_true(seen[i]);
	for (int i = 0; i < CLIENTS; i++)
		peer_vanish(&peers[i]);
	peer_vanish(&to);
}

/* Of the other shard, with messages as small as the wills, so that there is no room left for one of them. */
static void fill_inbox(const struct far_peer *from)
{
	static const uint8_t MESSAGE[] = {0x30, 6, 0, 1, 'w', 0, 'n', 'o'};
	uint8_t burst[100 * sizeof(MESSAGE)];
	for (size_t at = 0; at < sizeof(burst); at += sizeof(MESSAGE))
		memcpy(burst + at, MESSAGE, sizeof(MESSAGE));
	while (shard_scene_counter(from->scene, 0, COUNTER_publisher_pauses) == 0) {
		peer_say(from, burst, sizeof(burst));
		shard_scene_turn_one(from->scene, 0);
	}
}

/* Wills that the peer hears of with this payload, among other messages. */
static uint32_t count_wills(struct far_peer *peer, const char *payload)
{
	struct heard heard;
	uint32_t count = 0;
	while (peer_hears(peer, &heard))
		count += heard.header.type == MQTT_PUBLISH && slice_equal(heard.publish.payload, slice_string(payload));
	return count;
}

/* A will that waits for room is its client's own still [MQTT-3.8.3-3]: not another's who has its place by then. */
static void test_waiting_will_and_no_local(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_bytes_max = 64 << 20;
	struct mqtt_subscription asked = {.filter = slice_string("w"), .no_local = true};
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "w", 0);
	struct peer_connect kept = {.id = "kept", .expiry_s = HOUR_S, .will_topic = "w", .will_payload = "k"};
	struct far_peer mine = peer_sign_in(scene, &kept, false);
	peer_subscribe_as(&mine, &asked, 0);
	struct peer_connect ended = {.id = "ended", .will_topic = "w", .will_payload = "e"};
	struct far_peer gone = peer_sign_in(scene, &ended, false);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	fill_inbox(&from);
	close(mine.fd);
	close(gone.fd);
	shard_scene_turn_one(scene, 0);
	assert_non_null(scene->shards[0].routing.routings.own);
	struct far_peer back = peer_connect(scene, PEER_CONNECT(.id = "kept"));
	struct far_peer next = peer_connect(scene, PEER_CONNECT(.id = "next"));
	shard_scene_turn_one(scene, 0);
	peer_ask(&next, &asked, 0);
	shard_scene_turn_one(scene, 0);
	assert_non_null(scene->shards[0].routing.routings.own);
	shard_scene_settle(scene);
	assert_int_equal(count_wills(&back, "k"), 0);
	assert_int_equal(count_wills(&next, "e"), 1);
	assert_int_equal(wills_sent(scene), 2);
	mine.fd = gone.fd = -1;
	struct far_peer *all[] = {&mine, &gone, &back, &next, &from, &to};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		peer_vanish(all[i]);
}

/* Where an inbox is full wills wait for room, in the order in which they were due, though their clients are gone. */
static void test_wills_wait_for_room(void **state)
{
	struct shard_scene *scene = *state;
	enum { CLIENTS = 5 };
	struct far_peer peers[CLIENTS];
	scene->settings.queue_bytes_max = 64 << 20;
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "w", 0);
	for (int i = 0; i < CLIENTS; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		peers[i] = peer_sign_in(scene, PEER_CONNECT(.id = id, .will_topic = "w", .will_payload = id), false);
	}
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	fill_inbox(&from);
	for (int i = 0; i < CLIENTS; i++) {
		close(peers[i].fd);
		shard_scene_turn_one(scene, 0);
	}
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	assert_true(routing_waits_for_room(&scene->shards[0]));
	uint32_t wills = 0;
	struct heard heard;
	while (peer_hears(&to, &heard)) {
		char id[16];
		snprintf(id, sizeof(id), "c%u", wills);
		wills += slice_equal(heard.publish.payload, slice_string(id));
	}
	assert_int_equal(wills, CLIENTS);
	assert_false(routing_waits_for_room(&scene->shards[0]));
	for (int i = 0; i < CLIENTS; i++) {
		peers[i].fd = -1;
		peer_vanish(&peers[i]);
	}
	peer_vanish(&from);
	peer_vanish(&to);
}

static bool is_greeted(struct far_peer *peer)
{
	struct heard heard;
	shard_scene_turn_one(peer->scene, 0);
	return peer_heard(peer, &heard);
}

/* Who comes, leaves a large will and goes, again and again, while wills wait: what they leave is bounded. */
static void test_a_flood_of_wills_is_bounded(void **state)
{
	struct shard_scene *scene = *state;
	static char payload[60001];
	memset(payload, 'x', sizeof(payload) - 1);
	scene->settings.queue_bytes_max = 64 << 20;
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "w", 0);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	fill_inbox(&from);
	uint32_t most = 2 * ROUTINGS_OWN_BYTES_MAX / sizeof(payload);
	struct peer_connect flood = {.id = "flood", .will_topic = "w", .will_payload = payload};
	struct far_peer last;
	uint32_t wills = 0;
	while (last = peer_connect(scene, &flood), wills < most && is_greeted(&last)) {
		wills++;
		peer_drop(&last);
		shard_scene_turn_one(scene, 0);
	}
	assert_in_range(wills, ROUTINGS_OWN_BYTES_MAX / sizeof(payload) - 10, most / 2 + 10);
	assert_in_range(scene->shards[0].mem.messages.bytes, 0, ROUTINGS_OWN_BYTES_MAX + 2 * sizeof(payload));
	/* It is let in when there is room again. */
	assert_int_not_equal(shard_scene_counter(scene, 0, COUNTER_admission_pauses), 0);
	shard_scene_settle(scene);
	struct heard heard;
	assert_true(peer_heard(&last, &heard));
	assert_int_equal(scene->shards[0].routing.routings.own_bytes, 0);
	assert_int_equal(wills_sent(scene), wills);
	peer_vanish(&last);
	peer_vanish(&from);
	peer_vanish(&to);
}

/* A gateway that stops is no reason for a will; those of sessions that wait for theirs are not its end either. */
static void test_not_when_the_server_stops(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "c", .will_topic = "w"), false);
	struct far_peer to = heir(scene);
	shard_stop(&scene->shards[0], SCENE_START_MS + 100000);
	int turns = 0;
	while (shard_scene_turn_one(scene, 0))
		assert_true(++turns < 10);
	peer_hears_end(&to);
	assert_int_equal(wills_sent(scene), 0);
	peer_vanish(&peer);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
#define IN_TWO(test) cmocka_unit_test_setup_teardown(test, scene_open_two, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_by_how_the_connection_ends),
		IN_SCENE(test_not_of_a_connection_that_was_not_greeted),
		IN_SCENE(test_own_subscriptions_do_not_get_it),
		IN_SCENE(test_delay),
		IN_SCENE(test_delay_is_cut_short_by_the_next_connection),
		IN_SCENE(test_session_ends_before_the_delay),
		IN_SCENE(test_take_over_without_delay),
		IN_SCENE(test_disconnect_ends_the_session),
		IN_SCENE(test_with_all_that_it_says),
		IN_SCENE(test_empty_retained_will_takes_away),
		IN_SCENE(test_to_sessions_without_a_connection),
		IN_SCENE(test_many_in_one_turn),
		IN_TWO(test_wills_wait_for_room),
		IN_TWO(test_waiting_will_and_no_local),
		IN_TWO(test_a_flood_of_wills_is_bounded),
		IN_SCENE(test_not_when_the_server_stops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
