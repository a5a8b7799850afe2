/* What is noted in a session's or a connection's flags ends with it: a place is used again. */
#include "peer.h"
#include "subscriptions/own_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* More than are queued for a client at a time. */
#define RETAINED 80u

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

/* The only one that there is. */
static const struct session *first_session(const struct shard_scene *scene)
{
	const struct shard *shard = &scene->shards[0];
	assert_int_equal(shard->mem.clients.used, 1);
	uint32_t index = 1;
	while (shard_client(shard, (struct client_ref){index})->state == CLIENT_FREE)
		index++;
	return &shard_client(shard, (struct client_ref){index})->session;
}

static void retain_much(struct shard_scene *scene)
{
	struct far_peer publisher = peer_sign_in(scene, PEER_CONNECT(.id = "publisher"), false);
	char topic[16];
	for (uint32_t i = 0; i < RETAINED; i++) {
		snprintf(topic, sizeof(topic), "r/%u", i);
		struct mqtt_publish publish = {.topic = slice_string(topic),
					       .payload = slice_string("m"),
					       .packet_id = (uint16_t)(i + 1),
					       .qos = 1,
					       .retain = true};
		peer_publish_as(&publisher, &publish);
	}
	peer_leave(&publisher);
}

/* Signs in as a bridge and does all that is noted of it. */
static struct far_peer noted(struct shard_scene *scene, bool clean)
{
	retain_much(scene);
	struct far_peer peer = peer_sign_in(
		scene, PEER_CONNECT(.id = "a", .version = MQTT_VERSION_3_1_1, .clean = clean, .bridge = true), false);
	char filter[16];
	for (uint32_t i = 0; i <= OWN_WALK_MAX; i++) {
		snprintf(filter, sizeof(filter), "f/%u", i);
		peer_subscribe(&peer, filter, 0);
	}
	peer_subscribe(&peer, "$share/g/f", 0);
	peer_ask(&peer, &(struct mqtt_subscription){.filter = slice_string("r/#"), .qos = 1}, 0);
	shard_scene_settle(scene);
	const struct session *session = first_session(scene);
	assert_true(session->is_bridge);
	assert_true(session->is_keyed);
	assert_true(session->has_shared);
	assert_true(session->owed);
	return peer;
}

static void a_place_that_is_used_again_is_as_new(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = noted(scene, true);
	peer_vanish(&peer);
	assert_int_equal(shard_scene_clients(scene, 0), 0);
	peer = peer_sign_in(scene, PEER_CONNECT(.id = "b"), false);
	const struct session *session = first_session(scene);
	assert_false(session->is_bridge);
	assert_false(session->is_keyed);
	assert_false(session->has_shared);
	assert_false(session->owed);
	assert_false(session->is_narrowed);
	assert_false(session->cleaning);
	peer_hears_nothing(&peer);
	peer_leave(&peer);
}

/* A bridge is a connection that says so; what the session has is the session's. */
static void a_session_goes_on_without_its_connection_s_part(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = noted(scene, false);
	peer_vanish(&peer);
	peer = peer_connect(scene, PEER_CONNECT(.id = "a", .version = MQTT_VERSION_3_1_1));
	shard_scene_settle(scene);
	const struct session *session = first_session(scene);
	assert_false(session->is_bridge);
	assert_true(session->is_keyed);
	assert_true(session->has_shared);
	assert_true(session->owed);
	peer_vanish(&peer);
	peer = peer_sign_in(scene, PEER_CONNECT(.id = "a", .version = MQTT_VERSION_3_1_1, .clean = true), false);
	assert_false(first_session(scene)->owed);
	peer_leave(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_place_that_is_used_again_is_as_new, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(a_session_goes_on_without_its_connection_s_part, scene_open,
						scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
