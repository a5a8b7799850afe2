/* PUBACK and PUBREC wait until every shard that took the message has it, and leave in the order of the PUBLISH packets
 * [MQTT-4.6.0-2, MQTT-4.6.0-3]. Publishers are on shard 0; the others stand still until a test has them go on. */
#include "base/log.h"
#include "client/acknowledge.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RESERVED_TOPIC "$SYS/x"

static int scene_open(void **state)
{
	struct shard_scene *scene = shard_scene_new(3);
	scene->settings.queue_messages_max = 10000;
	scene->settings.queue_bytes_max = 1 << 20;
	scene->settings.inflight_max = 10000;
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

/* Only the publishers' shard. */
static void turns_here(struct shard_scene *scene, int turns)
{
	for (int i = 0; i < turns; i++)
		shard_scene_turn_one(scene, 0);
}

/* The subscriber's shard has a turn, and the publishers' one, which hears of it. */
static void turn_there(struct shard_scene *scene, uint16_t shard)
{
	shard_scene_turn_one(scene, shard);
	turns_here(scene, 1);
}

static void expect_silence(struct far_peer *peer)
{
	struct heard heard;
	assert_false(peer_heard(peer, &heard));
}

/* Of what is there, without a turn. */
static void expect_ack(struct far_peer *peer, uint8_t type, uint16_t packet_id, uint8_t reason)
{
	struct heard heard;
	assert_true(peer_heard(peer, &heard));
	assert_int_equal(heard.header.type, type);
	assert_int_equal(heard.ack.packet_id, packet_id);
	assert_int_equal(heard.ack.reason, reason);
}

static struct far_peer subscriber(struct shard_scene *scene, const char *id, uint16_t shard, const char *filter)
{
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = id, .shard = shard), false);
	peer_subscribe(&peer, filter, 1);
	return peer;
}

static uint32_t waiting(const struct shard_scene *scene)
{
	return (uint32_t)shard_scene_counter(scene, 0, COUNTER_acks_waiting);
}

static uint8_t answer_to(uint8_t qos)
{
	return qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
}

/* ---- what they wait for ---- */

static void waits_for_the_other_shard(struct shard_scene *scene, uint8_t qos, uint8_t version)
{
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer from =
		peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = version, .clean = true), false);
	peer_publish(&from, "t", "x", qos, 7);
	turns_here(scene, 5);
	expect_silence(&from);
	assert_int_equal(waiting(scene), 1);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_acks_waiting_clients), 1);
	turn_there(scene, 1);
	expect_ack(&from, answer_to(qos), 7, 0);
	assert_int_equal(waiting(scene), 0);
	peer_hears_publish(&to, "t", "x", 1);
	peer_vanish(&from);
	peer_vanish(&to);
}

static void test_waits_for_the_other_shard(void **state)
{
	waits_for_the_other_shard(*state, 1, 4);
	waits_for_the_other_shard(*state, 1, 5);
	waits_for_the_other_shard(*state, 2, 4);
	waits_for_the_other_shard(*state, 2, 5);
}

static void test_waits_for_all_of_them(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer one = subscriber(scene, "one", 1, "t");
	struct far_peer two = subscriber(scene, "two", 2, "t");
	struct far_peer here = subscriber(scene, "here", 0, "t");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "t", "x", 1, 1);
	turns_here(scene, 1);
	turn_there(scene, 2);
	expect_silence(&from);
	turn_there(scene, 1);
	expect_ack(&from, MQTT_PUBACK, 1, 0);
	peer_hears_publish(&here, "t", "x", 1);
	peer_vanish(&one);
	peer_vanish(&two);
	peer_vanish(&here);
	peer_vanish(&from);
}

/* Nothing is kept for those that do not wait: not even a ticket was ever taken. */
static void test_does_not_wait_for_its_own_shard(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer here = subscriber(scene, "here", 0, "here");
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "here", "x", 1, 1);
	peer_publish(&from, "nobody", "x", 2, 2);
	peer_publish(&from, "t", "x", 0, 0);
	turns_here(scene, 1);
	expect_ack(&from, MQTT_PUBACK, 1, 0);
	expect_ack(&from, MQTT_PUBREC, 2, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	assert_int_equal(scene->shards[0].routing.acks.tickets.touched, 0);
	peer_vanish(&here);
	peer_vanish(&to);
	peer_vanish(&from);
}

