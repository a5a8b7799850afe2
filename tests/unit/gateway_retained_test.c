/* Retained messages on their way to new subscriptions: which of them, how, and no faster than their client takes them.
 */
#include "base/log.h"
#include "peer.h"
#include "route/retained_jobs.h"
#include "topics/retained.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

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

static uint64_t counted(const struct shard_scene *scene, enum counter counter)
{
	return shard_scene_counter(scene, 0, counter);
}

static uint64_t retained_count(const struct shard_scene *scene)
{
	return retained_size(scene->retained).messages;
}

/* Subscriptions whose retained messages were not all sent yet. */
static uint32_t owed(const struct shard_scene *scene)
{
	return scene->shards[0].sessions.retained_jobs.jobs.used;
}

static void retain(const struct far_peer *peer, const char *topic, const char *payload, uint8_t qos)
{
	struct mqtt_publish publish = {
		.topic = slice_string(topic),
		.payload = slice_string(payload),
		.packet_id = 1,
		.qos = qos,
		.retain = true,
	};
	peer_publish_as(peer, &publish);
	shard_scene_settle(peer->scene);
}

/* ---- which, and how ---- */

static void test_new_subscription_gets_it(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = 4, .clean = true), false);
	struct far_peer before = peer_sign_in(scene, PEER_CONNECT(.id = "before"), false);
	peer_subscribe(&before, "a/#", 1);
	retain(&from, "a/b", "first", 1);
	retain(&from, "a/b", "newest", 1);
	/* To who is there it is a message like any other. */
	struct mqtt_publish publish = peer_hears_publish(&before, "a/b", "first", 1);
	assert_false(publish.retain);
	peer_completes(&before, &publish);
	publish = peer_hears_publish(&before, "a/b", "newest", 1);
	assert_false(publish.retain);
	peer_completes(&before, &publish);
	for (uint8_t granted = 0; granted <= 2; granted++) {
		struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), false);
		peer_subscribe_as(&to, &(struct mqtt_subscription){.filter = slice_string("+/b"), .qos = granted}, 7);
		publish = peer_hears_publish(&to, "a/b", "newest", granted < 1 ? granted : 1);
		assert_true(publish.retain);
		assert_false(publish.dup);
		assert_true(slice_equal(publish.properties, slice_of("\x0b\7", 2)));
		peer_completes(&to, &publish);
		peer_hears_nothing(&to);
		peer_vanish(&to);
	}
	/* An empty one takes it away, and is delivered. */
	retain(&from, "a/b", "", 1);
	publish = peer_hears_publish(&before, "a/b", "", 1);
	peer_completes(&before, &publish);
	assert_int_equal(retained_count(scene), 0);
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), false);
	peer_subscribe(&to, "a/b", 0);
	peer_hears_nothing(&to);
	peer_vanish(&to);
	peer_vanish(&before);
	peer_vanish(&from);
}

static void test_retain_as_published(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), false);
	struct mqtt_subscription asked = {.filter = slice_string("t"), .qos = 1, .retain_as_published = true};
	peer_subscribe_as(&to, &asked, 0);
	for (uint8_t qos = 0; qos <= 1; qos++) {
		retain(&to, "t", "x", qos);
		assert_true(peer_hears_publish(&to, "t", "x", qos).retain);
		if (qos == 1)
			peer_hears_ack(&to, MQTT_PUBACK, 1, 0);
		peer_publish(&to, "t", "y", qos, 1);
		assert_false(peer_hears_publish(&to, "t", "y", qos).retain);
	}
	peer_vanish(&to);
}

