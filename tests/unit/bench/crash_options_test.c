/* The command line of `roost bench crash`. */
#include "bench/crash/crash_options.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 16

/* Takes words up to NULL. */
static bool parse(const char *const *words, struct crash_options *options, int *status)
{
	static char *argv[WORDS_MAX + 1];
	int argc = 0;
	for (; words[argc] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc];
	argv[argc] = NULL;
	return crash_options_parse(argc, argv, options, status);
}

static void test_the_command_stands_behind_two_dashes(void **state)
{
	(void)state;
	struct crash_options options;
	int status = 0;
	const char *const words[] = {"crash", "-n",    "7",      "--kill-after", "5..60",
				     "--",    "serve", "--port", "@PORT@",       NULL};
	assert_true(parse(words, &options, &status));
	assert_int_equal(options.rounds, 7);
	assert_int_equal(options.kill_least_ms, 5);
	assert_int_equal(options.kill_most_ms, 60);
	assert_string_equal(options.command[0], "serve");
	assert_string_equal(options.command[2], "@PORT@");
	assert_null(options.command[3]);
}

static void test_without_a_command_this_program_serves(void **state)
{
	(void)state;
	struct crash_options options;
	int status = 0;
	const char *const words[] = {"crash", "--signal", "TERM", "--qos", "2", NULL};
	assert_true(parse(words, &options, &status));
	assert_string_equal(options.command[1], "serve");
	assert_int_equal(options.signal, SIGTERM);
	assert_int_equal(options.plan.cast.qos, 2);
}

static void test_wrong_options(void **state)
{
	(void)state;
	static const char *const wrong[][2] = {
		{"--kill-after", "60..5"},
		{"--kill-after", "5"},
		{"--kill-after", "5..60x"},
		{"--signal", "HUP"},
		{"--qos", "3"},
		{"--rounds", "0"},
		{"--offline", "101"},
		{"--kill-after", "1..600001"},
		{"--version", "5x"},
	};
	struct crash_options options;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int status = 0;
		const char *const words[] = {"crash", wrong[i][0], wrong[i][1], NULL};
		assert_false(parse(words, &options, &status));
		assert_int_equal(status, 2);
	}
	int status = 0;
	const char *const stray[] = {"crash", "serve", NULL};
	assert_false(parse(stray, &options, &status));
	assert_int_equal(status, 2);
	const char *const no_one[] = {"crash", "--subscribers", "0", "--wildcards", "0", "--members", "0", NULL};
	assert_false(parse(no_one, &options, &status));
	assert_int_equal(status, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_command_stands_behind_two_dashes),
		cmocka_unit_test(test_without_a_command_this_program_serves),
		cmocka_unit_test(test_wrong_options),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
