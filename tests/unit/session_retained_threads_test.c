/* Retained messages under threads that set them, take them away, sweep and walk: what is there for the whole time is
 * found once in every walk, each message is whole, and nothing is left. To be run under ThreadSanitizer too. */
#include "mqtt/field/topic.h"
#include "publication_sample.h"
#include "random.h"
#include "topics/retained.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WALKERS 2
#define WRITERS 2
#define STEADY 100u
#define TOPICS 500u    /* of each writer */
#define CHANGES 15000u /* of each writer, at least */
#define WALKS 50u      /* that are whole before the writers end */
#define NOW_S 1000u

struct scene {
	struct retained *retained;
	_Atomic unsigned writing; /* writers that are still at work */
	_Atomic bool wrong;
	_Atomic unsigned long walks;
};

struct worker {
	struct scene *scene;
	uint16_t number;
};

/* A message says its own topic; writers' topics begin with their number. */
static enum error set(struct scene *scene, const char *topic, bool empty)
{
	struct sample sample;
	sample_plain(&sample, topic, empty ? slice_of(NULL, 0) : slice_string(topic), 1);
	return retained_set(scene->retained, &sample.publication, sample.packet, NOW_S, NULL);
}

static void *write_messages(void *argument)
{
	struct worker *worker = argument;
	struct scene *scene = worker->scene;
	struct random random = {worker->number + 91u};
	for (uint32_t i = 0; i < CHANGES || atomic_load(&scene->walks) < WALKS; i++) {
		char topic[32];
		uint32_t n = random_below(&random, TOPICS);
		snprintf(topic, sizeof(topic), n % 2 == 0 ? "all/%u/%u" : "all/%u/%u/x", worker->number, n);
		if (set(scene, topic, random_below(&random, 2) == 0) != ERROR_OK)
			atomic_store(&scene->wrong, true);
		if (i % 32 == 0)
			retained_expire(scene->retained, NOW_S, 16, NULL, NULL);
	}
	for (uint32_t n = 0; n < TOPICS; n++) {
		char topic[32];
		snprintf(topic, sizeof(topic), n % 2 == 0 ? "all/%u/%u" : "all/%u/%u/x", worker->number, n);
		if (set(scene, topic, true) != ERROR_OK)
			atomic_store(&scene->wrong, true);
	}
	atomic_fetch_sub(&scene->writing, 1);
	return NULL;
}

struct visitor {
	struct random *random;
	uint32_t steady;
	bool good;
};

static bool visit(void *context, const struct publication *publication, const uint8_t *packet)
{
	struct visitor *visitor = context;
	if (random_below(visitor->random, 10) == 0)
		return false;
	struct publication_parts parts = publication_parts(publication, packet);
	visitor->good &= slice_equal(parts.topic, parts.payload);
	visitor->good &= mqtt_filter_matches(slice_string("all/#"), parts.topic);
	visitor->steady += parts.topic.size > 6 && memcmp(parts.topic.data, "all/s/", 6) == 0;
	return true;
}

static bool walk(struct scene *scene, struct random *random)
{
	struct visitor visitor = {random, 0, true};
	struct retained_walk walk = {0};
	uint32_t visits;
	do
		visits = 1 + random_below(random, 40);
	while (!retained_walk_step(scene->retained, &walk, slice_string("all/#"), NOW_S, &visits, visit, &visitor));
	return visitor.good && visitor.steady == STEADY;
}

static void *walk_messages(void *argument)
{
	struct worker *worker = argument;
	struct scene *scene = worker->scene;
	struct random random = {worker->number + 95u};
	while (atomic_load(&scene->writing) != 0) {
		if (!walk(scene, &random))
			atomic_store(&scene->wrong, true);
		atomic_fetch_add(&scene->walks, 1);
		/* Another is given up on the way. */
		struct visitor visitor = {&random, 0, true};
		struct retained_walk given_up = {0};
		uint32_t visits = 5;
		retained_walk_step(scene->retained, &given_up, slice_string("all/#"), NOW_S, &visits, visit, &visitor);
		retained_walk_end(scene->retained, &given_up);
	}
	return NULL;
}

static void set_steady(struct scene *scene, bool empty)
{
	char topic[32];
	for (uint32_t n = 0; n < STEADY; n++) {
		snprintf(topic, sizeof(topic), "all/s/%u", n);
		assert_int_equal(set(scene, topic, empty), ERROR_OK);
	}
}

static void test_walkers_while_writers_change(void **state)
{
	(void)state;
	static struct scene scene;
	struct hash_key key = {{9}};
	scene.retained = retained_new(&key, 10000, 1 << 20, NULL);
	assert_non_null(scene.retained);
	set_steady(&scene, false);
	pthread_t threads[WRITERS + WALKERS];
	struct worker workers[WRITERS + WALKERS];
	atomic_store(&scene.writing, WRITERS);
	for (uint16_t i = 0; i < WRITERS + WALKERS; i++) {
		workers[i] = (struct worker){&scene, i};
		assert_int_equal(
			pthread_create(&threads[i], NULL, i < WRITERS ? write_messages : walk_messages, &workers[i]),
			0);
	}
	for (uint16_t i = 0; i < WRITERS + WALKERS; i++)
		pthread_join(threads[i], NULL);
	assert_false(atomic_load(&scene.wrong));
	assert_int_equal(retained_size(scene.retained).messages, STEADY);
	set_steady(&scene, true);
	assert_int_equal(retained_size(scene.retained).messages, 0);
	assert_int_equal(retained_size(scene.retained).bytes, 0);
	retained_free(scene.retained);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walkers_while_writers_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
