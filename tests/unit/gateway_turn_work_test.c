/* The work of a turn is bounded, whoever sends what; it is counted in units, so that no test needs a clock. */
#include "mqtt/encode.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* A read's worth of PINGREQ: each is the smallest packet that there is, and is answered. */
#define PINGS (IO_READ_BYTES / 2)

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
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

static uint64_t largest_turn(const struct shard_scene *scene)
{
	return atomic_load(&scene->shards[0].counters.turn_work_max);
}

static uint64_t largest_step(const struct shard_scene *scene)
{
	return atomic_load(&scene->shards[0].counters.step_work_max);
}

static void say_pings(const struct far_peer *peer)
{
	static uint8_t pings[PINGS * 2];
	for (size_t i = 0; i < sizeof(pings); i += 2)
		pings[i] = MQTT_PINGREQ << 4;
	peer_say(peer, pings, sizeof(pings));
}

static void a_flood_of_packets_takes_several_turns(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer flood = peer_sign_in(scene, PEER_CONNECT(.id = "flood"), false);
	uint64_t before = shard_scene_counter(scene, 0, COUNTER_packets_in);
	say_pings(&flood);
	shard_scene_turn_one(scene, 0);
	uint64_t in = shard_scene_counter(scene, 0, COUNTER_packets_in) - before;
	assert_in_range(in, 1, WORK_SHARE_PACKETS);
	assert_in_range(largest_turn(scene), in, WORK_SHARE_PACKETS + WORK_READ + largest_step(scene));
	assert_int_not_equal(shard_scene_counter(scene, 0, COUNTER_work_pauses), 0);
	assert_int_equal(peer_counts(&flood, MQTT_PINGRESP), PINGS);
	assert_in_range(largest_turn(scene), in, WORK_SHARE_PACKETS + WORK_READ + largest_step(scene));
	peer_leave(&flood);
}

#define FLOODS 6u

/* All are served in the order in which they came: who came last waits for those before him and for nobody twice. */
static void nobody_waits_for_anybody_twice(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer floods[FLOODS];
	char id[16];
	for (uint32_t i = 0; i < FLOODS; i++) {
		snprintf(id, sizeof(id), "flood%u", i);
		floods[i] = peer_sign_in(scene, PEER_CONNECT(.id = id), false);
	}
	struct far_peer last = peer_sign_in(scene, PEER_CONNECT(.id = "last"), false);
	for (uint32_t i = 0; i < FLOODS; i++)
		say_pings(&floods[i]);
	shard_scene_turn_one(scene, 0);
	peer_say(&last, "\xc0\0", 2);
	/* All floods again, so that they are never through. */
	for (uint32_t i = 0; i < FLOODS; i++)
		say_pings(&floods[i]);
	struct heard heard;
	uint32_t turns = 0;
	while (!peer_heard(&last, &heard)) {
		shard_scene_turn_one(scene, 0);
		turns++;
	}
	assert_int_equal(heard.header.type, MQTT_PINGRESP);
	/* At least a read of each is gone through before it comes round again, and at most a share of it a turn. */
	assert_in_range(turns, 1, FLOODS * 2 + 2);
	for (uint32_t i = 0; i < FLOODS; i++) {
		assert_int_equal(peer_counts(&floods[i], MQTT_PINGRESP), 2 * PINGS);
		peer_leave(&floods[i]);
	}
	peer_leave(&last);
}

/* A reader that goes on after a while takes a turn's work for what it is written then. */
static void output_that_waited_is_work(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_bytes_max = 1 << 20;
	struct far_peer slow = peer_sign_in(scene, PEER_CONNECT(.id = "slow", .send_bytes = 4096), false);
	peer_subscribe(&slow, "t", 0);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	static uint8_t payload[4096];
	struct mqtt_publish publish = {.topic = slice_string("t"), .payload = slice_of(payload, sizeof(payload))};
	for (int i = 0; i < 40; i++)
		peer_publish_as(&from, &publish);
	shard_scene_settle(scene);
	uint64_t waiting = scene->shards[0].mem.io.backlog_bytes;
	assert_true(waiting != 0);
	struct heard heard;
	assert_true(peer_heard(&slow, &heard));
	uint64_t before = scene->shards[0].loop.work.spent;
	shard_scene_turn_one(scene, 0);
	uint64_t written = waiting - scene->shards[0].mem.io.backlog_bytes;
	assert_true(written != 0);
	assert_in_range(scene->shards[0].loop.work.spent - before, WORK_WRITE + written / WORK_UNIT_BYTES,
			2 * WORK_WRITE + written / WORK_UNIT_BYTES);
	peer_vanish(&slow);
	peer_leave(&from);
}