/* One shard that stands still holds up those alone who publish there. */
static void test_other_publishers_go_on(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer one = subscriber(scene, "one", 1, "one");
	struct far_peer two = subscriber(scene, "two", 2, "two");
	struct far_peer held = peer_sign_in(scene, PEER_CONNECT(.id = "held"), false);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&held, "one", "x", 1, 1);
	turns_here(scene, 1);
	for (uint16_t id = 1; id <= 20; id++) {
		peer_publish(&from, "two", "x", 1, id);
		turns_here(scene, 1);
		turn_there(scene, 2);
		expect_ack(&from, MQTT_PUBACK, id, 0);
	}
	expect_silence(&held);
	turn_there(scene, 1);
	expect_ack(&held, MQTT_PUBACK, 1, 0);
	peer_vanish(&held);
	peer_vanish(&from);
	peer_vanish(&one);
	peer_vanish(&two);
}

/* Somebody who has the message and is not sure of it yet, as a store will be that has to sync it. */
static void test_a_holder_says_later_that_it_is_safe(void **state)
{
	struct shard_scene *scene = *state;
	struct pending_acks *acks = &scene->shards[0].routing.acks;
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "t", "x", 1, 1);
	turns_here(scene, 1);
	const uint32_t ticket = 1; /* the first that was ever taken */
	pending_acks_hold(acks, ticket);
	shard_scene_settle(scene);
	expect_silence(&from);
	pending_acks_is_safe(acks, ticket);
	turns_here(scene, 1);
	expect_ack(&from, MQTT_PUBACK, 1, 0);
	peer_vanish(&from);
	peer_vanish(&to);
}

/* ---- their order ---- */

static void test_order_of_all_kinds(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer one = subscriber(scene, "one", 1, "one");
	struct far_peer two = subscriber(scene, "two", 2, "two");
	struct far_peer here = subscriber(scene, "here", 0, "here");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "one", "1", 1, 10);
	peer_publish(&from, "two", "2", 2, 9);
	peer_publish(&from, "here", "3", 1, 8);
	peer_publish(&from, "nobody", "4", 1, 7);
	peer_publish(&from, RESERVED_TOPIC, "5", 2, 6);
	peer_publish(&from, "here", "6", 2, 5);
	peer_say(&from, "\xc0\0", 2); /* PINGREQ need not wait */
	turns_here(scene, 2);
	struct heard heard;
	assert_true(peer_heard(&from, &heard));
	assert_int_equal(heard.header.type, MQTT_PINGRESP);
	turn_there(scene, 2);
	expect_silence(&from);
	assert_int_equal(waiting(scene), 6);
	turn_there(scene, 1);
	expect_ack(&from, MQTT_PUBACK, 10, 0);
	expect_ack(&from, MQTT_PUBREC, 9, 0);
	expect_ack(&from, MQTT_PUBACK, 8, 0);
	expect_ack(&from, MQTT_PUBACK, 7, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	expect_ack(&from, MQTT_PUBREC, 6, MQTT_REASON_NOT_AUTHORIZED);
	expect_ack(&from, MQTT_PUBREC, 5, 0);
	peer_vanish(&from);
	peer_vanish(&one);
	peer_vanish(&two);
	peer_vanish(&here);
}

/* Batches come back one by one: those in front leave, the others go on waiting. */
static void test_those_in_front_leave(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer one = subscriber(scene, "one", 1, "one");
	struct far_peer two = subscriber(scene, "two", 2, "two");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "one", "1", 1, 1);
	peer_publish(&from, "two", "2", 1, 2);
	turns_here(scene, 1);
	turn_there(scene, 1);
	expect_ack(&from, MQTT_PUBACK, 1, 0);
	expect_silence(&from);
	peer_publish(&from, "nobody", "3", 1, 3);
	turns_here(scene, 1);
	expect_silence(&from);
	turn_there(scene, 2);
	expect_ack(&from, MQTT_PUBACK, 2, 0);
	expect_ack(&from, MQTT_PUBACK, 3, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	peer_vanish(&from);
	peer_vanish(&one);
	peer_vanish(&two);
}

