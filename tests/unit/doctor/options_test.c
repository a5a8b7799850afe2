/* What the doctor's command line accepts; wrong words end with status 2. */
#include "cli/command.h"
#include "doctor/options.h"

#include "capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 24

/* text: words with single blanks between. */
static bool parse(const char *text, struct doctor_options *options, int *status)
{
	static char copy[512];
	char *words[WORDS_MAX + 1] = {(char *)(uintptr_t) "doctor"};
	int count = 1;
	assert_true(snprintf(copy, sizeof(copy), "%s", text) < (int)sizeof(copy));
	for (char *word = strtok(copy, " "); word != NULL && count < WORDS_MAX; word = strtok(NULL, " "))
		words[count++] = word;
	return doctor_options_parse(count, words, options, status);
}

static void test_good(void **state)
{
	(void)state;
	struct doctor_options options;
	int status;
	assert_true(parse("", &options, &status));
	assert_int_equal(options.verb, DOCTOR_LOOK);
	assert_int_equal(options.connections, 0);
	assert_string_equal(options.root, "");
	assert_true(parse("--connections 1_000_000 --json --root /tmp/x", &options, &status));
	assert_int_equal(options.connections, 1000000);
	assert_true(options.json);
	assert_string_equal(options.root, "/tmp/x");
	assert_true(parse("-n 1,000 --fix-script", &options, &status));
	assert_int_equal(options.verb, DOCTOR_FIX_SCRIPT);
	assert_int_equal(options.connections, 1000);
	assert_true(parse("-n 5 --apply --root /tmp/x", &options, &status));
	assert_int_equal(options.verb, DOCTOR_APPLY);
	assert_true(parse(
		"-n 500 --plan --rate 100 --payload 0 --qos 2 --subscribers 20 --keepalive 0 --json --transport wss",
		&options, &status));
	assert_int_equal(options.verb, DOCTOR_PLAN);
	assert_true(options.rate > 99 && options.rate < 101);
	assert_int_equal(options.payload_bytes, 0);
	assert_int_equal(options.qos, 2);
	assert_int_equal(options.subscribers, 20);
	assert_int_equal(options.keepalive_s, 0);
	assert_int_equal(options.transport, PLAN_WSS);
}

static void test_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *words;
		const char *names;
	} CASES[] = {
		{"-n 0", "--connections"},
		{"-n 16000001", "--connections"},
		{"-n 99999999999999999999999", "--connections"},
		{"-n -1", "--connections"},
		{"-n 1e6", "--connections"},
		{"-n", "requires an argument"},
		{"--no-such", "no-such"},
		{"stray", "stray"},
		{"--fix-script", "--connections"},
		{"--apply", "--connections"},
		{"--plan", "--connections"},
		{"-n 5 --plan --apply", "one at a time"},
		{"-n 5 --fix-script --apply", "one at a time"},
		{"-n 5 --rate 5", "--plan"},
		{"-n 5 --apply --qos 1", "--plan"},
		{"-n 5 --plan --qos 3", "--qos"},
		{"-n 5 --plan --transport quic", "--transport"},
		{"-n 5 --transport tls", "--plan"},
		{"-n 5 --plan --payload 131073", "--payload"},
		{"-n 5 --plan --subscribers 6", "--subscribers"},
		{"-n 5 --plan --subscribers 0", "--subscribers"},
		{"-n 5 --plan --keepalive 65536", "--keepalive"},
		{"-n 5 --plan --root /tmp", "--root"},
		{"-n 5 --apply --json", "--json"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct doctor_options options;
		int status = -1;
		struct capture capture = capture_start();
		bool good = parse(CASES[i].words, &options, &status);
		char *said = capture_stop(&capture);
		if (good || status != CLI_EXIT_USAGE || strstr(said, CASES[i].names) == NULL)
			fail_msg("\"%s\": status %d, \"%s\"", CASES[i].words, status, said);
		free(said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
