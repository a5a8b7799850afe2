/* A session that comes from another node: what its client gets then, what comes late, what is merged, and that damaged
 * bytes do no harm. */
#include "base/log.h"
#include "lifecycle/end.h"
#include "lifecycle/packed/unpack.h"
#include "mover.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR_S 3600u
#define LASTING PEER_CONNECT(.id = "c", .expiry_s = HOUR_S)

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
	log_level_set(LOG_ERROR);
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	shard_scene_settle(scene);
	shard_scene_pass_ms(scene, 4000u * HOUR_S);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

/* A client that is away, with messages at QoS 1 that wait. */
static struct far_peer away_with(struct shard_scene *scene, const char *const *payloads, uint32_t count)
{
	struct far_peer client = peer_sign_in(scene, LASTING, false);
	peer_subscribe(&client, "t", 2);
	peer_vanish(&client);
	struct far_peer publisher = peer_sign_in(scene, PEER_CONNECT(.id = "p"), false);
	for (uint32_t i = 0; i < count; i++) {
		peer_publish(&publisher, "t", payloads[i], 1, (uint16_t)(i + 1));
		peer_hears_ack(&publisher, MQTT_PUBACK, (uint16_t)(i + 1), 0);
	}
	return publisher;
}

static const char *const WORDS[] = {"one", "two", "three"};

static void test_late_messages_follow(void **state)
{
	struct shard_scene *scene = *state;
	struct move *move;
	struct bytes early = {0};
	struct bytes late = {0};
	struct far_peer publisher = away_with(scene, WORDS, 2);
	assert_true(mover_begin(scene, 0, "c", &move));
	mover_pack(scene, 0, move, 100, &early);
	peer_publish(&publisher, "t", WORDS[2], 1, 3);
	peer_hears_ack(&publisher, MQTT_PUBACK, 3, 0);
	mover_pack(scene, 0, move, 100, &late);
	assert_int_not_equal(late.size, 0);
	mover_let_go(scene, 0, move);
	move = NULL;
	assert_int_equal(mover_unpack(scene, 0, "c", bytes_slice(&early), 100, &move), ERROR_OK);
	assert_true(unpack_is_whole(move));
	struct far_peer client = peer_sign_in(scene, LASTING, true);
	assert_int_equal(mover_unpack(scene, 0, "c", bytes_slice(&late), 100, &move), ERROR_OK);
	unpack_end(&scene->shards[0], move);
	for (uint32_t i = 0; i < 3; i++) {
		struct mqtt_publish heard = peer_hears_publish(&client, "t", WORDS[i], 1);
		peer_completes(&client, &heard);
	}
	peer_hears_nothing(&client);
	bytes_free(&early);
	bytes_free(&late);
	peer_vanish(&client);
	peer_vanish(&publisher);
}

static void test_two_become_one(void **state)
{
	struct shard_scene *scene = *state;
	struct move *move;
	struct bytes bytes = {0};
	struct far_peer publisher = away_with(scene, WORDS, 2);
	assert_true(mover_begin(scene, 0, "c", &move));
	mover_pack(scene, 0, move, 100, &bytes);
	mover_let_go(scene, 0, move);
	struct far_peer client = peer_sign_in(scene, LASTING, false);
	move = NULL;
	assert_int_equal(mover_unpack(scene, 0, "c", bytes_slice(&bytes), 100, &move), ERROR_OK);
	unpack_end(&scene->shards[0], move);
	shard_scene_settle(scene);
	for (uint32_t i = 0; i < 2; i++) {
		struct mqtt_publish heard = peer_hears_publish(&client, "t", WORDS[i], 1);
		peer_completes(&client, &heard);
	}
	peer_publish(&publisher, "t", "its filter, too", 1, 9);
	peer_hears_ack(&publisher, MQTT_PUBACK, 9, 0);
	peer_hears_publish(&client, "t", "its filter, too", 1);
	bytes_free(&bytes);
	peer_vanish(&client);
	peer_vanish(&publisher);
}

/* What a part of a session leaves is gone within a minute, whichever part came. */
static void take_damaged(struct shard_scene *scene, struct slice bytes)
{
	struct move *move = NULL;
	mover_unpack(scene, 0, "c", bytes, 64, &move);
	assert_non_null(move);
	unpack_end(&scene->shards[0], move);
	shard_scene_turn_one(scene, 0);
	uint64_t hash = hash_slice(&scene->key, slice_string("c"));
	struct client_ref ref = registry_find(&scene->shards[0].sessions.registry, (uint32_t)hash, slice_string("c"));
	if (!client_ref_is_none(ref))
		end_moved(&scene->shards[0], ref);
	shard_scene_settle(scene);
}

static void test_damaged_bytes(void **state)
{
	struct shard_scene *scene = *state;
	struct move *move;
	struct bytes bytes = {0};
	struct far_peer publisher = away_with(scene, WORDS, 3);
	assert_true(mover_begin(scene, 0, "c", &move));
	mover_pack(scene, 0, move, 100, &bytes);
	mover_let_go(scene, 0, move);
	for (size_t at = 0; at < bytes.size; at++) {
		static const uint8_t CHANGES[] = {0x01, 0x80, 0xff, 0x10};
		take_damaged(scene, slice_of(bytes.data, at));
		for (size_t i = 0; i < sizeof(CHANGES); i++) {
			bytes.data[at] ^= CHANGES[i];
			take_damaged(scene, bytes_slice(&bytes));
			bytes.data[at] ^= CHANGES[i];
		}
	}
	bytes_free(&bytes);
	peer_vanish(&publisher);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_late_messages_follow, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_two_become_one, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_damaged_bytes, scene_open, scene_close),
	};
	return cmocka_run_group_tests_name("sessions that move", tests, NULL, NULL);
}
