/* A message whose match is long: routed turn by turn, once, in order, and at nobody else's cost. */
#include "base/log.h"
#include "peer.h"
#include "route/routing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define LEVELS 13u
#define FILTERS (1u << LEVELS)
/* A step may pass its 2048 nodes and routes by one node's; each of its direct deliveries costs some more. */
#define STEP_WORK_MAX 12000u
/* The shares of mail, packets and routings, and a step more. */
#define TURN_WORK_MAX 70000u

static const char TOPIC[] = "a/a/a/a/a/a/a/a/a/a/a/a/a";
static const char TOPIC_BELOW[] = "a/a/a/a/a/a/a/a/a/a/a/a/a/x";

static int scene_open(void **state)
{
	struct shard_scene *scene = shard_scene_new(2);
	scene->settings.queue_bytes_max = 64 << 20;
	for (int i = 0; i < 2; i++)
		scene->shards[i].sessions.subscriptions.client_max = FILTERS;
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

/* Subscribes to all ways to write the topic with `+`, followed by `below`. */
static void subscribe_to_all(struct far_peer *peer, const char *below)
{
	for (uint32_t number = 0; number < FILTERS; number++) {
		char filter[2 * LEVELS + 8];
		for (uint32_t level = 0; level < LEVELS; level++) {
			filter[2 * level] = (number >> level & 1u) != 0 ? '+' : 'a';
			filter[2 * level + 1] = '/';
		}
		snprintf(filter + 2 * LEVELS - 1, 8, "%s", below);
		peer_subscribe(peer, filter, 0);
	}
}

static uint64_t step_work(const struct shard_scene *scene)
{
	return atomic_load(&scene->shards[0].counters.step_work_max);
}

static void forget_work(struct shard_scene *scene)
{
	for (int i = 0; i < 2; i++) {
		atomic_store(&scene->shards[i].counters.step_work_max, 0);
		atomic_store(&scene->shards[i].counters.turn_work_max, 0);
	}
}

static void assert_work_is_bounded(const struct shard_scene *scene)
{
	assert_in_range(step_work(scene), 1, STEP_WORK_MAX);
	for (int i = 0; i < 2; i++)
		assert_true(atomic_load(&scene->shards[i].counters.turn_work_max) <= TURN_WORK_MAX);
}

/* No filter matches, but a match visits 16,383 nodes to see that; a plain subscriber is behind them. */
static void test_a_walk_for_nothing(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer hostile = peer_sign_in(scene, PEER_CONNECT(.id = "hostile", .shard = 1), false);
	subscribe_to_all(&hostile, "/y");
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "+/+/+/+/+/+/+/+/+/+/+/+/+/#", 0);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	peer_subscribe(&other, "plain", 0);
	shard_scene_settle(scene);
	forget_work(scene);
	peer_publish(&from, TOPIC_BELOW, "1", 1, 1);
	peer_publish(&from, TOPIC_BELOW, "2", 2, 2);
	shard_scene_turn_one(scene, 0);
	struct heard heard;
	assert_false(peer_heard(&from, &heard));
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_publisher_pauses), 1);
	/* Another one's message passes meanwhile. */
	peer_publish(&other, "plain", "0", 1, 1);
	shard_scene_turn_one(scene, 0);
	assert_true(peer_heard(&other, &heard));
	peer_hears_ack(&from, MQTT_PUBACK, 1, 0);
	peer_hears_ack(&from, MQTT_PUBREC, 2, 0);
	peer_hears_publish(&to, TOPIC_BELOW, "1", 0);
	peer_hears_publish(&to, TOPIC_BELOW, "2", 0);
	peer_hears_nothing(&to);
	assert_work_is_bounded(scene);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_unrouted), 0);
	peer_publish(&from, "a/a/a/a/a/a/a/a/a/a/a/a", "3", 1, 3);
	peer_hears_ack(&from, MQTT_PUBACK, 3, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_unrouted), 1);
	peer_vanish(&hostile);
	peer_vanish(&to);
	peer_vanish(&from);
	peer_vanish(&other);
}

