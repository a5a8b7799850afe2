/* The grades of a client that is silent, over time: from its keepalive, with a grace of any length; whose silence it
 * is; and the lag of a shard that has rested. */
#include "base/log.h"
#include "scene_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static int scene_open(void **state)
{
	struct shard_scene *scene = shard_scene_new(1);
	scene->settings.grace_ms = 5000;
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	shard_scene_free(*state);
	return 0;
}

static int come(struct shard_scene *scene, uint16_t keepalive_s)
{
	return scene_sign_in(scene, 0, &(struct visitor){.id = "k", .keepalive_s = keepalive_s, .version = 4});
}

static void ping(struct shard_scene *scene, int fd)
{
	scene_say(fd, slice_of("\xc0\0", 2));
	shard_scene_settle(scene);
	scene_expect(fd, MQTT_PINGRESP);
}

/* The gauge of the one state that the client is in; COUNTER_COUNT: it is gone. */
static enum counter state_of(const struct shard_scene *scene)
{
	static const enum counter GAUGES[] = {COUNTER_clients_active, COUNTER_clients_quiet, COUNTER_clients_suspect};
	enum counter found = COUNTER_COUNT;
	for (int i = 0; i < 3; i++) {
		if (shard_scene_counter(scene, 0, GAUGES[i]) == 0)
			continue;
		assert_int_equal(found, COUNTER_COUNT);
		found = GAUGES[i];
	}
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_connections_open), found != COUNTER_COUNT);
	return found;
}

/* Passes time in small steps, and says after how much of it the state is another. */
static uint64_t until_other(struct shard_scene *scene, enum counter before)
{
	uint64_t passed_ms = 0;
	while (state_of(scene) == before) {
		shard_scene_pass_ms(scene, 50);
		shard_scene_settle(scene);
		passed_ms += 50;
		assert_true(passed_ms < 3600000);
	}
	return passed_ms;
}

#define SLACK_MS 400u /* a tick of the wheel, and one more that the last packet may have been in */

static void assert_about(uint64_t ms, uint64_t wanted_ms)
{
	assert_in_range(ms, wanted_ms, wanted_ms + SLACK_MS);
}

/* ---- grades ---- */

static void test_grades_of_a_silent_client(void **state)
{
	struct shard_scene *scene = *state;
	int fd = come(scene, 60);
	assert_about(until_other(scene, COUNTER_clients_active), 72000);
	assert_int_equal(state_of(scene), COUNTER_clients_quiet);
	assert_about(72000 + until_other(scene, COUNTER_clients_quiet), 85000);
	assert_int_equal(state_of(scene), COUNTER_clients_suspect);
	assert_about(85000 + until_other(scene, COUNTER_clients_suspect), 90000);
	assert_int_equal(state_of(scene), COUNTER_COUNT);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_KEEPALIVE_TIMEOUT), 1);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_clients_came_back), 0);
	close(fd);
	shard_scene_check_empty(scene);
}

/* A grace longer than what is left marks the client as soon as it is quiet. */
static void test_a_short_keepalive(void **state)
{
	struct shard_scene *scene = *state;
	int fd = come(scene, 10);
	assert_about(until_other(scene, COUNTER_clients_active), 12000);
	assert_int_equal(state_of(scene), COUNTER_clients_suspect);
	assert_about(12000 + until_other(scene, COUNTER_clients_suspect), 15000);
	assert_int_equal(state_of(scene), COUNTER_COUNT);
	close(fd);
	shard_scene_check_empty(scene);
}

/* Neither one that is longer than the machine has been up. */
static void test_a_grace_longer_than_the_clock(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.grace_ms = 10 * SCENE_START_MS;
	int fd = come(scene, 10);
	assert_about(until_other(scene, COUNTER_clients_active), 12000);
	assert_int_equal(state_of(scene), COUNTER_clients_suspect);
	assert_about(12000 + until_other(scene, COUNTER_clients_suspect), 15000);
	assert_int_equal(state_of(scene), COUNTER_COUNT);
	close(fd);
	shard_scene_check_empty(scene);
}

static void test_no_grace(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.grace_ms = 0;
	int fd = come(scene, 20);
	assert_about(until_other(scene, COUNTER_clients_active), 24000);
	assert_int_equal(state_of(scene), COUNTER_clients_quiet);
	assert_about(24000 + until_other(scene, COUNTER_clients_quiet), 30000);
	assert_int_equal(state_of(scene), COUNTER_COUNT);
	close(fd);
	shard_scene_check_empty(scene);
}

