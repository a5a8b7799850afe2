/* Each request for memory is refused, in turn, while a client comes in, takes over, goes and hands on: a newcomer that
 * is not let in is told so and changes nothing for the connection that is there; one that is let in has all that it
 * asked for; and nothing is left over. */
#include "../failing_memory.h"
#include "base/log.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HOUR_S 3600u

static struct shard_scene *scene_new(void)
{
	return shard_scene_new(2);
}

/* Whatever was refused, nothing is left when the last session's time is over. */
static void scene_end(struct shard_scene *scene)
{
	shard_scene_settle(scene);
	shard_scene_pass_ms(scene, 4000u * HOUR_S);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	assert_int_equal(scene->sessions_offline, 0);
	shard_scene_free(scene);
}

static void turns_without_memory(struct shard_scene *scene, uint32_t count)
{
	failing_memory_start();
	for (; count != 0; count--) {
		for (uint16_t shard = 0; shard < scene->shard_count; shard++)
			shard_scene_turn_one(scene, shard);
	}
	failing_memory_stop();
}

static uint64_t dropped(const struct shard_scene *scene)
{
	return shard_scene_counter(scene, 0, COUNTER_messages_dropped_memory) +
	       shard_scene_counter(scene, 1, COUNTER_messages_dropped_memory);
}

/* Whether the connection was let in; one that was not has been told so, or has at least ended. */
static bool is_let_in(struct far_peer *peer, bool present)
{
	struct heard heard;
	if (!peer_hears(peer, &heard)) {
		peer_hears_end(peer);
		return false;
	}
	assert_int_equal(heard.header.type, MQTT_CONNACK);
	if (heard.connack.reason == 0) {
		assert_int_equal(heard.connack.session_present, present);
		return true;
	}
	assert_true(heard.connack.reason == MQTT_REASON_SERVER_UNAVAILABLE ||
		    heard.connack.reason == MQTT_REASON_QUOTA_EXCEEDED ||
		    heard.connack.reason == MQTT_REASON_SERVER_BUSY);
	peer_hears_end(peer);
	return false;
}

/* How many messages come, each taken to its end. */
static uint32_t take_all(struct far_peer *peer)
{
	struct heard heard;
	uint32_t count = 0;
	while (peer_hears(peer, &heard)) {
		struct mqtt_publish publish = heard.publish;
		count += heard.header.type == MQTT_PUBLISH;
		if (heard.header.type == MQTT_PUBLISH)
			peer_completes(peer, &publish);
	}
	return count;
}

/* ---- coming in ---- */

struct coming {
	bool older;   /* there is a session with the same client id */
	bool offline; /* without a connection */
	bool clean;   /* the newcomer wants none of it */
	uint32_t let_in;
	uint32_t turned_away;
};

#define NEWER(wants_clean)                                                                                             \
	PEER_CONNECT(.id = "c", .clean = (wants_clean), .expiry_s = HOUR_S, .receive_max = 20, .alias_max = 2,         \
		     .packet_bytes_max = 1000, .will_topic = "new", .will_qos = 1)

/* The older connection is as it was: it answers, has its subscription, and its will is not sent. */
static void expect_untouched(struct far_peer *older, struct far_peer *heir)
{
	peer_say(older, "\xc0", 2);
	struct heard heard;
	assert_true(peer_hears(older, &heard));
	assert_int_equal(heard.header.type, MQTT_PINGRESP);
	peer_hears_nothing(heir);
	peer_publish(heir, "t", "still", 1, 9);
	peer_hears_ack(heir, MQTT_PUBACK, 9, 0);
	struct mqtt_publish publish = peer_hears_publish(older, "t", "still", 1);
	peer_completes(older, &publish);
}

/* The newcomer is not in, and there is memory again: what was there is there, and now it comes in. */
static struct far_peer expect_unchanged(const struct coming *coming, struct shard_scene *scene, struct far_peer *older,
					struct far_peer *heir)
{
	if (coming->older && !coming->offline)
		expect_untouched(older, heir);
	return peer_sign_in(scene, NEWER(coming->clean), coming->older && !coming->clean);
}

