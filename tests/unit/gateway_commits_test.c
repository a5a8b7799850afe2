/* Answers wait until what they confirm is safe, where the journal says how far that is. Commits become safe when a test
 * says so; settling makes all of them safe. */
#include "client/acknowledge.h"
#include "peer.h"
#include "shard/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HOUR_S 3600u
/* More than a layered stream takes to read what was said. */
#define TURNS 8
#define FLOOD (PENDING_ACKS_CLIENT_MAX + 500)

static int scene_open(void **state)
{
	*state = shard_scene_new_with_commits(2);
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	shard_scene_pass_ms(scene, 2000u * HOUR_S);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	for (uint16_t shard = 0; shard < 2; shard++)
		assert_false(scene->records[shard].awaits);
	shard_scene_free(scene);
	return 0;
}

/* Turns in which nothing becomes safe. */
static void turns(struct shard_scene *scene)
{
	for (int i = 0; i < TURNS; i++) {
		shard_scene_turn_one(scene, 0);
		shard_scene_turn_one(scene, 1);
	}
}

static void commit(struct shard_scene *scene, uint16_t shard)
{
	scene->records[shard].safe = scene->records[shard].batches;
}

static void expect_silence(struct far_peer *peer)
{
	struct heard heard;
	assert_false(peer_heard(peer, &heard));
}

static void expect(struct far_peer *peer, uint8_t type, uint16_t packet_id)
{
	struct heard heard;
	assert_true(peer_heard(peer, &heard));
	assert_int_equal(heard.header.type, type);
	if (type == MQTT_SUBACK || type == MQTT_UNSUBACK)
		assert_int_equal(heard.suback.packet_id, packet_id);
	else if (type != MQTT_CONNACK && type != MQTT_PUBLISH)
		assert_int_equal(heard.ack.packet_id, packet_id);
}

/* With its session. */
static void leave(struct far_peer *peer)
{
	peer_disconnect(peer, 0, 0);
	peer_drop(peer);
}

static struct far_peer stayer(struct shard_scene *scene, const char *id, uint16_t shard, const char *filter,
			      uint8_t qos)
{
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = id, .shard = shard, .expiry_s = HOUR_S), false);
	if (filter != NULL)
		peer_subscribe(&peer, filter, qos);
	shard_scene_settle(scene);
	return peer;
}

static struct far_peer guest(struct shard_scene *scene, const char *id)
{
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = id), false);
	shard_scene_settle(scene);
	return peer;
}

/* ---- PUBACK and PUBREC of a message ---- */

static void waits_for_the_subscriber(struct shard_scene *scene, uint16_t shard, uint8_t qos)
{
	struct far_peer to = stayer(scene, "to", shard, "t", qos);
	struct far_peer from = guest(scene, "from");
	peer_publish(&from, "t", "x", qos, 7);
	turns(scene);
	expect_silence(&from);
	commit(scene, (uint16_t)(1 - shard)); /* the other one's commits say nothing of it */
	turns(scene);
	expect_silence(&from);
	assert_true(scene->records[0].awaits);
	assert_int_not_equal(shard_scene_sleep_ms(), 0);
	commit(scene, shard);
	turns(scene);
	expect(&from, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, 7);
	turns(scene);
	assert_false(scene->records[0].awaits);
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), 1);
	leave(&to);
	peer_vanish(&from);
}

static void test_waits_for_its_own_shard(void **state)
{
	waits_for_the_subscriber(*state, 0, 1);
	waits_for_the_subscriber(*state, 0, 2);
}

static void test_waits_for_the_other_shard(void **state)
{
	waits_for_the_subscriber(*state, 1, 1);
	waits_for_the_subscriber(*state, 1, 2);
}