static void test_retain_handling(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	retain(&from, "t", "x", 0);
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .expiry_s = HOUR_S), false);
	struct mqtt_subscription asked = {.filter = slice_string("t")};
	static const struct {
		uint8_t handling;
		bool gets;
	} STEPS[] = {{2, false}, {1, false}, {0, true}, {0, true}, {1, false}, {2, false}};
	for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
		asked.retain_handling = STEPS[i].handling;
		peer_subscribe_as(&to, &asked, 0);
		if (STEPS[i].gets)
			peer_hears_publish(&to, "t", "x", 0);
		peer_hears_nothing(&to);
	}
	peer_unsubscribe(&to, "t");
	asked.retain_handling = 1; /* if it is a new one */
	peer_subscribe_as(&to, &asked, 0);
	peer_hears_publish(&to, "t", "x", 0);
	/* A session that is found again has its subscriptions already. */
	peer_vanish(&to);
	to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .expiry_s = HOUR_S), true);
	peer_subscribe_as(&to, &asked, 0);
	peer_hears_nothing(&to);
	peer_vanish(&to);
	peer_vanish(&from);
}

/* Shared subscriptions get none [4.8.2]; topics that begin with $ are not matched by a leading wildcard. */
static void test_who_gets_none(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	retain(&from, "$x/t", "hidden", 0);
	retain(&from, "t", "x", 0);
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), false);
	peer_subscribe(&to, "$share/g/#", 0);
	peer_hears_nothing(&to);
	peer_subscribe(&to, "#", 0);
	peer_hears_publish(&to, "t", "x", 0);
	peer_hears_nothing(&to);
	peer_subscribe(&to, "$x/#", 0);
	peer_hears_publish(&to, "$x/t", "hidden", 0);
	peer_hears_nothing(&to);
	peer_vanish(&to);
	peer_vanish(&from);
}

static void test_several_filters_in_order(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	retain(&from, "a", "1", 0);
	retain(&from, "b", "2", 0);
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), false);
	static const uint8_t SUBSCRIBE[] = "\x82\x0f\0\1\0\0\1b\0\0\1a\0\0\1b\0";
	peer_say(&to, SUBSCRIBE, sizeof(SUBSCRIBE) - 1);
	struct heard heard;
	assert_true(peer_hears(&to, &heard));
	assert_int_equal(heard.suback.codes.size, 3);
	peer_hears_publish(&to, "b", "2", 0);
	peer_hears_publish(&to, "a", "1", 0);
	peer_hears_publish(&to, "b", "2", 0);
	peer_hears_nothing(&to);
	peer_vanish(&to);
	peer_vanish(&from);
}

/* ---- for how long, how many ---- */

static void test_expiry(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	static const uint8_t EXPIRY_60[] = {0x02, 0, 0, 0, 60};
	struct mqtt_publish message = {
		.topic = slice_string("t"),
		.payload = slice_string("x"),
		.properties = slice_of(EXPIRY_60, sizeof(EXPIRY_60)),
		.retain = true,
	};
	peer_publish_as(&from, &message);
	shard_scene_settle(scene);
	shard_scene_pass_ms(scene, 20000);
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), false);
	peer_subscribe(&to, "t", 0);
	struct mqtt_publish publish = peer_hears_publish(&to, "t", "x", 0);
	assert_true(publish.has_message_expiry);
	assert_int_equal(publish.message_expiry_s, 40);
	shard_scene_pass_ms(scene, 40000);
	peer_subscribe(&to, "t", 0);
	peer_hears_nothing(&to);
	shard_scene_settle(scene); /* and it is swept away */
	assert_int_equal(retained_count(scene), 0);
	peer_vanish(&to);
	peer_vanish(&from);
}

/* However many there are, a shard that has nothing else to do takes them away without a pause, and does not wake up for
 * those whose time is yet to come. */
