/* What a report says in one sentence: the knee, and whether the run was good. */
#include "bench/run/run_report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct scene {
	struct scenario scenario;
	struct run_result server;
	struct run_result floor;
	struct run_report report;
};

static struct scene *scene_new(uint32_t steps, uint32_t breach)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	scene->scenario.step_count = steps;
	scene->server.step_count = steps;
	for (uint32_t i = 0; i < steps; i++)
		scene->server.steps[i].load = 1000.0 * (i + 1);
	if (breach < steps)
		snprintf(scene->server.steps[breach].breach, STEP_FAULT_BYTES, "it broke");
	scene->report = (struct run_report){.scenario = &scene->scenario, .url = "u", .server = &scene->server};
	return scene;
}

static void check(struct scene *scene, const char *verdict, bool good)
{
	char text[512];
	run_report_verdict(&scene->report, text, sizeof(text));
	assert_string_equal(text, verdict);
	assert_int_equal(run_report_is_good(&scene->report), good);
	free(scene);
}

static void test_verdicts(void **state)
{
	(void)state;
	check(scene_new(0, 9), "nothing was measured", false);
	check(scene_new(3, 2), "the knee is at load 2,000; in the next step it broke", true);
	check(scene_new(3, 0), "even the first step, load 1,000, did not hold: it broke", false);
	check(scene_new(3, 9), "no knee up to load 3,000, where the steps end", true);
	struct scene *scene = scene_new(3, 9);
	snprintf(scene->server.fault, RUN_FAULT_BYTES, "gone");
	check(scene, "no knee up to load 3,000, where the run ended early", false);
	scene = scene_new(1, 9);
	scene->scenario.step_count = 0;
	check(scene, "all objectives held", true);
	scene = scene_new(1, 0);
	scene->scenario.step_count = 0;
	check(scene, "an objective did not hold: it broke", false);
}

static void test_distance(void **state)
{
	(void)state;
	struct scene *scene = scene_new(2, 9);
	assert_true(isnan(run_report_distance(&scene->report, 0)));
	scene->report.floor = &scene->floor;
	scene->floor.step_count = 1;
	scene->floor.steps[0].server_cpu_us = 4;
	scene->server.steps[0].server_cpu_us = 6;
	assert_true(fabs(run_report_distance(&scene->report, 0) - 1.5) < 1e-12);
	assert_true(isnan(run_report_distance(&scene->report, 1)));
	scene->floor.steps[0].server_cpu_us = (double)NAN;
	assert_true(isnan(run_report_distance(&scene->report, 0)));
	free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_distance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
