/* Retained messages against a plain list of topics and the plain definition of a match: set, replaced, taken away,
 * expired; walks in steps while they change; limits; and nothing left behind. */
#include "mqtt/field/topic.h"
#include "publication_sample.h"
#include "random.h"
#include "topics/retained.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TOPICS_MAX 400u
#define TEXT_BYTES 128
#define MESSAGES_MAX 300u
#define BYTES_MAX 20000u

struct model_topic {
	char text[TEXT_BYTES];
	uint32_t number;    /* its message, 0: none */
	uint32_t bytes;     /* of its packet */
	uint32_t expires_s; /* 0: never */
	uint32_t visits;    /* in the walk that is under way */
	bool changed;       /* during it */
};

struct scene {
	struct retained *retained;
	struct random random;
	uint32_t now_s;
	uint32_t next_number;
	struct model_topic topics[TOPICS_MAX];
	uint32_t topic_count;
};

static int scene_open(void **state)
{
	static struct scene scene;
	struct hash_key key = {{5}};
	scene = (struct scene){.random = {81}, .now_s = 1000, .next_number = 1};
	scene.retained = retained_new(&key, MESSAGES_MAX, BYTES_MAX, NULL);
	assert_non_null(scene.retained);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	retained_free(scene->retained);
	return 0;
}

/* ---- changes ---- */

static enum error set(struct scene *scene, const char *topic, struct slice payload)
{
	static struct sample sample;
	sample_plain(&sample, topic, payload, 1);
	return retained_set(scene->retained, &sample.publication, sample.packet, scene->now_s, NULL);
}

static enum error take_away(struct scene *scene, const char *topic)
{
	return set(scene, topic, slice_of(NULL, 0));
}

/* What the model says of the limits; what has expired counts until it is found. */
static bool has_room(const struct scene *scene, const struct model_topic *topic, uint32_t bytes)
{
	uint32_t messages = topic->number == 0;
	uint64_t sum = bytes;
	for (uint32_t i = 0; i < scene->topic_count; i++) {
		messages += scene->topics[i].number != 0;
		sum += &scene->topics[i] != topic && scene->topics[i].number != 0 ? scene->topics[i].bytes : 0;
	}
	return messages <= MESSAGES_MAX && sum <= BYTES_MAX;
}

static void set_at_random(struct scene *scene, struct model_topic *topic)
{
	static struct sample sample;
	uint8_t payload[200] = {0};
	uint32_t number = scene->next_number++;
	memcpy(payload, &number, sizeof(number));
	struct slice some = slice_of(payload, 4 + random_below(&scene->random, 100));
	bool expires = random_below(&scene->random, 4) == 0;
	uint32_t expiry_s = 1 + random_below(&scene->random, 20);
	if (expires)
		sample_expiring(&sample, topic->text, some, expiry_s, scene->now_s);
	else
		sample_plain(&sample, topic->text, some, (uint8_t)(number % 3));
	uint32_t bytes = sample.publication.packet_bytes;
	bool room = has_room(scene, topic, bytes);
	assert_int_equal(retained_set(scene->retained, &sample.publication, sample.packet, scene->now_s, NULL),
			 room ? ERROR_OK : ERROR_LIMIT);
	if (!room)
		return;
	topic->number = number;
	topic->bytes = bytes;
	topic->expires_s = expires ? scene->now_s + expiry_s : 0;
	topic->changed = true;
}

static void forget(struct model_topic *topic)
{
	topic->number = 0;
	topic->changed = true;
}

/* Everything is looked at, so that everything that has expired goes. */
static void sweep_all(struct scene *scene)
{
	retained_expire(scene->retained, scene->now_s, 100000, NULL, NULL);
	for (uint32_t i = 0; i < scene->topic_count; i++) {
		struct model_topic *topic = &scene->topics[i];
		if (topic->number != 0 && topic->expires_s != 0 && topic->expires_s <= scene->now_s)
			forget(topic);
	}
}

