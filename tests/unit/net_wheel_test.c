/* The timer wheel against a model: nothing is handled early, nothing more than a tick late, nothing is lost. */
#include "random.h"
#include "reactor/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define OBJECTS 2000u
#define START_MS 1000000u
#define HORIZON_MS ((uint64_t)WHEEL_SLOTS * WHEEL_TICK_MS)

struct object {
	uint32_t link;
	struct wheel_node timer;
	uint64_t deadline_ms; /* 0: none */
	uint64_t due_ms;      /* the deadline, or when it was filed where that was later */
	uint32_t visits;
};

struct scene {
	struct pool pool;
	struct wheel wheel;
	uint64_t now_ms;
	uint64_t latest_ms; /* now of the turn before */
	uint32_t handled;
	bool whole_turns; /* each turn has visited all that was due */
};

static struct object *object_at(struct scene *scene, uint32_t index)
{
	return pool_at(&scene->pool, index);
}

static int scene_open(void **state)
{
	static struct scene scene;
	scene = (struct scene){.now_ms = START_MS, .latest_ms = START_MS, .whole_turns = true};
	assert_int_equal(pool_open(&scene.pool, sizeof(struct object), OBJECTS), ERROR_OK);
	for (uint32_t i = 0; i < OBJECTS; i++)
		memset(object_at(&scene, pool_take(&scene.pool)), 0, sizeof(struct object));
	wheel_init(&scene.wheel, &scene.pool, offsetof(struct object, timer), scene.now_ms);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	pool_close(&scene->pool);
	return 0;
}

static uint64_t visit(void *context, uint32_t index, uint64_t now_ms)
{
	struct scene *scene = context;
	struct object *object = object_at(scene, index);
	assert_true(now_ms == scene->now_ms);
	object->visits++;
	assert_true(object->deadline_ms != 0);
	if (object->deadline_ms > now_ms)
		return object->deadline_ms;
	if (scene->whole_turns) /* it was not due a tick ago, when the last turn was */
		assert_true(object->due_ms + WHEEL_TICK_MS > scene->latest_ms);
	object->deadline_ms = 0;
	scene->handled++;
	return now_ms;
}

static void turn_at(struct scene *scene, uint64_t now_ms)
{
	scene->latest_ms = scene->now_ms;
	scene->now_ms = now_ms;
	assert_false(wheel_turn(&scene->wheel, now_ms, UINT32_MAX, visit, scene));
}

static void set_deadline(const struct scene *scene, struct object *object, uint64_t deadline_ms)
{
	object->deadline_ms = deadline_ms;
	object->due_ms = deadline_ms > scene->now_ms ? deadline_ms : scene->now_ms;
}

static void add(struct scene *scene, uint32_t index, uint64_t deadline_ms)
{
	struct object *object = object_at(scene, index);
	set_deadline(scene, object, deadline_ms);
	wheel_add(&scene->wheel, index, deadline_ms);
}

/* Nothing that should have been handled by now still waits. */
static void assert_none_overdue(struct scene *scene)
{
	uint32_t filed = 0;
	for (uint32_t i = 1; i <= OBJECTS; i++) {
		const struct object *object = object_at(scene, i);
		if (object->deadline_ms == 0)
			continue;
		filed++;
		assert_true(object->due_ms + WHEEL_TICK_MS > scene->now_ms);
	}
	assert_int_equal(scene->wheel.filed, filed);
}

static uint64_t random_deadline_ms(struct random *random, uint64_t now_ms)
{
	switch (random_below(random, 4)) {
	case 0:
		return now_ms + random_below(random, 300);
	case 1:
		return now_ms - random_below(random, 1000);
	case 2:
		return now_ms + random_below(random, 4 * (uint32_t)HORIZON_MS);
	default:
		return now_ms + random_below(random, 10000);
	}
}

static void change_some(struct scene *scene, struct random *random)
{
	for (uint32_t n = random_below(random, 50); n != 0; n--) {
		uint32_t index = 1 + random_below(random, OBJECTS);
		struct object *object = object_at(scene, index);
		uint64_t deadline_ms = random_deadline_ms(random, scene->now_ms);
		if (object->deadline_ms == 0) {
			add(scene, index, deadline_ms);
		} else if (random_below(random, 3) == 0) {
			wheel_remove(&scene->wheel, index);
			object->deadline_ms = 0;
		} else if (deadline_ms > object->deadline_ms) {
			set_deadline(scene, object, deadline_ms); /* lazy: the wheel learns it at its visit */
		}
	}
}

