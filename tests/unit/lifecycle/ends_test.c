/* Hundreds that end at once: more than a turn has work for, so that many are noted and wait. Meanwhile others come,
 * take over, publish to them, and the server drains; and what ends one may be found while another ends. */
#include "base/log.h"
#include "mqtt/encode.h"
#include "peer.h"
#include "shard/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HOUR_S 3600u
/* A turn has work for about 100 of them. */
#define MANY 350u

static char names[MANY][8];
static struct far_peer many[MANY];

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
	for (uint32_t i = 0; i < MANY; i++)
		snprintf(names[i], sizeof(names[i]), "m%u", i);
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

static uint32_t noted(const struct shard_scene *scene)
{
	return endings_waiting(&scene->shards[0].sessions.endings);
}

static void all_come(struct shard_scene *scene, struct peer_connect connect)
{
	scene->settings.sessions_offline_max = MANY;
	for (uint32_t i = 0; i < MANY; i++) {
		connect.id = names[i];
		many[i] = peer_sign_in(scene, &connect, false);
	}
}

static void drop_all(uint32_t from)
{
	for (uint32_t i = from; i < MANY; i++)
		peer_drop(&many[i]);
}

/* They end in one turn, and most of them have to wait: returns how many. */
static uint32_t end_some(struct shard_scene *scene)
{
	shard_scene_turn_one(scene, 0);
	assert_true(noted(scene) > 50);
	return noted(scene);
}

/* What gates hand over waits in a socket, which is full at some time: then the shard takes a turn. */
static struct far_peer connect_soon(struct shard_scene *scene, const char *id, uint32_t expiry_s, bool clean)
{
	static uint32_t count;
	if (++count % 100 == 0)
		shard_scene_turn_one(scene, 0);
	return peer_connect(scene, PEER_CONNECT(.id = id, .expiry_s = expiry_s, .clean = clean));
}

static struct far_peer heir_of(struct shard_scene *scene)
{
	scene->settings.queue_messages_max = 2 * MANY;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "heir"), false);
	peer_subscribe(&peer, "w", 1);
	return peer;
}

/* Returns how many come, each taken to its end. */
static uint32_t take_wills(struct far_peer *heir)
{
	struct heard heard;
	uint32_t count = 0;
	for (; peer_hears(heir, &heard); count++) {
		assert_int_equal(heard.header.type, MQTT_PUBLISH);
		struct mqtt_publish publish = heard.publish;
		peer_completes(heir, &publish);
	}
	return count;
}

static void test_each_will_goes_out_once(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	all_come(scene, (struct peer_connect){.will_topic = "w", .will_qos = 1});
	drop_all(0);
	end_some(scene);
	assert_int_equal(take_wills(&heir), MANY);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_CONNECTION_LOST), MANY);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	peer_vanish(&heir);
}

/* Those who come back while their end waits in the line go on with their sessions, and end once. */
static void test_taken_over_while_noted(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	all_come(scene, (struct peer_connect){.will_topic = "w", .will_qos = 1, .expiry_s = HOUR_S});
	drop_all(0);
	uint32_t waiting = end_some(scene);
	for (uint32_t i = 0; i < MANY; i++)
		many[MANY - 1 - i] = connect_soon(scene, names[MANY - 1 - i], HOUR_S, false); /* the last ones first */
	assert_true(noted(scene) < waiting);
	for (uint32_t i = 0; i < MANY; i++) {
		struct heard heard;
		assert_true(peer_hears(&many[i], &heard));
		assert_int_equal(heard.header.type, MQTT_CONNACK);
		assert_true(heard.connack.session_present);
	}
	assert_int_equal(take_wills(&heir), MANY);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_CONNECTION_LOST), MANY);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_TAKEN_OVER), 0);
	assert_int_equal(scene->sessions_offline, 0);
	for (uint32_t i = 0; i < MANY; i++)
		peer_hears_nothing(&many[i]);
	for (uint32_t i = 0; i < MANY; i++)
		peer_vanish(&many[i]);
	peer_vanish(&heir);
}

/* A clean start frees the place of one that is noted, and it is given to a newcomer at once: what was noted is not
 * about that one. */