static void test_many_expire_at_once(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	for (uint32_t i = 0; i < 900; i++) {
		uint8_t expiry[] = {0x02, 0, 0, 0, i < 800 ? 60 : 61};
		char topic[32];
		snprintf(topic, sizeof(topic), "t/%u", i);
		struct mqtt_publish message = {
			.topic = slice_string(topic),
			.payload = slice_string("x"),
			.properties = slice_of(expiry, sizeof(expiry)),
			.retain = true,
		};
		peer_publish_as(&from, &message);
		shard_scene_settle(scene);
	}
	shard_scene_pass_ms(scene, 59000);
	shard_scene_settle(scene);
	assert_int_equal(retained_count(scene), 900);
	assert_true(shard_scene_sleep_ms() > 0);
	shard_scene_pass_ms(scene, 1000);
	shard_scene_turn_one(scene, 0);
	assert_in_range(retained_count(scene), 101, 899); /* bounded in a turn */
	shard_scene_turn_one(scene, 0);
	assert_int_equal(shard_scene_sleep_ms(), 0);
	shard_scene_settle(scene);
	assert_int_equal(retained_count(scene), 100);
	assert_int_equal(counted(scene, COUNTER_retained_expired), 800);
	assert_true(shard_scene_sleep_ms() > 0);
	peer_vanish(&from);
}

/* Who can be told is refused; others have it delivered at least. */
static void test_limit(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), false);
	struct far_peer five = peer_sign_in(scene, PEER_CONNECT(.id = "five"), false);
	struct far_peer four = peer_sign_in(scene, PEER_CONNECT(.id = "four", .version = 4, .clean = true), false);
	for (uint32_t i = 0; i < scene->settings.retained_max; i++) {
		char topic[32];
		snprintf(topic, sizeof(topic), "full/%u", i);
		retain(&five, topic, "x", 0);
	}
	peer_subscribe(&to, "t", 0);
	retain(&five, "t", "refused", 1);
	peer_hears_ack(&five, MQTT_PUBACK, 1, MQTT_REASON_QUOTA_EXCEEDED);
	retain(&five, "t", "refused", 2);
	peer_hears_ack(&five, MQTT_PUBREC, 1, MQTT_REASON_QUOTA_EXCEEDED);
	peer_hears_nothing(&to);
	retain(&five, "t", "at QoS 0", 0);
	peer_hears_publish(&to, "t", "at QoS 0", 0);
	retain(&four, "t", "version 4", 1);
	peer_hears_ack(&four, MQTT_PUBACK, 1, 0);
	peer_hears_publish(&to, "t", "version 4", 0);
	retain(&five, "full/7", "replaced", 1);
	peer_hears_ack(&five, MQTT_PUBACK, 1, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	assert_int_equal(retained_count(scene), scene->settings.retained_max);
	assert_int_equal(counted(scene, COUNTER_retained_refused), 4);
	peer_vanish(&to);
	peer_vanish(&five);
	peer_vanish(&four);
}

/* ---- as fast as they are taken ---- */

#define MANY 600u

static void retain_many(struct shard_scene *scene)
{
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	static char payload[2000];
	memset(payload, 'x', sizeof(payload) - 1);
	for (uint32_t i = 0; i < MANY; i++) {
		char topic[32];
		snprintf(topic, sizeof(topic), "m/%u/%u", i % 7, i);
		payload[sizeof(payload) - 1 - i % 1000] = '\0';
		retain(&from, topic, payload, 1);
		payload[sizeof(payload) - 1 - i % 1000] = 'x';
	}
	payload[sizeof(payload) - 1] = '\0';
	assert_int_equal(retained_count(scene), MANY);
	peer_vanish(&from);
}

/* A message of retain_many(). Returns how many there are that were not seen before. */
static uint32_t take_one(const struct heard *heard, bool seen[MANY])
{
	assert_int_equal(heard->header.type, MQTT_PUBLISH);
	assert_true(heard->publish.retain);
	char topic[32] = "";
	unsigned group;
	unsigned i;
	memcpy(topic, heard->publish.topic.data, heard->publish.topic.size);
	assert_int_equal(sscanf(topic, "m/%u/%u", &group, &i), 2);
	assert_true(i < MANY && (!seen[i] || heard->publish.dup));
	uint32_t count = !seen[i];
	seen[i] = true;
	return count;
}

