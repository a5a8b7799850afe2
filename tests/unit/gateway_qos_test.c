/* QoS 1 and 2 in both directions: acknowledged, under way within a window, sent again after a lost connection, exactly
 * once where that was asked for. */
#include "base/log.h"
#include "deliver/deliver.h"
#include "mqtt/encode.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

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

static uint64_t counted(const struct shard_scene *scene, enum counter counter)
{
	return shard_scene_counter(scene, 0, counter);
}

static struct far_peer sign_in_and_subscribe(struct shard_scene *scene, const struct peer_connect *connect,
					     const char *filter, uint8_t qos)
{
	struct far_peer peer = peer_sign_in(scene, connect, false);
	peer_subscribe(&peer, filter, qos);
	return peer;
}

/* ---- from clients ---- */

static void test_publish_is_acknowledged(void **state)
{
	struct shard_scene *scene = *state;
	for (uint8_t version = 4; version <= 5; version++) {
		struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.version = version, .clean = true), false);
		peer_publish(&peer, "t", "x", 1, 3);
		peer_hears_ack(&peer, MQTT_PUBACK, 3, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
		peer_publish(&peer, "t", "x", 2, 4);
		peer_hears_ack(&peer, MQTT_PUBREC, 4, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
		peer_ack(&peer, MQTT_PUBREL, 4);
		peer_hears_ack(&peer, MQTT_PUBCOMP, 4, 0);
		peer_subscribe(&peer, "t", 0);
		peer_publish(&peer, "t", "x", 1, 5);
		peer_hears_publish(&peer, "t", "x", 0);
		peer_hears_ack(&peer, MQTT_PUBACK, 5, 0);
		peer_publish(&peer, "$SYS/x", "x", 1, 6);
		peer_hears_ack(&peer, MQTT_PUBACK, 6, MQTT_REASON_NOT_AUTHORIZED);
		peer_vanish(&peer);
	}
	assert_int_equal(counted(scene, COUNTER_messages_in_qos1), 4);
	assert_int_equal(counted(scene, COUNTER_messages_in_qos2), 2);
	assert_int_equal(counted(scene, COUNTER_messages_refused), 2);
}

/* Sent again before it is released, also on the next connection, it is not delivered again. */
static void test_qos_2_is_taken_once(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = sign_in_and_subscribe(scene, PEER_CONNECT(.id = "to"), "t", 0);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .expiry_s = HOUR_S), false);
	struct mqtt_publish publish = {
		.topic = slice_string("t"), .payload = slice_string("once"), .packet_id = 9, .qos = 2};
	for (int i = 0; i < 3; i++) {
		publish.dup = i != 0;
		peer_publish_as(&from, &publish);
		peer_hears_ack(&from, MQTT_PUBREC, 9, 0);
	}
	peer_vanish(&from);
	from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .expiry_s = HOUR_S), true);
	peer_publish_as(&from, &publish);
	peer_hears_ack(&from, MQTT_PUBREC, 9, 0);
	peer_hears_publish(&to, "t", "once", 0);
	peer_hears_nothing(&to);
	assert_int_equal(counted(scene, COUNTER_messages_duplicate), 3);
	/* Released, the identifier is another message's. */
	peer_ack(&from, MQTT_PUBREL, 9);
	peer_hears_ack(&from, MQTT_PUBCOMP, 9, 0);
	publish.dup = false;
	publish.payload = slice_string("another");
	peer_publish_as(&from, &publish);
	peer_hears_ack(&from, MQTT_PUBREC, 9, 0);
	peer_hears_publish(&to, "t", "another", 0);
	/* So it is when the session is another one. */
	peer_vanish(&from);
	from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .clean = true), false);
	peer_publish_as(&from, &publish);
	peer_hears_ack(&from, MQTT_PUBREC, 9, 0);
	peer_hears_publish(&to, "t", "another", 0);
	peer_vanish(&from);
	peer_vanish(&to);
}

static void test_acknowledgements_of_nothing(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "a"), false);
	peer_ack(&peer, MQTT_PUBREL, 77);
	peer_hears_ack(&peer, MQTT_PUBCOMP, 77, MQTT_REASON_PACKET_ID_NOT_FOUND);
	peer_ack(&peer, MQTT_PUBREC, 78);
	peer_hears_ack(&peer, MQTT_PUBREL, 78, MQTT_REASON_PACKET_ID_NOT_FOUND);
	peer_ack(&peer, MQTT_PUBACK, 79);
	peer_ack(&peer, MQTT_PUBCOMP, 80);
	peer_ack_with(&peer, MQTT_PUBREC, 81, MQTT_REASON_QUOTA_EXCEEDED);
	peer_hears_nothing(&peer);
	assert_int_equal(counted(scene, COUNTER_acks_unknown), 5);
	peer_vanish(&peer);
}

