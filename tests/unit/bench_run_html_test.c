/* The report as HTML: well-formed whatever was measured, with a plot for all that is known and nothing from outside. */
#include "bench/report/plot.h"
#include "bench/run/run_html.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DEPTH_MAX 32u

/* Returns what was printed; the caller frees it. */
static char *print(const struct run_report *report)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	run_html_print(report, out);
	fclose(out);
	return text;
}

static size_t name_size(const char *at)
{
	return strcspn(at, " />\n");
}

/* Every element that begins also ends, in order, and no text has a bare ampersand. Returns the number of elements. */
static uint32_t check_elements(const char *text)
{
	char open[DEPTH_MAX][16];
	uint32_t depth = 0;
	uint32_t count = 0;
	for (const char *at = strchr(text, '<'); at != NULL; at = strchr(at + 1, '<')) {
		const char *end = strchr(at, '>');
		assert_non_null(end);
		assert_ptr_equal(memchr(at + 1, '<', (size_t)(end - at - 1)), NULL);
		if (at[1] == '!')
			continue;
		if (at[1] == '/') {
			assert_true(depth > 0);
			depth--;
			size_t size = name_size(at + 2);
			if (strlen(open[depth]) != size || strncmp(open[depth], at + 2, size) != 0)
				fail_msg("<%s> ends as %.30s", open[depth], at);
			continue;
		}
		count++;
		if (end[-1] == '/')
			continue;
		assert_true(depth < DEPTH_MAX);
		snprintf(open[depth++], sizeof(open[0]), "%.*s", (int)name_size(at + 1), at + 1);
	}
	assert_int_equal(depth, 0);
	for (const char *at = strchr(text, '&'); at != NULL; at = strchr(at + 1, '&'))
		assert_true(strncmp(at, "&amp;", 5) == 0 || strncmp(at, "&lt;", 4) == 0 ||
			    strncmp(at, "&gt;", 4) == 0 || strncmp(at, "&quot;", 6) == 0);
	return count;
}

struct scene {
	struct scenario scenario;
	struct run_result server;
	struct run_result floor;
	struct run_report report;
};

static struct step step_of(uint32_t number)
{
	double none = (double)NAN;
	struct step step = {.load = 100.0 * (number + 1),
			    .offered = 100.0 * (number + 1),
			    .delivered = 99.0 * (number + 1),
			    .mean_ms = 1,
			    .p50_ms = 1 + number,
			    .p99_ms = 3 + number,
			    .p999_ms = 40,
			    .max_ms = 1e4,
			    .in_flight = 5,
			    .sign_in_p50_ms = none,
			    .sign_in_p99_ms = none,
			    .server_cpu_us = 12,
			    .server_bytes = 512};
	for (uint32_t i = 0; i < STEP_CURVE_POINTS; i++)
		step.curve_ms[i] = i + 1;
	return step;
}

static struct scene *scene_new(uint32_t steps)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	snprintf(scene->scenario.name, SCENARIO_NAME_BYTES, "a <b> & \"c\"");
	scene->scenario.step_count = steps;
	scene->server.step_count = steps;
	scene->server.memory_bytes = (double)NAN;
	for (uint32_t i = 0; i < steps; i++)
		scene->server.steps[i] = step_of(i);
	scene->report =
		(struct run_report){.scenario = &scene->scenario, .url = "tcp://[::1]:1883", .server = &scene->server};
	return scene;
}

static uint32_t figures_in(const char *text)
{
	uint32_t count = 0;
	while ((text = strstr(text, "<figure>")) != NULL) {
		count++;
		text++;
	}
	return count;
}

