/* What a broken promise and a fatal signal print: place, values, what the thread was busy with, where it stood. */
#include "base/check.h"
#include "base/crash.h"
#include "base/crash_text.h"
#include "base/sanitizer.h"
#include "broken_promise.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_says(const char *text, const char *piece)
{
	if (strstr(text, piece) == NULL)
		fail_msg("\"%s\" is not in:\n%s", piece, text);
}

enum { PLAIN_LINE = __LINE__ + 3 };
static void break_plain(void *argument)
{
	CHECK(argument == NULL && "argument is empty");
}

enum { EQUAL_LINE = __LINE__ + 4 };
static void break_equal(void *argument)
{
	uint32_t taken = *(uint32_t *)argument;
	CHECK_EQ(taken, 17u);
}

static void break_less(void *argument)
{
	int64_t balance = -(int64_t) * (uint32_t *)argument;
	CHECK_GE(balance, 0);
}

static void test_promise_and_values(void **state)
{
	(void)state;
	char text[BROKEN_PROMISE_BYTES], expected[200];
	uint32_t number = 4711;
	assert_breaks_promise(break_plain, &number, text);
	snprintf(expected, sizeof(expected),
		 "base_check_test.c:%d: broken promise: argument == NULL && \"argument is empty\"\n", PLAIN_LINE);
	assert_says(text, expected);
	assert_breaks_promise(break_equal, &number, text);
	assert_says(text, "broken promise: taken == 17u: left 4711 (0x1267), right 17 (0x11)\n");
	assert_breaks_promise(break_less, &number, text);
	assert_says(text, "broken promise: balance >= 0: left -4711 (0xffffffffffffed99), right 0 (0x0)\n");
}

static void test_kept_promises_evaluate_once_and_say_nothing(void **state)
{
	(void)state;
	uint32_t calls = 0;
	size_t large = SIZE_MAX;
	CHECK(true);
	CHECK_EQ(calls++, 0u);
	CHECK_NE(calls++, 0u);
	CHECK_LT(calls++, 3u);
	CHECK_LE(calls++, 3u);
	CHECK_GT(calls++, 3u);
	CHECK_GE(calls++, 5u);
	CHECK_GT(large, 1);
	assert_int_equal(calls, 6);
}

static void test_context(void **state)
{
	(void)state;
	char text[BROKEN_PROMISE_BYTES];
	uint32_t number = 1;
	assert_breaks_promise(break_equal, &number, text);
	assert_null(strstr(text, "last packet"));

	struct check_context context = {.thread = "shard", .number = 3};
	check_context_set(&context);
	assert_breaks_promise(break_equal, &number, text);
	assert_says(text, ", shard 3\n");

	context.client = 815;
	context.packet_type = 8;
	assert_breaks_promise(break_equal, &number, text);
	assert_says(text, ", shard 3, last packet: client 815, type 8\n");
	check_context_set(NULL);
}

/* The command that it prints leads to the very line, in a program that lies elsewhere at each start. */
static void test_backtrace_leads_to_the_line(void **state)
{
	(void)state;
	char text[BROKEN_PROMISE_BYTES];
	uint32_t number = 1;
	assert_breaks_promise(break_equal, &number, text);
	const char *command = strstr(text, "addr2line ");
	assert_non_null(command);
	char line[2048], expected[200];
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(command, "\n"), command);
	FILE *lines = popen(line, "r");
	assert_non_null(lines);
	char output[8192];
	output[fread(output, 1, sizeof(output) - 1, lines)] = '\0';
	assert_int_equal(pclose(lines), 0);
	assert_says(output, "break_equal at ");
	snprintf(expected, sizeof(expected), "base_check_test.c:%d", EQUAL_LINE);
	assert_says(output, expected);
	assert_says(output, "test_backtrace_leads_to_the_line at ");
}

#if !SANITIZER_ADDRESS && !SANITIZER_THREAD

static void catch_with_context(void)
{
	static const struct check_context context = {.thread = "gate", .number = 2};
	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	check_context_set(&context);
	crash_catch_signals();
}

static void fault(void *argument)
{
	catch_with_context();
	*(volatile uint32_t *)argument = 1;
}

static void abort_as_libc_does(void *argument)
{
	(void)argument;
	catch_with_context();
	abort();
}

static void be_sent_a_fault(void *argument)
{
	(void)argument;
	catch_with_context();
	kill(getpid(), SIGBUS);
}

static void break_with_signals_caught(void *argument)
{
	catch_with_context();
	break_equal(argument);
}

static void test_fatal_signals(void **state)
{
	(void)state;
	char text[BROKEN_PROMISE_BYTES];
	assert_dies_by(SIGSEGV, fault, (void *)0x10, text);
	assert_says(text, "roost: SIGSEGV at 0x10\nroost: thread ");
	assert_says(text, ", gate 2\nroost: lines: addr2line ");
	assert_dies_by(SIGABRT, abort_as_libc_does, NULL, text);
	assert_says(text, "roost: SIGABRT\nroost: thread ");
	assert_dies_by(SIGBUS, be_sent_a_fault, NULL, text);
	assert_says(text, "roost: SIGBUS\nroost: thread ");
}

static void test_broken_promise_is_told_once(void **state)
{
	(void)state;
	char text[BROKEN_PROMISE_BYTES];
	uint32_t number = 1;
	assert_breaks_promise(break_with_signals_caught, &number, text);
	assert_says(text, "broken promise: taken == 17u");
	assert_null(strstr(text, "SIGABRT"));
}

#endif

static void write_too_much(void *argument)
{
	(void)argument;
	struct crash_text text = {.used = 0};
	for (int i = 0; i < 1000; i++)
		crash_text_add(&text, "12345");
	crash_text_write(&text);
	crash_text_decimal(&text, INT64_MIN);
	crash_text_add(&text, " ");
	crash_text_hex(&text, UINT64_MAX);
	crash_text_write(&text);
	abort();
}

static void test_report_is_cut_off_where_it_is_full(void **state)
{
	(void)state;
	char text[BROKEN_PROMISE_BYTES];
	assert_breaks_promise(write_too_much, NULL, text);
	assert_int_equal(strspn(text, "12345"), CRASH_TEXT_BYTES);
	assert_string_equal(text + CRASH_TEXT_BYTES, "-9223372036854775808 0xffffffffffffffff");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_promise_and_values),
		cmocka_unit_test(test_kept_promises_evaluate_once_and_say_nothing),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_backtrace_leads_to_the_line),
#if !SANITIZER_ADDRESS && !SANITIZER_THREAD
		cmocka_unit_test(test_fatal_signals),
		cmocka_unit_test(test_broken_promise_is_told_once),
#endif
		cmocka_unit_test(test_report_is_cut_off_where_it_is_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
