/* What the journal is told, and what it is not. That it is told everything is checked in every test of a scene, and in
 * gateway_journal_play_test.c; here is what a test has to bring about, and what is not to be seen in a model. */
#include "journal_recorded.h"
#include "mqtt/encode.h"
#include "peer.h"
#include "route/routing.h"
#include "state/extension.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HOUR_S 3600u

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
	return 0;
}

static int two_shards_open(void **state)
{
	*state = shard_scene_new(2);
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	shard_scene_pass_ms(scene, 2000u * HOUR_S);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

/* Of the first shard. */
static uint64_t told(const struct shard_scene *scene, size_t event)
{
	return scene->records[0].seen[event];
}

/* The only session that is told of. */
static const struct recorded_session *only_session(const struct shard_scene *scene)
{
	const struct journal_record *record = &scene->records[0];
	assert_int_equal(record->session_count, 1);
	uint32_t place = 0;
	while (!record->sessions[place].open)
		place++;
	return &record->sessions[place];
}

static struct far_peer come(struct shard_scene *scene, const char *id, bool present)
{
	return peer_sign_in(scene, PEER_CONNECT(.id = id, .expiry_s = HOUR_S), present);
}

/* ---- what is not told ---- */

/* With everything that a session can have. */
static void test_nothing_of_a_session_that_ends_with_its_connection(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer =
		peer_sign_in(scene, PEER_CONNECT(.id = "short", .receive_max = 2, .will_topic = "w"), false);
	peer_subscribe(&peer, "t", 2);
	peer_subscribe(&peer, "$share/g/t", 1);
	for (uint16_t id = 1; id <= 4; id++)
		peer_publish(&peer, "t", "x", 2, id);
	shard_scene_settle(scene);
	peer_ack(&peer, MQTT_PUBREL, 1);
	peer_ack(&peer, MQTT_PUBREC, 1);
	peer_counts(&peer, MQTT_PUBLISH);
	peer_unsubscribe(&peer, "t");
	assert_int_not_equal(scene->shards[0].mem.messages.count, 0);
	peer_vanish(&peer);
	assert_int_equal(scene->records[0].events, 0);
	assert_int_equal(scene->records[0].batches, 0);
}

static void test_nothing_of_a_retained_message_of_the_server(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = come(scene, "a", false);
	uint64_t events = scene->records[0].events;
	struct mqtt_publish publish = {
		.topic = slice_string("$SYS/broker/x"), .payload = slice_string("1"), .retain = true};
	uint8_t packet[64];
	size_t size = mqtt_publish_encode(&publish, MQTT_VERSION_5, packet, sizeof(packet));
	struct publication publication =
		publication_of(&publish, MQTT_VERSION_5, size, MQTT_HEADER_BYTES_MIN, scene->shards[0].loop.now_s);
	struct stamp stamp;
	assert_int_equal(routing_retain(&scene->shards[0], &publication, packet, &stamp), ERROR_OK);
	assert_true(stamp_is_none(stamp));
	assert_int_equal(scene->records[0].events, events);
	peer_vanish(&peer);
}

/* What is not to be stored any more is not: its session ends with this connection. */
static void test_a_session_that_is_to_end_with_its_connection(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = come(scene, "a", false);
	peer_subscribe(&peer, "t", 1);
	peer_vanish(&peer);
	assert_int_equal(scene->records[0].session_count, 1);
	peer = peer_sign_in(scene, PEER_CONNECT(.id = "a"), true);
	assert_int_equal(scene->records[0].session_count, 0);
	uint64_t events = scene->records[0].events;
	peer_publish(&peer, "t", "x", 1, 1);
	shard_scene_settle(scene);
	assert_int_equal(scene->records[0].events, events);
	peer_vanish(&peer);
	assert_int_equal(scene->records[0].events, events);
}

/* ---- what is told ---- */

static void test_a_message_is_told_once_for_all_sessions(void **state)
{
	struct shard_scene *scene = *state;
	static const char *const IDS[] = {"a", "b", "c", "d"};
	for (size_t i = 0; i < 4; i++) {
		struct far_peer peer = come(scene, IDS[i], false);
		peer_subscribe(&peer, "t", 1);
		peer_vanish(&peer);
	}
	struct far_peer publisher = peer_sign_in(scene, PEER_CONNECT(.id = "p"), false);
	peer_publish(&publisher, "t", "x", 1, 1);
	shard_scene_settle(scene);
	assert_int_equal(told(scene, JOURNAL_EVENT(kept)), 1);
	assert_int_equal(told(scene, JOURNAL_EVENT(queued)), 4);
	assert_int_equal(scene->records[0].message_count, 1);
	peer_vanish(&publisher);
}

/* The oldest that was never sent goes, from the middle of the list, and the one behind it takes its place. */
static void test_an_entry_that_moves(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_messages_max = 3;
	struct far_peer peer =
		peer_sign_in(scene, PEER_CONNECT(.id = "a", .expiry_s = HOUR_S, .receive_max = 2), false);
	peer_subscribe(&peer, "t", 1);
	struct far_peer publisher = peer_sign_in(scene, PEER_CONNECT(.id = "p"), false);
	for (uint16_t id = 1; id <= 5; id++)
		peer_publish(&publisher, "t", "x", 1, id);
	shard_scene_settle(scene);
	/* It reads nothing, so that nobody waits for it any more. */
	for (uint32_t seconds = 0; seconds < 4; seconds++) {
		shard_scene_pass_ms(scene, 1000);
		shard_scene_settle(scene);
	}
	for (uint16_t id = 6; id <= 9; id++)
		peer_publish(&publisher, "t", "x", 1, id);
	shard_scene_settle(scene);
	assert_int_not_equal(told(scene, JOURNAL_EVENT(moved)), 0);
	assert_int_equal(only_session(scene)->entries, 5);
	peer_vanish(&publisher);
	peer_vanish(&peer);
}

/* A turn's events are one batch, and turns without any have none. */
static void test_a_turn_is_a_batch(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = come(scene, "a", false);
	const struct journal_record *record = &scene->records[0];
	uint64_t batches = record->batches;
	uint64_t events = record->events;
	peer_ask(&peer, &(struct mqtt_subscription){.filter = slice_string("t"), .qos = 1}, 0);
	peer_ask(&peer, &(struct mqtt_subscription){.filter = slice_string("u"), .qos = 1}, 0);
	peer_publish(&peer, "t", "x", 1, 1);
	shard_scene_turn_one(scene, 0);
	assert_int_equal(record->batches, batches + 1);
	assert_int_equal(record->events, events + 5); /* subscribed twice; kept, queued, sent */
	for (int turns = 0; turns < 10; turns++)
		shard_scene_turn_one(scene, 0);
	assert_int_equal(record->batches, batches + 1);
	assert_int_equal(record->wall_s, SCENE_WALL_S + SCENE_START_MS / 1000);
	peer_vanish(&peer);
}

/* PUBREC says that a message will not be taken again: that is told once the message is with its subscribers. */
static void test_received_when_it_is_with_all(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = come(scene, "a", false);
	peer_publish(&peer, "nobody", "x", 2, 7);
	peer_hears_ack(&peer, MQTT_PUBREC, 7, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	assert_int_equal(only_session(scene)->received_count, 1);
	assert_int_equal(only_session(scene)->received[0], 7);
	peer_ack(&peer, MQTT_PUBREL, 7);
	peer_hears_ack(&peer, MQTT_PUBCOMP, 7, 0);
	assert_int_equal(only_session(scene)->received_count, 0);
	peer_vanish(&peer);
}

/* The later change counts, whichever shard tells it first. */
static void test_retained_changes_of_two_shards(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peers[2];
	for (uint16_t shard = 0; shard < 2; shard++)
		peers[shard] = peer_sign_in(scene, PEER_CONNECT(.id = shard == 0 ? "a" : "b", .shard = shard), false);
	for (uint32_t times = 0; times < 8; times++) {
		struct mqtt_publish publish = {
			.topic = slice_string("t"), .payload = slice_string(times % 3 == 2 ? "" : "x"), .retain = true};
		peer_publish_as(&peers[times % 2], &publish);
		shard_scene_turn_one(scene, (uint16_t)(times % 2));
		journal_model_check(&scene->journal);
	}
	assert_int_equal(scene->records[0].seen[JOURNAL_EVENT(retained)], 4);
	assert_int_equal(scene->records[1].seen[JOURNAL_EVENT(retained)], 4);
	for (uint16_t shard = 0; shard < 2; shard++)
		peer_vanish(&peers[shard]);
}

/* ---- time ---- */

/* The wall clock is set: what was told keeps to the clock that was. What is told from now on goes by the new one where
 * it is ahead, and goes on with the old one where it is behind. Nothing that runs is any different. */
static void wall_clock_set(struct shard_scene *scene, int64_t offset_s)
{
	struct far_peer peer = come(scene, "a", false);
	peer_vanish(&peer);
	const struct client *client = shard_client(&scene->shards[0], (struct client_ref){1});
	uint32_t ends_at_s = extension_of(&scene->shards[0], client)->ends_at_s;
	assert_int_equal(only_session(scene)->ends_at_s, ends_at_s);
	int64_t told_wall_s = scene->records[0].wall_s + (ends_at_s - SCENE_START_MS / 1000);
	assert_int_equal(told_wall_s, SCENE_WALL_S + ends_at_s);

	shard_scene_set_wall(offset_s);
	shard_scene_pass_ms(scene, 1000u * (HOUR_S / 2));
	shard_scene_settle(scene);
	assert_int_equal(scene->records[0].session_count, 1);
	peer = come(scene, "a", true);
	int64_t ahead_s = offset_s > 0 ? offset_s : 0;
	assert_int_equal(scene->records[0].wall_s, SCENE_WALL_S + ahead_s + SCENE_START_MS / 1000 + HOUR_S / 2);
	peer_vanish(&peer);
	assert_int_equal(only_session(scene)->ends_at_s, scene->shards[0].loop.now_s + HOUR_S + 1);
	shard_scene_pass_ms(scene, 1000u * (HOUR_S - 10));
	shard_scene_settle(scene);
	assert_int_equal(scene->records[0].session_count, 1);
	shard_scene_pass_ms(scene, 1000u * 20);
	shard_scene_settle(scene);
	assert_int_equal(scene->records[0].session_count, 0);
}

static void test_wall_clock_set_forward(void **state)
{
	wall_clock_set(*state, 24 * (int64_t)HOUR_S);
}

static void test_wall_clock_set_back(void **state)
{
	wall_clock_set(*state, -24 * (int64_t)HOUR_S);
}

int main(void)
{
#define ONE(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)
#define TWO(name) cmocka_unit_test_setup_teardown(name, two_shards_open, scene_close)
	const struct CMUnitTest tests[] = {
		ONE(test_nothing_of_a_session_that_ends_with_its_connection),
		ONE(test_nothing_of_a_retained_message_of_the_server),
		ONE(test_a_session_that_is_to_end_with_its_connection),
		ONE(test_a_message_is_told_once_for_all_sessions),
		ONE(test_an_entry_that_moves),
		ONE(test_a_turn_is_a_batch),
		ONE(test_received_when_it_is_with_all),
		TWO(test_retained_changes_of_two_shards),
		ONE(test_wall_clock_set_forward),
		ONE(test_wall_clock_set_back),
	};
	return cmocka_run_group_tests_name("the journal", tests, NULL, NULL);
}