static void test_places_are_used_again_while_noted(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	all_come(scene, (struct peer_connect){.will_topic = "w", .will_qos = 1, .expiry_s = HOUR_S});
	drop_all(0);
	end_some(scene);
	uint32_t touched = scene->shards[0].mem.clients.touched;
	struct far_peer strangers[MANY];
	for (uint32_t i = 0; i < MANY; i++) {
		char id[8];
		snprintf(id, sizeof(id), "s%u", i);
		many[i] = connect_soon(scene, names[i], 0, true);
		strangers[i] = connect_soon(scene, id, 0, false);
	}
	shard_scene_settle(scene);
	for (uint32_t i = 0; i < MANY; i++) {
		struct heard heard;
		assert_true(peer_hears(&many[i], &heard));
		assert_int_equal(heard.header.type, MQTT_CONNACK);
		assert_false(heard.connack.session_present);
		assert_true(peer_hears(&strangers[i], &heard));
		assert_int_equal(heard.header.type, MQTT_CONNACK);
		assert_false(heard.connack.session_present);
	}
	assert_true(scene->shards[0].mem.clients.touched < touched + 2 * MANY);
	assert_int_equal(take_wills(&heir), MANY);
	assert_int_equal(shard_scene_clients(scene, 0), 2 * MANY + 1);
	for (uint32_t i = 0; i < MANY; i++) {
		peer_hears_nothing(&many[i]);
		peer_hears_nothing(&strangers[i]);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		peer_vanish(&many[i]);
		peer_vanish(&strangers[i]);
	}
	peer_vanish(&heir);
}

/* Their time is over in one second, and some come back in that very second or just behind it. */
static void test_sessions_expire_together(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer heir = heir_of(scene);
	all_come(scene, (struct peer_connect){.will_topic = "w", .will_qos = 1, .will_delay_s = 30, .expiry_s = 30});
	drop_all(0);
	shard_scene_settle(scene);
	assert_int_equal(scene->sessions_offline, MANY);
	shard_scene_pass_ms(scene, 31000);
	for (uint32_t i = 0; i < MANY; i += 2)
		many[i] = connect_soon(scene, names[i], 0, false);
	shard_scene_settle(scene);
	for (uint32_t i = 0; i < MANY; i += 2) {
		struct heard heard;
		assert_true(peer_hears(&many[i], &heard));
		assert_int_equal(heard.header.type, MQTT_CONNACK);
		assert_false(heard.connack.session_present);
		peer_hears_nothing(&many[i]);
	}
	shard_scene_pass_ms(scene, 1000); /* the wheel's tick */
	assert_int_equal(take_wills(&heir), MANY);
	assert_int_equal(scene->sessions_offline, 0);
	assert_int_equal(shard_scene_clients(scene, 0), 1 + (MANY + 1) / 2);
	for (uint32_t i = 0; i < MANY; i += 2)
		peer_vanish(&many[i]);
	peer_vanish(&heir);
}

/* ---- shared subscriptions ---- */

/* A member whose end waits in the line gets nothing more: what is published meanwhile, and what it had, goes to those
 * who are there. */
static void test_members_that_are_noted(void **state)
{
	struct shard_scene *scene = *state;
	enum { MESSAGES = 40 };
	scene->settings.queue_messages_max = 1000;
	all_come(scene, (struct peer_connect){.id = NULL});
	struct far_peer stays = peer_sign_in(scene, PEER_CONNECT(.id = "stays"), false);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	for (uint32_t i = MANY - 20; i < MANY; i++)
		peer_subscribe(&many[i], "$share/g/t", 1);
	peer_subscribe(&stays, "$share/g/t", 1);
	drop_all(0);
	end_some(scene);
	for (uint16_t i = 1; i <= MESSAGES; i++)
		peer_publish(&from, "t", "x", 1, i);
	shard_scene_turn_one(scene, 0);
	struct heard heard;
	uint32_t acknowledged = 0;
	uint32_t heard_count = 0;
	while (peer_hears(&from, &heard))
		acknowledged += heard.header.type == MQTT_PUBACK && heard.ack.reason == 0;
	while (peer_hears(&stays, &heard)) {
		struct mqtt_publish publish = heard.publish;
		heard_count += heard.header.type == MQTT_PUBLISH;
		peer_completes(&stays, &publish);
	}
	assert_int_equal(acknowledged, MESSAGES);
	assert_int_equal(heard_count, MESSAGES);
	peer_vanish(&stays);
	peer_vanish(&from);
}

