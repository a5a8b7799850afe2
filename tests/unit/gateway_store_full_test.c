/* What a shard does while its store is full: who is told, who waits, and what goes on. */
#include "mqtt/field/reason.h"
#include "scene_client.h"
#include "topics/retained.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static bool full;
static bool behind; /* its buffers are full too */

static bool say_full(const void *context)
{
	return *(const bool *)context;
}

static bool say_behind(const void *context)
{
	(void)context;
	return behind;
}

static int scene_open(void **state)
{
	struct shard_scene *scene = shard_scene_new(1);
	full = false;
	behind = false;
	scene->shards[0].env.store =
		(struct shard_store){.is_full = say_full, .is_behind = say_behind, .context = &full};
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	shard_scene_free(*state);
	return 0;
}

static uint64_t count(const struct shard_scene *scene, enum counter counter)
{
	return shard_scene_counter(scene, 0, counter);
}

static void pass_ms(struct shard_scene *scene, uint64_t ms)
{
	for (uint64_t passed_ms = 0; passed_ms < ms; passed_ms += 50) {
		shard_scene_pass_ms(scene, 50);
		shard_scene_settle(scene);
	}
}

static void leave(struct shard_scene *scene, int fd)
{
	close(fd);
	shard_scene_settle(scene);
}

/* The reason of the acknowledgement of the message that was published. */
static uint8_t reason_of(struct shard_scene *scene, int fd, uint8_t qos)
{
	shard_scene_settle(scene);
	struct slice body = scene_expect(fd, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC);
	return body.size > 2 ? body.data[2] : 0;
}

