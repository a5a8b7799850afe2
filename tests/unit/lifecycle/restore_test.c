/* What a gateway is restored from, and what it says where it cannot. Random plays restore all else (sim/,
 * gateway_journal_play_test.c). */
#include "lifecycle/stored/restore.h"

#include "base/log.h"
#include "peer.h"
#include "topics/index/rcu.h"
#include "topics/retained.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A PUBLISH at QoS 1 on "t", as in version 5. */
static const uint8_t PACKET[] = {0x32, 7, 0, 1, 't', 0, 1, 0, 'x'};
static const struct publication PUBLICATION = {
	.packet_bytes = sizeof(PACKET), .topic_bytes = 1, .header_bytes = 2, .qos = 1, .is_5 = 1};

static enum error read_packet(void *context, struct store_place place, const struct publication *publication,
			      uint8_t **packet)
{
	(void)context;
	if (place.segment == 0)
		return ERROR_NOT_FOUND;
	*packet = malloc(publication->packet_bytes);
	memcpy(*packet, PACKET, publication->packet_bytes);
	return ERROR_OK;
}

static enum error note_place(void *context, uint16_t shard, struct message_ref message, struct store_place place)
{
	(void)place;
	struct shard_scene *scene = context;
	journal_record_place(&scene->records[shard], message, slice_of(PACKET, sizeof(PACKET)));
	return ERROR_OK;
}

static enum error restore(struct shard_scene *scene, const struct model *model, struct restore_report *report)
{
	struct restore_bodies bodies = {.read = read_packet, .place = note_place, .context = scene};
	reader_offline();
	enum error error = restore_shards(scene->shards, &scene->key, model, &bodies, report);
	reader_online();
	return error;
}

static struct model_session session_of(const char *id)
{
	return (struct model_session){
		.client_id = slice_string(id),
		.expiry_s = 100,
		.ends_at_s = DEADLINE_NEVER_S,
		.will_at_s = DEADLINE_NEVER_S,
		.token_expires_at_s = DEADLINE_NEVER_S,
	};
}

static struct model_message message_at_place(uint32_t segment)
{
	return (struct model_message){.publication = PUBLICATION,
				      .expires_at_s = DEADLINE_NEVER_S,
				      .place = {.segment = segment, .offset = 1},
				      .references = 1};
}

static int64_t now_of(const struct shard_scene *scene)
{
	return scene->shards[0].sessions.journal.wall_s;
}

/* The will of a client that was connected when the gateway stopped is due at once, and its session goes on. */
static void test_a_will_that_is_due_is_published(void **state)
{
	(void)state;
	struct shard_scene *scene = shard_scene_new(2);
	struct far_peer watcher = peer_sign_in(scene, PEER_CONNECT(.id = "watcher", .shard = 0), false);
	peer_subscribe(&watcher, "t", 1);
	struct model_message will = message_at_place(1);
	struct model_session session = session_of("a");
	session.connected = true;
	session.will = &will;
	struct model model = {.sessions = &session, .session_count = 1, .wall_s = now_of(scene)};
	struct restore_report report;
	assert_int_equal(restore(scene, &model, &report), ERROR_OK);
	assert_int_equal(report.sessions, 1);
	shard_scene_pass_ms(scene, 2000);
	journal_model_want_checkpoint(&scene->journal, NULL);
	shard_scene_settle(scene);
	struct heard heard;
	bool came = false;
	while (peer_heard(&watcher, &heard))
		came |= heard.header.type == MQTT_PUBLISH && slice_equal(heard.publish.topic, slice_string("t"));
	assert_true(came);
	assert_int_equal(atomic_load(&scene->sessions_offline), 1);
	peer_drop(&watcher);
	shard_scene_free(scene);
}

/* A session that has expired meanwhile ends in the first turns. */
static void test_a_session_that_has_expired_ends(void **state)
{
	(void)state;
	struct shard_scene *scene = shard_scene_new(1);
	struct model_session session = session_of("a");
	session.ends_at_s = now_of(scene) - 1;
	struct model model = {.sessions = &session, .session_count = 1, .wall_s = now_of(scene) - 50};
	struct restore_report report;
	assert_int_equal(restore(scene, &model, &report), ERROR_OK);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	shard_scene_pass_ms(scene, 200);
	journal_model_want_checkpoint(&scene->journal, NULL);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_clients(scene, 0), 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sessions_expired), 1);
	shard_scene_free(scene);
}

