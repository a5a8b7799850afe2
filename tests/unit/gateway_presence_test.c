/* What becomes of clients, as JSON on $SYS topics: whatever is in a client id, once for each, and free while nobody
 * asks.
 */
#include "auth/text/strict_json.h"
#include "base/log.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "scene_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static int scene_open(void **state)
{
	*state = shard_scene_new(2);
	return 0;
}

static int scene_close(void **state)
{
	shard_scene_free(*state);
	return 0;
}

static int watch(struct shard_scene *scene, const char *filter)
{
	int fd = scene_sign_in(scene, 0, &(struct visitor){.id = "watch", .version = 4});
	scene_subscribe(fd, 4, filter, 0);
	shard_scene_settle(scene);
	scene_expect(fd, MQTT_SUBACK);
	return fd;
}

struct event {
	char topic[64];
	uint8_t text[8192];
	struct strict_node nodes[16];
	struct strict_json json;
};

static const struct event *next_event(int fd)
{
	static struct event event;
	struct mqtt_publish message;
	assert_int_equal(mqtt_publish_decode(scene_expect(fd, MQTT_PUBLISH), 0, 4, true, &message), ERROR_OK);
	assert_true(message.topic.size < sizeof(event.topic) && message.payload.size <= sizeof(event.text));
	snprintf(event.topic, sizeof(event.topic), "%.*s", (int)message.topic.size, (const char *)message.topic.data);
	memcpy(event.text, message.payload.data, message.payload.size);
	event.json = (struct strict_json){.nodes = event.nodes, .capacity = 16};
	size_t at;
	const char *fault = strict_json_read(&event.json, event.text, message.payload.size, &at);
	if (fault != NULL)
		fail_msg("at %zu of %.*s: %s", at, (int)message.payload.size, (const char *)message.payload.data,
			 fault);
	return &event;
}

static void assert_member(const struct event *event, const char *name, const char *wanted)
{
	const struct strict_node *node = strict_member(&event->json, event->json.nodes, slice_string(name));
	assert_non_null(node);
	if (!slice_equal(node->text, slice_string(wanted)))
		fail_msg("%s is \"%.*s\"", name, (int)node->text.size, (const char *)node->text.data);
}

static void assert_no_member(const struct event *event, const char *name)
{
	assert_null(strict_member(&event->json, event->json.nodes, slice_string(name)));
}

/* The next event is this one of this client. reason NULL: it has none. */
static const struct event *expect_event(int fd, const char *name, const char *id, const char *reason)
{
	char topic[64];
	const struct event *event = next_event(fd);
	snprintf(topic, sizeof(topic), "$SYS/presence/%s", name);
	assert_string_equal(event->topic, topic);
	assert_member(event, "client", id);
	if (reason != NULL)
		assert_member(event, "reason", reason);
	else
		assert_no_member(event, "reason");
	return event;
}

static void expect_coming(int fd, const char *id)
{
	expect_event(fd, "connected", id, NULL);
}

/* The connection ends, and its session with it. */
static void expect_going(int fd, const char *id, const char *reason)
{
	expect_event(fd, "disconnected", id, reason);
	expect_event(fd, "session_ended", id, reason);
}

static void leave(struct shard_scene *scene, int fd)
{
	close(fd);
	shard_scene_settle(scene);
}

/* Ids that JSON, or a careless writer of it, could stumble over. */
static const char *const IDS[] = {
	"plain",
	"with \"quotes\"",
	"back\\slash",
	"\\",
	"\"",
	"{\"client\":\"other\"}",
	"\\u0041",
	"line\xc2\x85",
	"\xc3\xa4\xe2\x82\xac",
	"\xf0\x9f\x90\x93",
	"del\x7f",
	"/slash",
	"\",\"reason\":\"x",
	"0123456789012345678901234567890123456789012345678901234567890123",
};