static void test_random_deadlines_against_a_model(void **state)
{
	struct scene *scene = *state;
	struct random random = {3};
	for (int step = 0; step < 20000; step++) {
		change_some(scene, &random);
		turn_at(scene, scene->now_ms + random_below(&random, random_below(&random, 10) == 0 ? 5000 : 200));
		if (step % 16 == 0)
			assert_none_overdue(scene);
	}
	assert_true(scene->handled > 10000);
	turn_at(scene, scene->now_ms + 5 * HORIZON_MS);
	for (int i = 0; i < 8 && scene->wheel.filed != 0; i++)
		turn_at(scene, scene->now_ms + HORIZON_MS);
	assert_int_equal(scene->wheel.filed, 0);
}

static void test_each_deadline_is_met_within_a_tick(void **state)
{
	struct scene *scene = *state;
	for (uint32_t i = 1; i <= 1000; i++)
		add(scene, i, START_MS + i);
	for (uint64_t now_ms = START_MS; now_ms <= START_MS + 1000 + WHEEL_TICK_MS; now_ms++) {
		turn_at(scene, now_ms);
		for (uint32_t i = 1; i <= 1000; i++) {
			bool open = object_at(scene, i)->deadline_ms != 0;
			if (now_ms < START_MS + i)
				assert_true(open);
			if (now_ms >= START_MS + i + WHEEL_TICK_MS)
				assert_false(open);
		}
	}
}

static void test_beyond_the_horizon_is_filed_again(void **state)
{
	struct scene *scene = *state;
	uint64_t deadline_ms = START_MS + 10 * HORIZON_MS + 77;
	add(scene, 1, deadline_ms);
	while (scene->handled == 0)
		turn_at(scene, scene->now_ms + 100);
	assert_in_range(scene->now_ms, deadline_ms, deadline_ms + WHEEL_TICK_MS + 100);
	assert_in_range(object_at(scene, 1)->visits, 10, 12);
}

/* A machine that slept: time jumps by many rounds at once. */
static void test_jump_of_many_rounds(void **state)
{
	struct scene *scene = *state;
	for (uint32_t i = 1; i <= OBJECTS; i++)
		add(scene, i, START_MS + (uint64_t)i * 1000);
	scene->whole_turns = false;
	turn_at(scene, START_MS + 20 * HORIZON_MS);
	assert_int_equal(scene->handled, OBJECTS);
	assert_int_equal(scene->wheel.filed, 0);
}

static void test_removed_is_not_visited(void **state)
{
	struct scene *scene = *state;
	for (uint32_t i = 1; i <= 300; i++)
		add(scene, i, START_MS + 500);
	for (uint32_t i = 1; i <= 300; i += 3) {
		wheel_remove(&scene->wheel, i);
		wheel_remove(&scene->wheel, i); /* once more does nothing */
		object_at(scene, i)->deadline_ms = 0;
	}
	wheel_remove(&scene->wheel, OBJECTS); /* was never in it */
	turn_at(scene, START_MS + 500 + WHEEL_TICK_MS);
	assert_int_equal(scene->handled, 200);
	for (uint32_t i = 1; i <= 300; i++)
		assert_int_equal(object_at(scene, i)->visits, i % 3 != 1);
}

static void test_budget_bounds_a_turn(void **state)
{
	struct scene *scene = *state;
	for (uint32_t i = 1; i <= 1000; i++)
		add(scene, i, START_MS + i % 400);
	scene->now_ms = START_MS + 1000;
	for (uint32_t done = 0; done < 1000; done += 100) {
		assert_int_equal(scene->handled, done);
		assert_int_equal(wheel_turn(&scene->wheel, scene->now_ms, 100, visit, scene), done + 100 < 1000);
	}
	assert_int_equal(scene->handled, 1000);
	assert_false(wheel_turn(&scene->wheel, scene->now_ms, 100, visit, scene));
}