static void many_clients_share_a_turn(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peers[64];
	char id[16];
	for (uint32_t i = 0; i < 64; i++) {
		snprintf(id, sizeof(id), "p%u", i);
		peers[i] = peer_sign_in(scene, PEER_CONNECT(.id = id), false);
	}
	for (uint32_t i = 0; i < 64; i++)
		say_pings(&peers[i]);
	uint32_t turns = 0;
	while (shard_scene_counter(scene, 0, COUNTER_packets_in) != 64 * PINGS) {
		shard_scene_turn_one(scene, 0);
		turns++;
	}
	assert_in_range(turns, 64 * PINGS / WORK_SHARE_PACKETS, 64 * PINGS / WORK_SHARE_PACKETS * 2);
	uint64_t read = WORK_READ + IO_READ_BYTES / WORK_UNIT_BYTES; /* the last one of a share passes it */
	assert_in_range(largest_turn(scene), WORK_SHARE_PACKETS,
			WORK_SHARE_PACKETS + WORK_SHARE_FRESH + 2 * (read + largest_step(scene)));
	for (uint32_t i = 0; i < 64; i++)
		peer_vanish(&peers[i]);
}

/* Turns are short, and still the shard knows how long clients wait for it. */
static void lag_is_that_of_a_round(void **state)
{
	struct shard_scene *scene = *state;
	static struct far_peer peers[64];
	char id[16];
	for (uint32_t i = 0; i < 64; i++) {
		snprintf(id, sizeof(id), "p%u", i);
		peers[i] = peer_sign_in(scene, PEER_CONNECT(.id = id), false);
	}
	for (uint32_t i = 0; i < 64; i++)
		say_pings(&peers[i]);
	uint32_t most_ms = 0;
	while (shard_scene_counter(scene, 0, COUNTER_packets_in) != 64 * PINGS) {
		shard_scene_pass_ms(scene, 4);
		shard_scene_turn_one(scene, 0);
		uint32_t lag_ms = scene->shards[0].loop.overload.lag_ms;
		most_ms = lag_ms > most_ms ? lag_ms : most_ms;
	}
	assert_in_range(most_ms, 200, 64 * PINGS / WORK_SHARE_PACKETS * 4 * 2);
	for (uint32_t i = 0; i < 64; i++)
		peer_vanish(&peers[i]);
}

/* ---- packets with very many filters ---- */

#define FILTERS 250000u

/* So many have a fault in the last. */
#define BAD_FILTERS (FILTERS - 1)