/* Takes messages of retain_many(), each once, and acknowledges them if told to. */
static uint32_t take_many(struct far_peer *peer, bool seen[MANY], bool acknowledge)
{
	struct heard heard;
	uint32_t count = 0;
	while (peer_hears(peer, &heard)) {
		assert_int_equal(take_one(&heard, seen), 1);
		count++;
		if (acknowledge && heard.publish.qos == 1)
			peer_ack(peer, MQTT_PUBACK, heard.publish.packet_id);
	}
	return count;
}

static void test_slow_reader_gets_all(void **state)
{
	struct shard_scene *scene = *state;
	retain_many(scene);
	for (uint8_t qos = 0; qos <= 1; qos++) {
		bool seen[MANY] = {false};
		struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .send_bytes = 4096), false);
		struct mqtt_subscription asked = {.filter = slice_string("m/#"), .qos = qos};
		peer_ask(&to, &asked, 0);
		shard_scene_settle(scene);
		/* What waits for it is bounded, whatever there is for it. */
		assert_in_range(counted(scene, COUNTER_queue_messages), 0, 64);
		assert_in_range(scene->shards[0].mem.messages.count, 0, 64);
		assert_in_range(scene->shards[0].mem.io.backlog_bytes, 1, 100000);
		struct heard heard;
		assert_true(peer_hears(&to, &heard));
		assert_int_equal(heard.header.type, MQTT_SUBACK);
		assert_int_equal(take_many(&to, seen, true), MANY);
		assert_int_equal(owed(scene), 0);
		assert_int_equal(counted(scene, COUNTER_messages_dropped_queue_full), 0);
		peer_vanish(&to);
	}
}

static void test_waits_for_acknowledgements(void **state)
{
	struct shard_scene *scene = *state;
	retain_many(scene);
	bool seen[MANY] = {false};
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .receive_max = 3), false);
	peer_subscribe(&to, "m/#", 1);
	assert_int_equal(take_many(&to, seen, false), 3);
	assert_in_range(counted(scene, COUNTER_queue_messages), 4, 64);
	for (uint16_t id = 1; id <= 3; id++)
		peer_ack(&to, MQTT_PUBACK, id);
	assert_int_equal(take_many(&to, seen, true), MANY - 3);
	peer_hears_nothing(&to);
	assert_int_equal(counted(scene, COUNTER_queue_messages), 0);
	peer_vanish(&to);
}

/* What comes meanwhile is not held up behind it, and a topic's newest is the last that comes. */
static void test_messages_meanwhile(void **state)
{
	struct shard_scene *scene = *state;
	retain_many(scene);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .receive_max = 1), false);
	peer_subscribe(&to, "m/#", 1);
	for (uint32_t i = 0; i < MANY; i++) {
		char topic[32];
		snprintf(topic, sizeof(topic), "m/%u/%u", i % 7, i);
		if (i % 10 == 0)
			retain(&from, topic, "newest", 0);
	}
	uint32_t newest = 0;
	bool last_is_newest[MANY] = {false};
	struct heard heard;
	while (peer_hears(&to, &heard)) {
		char topic[32] = "";
		unsigned group;
		unsigned i;
		memcpy(topic, heard.publish.topic.data, heard.publish.topic.size);
		assert_int_equal(sscanf(topic, "m/%u/%u", &group, &i), 2);
		last_is_newest[i] = slice_equal(heard.publish.payload, slice_string("newest"));
		newest += last_is_newest[i];
		if (heard.publish.qos == 1)
			peer_ack(&to, MQTT_PUBACK, heard.publish.packet_id);
	}
	assert_in_range(newest, MANY / 10, 2 * MANY / 10);
	peer_vanish(&to);
	peer_vanish(&from);
}

/* ---- in the middle of it ---- */

static struct far_peer begin_many(struct shard_scene *scene, uint32_t expiry_s)
{
	struct far_peer to =
		peer_sign_in(scene, PEER_CONNECT(.id = "to", .receive_max = 1, .expiry_s = expiry_s), false);
	peer_subscribe(&to, "m/#", 1);
	bool seen[MANY] = {false};
	assert_int_equal(take_many(&to, seen, false), 1);
	assert_int_equal(owed(scene), 1);
	return to;
}