/* One message for 8192 overlapping subscriptions: a copy each, here and there. */
static void all_match(struct shard_scene *scene, uint16_t shard)
{
	struct far_peer hostile = peer_sign_in(scene, PEER_CONNECT(.id = "hostile", .shard = shard), false);
	subscribe_to_all(&hostile, "");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	shard_scene_settle(scene);
	forget_work(scene);
	peer_publish(&from, TOPIC, "1", 1, 1);
	peer_hears_ack(&from, MQTT_PUBACK, 1, 0);
	assert_int_equal(peer_counts(&hostile, MQTT_PUBLISH), FILTERS);
	assert_work_is_bounded(scene);
	peer_vanish(&hostile);
	peer_vanish(&from);
}

static void test_many_overlapping_subscriptions(void **state)
{
	all_match(*state, 0);
	all_match(*state, 1);
}

/* What is retained meanwhile is newer, and stays. */
static void test_is_retained_once(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer hostile = peer_sign_in(scene, PEER_CONNECT(.id = "hostile", .shard = 1), false);
	subscribe_to_all(&hostile, "/y");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	struct far_peer newer = peer_sign_in(scene, PEER_CONNECT(.id = "newer", .shard = 1), false);
	struct mqtt_publish older = {.topic = slice_string(TOPIC_BELOW),
				     .payload = slice_string("old"),
				     .qos = 1,
				     .packet_id = 1,
				     .retain = 1};
	peer_publish_as(&from, &older);
	shard_scene_turn_one(scene, 0);
	struct heard heard;
	assert_false(peer_heard(&from, &heard));
	older.payload = slice_string("new");
	peer_publish_as(&newer, &older);
	peer_hears_ack(&newer, MQTT_PUBACK, 1, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	peer_hears_ack(&from, MQTT_PUBACK, 1, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), false);
	peer_subscribe(&to, TOPIC_BELOW, 0);
	peer_hears_publish(&to, TOPIC_BELOW, "new", 0);
	older.payload = slice_string("");
	peer_publish_as(&from, &older);
	peer_hears_publish(&to, TOPIC_BELOW, "", 0);
	peer_vanish(&hostile);
	peer_vanish(&to);
	peer_vanish(&from);
	peer_vanish(&newer);
}

/* The publisher goes: its message goes on without it, and its will comes behind. */
static void test_the_publisher_goes(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer hostile = peer_sign_in(scene, PEER_CONNECT(.id = "hostile", .shard = 1), false);
	subscribe_to_all(&hostile, "/y");
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "+/+/+/+/+/+/+/+/+/+/+/+/+/#", 0);
	peer_subscribe(&to, "w", 0);
	for (uint32_t expiry_s = 0; expiry_s < 2; expiry_s++) {
		struct far_peer from = peer_sign_in(
			scene,
			PEER_CONNECT(.id = "from", .will_topic = "w", .will_payload = "will", .expiry_s = expiry_s),
			false);
		peer_publish(&from, TOPIC_BELOW, "last", 1, 1);
		shard_scene_turn_one(scene, 0);
		struct heard heard;
		assert_false(peer_heard(&from, &heard));
		close(from.fd);
		from.fd = -1;
		peer_hears_publish(&to, TOPIC_BELOW, "last", 0);
		peer_hears_publish(&to, "w", "will", 0);
		peer_vanish(&from);
	}
	shard_scene_pass_ms(scene, 3000);
	shard_scene_settle(scene);
	peer_vanish(&hostile);
	peer_vanish(&to);
}

/* A PUBLISH that has to be asked for again, and is so long that its topic is put in the place of its alias on the heap:
 * what was to be sent to its publisher is written first, and shows that it is gone. */
static void test_gone_while_its_message_is_put_off(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.packet_bytes_max = 4 << 20;
	struct far_peer hostile = peer_sign_in(scene, PEER_CONNECT(.id = "hostile", .shard = 1), false);
	subscribe_to_all(&hostile, "/y");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	peer_subscribe(&from, "t", 0);
	enum { LONG = 3 << 20, TOPIC_SIZE = sizeof(TOPIC_BELOW) - 1 };
	uint8_t *packet = calloc(1, LONG);
	assert_non_null(packet);
	uint8_t head[] = {0x32, 0xfb, 0xff, 0xbf, 0x01, 0, TOPIC_SIZE}; /* LONG - 5 behind the length */
	uint8_t tail[] = {0, 1, 3, 0x23, 0, 1};                         /* packet identifier, topic alias 1 */
	memcpy(packet, head, sizeof(head));
	memcpy(packet + sizeof(head), TOPIC_BELOW, TOPIC_SIZE);
	memcpy(packet + sizeof(head) + TOPIC_SIZE, tail, sizeof(tail));
	peer_say(&from, packet, LONG - 1);
	shard_scene_settle(scene);
	uint64_t *bytes = &scene->shards[0].routing.routings.bytes;
	*bytes += ROUTINGS_BYTES_MAX; /* as many are under way as there may be */
	peer_publish(&other, "t", "x", 0, 0);
	peer_say(&from, packet + LONG - 1, 1);
	peer_drop(&from);
	shard_scene_turn_one(scene, 0);
	*bytes -= ROUTINGS_BYTES_MAX;
	free(packet);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_publisher_pauses), 1);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_CONNECTION_LOST), 1);
	peer_vanish(&hostile);
	peer_vanish(&other);
}

