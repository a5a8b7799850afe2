/* Another connection takes over in the very turn in which the older one, or its session, is ending for a reason of its
 * own: the first reason counts, what it says of will and session holds, and each will goes out once. */
#include "access/access.h"
#include "base/log.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#define HOUR_S 3600u

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	shard_scene_settle(scene);
	shard_scene_pass_ms(scene, 4000u * HOUR_S);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	assert_int_equal(scene->sessions_offline, 0);
	shard_scene_free(scene);
	return 0;
}

static struct far_peer heir_of(struct shard_scene *scene)
{
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "heir"), false);
	peer_subscribe(&peer, "w", 2);
	return peer;
}

/* The client with a will at QoS 1, and a session that lasts. */
#define LASTING PEER_CONNECT(.id = "c", .expiry_s = HOUR_S, .will_topic = "w", .will_qos = 1)
#define AGAIN PEER_CONNECT(.id = "c", .expiry_s = HOUR_S)
#define AGAIN_CLEAN PEER_CONNECT(.id = "c", .expiry_s = HOUR_S, .clean = true)

static uint64_t ends(const struct shard_scene *scene, enum error reason)
{
	return shard_scene_ends(scene, 0, reason);
}

/* The new connection comes now, all of it in one turn. */
static struct far_peer come_in_one_turn(struct shard_scene *scene, const struct peer_connect *connect, bool present)
{
	struct far_peer peer = peer_connect(scene, connect);
	shard_scene_turn_one(scene, 0);
	struct heard heard;
	assert_true(peer_heard(&peer, &heard));
	assert_int_equal(heard.header.type, MQTT_CONNACK);
	assert_int_equal(heard.connack.reason, 0);
	assert_int_equal(heard.connack.session_present, present);
	return peer;
}

static void expect_wills(struct far_peer *heir, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct mqtt_publish will = peer_hears_publish(heir, "w", "gone", 1);
		peer_completes(heir, &will);
	}
	peer_hears_nothing(heir);
}

/* ---- the older one says goodbye ---- */

static void test_disconnect(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	struct far_peer older = peer_sign_in(scene, LASTING, false);
	peer_say(&older, "\xe0", 2);
	struct far_peer newer = come_in_one_turn(scene, AGAIN, true);
	peer_hears_end(&older);
	assert_int_equal(ends(scene, ERROR_CLOSED_BY_CLIENT), 1);
	assert_int_equal(ends(scene, ERROR_TAKEN_OVER), 0);
	expect_wills(&heir, 0);
	peer_vanish(&newer);
	peer_vanish(&heir);
}

static void test_disconnect_with_will(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	struct far_peer older = peer_sign_in(scene, LASTING, false);
	peer_say(&older, "\xe0\1\4", 3);
	struct far_peer newer = come_in_one_turn(scene, AGAIN, true);
	peer_hears_end(&older);
	expect_wills(&heir, 1);
	peer_vanish(&newer);
	peer_vanish(&heir);
}