/* SUBSCRIBE or UNSUBSCRIBE of `count` filters of one character, of which there are `distinct` different ones. */
static void say_filters(const struct far_peer *peer, uint8_t type, uint16_t packet_id, uint32_t count,
			uint32_t distinct)
{
	static uint8_t bytes[FILTERS * 4 + 16];
	size_t body =
		2u + (peer->version == MQTT_VERSION_5 ? 1u : 0u) + (size_t)count * (type == MQTT_SUBSCRIBE ? 4 : 3);
	size_t at = 0;
	bytes[at++] = (uint8_t)(type << 4 | 2);
	for (size_t left = body; at == 1 || left != 0; left >>= 7)
		bytes[at++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
	bytes[at++] = (uint8_t)(packet_id >> 8);
	bytes[at++] = (uint8_t)packet_id;
	if (peer->version == MQTT_VERSION_5)
		bytes[at++] = 0;
	for (uint32_t i = 0; i < count; i++) {
		bytes[at++] = 0;
		bytes[at++] = 1;
		bytes[at++] = (uint8_t)('A' + i % distinct);
		if (type == MQTT_SUBSCRIBE)
			bytes[at++] = 1;
	}
	if (type == MQTT_SUBSCRIBE && count == BAD_FILTERS)
		bytes[at - 1] = 3; /* there is no QoS 3 */
	peer_say(peer, bytes, at);
}

static void hears_codes(struct far_peer *peer, uint8_t type, uint16_t packet_id, uint32_t count)
{
	struct heard heard;
	assert_true(peer_hears(peer, &heard));
	assert_int_equal(heard.header.type, type);
	assert_int_equal(heard.suback.packet_id, packet_id);
	assert_int_equal(heard.suback.codes.size, count);
}

/* No turn is longer than the shares of its parts, and one step of each. */
static void turns_are_short(const struct shard_scene *scene)
{
	uint64_t shares = WORK_SHARE_MAIL + WORK_SHARE_PACKETS + WORK_SHARE_FILTERS;
	assert_in_range(largest_step(scene), 1, WORK_SHARE_PACKETS + 1000);
	assert_in_range(largest_turn(scene), 1, shares + 3 * largest_step(scene));
}

static void many_filters_take_several_turns(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer many = peer_sign_in(scene, PEER_CONNECT(.id = "many"), false);
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	say_filters(&many, MQTT_SUBSCRIBE, 1, FILTERS / 2, 20);
	say_filters(&many, MQTT_UNSUBSCRIBE, 2, FILTERS, 26);
	say_filters(&many, MQTT_SUBSCRIBE, 3, 100, 26);
	peer_say(&many, "\xc0\0", 2);
	struct heard heard;
	uint32_t turns = 0;
	while (scene->shards[0].sessions.filter_jobs == NULL)
		shard_scene_turn_one(scene, 0);
	/* The other one is served in each turn meanwhile. */
	for (; scene->shards[0].sessions.filter_jobs != NULL; turns++) {
		peer_say(&other, "\xc0\0", 2);
		shard_scene_turn_one(scene, 0);
		assert_true(peer_heard(&other, &heard));
		assert_int_equal(heard.header.type, MQTT_PINGRESP);
	}
	assert_in_range(turns, FILTERS / 2 / WORK_SHARE_FILTERS, UINT32_MAX);
	hears_codes(&many, MQTT_SUBACK, 1, FILTERS / 2);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_filter_pauses), 2);
	hears_codes(&many, MQTT_UNSUBACK, 2, FILTERS);
	hears_codes(&many, MQTT_SUBACK, 3, 100);
	assert_true(peer_hears(&many, &heard));
	assert_int_equal(heard.header.type, MQTT_PINGRESP);
	turns_are_short(scene);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_subscriptions_open), 26);
	peer_leave(&many);
	peer_leave(&other);
}

/* The codes stand in the order of the filters, also where some were done in one turn and some in another. */
static void codes_stand_in_order(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "p"), false);
	struct heard heard;
	say_filters(&peer, MQTT_SUBSCRIBE, 1, 15, 15);
	hears_codes(&peer, MQTT_SUBACK, 1, 15);
	say_filters(&peer, MQTT_UNSUBSCRIBE, 2, 20000, 26);
	assert_true(peer_hears(&peer, &heard));
	assert_int_not_equal(shard_scene_counter(scene, 0, COUNTER_filter_pauses), 0);
	assert_int_equal(heard.suback.codes.size, 20000);
	for (uint32_t i = 0; i < 20000; i++)
		assert_int_equal(heard.suback.codes.data[i],
				 i < 15 ? MQTT_REASON_SUCCESS : MQTT_REASON_NO_SUBSCRIPTION_EXISTED);
	peer_leave(&peer);
}

static void client_may_end_in_the_middle(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "p", .expiry_s = 60), false);
	say_filters(&peer, MQTT_SUBSCRIBE, 1, FILTERS, 26);
	while (scene->shards[0].sessions.filter_jobs == NULL)
		shard_scene_turn_one(scene, 0);
	/* Taken over: the new connection has nothing to do with it. */
	struct far_peer next = peer_sign_in(scene, PEER_CONNECT(.id = "p", .expiry_s = 60), true);
	peer_hears_disconnect(&peer, MQTT_REASON_SESSION_TAKEN_OVER);
	assert_null(scene->shards[0].sessions.filter_jobs);
	peer_hears_nothing(&next);
	say_filters(&next, MQTT_UNSUBSCRIBE, 9, FILTERS, 26);
	while (scene->shards[0].sessions.filter_jobs == NULL)
		shard_scene_turn_one(scene, 0);
	peer_vanish(&next);
	assert_null(scene->shards[0].sessions.filter_jobs);
	next = peer_sign_in(scene, PEER_CONNECT(.id = "p", .clean = true), false);
	peer_leave(&next);
}

