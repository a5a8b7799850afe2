/* Roost's own clients: they are told where messages come from, others are not; what waits for them is not dropped. */
#include "mqtt/field/property.h"
#include "peer.h"
#include "state/extension.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define RULE "$roost/rule/a"
#define HOUR_S 3600u

static int scene_open(void **state)
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

static struct far_peer rule_comes(struct shard_scene *scene, bool present)
{
	uint16_t shard = shard_scene_of(scene, RULE);
	scene->internal = true;
	struct far_peer rule =
		peer_sign_in(scene, PEER_CONNECT(.id = RULE, .shard = shard, .expiry_s = HOUR_S), present);
	scene->internal = false;
	return rule;
}

static struct far_peer rule_on(struct shard_scene *scene, const char *filter)
{
	struct far_peer rule = rule_comes(scene, false);
	peer_subscribe(&rule, filter, 1);
	return rule;
}

static struct far_peer client_on(struct shard_scene *scene, const char *id, uint16_t shard, uint8_t version)
{
	return peer_sign_in(scene, PEER_CONNECT(.id = id, .shard = shard, .version = version, .clean = true), false);
}

/* The next property is a User Property of this name; its value. */
static struct slice take_user(struct slice *properties, const char *name)
{
	struct mqtt_property property;
	assert_int_equal(mqtt_property_next(properties, &property), ERROR_OK);
	assert_int_equal(property.id, MQTT_PROPERTY_USER_PROPERTY);
	assert_true(slice_equal(property.data, slice_string(name)));
	return property.value;
}

/* What Roost says of a publisher without a user; what comes behind it is the publisher's. time: NULL: any. */
static struct slice take_origin(struct slice properties, const char *client, char time[32])
{
	if (client != NULL) {
		assert_true(slice_equal(take_user(&properties, "roost-client"), slice_string(client)));
		struct slice address = take_user(&properties, "roost-address");
		assert_true(address.size > 9 && memcmp(address.data, "unix:uid=", 9) == 0);
	}
	struct slice said = take_user(&properties, "roost-time");
	assert_in_range(said.size, 13, 14); /* from 2001 on, for some thousand years */
	for (size_t i = 0; i < said.size; i++)
		assert_in_range(said.data[i], '0', '9');
	if (time != NULL)
		snprintf(time, 32, "%.*s", (int)said.size, (const char *)said.data);
	return properties;
}

static void expect_from(struct far_peer *rule, const char *topic, const char *payload, uint8_t qos, const char *client)
{
	struct mqtt_publish publish = peer_hears_publish(rule, topic, payload, qos);
	assert_int_equal(take_origin(publish.properties, client, NULL).size, 0);
	if (qos != 0)
		peer_ack(rule, MQTT_PUBACK, publish.packet_id);
}

/* ---- who is told ---- */

/* From each shard, of each version, at each QoS. */
static void test_rule_is_told(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer rule = rule_on(scene, "t/#");
	for (uint16_t shard = 0; shard < 2; shard++) {
		for (uint8_t version = 4; version <= 5; version++) {
			struct far_peer from = client_on(scene, "c", shard, version);
			peer_publish(&from, "t/a", "zero", 0, 0);
			peer_publish(&from, "t/b", "one", 1, 1);
			peer_publish(&from, "t/c", "two", 2, 2);
			expect_from(&rule, "t/a", "zero", 0, "c");
			expect_from(&rule, "t/b", "one", 1, "c");
			expect_from(&rule, "t/c", "two", 1, "c");
			peer_vanish(&from);
		}
	}
	peer_hears_nothing(&rule);
	peer_vanish(&rule);
}

/* The same message, as it was published, and on both shards. */
static void test_others_are_not_told(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to[2] = {client_on(scene, "to0", 0, 5), client_on(scene, "to1", 1, 5)};
	for (int i = 0; i < 2; i++)
		peer_subscribe(&to[i], "t", 1);
	struct far_peer rule = rule_on(scene, "t");
	struct far_peer from = client_on(scene, "c", 0, 5);
	for (uint8_t qos = 0; qos < 2; qos++) {
		peer_publish(&from, "t", "payload", qos, 1);
		expect_from(&rule, "t", "payload", qos, "c");
		for (int i = 0; i < 2; i++)
			assert_int_equal(peer_hears_publish(&to[i], "t", "payload", qos).properties.size, 0);
	}
	peer_vanish(&from);
	peer_vanish(&rule);
	for (int i = 0; i < 2; i++)
		peer_vanish(&to[i]);
}