/* Of messages whose packets cannot be read, those that need them at once are counted as lost. */
static void test_a_lost_packet_loses_its_message_alone(void **state)
{
	(void)state;
	struct shard_scene *scene = shard_scene_new(1);
	struct model_message will = message_at_place(0);
	struct model_message whole = message_at_place(1);
	struct model_entry entry = {.message = &whole, .flags = 1 | STORE_FLAG_SHARED};
	struct model_session session = session_of("a");
	session.will = &will;
	session.queue = &entry;
	session.queue_count = 1;
	struct model model = {.sessions = &session, .session_count = 1, .message_count = 1, .wall_s = now_of(scene)};
	struct restore_report report;
	assert_int_equal(restore(scene, &model, &report), ERROR_OK);
	assert_int_equal(report.lost, 1);
	assert_int_equal(report.messages, 1);
	assert_int_equal(scene->shards[0].mem.messages.count, 1);
	shard_scene_free(scene);
}

static void test_too_few_places_are_told_of(void **state)
{
	(void)state;
	struct shard_scene *scene = shard_scene_new(1);
	uint32_t places = scene->shards[0].mem.clients.limit;
	struct model_session *sessions = calloc(places + 1u, sizeof(*sessions));
	for (uint32_t i = 0; i <= places; i++) {
		sessions[i] = session_of("a");
		sessions[i].next = i != places ? &sessions[i + 1] : NULL;
	}
	struct model model = {.sessions = sessions, .session_count = places + 1u, .wall_s = now_of(scene)};
	struct restore_report report;
	log_level_set(LOG_ERROR);
	assert_int_equal(restore(scene, &model, &report), ERROR_LIMIT);
	assert_int_equal(report.sessions, 0);
	free(sessions);
	shard_scene_free(scene);
}

static void test_too_many_retained_messages_are_told_of(void **state)
{
	(void)state;
	struct shard_scene *scene = shard_scene_new(1);
	retained_free(scene->retained);
	scene->retained = scene->shards[0].env.retained = retained_new(&scene->key, 0, 1 << 20, NULL);
	struct model_retained retained = {.topic = slice_string("t"),
					  .number = 7,
					  .expires_at_s = DEADLINE_NEVER_S,
					  .publication = PUBLICATION,
					  .packet = PACKET};
	struct model model = {
		.retained = &retained, .retained_count = 1, .retained_number = 7, .wall_s = now_of(scene)};
	struct restore_report report;
	log_level_set(LOG_ERROR);
	assert_int_equal(restore(scene, &model, &report), ERROR_LIMIT);
	shard_scene_free(scene);
}

/* ---- what publishers send again ---- */

/* A publisher that had no PUBREC for message 7 to "t", and receivers on two shards: "b" has it, and so has a member of
 * a group; "c", and another group, have not. */
struct claimed {
	struct model_claim claims[2];
	struct model_subscription plain;
	struct model_subscription groups[2];
	struct model_session sessions[5];
	struct model model;
};

static const char *const CLAIMED_IDS[] = {"a", "b", "c", "d", "e"}; /* d, e: the members of the two groups */

static void restore_claimed(struct shard_scene *scene, struct claimed *claimed)
{
	*claimed = (struct claimed){
		.claims = {{.packet_id = 7, .receiver = slice_string("b")},
			   {.packet_id = 7, .receiver = slice_string("$share/g/t"), .is_group = true}},
		.plain = {.filter = slice_string("t"), .options = 2},
		.groups = {{.filter = slice_string("$share/g/t"), .options = 2},
			   {.filter = slice_string("$share/h/t"), .options = 2}},
		.model = {.session_count = 5, .subscription_count = 4, .wall_s = now_of(scene)},
	};
	claimed->claims[0].next = &claimed->claims[1];
	for (uint32_t i = 0; i < 5; i++) {
		claimed->sessions[i] = session_of(CLAIMED_IDS[i]);
		claimed->sessions[i].next = i != 0 ? &claimed->sessions[i - 1] : NULL;
	}
	claimed->sessions[0].claims = claimed->claims;
	claimed->sessions[1].subscriptions = claimed->sessions[2].subscriptions = &claimed->plain;
	claimed->sessions[3].subscriptions = &claimed->groups[0];
	claimed->sessions[4].subscriptions = &claimed->groups[1];
	claimed->model.sessions = &claimed->sessions[4];
	struct restore_report report;
	assert_int_equal(restore(scene, &claimed->model, &report), ERROR_OK);
	journal_model_want_checkpoint(&scene->journal, NULL);
	shard_scene_settle(scene);
	assert_true(journal_model_has_checkpoint(&scene->journal));
}

static struct far_peer come_back(struct shard_scene *scene, const char *id)
{
	return peer_sign_in(scene, PEER_CONNECT(.id = id, .shard = shard_scene_of(scene, id), .expiry_s = 100), true);
}

static void publish_2(const struct far_peer *from, uint16_t packet_id, bool dup)
{
	peer_publish_as(from, &(struct mqtt_publish){.topic = slice_string("t"),
						     .payload = slice_string("x"),
						     .packet_id = packet_id,
						     .qos = 2,
						     .dup = dup});
}