/* What is wrong at the end of a long packet is found before its first filter is subscribed to. */
static void long_packet_is_checked_first(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "p"), false);
	say_filters(&peer, MQTT_SUBSCRIBE, 1, BAD_FILTERS, 26);
	peer_hears_disconnect(&peer, MQTT_REASON_PROTOCOL_ERROR);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_pool_subscriptions_free), 0);
	turns_are_short(scene);
}

/* ---- many that end at once ---- */

#define HEIRS 60u
#define DYING 250u

static void sign_in_many(struct shard_scene *scene, struct far_peer *peers, uint32_t count, const char *will_topic)
{
	char id[16];
	for (uint32_t i = 0; i < count; i++) {
		snprintf(id, sizeof(id), "%s%u", will_topic != NULL ? "dying" : "heir", i);
		peers[i] = peer_sign_in(scene, PEER_CONNECT(.id = id, .will_topic = will_topic), false);
	}
}

static void wills_of_many_take_several_turns(void **state)
{
	struct shard_scene *scene = *state;
	static struct far_peer heirs[HEIRS], dying[DYING];
	sign_in_many(scene, heirs, HEIRS, NULL);
	for (uint32_t i = 0; i < HEIRS; i++)
		peer_subscribe(&heirs[i], "w", 0);
	sign_in_many(scene, dying, DYING, "w");
	for (uint32_t i = 0; i < DYING; i++)
		peer_drop(&dying[i]);
	uint32_t turns = 0;
	while (shard_scene_counter(scene, 0, COUNTER_messages_out) != (uint64_t)HEIRS * DYING) {
		shard_scene_turn_one(scene, 0);
		turns++;
	}
	assert_in_range(turns, (uint64_t)HEIRS * DYING * WORK_DELIVERY / WORK_SHARE_OWN, 100);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_wills_sent), DYING);
	/* None is far above the share: one message in excess, and what the ends themselves take. */
	assert_in_range(largest_turn(scene), 1, WORK_SHARE_OWN + HEIRS * (WORK_DELIVERY + WORK_WRITE) + DYING * 100);
	for (uint32_t i = 0; i < HEIRS; i++) {
		assert_int_equal(peer_counts(&heirs[i], MQTT_PUBLISH), DYING);
		peer_leave(&heirs[i]);
	}
}

/* ---- sessions with much in them ---- */

#define SUBSCRIPTIONS 12000u

static void allow_subscriptions(struct shard_scene *scene)
{
	scene->settings.client_subscriptions_max = 2 * SUBSCRIPTIONS;
	scene->shards[0].sessions.subscriptions.client_max = 2 * SUBSCRIPTIONS;
}

/* Subscribes to `prefix`0, `prefix`1, ..., and hears that. */
static void subscribes_to_many(struct far_peer *peer, const char *prefix, uint32_t count)
{
	static uint8_t bytes[SUBSCRIPTIONS * 40];
	static struct mqtt_subscription asked[SUBSCRIPTIONS];
	static char filters[SUBSCRIPTIONS][24];
	for (uint32_t i = 0; i < count; i++) {
		snprintf(filters[i], sizeof(filters[i]), "%s%u", prefix, i);
		asked[i] = (struct mqtt_subscription){.filter = slice_string(filters[i]), .qos = 1};
	}
	size_t size = mqtt_subscribe_encode(7, 0, asked, count, peer->version, bytes, sizeof(bytes));
	assert_int_not_equal(size, 0);
	peer_say(peer, bytes, size);
	hears_codes(peer, MQTT_SUBACK, 7, count);
}

static void ends_are_short(const struct shard_scene *scene)
{
	turns_are_short(scene);
	assert_in_range(largest_turn(scene), 1, WORK_SHARE_PACKETS + 2 * WORK_SHARE_ENDS);
}