/* The same packet twice on one connection: the second PUBREC does not overtake the first. */
static void test_a_duplicate_waits_for_the_first(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	struct mqtt_publish publish = {.topic = slice_string("t"), .packet_id = 1, .qos = 2};
	peer_publish_as(&from, &publish);
	publish.dup = true;
	peer_publish_as(&from, &publish);
	turns_here(scene, 3);
	expect_silence(&from);
	turn_there(scene, 1);
	expect_ack(&from, MQTT_PUBREC, 1, 0);
	expect_ack(&from, MQTT_PUBREC, 1, 0);
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), 1);
	peer_vanish(&from);
	peer_vanish(&to);
}

/* ---- clients that leave ---- */

static void test_the_client_leaves_meanwhile(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	for (uint16_t id = 1; id <= 3; id++)
		peer_publish(&from, "t", "x", 1, id);
	peer_publish(&other, "t", "x", 1, 4);
	turns_here(scene, 1);
	peer_drop(&from);
	turns_here(scene, 2);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_acks_waiting_clients), 1);
	/* Its place is another's now, who hears nothing of it. */
	struct far_peer newer = peer_connect(scene, PEER_CONNECT(.id = "newer"));
	turns_here(scene, 1);
	struct heard heard;
	assert_true(peer_heard(&newer, &heard));
	assert_int_equal(heard.header.type, MQTT_CONNACK);
	shard_scene_settle(scene);
	expect_silence(&newer);
	expect_ack(&other, MQTT_PUBACK, 4, 0);
	assert_int_equal(waiting(scene), 0);
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), 4);
	peer_vanish(&other);
	peer_vanish(&newer);
	peer_vanish(&to);
}

static void resend(struct far_peer *from, uint8_t qos)
{
	peer_publish_as(from,
			&(struct mqtt_publish){.topic = slice_string("t"), .packet_id = 5, .qos = qos, .dup = true});
}

/* What was not safe when its connection ended may not be safe when it is sent again. */
static void session_resumes(struct shard_scene *scene, uint8_t qos)
{
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .expiry_s = 100), false);
	peer_publish(&from, "t", "", qos, 5);
	turns_here(scene, 1);
	peer_drop(&from);
	turns_here(scene, 2);
	from = peer_connect(scene, PEER_CONNECT(.id = "from", .expiry_s = 100));
	turns_here(scene, 1);
	struct heard heard;
	assert_true(peer_heard(&from, &heard));
	assert_true(heard.connack.session_present);
	resend(&from, qos);
	turns_here(scene, 3);
	expect_silence(&from);
	shard_scene_settle(scene);
	expect_ack(&from, answer_to(qos), 5, 0);
	expect_silence(&from);
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), qos == 1 ? 2 : 1);
	if (qos == 2) {
		peer_ack(&from, MQTT_PUBREL, 5);
		peer_hears_ack(&from, MQTT_PUBCOMP, 5, 0);
	}
	peer_disconnect(&from, 0, 0);
	peer_vanish(&from);
	peer_vanish(&to);
}

static void test_the_session_resumes(void **state)
{
	session_resumes(*state, 1);
	session_resumes(*state, 2);
}

/* ---- bounds ---- */

static void client_bound(struct shard_scene *scene, uint8_t version, uint32_t most)
{
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer from =
		peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = version, .clean = true), false);
	uint64_t before = shard_scene_counter(scene, 0, COUNTER_messages_in);
	uint64_t pauses = shard_scene_counter(scene, 0, COUNTER_ack_pauses);
	for (uint32_t id = 1; id <= most + 5; id++) {
		peer_publish(&from, "t", "x", 1, (uint16_t)id);
		if (id % 50 == 0) /* before the socket is full, which would have all shards go on */
			turns_here(scene, 1);
	}
	turns_here(scene, 10);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_in), before + most);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_ack_pauses), pauses + 1);
	assert_int_equal(waiting(scene), most);
	expect_silence(&from);
	for (uint32_t id = 1; id <= most + 5; id++)
		peer_hears_ack(&from, MQTT_PUBACK, (uint16_t)id, 0);
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), most + 5);
	peer_vanish(&from);
	peer_vanish(&to);
}

