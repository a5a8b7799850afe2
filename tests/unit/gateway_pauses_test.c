/* Who is not read from for one reason may run into another one meanwhile: each has its own end. */
#include "base/log.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
	return 0;
}

static void pass_ms(struct shard_scene *scene, uint64_t ms)
{
	for (uint64_t passed_ms = 0; passed_ms < ms; passed_ms += 50) {
		shard_scene_pass_ms(scene, 50);
		shard_scene_settle(scene);
	}
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	pass_ms(scene, 3000); /* who is paused is not seen to go before */
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

static const char *long_text(void)
{
	static char text[2001];
	memset(text, 'x', sizeof(text) - 1);
	return text;
}

/* More than its socket takes, and less than may wait for it. */
static void block_output(struct shard_scene *scene, const struct far_peer *other)
{
	for (int i = 0; i < 20; i++)
		peer_publish(other, "in", long_text(), 0, 0);
	shard_scene_settle(scene);
	assert_int_not_equal(scene->shards[0].mem.io.backlog_bytes, 0);
}

/* The output blocks while the client waits for its rate. */
static void test_rate_and_blocked_output(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.client_messages_a_second = 100;
	struct far_peer fast = peer_sign_in(scene, PEER_CONNECT(.id = "fast", .send_bytes = 4096), false);
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	peer_subscribe(&fast, "in", 0);
	for (int i = 0; i < 250; i++)
		peer_publish(&fast, "t", "x", 0, 0);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_rate_pauses), 1);
	uint64_t before = shard_scene_counter(scene, 0, COUNTER_messages_in);
	block_output(scene, &other);
	assert_int_equal(peer_counts(&fast, MQTT_PUBLISH), 20);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_in), before + 20);
	pass_ms(scene, 1000);
	assert_in_range(shard_scene_counter(scene, 0, COUNTER_messages_in), before + 20 + 80, before + 20 + 101);
	peer_vanish(&fast);
	peer_vanish(&other);
}

/* The client comes to wait for its rate, and for long, while its output is blocked. */
static void test_blocked_output_and_rate(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer stuck = peer_sign_in(scene, PEER_CONNECT(.id = "stuck", .send_bytes = 4096), false);
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "other"), false);
	peer_subscribe(&stuck, "in", 0);
	block_output(scene, &other);
	scene->settings.client_bytes_a_second = 100;
	peer_publish(&stuck, "t", long_text(), 0, 0);
	peer_publish(&stuck, "t", "x", 0, 0);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_rate_pauses), 1);
	pass_ms(scene, scene->settings.stuck_timeout_ms + 500);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_STUCK_READER), 1);
	peer_vanish(&stuck);
	peer_vanish(&other);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_rate_and_blocked_output),
		IN_SCENE(test_blocked_output_and_rate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