static void large_session_is_freed_over_turns(void **state)
{
	struct shard_scene *scene = *state;
	allow_subscriptions(scene);
	struct far_peer large = peer_sign_in(scene, PEER_CONNECT(.id = "large"), false);
	subscribes_to_many(&large, "f/", SUBSCRIPTIONS);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_subscriptions_open), SUBSCRIPTIONS);
	peer_drop(&large);
	shard_scene_turn_one(scene, 0);
	assert_non_null(scene->shards[0].sessions.cleanups);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_connections_open), 0);
	/* Its id is free already. */
	struct far_peer next = peer_connect(scene, PEER_CONNECT(.id = "large"));
	shard_scene_turn_one(scene, 0);
	struct heard heard;
	assert_true(peer_heard(&next, &heard));
	assert_false(heard.connack.session_present);
	assert_non_null(scene->shards[0].sessions.cleanups);
	uint32_t turns = 2;
	for (; scene->shards[0].sessions.cleanups != NULL; turns++)
		shard_scene_turn_one(scene, 0);
	assert_in_range(turns, SUBSCRIPTIONS * 4 / WORK_SHARE_ENDS, 100);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_subscriptions_open), 0);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	ends_are_short(scene);
	peer_leave(&next);
}

/* What a session is owed of retained messages is freed with the rest of it, in shares. */
static void what_is_owed_is_freed_over_turns(void **state)
{
	struct shard_scene *scene = *state;
	const struct pool *jobs = &scene->shards[0].sessions.retained_jobs.jobs;
	allow_subscriptions(scene);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	for (uint16_t i = 1; i <= 100; i++) {
		char topic[8];
		snprintf(topic, sizeof(topic), "r/%u", i);
		peer_publish_as(&from, &(struct mqtt_publish){.topic = slice_string(topic),
							      .payload = slice_string("m"),
							      .qos = 1,
							      .packet_id = i,
							      .retain = true});
		peer_hears_ack(&from, MQTT_PUBACK, i, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	}
	/* It acknowledges nothing: the first subscription's messages hold up those of all that follow. */
	struct far_peer large = peer_sign_in(scene, PEER_CONNECT(.id = "large", .receive_max = 1), false);
	struct heard heard;
	peer_subscribe(&large, "r/#", 1);
	assert_true(peer_heard(&large, &heard) && heard.header.type == MQTT_PUBLISH);
	subscribes_to_many(&large, "f/", SUBSCRIPTIONS);
	assert_int_equal(jobs->used, SUBSCRIPTIONS + 1);
	peer_drop(&large);
	shard_scene_turn_one(scene, 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_connections_open), 1);
	assert_in_range(jobs->used, SUBSCRIPTIONS / 2, SUBSCRIPTIONS);
	/* Its next session is owed its own meanwhile. */
	struct far_peer next = peer_sign_in(scene, PEER_CONNECT(.id = "large"), false);
	peer_subscribe(&next, "r/7", 1);
	peer_hears_publish(&next, "r/7", "m", 1);
	shard_scene_settle(scene);
	assert_int_equal(jobs->used, 0);
	assert_int_equal(scene->shards[0].sessions.retained_jobs.queues.used, 0);
	ends_are_short(scene);
	peer_leave(&next);
	peer_leave(&from);
}

/* A member whose connection is gone gets nothing, also while its other subscriptions are still to be told. */
static void nothing_is_lost_to_a_session_that_is_being_freed(void **state)
{
	struct shard_scene *scene = *state;
	allow_subscriptions(scene);
	struct far_peer large = peer_sign_in(scene, PEER_CONNECT(.id = "large"), false);
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	struct far_peer sender = peer_sign_in(scene, PEER_CONNECT(.id = "sender"), false);
	peer_subscribe(&other, "$share/g/f/0", 1); /* the last that the cleaning comes to */
	subscribes_to_many(&large, "$share/g/f/", SUBSCRIPTIONS);
	peer_drop(&large);
	shard_scene_turn_one(scene, 0);
	assert_non_null(scene->shards[0].sessions.cleanups);
	for (uint16_t i = 1; i <= 4; i++)
		peer_publish(&sender, "f/0", "m", 1, i);
	shard_scene_turn_one(scene, 0);
	assert_non_null(scene->shards[0].sessions.cleanups);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_out), 4);
	for (uint16_t i = 1; i <= 4; i++)
		peer_hears_publish(&other, "f/0", "m", 1);
	shard_scene_settle(scene);
	assert_null(scene->shards[0].sessions.cleanups);
	ends_are_short(scene);
	peer_leave(&other);
	peer_leave(&sender);
}

