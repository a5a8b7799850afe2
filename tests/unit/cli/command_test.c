/* The loop around getopt that all commands share, and the numbers on their command lines. */
#include "capture.h"
#include "cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 16

enum { OPTION_RATE = CLI_FIRST, OPTION_LIMIT, OPTION_WRONG };

static const struct option OPTIONS[] = {
	{"number", required_argument, NULL, 'n'},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"limit", optional_argument, NULL, OPTION_LIMIT},
	{"wrong", no_argument, NULL, OPTION_WRONG},
	{"help", no_argument, NULL, CLI_HELP},
	{0},
};

struct taken {
	char text[256]; /* "code=argument " for each option, in their order */
};

static bool take(void *context, int option, const char *text)
{
	struct taken *taken = context;
	size_t size = strlen(taken->text);
	snprintf(taken->text + size, sizeof(taken->text) - size, "%d=%s ", option, text != NULL ? text : "none");
	return option != OPTION_WRONG;
}

static const struct cli_command COMMAND = {.name = "try this",
					   .letters = "n:",
					   .options = OPTIONS,
					   .usage = "Usage: try this\n",
					   .words_max = 1,
					   .take = take};

struct parsed {
	bool goes_on;
	int status;
	int first_word;
	struct taken taken;
	char *said; /* on stderr; freed with parsed_free() */
};

/* text: words with single blanks between. */
static struct parsed parse(const struct cli_command *command, const char *text)
{
	static char copy[512];
	static char name[] = "this";
	char *words[WORDS_MAX + 1] = {name};
	int count = 1;
	assert_true(snprintf(copy, sizeof(copy), "%s", text) < (int)sizeof(copy));
	for (char *word = strtok(copy, " "); word != NULL && count < WORDS_MAX; word = strtok(NULL, " "))
		words[count++] = word;
	struct parsed parsed = {.status = -1};
	struct capture capture = capture_start();
	parsed.goes_on = cli_parse(count, words, command, &parsed.taken, &parsed.status);
	parsed.said = capture_stop(&capture);
	parsed.first_word = optind;
	return parsed;
}

static void check_good(const char *text, const char *taken, int first_word)
{
	struct parsed parsed = parse(&COMMAND, text);
	assert_true(parsed.goes_on);
	assert_string_equal(parsed.taken.text, taken);
	assert_int_equal(parsed.first_word, first_word);
	assert_string_equal(parsed.said, "");
	free(parsed.said);
}

static void test_options_and_words(void **state)
{
	(void)state;
	check_good("", "", 1);
	check_good("-n 5 --rate=6 word", "110=5 256=6 ", 4);
	check_good("word --number 5", "110=5 ", 3);
	/* "--": what follows is no option. */
	check_good("-- --rate", "", 2);
}

/* An argument that may be left out is taken from the next word if it is a number, and from nowhere else. */
static void test_argument_that_may_be_left_out(void **state)
{
	(void)state;
	check_good("--limit", "257=none ", 2);
	check_good("--limit=7", "257=7 ", 2);
	check_good("--limit 7 word", "257=7 ", 3);
	check_good("--limit word", "257=none ", 2);
	check_good("--limit -n 5", "257=none 110=5 ", 4);
}

static void check_wrong(const char *text, const char *named)
{
	struct parsed parsed = parse(&COMMAND, text);
	assert_false(parsed.goes_on);
	assert_int_equal(parsed.status, CLI_EXIT_USAGE);
	if (strstr(parsed.said, named) == NULL)
		fail_msg("\"%s\": %s", text, parsed.said);
	free(parsed.said);
}

static void test_wrong(void **state)
{
	(void)state;
	check_wrong("--none", "none");
	check_wrong("-x", "x");
	check_wrong("-n", "requires an argument");
	check_wrong("one two", "roost try this: \"two\" is not expected here; `roost try this --help`");
	check_wrong("--wrong", ""); /* who takes it says what is wrong */
}

static void test_nothing_is_taken_behind_a_fault(void **state)
{
	(void)state;
	struct parsed parsed = parse(&COMMAND, "-n 1 --wrong -n 2");
	assert_false(parsed.goes_on);
	assert_string_equal(parsed.taken.text, "110=1 258=none ");
	free(parsed.said);
}

static void print_more(FILE *out)
{
	fputs("made up when it is asked for\n", out);
}

static void test_help_ends_well(void **state)
{
	(void)state;
	struct cli_command command = COMMAND;
	for (int i = 0; i < 2; i++) {
		struct parsed parsed = parse(&command, "--help --none");
		assert_false(parsed.goes_on);
		assert_int_equal(parsed.status, CLI_EXIT_OK);
		assert_string_equal(parsed.said, "");
		free(parsed.said);
		command.usage = NULL;
		command.print_usage = print_more;
	}
}

static void test_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t min, max;
		uint64_t value; /* if it is within */
		bool good;
	} CASES[] = {
		{"0", 0, 5, 0, true},
		{"5", 0, 5, 5, true},
		{"1_000,000", 0, UINT32_MAX, 1000000, true},
		{"007", 7, 7, 7, true},
		{"18446744073709551615", 0, UINT64_MAX, UINT64_MAX, true},
		{"18446744073709551616", 0, UINT64_MAX, 0, false},
		{"99999999999999999999999", 0, UINT64_MAX, 0, false},
		{"6", 0, 5, 0, false},
		{"1", 2, 5, 0, false},
		{"", 0, 5, 0, false},
		{"_1", 0, 5, 0, false},
		{"-1", 0, 5, 0, false},
		{"+1", 0, 5, 0, false},
		{" 1", 0, 5, 0, false},
		{"1e3", 0, 5000, 0, false},
		{"1 ", 0, 5, 0, false},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		uint64_t value = 77;
		struct capture capture = capture_start();
		bool good = cli_number("try this", "--rate", CASES[i].text, CASES[i].min, CASES[i].max, &value);
		char *said = capture_stop(&capture);
		bool names_all = strstr(said, "roost try this: --rate: \"") != NULL;
		if (good != CASES[i].good || value != (good ? CASES[i].value : 77) || names_all == good)
			fail_msg("\"%s\": %d, %llu, %s", CASES[i].text, good, (unsigned long long)value, said);
		free(said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_and_words),
		cmocka_unit_test(test_argument_that_may_be_left_out),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_nothing_is_taken_behind_a_fault),
		cmocka_unit_test(test_help_ends_well),
		cmocka_unit_test(test_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