/* ---- draining ---- */

static void test_drain_with_ends_noted(void **state)
{
	struct shard_scene *scene = *state;
	enum { LEFT = 20 };
	all_come(scene, (struct peer_connect){.will_topic = "w", .expiry_s = HOUR_S});
	drop_all(LEFT);
	end_some(scene);
	shard_stop(&scene->shards[0], SCENE_START_MS + 100000);
	uint32_t turns = 0;
	while (shard_scene_turn_one(scene, 0))
		assert_true(turns++ < 1000);
	assert_int_equal(noted(scene), 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_connections_open), 0);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_CONNECTION_LOST), MANY - LEFT);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_SERVER_STOPPING), LEFT);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_wills_sent), MANY - LEFT);
	for (uint32_t i = 0; i < LEFT; i++)
		peer_hears_end(&many[i]);
}

/* ---- one end finds another ---- */

/* Each has subscribed to the will of the one before, and its connection is broken: the first that ends brings all of
 * them down, one behind the other, and each will is sent once. */
static void test_wills_that_break_others(void **state)
{
	struct shard_scene *scene = *state;
	enum { CHAIN = 50 };
	struct far_peer heir = heir_of(scene);
	peer_subscribe(&heir, "w/+", 1);
	static char topics[CHAIN + 1][16];
	for (uint32_t i = 0; i <= CHAIN; i++)
		snprintf(topics[i], sizeof(topics[i]), "w/%u", i);
	for (uint32_t i = 0; i < CHAIN; i++) {
		many[i] = peer_sign_in(scene, PEER_CONNECT(.id = names[i], .will_topic = topics[i], .will_qos = 1),
				       false);
		if (i != 0)
			peer_subscribe(&many[i], topics[i - 1], 1);
	}
	for (uint32_t i = 0; i < CHAIN; i++)
		peer_drop(&many[i]);
	assert_int_equal(take_wills(&heir), CHAIN);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_wills_sent), CHAIN);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	peer_vanish(&heir);
}

/* What a client publishes comes back to it, so much that it is written while the packets behind are still to be read,
 * and there is nobody any more: the rest is not read, and its state does not change for it. */
static void test_broken_by_its_own_packets(void **state)
{
	struct shard_scene *scene = *state;
	static char large[3000];
	memset(large, 'x', sizeof(large) - 1);
	scene->settings.queue_bytes_max = 4096;
	for (uint8_t qos = 0; qos <= 2; qos++) {
		struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "c"), false);
		peer_subscribe(&peer, "t", qos);
		for (uint16_t i = 1; i <= 8; i++)
			peer_publish(&peer, "t", large, qos, i);
		peer_drop(&peer);
		shard_scene_settle(scene);
		assert_int_equal(shard_scene_clients(scene, 0), 0);
	}
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_CONNECTION_LOST), 3);
}

/* The same, said behind CONNECT: the greeting already finds nobody. */
static void test_broken_behind_connect(void **state)
{
	struct shard_scene *scene = *state;
	uint8_t rest[20000];
	size_t size = 0;
	static char large[3000];
	memset(large, 'x', sizeof(large) - 1);
	scene->settings.queue_bytes_max = 4096;
	struct mqtt_subscription asked = {.filter = slice_string("t"), .qos = 0};
	size += mqtt_subscribe_encode(1, 0, &asked, 1, MQTT_VERSION_5, rest, sizeof(rest));
	for (uint32_t i = 0; i < 6; i++)
		size += mqtt_publish_encode(
			&(struct mqtt_publish){.topic = slice_string("t"), .payload = slice_string(large)},
			MQTT_VERSION_5, rest + size, sizeof(rest) - size);
	struct far_peer peer = peer_connect(scene, PEER_CONNECT(.id = "c", .rest = slice_of(rest, size)));
	peer_drop(&peer);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_clients(scene, 0), 0);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_each_will_goes_out_once),
		IN_SCENE(test_taken_over_while_noted),
		IN_SCENE(test_places_are_used_again_while_noted),
		IN_SCENE(test_sessions_expire_together),
		IN_SCENE(test_members_that_are_noted),
		IN_SCENE(test_drain_with_ends_noted),
		IN_SCENE(test_wills_that_break_others),
		IN_SCENE(test_broken_by_its_own_packets),
		IN_SCENE(test_broken_behind_connect),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
