/* What may change while the gateway runs, what may not, and the example that explains it all. */
#include "daemon/options/config_file.h"
#include "daemon/options/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *report;

static enum error change(struct options *into, const struct options *started, const struct options *wanted)
{
	size_t size;
	free(report);
	FILE *out = open_memstream(&report, &size);
	assert_non_null(out);
	enum error error = options_change(into, started, wanted, "roost.yaml", out);
	fclose(out);
	return error;
}

static void set(struct options *options, const char *name, const char *text)
{
	char fault[OPTION_FAULT_BYTES_MAX];
	assert_true(option_set(option_find(name), options, text, fault));
}

static struct options complete(void)
{
	struct options options = options_default();
	char fault[OPTION_FAULT_BYTES_MAX];
	assert_true(options_complete(&options, fault));
	return options;
}

static void test_nothing_changes(void **state)
{
	(void)state;
	struct options current = complete();
	struct options wanted = complete();
	assert_int_equal(change(&current, &wanted, &wanted), ERROR_OK);
	assert_string_equal(report, "");
}

static void test_what_is_live_changes(void **state)
{
	(void)state;
	struct options started = complete();
	struct options current = complete();
	struct options wanted = complete();
	set(&wanted, "connect-timeout-ms", "1234");
	set(&wanted, "queue-policy", "drop-newest");
	set(&wanted, "log-level", "debug");
	set(&wanted, "response-information", "answers/");
	set(&wanted, "payload-format-check", "false");
	assert_int_equal(change(&current, &started, &wanted), ERROR_OK);
	assert_int_equal(current.settings.connect_timeout_ms, 1234);
	assert_true(current.settings.queue_drops_newest);
	assert_false(current.settings.payload_format_check);
	assert_int_equal(current.log_level, LOG_DEBUG);
	assert_string_equal(current.settings.response_information, "answers/");
	assert_non_null(strstr(report, "connect_timeout_ms: 10000 -> 1234\n"));
	assert_non_null(strstr(report, "queue_policy: drop-oldest -> drop-newest\n"));
	assert_int_equal(change(&current, &started, &wanted), ERROR_OK);
	assert_string_equal(report, "");
}

static void test_all_or_nothing(void **state)
{
	(void)state;
	struct options started = complete();
	struct options current = complete();
	struct options wanted = complete();
	set(&wanted, "drain-ms", "1");
	set(&wanted, "shards", "7");
	wanted.lines[option_place(option_find("shards"))] = 12;
	set(&wanted, "listen", "tcp://127.0.0.1:1884");
	assert_int_equal(change(&current, &started, &wanted), ERROR_LIMIT);
	assert_int_equal(current.settings.drain_ms, started.settings.drain_ms);
	assert_non_null(strstr(report, "roost.yaml:12: shards: "));
	assert_non_null(strstr(report, "roost.yaml: listen: "));
}

/* Each is copied by its kind: one that were forgotten would never change. */
static void test_every_live_number_is_copied(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_count(); i++) {
		const struct option_spec *spec = option_at(i);
		uint32_t least;
		uint32_t most;
		char text[32];
		if (!option_is_live(spec) || !option_range(spec, &least, &most))
			continue;
		struct options started = complete();
		struct options current = complete();
		struct options wanted = complete();
		snprintf(text, sizeof(text), "%u", least + 1);
		set(&wanted, option_name(spec), text);
		assert_int_equal(change(&current, &started, &wanted), ERROR_OK);
		assert_int_equal(change(&current, &started, &wanted), ERROR_OK);
		assert_string_equal(report, "");
	}
}

/* The example is a file that can be read, and changes nothing. */
static void test_example(void **state)
{
	(void)state;
	char path[] = "/tmp/roost-example-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	FILE *out = fdopen(fd, "w");
	options_print_example(out);
	fclose(out);
	struct options defaults = complete();
	struct options read = options_default();
	assert_true(config_file_read(path, &read, stderr));
	char fault[OPTION_FAULT_BYTES_MAX];
	assert_true(options_complete(&read, fault));
	assert_int_equal(change(&defaults, &defaults, &read), ERROR_OK);
	assert_string_equal(report, "");
	for (size_t i = 0; i < option_count(); i++)
		assert_int_not_equal(read.lines[i], 0);
	unlink(path);
	free(report);
	report = NULL;
}

/* No line of a comment is longer than it may be: two that run together would be. */
static void test_example_lines(void **state)
{
	(void)state;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	options_print_example(out);
	fclose(out);
	uint32_t comments = 0;
	for (char *rest = NULL, *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (line[0] == '#' && strlen(line) > 118)
			fail_msg("%s", line);
		comments += line[0] == '#';
	}
	assert_true(comments > option_count());
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_changes), cmocka_unit_test(test_what_is_live_changes),
		cmocka_unit_test(test_all_or_nothing),  cmocka_unit_test(test_every_live_number_is_copied),
		cmocka_unit_test(test_example),         cmocka_unit_test(test_example_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