/* The older one's DISCONNECT says that its session is over: there is none to go on with. */
static void test_disconnect_that_ends_the_session(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer older = peer_sign_in(scene, LASTING, false);
	peer_subscribe(&older, "t", 1);
	peer_say(&older, "\xe0\7\0\5\x11\0\0\0\0", 9);
	struct far_peer newer = come_in_one_turn(scene, AGAIN, false);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	peer_publish(&newer, "t", "x", 1, 1);
	peer_hears_ack(&newer, MQTT_PUBACK, 1, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	peer_vanish(&older);
	peer_vanish(&newer);
}

/* ---- the older one breaks ---- */

static void test_connection_lost(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	for (uint32_t round = 0; round < 2; round++) {
		struct far_peer older = peer_sign_in(scene, LASTING, false);
		peer_drop(&older);
		struct far_peer newer = come_in_one_turn(scene, round == 0 ? AGAIN : AGAIN_CLEAN, round == 0);
		expect_wills(&heir, 1);
		peer_disconnect(&newer, 0, 0);
		peer_vanish(&newer);
	}
	assert_int_equal(ends(scene, ERROR_CONNECTION_LOST), 2);
	peer_vanish(&heir);
}

static void test_what_may_not_be_said(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	struct far_peer older = peer_sign_in(scene, LASTING, false);
	peer_say(&older, "\xf1", 2);
	struct far_peer newer = come_in_one_turn(scene, AGAIN, true);
	assert_int_equal(ends(scene, ERROR_TAKEN_OVER), 0);
	peer_hears_disconnect(&older, MQTT_REASON_MALFORMED_PACKET);
	expect_wills(&heir, 1);
	peer_vanish(&newer);
	peer_vanish(&heir);
}

/* ---- the older one's time is over ---- */

static void test_keepalive(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	struct far_peer older = peer_sign_in(
		scene, PEER_CONNECT(.id = "c", .expiry_s = HOUR_S, .keepalive_s = 2, .will_topic = "w", .will_qos = 1),
		false);
	shard_scene_pass_ms(scene, 10000);
	struct far_peer newer = come_in_one_turn(scene, AGAIN, true);
	peer_hears_disconnect(&older, MQTT_REASON_SESSION_TAKEN_OVER);
	shard_scene_settle(scene);
	assert_int_equal(ends(scene, ERROR_KEEPALIVE_TIMEOUT), 0);
	expect_wills(&heir, 1);
	/* The older one's timer is not the newer one's. */
	shard_scene_pass_ms(scene, 60000);
	peer_hears_nothing(&newer);
	peer_vanish(&newer);
	peer_vanish(&heir);
}

/* In the second in which the session's time is over it is gone, whatever its timer has said so far. */
static void test_expiry_in_the_same_second(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	for (uint32_t early_ms = 0; early_ms <= 3000; early_ms += 500) {
		struct far_peer older = peer_sign_in(
			scene,
			PEER_CONNECT(.id = "c", .expiry_s = 10, .will_topic = "w", .will_qos = 1, .will_delay_s = 10),
			false);
		peer_vanish(&older);
		shard_scene_pass_ms(scene, 12000 - early_ms);
		struct far_peer newer = peer_connect(scene, AGAIN);
		shard_scene_turn_one(scene, 0);
		struct heard heard;
		assert_true(peer_heard(&newer, &heard));
		assert_int_equal(heard.header.type, MQTT_CONNACK);
		/* Ten seconds have passed, or they have not; and with them the delay. */
		bool present = heard.connack.session_present;
		assert_true(present || early_ms < 2000);
		expect_wills(&heir, present ? 0 : 1);
		assert_int_equal(shard_scene_clients(scene, 0), 2);
		assert_int_equal(scene->sessions_offline, 0);
		peer_disconnect(&newer, 0, 0);
		peer_vanish(&newer);
	}
	peer_vanish(&heir);
}

/* ---- it is revoked ---- */

static void shut_out(struct shard_scene *scene, const char *id)
{
	struct revocation revocation = {.kind = REVOCATION_CLIENT, .id = slice_string(id), .until_s = REVOKED_FOR_EVER};
	assert_int_equal(access_revoke(scene->access, ACCESS_EMBEDDED, &revocation, (int64_t)time(NULL)), ERROR_OK);
}

/* The newer one was let in by the gate a moment before. */
static void test_revoked(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	struct far_peer older = peer_sign_in(scene, LASTING, false);
	struct far_peer newer = peer_connect(scene, AGAIN);
	shut_out(scene, "c");
	shard_scene_turn_one(scene, 0);
	peer_hears_disconnect(&older, MQTT_REASON_ADMINISTRATIVE_ACTION);
	struct heard heard;
	assert_true(peer_hears(&newer, &heard));
	assert_int_equal(heard.header.type, MQTT_CONNACK);
	assert_true(heard.connack.reason >= MQTT_REASON_UNSPECIFIED_ERROR);
	peer_hears_end(&newer);
	expect_wills(&heir, 1);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	access_lift(scene->access, ACCESS_EMBEDDED, REVOCATION_CLIENT, slice_string("c"), (int64_t)time(NULL));
	peer_vanish(&heir);
}

/* ---- by whom it is taken over ---- */

static void test_clean_start_has_the_delayed_will_sent(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	struct far_peer older = peer_sign_in(
		scene,
		PEER_CONNECT(.id = "c", .expiry_s = HOUR_S, .will_topic = "w", .will_qos = 1, .will_delay_s = 600),
		false);
	peer_drop(&older);
	struct far_peer newer = come_in_one_turn(scene, AGAIN_CLEAN, false);
	expect_wills(&heir, 1);
	peer_vanish(&newer);
	peer_vanish(&heir);
}

/* Each of three takes over from the one before, all in one turn. */
static void test_three_in_one_turn(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	struct far_peer first = peer_sign_in(scene, LASTING, false);
	peer_drop(&first);
	struct far_peer second = peer_connect(scene, LASTING);
	struct far_peer third = peer_connect(scene, LASTING);
	struct far_peer fourth = peer_connect(scene, AGAIN_CLEAN);
	shard_scene_turn_one(scene, 0);
	struct far_peer *turned[] = {&second, &third};
	for (uint32_t i = 0; i < 2; i++) {
		struct heard heard;
		assert_true(peer_hears(turned[i], &heard));
		assert_int_equal(heard.header.type, MQTT_CONNACK);
		assert_true(heard.connack.session_present);
		peer_hears_disconnect(turned[i], MQTT_REASON_SESSION_TAKEN_OVER);
	}
	struct heard heard;
	assert_true(peer_hears(&fourth, &heard));
	assert_int_equal(heard.header.type, MQTT_CONNACK);
	assert_false(heard.connack.session_present);
	expect_wills(&heir, 3);
	assert_int_equal(shard_scene_clients(scene, 0), 2);
	peer_vanish(&fourth);
	peer_vanish(&heir);
}

/* A will so large that it uses the turn's scratch up, sent while the newer one is let in: it is greeted all the same.
 */
static void test_a_large_will(void **state)
{
	struct shard_scene *scene = *state;
	static char large[60000];
	memset(large, 'x', sizeof(large) - 1);
	struct far_peer others[40];
	for (uint32_t i = 0; i < 40; i++) {
		char id[8];
		snprintf(id, sizeof(id), "c%u", i);
		others[i] =
			peer_sign_in(scene, PEER_CONNECT(.id = id, .will_topic = "w", .will_payload = large), false);
	}
	struct far_peer newer[40];
	for (uint32_t i = 0; i < 40; i++) {
		char id[8];
		snprintf(id, sizeof(id), "c%u", i);
		newer[i] = peer_connect(scene, PEER_CONNECT(.id = id));
	}
	shard_scene_settle(scene);
	for (uint32_t i = 0; i < 40; i++) {
		struct heard heard;
		assert_true(peer_hears(&newer[i], &heard));
		assert_int_equal(heard.header.type, MQTT_CONNACK);
		assert_int_equal(heard.connack.reason, 0);
		peer_hears_disconnect(&others[i], MQTT_REASON_SESSION_TAKEN_OVER);
		peer_hears_nothing(&newer[i]);
		peer_vanish(&newer[i]);
	}
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_wills_sent), 40);
}