static void change(struct scene *scene)
{
	struct model_topic *topic = &scene->topics[random_below(&scene->random, scene->topic_count)];
	uint32_t what = random_below(&scene->random, 100);
	if (what < 60) {
		set_at_random(scene, topic);
	} else if (what < 97) {
		assert_int_equal(take_away(scene, topic->text), ERROR_OK);
		forget(topic);
	} else if (what < 99) {
		scene->now_s++;
	} else {
		sweep_all(scene);
	}
}

static void assert_size(const struct scene *scene)
{
	struct retained_size expected = {0};
	for (uint32_t i = 0; i < scene->topic_count; i++) {
		expected.messages += scene->topics[i].number != 0;
		expected.bytes += scene->topics[i].number != 0 ? scene->topics[i].bytes : 0;
	}
	struct retained_size size = retained_size(scene->retained);
	assert_int_equal(size.messages, expected.messages);
	assert_int_equal(size.bytes, expected.bytes);
}

/* ---- walks ---- */

struct visitor {
	struct scene *scene;
	struct slice filter;
	uint32_t refuse_in_100; /* as a client that takes no more */
	uint32_t visits;
};

/* Nothing is visited that does not match, has expired, or is not the topic's newest. */
static bool visit(void *context, const struct publication *publication, const uint8_t *packet)
{
	struct visitor *visitor = context;
	struct scene *scene = visitor->scene;
	struct publication_parts parts = publication_parts(publication, packet);
	if (random_below(&scene->random, 100) < visitor->refuse_in_100)
		return false;
	uint32_t number;
	memcpy(&number, parts.payload.data, sizeof(number));
	assert_true(mqtt_filter_matches(visitor->filter, parts.topic));
	for (uint32_t i = 0; i < scene->topic_count; i++) {
		struct model_topic *topic = &scene->topics[i];
		if (!slice_equal(slice_string(topic->text), parts.topic))
			continue;
		assert_int_equal(topic->number, number);
		assert_true(topic->expires_s == 0 || topic->expires_s > scene->now_s);
		topic->visits++;
	}
	visitor->visits++;
	return true;
}

static void begin_walk(struct scene *scene)
{
	for (uint32_t i = 0; i < scene->topic_count; i++) {
		scene->topics[i].visits = 0;
		scene->topics[i].changed = false;
	}
}

/* What was there for the whole walk was visited once, all else at most once. */
static void assert_visited(const struct scene *scene, const char *filter)
{
	for (uint32_t i = 0; i < scene->topic_count; i++) {
		const struct model_topic *topic = &scene->topics[i];
		bool expired = topic->expires_s != 0 && topic->expires_s <= scene->now_s;
		bool there = topic->number != 0 && !expired &&
			     mqtt_filter_matches(slice_string(filter), slice_string(topic->text));
		if (topic->visits > 1 || (there && !topic->changed && topic->visits != 1))
			fail_msg("walk of \"%s\" visits \"%s\" %u times", filter, topic->text, topic->visits);
	}
}

static void walk(struct scene *scene, const char *filter, uint32_t changes_a_step)
{
	struct retained_walk walk = {0};
	struct visitor visitor = {scene, slice_string(filter), changes_a_step != 0 ? 10 : 0, 0};
	begin_walk(scene);
	bool over = false;
	for (int steps = 0; !over; steps++) {
		assert_true(steps < 10000);
		uint32_t most = 1 + random_below(&scene->random, 8);
		uint32_t visits = most;
		over = retained_walk_step(scene->retained, &walk, visitor.filter, scene->now_s, &visits, visit,
					  &visitor);
		assert_true(visits <= most);
		assert_int_equal(walk.node == 0, over);
		for (uint32_t i = 0; i < changes_a_step && !over; i++)
			change(scene);
		if (!over && changes_a_step != 0 && random_below(&scene->random, 50) == 0) {
			retained_walk_end(scene->retained, &walk);
			return;
		}
	}
	assert_visited(scene, filter);
}

