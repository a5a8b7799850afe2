/* The heap of what expires, against a plain list: what is due comes in order of time, and only while it is there. */
#include "random.h"
#include "topics/expiries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define OBJECTS 500u

struct object {
	uint32_t link; /* the pool's */
	uint32_t place;
};

struct scene {
	struct random random;
	struct pool pool;
	struct expiries expiries;
	uint32_t expires_s[OBJECTS + 1]; /* the model; 0: it is not there */
};

static int scene_open(void **state)
{
	static struct scene scene;
	scene = (struct scene){.random = {17}};
	assert_int_equal(pool_open(&scene.pool, sizeof(struct object), OBJECTS), ERROR_OK);
	assert_int_equal(expiries_open(&scene.expiries, &scene.pool, offsetof(struct object, place), OBJECTS),
			 ERROR_OK);
	for (uint32_t i = 1; i <= OBJECTS; i++)
		assert_int_equal(pool_take(&scene.pool), i);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	expiries_close(&scene->expiries);
	pool_close(&scene->pool);
	return 0;
}

static void add(struct scene *scene, uint32_t index, uint32_t expires_s)
{
	assert_int_equal(expiries_reserve(&scene->expiries), ERROR_OK);
	expiries_add(&scene->expiries, index, expires_s);
	scene->expires_s[index] = expires_s;
}

static void take_away(struct scene *scene, uint32_t index)
{
	expiries_remove(&scene->expiries, index);
	scene->expires_s[index] = 0;
}

static uint32_t first_of_model(const struct scene *scene, uint32_t *count)
{
	uint32_t first_s = UINT32_MAX;
	*count = 0;
	for (uint32_t i = 1; i <= OBJECTS; i++) {
		if (scene->expires_s[i] == 0)
			continue;
		++*count;
		if (scene->expires_s[i] < first_s)
			first_s = scene->expires_s[i];
	}
	return first_s;
}

static void test_against_a_model(void **state)
{
	struct scene *scene = *state;
	for (uint32_t step = 0; step < 100000; step++) {
		uint32_t index = 1 + random_below(&scene->random, OBJECTS);
		uint32_t now_s = step / 100;
		if (scene->expires_s[index] == 0 && random_below(&scene->random, 3) != 0)
			add(scene, index, now_s + 1 + random_below(&scene->random, 50));
		else
			take_away(scene, index); /* also what is not there */
		uint32_t count;
		uint32_t first_s = first_of_model(scene, &count);
		assert_int_equal(scene->expiries.count, count);
		assert_int_equal(expiries_first_s(&scene->expiries), first_s);
		uint32_t due = expiries_due(&scene->expiries, now_s);
		assert_int_equal(due != 0, first_s <= now_s);
		if (due == 0)
			continue;
		assert_int_equal(scene->expires_s[due], first_s);
		take_away(scene, due);
	}
}

static void test_all_come_in_order(void **state)
{
	struct scene *scene = *state;
	for (uint32_t i = 1; i <= OBJECTS; i++)
		add(scene, i, 1 + random_below(&scene->random, 1000));
	uint32_t before_s = 0;
	for (uint32_t i = 1; i <= OBJECTS; i++) {
		uint32_t due = expiries_due(&scene->expiries, 1000);
		assert_in_range(due, 1, OBJECTS);
		assert_in_range(scene->expires_s[due], before_s, 1000);
		before_s = scene->expires_s[due];
		take_away(scene, due);
	}
	assert_int_equal(expiries_due(&scene->expiries, UINT32_MAX - 1), 0);
	assert_int_equal(expiries_first_s(&scene->expiries), UINT32_MAX);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_against_a_model),
		IN_SCENE(test_all_come_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
