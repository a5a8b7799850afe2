/* The configuration file: good ones are taken over, bad ones are refused with file, line and key. */
#include "capture.h"
#include "daemon/options/config_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A file in memory with this text, by a path that can be opened. */
struct text_file {
	FILE *stream;
	char path[64];
};

static struct text_file text_file_open(const char *text, size_t size)
{
	struct text_file file = {.stream = tmpfile()};
	assert_non_null(file.stream);
	assert_int_equal(fwrite(text, 1, size, file.stream), size);
	assert_int_equal(fflush(file.stream), 0);
	rewind(file.stream);
	snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", fileno(file.stream));
	return file;
}

static bool read_text(const char *text, struct options *options)
{
	struct text_file file = text_file_open(text, strlen(text));
	bool read = config_file_read(file.path, options, stderr);
	fclose(file.stream);
	return read;
}

static void test_every_kind_of_value(void **state)
{
	(void)state;
	struct options options = options_default();
	assert_true(read_text("# a comment\n"
			      "listen:\n"
			      "  - tcp://127.0.0.1:1884\n"
			      "  - \"tcp://[::1]:1885\"\n"
			      "gates: 2\n"
			      "connect_timeout_ms: 5000   # five seconds\n"
			      "queue-bytes-max: 65536\n"
			      "private_tables: false\n"
			      "defer_accept: yes\n"
			      "log_level: debug\n",
			      &options));
	const struct settings *settings = &options.settings;
	assert_int_equal(settings->listener_count, 2);
	assert_string_equal(settings->listeners[0].url, "tcp://127.0.0.1:1884");
	assert_string_equal(settings->listeners[1].url, "tcp://[::1]:1885");
	assert_int_equal(settings->gates, 2);
	assert_int_equal(settings->connect_timeout_ms, 5000);
	assert_int_equal(settings->queue_bytes_max, 65536);
	assert_false(settings->private_tables);
	assert_true(settings->defer_accept);
	assert_int_equal(options.log_level, LOG_DEBUG);
}

static char *value_of(const struct option_spec *spec, const struct options *options)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	option_print_value(spec, options, out);
	fclose(out);
	return text;
}

static void test_nothing_in_it_changes_nothing(void **state)
{
	(void)state;
	static const char *const EMPTY[] = {"", "\n\n", "# only a comment\n", "{}\n", "listen: []\n"};
	for (size_t i = 0; i < sizeof(EMPTY) / sizeof(EMPTY[0]); i++) {
		struct options options = options_default();
		struct options defaults = options_default();
		assert_true(read_text(EMPTY[i], &options));
		for (size_t place = 0; place < option_count(); place++) {
			const struct option_spec *spec = option_at(place);
			char *text = value_of(spec, &options);
			char *expected = value_of(spec, &defaults);
			assert_string_equal(text, expected);
			free(text);
			free(expected);
		}
	}
}

static void test_flow_style_and_anchors(void **state)
{
	(void)state;
	struct options options = options_default();
	assert_true(read_text("{listen: [&a tcp://127.0.0.1:1, tcp://127.0.0.1:2], shards: 3}", &options));
	assert_int_equal(options.settings.listener_count, 2);
	assert_int_equal(options.settings.shards, 3);
}

/* ---- what is wrong ---- */

struct bad {
	const char *text;
	unsigned line;
	const char *key; /* "" where there is none to name */
	const char *fault;
};