/* Few names, so that filters and topics meet often; the empty level and $ among them. */
static void random_levels(struct random *random, char out[TEXT_BYTES], bool filter)
{
	static const char *const NAMES[] = {"a", "b", "", "$own", "$x", "long-level-name", "+", "#"};
	uint32_t levels = 1 + random_below(random, 5);
	char *at = out;
	for (uint32_t i = 0; i < levels; i++) {
		uint32_t name = random_below(random, filter ? 7 : 6);
		if (filter && i + 1 == levels && random_below(random, 3) == 0)
			name = 7;
		at += sprintf(at, "%s%s", i != 0 ? "/" : "", NAMES[name]);
	}
	if (at == out)
		snprintf(out, TEXT_BYTES, "a");
}

static void make_topics(struct scene *scene)
{
	while (scene->topic_count < TOPICS_MAX) {
		char text[TEXT_BYTES];
		random_levels(&scene->random, text, false);
		bool known = false;
		for (uint32_t i = 0; i < scene->topic_count && !known; i++)
			known = strcmp(scene->topics[i].text, text) == 0;
		if (!known)
			snprintf(scene->topics[scene->topic_count++].text, TEXT_BYTES, "%s", text);
	}
}

static void clear(struct scene *scene)
{
	for (uint32_t i = 0; i < scene->topic_count; i++) {
		assert_int_equal(take_away(scene, scene->topics[i].text), ERROR_OK);
		forget(&scene->topics[i]);
	}
	assert_size(scene);
}

static void test_random_changes_against_a_model(void **state)
{
	struct scene *scene = *state;
	make_topics(scene);
	for (int i = 0; i < 4000; i++) {
		for (int changes = 0; changes < 20; changes++)
			change(scene);
		assert_size(scene);
		char filter[TEXT_BYTES];
		random_levels(&scene->random, filter, true);
		assert_int_equal(mqtt_filter_check(slice_string(filter)), ERROR_OK);
		walk(scene, filter, 0);
		assert_visited(scene, filter);
	}
	clear(scene);
	walk(scene, "#", 0);
}

static void test_walks_while_messages_change(void **state)
{
	struct scene *scene = *state;
	make_topics(scene);
	for (int i = 0; i < 4000; i++) {
		char filter[TEXT_BYTES];
		random_levels(&scene->random, filter, true);
		walk(scene, i % 3 == 0 ? "#" : filter, 1 + random_below(&scene->random, 12));
		assert_size(scene);
	}
	clear(scene);
}

static void test_rules_of_wildcards(void **state)
{
	struct scene *scene = *state;
	static const char *const TOPICS[] = {"a",    "a/",     "a/b",   "a/b/c", "$own", "$own/b", "$own/b/c",
					     "/",    "//",     "/a",    "b",     "$",    "$a/b",   "$ownX/b",
					     "a/$b", "a/$own", "a//b/", "x/b",   "x/b/", "x/b/c/d"};
	static const char *const FILTERS[] = {
		"#", "+",     "+/+",  "+/#",    "a/#",   "a/+",   "$own/#",  "$own/+", "+/b/#",  "/#",      "/+",
		"a", "a/b/c", "$own", "$own/b", "+/b/+", "a/+/#", "+/+/c/d", "$a/+",   "nobody", "a/b/c/d", "x/b/#"};
	for (size_t i = 0; i < sizeof(TOPICS) / sizeof(TOPICS[0]); i++) {
		snprintf(scene->topics[i].text, TEXT_BYTES, "%s", TOPICS[i]);
		scene->topic_count++;
		set_at_random(scene, &scene->topics[i]);
	}
	for (size_t i = 0; i < sizeof(FILTERS) / sizeof(FILTERS[0]); i++)
		walk(scene, FILTERS[i], 0);
	clear(scene);
}

/* ---- limits and remains ---- */