/* The batch itself comes back at once: there is room for others. */
static void test_the_mailbox_has_room_meanwhile(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = stayer(scene, "to", 1, "t", 1);
	struct far_peer from = guest(scene, "from");
	for (uint16_t id = 1; id <= 5; id++) {
		peer_publish(&from, "t", "x", 1, id);
		turns(scene);
		assert_int_equal(scene->shards[0].routing.outbox.out_batches, 0);
	}
	expect_silence(&from);
	scene->records[1].safe += 2;
	turns(scene);
	expect(&from, MQTT_PUBACK, 1);
	expect(&from, MQTT_PUBACK, 2);
	expect_silence(&from);
	commit(scene, 1);
	turns(scene);
	for (uint16_t id = 3; id <= 5; id++)
		expect(&from, MQTT_PUBACK, id);
	leave(&to);
	peer_vanish(&from);
}

static void test_waits_for_all_of_them(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer here = stayer(scene, "here", 0, "t", 1);
	struct far_peer there = stayer(scene, "there", 1, "t", 1);
	struct far_peer from = guest(scene, "from");
	peer_publish(&from, "t", "x", 1, 1);
	turns(scene);
	commit(scene, 1);
	turns(scene);
	expect_silence(&from);
	commit(scene, 0);
	turns(scene);
	expect(&from, MQTT_PUBACK, 1);
	leave(&here);
	leave(&there);
	peer_vanish(&from);
}

static void test_a_retained_message_waits(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = guest(scene, "from");
	struct mqtt_publish publish = {
		.topic = slice_string("r"), .payload = slice_string("x"), .qos = 1, .packet_id = 3, .retain = true};
	peer_publish_as(&from, &publish);
	turns(scene);
	expect_silence(&from);
	commit(scene, 0);
	turns(scene);
	expect(&from, MQTT_PUBACK, 3);
	publish.payload = slice_of(NULL, 0);
	peer_publish_as(&from, &publish);
	turns(scene);
	expect_silence(&from);
	peer_vanish(&from);
}

/* With a session that ends with its connection, as its subscribers' do: nothing is told, and nothing waits. */
static void test_what_is_not_told_does_not_wait(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = peer_connect(scene, PEER_CONNECT(.id = "to", .shard = 1));
	struct far_peer from = peer_connect(scene, PEER_CONNECT(.id = "from"));
	struct far_peer stays = stayer(scene, "stays", 0, "other", 1);
	peer_publish(&stays, "other", "x", 1, 9); /* something is unsafe all the while */
	turns(scene);
	expect(&to, MQTT_CONNACK, 0);
	expect(&from, MQTT_CONNACK, 0);
	peer_ask(&to, &(struct mqtt_subscription){.filter = slice_string("t"), .qos = 2}, 0);
	turns(scene);
	struct heard heard;
	assert_true(peer_heard(&to, &heard));
	assert_int_equal(heard.header.type, MQTT_SUBACK);
	peer_publish(&from, "t", "x", 2, 1);
	turns(scene);
	expect(&from, MQTT_PUBREC, 1);
	peer_ack(&from, MQTT_PUBREL, 1);
	turns(scene);
	expect(&from, MQTT_PUBCOMP, 1);
	expect(&to, MQTT_PUBLISH, 0);
	peer_ack(&to, MQTT_PUBREC, 1);
	turns(scene);
	expect(&to, MQTT_PUBREL, 1);
	expect(&stays, MQTT_PUBLISH, 0);
	expect_silence(&stays);
	peer_vanish(&to);
	peer_vanish(&from);
	leave(&stays);
}

/* ---- PUBREC, PUBREL, PUBCOMP of a journaled session ---- */

static void test_pubrec_waits_for_received(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = stayer(scene, "to", 1, "t", 2);
	struct far_peer from = stayer(scene, "from", 0, NULL, 0);
	peer_publish(&from, "t", "x", 2, 7);
	turns(scene);
	uint64_t received = scene->records[0].seen[JOURNAL_EVENT(received)];
	commit(scene, 0);
	turns(scene);
	assert_int_equal(scene->records[0].seen[JOURNAL_EVENT(received)], received); /* the message is not safe */
	commit(scene, 1);
	turns(scene);
	assert_int_equal(scene->records[0].seen[JOURNAL_EVENT(received)], received + 1);
	expect_silence(&from);
	commit(scene, 0);
	turns(scene);
	expect(&from, MQTT_PUBREC, 7);
	leave(&to);
	leave(&from);
}

