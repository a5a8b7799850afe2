/* A missing message is lost only after silence with two rounds of answered pings. Time is simulated. */
#include "bench/measure/quiet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS 1000000u
#define LOOK_MS 50u
#define BEGIN_NS 7000000000u

struct scene {
	struct quiet quiet;
	uint64_t now_ns;
	uint64_t progress;
};

static struct scene scene_of(uint32_t quiet_ms)
{
	return (struct scene){.quiet = quiet_begin(quiet_ms, 0, BEGIN_NS), .now_ns = BEGIN_NS};
}

static enum quiet_advice look(struct scene *scene, bool answered)
{
	scene->now_ns += LOOK_MS * MS;
	return quiet_look(&scene->quiet, scene->progress, answered, scene->now_ns);
}

/* Looks until the advice is not to wait. Returns the number of looks. */
static uint32_t looks_until(struct scene *scene, enum quiet_advice advice)
{
	enum quiet_advice found = QUIET_WAIT;
	uint32_t looks = 0;
	for (; found == QUIET_WAIT && looks < 10000; looks++)
		found = look(scene, true);
	assert_int_equal(found, advice);
	return looks;
}

static void test_silence_then_two_rounds(void **state)
{
	(void)state;
	struct scene scene = scene_of(1000);
	assert_int_equal(looks_until(&scene, QUIET_PROBE), 1000 / LOOK_MS);
	assert_int_equal(look(&scene, false), QUIET_WAIT);
	assert_int_equal(look(&scene, true), QUIET_PROBE);
	assert_int_equal(look(&scene, false), QUIET_WAIT);
	assert_int_equal(look(&scene, true), QUIET_OVER);
}

static void test_without_a_time_the_answers_alone_count(void **state)
{
	(void)state;
	struct scene scene = scene_of(0);
	assert_int_equal(look(&scene, true), QUIET_PROBE);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(look(&scene, false), QUIET_WAIT);
	assert_int_equal(look(&scene, true), QUIET_PROBE);
	assert_int_equal(look(&scene, false), QUIET_WAIT);
	assert_int_equal(look(&scene, true), QUIET_OVER);
}

/* Before the first round, in it, with its answers, and in the second round: two whole rounds must follow. */
static void test_progress_starts_it_anew(void **state)
{
	(void)state;
	static const uint32_t looks_left[] = {0, 1, 1, 2};
	for (uint32_t when = 0; when < 4; when++) {
		struct scene scene = scene_of(0);
		for (uint32_t step = 0; step < 4; step++) {
			scene.progress += step == when;
			assert_true(look(&scene, step % 2 == 0) != QUIET_OVER);
		}
		enum quiet_advice advice = look(&scene, true);
		uint32_t looks = 0;
		for (; advice != QUIET_OVER && looks < 10; looks++)
			advice = look(&scene, true);
		assert_int_equal(looks, looks_left[when]);
	}
}

/* The bench did not run for a minute: that is no silence of the server. */
static void test_absence_is_not_silence(void **state)
{
	(void)state;
	struct scene scene = scene_of(2000);
	assert_int_equal(look(&scene, true), QUIET_WAIT);
	scene.now_ns += 60000ull * MS;
	assert_int_equal(look(&scene, true), QUIET_WAIT);
	assert_true(looks_until(&scene, QUIET_PROBE) > 30);
}

static void test_a_stuck_server_is_not_waited_for_for_ever(void **state)
{
	(void)state;
	struct scene scene = scene_of(100);
	uint32_t looks = 0;
	looks_until(&scene, QUIET_PROBE);
	while (look(&scene, false) == QUIET_WAIT)
		looks++;
	assert_in_range(looks * LOOK_MS, 19000, 21000);
	/* As long as something comes it is not stuck. */
	scene = scene_of(100);
	looks_until(&scene, QUIET_PROBE);
	for (uint32_t i = 0; i < 10000; i++) {
		scene.progress += i % 100 == 0;
		assert_int_equal(look(&scene, false), QUIET_WAIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence_then_two_rounds),
		cmocka_unit_test(test_without_a_time_the_answers_alone_count),
		cmocka_unit_test(test_progress_starts_it_anew),
		cmocka_unit_test(test_absence_is_not_silence),
		cmocka_unit_test(test_a_stuck_server_is_not_waited_for_for_ever),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