static void test_any_client_id(void **state)
{
	struct shard_scene *scene = *state;
	int fd = watch(scene, "$SYS/presence/#");
	for (size_t i = 0; i < sizeof(IDS) / sizeof(IDS[0]); i++) {
		for (uint16_t shard = 0; shard < 2; shard++) {
			struct visitor visitor = {.id = IDS[i], .version = 4, .keepalive_s = 77};
			int client = scene_come(scene, shard, &visitor);
			if (client < 0) /* control characters: the standard lets them be refused */
				continue;
			shard_scene_settle(scene);
			expect_coming(fd, IDS[i]);
			close(client);
			shard_scene_settle(scene);
			expect_going(fd, IDS[i], "CONNECTION_LOST");
		}
	}
	close(fd);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

static void test_figures(void **state)
{
	struct shard_scene *scene = *state;
	int fd = watch(scene, "$SYS/presence/connected");
	int client = scene_sign_in(scene, 0, &(struct visitor){.id = "five", .version = 5, .keepalive_s = 65535});
	const struct event *event = next_event(fd);
	assert_member(event, "version", "5");
	assert_member(event, "keepalive", "65535");
	assert_no_member(event, "user");
	const struct strict_node *time_s = strict_member(&event->json, event->json.nodes, slice_string("time"));
	const struct strict_node *time_ms = strict_member(&event->json, event->json.nodes, slice_string("time_ms"));
	assert_true(time_s != NULL && time_ms != NULL && time_s->text.size + 3 == time_ms->text.size);
	assert_memory_equal(time_s->text.data, time_ms->text.data, time_s->text.size);
	close(client);
	shard_scene_settle(scene);
	scene_expect_nothing(fd);
	close(fd);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* A take-over is one going and one coming, in this order. */
static void test_a_take_over(void **state)
{
	struct shard_scene *scene = *state;
	int fd = watch(scene, "$SYS/presence/+");
	int older = scene_sign_in(scene, 1, &(struct visitor){.id = "same", .version = 4});
	int newer = scene_sign_in(scene, 1, &(struct visitor){.id = "same", .version = 4});
	expect_coming(fd, "same");
	expect_going(fd, "same", "TAKEN_OVER");
	expect_coming(fd, "same");
	close(older);
	close(newer);
	shard_scene_settle(scene);
	expect_going(fd, "same", "CONNECTION_LOST");
	scene_expect_nothing(fd);
	close(fd);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* How long the connection was there. A unix socket, as a scene has them, has no bytes that the kernel counts. */
static void test_a_duration(void **state)
{
	struct shard_scene *scene = *state;
	int fd = watch(scene, "$SYS/presence/disconnected");
	int client = scene_sign_in(scene, 1, &(struct visitor){.id = "long"});
	shard_scene_pass_ms(scene, 7000);
	leave(scene, client);
	const struct event *event = expect_event(fd, "disconnected", "long", "CONNECTION_LOST");
	assert_member(event, "duration_s", "7");
	assert_no_member(event, "bytes_received");
	assert_no_member(event, "bytes_sent");
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

/* Each session ends once: with a later connection that begins another one, by its expiry, with its connection. */
static void test_sessions_end_once(void **state)
{
	struct shard_scene *scene = *state;
	int fd = watch(scene, "$SYS/presence/session_ended");
	struct visitor stays = {.id = "s", .stays = true};
	leave(scene, scene_sign_in(scene, 1, &stays));
	leave(scene, scene_sign_in(scene, 1, &stays));
	scene_expect_nothing(fd);
	int client = scene_sign_in(scene, 1, &(struct visitor){.id = "s"});
	expect_event(fd, "session_ended", "s", "TAKEN_OVER");
	leave(scene, client);
	expect_event(fd, "session_ended", "s", "CONNECTION_LOST");
	leave(scene, scene_sign_in(scene, 1, &stays));
	shard_scene_pass_ms(scene, 3600u * 1000 + 2000);
	shard_scene_settle(scene);
	expect_event(fd, "session_ended", "s", "EXPIRED");
	client = scene_sign_in(scene, 1, &stays);
	leave(scene, scene_sign_in(scene, 1, &(struct visitor){.id = "s"}));
	expect_event(fd, "session_ended", "s", "TAKEN_OVER");
	expect_event(fd, "session_ended", "s", "CONNECTION_LOST");
	close(client);
	scene_expect_nothing(fd);
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

/* A session that there is no room for ends for that reason. */
static void test_a_session_beyond_the_limit(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.sessions_offline_max = 0;
	int fd = watch(scene, "$SYS/presence/#");
	leave(scene, scene_sign_in(scene, 0, &(struct visitor){.id = "s", .stays = true}));
	expect_coming(fd, "s");
	expect_event(fd, "disconnected", "s", "CONNECTION_LOST");
	expect_event(fd, "session_ended", "s", "LIMIT");
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

/* Between the two ends. One that is dropped is not told of. */
static void test_a_will(void **state)
{
	struct shard_scene *scene = *state;
	struct visitor visitor = {.id = "w", .will_topic = "last/\"words\""};
	int fd = watch(scene, "$SYS/presence/+");
	leave(scene, scene_sign_in(scene, 1, &visitor));
	expect_coming(fd, "w");
	expect_event(fd, "disconnected", "w", "CONNECTION_LOST");
	const struct event *event = expect_event(fd, "will_published", "w", NULL);
	assert_member(event, "topic", "last/\"words\"");
	assert_member(event, "qos", "0");
	expect_event(fd, "session_ended", "w", "CONNECTION_LOST");
	int client = scene_sign_in(scene, 1, &visitor);
	scene_say(client, slice_of((const uint8_t[]){0xE0, 0}, 2));
	leave(scene, client);
	expect_coming(fd, "w");
	expect_going(fd, "w", "CLOSED_BY_CLIENT");
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

static void say_unsubscribe(int fd, const char *filter)
{
	uint8_t bytes[SCENE_PACKET_BYTES_MAX];
	struct slice filters[] = {slice_string(filter)};
	scene_say(fd, slice_of(bytes, mqtt_unsubscribe_encode(2, filters, 1, 5, bytes, sizeof(bytes))));
}

/* What is refused, or was not there, is no change. */
static void test_subscriptions(void **state)
{
	struct shard_scene *scene = *state;
	int fd = watch(scene, "$SYS/presence/subscribed");
	scene_subscribe(fd, 4, "$SYS/presence/unsubscribed", 0);
	shard_scene_settle(scene);
	scene_expect(fd, MQTT_PUBLISH); /* of itself */
	scene_expect(fd, MQTT_SUBACK);
	int client = scene_sign_in(scene, 1, &(struct visitor){.id = "s"});
	scene_subscribe(client, 5, "a/+/\"", 2);
	scene_subscribe(client, 5, "$share/g/a/#", 1);
	scene_subscribe(client, 5, "a/#/b", 0);
	shard_scene_settle(scene);
	const struct event *event = expect_event(fd, "subscribed", "s", NULL);
	assert_member(event, "filter", "a/+/\"");
	assert_member(event, "qos", "2");
	assert_member(expect_event(fd, "subscribed", "s", NULL), "filter", "$share/g/a/#");
	say_unsubscribe(client, "a/+/\"");
	say_unsubscribe(client, "a/+/\"");
	shard_scene_settle(scene);
	assert_member(expect_event(fd, "unsubscribed", "s", NULL), "filter", "a/+/\"");
	leave(scene, client);
	scene_expect_nothing(fd);
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

/* '#' does not match what begins with '$' [MQTT-4.7.2-1], and the watcher itself is not told of its own end. */
static void test_only_those_who_ask(void **state)
{
	struct shard_scene *scene = *state;
	int fd = watch(scene, "#");
	int client = scene_sign_in(scene, 0, &(struct visitor){.id = "x", .version = 4});
	close(client);
	shard_scene_settle(scene);
	scene_expect_nothing(fd);
	close(fd);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_out), 0);
	shard_scene_check_empty(scene);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_any_client_id),
		IN_SCENE(test_figures),
		IN_SCENE(test_a_take_over),
		IN_SCENE(test_a_duration),
		IN_SCENE(test_sessions_end_once),
		IN_SCENE(test_a_session_beyond_the_limit),
		IN_SCENE(test_a_will),
		IN_SCENE(test_subscriptions),
		IN_SCENE(test_only_those_who_ask),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
