/* Tables for people: widths, what is not known, counts, ratios. */
#include "bench/report/table.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	int saved;
	int file;
	char text[1024];
};

/* From now on stdout goes to a file in memory. */
static void scene_open(struct scene *scene)
{
	fflush(stdout);
	scene->saved = dup(STDOUT_FILENO);
	scene->file = memfd_create("stdout", 0);
	assert_true(scene->saved >= 0 && scene->file >= 0);
	assert_true(dup2(scene->file, STDOUT_FILENO) >= 0);
}

static void scene_close(struct scene *scene)
{
	fflush(stdout);
	assert_true(dup2(scene->saved, STDOUT_FILENO) >= 0);
	ssize_t got = pread(scene->file, scene->text, sizeof(scene->text) - 1, 0);
	assert_true(got >= 0);
	scene->text[got] = '\0';
	close(scene->file);
	close(scene->saved);
}

static void test_rows_have_names_and_figures(void **state)
{
	(void)state;
	static const struct table TABLE = {.name_width = 6,
					   .unknown = "n/a",
					   .column_count = 3,
					   .columns = {{"a", 7, 0}, {"b", 5, 1}, {"lost", 6, TABLE_PLAIN}}};
	struct scene scene;
	scene_open(&scene);
	table_print_titles(&TABLE, "us");
	table_print_row(&TABLE, "one", (double[]){12345, 0.25, 12345}, "  stalled");
	table_print_row(&TABLE, "two", (double[]){(double)NAN, (double)INFINITY, 0}, "");
	table_print_ratios(&TABLE, "ratio", (double[]){1.5, 2, 3}, 2, TABLE_NO_BLANK);
	table_print_ratios(&TABLE, "ratio", (double[]){1.5, 2, 3}, 3, 1);
	scene_close(&scene);
	assert_string_equal(scene.text, "us           a     b   lost\n"
					"one     12,345   0.2  12345  stalled\n"
					"two        n/a   n/a      0\n"
					"ratio     1.50  2.00\n"
					"ratio     1.50         3.00\n");
}

static void test_rows_without_names(void **state)
{
	(void)state;
	static const struct table TABLE = {
		.unknown = "-", .column_count = 2, .columns = {{"load", 6, 0}, {"ms", 5, 2}}};
	struct scene scene;
	scene_open(&scene);
	table_print_titles(&TABLE, "");
	table_print_row(&TABLE, "", (double[]){1000, (double)NAN}, "  held");
	scene_close(&scene);
	assert_string_equal(scene.text, "  load    ms\n 1,000     -  held\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_have_names_and_figures),
		cmocka_unit_test(test_rows_without_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