static void test_version_5_is_told(void **state)
{
	struct shard_scene *scene = *state;
	int fd = scene_sign_in(scene, 0, &(struct visitor){.id = "a"});
	full = true;
	scene_publish(fd, 5, "t", "x", 1);
	assert_int_equal(reason_of(scene, fd, 1), MQTT_REASON_QUOTA_EXCEEDED);
	scene_publish(fd, 5, "t", "x", 2);
	assert_int_equal(reason_of(scene, fd, 2), MQTT_REASON_QUOTA_EXCEEDED);
	assert_int_equal(count(scene, COUNTER_store_refused_messages), 2);
	full = false;
	scene_publish(fd, 5, "t", "x", 2);
	assert_int_not_equal(reason_of(scene, fd, 2), MQTT_REASON_QUOTA_EXCEEDED);
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

/* A message of QoS 2 that came before is the client's to release, and is answered. */
static void test_duplicate_is_answered(void **state)
{
	struct shard_scene *scene = *state;
	int fd = scene_sign_in(scene, 0, &(struct visitor){.id = "a"});
	scene_publish(fd, 5, "t", "x", 2);
	assert_int_not_equal(reason_of(scene, fd, 2), MQTT_REASON_QUOTA_EXCEEDED);
	full = true;
	scene_publish(fd, 5, "t", "x", 2);
	assert_int_equal(reason_of(scene, fd, 2), MQTT_REASON_SUCCESS);
	assert_int_equal(count(scene, COUNTER_store_refused_messages), 0);
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

static void waits(struct shard_scene *scene, uint8_t version)
{
	int fd = scene_sign_in(scene, 0, &(struct visitor){.id = "a", .version = version, .keepalive_s = 1});
	full = true;
	scene_publish(fd, version, "t", "x", 1);
	pass_ms(scene, 5000); /* more than one and a half times its keepalive */
	scene_expect_nothing(fd);
	assert_int_equal(count(scene, COUNTER_messages_in), 0);
	assert_in_range(count(scene, COUNTER_store_pauses), 20, 102);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	full = false;
	pass_ms(scene, 100);
	scene_expect(fd, MQTT_PUBACK);
	assert_int_equal(count(scene, COUNTER_messages_in), 1);
	assert_int_equal(count(scene, COUNTER_store_refused_messages), 0);
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

static void test_version_3_1_1_waits(void **state)
{
	waits(*state, 4);
}

static void test_all_wait_where_that_is_asked_for(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.store.full_holds = true;
	waits(scene, 5);
}

static void test_qos_0_goes_on(void **state)
{
	struct shard_scene *scene = *state;
	int to = scene_sign_in(scene, 0, &(struct visitor){.id = "to"});
	int from = scene_sign_in(scene, 0, &(struct visitor){.id = "from"});
	scene_subscribe(to, 5, "t", 1);
	shard_scene_settle(scene);
	scene_expect(to, MQTT_SUBACK);
	full = true;
	scene_publish(from, 5, "t", "x", 0);
	shard_scene_settle(scene);
	scene_expect(to, MQTT_PUBLISH);
	leave(scene, to);
	leave(scene, from);
	shard_scene_check_empty(scene);
}

/* topic "r", with the RETAIN flag, at QoS 0. */
static void retain(struct shard_scene *scene, int fd, char payload)
{
	uint8_t packet[] = {0x31, 5, 0, 1, 'r', 0, (uint8_t)payload};
	packet[1] = payload != '\0' ? 5 : 4;
	scene_say(fd, slice_of(packet, sizeof(packet) - (payload != '\0' ? 0 : 1)));
	shard_scene_settle(scene);
}

static void test_retained_at_qos_0_is_delivered_alone(void **state)
{
	struct shard_scene *scene = *state;
	int to = scene_sign_in(scene, 0, &(struct visitor){.id = "to"});
	int from = scene_sign_in(scene, 0, &(struct visitor){.id = "from"});
	scene_subscribe(to, 5, "r", 0);
	shard_scene_settle(scene);
	scene_expect(to, MQTT_SUBACK);
	retain(scene, from, '1');
	scene_expect(to, MQTT_PUBLISH);
	full = true;
	retain(scene, from, '2');
	scene_expect(to, MQTT_PUBLISH);
	assert_int_equal(count(scene, COUNTER_store_refused_messages), 1);
	assert_int_equal(retained_size(scene->retained).messages, 1);
	/* What takes away needs no room. */
	retain(scene, from, '\0');
	assert_int_equal(retained_size(scene->retained).messages, 0);
	leave(scene, to);
	leave(scene, from);
	shard_scene_check_empty(scene);
}

static void test_retained_at_qos_0_waits_where_that_is_asked_for(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.store.full_holds = true;
	int from = scene_sign_in(scene, 0, &(struct visitor){.id = "from"});
	full = true;
	retain(scene, from, '1');
	pass_ms(scene, 1000);
	assert_int_equal(count(scene, COUNTER_messages_in), 0);
	assert_int_equal(retained_size(scene->retained).messages, 0);
	full = false;
	pass_ms(scene, 100);
	assert_int_equal(retained_size(scene->retained).messages, 1);
	retain(scene, from, '\0');
	leave(scene, from);
	shard_scene_check_empty(scene);
}

static void test_sessions_that_would_be_kept(void **state)
{
	struct shard_scene *scene = *state;
	int old = scene_sign_in(scene, 0, &(struct visitor){.id = "old", .stays = true});
	leave(scene, old);
	full = true;
	for (uint8_t version = 4; version <= 5; version++) {
		int fd = scene_come(scene, 0, &(struct visitor){.id = "new", .stays = true, .version = version});
		shard_scene_settle(scene);
		struct slice body = scene_expect(fd, MQTT_CONNACK);
		assert_int_equal(body.data[1], version == 5 ? MQTT_REASON_QUOTA_EXCEEDED : 3);
		leave(scene, fd);
	}
	assert_int_equal(count(scene, COUNTER_store_refused_sessions), 2);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_STORE_FULL), 2);
	int brief = scene_sign_in(scene, 0, &(struct visitor){.id = "brief"});
	old = scene_sign_in(scene, 0, &(struct visitor){.id = "old", .stays = true});
	leave(scene, brief);
	leave(scene, old);
}

/* Whoever comes back again and again must not fill the memory. The connection that is there stays. */
static void test_sessions_that_are_kept_while_the_buffers_are_full(void **state)
{
	struct shard_scene *scene = *state;
	int old = scene_sign_in(scene, 0, &(struct visitor){.id = "old", .stays = true});
	full = true;
	behind = true;
	uint64_t told = scene->shards[0].sessions.journal.told;
	for (uint8_t version = 4; version <= 5; version++) {
		int fd = scene_come(scene, 0, &(struct visitor){.id = "old", .stays = true, .version = version});
		shard_scene_settle(scene);
		struct slice body = scene_expect(fd, MQTT_CONNACK);
		assert_int_equal(body.data[1], version == 5 ? MQTT_REASON_QUOTA_EXCEEDED : 3);
		leave(scene, fd);
	}
	assert_int_equal(count(scene, COUNTER_store_refused_sessions), 2);
	assert_int_equal(count(scene, COUNTER_sessions_resumed), 0);
	assert_int_equal(scene->shards[0].sessions.journal.told, told);
	behind = false;
	int again = scene_sign_in(scene, 0, &(struct visitor){.id = "old", .stays = true});
	assert_int_equal(count(scene, COUNTER_sessions_resumed), 1);
	leave(scene, old);
	leave(scene, again);
}

/* A client that starts anew would have its session forgotten and another one kept: the older one stays. */
static void test_the_older_connection_stays(void **state)
{
	struct shard_scene *scene = *state;
	int brief = scene_sign_in(scene, 0, &(struct visitor){.id = "same"});
	full = true;
	int fd = scene_come(scene, 0, &(struct visitor){.id = "same", .stays = true});
	shard_scene_settle(scene);
	assert_int_equal(scene_expect(fd, MQTT_CONNACK).data[1], MQTT_REASON_QUOTA_EXCEEDED);
	scene_expect_nothing(brief);
	assert_int_equal(shard_scene_clients(scene, 0), 1);
	leave(scene, fd);
	leave(scene, brief);
	shard_scene_check_empty(scene);
}

static void test_subscriptions(void **state)
{
	struct shard_scene *scene = *state;
	int stays = scene_sign_in(scene, 0, &(struct visitor){.id = "stays", .stays = true});
	int brief = scene_sign_in(scene, 0, &(struct visitor){.id = "brief"});
	full = true;
	scene_subscribe(stays, 5, "t", 1);
	scene_subscribe(brief, 5, "t", 1);
	shard_scene_settle(scene);
	struct slice body = scene_expect(stays, MQTT_SUBACK);
	assert_int_equal(body.data[body.size - 1], MQTT_REASON_QUOTA_EXCEEDED);
	body = scene_expect(brief, MQTT_SUBACK);
	assert_int_equal(body.data[body.size - 1], 1);
	assert_int_equal(count(scene, COUNTER_store_refused_subscriptions), 1);
	full = false;
	leave(scene, stays);
	leave(scene, brief);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(test_version_5_is_told),
		SCENE_TEST(test_duplicate_is_answered),
		SCENE_TEST(test_version_3_1_1_waits),
		SCENE_TEST(test_all_wait_where_that_is_asked_for),
		SCENE_TEST(test_qos_0_goes_on),
		SCENE_TEST(test_retained_at_qos_0_is_delivered_alone),
		SCENE_TEST(test_retained_at_qos_0_waits_where_that_is_asked_for),
		SCENE_TEST(test_sessions_that_would_be_kept),
		SCENE_TEST(test_sessions_that_are_kept_while_the_buffers_are_full),
		SCENE_TEST(test_the_older_connection_stays),
		SCENE_TEST(test_subscriptions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