/* Its own properties come behind, whatever it calls them. */
static void test_publishers_properties_come_behind(void **state)
{
	static const uint8_t PROPERTIES[] = "\x01\x01\x02\0\0\1\0\x26\0\x0aroost-user\0\3you\x03\0\1x";
	struct slice own = slice_of(PROPERTIES, sizeof(PROPERTIES) - 1);
	struct shard_scene *scene = *state;
	struct far_peer rule = rule_on(scene, "t");
	for (uint16_t shard = 0; shard < 2; shard++) {
		struct far_peer from = client_on(scene, "c", shard, 5);
		peer_publish_as(&from, &(struct mqtt_publish){.topic = slice_string("t"),
							      .payload = slice_string("p"),
							      .properties = own,
							      .packet_id = 1,
							      .qos = 1});
		struct mqtt_publish publish = peer_hears_publish(&rule, "t", "p", 1);
		struct slice rest = take_origin(publish.properties, "c", NULL);
		assert_int_equal(rest.size, own.size);
		assert_memory_equal(rest.data, own.data, own.size); /* no second has passed of its expiry */
		peer_ack(&rule, MQTT_PUBACK, publish.packet_id);
		peer_vanish(&from);
	}
	peer_vanish(&rule);
}

/* Of a session that ends with its connection the id is gone when its will is published. */
static void test_wills(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer rule = rule_on(scene, "w");
	for (uint16_t shard = 0; shard < 2; shard++) {
		for (uint32_t expiry_s = 0; expiry_s <= HOUR_S; expiry_s += HOUR_S) {
			struct far_peer from =
				peer_sign_in(scene,
					     PEER_CONNECT(.id = "c", .shard = shard, .clean = true, .will_topic = "w",
							  .will_qos = 1, .expiry_s = expiry_s),
					     false);
			peer_vanish(&from);
			expect_from(&rule, "w", "gone", 1, "c");
		}
	}
	peer_vanish(&rule);
}

/* ---- what it does not get ---- */