static void test_a_duplicate_waits_too(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = stayer(scene, "from", 0, NULL, 0);
	peer_publish(&from, "nobody", "x", 2, 7);
	turns(scene);
	peer_publish(&from, "nobody", "x", 2, 7);
	turns(scene);
	expect_silence(&from);
	assert_int_equal(scene->shards[0].routing.acks.answers, 2);
	commit(scene, 0);
	turns(scene);
	expect(&from, MQTT_PUBREC, 7);
	expect(&from, MQTT_PUBREC, 7);
	leave(&from);
}

static void test_pubcomp_waits_for_completed(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = stayer(scene, "from", 0, NULL, 0);
	peer_publish(&from, "nobody", "x", 2, 7);
	turns(scene);
	commit(scene, 0);
	turns(scene);
	expect(&from, MQTT_PUBREC, 7);
	peer_ack(&from, MQTT_PUBREL, 7);
	turns(scene);
	expect_silence(&from);
	peer_ack(&from, MQTT_PUBREL, 7); /* it is not known any more, and that is not safe yet */
	turns(scene);
	expect_silence(&from);
	commit(scene, 0);
	turns(scene);
	expect(&from, MQTT_PUBCOMP, 7);
	expect(&from, MQTT_PUBCOMP, 7);
	peer_ack(&from, MQTT_PUBREL, 7); /* all is safe: nothing to wait for */
	turns(scene);
	expect(&from, MQTT_PUBCOMP, 7);
	leave(&from);
}

static void test_pubrel_waits_for_released(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = stayer(scene, "to", 0, "t", 2);
	struct far_peer from = guest(scene, "from");
	for (uint16_t id = 1; id <= 3; id++)
		peer_publish(&from, "t", "x", 2, id);
	shard_scene_settle(scene);
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), 3);
	peer_ack(&to, MQTT_PUBREC, 2);
	turns(scene);
	peer_ack(&to, MQTT_PUBREC, 1);
	peer_ack(&to, MQTT_PUBREC, 2);
	turns(scene);
	expect_silence(&to);
	scene->records[0].safe = scene->records[0].batches - 1;
	turns(scene);
	expect(&to, MQTT_PUBREL, 2);
	expect_silence(&to);
	commit(scene, 0);
	turns(scene);
	expect(&to, MQTT_PUBREL, 1); /* [MQTT-4.6.0-4] */
	expect(&to, MQTT_PUBREL, 2);
	leave(&to);
	peer_vanish(&from);
}

/* What a connection was not told is not told to the next one, and nothing is left of it. */
static void test_a_connection_that_ends_meanwhile(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = stayer(scene, "from", 0, NULL, 0);
	peer_publish(&from, "nobody", "x", 2, 7);
	turns(scene);
	peer_drop(&from);
	turns(scene);
	assert_int_equal(scene->shards[0].routing.acks.answers, 0);
	assert_int_equal(scene->shards[0].routing.acks.lines.used, 0);
	from = peer_connect(scene, PEER_CONNECT(.id = "from", .expiry_s = HOUR_S));
	turns(scene);
	expect_silence(&from);
	commit(scene, 0);
	turns(scene);
	expect(&from, MQTT_CONNACK, 0);
	expect_silence(&from);
	assert_false(commit_waits_any(&scene->shards[0].routing.commits));
	leave(&from);
}

/* ---- CONNACK, SUBACK, UNSUBACK ---- */

static void test_connack_waits(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_connect(scene, PEER_CONNECT(.id = "a", .expiry_s = HOUR_S));
	turns(scene);
	expect_silence(&peer);
	assert_true(scene->records[0].awaits);
	commit(scene, 0);
	turns(scene);
	expect(&peer, MQTT_CONNACK, 0);
	peer_drop(&peer);
	turns(scene);
	commit(scene, 0);
	/* Resumed. */
	peer = peer_connect(scene, PEER_CONNECT(.id = "a", .expiry_s = HOUR_S));
	turns(scene);
	expect_silence(&peer);
	commit(scene, 0);
	turns(scene);
	expect(&peer, MQTT_CONNACK, 0);
	/* Taken over by a session that is not journaled: the older one's end has to be safe. */
	struct far_peer other = peer_connect(scene, PEER_CONNECT(.id = "a", .clean = true));
	turns(scene);
	expect_silence(&other);
	commit(scene, 0);
	turns(scene);
	expect(&other, MQTT_CONNACK, 0);
	peer_drop(&peer);
	peer_vanish(&other);
}