static const struct bad BAD[] = {
	{"gates: 2\nbridge: x\n", 2, "bridge", "no such key"},
	{"\n\ngates: 17\n", 3, "gates", "\"17\" is not a number from 1 to 16"},
	{"gates:\n", 1, "gates", "not a number"},
	{"gates: [1]\n", 1, "gates", "a single value is wanted"},
	{"gates:\n  one: 1\n", 2, "gates", "a single value is wanted"},
	{"private_tables: maybe\n", 1, "private_tables", "neither true nor false"},
	{"log_level: loud\n", 1, "log_level", "loud"},
	{"address_denied:\n  one: 10.0.0.0/8\n", 2, "address_denied", "a list is wanted"},
	{"listen:\n  - tcp://127.0.0.1:1\n  - nonsense\n", 3, "listen", "scheme"},
	{"listen:\n  - tcp://127.0.0.1:1\n  - [tcp://127.0.0.1:2]\n", 3, "listen", "a single value"},
	{"listen:\n  tls_key: a\n", 2, "listen", "has no url"},
	{"listen:\n  - url: [tcp://127.0.0.1:1]\n", 2, "listen", "a single value"},
	{"listen:\n  - url: tls://127.0.0.1\n    gates: 1\n", 3, "gates", "a listener has no such key"},
	{"listen:\n  - url: tls://127.0.0.1\n    url: tls://127.0.0.1\n", 3, "url", "second time"},
	{"listen:\n  - url: tls://127.0.0.1\n    tls_key: {a: b}\n", 3, "tls_key", "a list is wanted"},
	{"listen:\n  - url: tls://127.0.0.1\n    tls_min_version: 1.1\n", 3, "tls_min_version", "1.2 or 1.3"},
	{"gates: 1\nshards: 1\ngates: 1\n", 3, "gates", "second time"},
	{"drain-ms: 1\n\ndrain_ms: 2\n", 3, "drain_ms", "second time"},
	{"- gates\n", 1, "", "a mapping of keys to values"},
	{"just text\n", 1, "", "a mapping of keys to values"},
	{"? [gates]\n: 1\n", 1, "", "a key is wanted"},
	{"gates: 1\n  shards: 2\n", 2, "", "mapping values are not allowed"},
	{"gates: 1\nlisten: [\n", 3, "", ""},
	{"gates: 1\n\tshards: 2\n", 2, "", ""},
	{"gates: \"1\nshards: 2\n", 3, "", ""},
	{"gates: *nowhere\n", 1, "", "undefined alias"},
};

/* "roost: FILE:LINE: KEY: FAULT", one line. */
static void check_message(const struct bad *bad, const char *path, const char *message)
{
	char start[128];
	snprintf(start, sizeof(start), "roost: %s:%u: %s%s", path, bad->line, bad->key, *bad->key != '\0' ? ": " : "");
	if (strncmp(message, start, strlen(start)) != 0 || strstr(message + strlen(start), bad->fault) == NULL)
		fail_msg("\"%s\" instead of \"%s...%s\"", message, start, bad->fault);
	assert_ptr_equal(strchr(message, '\n'), message + strlen(message) - 1);
}

static void test_faults_name_file_line_and_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct options options = options_default();
		struct text_file file = text_file_open(BAD[i].text, strlen(BAD[i].text));
		struct capture capture = capture_start();
		bool read = config_file_read(file.path, &options, stderr);
		char *message = capture_stop(&capture);
		if (read)
			fail_msg("case %zu was accepted", i);
		check_message(&BAD[i], file.path, message);
		free(message);
		fclose(file.stream);
	}
}

static void assert_refused(const char *path, const char *fault)
{
	struct options options = options_default();
	struct capture capture = capture_start();
	bool read = config_file_read(path, &options, stderr);
	char *message = capture_stop(&capture);
	assert_false(read);
	if (strstr(message, path) == NULL || strstr(message, fault) == NULL)
		fail_msg("\"%s\" names neither \"%s\" nor \"%s\"", message, path, fault);
	free(message);
}

static void test_file_that_cannot_be_read(void **state)
{
	(void)state;
	assert_refused("/nonexistent/roost.yaml", "No such file");
	assert_refused("/", "");
}

static void test_bytes_that_are_no_text(void **state)
{
	(void)state;
	static const char BROKEN[] = "gates: 1\nlog_level: \xff\xfe\x80\n";
	struct text_file file = text_file_open(BROKEN, sizeof(BROKEN) - 1);
	assert_refused(file.path, "");
	fclose(file.stream);
	static const char NUL[] = "gates: \"1\\05\"\n";
	file = text_file_open(NUL, sizeof(NUL) - 1);
	assert_refused(file.path, "gates");
	fclose(file.stream);
}

/* What stands behind the end of a document would be passed over in silence. */
static void test_second_document(void **state)
{
	(void)state;
	static const char TWO[] = "gates: 2\n---\nshards: 3\n";
	struct text_file file = text_file_open(TWO, sizeof(TWO) - 1);
	char line[80];
	snprintf(line, sizeof(line), "%s:3: ", file.path);
	assert_refused(file.path, line);
	fclose(file.stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_of_value),      cmocka_unit_test(test_nothing_in_it_changes_nothing),
		cmocka_unit_test(test_flow_style_and_anchors),   cmocka_unit_test(test_faults_name_file_line_and_key),
		cmocka_unit_test(test_file_that_cannot_be_read), cmocka_unit_test(test_bytes_that_are_no_text),
		cmocka_unit_test(test_second_document),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