static void play_coming(void *context)
{
	struct coming *coming = context;
	struct shard_scene *scene = scene_new();
	struct far_peer heir = peer_sign_in(scene, PEER_CONNECT(.id = "heir"), false);
	struct far_peer older = {.scene = scene, .fd = -1};
	peer_subscribe(&heir, "old", 1);
	if (coming->older) {
		older = peer_sign_in(scene,
				     PEER_CONNECT(.id = "c", .expiry_s = HOUR_S, .will_topic = "old", .will_qos = 1,
						  .will_delay_s = coming->offline ? 600 : 0),
				     false);
		peer_subscribe(&older, "t", 1);
		if (coming->offline)
			peer_vanish(&older);
	}
	struct far_peer newer = peer_connect(scene, NEWER(coming->clean));
	turns_without_memory(scene, 2);
	bool present = coming->older && !coming->clean;
	bool in = is_let_in(&newer, present);
	coming->let_in += in;
	coming->turned_away += !in;
	uint64_t lost = dropped(scene);
	if (!in)
		newer = expect_unchanged(coming, scene, &older, &heir);
	/* The older one's will is due where it had a connection, or the session ends. */
	bool due = coming->older && (!coming->offline || coming->clean);
	assert_int_equal(take_all(&heir) + lost, due);
	peer_publish(&heir, "t", "x", 1, 10);
	peer_hears_ack(&heir, MQTT_PUBACK, 10, present ? 0 : MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	assert_int_equal(take_all(&newer), present);
	peer_vanish(&older);
	peer_vanish(&newer);
	peer_vanish(&heir);
	scene_end(scene);
}

static void sweep_coming(bool older, bool offline, bool clean)
{
	for (int mode = FAILING_ONCE; mode <= FAILING_FROM_THERE; mode++) {
		struct coming coming = {.older = older, .offline = offline, .clean = clean};
		uint64_t requests = failing_memory_sweep(FAILING_ALL, (enum failing_mode)mode, play_coming, &coming);
		assert_true(requests >= 1);
		assert_int_not_equal(coming.let_in, 0);
		assert_int_not_equal(coming.turned_away, 0);
	}
}

static void test_a_new_session(void **state)
{
	(void)state;
	sweep_coming(false, false, false);
}

static void test_take_over(void **state)
{
	(void)state;
	sweep_coming(true, false, false);
}

static void test_take_over_with_a_clean_start(void **state)
{
	(void)state;
	sweep_coming(true, false, true);
}

static void test_a_session_without_a_connection(void **state)
{
	(void)state;
	sweep_coming(true, true, false);
}

static void test_a_clean_start_without_a_connection(void **state)
{
	(void)state;
	sweep_coming(true, true, true);
}

/* ---- subscribing ---- */

/* What is granted is delivered, whatever was refused on the way there; what is not granted is not. */
static void play_subscribing(void *context)
{
	static const char *const FILTERS[] = {"a/b/c", "a/+/c", "a/#", "$share/g/a/b/+", "+/b/#", "$share/g/x/y"};
	enum { COUNT = sizeof(FILTERS) / sizeof(FILTERS[0]) };
	uint32_t *refused = context;
	struct shard_scene *scene = scene_new();
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "c", .clean = true), false);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .shard = 1), false);
	peer_publish_as(&from, &(struct mqtt_publish){.topic = slice_string("a/b/c"),
						      .payload = slice_string("kept"),
						      .retain = true});
	shard_scene_settle(scene);
	uint32_t matching = 0;
	uint32_t retained = 0;
	uint32_t owed = 0; /* of what is retained: shared subscriptions get none of it */
	for (uint32_t i = 0; i < COUNT && peer.fd >= 0; i++) {
		peer_ask(&peer, &(struct mqtt_subscription){.filter = slice_string(FILTERS[i]), .qos = 1}, 0);
		turns_without_memory(scene, 1);
		struct heard heard;
		while (peer_hears(&peer, &heard) && heard.header.type == MQTT_PUBLISH)
			retained++;
		if (heard.header.type != MQTT_SUBACK) {
			assert_int_equal(heard.header.type, MQTT_DISCONNECT);
			assert_int_equal(heard.disconnect.reason, MQTT_REASON_QUOTA_EXCEEDED);
			peer_hears_end(&peer);
			break;
		}
		bool granted = heard.suback.codes.data[0] == 1;
		assert_true(granted || heard.suback.codes.data[0] == MQTT_REASON_QUOTA_EXCEEDED);
		*refused += !granted;
		matching += granted && i != COUNT - 1;
		owed += granted && FILTERS[i][0] != '$';
	}
	if (peer.fd >= 0) {
		retained += take_all(&peer);
		assert_int_equal(retained + dropped(scene), owed);
		peer_publish(&from, "a/b/c", "x", 1, 1);
		peer_hears_ack(&from, MQTT_PUBACK, 1, matching != 0 ? 0 : MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
		assert_int_equal(take_all(&peer), matching);
	}
	peer_vanish(&peer);
	peer_vanish(&from);
	scene_end(scene);
}