static void test_receive_maximum(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "a"), false);
	for (uint16_t id = 1; id <= 10; id++) {
		peer_publish(&peer, "t", "x", 2, id);
		peer_hears_ack(&peer, MQTT_PUBREC, id, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	}
	peer_publish(&peer, "t", "x", 2, 5); /* again is none more */
	peer_hears_ack(&peer, MQTT_PUBREC, 5, 0);
	peer_publish(&peer, "t", "x", 1, 11); /* is over when it is answered */
	peer_hears_ack(&peer, MQTT_PUBACK, 11, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	peer_ack(&peer, MQTT_PUBREL, 1);
	peer_hears_ack(&peer, MQTT_PUBCOMP, 1, 0);
	peer_publish(&peer, "t", "x", 2, 12);
	peer_hears_ack(&peer, MQTT_PUBREC, 12, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	peer_publish(&peer, "t", "x", 2, 13);
	peer_hears_disconnect(&peer, MQTT_REASON_RECEIVE_MAXIMUM_EXCEEDED);
}

/* ---- to clients ---- */

static void publish_numbers(const struct far_peer *from, uint8_t qos, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		char payload[16];
		snprintf(payload, sizeof(payload), "%u", i);
		peer_publish(from, "t", payload, qos, (uint16_t)(1 + i));
	}
	shard_scene_settle(from->scene);
}

static struct mqtt_publish hears_number(struct far_peer *peer, uint32_t number, uint8_t qos)
{
	char payload[16];
	snprintf(payload, sizeof(payload), "%u", number);
	return peer_hears_publish(peer, "t", payload, qos);
}

static void test_window(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = sign_in_and_subscribe(scene, PEER_CONNECT(.id = "to", .receive_max = 4), "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	publish_numbers(&from, 1, 0, 8);
	for (uint16_t i = 0; i < 4; i++)
		assert_int_equal(hears_number(&to, i, 1).packet_id, i + 1);
	peer_hears_nothing(&to);
	peer_publish(&from, "t", "at QoS 0", 0, 0); /* goes past those that wait */
	peer_hears_publish(&to, "t", "at QoS 0", 0);
	/* In any order: each makes room for the next. */
	static const uint16_t ORDER[] = {3, 1, 4, 2};
	for (uint16_t i = 0; i < 4; i++) {
		peer_ack(&to, MQTT_PUBACK, ORDER[i]);
		assert_int_equal(hears_number(&to, 4u + i, 1).packet_id, 5 + i);
		peer_hears_nothing(&to);
	}
	assert_int_equal(counted(scene, COUNTER_queue_messages), 4);
	for (uint16_t id = 5; id <= 8; id++)
		peer_ack(&to, MQTT_PUBACK, id);
	peer_hears_nothing(&to);
	assert_int_equal(counted(scene, COUNTER_queue_messages), 0);
	peer_vanish(&from);
	peer_vanish(&to);
}

static void test_both_steps_of_qos_2(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = sign_in_and_subscribe(scene, PEER_CONNECT(.id = "to", .receive_max = 2), "t", 2);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	publish_numbers(&from, 2, 0, 4);
	hears_number(&to, 0, 2);
	hears_number(&to, 1, 2);
	peer_ack(&to, MQTT_PUBREC, 1);
	peer_hears_ack(&to, MQTT_PUBREL, 1, 0);
	peer_ack(&to, MQTT_PUBREC, 1); /* again is answered again */
	peer_hears_ack(&to, MQTT_PUBREL, 1, 0);
	peer_hears_nothing(&to); /* it still takes its place in the window */
	peer_ack(&to, MQTT_PUBCOMP, 1);
	hears_number(&to, 2, 2);
	peer_ack_with(&to, MQTT_PUBREC, 2, MQTT_REASON_QUOTA_EXCEEDED); /* over without a release */
	hears_number(&to, 3, 2);
	peer_hears_nothing(&to);
	assert_int_equal(counted(scene, COUNTER_acks_unknown), 0);
	peer_vanish(&from);
	peer_vanish(&to);
}

static void test_another_acknowledgement_than_is_due(void **state)
{
	struct shard_scene *scene = *state;
	static const struct {
		uint8_t qos;
		uint8_t before; /* sent first, in order; 0: nothing */
		uint8_t type;
		uint8_t reason;
	} WRONG[] = {
		{1, 0, MQTT_PUBREC, 0},  {1, 0, MQTT_PUBREC, MQTT_REASON_QUOTA_EXCEEDED},
		{1, 0, MQTT_PUBCOMP, 0}, {2, 0, MQTT_PUBACK, 0},
		{2, 0, MQTT_PUBCOMP, 0}, {2, MQTT_PUBREC, MQTT_PUBACK, 0},
	};
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	uint16_t packet_id = 0;
	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		struct far_peer to = sign_in_and_subscribe(scene, PEER_CONNECT(.id = "to"), "t", 2);
		peer_publish(&from, "t", "x", WRONG[i].qos, ++packet_id);
		uint16_t id = peer_hears_publish(&to, "t", "x", WRONG[i].qos).packet_id;
		if (WRONG[i].before != 0) {
			peer_ack(&to, WRONG[i].before, id);
			peer_hears_ack(&to, MQTT_PUBREL, id, 0);
		}
		peer_ack_with(&to, WRONG[i].type, id, WRONG[i].reason);
		peer_hears_disconnect(&to, MQTT_REASON_PROTOCOL_ERROR);
	}
	assert_int_equal(counted(scene, COUNTER_acks_unknown), 0);
	peer_vanish(&from);
}

/* The lesser of what was published and what was subscribed. */
static void test_granted_qos_bounds(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	for (uint8_t granted = 0; granted <= 2; granted++) {
		struct far_peer to = sign_in_and_subscribe(scene, PEER_CONNECT(.id = "to"), "t", granted);
		for (uint8_t qos = 0; qos <= 2; qos++) {
			peer_publish(&from, "t", "x", qos, (uint16_t)(1 + qos));
			struct mqtt_publish publish = peer_hears_publish(&to, "t", "x", qos < granted ? qos : granted);
			peer_completes(&to, &publish);
		}
		peer_vanish(&to);
		peer_ack(&from, MQTT_PUBREL, 3);
		shard_scene_settle(scene);
	}
	peer_vanish(&from);
}

/* In order, with the same identifiers; what was received already is only released. */
static void test_sent_again_after_a_lost_connection(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = sign_in_and_subscribe(scene, PEER_CONNECT(.id = "to", .expiry_s = HOUR_S), "t", 2);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = 4, .clean = true), false);
	publish_numbers(&from, 2, 0, 3);
	publish_numbers(&from, 1, 3, 3);
	for (uint16_t i = 0; i < 6; i++)
		assert_false(hears_number(&to, i, i < 3 ? 2 : 1).dup);
	peer_ack(&to, MQTT_PUBREC, 2);
	peer_hears_ack(&to, MQTT_PUBREL, 2, 0);
	peer_ack(&to, MQTT_PUBACK, 5);
	for (int round = 0; round < 3; round++) {
		peer_vanish(&to);
		publish_numbers(&from, 1, 6u + (uint32_t)round, 1);
		to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .expiry_s = HOUR_S), true);
		struct mqtt_publish publish = hears_number(&to, 0, 2);
		assert_true(publish.dup && publish.packet_id == 1);
		peer_hears_ack(&to, MQTT_PUBREL, 2, 0);
		publish = hears_number(&to, 2, 2);
		assert_true(publish.dup && publish.packet_id == 3);
		publish = hears_number(&to, 3, 1);
		assert_true(publish.dup && publish.packet_id == 4);
		publish = hears_number(&to, 5, 1);
		assert_true(publish.dup && publish.packet_id == 6);
		for (uint16_t i = 0; i <= round; i++) {
			publish = hears_number(&to, 6u + i, 1);
			assert_int_equal(publish.packet_id, 7 + i);
			assert_int_equal(publish.dup, i < round);
		}
		peer_hears_nothing(&to);
	}
	assert_int_equal(counted(scene, COUNTER_messages_repeated), 4 * 3 + 1 + 2);
	peer_vanish(&from);
	peer_vanish(&to);
}