/* All that is sent behind it waits with it, and a later answer keeps it waiting. */
static void test_suback_holds_the_output(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = stayer(scene, "a", 0, NULL, 0);
	struct far_peer from = guest(scene, "from");
	struct mqtt_subscription asked = {.filter = slice_string("t")};
	peer_ask(&peer, &asked, 0);
	turns(scene);
	uint64_t first = scene->records[0].batches;
	peer_publish(&from, "t", "behind", 0, 0);
	turns(scene);
	expect_silence(&peer);
	asked.filter = slice_string("u");
	peer_ask(&peer, &asked, 0);
	turns(scene);
	/* What was sent before the second one does not wait for it. */
	scene->records[0].safe = first;
	turns(scene);
	struct heard heard;
	static const uint8_t TYPES[] = {MQTT_SUBACK, MQTT_PUBLISH};
	for (size_t i = 0; i < sizeof(TYPES); i++) {
		assert_true(peer_heard(&peer, &heard));
		assert_int_equal(heard.header.type, TYPES[i]);
	}
	expect_silence(&peer);
	commit(scene, 0);
	turns(scene);
	assert_true(peer_heard(&peer, &heard));
	assert_int_equal(heard.header.type, MQTT_SUBACK);
	leave(&peer);
	peer_vanish(&from);
}

/* What is held is no sign of a client that does not read: nobody is ended for it, at any length. */
static void test_a_long_sync_ends_nobody(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.stuck_timeout_ms = 1000;
	scene->settings.queue_bytes_max = 300;
	struct far_peer peer =
		peer_sign_in(scene, PEER_CONNECT(.id = "a", .shard = 0, .expiry_s = HOUR_S, .keepalive_s = 5), false);
	struct far_peer publisher = peer_sign_in(scene, PEER_CONNECT(.id = "p", .keepalive_s = 2), false);
	struct far_peer to = stayer(scene, "to", 0, "t", 1);
	shard_scene_settle(scene);
	peer_ask(&peer, &(struct mqtt_subscription){.filter = slice_string("u"), .qos = 1}, 0);
	for (uint16_t id = 1; id <= scene->settings.receive_max + 3u; id++)
		peer_publish(&publisher, "t", "x", 1, id);
	for (int seconds = 0; seconds < 30; seconds++) {
		if (seconds % 2 == 0)
			peer_say(&peer, "\xc0\0", 2); /* PINGREQ: its answer is held */
		turns(scene);
		shard_scene_pass_ms(scene, 1000);
	}
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_STUCK_READER), 0);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_KEEPALIVE_TIMEOUT), 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_ack_pauses), 1);
	expect_silence(&peer);
	expect_silence(&publisher);
	shard_scene_settle(scene);
	assert_int_equal(peer_counts(&publisher, MQTT_PUBACK), scene->settings.receive_max + 3u);
	struct heard heard;
	assert_true(peer_heard(&peer, &heard));
	assert_int_equal(heard.header.type, MQTT_SUBACK);
	assert_int_equal(peer_counts(&peer, MQTT_PINGRESP), 15);
	leave(&peer);
	leave(&to);
	peer_vanish(&publisher);
}

/* Publishers wait for a subscriber whose output is held, as for one that reads: it cannot show that it does. */
static void test_a_held_client_is_no_slow_reader(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = stayer(scene, "to", 0, "t", 1);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = 4, .clean = true), false);
	shard_scene_settle(scene);
	peer_ask(&to, &(struct mqtt_subscription){.filter = slice_string("u"), .qos = 1}, 0);
	turns(scene);
	for (uint16_t id = 1; id <= 100; id++) {
		peer_publish(&from, "t", "x", 1, id);
		if (id % 20 == 0)
			turns(scene);
	}
	for (int seconds = 0; seconds < 20; seconds++) {
		turns(scene);
		shard_scene_pass_ms(scene, 1000);
	}
	assert_int_not_equal(shard_scene_counter(scene, 0, COUNTER_congestions), 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_congestions_stuck), 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_dropped_queue_full), 0);
	leave(&to);
	peer_vanish(&from);
}