static void test_coming_back(void **state)
{
	struct shard_scene *scene = *state;
	int fd = come(scene, 60);
	until_other(scene, COUNTER_clients_active);
	ping(scene, fd);
	assert_int_equal(state_of(scene), COUNTER_clients_active);
	until_other(scene, COUNTER_clients_active);
	until_other(scene, COUNTER_clients_quiet);
	assert_int_equal(state_of(scene), COUNTER_clients_suspect);
	ping(scene, fd);
	assert_int_equal(state_of(scene), COUNTER_clients_active);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_clients_came_back), 2);
	/* And it is graded again as from the beginning. */
	assert_about(until_other(scene, COUNTER_clients_active), 72000);
	close(fd);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* A part of a packet is nothing heard: the standard counts packets. */
static void test_a_part_of_a_packet_is_silence(void **state)
{
	struct shard_scene *scene = *state;
	int fd = come(scene, 10);
	static const uint8_t BYTES[] = {0x30, 0x0f, 0, 1, 't'};
	for (size_t i = 0; i < sizeof(BYTES); i++) {
		scene_say(fd, slice_of(BYTES + i, 1));
		shard_scene_pass_ms(scene, 3200);
		shard_scene_settle(scene);
	}
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_KEEPALIVE_TIMEOUT), 1);
	close(fd);
	shard_scene_check_empty(scene);
}

static void test_without_a_keepalive(void **state)
{
	struct shard_scene *scene = *state;
	for (uint32_t probe_s = 0; probe_s <= 60; probe_s += 60) {
		scene->settings.idle_probe_s = probe_s;
		int fd = come(scene, 0);
		for (int i = 0; i < 100; i++) {
			shard_scene_pass_ms(scene, 100000);
			shard_scene_settle(scene);
			assert_int_equal(state_of(scene), COUNTER_clients_active);
		}
		close(fd);
		shard_scene_settle(scene);
		shard_scene_check_empty(scene);
	}
}

/* ---- whose silence it is ---- */

/* While its publishing is slowed down we do not read it, and do not hold that against it. */
static void test_slowed_down_is_not_silent(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.client_messages_a_second = 1;
	int fd = come(scene, 1);
	for (int i = 0; i < 20; i++)
		scene_publish(fd, 4, "t", "x", 0);
	for (int i = 0; i < 110; i++) {
		shard_scene_pass_ms(scene, 200);
		shard_scene_settle(scene);
		if (shard_scene_counter(scene, 0, COUNTER_messages_in) < 20)
			assert_int_equal(shard_scene_clients(scene, 0), 1);
	}
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_in), 20);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_KEEPALIVE_TIMEOUT), 1);
	close(fd);
	shard_scene_check_empty(scene);
}

/* ---- rest ---- */

static void sleep_for_a_second(void *context)
{
	shard_scene_pass_ms(context, 1000);
	shard_scene_before_sleep(NULL, NULL);
}

/* A shard that had a bad time and then nothing to do is not said to have too much of it. */
static void test_lag_is_over_when_the_shard_has_slept(void **state)
{
	struct shard_scene *scene = *state;
	struct shard *shard = &scene->shards[0];
	int fd = come(scene, 0);
	overload_turn(&shard->loop.overload, 700, 700, 700, scene->settings.overload_refuse_ms);
	assert_int_equal(shard->loop.overload.grade, OVERLOAD_HOLD);
	shard_scene_before_sleep(sleep_for_a_second, scene);
	shard_scene_turn_one(scene, 0);
	assert_int_equal(shard->loop.overload.grade, OVERLOAD_NORMAL);
	assert_int_equal(atomic_load(&shard->shared.lag_ms), 0);
	close(fd);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_grades_of_a_silent_client),
		IN_SCENE(test_a_short_keepalive),
		IN_SCENE(test_a_grace_longer_than_the_clock),
		IN_SCENE(test_no_grace),
		IN_SCENE(test_coming_back),
		IN_SCENE(test_a_part_of_a_packet_is_silence),
		IN_SCENE(test_without_a_keepalive),
		IN_SCENE(test_slowed_down_is_not_silent),
		IN_SCENE(test_lag_is_over_when_the_shard_has_slept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