static void test_client_goes_in_the_middle(void **state)
{
	struct shard_scene *scene = *state;
	retain_many(scene);
	struct far_peer to = begin_many(scene, 0);
	peer_vanish(&to);
	assert_int_equal(owed(scene), 0);
	assert_int_equal(scene->shards[0].mem.flows.entries.used, 0);
	/* A session that is kept is owed the rest: all come, however often the connection breaks [MQTT-3.3.1-9]. */
	bool seen[MANY] = {false};
	to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .expiry_s = HOUR_S, .receive_max = 10), false);
	peer_subscribe(&to, "m/#", 1);
	uint32_t count = 0;
	for (int connections = 0; count < MANY; connections++) {
		assert_in_range(connections, 0, 8);
		struct heard heard;
		for (int i = 0; i < 100 && peer_hears(&to, &heard); i++) {
			count += take_one(&heard, seen);
			peer_ack(&to, MQTT_PUBACK, heard.publish.packet_id);
			shard_scene_settle(scene);
		}
		peer_vanish(&to);
		assert_true(shard_scene_sleep_ms() != 0); /* what waits costs nothing */
		shard_scene_pass_ms(scene, 1000u * 1000u);
		to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .expiry_s = HOUR_S, .receive_max = 10), true);
	}
	assert_int_equal(owed(scene), 0);
	peer_vanish(&to);
}

/* The tree changes while the session waits: what is retained when it comes back is what it gets. */
static void test_messages_change_while_offline(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_messages_max = 100; /* no live message pushes one out */
	retain_many(scene);
	struct far_peer to = begin_many(scene, HOUR_S);
	peer_vanish(&to);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	for (uint32_t i = 0; i < MANY; i += 2) {
		char topic[32];
		snprintf(topic, sizeof(topic), "m/%u/%u", i % 7, i);
		retain(&from, topic, "", 0);
	}
	retain(&from, "m/new", "1", 1);
	bool seen[MANY] = {false};
	to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), true);
	struct heard heard;
	uint32_t live = 0;
	while (peer_hears(&to, &heard)) {
		if (slice_equal(heard.publish.topic, slice_string("m/new")))
			live += !heard.publish.retain;
		else
			take_one(&heard, seen);
		peer_ack(&to, MQTT_PUBACK, heard.publish.packet_id);
	}
	assert_int_equal(live, 1);
	uint32_t taken_away = 0;
	for (uint32_t i = 0; i < MANY; i++) {
		assert_true(i % 2 == 0 || seen[i]);
		taken_away += i % 2 == 0 && seen[i];
	}
	assert_in_range(taken_away, 0, 64); /* that were in its queue before */
	assert_int_equal(owed(scene), 0);
	peer_vanish(&to);
	peer_vanish(&from);
}

/* What a client that takes nothing waits for is not looked at, and keeps no shard awake. */
static void test_waiting_costs_no_turn(void **state)
{
	struct shard_scene *scene = *state;
	retain_many(scene);
	struct far_peer to = begin_many(scene, 0);
	for (uint32_t i = 0; i < 90; i++) {
		char filter[32];
		snprintf(filter, sizeof(filter), "m/%u/+", i);
		peer_subscribe(&to, filter, 1);
	}
	assert_int_equal(owed(scene), 91);
	assert_false(retained_jobs_ready(&scene->shards[0].sessions.retained_jobs));
	shard_scene_turn_one(scene, 0);
	assert_true(shard_scene_sleep_ms() > 0);
	/* Subscriptions come and go, and leave no jobs behind. */
	for (uint32_t i = 0; i < 500; i++) {
		peer_unsubscribe(&to, "m/5/+");
		peer_subscribe(&to, "m/5/+", 1);
	}
	assert_in_range(owed(scene), 91, 93);
	uint32_t count = 0;
	for (uint16_t id = 1; owed(scene) != 0; id++) {
		struct heard heard;
		peer_ack(&to, MQTT_PUBACK, id);
		shard_scene_settle(scene);
		count += peer_hears(&to, &heard);
	}
	assert_in_range(count, 2 * MANY - 64, 2 * MANY); /* of m/# and the seven groups, but what is in its queue */
	peer_vanish(&to);
}