/* Whether each of b to e is sent the message, once. */
static void assert_heard(struct shard_scene *scene, const bool heard[4])
{
	for (uint32_t i = 0; i < 4; i++) {
		struct far_peer to = come_back(scene, CLAIMED_IDS[i + 1]);
		if (heard[i]) {
			struct mqtt_publish publish = peer_hears_publish(&to, "t", "x", 2);
			peer_completes(&to, &publish);
		}
		peer_hears_nothing(&to);
		peer_vanish(&to);
	}
}

static void test_what_is_sent_again_goes_to_those_who_have_it_not(void **state)
{
	(void)state;
	struct claimed claimed;
	struct shard_scene *scene = shard_scene_new(2);
	restore_claimed(scene, &claimed);
	struct far_peer from = come_back(scene, "a");
	publish_2(&from, 7, true);
	peer_hears_ack(&from, MQTT_PUBREC, 7, MQTT_REASON_SUCCESS);
	assert_heard(scene, (const bool[]){false, true, false, true});
	/* After that the identifier is another message's, however it comes. */
	peer_ack(&from, MQTT_PUBREL, 7);
	peer_hears_ack(&from, MQTT_PUBCOMP, 7, MQTT_REASON_SUCCESS);
	publish_2(&from, 7, true);
	peer_hears_ack(&from, MQTT_PUBREC, 7, MQTT_REASON_SUCCESS);
	assert_heard(scene, (const bool[]){true, true, true, true});
	peer_vanish(&from);
	shard_scene_free(scene);
}

static void test_a_new_message_goes_to_all(void **state)
{
	(void)state;
	struct claimed claimed;
	struct shard_scene *scene = shard_scene_new(2);
	restore_claimed(scene, &claimed);
	struct far_peer from = come_back(scene, "a");
	publish_2(&from, 7, false);
	peer_hears_ack(&from, MQTT_PUBREC, 7, MQTT_REASON_SUCCESS);
	assert_heard(scene, (const bool[]){true, true, true, true});
	peer_vanish(&from);
	shard_scene_free(scene);
}

/* Also one that another of its messages does not stand for. */
static void test_another_identifier_is_another_message(void **state)
{
	(void)state;
	struct claimed claimed;
	struct shard_scene *scene = shard_scene_new(2);
	restore_claimed(scene, &claimed);
	struct far_peer from = come_back(scene, "a");
	publish_2(&from, 8, true);
	peer_hears_ack(&from, MQTT_PUBREC, 8, MQTT_REASON_SUCCESS);
	assert_heard(scene, (const bool[]){true, true, true, true});
	peer_vanish(&from);
	shard_scene_free(scene);
}

/* The claim was its session's, which has ended. */
static void test_claims_end_with_the_session(void **state)
{
	(void)state;
	struct claimed claimed;
	struct shard_scene *scene = shard_scene_new(2);
	restore_claimed(scene, &claimed);
	struct far_peer from = peer_sign_in(
		scene, PEER_CONNECT(.id = "a", .shard = shard_scene_of(scene, "a"), .expiry_s = 100, .clean = true),
		false);
	publish_2(&from, 7, true);
	peer_hears_ack(&from, MQTT_PUBREC, 7, MQTT_REASON_SUCCESS);
	assert_heard(scene, (const bool[]){true, true, true, true});
	peer_vanish(&from);
	shard_scene_free(scene);
}

/* What was told again after the restart is there after the next one. */
static void test_claims_last_over_a_second_crash(void **state)
{
	(void)state;
	struct claimed claimed;
	struct shard_scene *scene = shard_scene_new(2);
	restore_claimed(scene, &claimed);
	assert_true(shard_scene_crash(scene, 3));
	shard_scene_settle(scene);
	struct far_peer from = come_back(scene, "a");
	publish_2(&from, 7, true);
	peer_hears_ack(&from, MQTT_PUBREC, 7, MQTT_REASON_SUCCESS);
	assert_heard(scene, (const bool[]){false, true, false, true});
	peer_vanish(&from);
	shard_scene_free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_will_that_is_due_is_published),
		cmocka_unit_test(test_a_session_that_has_expired_ends),
		cmocka_unit_test(test_a_lost_packet_loses_its_message_alone),
		cmocka_unit_test(test_what_is_sent_again_goes_to_those_who_have_it_not),
		cmocka_unit_test(test_a_new_message_goes_to_all),
		cmocka_unit_test(test_another_identifier_is_another_message),
		cmocka_unit_test(test_claims_end_with_the_session),
		cmocka_unit_test(test_claims_last_over_a_second_crash),
		cmocka_unit_test(test_too_few_places_are_told_of),
		cmocka_unit_test(test_too_many_retained_messages_are_told_of),
	};
	return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
