/* The command line of `roost bench run`. */
#include "bench/run/run_options.h"

#include "bench/options/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 16

static bool parse(const char *const *words, struct run_options *options, int *status)
{
	char *argv[WORDS_MAX + 1] = {0};
	int argc = 0;
	for (; words[argc] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc];
	return run_options_parse(argc, argv, options, status);
}

static void test_all_of_them(void **state)
{
	(void)state;
	static const char *const WORDS[] = {"run",
					    "--url",
					    "tcp://192.0.2.9:77",
					    "s.yaml",
					    "--server-pid",
					    "12",
					    "--html",
					    "r.html",
					    "--json",
					    "--floor",
					    "--all-steps",
					    "--duration",
					    "3",
					    NULL};
	struct run_options options;
	int status;
	assert_true(parse(WORDS, &options, &status));
	assert_string_equal(options.path, "s.yaml");
	assert_true(options.has_url && options.json && options.floor && options.all_steps);
	assert_int_equal(options.url.port, 77);
	assert_int_equal(options.server_pid, 12);
	assert_string_equal(options.html, "r.html");
	assert_int_equal(options.duration_s, 3);
}

static void test_what_is_refused(void **state)
{
	(void)state;
	static const char *const BAD[][4] = {
		{"run"},
		{"run", "a.yaml", "b.yaml"},
		{"run", "a", "--speed"},
		{"run", "a", "--url=http://x"},
		{"run", "a", "--duration=0"},
		{"run", "a", "--server-pid=x"},
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct run_options options;
		int status = -1;
		if (parse(BAD[i], &options, &status))
			fail_msg("case %zu was accepted", i);
		assert_int_equal(status, BENCH_EXIT_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_them),
		cmocka_unit_test(test_what_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
