/* How long a device takes to sync. */
#include "device/sync_probe.h"
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_percentiles_of_few(void **state)
{
	(void)state;
	struct sync_times times = {.count = 0};
	assert_int_equal(sync_times_percentile(&times, 99), 0);
	times = (struct sync_times){.ns = {30, 10, 20, 40}, .count = 4};
	sync_times_sort(&times);
	assert_int_equal(sync_times_percentile(&times, 0), 10);
	assert_int_equal(sync_times_percentile(&times, 50), 20);
	assert_int_equal(sync_times_percentile(&times, 51), 30);
	assert_int_equal(sync_times_percentile(&times, 100), 40);
}

static uint32_t entries_of(const char *path)
{
	DIR *directory = opendir(path);
	uint32_t count = 0;
	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

static void test_the_probe_leaves_nothing_behind(void **state)
{
	(void)state;
	struct scratch scratch = scratch_open();
	struct sync_times times = {.count = 0};
	uint32_t before = entries_of(scratch.directory);
	assert_int_equal(sync_probe_run(scratch.directory, 4096, 3, UINT64_MAX, &times), ERROR_OK);
	assert_int_equal(times.count, 3);
	/* It goes on with the same times, and ends with the limit, but measures once. */
	assert_int_equal(sync_probe_run(scratch.directory, 65536, 100, 0, &times), ERROR_OK);
	assert_int_equal(times.count, 4);
	assert_int_equal(entries_of(scratch.directory), before);
	scratch_close(&scratch);
	assert_int_equal(sync_probe_run(scratch.directory, 4096, 1, 0, &times), ERROR_SYSTEM);
	assert_int_equal(errno, ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percentiles_of_few),
		cmocka_unit_test(test_the_probe_leaves_nothing_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