static void test_whatever_was_measured(void **state)
{
	(void)state;
	for (uint32_t steps = 0; steps <= 7; steps++) {
		struct scene *scene = scene_new(steps);
		if (steps > 3) {
			snprintf(scene->server.steps[3].breach, STEP_FAULT_BYTES, "p99 was 5 & <more>");
			snprintf(scene->server.fault, RUN_FAULT_BYTES, "the server < was & gone");
		}
		char *text = print(&scene->report);
		assert_true(check_elements(text) > 10);
		/* Throughput, latency, its percentiles, Little, CPU a message, memory, CPU. */
		assert_int_equal(figures_in(text), steps == 0 ? 0 : 7);
		assert_null(strstr(text, "nan"));
		free(text);
		free(scene);
	}
}

static void test_floor_and_sign_ins(void **state)
{
	(void)state;
	struct scene *scene = scene_new(3);
	scene->floor = scene->server;
	scene->report.floor = &scene->floor;
	scene->server.steps[1].reconnects = 10;
	scene->server.steps[1].sign_ins = 5;
	scene->server.steps[1].sign_in_p50_ms = scene->server.steps[1].sign_in_p99_ms = 2;
	char *text = print(&scene->report);
	check_elements(text);
	assert_int_equal(figures_in(text), 9);
	assert_non_null(strstr(text, "server / floor"));
	free(text);
	free(scene);
}

static void test_nothing_from_outside(void **state)
{
	(void)state;
	struct scene *scene = scene_new(4);
	char *text = print(&scene->report);
	assert_null(strstr(text, "<script"));
	assert_null(strstr(text, "href"));
	assert_null(strstr(text, "src="));
	assert_null(strstr(text, "url("));
	assert_null(strstr(text, "@import"));
	assert_non_null(strstr(text, "prefers-color-scheme:dark"));
	free(text);
	free(scene);
}

static void test_plot_of_difficult_values(void **state)
{
	(void)state;
	static const double VALUES[][3] = {
		{(double)NAN, (double)NAN, (double)NAN},
		{0, 0, 0},
		{-5, 0, 5},
		{1e-12, 1e12, 3},
		{7, 7, 7},
		{(double)INFINITY, 1, 2},
		{(double)NAN, 1, (double)NAN},
		{1e300, 1, 1e-9},
	};
	struct plot *plot = calloc(1, sizeof(*plot));
	assert_non_null(plot);
	for (size_t v = 0; v < sizeof(VALUES) / sizeof(VALUES[0]); v++) {
		for (uint32_t logarithmic = 0; logarithmic < 2; logarithmic++) {
			*plot = (struct plot){.title = "t",
					      .x_title = "x",
					      .y_title = "y",
					      .count = 3,
					      .series_count = 1,
					      .mark = 1,
					      .logarithmic = logarithmic == 1};
			memcpy(plot->series[0].y, VALUES[v], sizeof(VALUES[v]));
			if (!plot_has_values(plot))
				continue;
			char *text = NULL;
			size_t size = 0;
			FILE *out = open_memstream(&text, &size);
			plot_print(plot, out);
			fclose(out);
			check_elements(text);
			assert_null(strstr(text, "nan"));
			assert_null(strstr(text, "inf"));
			assert_true(size < 20000);
			free(text);
		}
	}
	free(plot);
}

static void test_file(void **state)
{
	(void)state;
	struct scene *scene = scene_new(2);
	char path[] = "/tmp/roost-html-XXXXXX";
	int file = mkstemp(path);
	assert_true(file >= 0);
	assert_null(run_html_write(&scene->report, path));
	struct run_report *report = &scene->report;
	assert_non_null(run_html_write(report, "/nonexistent/report.html"));
	close(file);
	FILE *written = fopen(path, "re");
	assert_non_null(written);
	fseek(written, 0, SEEK_END);
	assert_true(ftell(written) > 5000);
	fclose(written);
	unlink(path);
	free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whatever_was_measured),
		cmocka_unit_test(test_floor_and_sign_ins),
		cmocka_unit_test(test_nothing_from_outside),
		cmocka_unit_test(test_plot_of_difficult_values),
		cmocka_unit_test(test_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