/* The publisher's own subscriptions get its message first, and the third copy shows that it is gone: its message goes
 * on without it all the same. */
static void test_the_publisher_turns_out_to_be_gone(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer hostile = peer_sign_in(scene, PEER_CONNECT(.id = "hostile", .shard = 1), false);
	subscribe_to_all(&hostile, "/y");
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "+/+/+/+/+/+/+/+/+/+/+/+/+/#", 0);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	static const char *const FILTERS_OF_ITS_OWN[] = {"#", "a/#", "+/#", "a/a/#", "a/+/#", "+/a/#", "+/+/#"};
	for (size_t i = 0; i < sizeof(FILTERS_OF_ITS_OWN) / sizeof(FILTERS_OF_ITS_OWN[0]); i++)
		peer_subscribe(&from, FILTERS_OF_ITS_OWN[i], 0);
	char payload[1501];
	memset(payload, 'x', sizeof(payload) - 1);
	payload[sizeof(payload) - 1] = 0;
	scene->settings.queue_bytes_max = 4096;
	peer_publish(&from, TOPIC_BELOW, payload, 1, 1);
	peer_drop(&from);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_CONNECTION_LOST), 1);
	peer_hears_publish(&to, TOPIC_BELOW, payload, 0);
	peer_vanish(&hostile);
	peer_vanish(&to);
}

/* The publisher, which subscribes to its own message, is found broken in the first step, when its output is flushed,
 * and ends in the same turn: the message goes on without it, and then nothing is left to do. */
static void test_the_publisher_breaks_in_the_first_step(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer hostile = peer_sign_in(scene, PEER_CONNECT(.id = "hostile", .shard = 1), false);
	subscribe_to_all(&hostile, "/y");
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "+/+/+/+/+/+/+/+/+/+/+/+/+/#", 0);
	scene->settings.inflight_max = LEVELS;
	for (uint8_t qos = 0; qos <= 2; qos++) {
		struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
		for (size_t level = 0; level < LEVELS; level++) {
			char filter[2 * LEVELS + 2];
			snprintf(filter, sizeof(filter), "%.*s#", (int)(2 * level), TOPIC);
			peer_subscribe(&from, filter, 1);
		}
		scene->settings.queue_bytes_max = 64; /* two copies */
		peer_publish(&from, TOPIC_BELOW, "", qos, 1);
		peer_vanish(&from);
		scene->settings.queue_bytes_max = 64 << 20;
		peer_hears_publish(&to, TOPIC_BELOW, "", 0);
	}
	assert_int_equal(shard_scene_clients(scene, 0), 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_acks_waiting), 0);
	peer_vanish(&hostile);
	peer_vanish(&to);
}

/* Wills with a long match, all due at once. */
static void test_many_wills(void **state)
{
	struct shard_scene *scene = *state;
	enum { CLIENTS = 30 };
	struct far_peer hostile = peer_sign_in(scene, PEER_CONNECT(.id = "hostile", .shard = 1), false);
	subscribe_to_all(&hostile, "/y");
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "+/+/+/+/+/+/+/+/+/+/+/+/+/#", 0);
	struct far_peer peers[CLIENTS];
	for (int i = 0; i < CLIENTS; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		peers[i] = peer_sign_in(scene, PEER_CONNECT(.id = id, .will_topic = TOPIC_BELOW, .will_payload = "w"),
					false);
	}
	forget_work(scene);
	for (int i = 0; i < CLIENTS; i++) {
		close(peers[i].fd);
		peers[i].fd = -1;
	}
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), CLIENTS);
	assert_work_is_bounded(scene);
	assert_false(routing_waits_for_room(&scene->shards[0]));
	for (int i = 0; i < CLIENTS; i++)
		peer_vanish(&peers[i]);
	peer_vanish(&hostile);
	peer_vanish(&to);
}