/* In version 5 the client knows the bound. */
static void test_as_many_wait_for_one_client(void **state)
{
	struct shard_scene *scene = *state;
	client_bound(scene, 4, PENDING_ACKS_CLIENT_MAX);
	client_bound(scene, 5, scene->settings.receive_max);
}

static void test_as_many_wait_for_a_shard(void **state)
{
	struct shard_scene *scene = *state;
	scene->shards[0].routing.acks.limit = 4;
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer one = peer_sign_in(scene, PEER_CONNECT(.id = "one"), false);
	struct far_peer two = peer_sign_in(scene, PEER_CONNECT(.id = "two"), false);
	for (uint16_t id = 1; id <= 4; id++)
		peer_publish(&one, "t", "x", 1, id);
	turns_here(scene, 1);
	peer_publish(&two, "t", "not at QoS 0", 0, 0);
	peer_publish(&two, "nobody", "x", 1, 1);
	turns_here(scene, 5);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_in_qos0), 1);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_ack_pauses), 1);
	expect_silence(&two);
	peer_hears_ack(&two, MQTT_PUBACK, 1, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	for (uint16_t id = 1; id <= 4; id++)
		peer_hears_ack(&one, MQTT_PUBACK, id, 0);
	peer_vanish(&one);
	peer_vanish(&two);
	peer_vanish(&to);
}

/* All that the shard waited for has gone with its publisher's session: those who waited behind it go on. */
static void test_the_shard_waits_for_nothing_any_more(void **state)
{
	struct shard_scene *scene = *state;
	scene->shards[0].routing.acks.limit = 4;
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer one = peer_sign_in(scene, PEER_CONNECT(.id = "one"), false);
	struct far_peer two = peer_sign_in(scene, PEER_CONNECT(.id = "two"), false);
	for (uint16_t id = 1; id <= 4; id++)
		peer_publish(&one, "t", "x", 1, id);
	turns_here(scene, 1);
	peer_publish(&two, "nobody", "x", 1, 1);
	turns_here(scene, 1);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_ack_pauses), 1);
	peer_drop(&one);
	turns_here(scene, 2);
	assert_int_equal(waiting(scene), 4);
	peer_hears_ack(&two, MQTT_PUBACK, 1, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	peer_vanish(&two);
	peer_vanish(&to);
}

/* A client that goes on and has to wait again is noted once, however long the shard has too many of them. */
static void test_those_who_wait_are_noted_once(void **state)
{
	struct shard_scene *scene = *state;
	scene->shards[0].routing.acks.limit = 4;
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer still = subscriber(scene, "still", 2, "s");
	struct far_peer one = peer_sign_in(scene, PEER_CONNECT(.id = "one"), false);
	struct far_peer two = peer_sign_in(scene, PEER_CONNECT(.id = "two"), false);
	for (uint16_t id = 1; id <= 3; id++)
		peer_publish(&one, "s", "x", 1, id);
	turns_here(scene, 1);
	for (uint16_t id = 1; id <= 20; id++)
		peer_publish(&two, "t", "x", 1, id);
	for (uint16_t id = 1; id <= 20; id++) {
		turns_here(scene, 2);
		turn_there(scene, 1);
		expect_ack(&two, MQTT_PUBACK, id, 0);
		assert_in_range(scene->shards[0].routing.acks_awaited.count, 0, 1);
	}
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_ack_pauses), 19);
	peer_vanish(&one);
	peer_vanish(&two);
	peer_vanish(&still);
	peer_vanish(&to);
}

/* ---- sleep ---- */

static void other_shard_turns(void *context)
{
	shard_scene_before_sleep(NULL, NULL);
	shard_scene_turn_one(context, 1);
}

/* The other shard gives the batch back just when the publisher's shard is about to sleep. */
static void test_comes_before_the_sleep(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "t", "x", 1, 1);
	turns_here(scene, 1);
	shard_scene_before_sleep(other_shard_turns, scene);
	turns_here(scene, 1);
	assert_int_equal(shard_scene_sleep_ms(), 0);
	expect_ack(&from, MQTT_PUBACK, 1, 0);
	peer_vanish(&from);
	peer_vanish(&to);
}

