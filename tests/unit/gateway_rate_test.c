/* How fast one client may publish: in messages, in bytes, with nothing lost; and what does not count twice. */
#include "base/log.h"
#include "mqtt/field/reason.h"
#include "scene_client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
	return 0;
}

static int scene_open_two(void **state)
{
	*state = shard_scene_new(2);
	return 0;
}

static int scene_close(void **state)
{
	shard_scene_free(*state);
	return 0;
}

static uint64_t taken(const struct shard_scene *scene)
{
	return shard_scene_counter(scene, 0, COUNTER_messages_in);
}

static int publish_many(struct shard_scene *scene, uint8_t version, int count, const char *payload)
{
	int fd = scene_sign_in(scene, 0, &(struct visitor){.id = "fast", .version = version});
	for (int i = 0; i < count; i++) {
		scene_publish(fd, version, "t", payload, 0);
		if (i % 64 == 63)
			shard_scene_settle(scene);
	}
	shard_scene_settle(scene);
	return fd;
}

static void pass_ms(struct shard_scene *scene, uint64_t ms)
{
	for (uint64_t passed_ms = 0; passed_ms < ms; passed_ms += 50) {
		shard_scene_pass_ms(scene, 50);
		shard_scene_settle(scene);
	}
}

/* A second's worth at once, and the rest as time goes on. */
static void test_messages_are_slowed_down(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.client_messages_a_second = 100;
	int fd = publish_many(scene, 4, 250, "x");
	assert_in_range(taken(scene), 100, 101);
	pass_ms(scene, 1000);
	assert_in_range(taken(scene), 180, 201);
	pass_ms(scene, 5000);
	assert_int_equal(taken(scene), 250);
	assert_int_not_equal(shard_scene_counter(scene, 0, COUNTER_rate_pauses), 0);
	close(fd);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* A message that is larger than a second's worth is taken, and paid for in full before the next one. */
static void test_large_messages_cost_what_they_are(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.client_bytes_a_second = 100;
	char payload[993];
	memset(payload, 'x', sizeof(payload) - 1);
	payload[sizeof(payload) - 1] = '\0';
	int fd = publish_many(scene, 4, 6, payload); /* 1000 bytes */
	assert_int_equal(taken(scene), 1);
	pass_ms(scene, 8900);
	assert_int_equal(taken(scene), 1);
	pass_ms(scene, 39000);
	assert_int_equal(taken(scene), 5);
	pass_ms(scene, 2000);
	assert_int_equal(taken(scene), 6);
	close(fd);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

static void test_bytes_are_slowed_down(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.client_bytes_a_second = 1000;
	int fd = publish_many(scene, 4, 100, "0123456789012345678901234567890123456789012"); /* 48 bytes */
	assert_in_range(taken(scene), 20, 22);
	pass_ms(scene, 2000);
	assert_in_range(taken(scene), 55, 64);
	pass_ms(scene, 3000);
	assert_int_equal(taken(scene), 100);
	close(fd);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* Only messages are limited: a client that waits for nothing may ask as often as it likes. */
static void test_what_is_no_message_does_not_count(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.client_messages_a_second = 1;
	int fd = scene_sign_in(scene, 0, &(struct visitor){.id = "p", .version = 4});
	for (int i = 0; i < 100; i++)
		scene_say(fd, slice_of("\xc0\0", 2));
	shard_scene_settle(scene);
	for (int i = 0; i < 100; i++)
		scene_expect(fd, MQTT_PINGRESP);
	close(fd);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

static void test_who_is_too_fast_is_ended(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.client_messages_a_second = 10;
	scene->settings.rate_ends_client = true;
	int fd = publish_many(scene, 5, 50, "x");
	scene_expect_end(fd, MQTT_REASON_MESSAGE_RATE_TOO_HIGH);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_MESSAGE_RATE), 1);
	assert_in_range(taken(scene), 10, 11);
	shard_scene_check_empty(scene);
}

/* Microseconds in 32 bits come round: nobody waits for longer than he has to, whenever he comes. */
static void test_the_clock_comes_round(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.client_messages_a_second = 10;
	int fd = scene_sign_in(scene, 0, &(struct visitor){.id = "c", .version = 4});
	for (int hour = 0; hour < 30; hour++) {
		uint64_t before = taken(scene);
		for (int i = 0; i < 15; i++)
			scene_publish(fd, 4, "t", "x", 0);
		shard_scene_settle(scene);
		assert_in_range(taken(scene), before + 10, before + 11);
		pass_ms(scene, 1000);
		assert_int_equal(taken(scene), before + 15);
		shard_scene_pass_ms(scene, 1234567);
		shard_scene_settle(scene);
	}
	close(fd);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* A message that has to wait for room in an inbox was within the rate when it came. */
static void test_a_message_that_waits_counts_once(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_bytes_max = 64 << 20;
	scene->settings.client_messages_a_second = 1000000;
	scene->settings.rate_ends_client = true;
	int there = scene_sign_in(scene, 1, &(struct visitor){.id = "there", .version = 4});
	scene_subscribe(there, 4, "#", 0);
	shard_scene_settle(scene);
	int here = scene_sign_in(scene, 0, &(struct visitor){.id = "here", .version = 4});
	static const uint8_t MESSAGE[] = {0x30, 0x43, 0, 1, 't', [68] = 'x'};
	while (shard_scene_counter(scene, 0, COUNTER_publisher_pauses) == 0) {
		ssize_t some = send(here, MESSAGE, sizeof(MESSAGE), MSG_NOSIGNAL);
		assert_true(some == (ssize_t)sizeof(MESSAGE) || (some < 0 && errno == EAGAIN));
		shard_scene_pass_ms(scene, 1);
		shard_scene_turn_one(scene, 0);
	}
	/* From now on as slow as may be. */
	scene->settings.client_messages_a_second = 1;
	for (int i = 0; i < 20; i++)
		shard_scene_turn_one(scene, 0);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_MESSAGE_RATE), 0);
	close(here);
	close(there);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
#define IN_TWO(test) cmocka_unit_test_setup_teardown(test, scene_open_two, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_messages_are_slowed_down),          IN_SCENE(test_bytes_are_slowed_down),
		IN_SCENE(test_large_messages_cost_what_they_are), IN_SCENE(test_what_is_no_message_does_not_count),
		IN_SCENE(test_who_is_too_fast_is_ended),          IN_SCENE(test_the_clock_comes_round),
		IN_TWO(test_a_message_that_waits_counts_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