/* More publishers than may be under way: those that are too many wait with their packets, and none is lost. */
static void test_too_many_at_once(void **state)
{
	struct shard_scene *scene = *state;
	enum { PUBLISHERS = 20 };
	struct far_peer hostile = peer_sign_in(scene, PEER_CONNECT(.id = "hostile", .shard = 1), false);
	subscribe_to_all(&hostile, "/y");
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "+/+/+/+/+/+/+/+/+/+/+/+/+/#", 0);
	struct far_peer peers[PUBLISHERS];
	for (int i = 0; i < PUBLISHERS; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		peers[i] = peer_sign_in(scene, PEER_CONNECT(.id = id), false);
	}
	scene->shards[0].routing.routings.bytes += ROUTINGS_BYTES_MAX - 1; /* as if one large packet were under way */
	for (int i = 0; i < PUBLISHERS; i++)
		peer_publish(&peers[i], TOPIC_BELOW, "x", 2, 1);
	for (int i = 0; i < 3; i++)
		shard_scene_turn_one(scene, 0);
	assert_in_range(scene->shards[0].routing.routings.count, 0, 1);
	for (int i = 0; i < 3 * PUBLISHERS; i++) {
		shard_scene_settle(scene);
		shard_scene_pass_ms(scene, 100);
	}
	scene->shards[0].routing.routings.bytes -= ROUTINGS_BYTES_MAX - 1;
	for (int i = 0; i < PUBLISHERS; i++)
		peer_hears_ack(&peers[i], MQTT_PUBREC, 1, 0);
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), PUBLISHERS);
	for (int i = 0; i < PUBLISHERS; i++)
		peer_vanish(&peers[i]);
	peer_vanish(&hostile);
	peer_vanish(&to);
}

/* What the first slice finds has no room, which says nothing about the rest: the publisher is answered once, when all
 * have it. */
static void answered_once(struct shard_scene *scene, uint8_t qos)
{
	uint8_t answer = qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
	struct far_peer hostile = peer_sign_in(scene, PEER_CONNECT(.id = "hostile", .shard = 1), false);
	subscribe_to_all(&hostile, "/y");
	struct far_peer away = peer_sign_in(scene, PEER_CONNECT(.id = "away", .expiry_s = 1000), false);
	peer_subscribe(&away, "#", 1);
	peer_vanish(&away);
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "+/+/+/+/+/+/+/+/+/+/+/+/+/#", 0);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "fills", "0", 1, 1);
	peer_hears_ack(&from, MQTT_PUBACK, 1, 0);
	peer_publish(&from, TOPIC_BELOW, "1", qos, 2);
	peer_hears_ack(&from, answer, 2, 0);
	peer_hears_publish(&to, TOPIC_BELOW, "1", 0);
	peer_hears_nothing(&from);
	assert_true(shard_scene_counter(scene, 0, COUNTER_publisher_pauses) > 0);
	assert_true(shard_scene_counter(scene, 0, COUNTER_messages_dropped_queue_full) > 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_refused), 0);
	peer_vanish(&hostile);
	peer_vanish(&to);
	peer_vanish(&from);
	away = peer_sign_in(scene, PEER_CONNECT(.id = "away", .clean = true), false);
	peer_vanish(&away);
}

static void test_is_answered_once(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_drops_newest = true;
	scene->settings.queue_messages_max = 1;
	answered_once(scene, 1);
	answered_once(scene, 2);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_a_walk_for_nothing),
		IN_SCENE(test_many_overlapping_subscriptions),
		IN_SCENE(test_is_retained_once),
		IN_SCENE(test_the_publisher_goes),
		IN_SCENE(test_gone_while_its_message_is_put_off),
		IN_SCENE(test_the_publisher_turns_out_to_be_gone),
		IN_SCENE(test_many_wills),
		IN_SCENE(test_too_many_at_once),
		IN_SCENE(test_is_answered_once),
		IN_SCENE(test_the_publisher_breaks_in_the_first_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
