/* The log: levels, one line an event whatever is in it, and a bound on lines that counts what it leaves out. */
#include "base/log.h"
#include "capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* A test may come in a second whose lines another one has used up. */
static int next_second(void **state)
{
	(void)state;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct timespec next = {.tv_sec = now.tv_sec + 1};
	return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &next, NULL);
}

static void test_levels_above_the_set_one_are_silent(void **state)
{
	(void)state;
	for (int set = LOG_ERROR; set <= LOG_DEBUG; set++) {
		log_level_set((enum log_level)set);
		struct capture capture = capture_start();
		for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
			assert_int_equal(log_enabled((enum log_level)level), level <= set);
			log_write((enum log_level)level, "at %d", level);
		}
		char *text = capture_stop(&capture);
		for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
			char line[32];
			snprintf(line, sizeof(line), " at %d\n", level);
			assert_int_equal(strstr(text, line) != NULL, level <= set);
		}
		free(text);
	}
	log_level_set(LOG_INFO);
}

static void test_form_of_a_line(void **state)
{
	(void)state;
	struct capture capture = capture_start();
	log_write(LOG_WARNING, "%s has %d", "shard", 3);
	char *text = capture_stop(&capture);
	static const char FORM[] = "0000-00-00T00:00:00.000Z warning ";
	assert_true(strlen(text) > strlen(FORM));
	for (size_t i = 0; i < strlen(FORM); i++)
		assert_true(FORM[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == FORM[i]);
	assert_string_equal(text + strlen(FORM), "shard has 3\n");
	free(text);
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;
	while ((text = strchr(text, '\n')) != NULL) {
		lines++;
		text++;
	}
	return lines;
}

/* Client ids come from outside: they must not be able to forge a line, or to move a terminal's cursor. */
static void test_control_characters_stay_inside_the_line(void **state)
{
	(void)state;
	struct capture capture = capture_start();
	log_write(LOG_INFO, "client \"%s\" ended", "a\nb\rc\x1b[2Jd\x7f\te");
	char *text = capture_stop(&capture);
	assert_int_equal(count_lines(text), 1);
	for (const char *at = text; at[1] != '\0'; at++)
		assert_true((unsigned char)*at >= ' ' && *at != 0x7f);
	assert_non_null(strstr(text, "client \"a"));
	free(text);
}

static void test_text_beyond_ascii_is_written_as_it_is(void **state)
{
	(void)state;
	struct capture capture = capture_start();
	log_write(LOG_INFO, "client \"%s\"", "Hühnerstall-鸡舍");
	char *text = capture_stop(&capture);
	assert_non_null(strstr(text, "\"Hühnerstall-鸡舍\"\n"));
	free(text);
}

static void test_long_line_is_cut(void **state)
{
	(void)state;
	char *longest = malloc(5000);
	assert_non_null(longest);
	memset(longest, 'x', 4999);
	longest[4999] = '\0';
	for (size_t size = 900; size < 5000; size += 37) {
		longest[size] = '\0';
		struct capture capture = capture_start();
		log_write(LOG_ERROR, "%s", longest);
		char *text = capture_stop(&capture);
		assert_int_equal(count_lines(text), 1);
		assert_in_range(strlen(text), 900, 1024);
		assert_int_equal(text[strlen(text) - 1], '\n');
		free(text);
		longest[size] = 'x';
	}
	free(longest);
}

struct tally {
	unsigned written;
	unsigned left_out;
	unsigned most_in_a_second;
};

static struct tally tally_lines(char *text)
{
	struct tally tally = {0};
	char second[20] = "";
	unsigned in_second = 0;
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		tally.written++;
		if (strncmp(second, line, 19) != 0) {
			memcpy(second, line, 19);
			in_second = 0;
		}
		if (++in_second > tally.most_in_a_second)
			tally.most_in_a_second = in_second;
		const char *note = strchr(line, '(');
		if (note == NULL)
			continue;
		char *end;
		tally.left_out += (unsigned)strtoul(note + 1, &end, 10);
		assert_memory_equal(end, " lines left out) ", 17);
	}
	return tally;
}

static void test_lines_beyond_the_rate_are_counted(void **state)
{
	unsigned calls = 0;
	struct capture capture = capture_start();
	for (; calls < 3 * LOG_LINES_PER_SECOND; calls++)
		log_write(LOG_INFO, "line %u", calls);
	next_second(state);
	log_write(LOG_INFO, "line %u", calls++);
	char *text = capture_stop(&capture);
	struct tally tally = tally_lines(text);
	free(text);
	assert_true(tally.left_out > 0);
	assert_int_equal(tally.written + tally.left_out, calls);
	assert_true(tally.most_in_a_second <= LOG_LINES_PER_SECOND);
}

static void test_errors_are_not_hidden_by_other_lines(void **state)
{
	(void)state;
	struct capture capture = capture_start();
	for (unsigned i = 0; i < 3 * LOG_LINES_PER_SECOND; i++)
		log_write(LOG_INFO, "line %u", i);
	log_write(LOG_ERROR, "the device fails");
	for (unsigned i = 0; i < 3 * LOG_LINES_PER_SECOND; i++)
		log_write(LOG_ERROR, "error %u", i);
	log_always(LOG_INFO, "ready");
	char *text = capture_stop(&capture);
	assert_non_null(strstr(text, "the device fails\n"));
	assert_non_null(strstr(text, "ready\n"));
	assert_true(count_lines(text) < 5 * LOG_LINES_PER_SECOND);
	free(text);
}

#define FRESH(test) cmocka_unit_test_setup(test, next_second)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels_above_the_set_one_are_silent),
		cmocka_unit_test(test_form_of_a_line),
		cmocka_unit_test(test_control_characters_stay_inside_the_line),
		cmocka_unit_test(test_text_beyond_ascii_is_written_as_it_is),
		FRESH(test_long_line_is_cut),
		FRESH(test_lines_beyond_the_rate_are_counted),
		FRESH(test_errors_are_not_hidden_by_other_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
