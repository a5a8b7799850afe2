/* Topic aliases of a connection against a plain array of topics. */
#include "random.h"
#include "session/aliases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define MAX 40u

struct scene {
	struct slab slab;
	uint32_t aliases;
	char topics[MAX + 1][64]; /* the model; "": none */
};

static int scene_open(void **state)
{
	static struct scene scene;
	scene = (struct scene){.aliases = 0};
	assert_int_equal(slab_open(&scene.slab, (size_t)1 << 20), ERROR_OK);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	aliases_clear(&scene->slab, &scene->aliases);
	aliases_clear(&scene->slab, &scene->aliases); /* once more does nothing */
	assert_int_equal(scene->aliases, 0);
	assert_int_equal(scene->slab.used_bytes, 0);
	slab_close(&scene->slab);
	return 0;
}

static void set(struct scene *scene, uint16_t alias, const char *topic)
{
	assert_int_equal(aliases_set(&scene->slab, &scene->aliases, MAX, alias, slice_string(topic)), ERROR_OK);
	snprintf(scene->topics[alias], sizeof(scene->topics[alias]), "%s", topic);
}

static void assert_like_model(struct scene *scene)
{
	uint16_t highest = 0;
	for (uint16_t alias = 1; alias <= MAX; alias++) {
		struct slice topic = aliases_topic(&scene->slab, scene->aliases, alias);
		assert_true(slice_equal(topic, slice_string(scene->topics[alias])));
		if (topic.size == 0)
			continue;
		highest = alias;
		uint16_t found = aliases_find(&scene->slab, scene->aliases, topic);
		assert_string_equal(scene->topics[found], scene->topics[alias]);
	}
	uint16_t unused = aliases_unused(&scene->slab, scene->aliases, MAX);
	assert_int_equal(unused, highest < MAX ? highest + 1 : 0);
	assert_int_equal(aliases_find(&scene->slab, scene->aliases, slice_string("never")), 0);
}

static void test_random_changes_against_a_model(void **state)
{
	struct scene *scene = *state;
	struct random random = {61};
	for (int step = 0; step < 20000; step++) {
		char topic[64];
		uint32_t number = random_below(&random, 100);
		snprintf(topic, sizeof(topic), "t/%.*s%u", (int)(number % 30), "of-many-different-lengths-and-so-on",
			 number);
		set(scene, (uint16_t)(1 + random_below(&random, MAX)), topic);
		assert_like_model(scene);
		if (random_below(&random, 100) == 0) {
			aliases_clear(&scene->slab, &scene->aliases);
			memset(scene->topics, 0, sizeof(scene->topics));
			assert_int_equal(scene->slab.used_bytes, 0);
		}
	}
}

/* As a server gives them: one after another until all are given. */
static void test_given_in_order(void **state)
{
	struct scene *scene = *state;
	for (uint16_t alias = 1; alias <= MAX; alias++) {
		char topic[16];
		snprintf(topic, sizeof(topic), "t/%u", alias);
		assert_int_equal(aliases_unused(&scene->slab, scene->aliases, MAX), alias);
		set(scene, alias, topic);
		assert_int_equal(aliases_find(&scene->slab, scene->aliases, slice_string(topic)), alias);
	}
	assert_int_equal(aliases_unused(&scene->slab, scene->aliases, MAX), 0);
	assert_int_equal(aliases_unused(&scene->slab, 0, 0), 0);
}

static void test_largest_alias_and_longest_topic(void **state)
{
	struct scene *scene = *state;
	static uint8_t topic[UINT16_MAX];
	memset(topic, 't', sizeof(topic));
	struct slice longest = slice_of(topic, sizeof(topic));
	assert_int_equal(aliases_set(&scene->slab, &scene->aliases, UINT16_MAX, UINT16_MAX, longest), ERROR_OK);
	assert_true(slice_equal(aliases_topic(&scene->slab, scene->aliases, UINT16_MAX), longest));
	assert_int_equal(aliases_topic(&scene->slab, scene->aliases, 1).size, 0);
	assert_int_equal(aliases_find(&scene->slab, scene->aliases, longest), UINT16_MAX);
}

static void test_no_memory(void **state)
{
	struct scene *scene = *state;
	set(scene, 1, "short");
	while (slab_take(&scene->slab, 64) != 0)
		;
	struct slice longer = slice_string("a topic for which there is no memory any more, not at all");
	assert_int_equal(aliases_set(&scene->slab, &scene->aliases, MAX, 1, longer), ERROR_NO_MEMORY);
	assert_int_equal(aliases_set(&scene->slab, &scene->aliases, MAX, 2, longer), ERROR_NO_MEMORY);
	assert_like_model(scene); /* what was there stays */
	aliases_clear(&scene->slab, &scene->aliases);
	slab_close(&scene->slab);
	assert_int_equal(slab_open(&scene->slab, (size_t)1 << 20), ERROR_OK);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_random_changes_against_a_model),
		IN_SCENE(test_given_in_order),
		IN_SCENE(test_largest_alias_and_longest_topic),
		IN_SCENE(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