/* As it is at a light load. */
static void turns_now_and_then(struct shard_scene *scene, int turns)
{
	for (int i = 0; i < turns; i++) {
		shard_scene_pass_ms(scene, 1);
		turns_here(scene, 1);
	}
}

static bool is_woken_for_it(const struct shard_scene *scene)
{
	return atomic_load(&scene->mailboxes[0].awaits_returns);
}

/* Where nothing else comes in, the shard has itself woken the next times: once, then twice, four times and so on. */
static void test_patience_in_vain(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	turns_now_and_then(scene, 2);
	assert_true(shard_scene_sleep_ms() > ACKNOWLEDGE_PATIENCE_MS); /* nothing waits */
	assert_false(is_woken_for_it(scene));
	peer_publish(&from, "t", "x", 1, 1);
	turns_now_and_then(scene, 1);
	for (int woken = 1; woken <= 2048; woken *= 2) {
		turns_now_and_then(scene, 1);
		assert_int_equal(shard_scene_sleep_ms(), ACKNOWLEDGE_PATIENCE_MS);
		assert_false(is_woken_for_it(scene));
		for (int i = 0; i < woken && i < 1024; i++) {
			turns_now_and_then(scene, 1);
			assert_true(shard_scene_sleep_ms() > ACKNOWLEDGE_PATIENCE_MS);
			assert_true(is_woken_for_it(scene));
		}
	}
	turn_there(scene, 1);
	expect_ack(&from, MQTT_PUBACK, 1, 0);
	peer_vanish(&from);
	peer_vanish(&to);
}

/* Where more comes in during its sleep the shard is patient again. */
static void test_patience_that_pays(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "t", "x", 1, 1);
	turns_now_and_then(scene, 1);
	turns_now_and_then(scene, 2); /* in vain, and a sleep that is not patient */
	for (int i = 0; i < 100; i++) {
		peer_say(&from, "\xc0\0", 2);
		turns_now_and_then(scene, 1);
		assert_false(is_woken_for_it(scene));
		assert_int_equal(shard_scene_sleep_ms(), ACKNOWLEDGE_PATIENCE_MS);
	}
	assert_int_equal(scene->shards[0].routing.ack_patience.backoff, 0);
	shard_scene_settle(scene);
	assert_int_equal(peer_counts(&from, MQTT_PINGRESP), 100);
	peer_vanish(&from);
	peer_vanish(&to);
}

/* Nor while it hardly sleeps. */
static void test_no_patience_at_a_load(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = subscriber(scene, "to", 1, "t");
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	peer_publish(&from, "t", "x", 1, 1);
	turns_here(scene, 30);
	for (int i = 0; i < 100; i++) {
		peer_say(&from, "\xc0\0", 2);
		turns_here(scene, 1);
		assert_true(is_woken_for_it(scene));
	}
	shard_scene_settle(scene);
	assert_int_equal(peer_counts(&from, MQTT_PINGRESP), 100);
	peer_vanish(&from);
	peer_vanish(&to);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_waits_for_the_other_shard),
		IN_SCENE(test_waits_for_all_of_them),
		IN_SCENE(test_does_not_wait_for_its_own_shard),
		IN_SCENE(test_other_publishers_go_on),
		IN_SCENE(test_a_holder_says_later_that_it_is_safe),
		IN_SCENE(test_order_of_all_kinds),
		IN_SCENE(test_those_in_front_leave),
		IN_SCENE(test_a_duplicate_waits_for_the_first),
		IN_SCENE(test_the_client_leaves_meanwhile),
		IN_SCENE(test_the_session_resumes),
		IN_SCENE(test_as_many_wait_for_one_client),
		IN_SCENE(test_as_many_wait_for_a_shard),
		IN_SCENE(test_the_shard_waits_for_nothing_any_more),
		IN_SCENE(test_those_who_wait_are_noted_once),
		IN_SCENE(test_comes_before_the_sleep),
		IN_SCENE(test_patience_in_vain),
		IN_SCENE(test_patience_that_pays),
		IN_SCENE(test_no_patience_at_a_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