/* It is gone again when its session's queue is written to it: what it sent behind CONNECT is left. */
static void test_gone_while_it_is_greeted(void **state)
{
	struct shard_scene *scene = *state;
	char payload[2001];
	memset(payload, 'x', sizeof(payload) - 1);
	payload[sizeof(payload) - 1] = 0;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "c", .expiry_s = HOUR_S), false);
	peer_subscribe(&peer, "t", 1);
	peer_vanish(&peer);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "t", payload, 1, 1); /* long enough to be written at once */
	peer_hears_ack(&from, MQTT_PUBACK, 1, 0);
	scene->shards[0].routing.acks.limit = 0; /* so that it would have to wait with its PUBLISH */
	static const uint8_t PUBLISH[] = {0x32, 6, 0, 1, 'a', 0, 1, 0};
	struct far_peer again = peer_connect(
		scene, PEER_CONNECT(.id = "c", .expiry_s = HOUR_S, .rest = slice_of(PUBLISH, sizeof(PUBLISH))));
	peer_drop(&again);
	shard_scene_settle(scene);
	assert_int_equal(ends(scene, ERROR_CONNECTION_LOST), 2);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_in_qos1), 1);
	scene->shards[0].routing.acks.limit = PENDING_ACKS_SHARD_MAX;
	peer_vanish(&from);
}

/* Its long message is still on its way to others, from where it was put together, when another connection comes. */
static void test_gone_with_a_long_message_on_its_way(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_bytes_max = 150000;
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), false);
	struct far_peer c = peer_sign_in(scene, PEER_CONNECT(.id = "c"), false);
	peer_subscribe(&c, "t", 0);
	peer_subscribe(&c, "#", 0);
	peer_subscribe(&to, "t", 0);
	enum { LONG = 100000 };
	static uint8_t packet[LONG];
	static const uint8_t HEAD[] = {0x30, 0x9c, 0x8d, 0x06, 0, 1, 't', 0}; /* LONG - 4 behind the length */
	memset(packet, 'x', LONG);
	memcpy(packet, HEAD, sizeof(HEAD));
	peer_say(&c, packet, LONG - 1);
	shard_scene_settle(scene);
	peer_say(&c, packet + LONG - 1, 1);
	peer_drop(&c); /* which its second copy shows */
	struct far_peer again = come_in_one_turn(scene, PEER_CONNECT(.id = "c"), false);
	assert_int_equal(ends(scene, ERROR_CONNECTION_LOST), 1);
	struct heard heard;
	assert_true(peer_hears(&to, &heard));
	assert_int_equal(heard.publish.payload.size, LONG - sizeof(HEAD));
	assert_memory_equal(heard.publish.payload.data, packet + sizeof(HEAD), LONG - sizeof(HEAD));
	peer_vanish(&again);
	peer_vanish(&to);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_disconnect),
		IN_SCENE(test_disconnect_with_will),
		IN_SCENE(test_disconnect_that_ends_the_session),
		IN_SCENE(test_connection_lost),
		IN_SCENE(test_what_may_not_be_said),
		IN_SCENE(test_keepalive),
		IN_SCENE(test_expiry_in_the_same_second),
		IN_SCENE(test_revoked),
		IN_SCENE(test_clean_start_has_the_delayed_will_sent),
		IN_SCENE(test_three_in_one_turn),
		IN_SCENE(test_a_large_will),
		IN_SCENE(test_gone_while_it_is_greeted),
		IN_SCENE(test_gone_with_a_long_message_on_its_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