static void test_subscribing(void **state)
{
	(void)state;
	uint32_t refused = 0;
	assert_true(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_subscribing, &refused) > 20);
	assert_int_not_equal(refused, 0);
}

/* ---- handing on ---- */

/* What the members of a shared subscription had when they went comes to the one who stays, or is counted. */
static void play_handing_on(void *context)
{
	enum { MESSAGES = 12 };
	(void)context;
	struct shard_scene *scene = scene_new();
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .shard = 1), false);
	struct far_peer goes = peer_sign_in(scene, PEER_CONNECT(.id = "goes", .receive_max = 3), false);
	peer_subscribe(&goes, "$share/g/t", 1);
	for (uint16_t i = 1; i <= MESSAGES; i++)
		peer_publish(&from, "t", "x", 1, i);
	for (uint16_t i = 1; i <= MESSAGES; i++)
		peer_hears_ack(&from, MQTT_PUBACK, i, 0);
	struct far_peer stays = peer_sign_in(scene, PEER_CONNECT(.id = "stays", .shard = 1), false);
	peer_subscribe(&stays, "$share/g/t", 1);
	peer_drop(&goes);
	turns_without_memory(scene, 4);
	assert_int_equal(take_all(&stays) + dropped(scene), MESSAGES);
	peer_vanish(&stays);
	peer_vanish(&from);
	scene_end(scene);
}

static void test_handing_on(void **state)
{
	(void)state;
	for (int mode = FAILING_ONCE; mode <= FAILING_FROM_THERE; mode++)
		assert_true(failing_memory_sweep(FAILING_ALL, (enum failing_mode)mode, play_handing_on, NULL) >= 3);
}

/* ---- retained messages ---- */

/* All that is retained comes to a new subscription, or what does not is counted. */
static void play_retained(void *context)
{
	enum { MESSAGES = 50 };
	(void)context;
	struct shard_scene *scene = scene_new();
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .shard = 1), false);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		char topic[8];
		snprintf(topic, sizeof(topic), "r/%u", i);
		peer_publish_as(&from, &(struct mqtt_publish){.topic = slice_string(topic),
							      .payload = slice_string("kept"),
							      .qos = 1,
							      .packet_id = (uint16_t)(i + 1),
							      .retain = true});
		peer_hears_ack(&from, MQTT_PUBACK, (uint16_t)(i + 1), MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	}
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "c", .expiry_s = HOUR_S), false);
	peer_subscribe_as(
		&peer, &(struct mqtt_subscription){.filter = slice_string("r/+"), .qos = 1, .retain_handling = 2}, 0);
	peer_ask(&peer, &(struct mqtt_subscription){.filter = slice_string("r/#"), .qos = 1}, 0);
	turns_without_memory(scene, 4);
	struct heard heard;
	assert_true(peer_hears(&peer, &heard));
	assert_int_equal(heard.header.type, MQTT_SUBACK);
	bool granted = heard.suback.codes.data[0] == 1;
	assert_int_equal(take_all(&peer) + dropped(scene) >= MESSAGES, granted);
	peer_vanish(&peer);
	peer_vanish(&from);
	scene_end(scene);
}

static void test_retained(void **state)
{
	(void)state;
	assert_true(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_retained, NULL) >= 50);
}

#define SWEEP(test) cmocka_unit_test_setup_teardown(test, NULL, failing_memory_teardown)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		SWEEP(test_a_new_session),
		SWEEP(test_take_over),
		SWEEP(test_take_over_with_a_clean_start),
		SWEEP(test_a_session_without_a_connection),
		SWEEP(test_a_clean_start_without_a_connection),
		SWEEP(test_subscribing),
		SWEEP(test_handing_on),
		SWEEP(test_retained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