static void test_smaller_window_after_a_lost_connection(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = sign_in_and_subscribe(scene, PEER_CONNECT(.id = "to", .expiry_s = HOUR_S), "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	publish_numbers(&from, 1, 0, 12);
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), 10);
	peer_vanish(&to);
	to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .receive_max = 1), true);
	for (uint16_t i = 0; i < 12; i++) {
		struct mqtt_publish publish = hears_number(&to, i, 1);
		assert_int_equal(publish.packet_id, i + 1);
		assert_int_equal(publish.dup, i < 10);
		peer_hears_nothing(&to);
		peer_ack(&to, MQTT_PUBACK, publish.packet_id);
	}
	peer_hears_nothing(&to);
	peer_vanish(&from);
	peer_vanish(&to);
}

/* ---- what is the receiver's own ---- */

static void test_subscription_identifiers(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .expiry_s = HOUR_S), false);
	peer_subscribe_as(&to, &(struct mqtt_subscription){.filter = slice_string("t"), .qos = 1}, 268435455);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	static const uint8_t IDENTIFIER[] = {0x0b, 0xff, 0xff, 0xff, 0x7f};
	for (uint8_t qos = 0; qos <= 1; qos++) {
		peer_publish(&from, "t", "live", qos, 1);
		struct mqtt_publish publish = peer_hears_publish(&to, "t", "live", qos);
		assert_true(slice_equal(publish.properties, slice_of(IDENTIFIER, sizeof(IDENTIFIER))));
	}
	peer_vanish(&to);
	to = peer_sign_in(scene, PEER_CONNECT(.id = "to"), true);
	struct mqtt_publish publish = peer_hears_publish(&to, "t", "live", 1);
	assert_true(slice_equal(publish.properties, slice_of(IDENTIFIER, sizeof(IDENTIFIER))));
	peer_vanish(&from);
	peer_vanish(&to);
}

