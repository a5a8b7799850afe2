/* A server that the bench starts and ends; here a shell stands in for it. */
#include "bench/target/child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LONG_NS 60000000000u

static void test_place_holders_are_filled_in(void **state)
{
	(void)state;
	struct child child;
	char expected[64];
	const char *const words[] = {"serve", "--listen=@URL@", "@STORE@/x@PORT@", "@", NULL};
	assert_null(child_plan(&child, words, "/some/where"));
	snprintf(expected, sizeof(expected), "--listen=tcp://127.0.0.1:%u", (unsigned int)child.port);
	assert_string_equal(child.words[0], "serve");
	assert_string_equal(child.words[1], expected);
	snprintf(expected, sizeof(expected), "/some/where/x%u", (unsigned int)child.port);
	assert_string_equal(child.words[2], expected);
	assert_string_equal(child.words[3], "@");
	assert_null(child.words[4]);
}

static void test_a_command_that_is_too_long(void **state)
{
	(void)state;
	struct child child;
	char *large = calloc(1, CHILD_TEXT_BYTES + 1);
	assert_non_null(large);
	memset(large, 'x', CHILD_TEXT_BYTES);
	const char *const words[] = {large, NULL};
	assert_non_null(child_plan(&child, words, ""));
	const char *many[CHILD_WORDS_MAX + 2];
	for (uint32_t i = 0; i <= CHILD_WORDS_MAX; i++)
		many[i] = "x";
	many[CHILD_WORDS_MAX + 1] = NULL;
	assert_non_null(child_plan(&child, many, ""));
	free(large);
}

static void test_it_ends_by_the_signal(void **state)
{
	(void)state;
	static const int signals[] = {SIGKILL, SIGTERM};
	struct child child;
	const char *const words[] = {"sleep", "1000", NULL};
	assert_null(child_plan(&child, words, ""));
	for (size_t i = 0; i < 2; i++) {
		assert_true(child_start(&child));
		assert_true(child_end(&child, signals[i], LONG_NS));
		assert_int_equal(child.pid, 0);
	}
	child_close(&child);
}

static void test_one_that_ends_by_itself_did_not_start(void **state)
{
	(void)state;
	struct child child;
	const char *const words[] = {"sh", "-c", "exit 3", NULL};
	assert_null(child_plan(&child, words, ""));
	assert_true(child_start(&child));
	assert_false(child_wait_accepting(&child, LONG_NS));
	assert_int_equal(child.pid, 0);
	child_close(&child);
}

static void test_what_its_log_has_is_counted(void **state)
{
	(void)state;
	struct child child;
	const char *const words[] = {"sh", "-c", "echo one two; echo two >&2; echo three", NULL};
	assert_null(child_plan(&child, words, "/some/where"));
	assert_int_equal(child_log_count(&child, "two"), 0);
	assert_true(child_start(&child));
	/* 0 is no signal: it ends by itself. */
	assert_true(child_end(&child, 0, LONG_NS));
	assert_int_equal(child_log_count(&child, "two"), 2);
	assert_int_equal(child_log_count(&child, "three"), 1);
	assert_int_equal(child_log_count(&child, "four"), 0);
	child_close(&child);
	assert_int_equal(child_log_count(&child, "two"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_its_log_has_is_counted),
		cmocka_unit_test(test_place_holders_are_filled_in),
		cmocka_unit_test(test_a_command_that_is_too_long),
		cmocka_unit_test(test_it_ends_by_the_signal),
		cmocka_unit_test(test_one_that_ends_by_itself_did_not_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