/* Deliveries at any QoS do not wait. */
static void test_deliveries_go_on(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = stayer(scene, "to", 1, "t", 1);
	struct far_peer from = guest(scene, "from");
	for (uint16_t id = 1; id <= 6; id++) {
		peer_publish(&from, "t", "x", id % 2, id);
		turns(scene);
		expect(&to, MQTT_PUBLISH, 0);
	}
	expect_silence(&from);
	shard_scene_settle(scene);
	assert_int_equal(peer_counts(&from, MQTT_PUBACK), 3);
	leave(&to);
	peer_vanish(&from);
}

/* ---- messages that are passed on ---- */

/* A message of a shared subscription goes to a member on another shard, and a will to its subscriber there: the shard
 * that had it does not forget it before it is safe with the other one. */
static void test_what_is_passed_on_is_not_forgotten_too_early(void **state)
{
	struct shard_scene *scene = *state;
	const uint64_t *forgotten = &scene->records[0].seen[JOURNAL_EVENT(forgotten)];
	struct far_peer to = stayer(scene, "to", 1, "w", 1);
	struct far_peer first = peer_sign_in(
		scene, PEER_CONNECT(.id = "first", .expiry_s = HOUR_S, .will_topic = "w", .will_qos = 1), false);
	peer_subscribe(&first, "$share/g/t", 1);
	struct far_peer from = guest(scene, "from");
	peer_publish(&from, "t", "x", 1, 1);
	shard_scene_settle(scene);
	struct far_peer other = stayer(scene, "other", 1, "$share/g/t", 1);
	uint64_t before = *forgotten;
	peer_drop(&first);
	turns(scene);
	commit(scene, 0);
	turns(scene);
	expect(&to, MQTT_PUBLISH, 0);
	expect(&other, MQTT_PUBLISH, 0);
	assert_int_equal(*forgotten, before);
	commit(scene, 1);
	turns(scene);
	assert_int_equal(*forgotten, before + 2);
	assert_int_equal(peer_counts(&from, MQTT_PUBACK), 1);
	leave(&to);
	leave(&other);
	peer_vanish(&from);
}

/* ---- ends by the server ---- */

/* The answer that is not safe never leaves, but the client is told why it ends. */
static void test_disconnect_without_the_unsafe_answer(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = stayer(scene, "a", 0, NULL, 0);
	peer_ask(&peer, &(struct mqtt_subscription){.filter = slice_string("u"), .qos = 1}, 0);
	turns(scene);
	peer_say(&peer, "\x10\0", 2); /* a second CONNECT */
	turns(scene);
	struct heard heard;
	assert_true(peer_heard(&peer, &heard));
	assert_int_equal(heard.header.type, MQTT_DISCONNECT);
	peer_hears_end(&peer);
}

/* Not even that before CONNACK [MQTT-3.14.0-1]. */
static void test_no_disconnect_before_connack(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_connect(scene, PEER_CONNECT(.id = "a", .expiry_s = HOUR_S));
	turns(scene);
	peer_say(&peer, "\x10\0", 2);
	turns(scene);
	peer_hears_end(&peer);
}

/* ---- limits ---- */

/* A client that asks for more answers than may wait is not read. */
static void test_a_flood_of_pubrels(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = stayer(scene, "a", 0, NULL, 0);
	peer_publish(&peer, "nobody", "x", 2, 1);
	turns(scene);
	uint8_t flood[FLOOD * 4];
	for (uint32_t i = 0; i < FLOOD; i++)
		memcpy(flood + i * (size_t)4, "\x62\x02\0\x09", 4);
	peer_say(&peer, flood, sizeof(flood));
	for (int i = 0; i < 10; i++)
		turns(scene);
	expect_silence(&peer);
	shard_scene_settle(scene);
	expect(&peer, MQTT_PUBREC, 1);
	assert_int_equal(peer_counts(&peer, MQTT_PUBCOMP), FLOOD);
	leave(&peer);
}