/* The next packet is a PUBLISH of `topic`, which is left out if `known`. */
static void hears_alias(struct far_peer *peer, const char *topic, uint16_t alias, bool known, uint8_t qos)
{
	struct mqtt_publish publish = peer_hears_publish(peer, known ? "" : topic, "x", qos);
	assert_int_equal(publish.topic_alias, alias);
	peer_completes(peer, &publish);
}

static void test_topic_aliases_to_clients(void **state)
{
	struct shard_scene *scene = *state;
	struct peer_connect connect = {.id = "to", .expiry_s = HOUR_S, .alias_max = 2};
	struct far_peer to = sign_in_and_subscribe(scene, &connect, "#", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	for (int connection = 0; connection < 2; connection++) {
		for (uint8_t qos = 0; qos <= 1; qos++) {
			static const char *const TOPICS[] = {"topic/1", "topic/2", "topic/3", "topic/1", "t"};
			static const uint16_t ALIASES[] = {1, 2, 0, 1, 0};
			for (int i = 0; i < 5; i++) {
				peer_publish(&from, TOPICS[i], "x", qos, 1);
				bool known = ALIASES[i] != 0 && (qos == 1 || i == 3);
				hears_alias(&to, TOPICS[i], ALIASES[i], known, qos);
			}
		}
		peer_vanish(&to);
		to = peer_sign_in(scene, &connect, true); /* knows none of them any more */
	}
	peer_vanish(&from);
	peer_vanish(&to);
}

static void publish_alias(const struct far_peer *from, const char *topic, uint16_t alias, uint8_t qos,
			  size_t payload_bytes)
{
	static uint8_t payload[1 << 20];
	uint8_t property[] = {0x23, (uint8_t)(alias >> 8), (uint8_t)alias};
	memset(payload, 'x', payload_bytes);
	struct mqtt_publish publish = {
		.topic = slice_string(topic),
		.properties = slice_of(property, sizeof(property)),
		.payload = slice_of(payload, payload_bytes),
		.packet_id = 1,
		.qos = qos,
	};
	peer_publish_as(from, &publish);
}

static void test_topic_aliases_of_clients(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = sign_in_and_subscribe(scene, PEER_CONNECT(.id = "to"), "#", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .expiry_s = HOUR_S), false);
	for (uint8_t qos = 0; qos <= 1; qos++) {
		publish_alias(&from, "one", 4, qos, 1);
		publish_alias(&from, "", 4, qos, 1);
		publish_alias(&from, "two", 4, qos, 1); /* another in its place */
		publish_alias(&from, "", 4, qos, 1);
		static const char *const TOPICS[] = {"one", "one", "two", "two"};
		for (int i = 0; i < 4; i++) {
			struct mqtt_publish publish = peer_hears_publish(&to, TOPICS[i], "x", qos);
			assert_int_equal(publish.properties.size, 0);
			peer_completes(&to, &publish);
		}
	}
	peer_vanish(&from);
	from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), true);
	publish_alias(&from, "", 4, 0, 1); /* was the other connection's */
	peer_hears_disconnect(&from, MQTT_REASON_PROTOCOL_ERROR);
	from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	publish_alias(&from, "one", 5, 0, 1); /* more than there may be */
	peer_hears_disconnect(&from, MQTT_REASON_TOPIC_ALIAS_INVALID);
	peer_hears_nothing(&to);
	peer_vanish(&to);
}

