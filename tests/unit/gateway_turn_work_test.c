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

static void say_pings(const struct peer *peer)
{
	static uint8_t pings[PINGS * 2];
	for (size_t i = 0; i < sizeof(pings); i += 2)
		pings[i] = MQTT_PINGREQ << 4;
	peer_say(peer, pings, sizeof(pings));
}

static void a_flood_of_packets_takes_several_turns(void **state)
{
	struct shard_scene *scene = *state;
	struct peer flood = peer_sign_in(scene, PEER_CONNECT(.id = "flood"), false);
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
	struct peer floods[FLOODS];
	char id[16];
	for (uint32_t i = 0; i < FLOODS; i++) {
		snprintf(id, sizeof(id), "flood%u", i);
		floods[i] = peer_sign_in(scene, PEER_CONNECT(.id = id), false);
	}
	struct peer last = peer_sign_in(scene, PEER_CONNECT(.id = "last"), false);
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

static void many_clients_share_a_turn(void **state)
{
	struct shard_scene *scene = *state;
	struct peer peers[64];
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
	assert_in_range(largest_turn(scene), WORK_SHARE_PACKETS, WORK_SHARE_PACKETS + WORK_READ + largest_step(scene));
	for (uint32_t i = 0; i < 64; i++)
		peer_vanish(&peers[i]);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		CASE(a_flood_of_packets_takes_several_turns),
		CASE(nobody_waits_for_anybody_twice),
		CASE(many_clients_share_a_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
