/* What the doctor says of a directory for a durable store. */
#include "doctor/store/store.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GIB (UINT64_C(1) << 30)

static struct store_verdict good_disk(void)
{
	return (struct store_verdict){
		.directory = "/srv",
		.device = {.kind = DEVICE_DISK, .free_bytes = 50 * GIB, .size_bytes = 100 * GIB, .file_system = "ext4"},
		.sync = {.small_p50_ns = 500000,
			 .small_p99_ns = 900000,
			 .large_p50_ns = 600000,
			 .large_p99_ns = 1000000},
	};
}

static void assert_warned(struct store_verdict *verdict, const char *word)
{
	store_judge(verdict);
	assert_int_equal(verdict->warning_count, word != NULL);
	if (word != NULL)
		assert_non_null(strstr(verdict->warnings[0], word));
}

static void test_warnings(void **state)
{
	(void)state;
	struct store_verdict verdict = good_disk();
	assert_warned(&verdict, NULL);
	assert_true(fabs(verdict.rate.alone_per_s - 2000) < 1);
	verdict.device.kind = DEVICE_MEMORY;
	assert_warned(&verdict, "memory");
	verdict.device.kind = DEVICE_OVERLAY;
	assert_warned(&verdict, "container");
	verdict.device.kind = DEVICE_NETWORK;
	assert_warned(&verdict, "another machine");
	verdict = good_disk();
	verdict.device.free_bytes = 4 * GIB;
	assert_warned(&verdict, "nearly full");
	verdict.device.free_bytes = verdict.device.size_bytes = GIB - 1;
	assert_warned(&verdict, "nearly full");
	/* A virtual disk that says it turns, and one that does. */
	verdict = good_disk();
	verdict.device.rotates = true;
	assert_warned(&verdict, NULL);
	verdict.sync.small_p50_ns = 8000000;
	assert_warned(&verdict, "turns");
}

static void test_a_directory_is_measured(void **state)
{
	(void)state;
	struct scratch scratch = scratch_open();
	struct store_verdict verdict;
	assert_true(store_measure(&verdict, scratch.directory));
	assert_true(verdict.small_count > 0 && verdict.large_count > 0);
	assert_true(verdict.sync.small_p99_ns >= verdict.sync.small_p50_ns);
	json_t *json = store_json(&verdict);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "directory")), scratch.directory);
	assert_true(json_number_value(json_object_get(json_object_get(json, "expect"), "alone_per_s")) > 0);
	json_decref(json);
	scratch_close(&scratch);
	assert_false(store_measure(&verdict, scratch.directory));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_a_directory_is_measured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