static void test_client_is_taken_over_in_the_middle(void **state)
{
	struct shard_scene *scene = *state;
	retain_many(scene);
	struct far_peer older = begin_many(scene, HOUR_S);
	struct far_peer newer = peer_sign_in(scene, PEER_CONNECT(.id = "to", .clean = true), false);
	peer_hears_nothing(&newer);
	assert_int_equal(owed(scene), 0);
	peer_vanish(&older);
	peer_vanish(&newer);
}

/* Nothing new comes after UNSUBACK [MQTT-3.10.4-2]; what was on its way before may [3.10.4]. */
static void test_unsubscribed_in_the_middle(void **state)
{
	struct shard_scene *scene = *state;
	retain_many(scene);
	struct far_peer to = begin_many(scene, 0);
	peer_unsubscribe(&to, "m/#");
	peer_ack(&to, MQTT_PUBACK, 1);
	bool seen[MANY] = {false};
	assert_in_range(take_many(&to, seen, true), 0, 64);
	assert_int_equal(owed(scene), 0);
	peer_vanish(&to);
}

/* Asked for again and again by one who takes nothing: each time counts, and there is one job a subscription. */
static void test_asked_for_again_and_again(void **state)
{
	struct shard_scene *scene = *state;
	retain_many(scene);
	struct far_peer to = begin_many(scene, 0);
	for (int i = 0; i < 200; i++) {
		peer_subscribe(&to, "m/#", 1);
		peer_subscribe(&to, "m/+/+", 1);
	}
	assert_int_equal(owed(scene), 2);
	peer_vanish(&to);
	assert_int_equal(owed(scene), 0);
}

/* A publisher sets before it matches, a subscriber subscribes before it looks: whichever way two shards' turns fall,
 * the newest comes at least once. */
static void test_newest_comes_across_shards(void **state)
{
	struct shard_scene *scene = *state;
	for (int order = 0; order < 16; order++) {
		struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
		struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
		retain(&from, "t", "old", 0);
		struct mqtt_publish publish = {
			.topic = slice_string("t"), .payload = slice_string("new"), .retain = true};
		peer_publish_as(&from, &publish);
		peer_ask(&to, &(struct mqtt_subscription){.filter = slice_string("t")}, 0);
		for (int bit = 0; bit < 4; bit++)
			shard_scene_turn_one(scene, (uint16_t)(order >> bit & 1));
		struct heard heard;
		bool newest = false;
		while (peer_hears(&to, &heard))
			newest = heard.header.type == MQTT_PUBLISH &&
				 slice_equal(heard.publish.payload, slice_string("new"));
		assert_true(newest);
		peer_vanish(&to);
		peer_vanish(&from);
	}
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
#define IN_TWO(test) cmocka_unit_test_setup_teardown(test, scene_open_two, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_new_subscription_gets_it),
		IN_SCENE(test_retain_as_published),
		IN_SCENE(test_retain_handling),
		IN_SCENE(test_who_gets_none),
		IN_SCENE(test_several_filters_in_order),
		IN_SCENE(test_expiry),
		IN_SCENE(test_many_expire_at_once),
		IN_SCENE(test_limit),
		IN_SCENE(test_slow_reader_gets_all),
		IN_SCENE(test_waits_for_acknowledgements),
		IN_SCENE(test_messages_meanwhile),
		IN_SCENE(test_client_goes_in_the_middle),
		IN_SCENE(test_client_is_taken_over_in_the_middle),
		IN_SCENE(test_messages_change_while_offline),
		IN_SCENE(test_waiting_costs_no_turn),
		IN_SCENE(test_unsubscribed_in_the_middle),
		IN_SCENE(test_asked_for_again_and_again),
		IN_TWO(test_newest_comes_across_shards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