/* A session that goes and comes while its shared subscriptions are being told is a member like any other in the end. */
static void session_comes_back_in_the_middle(void **state)
{
	struct shard_scene *scene = *state;
	allow_subscriptions(scene);
	struct far_peer large = peer_sign_in(scene, PEER_CONNECT(.id = "large", .expiry_s = 60), false);
	struct far_peer sender = peer_sign_in(scene, PEER_CONNECT(.id = "sender"), false);
	subscribes_to_many(&large, "$share/g/f/", SUBSCRIPTIONS);
	for (uint32_t round = 0; round < 3; round++) {
		peer_drop(&large);
		shard_scene_turn_one(scene, 0);
		assert_non_null(scene->shards[0].sessions.cleanups);
		large = peer_connect(scene, PEER_CONNECT(.id = "large", .expiry_s = 60));
		shard_scene_turn_one(scene, 0);
		assert_non_null(scene->shards[0].sessions.cleanups);
		struct heard heard;
		assert_true(peer_heard(&large, &heard) && heard.connack.session_present);
		if (round == 0)
			peer_unsubscribe(&large, "$share/g/f/1");
	}
	shard_scene_settle(scene);
	assert_null(scene->shards[0].sessions.cleanups);
	/* All of them are live: a second member takes turns with it, whichever filter it is. */
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	for (uint32_t i = 0; i < SUBSCRIPTIONS; i += SUBSCRIPTIONS / 4) {
		char topic[24], filter[40];
		snprintf(topic, sizeof(topic), "f/%u", i);
		snprintf(filter, sizeof(filter), "$share/g/%s", topic);
		peer_subscribe(&other, filter, 0);
		peer_publish(&sender, topic, "m", 0, 0);
		peer_publish(&sender, topic, "m", 0, 0);
		peer_hears_publish(&other, topic, "m", 0);
		peer_hears_publish(&large, topic, "m", 0);
		peer_hears_nothing(&other);
	}
	ends_are_short(scene);
	peer_disconnect(&large, 0, 0);
	peer_hears_end(&large);
	peer_leave(&other);
	peer_leave(&sender);
}

/* Floods have used the turn up: who says something now and then is answered in it all the same, once. */
static void rare_packets_do_not_wait_behind_floods(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer flood = peer_sign_in(scene, PEER_CONNECT(.id = "flood"), false);
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	struct far_peer rare = peer_sign_in(scene, PEER_CONNECT(.id = "rare"), false);
	say_pings(&flood);
	say_pings(&other);
	shard_scene_turn_one(scene, 0);
	peer_say(&rare, "\xc0\0\xc0\0", 4);
	shard_scene_turn_one(scene, 0);
	struct heard heard;
	assert_true(peer_heard(&rare, &heard));
	assert_false(peer_heard(&rare, &heard));
	assert_true(largest_turn(scene) <= WORK_SHARE_PACKETS + WORK_SHARE_FRESH);
	assert_int_equal(peer_counts(&flood, MQTT_PINGRESP), PINGS);
	assert_int_equal(peer_counts(&other, MQTT_PINGRESP), PINGS);
	assert_int_equal(peer_counts(&rare, MQTT_PINGRESP), 1);
	peer_leave(&rare);
	peer_leave(&other);
	peer_leave(&flood);
}

/* ---- queues ---- */

#define SESSIONS 100u
#define QUEUED 500u

static void publish_many(const struct far_peer *sender, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		peer_publish(sender, "t", "m", 1, (uint16_t)(i + 1));
	shard_scene_settle(sender->scene);
}