/* What the client does not take is left out [MQTT-3.1.2-25]; what it takes just so is not. */
static void test_messages_larger_than_the_client_takes(void **state)
{
	struct shard_scene *scene = *state;
	enum { MOST = 60 };
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = 4, .clean = true), false);
	for (uint16_t alias_max = 0; alias_max <= 1; alias_max++) {
		for (uint8_t qos = 0; qos <= 2; qos++) {
			struct peer_connect connect = {.id = "to", .packet_bytes_max = MOST, .alias_max = alias_max};
			struct far_peer to = sign_in_and_subscribe(scene, &connect, "a/topic", qos);
			char payload[MOST] = "";
			size_t head_bytes = 2 + 2 + 7 + (qos != 0 ? 2 : 0) + 1;
			uint64_t before = counted(scene, COUNTER_messages_dropped_too_large);
			memset(payload, 'x', MOST - head_bytes + 1);
			peer_publish(&from, "a/topic", payload, qos, 1);
			peer_hears_nothing(&to);
			assert_int_equal(counted(scene, COUNTER_messages_dropped_too_large), before + 1);
			payload[MOST - head_bytes] = '\0';
			peer_ack(&from, MQTT_PUBREL, 1);
			peer_publish(&from, "a/topic", payload, qos, 1);
			struct mqtt_publish publish = peer_hears_publish(&to, "a/topic", payload, qos);
			peer_completes(&to, &publish);
			peer_ack(&from, MQTT_PUBREL, 1);
			peer_vanish(&to);
		}
	}
	peer_vanish(&from);
}

/* The longest packet there is has no room for a byte more, as version 5 needs it. */
static void test_longest_packet_to_another_version(void **state)
{
	struct shard_scene *scene = *state;
	struct shard *shard = &scene->shards[0];
	size_t packet_bytes = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX;
	/* Zeroes that nobody looks at: no memory is behind them. */
	void *packet = mmap(NULL, packet_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(packet, MAP_FAILED);
	struct publication publication = {
		.packet_bytes = (uint32_t)packet_bytes, .topic_bytes = 1, .header_bytes = MQTT_HEADER_BYTES_MAX};
	for (uint16_t alias_max = 0; alias_max <= 1; alias_max++) {
		struct far_peer to = sign_in_and_subscribe(scene, PEER_CONNECT(.alias_max = alias_max), "t", 0);
		struct delivery delivery = deliver_begin(packet, &publication, false, NULL);
		deliver_to(shard, &delivery, pool_at(&shard->sessions.subscriptions.pool, 1));
		deliver_end(shard, &delivery);
		peer_hears_nothing(&to);
		peer_vanish(&to);
	}
	assert_int_equal(counted(scene, COUNTER_messages_dropped_too_large), 2);
	munmap(packet, packet_bytes);
}

/* Its acknowledgement makes room for the next message, for which what it asked for before is written first: that shows
 * that it is gone, in the middle of its packets. */
static void test_gone_while_its_acknowledgement_is_handled(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_bytes_max = 4096; /* as much as is asked for: nothing may wait beside it */
	struct far_peer to = sign_in_and_subscribe(scene, PEER_CONNECT(.id = "to", .receive_max = 1), "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	for (uint16_t id = 1; id <= 3; id++)
		peer_publish(&from, "t", "x", 1, id);
	struct mqtt_publish publish = peer_hears_publish(&to, "t", "x", 1);
	uint8_t packets[] = {0xc0, 0, 0x40, 2, 0, (uint8_t)publish.packet_id, 0xc0, 0};
	peer_say(&to, packets, sizeof(packets));
	peer_drop(&to);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_CONNECTION_LOST), 1);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	peer_vanish(&from);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_publish_is_acknowledged),
		IN_SCENE(test_qos_2_is_taken_once),
		IN_SCENE(test_acknowledgements_of_nothing),
		IN_SCENE(test_receive_maximum),
		IN_SCENE(test_window),
		IN_SCENE(test_both_steps_of_qos_2),
		IN_SCENE(test_another_acknowledgement_than_is_due),
		IN_SCENE(test_granted_qos_bounds),
		IN_SCENE(test_sent_again_after_a_lost_connection),
		IN_SCENE(test_smaller_window_after_a_lost_connection),
		IN_SCENE(test_subscription_identifiers),
		IN_SCENE(test_topic_aliases_to_clients),
		IN_SCENE(test_topic_aliases_of_clients),
		IN_SCENE(test_messages_larger_than_the_client_takes),
		IN_SCENE(test_longest_packet_to_another_version),
		IN_SCENE(test_gone_while_its_acknowledgement_is_handled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