/* ---- sleep ---- */

static void commit_before_sleep(void *context)
{
	struct shard_scene *scene = context;
	assert_true(scene->records[0].awaits);
	commit(scene, 0);
	commit(scene, 1);
}

/* More becomes safe after the shard has looked, and before it has said that it wants to be woken. */
static void test_no_wake_up_is_lost(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = stayer(scene, "to", 0, "t", 1);
	struct far_peer from = guest(scene, "from");
	peer_publish(&from, "t", "x", 1, 1);
	for (int i = 0; i < TURNS; i++)
		shard_scene_turn_one(scene, 0);
	assert_true(shard_scene_sleep_ms() > ACKNOWLEDGE_PATIENCE_MS); /* no batch is out: not patient */
	shard_scene_before_sleep(commit_before_sleep, scene);
	shard_scene_turn_one(scene, 0);
	shard_scene_before_sleep(NULL, NULL);
	assert_int_equal(shard_scene_sleep_ms(), 0);
	expect(&from, MQTT_PUBACK, 1);
	leave(&to);
	peer_vanish(&from);
}

/* ---- draining ---- */

static bool drain_turns(struct shard_scene *scene, int count)
{
	bool goes_on[2] = {true, true};
	for (int i = 0; i < count; i++) {
		for (uint16_t shard = 0; shard < 2; shard++) {
			if (goes_on[shard])
				goes_on[shard] = shard_scene_turn_one(scene, shard);
		}
	}
	return goes_on[0] || goes_on[1];
}

/* A publisher that waits gets its acknowledgements before its socket closes, and is not asked for more. */
static void test_draining_waits_for_commits(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer to = stayer(scene, "to", 1, "t", 1);
	struct far_peer from = guest(scene, "from");
	peer_publish(&from, "t", "x", 1, 1);
	turns(scene);
	for (uint16_t shard = 0; shard < 2; shard++)
		shard_stop(&scene->shards[shard], UINT64_MAX);
	assert_true(drain_turns(scene, 10));
	peer_publish(&from, "t", "x", 1, 2);
	assert_true(drain_turns(scene, 10));
	expect_silence(&from);
	commit(scene, 1);
	assert_false(drain_turns(scene, 20));
	expect(&from, MQTT_PUBACK, 1);
	peer_hears_end(&from);
	peer_drop(&to);
	for (uint16_t shard = 0; shard < 2; shard++)
		atomic_store(&scene->shards[shard].shared.draining, false);
}

int main(void)
{
#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		SCENE(test_waits_for_its_own_shard),
		SCENE(test_waits_for_the_other_shard),
		SCENE(test_the_mailbox_has_room_meanwhile),
		SCENE(test_waits_for_all_of_them),
		SCENE(test_a_retained_message_waits),
		SCENE(test_what_is_not_told_does_not_wait),
		SCENE(test_pubrec_waits_for_received),
		SCENE(test_a_duplicate_waits_too),
		SCENE(test_pubcomp_waits_for_completed),
		SCENE(test_pubrel_waits_for_released),
		SCENE(test_a_connection_that_ends_meanwhile),
		SCENE(test_connack_waits),
		SCENE(test_suback_holds_the_output),
		SCENE(test_a_long_sync_ends_nobody),
		SCENE(test_a_held_client_is_no_slow_reader),
		SCENE(test_deliveries_go_on),
		SCENE(test_what_is_passed_on_is_not_forgotten_too_early),
		SCENE(test_disconnect_without_the_unsafe_answer),
		SCENE(test_no_disconnect_before_connack),
		SCENE(test_a_flood_of_pubrels),
		SCENE(test_no_wake_up_is_lost),
		SCENE(test_draining_waits_for_commits),
	};
	return cmocka_run_group_tests_name("answers that wait for commits", tests, NULL, NULL);
}