static void sessions_with_queues_share_turns(void **state)
{
	struct shard_scene *scene = *state;
	static struct far_peer peers[SESSIONS];
	char id[16];
	scene->settings.queue_messages_max = QUEUED;
	scene->settings.inflight_max = UINT16_MAX;
	for (uint32_t i = 0; i < SESSIONS; i++) {
		snprintf(id, sizeof(id), "p%u", i);
		peers[i] = peer_sign_in(scene, PEER_CONNECT(.id = id, .expiry_s = 60), false);
		peer_subscribe(&peers[i], "t", 1);
		peer_drop(&peers[i]);
	}
	struct far_peer sender = peer_sign_in(scene, PEER_CONNECT(.id = "sender"), false);
	publish_many(&sender, QUEUED);
	uint64_t before = shard_scene_counter(scene, 0, COUNTER_messages_out);
	atomic_store(&scene->shards[0].counters.turn_work_max, 0);
	for (uint32_t i = 0; i < SESSIONS; i++) {
		snprintf(id, sizeof(id), "p%u", i);
		peers[i] = peer_connect(scene, PEER_CONNECT(.id = id, .expiry_s = 60));
	}
	uint32_t turns = 0;
	for (; shard_scene_counter(scene, 0, COUNTER_messages_out) != before + SESSIONS * QUEUED; turns++)
		shard_scene_turn_one(scene, 0);
	assert_in_range(turns, SESSIONS * QUEUED * WORK_DELIVERY / WORK_SHARE_ADMISSIONS, 100);
	assert_in_range(largest_turn(scene), 1, WORK_SHARE_ADMISSIONS + QUEUED * (WORK_DELIVERY + 1) + 1000);
	for (uint32_t i = 0; i < SESSIONS; i++) {
		assert_int_equal(peer_counts(&peers[i], MQTT_PUBLISH), QUEUED);
		peer_disconnect(&peers[i], 0, 0);
		peer_hears_end(&peers[i]);
	}
	peer_leave(&sender);
}

/* Searching the window from its beginning for each would be 50 million looks. */
static void acknowledgements_in_reverse_cost_no_more(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.inflight_max = UINT16_MAX;
	scene->settings.queue_messages_max = UINT16_MAX;
	scene->settings.queue_bytes_max = 8 << 20;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "p"), false);
	struct far_peer sender = peer_sign_in(scene, PEER_CONNECT(.id = "sender"), false);
	peer_subscribe(&peer, "t", 1);
	enum { MESSAGES = 10000 };
	publish_many(&sender, MESSAGES);
	assert_int_equal(peer_counts(&peer, MQTT_PUBLISH), MESSAGES);
	static uint8_t acks[MESSAGES * 4];
	for (uint32_t i = 0; i < MESSAGES; i++)
		memcpy(acks + (size_t)i * 4,
		       (const uint8_t[]){MQTT_PUBACK << 4, 2, (uint8_t)((MESSAGES - i) >> 8), (uint8_t)(MESSAGES - i)},
		       4);
	peer_say(&peer, acks, sizeof(acks));
	uint32_t turns = 0;
	for (; scene->shards[0].mem.flows.entries.used != 0; turns++)
		shard_scene_turn_one(scene, 0);
	assert_in_range(turns, 1, 20);
	assert_in_range(scene->shards[0].mem.flows.looks, 1, MESSAGES * 16);
	turns_are_short(scene);
	peer_leave(&peer);
	peer_leave(&sender);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		CASE(a_flood_of_packets_takes_several_turns),
		CASE(nobody_waits_for_anybody_twice),
		CASE(rare_packets_do_not_wait_behind_floods),
		CASE(output_that_waited_is_work),
		CASE(many_clients_share_a_turn),
		CASE(lag_is_that_of_a_round),
		CASE(many_filters_take_several_turns),
		CASE(codes_stand_in_order),
		CASE(client_may_end_in_the_middle),
		CASE(long_packet_is_checked_first),
		CASE(wills_of_many_take_several_turns),
		CASE(large_session_is_freed_over_turns),
		CASE(what_is_owed_is_freed_over_turns),
		CASE(nothing_is_lost_to_a_session_that_is_being_freed),
		CASE(session_comes_back_in_the_middle),
		CASE(sessions_with_queues_share_turns),
		CASE(acknowledgements_in_reverse_cost_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