static uint64_t visit_never(void *context, uint32_t index, uint64_t now_ms)
{
	(void)now_ms;
	((struct scene *)context)->handled += index;
	return WHEEL_NEVER;
}

static void test_never_leaves_it_out(void **state)
{
	struct scene *scene = *state;
	add(scene, 5, START_MS);
	wheel_turn(&scene->wheel, START_MS + 300, 10, visit_never, scene);
	wheel_turn(&scene->wheel, START_MS + 3 * HORIZON_MS, 10, visit_never, scene);
	assert_int_equal(scene->handled, 5);
	assert_int_equal(scene->wheel.filed, 0);
	wheel_add(&scene->wheel, 5, START_MS); /* it may come in again */
}

/* The callback may remove others of its own slot, and free the object itself. */
static uint64_t visit_and_remove_neighbours(void *context, uint32_t index, uint64_t now_ms)
{
	struct scene *scene = context;
	scene->handled++;
	wheel_remove(&scene->wheel, index % OBJECTS + 1);
	wheel_remove(&scene->wheel, (index + OBJECTS - 2) % OBJECTS + 1);
	memset(object_at(scene, index), 0, sizeof(struct object));
	return now_ms;
}

static void test_callback_may_remove_others(void **state)
{
	struct scene *scene = *state;
	for (uint32_t i = 1; i <= OBJECTS; i++)
		add(scene, i, START_MS + 10);
	wheel_turn(&scene->wheel, START_MS + 1000, UINT32_MAX, visit_and_remove_neighbours, scene);
	assert_int_equal(scene->wheel.filed, 0);
	assert_in_range(scene->handled, OBJECTS / 3, OBJECTS / 2 + 1);
}

/* What a visit does may file the object: a will that comes back to its own session's queue, say. */
static uint64_t visit_and_file_anew(void *context, uint32_t index, uint64_t now_ms)
{
	struct scene *scene = context;
	if (scene->handled++ == 0)
		wheel_add(&scene->wheel, index, now_ms + 500);
	return now_ms + HORIZON_MS / 2;
}

static void test_callback_may_file_the_object(void **state)
{
	struct scene *scene = *state;
	add(scene, 5, START_MS);
	wheel_turn(&scene->wheel, START_MS + 300, 10, visit_and_file_anew, scene);
	assert_int_equal(scene->handled, 1);
	assert_int_equal(scene->wheel.filed, 1);
	/* It is asked once more at once, and then stays for as long as it says. */
	wheel_turn(&scene->wheel, START_MS + 300 + 2 * WHEEL_TICK_MS, 10, visit_and_file_anew, scene);
	assert_int_equal(scene->handled, 2);
	wheel_turn(&scene->wheel, START_MS + 1000, 10, visit_and_file_anew, scene);
	assert_int_equal(scene->handled, 2);
	assert_int_equal(scene->wheel.filed, 1);
}

/* Sleeping as long as it says never makes anything more than a tick late, and does not spin. */
static void test_wait_reaches_the_next_visit(void **state)
{
	struct scene *scene = *state;
	struct random random = {4};
	assert_int_equal(wheel_wait_ms(&scene->wheel, scene->now_ms, 1000), 1000);
	for (uint32_t i = 1; i <= 200; i++)
		add(scene, i, START_MS + random_below(&random, 100000));
	uint32_t turns = 0;
	while (scene->wheel.filed != 0) {
		uint32_t wait_ms = wheel_wait_ms(&scene->wheel, scene->now_ms, 5000);
		assert_true(wait_ms <= 5000);
		turn_at(scene, scene->now_ms + wait_ms);
		assert_none_overdue(scene);
		turns++;
	}
	assert_in_range(turns, 1, 300);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_random_deadlines_against_a_model),
		IN_SCENE(test_each_deadline_is_met_within_a_tick),
		IN_SCENE(test_beyond_the_horizon_is_filed_again),
		IN_SCENE(test_jump_of_many_rounds),
		IN_SCENE(test_removed_is_not_visited),
		IN_SCENE(test_budget_bounds_a_turn),
		IN_SCENE(test_never_leaves_it_out),
		IN_SCENE(test_callback_may_remove_others),
		IN_SCENE(test_callback_may_file_the_object),
		IN_SCENE(test_wait_reaches_the_next_visit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