static void test_limits(void **state)
{
	struct scene *scene = *state;
	char topic[32];
	for (uint32_t i = 0; i < MESSAGES_MAX; i++) {
		snprintf(topic, sizeof(topic), "t/%u", i);
		assert_int_equal(set(scene, topic, slice_string("x")), ERROR_OK);
	}
	assert_int_equal(set(scene, "more", slice_string("x")), ERROR_LIMIT);
	assert_int_equal(set(scene, "t/0", slice_string("y")), ERROR_OK); /* to replace takes none */
	assert_int_equal(take_away(scene, "t/1"), ERROR_OK);
	assert_int_equal(set(scene, "more", slice_string("x")), ERROR_OK);
	assert_int_equal(retained_size(scene->retained).messages, MESSAGES_MAX);

	static uint8_t large[SAMPLE_BYTES_MAX - 32];
	uint64_t before = retained_size(scene->retained).bytes;
	enum error error = ERROR_OK;
	for (uint32_t i = 2; i < MESSAGES_MAX && error == ERROR_OK; i++) {
		snprintf(topic, sizeof(topic), "t/%u", i);
		error = set(scene, topic, slice_of(large, sizeof(large)));
	}
	assert_int_equal(error, ERROR_LIMIT);
	struct retained_size size = retained_size(scene->retained);
	assert_in_range(size.bytes, before + sizeof(large), BYTES_MAX);
	assert_in_range(size.bytes + sizeof(large), BYTES_MAX, BYTES_MAX + sizeof(large));
	assert_int_equal(size.messages, MESSAGES_MAX); /* what was there before stays */
}

/* If any of it left a node or a block behind, there would soon be no more: the tree has 65,536 nodes. */
static void test_nothing_is_left_of_many(void **state)
{
	struct scene *scene = *state;
	for (uint32_t round = 0; round < 3000; round++) {
		char topics[50][48];
		struct retained_walk walk = {0};
		for (uint32_t i = 0; i < 50; i++) {
			static struct sample sample;
			snprintf(topics[i], sizeof(topics[i]), "%u/%u/x/%u", round, i / 10, i);
			sample_expiring(&sample, topics[i], slice_string("x"), 10, scene->now_s);
			assert_int_equal(
				retained_set(scene->retained, &sample.publication, sample.packet, scene->now_s, NULL),
				ERROR_OK);
		}
		struct visitor visitor = {.scene = scene, .filter = slice_string("#")};
		uint32_t visits = 1 + round % 60;
		assert_false(retained_walk_step(scene->retained, &walk, visitor.filter, scene->now_s + 10, &visits,
						visit, &visitor));
		if (round % 2 == 0) {
			scene->now_s += 10;
			retained_expire(scene->retained, scene->now_s, 1000, NULL, NULL);
		}
		for (uint32_t i = 0; i < 50 && round % 2 != 0; i++)
			assert_int_equal(take_away(scene, topics[i]), ERROR_OK);
		assert_int_equal(retained_size(scene->retained).messages, 0);
		assert_int_equal(visitor.visits, 0);
		retained_walk_end(scene->retained, &walk); /* it still held a node */
		retained_walk_end(scene->retained, &walk); /* once more does nothing */
	}
}

static void test_expired_on_arrival_takes_away(void **state)
{
	struct scene *scene = *state;
	static struct sample sample;
	assert_int_equal(set(scene, "t", slice_string("x")), ERROR_OK);
	sample_expiring(&sample, "t", slice_string("y"), 0, scene->now_s);
	assert_int_equal(retained_set(scene->retained, &sample.publication, sample.packet, scene->now_s, NULL),
			 ERROR_OK);
	assert_int_equal(retained_size(scene->retained).messages, 0);
	assert_int_equal(take_away(scene, "never/there"), ERROR_OK);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_random_changes_against_a_model),
		IN_SCENE(test_walks_while_messages_change),
		IN_SCENE(test_rules_of_wildcards),
		IN_SCENE(test_limits),
		IN_SCENE(test_nothing_is_left_of_many),
		IN_SCENE(test_expired_on_arrival_takes_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