static void test_no_retained_messages(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = client_on(scene, "c", 0, 5);
	peer_publish_as(&from, &(struct mqtt_publish){.topic = slice_string("t"),
						      .payload = slice_string("kept"),
						      .packet_id = 1,
						      .qos = 1,
						      .retain = true});
	peer_hears_ack(&from, MQTT_PUBACK, 1, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	struct far_peer rule = rule_on(scene, "t");
	peer_hears_nothing(&rule);
	peer_publish_as(&from, &(struct mqtt_publish){.topic = slice_string("t"), .retain = true}); /* clears it */
	expect_from(&rule, "t", "", 0, "c");
	peer_vanish(&from);
	peer_vanish(&rule);
}

static void test_no_shared_subscriptions(void **state)
{
	struct shard_scene *scene = *state;
	struct heard heard;
	struct far_peer rule = rule_comes(scene, false);
	peer_ask(&rule, &(struct mqtt_subscription){.filter = slice_string("$share/g/t"), .qos = 1}, 0);
	assert_true(peer_hears(&rule, &heard));
	assert_int_equal(heard.suback.codes.data[0], MQTT_REASON_TOPIC_FILTER_INVALID);
	peer_vanish(&rule);
}

/* Nobody else may have its id, nor it any other. */
static void test_ids(void **state)
{
	struct shard_scene *scene = *state;
	static const uint8_t CONNECT[] = "\x10\x1a\0\4MQTT\5\2\0\x3c\0\0\x0d$roost/rule/a";
	assert_int_equal(shard_scene_connect(scene, 0, slice_of(CONNECT, sizeof(CONNECT) - 1), 0), -1);
	assert_int_equal(scene->refusal, ERROR_CLIENT_ID_RESERVED);
	struct far_peer rule = rule_comes(scene, false);
	assert_int_equal(shard_scene_counter(scene, shard_scene_of(scene, RULE), COUNTER_connections_internal), 1);
	assert_int_equal(shard_scene_counter(scene, shard_scene_of(scene, RULE), COUNTER_connections_open), 0);
	peer_vanish(&rule);
	assert_int_equal(shard_scene_counter(scene, shard_scene_of(scene, RULE), COUNTER_connections_internal), 0);
}

/* ---- what waits ---- */

/* The origin is part of the message: it waits with it, outlives a crash and is the same when it is sent again. */
static void test_origin_outlives_a_crash(void **state)
{
	struct shard_scene *scene = *state;
	if (SCENE_KIND.converts)
		skip(); /* its arenas do not begin again */
	char times[2][32];
	struct far_peer rule = rule_on(scene, "t");
	struct far_peer from = client_on(scene, "c", shard_scene_of(scene, "c"), 4);
	peer_publish(&from, "t", "first", 1, 1);
	peer_hears_ack(&from, MQTT_PUBACK, 1, 0);
	struct mqtt_publish publish = peer_hears_publish(&rule, "t", "first", 1);
	take_origin(publish.properties, "c", times[0]);
	peer_vanish(&rule); /* and has not acknowledged it */
	peer_publish(&from, "t", "second", 1, 2);
	peer_hears_ack(&from, MQTT_PUBACK, 2, 0);
	peer_drop(&from);
	assert_true(shard_scene_crash(scene, 2));
	rule = rule_comes(scene, true);
	publish = peer_hears_publish(&rule, "t", "first", 1);
	assert_true(publish.dup);
	take_origin(publish.properties, "c", times[1]);
	assert_string_equal(times[0], times[1]);
	peer_ack(&rule, MQTT_PUBACK, publish.packet_id);
	expect_from(&rule, "t", "second", 1, "c");
	/* And what comes now has one, too: the subscription is a rule's still. */
	from = client_on(scene, "d", shard_scene_of(scene, "d"), 4);
	peer_publish(&from, "t", "third", 1, 1);
	expect_from(&rule, "t", "third", 1, "d");
	peer_vanish(&from);
	peer_vanish(&rule);
}

/* Its own limits hold, and what waits stays although the policy of all others is to drop the oldest. */
static void test_full_backlog_refuses(void **state)
{
	struct shard_scene *scene = *state;
	uint16_t shard = shard_scene_of(scene, RULE);
	scene->settings.queue_messages_max = 2;
	scene->settings.internal_queue_messages_max = 4;
	scene->settings.queue_drops_newest = false;
	struct far_peer rule = rule_on(scene, "t");
	struct far_peer from = client_on(scene, "c", shard, 5);
	peer_vanish(&rule);
	for (uint16_t i = 1; i <= 6; i++) {
		char payload[2] = {(char)('0' + i), '\0'};
		peer_publish(&from, "t", payload, 1, i);
		peer_hears_ack(&from, MQTT_PUBACK, i, i <= 4 ? 0 : MQTT_REASON_QUOTA_EXCEEDED);
	}
	rule = rule_comes(scene, true);
	for (uint16_t i = 1; i <= 4; i++) {
		char payload[2] = {(char)('0' + i), '\0'};
		expect_from(&rule, "t", payload, 1, "c");
	}
	peer_hears_nothing(&rule);
	peer_vanish(&from);
	peer_vanish(&rule);
}

static void bound_rule(struct shard_scene *scene, bool drops_oldest)
{
	struct own_queue *own = &scene->settings.own_queues[0];
	snprintf(own->client_id, sizeof(own->client_id), "%s", RULE);
	own->messages_max = 4;
	own->drops_oldest = drops_oldest;
	scene->settings.own_queue_count = 1;
}

/* Bounds that are one session's alone, and what it drops then. */
static void check_own_bounds(struct shard_scene *scene, bool drops_oldest)
{
	uint16_t shard = shard_scene_of(scene, RULE);
	bound_rule(scene, drops_oldest);
	struct far_peer rule = rule_on(scene, "t");
	struct far_peer from = client_on(scene, "c", shard, 5);
	peer_vanish(&rule);
	for (uint16_t i = 1; i <= 6; i++) {
		char payload[2] = {(char)('0' + i), '\0'};
		bool is_taken = drops_oldest || i <= 4;
		peer_publish(&from, "t", payload, 1, i);
		peer_hears_ack(&from, MQTT_PUBACK, i, is_taken ? 0 : MQTT_REASON_QUOTA_EXCEEDED);
	}
	rule = rule_comes(scene, true);
	for (uint16_t i = 1; i <= 4; i++) {
		char payload[2] = {(char)('0' + i + (drops_oldest ? 2 : 0)), '\0'};
		expect_from(&rule, "t", payload, 1, "c");
	}
	peer_hears_nothing(&rule);
	peer_vanish(&from);
	peer_vanish(&rule);
	scene->settings.own_queue_count = 0;
}

static void test_own_bounds_drop_the_oldest(void **state)
{
	check_own_bounds(*state, true);
}

static void test_own_bounds_drop_the_newest(void **state)
{
	check_own_bounds(*state, false);
}

/* A session of Roost's own is kept where no other would be. */
static void test_is_kept_beyond_the_limit(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.sessions_offline_max = 0;
	struct far_peer rule = rule_on(scene, "t");
	peer_vanish(&rule);
	rule = rule_comes(scene, true);
	peer_vanish(&rule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rule_is_told, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_others_are_not_told, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_publishers_properties_come_behind, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_wills, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_no_retained_messages, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_no_shared_subscriptions, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_ids, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_origin_outlives_a_crash, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_full_backlog_refuses, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_own_bounds_drop_the_oldest, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_own_bounds_drop_the_newest, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_is_kept_beyond_the_limit, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
