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

static void test_rules(void **state)
{
	(void)state;
	struct options options = options_default();
	assert_true(read_text("streams:\n"
			      "  - name: telemetry\n"
			      "    topics: [factory/+/telemetry, 'lab/#']\n"
			      "    stream: telemetry:{topic.2}\n"
			      "    fields: [payload, time]\n"
			      "    max_length: 1000\n"
			      "  - {name: alarms, topics: alarm, stream: '{{{client}}}', qos: 0, max_age_s: 60}\n",
			      &options));
	assert_int_equal(options.items.rules.count, 2);
	const struct rule *rule = &options.items.rules.items[0];
	assert_string_equal(rule->name, "telemetry");
	assert_int_equal(rule->topics.count, 2);
	assert_string_equal(rule->topics.filters[1], "lab/#");
	assert_string_equal(rule->stream, "telemetry:{topic.2}");
	assert_int_equal(rule->fields, 1u << RULE_FIELD_PAYLOAD | 1u << RULE_FIELD_TIME);
	assert_int_equal(rule->max_length, 1000);
	assert_int_equal(rule->qos, 1);
	assert_int_equal(rule->line, 2);
	rule = &options.items.rules.items[1];
	assert_int_equal(rule->qos, 0);
	assert_int_equal(rule->max_age_s, 60);
	assert_int_equal(rule->line, 7);
	assert_true((rule->fields & 1u << RULE_FIELD_TOPIC) != 0 && (rule->fields & 1u << RULE_FIELD_ADDRESS) == 0);
	options = options_default();
	assert_true(read_text("streams:\n", &options));
	assert_true(read_text("streams: []\n", &options));
	assert_int_equal(options.items.rules.count, 0);
}

static void test_hooks(void **state)
{
	(void)state;
	struct options options = options_default();
	assert_true(read_text("hooks:\n"
			      "  - name: alarms\n"
			      "    topics: [alarm/#, 'x']\n"
			      "    url: https://example.org/hook\n"
			      "    headers: ['X-A: b', 'X-C: d']\n"
			      "    batch_messages: 7\n"
			      "    retry_for_s: 60\n"
			      "    dead_letter_file: /tmp/dead\n",
			      &options));
	assert_int_equal(options.items.hooks.count, 1);
	const struct hook *hook = &options.items.hooks.items[0];
	assert_string_equal(hook->url, "https://example.org/hook");
	assert_int_equal(hook->topics.count, 2);
	assert_int_equal(hook->header_count, 2);
	assert_string_equal(hook->headers[1], "X-C: d");
	assert_int_equal(hook->batch_messages, 7);
	assert_int_equal(hook->line, 2);
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

/* In rules the column comes behind the line, and `streams` before the key. */
#define RULE "streams:\n  - name: a\n    topics: t\n    stream: s\n"
static const struct bad BAD_RULES[] = {
	{"streams: 7\n", 1, "10: streams", "a list of rules is wanted"},
	{"streams:\n  name: a\n", 2, "3: streams", "a list of rules is wanted"},
	{"streams:\n  - a\n", 2, "5: streams", "a rule is a mapping"},
	{"streams:\n  - topics: t\n    stream: s\n", 2, "5: streams", "no name"},
	{"streams:\n  - name: a\n    stream: s\n", 2, "5: streams", "rule a has no topics"},
	{"streams:\n  - name: a\n    topics: t\n", 2, "5: streams", "rule a has no stream"},
	{"streams:\n  - name: A b\n", 2, "11: streams: name", "\"A b\" is not a name"},
	{"streams:\n  - name: [a]\n", 2, "11: streams: name", "a single value"},
	{"streams:\n  - name: a\n    name: b\n", 3, "5: streams: name", "second time"},
	{"streams:\n  - [a]: b\n", 2, "5: streams", "a key is wanted"},
	{"streams:\n  - nmae: a\n", 2, "5: streams: nmae", "a rule has no such key"},
	{"streams:\n  - name: a\n    topics:\n      - t\n      - x/#/y\n", 5, "9: streams: topics", "no topic filter"},
	{"streams:\n  - topics: [a, b, a]\n", 2, "20: streams: topics", "second time"},
	{"streams:\n  - topics: $share/g/t\n", 2, "13: streams: topics", "shared"},
	{"streams:\n  - topics: ''\n", 2, "13: streams: topics", "no topic filter"},
	{"streams:\n  - stream: s{topic\n", 2, "13: streams: stream", "{topic.N}"},
	{"streams:\n  - stream: s{topic.0}\n", 2, "13: streams: stream", "{topic.N}"},
	{"streams:\n  - stream: s}\n", 2, "13: streams: stream", "{topic.N}"},
	{"streams:\n  - stream: ''\n", 2, "13: streams: stream", "is wanted here"},
	{"streams:\n  - fields: [topic, colour]\n", 2, "21: streams: fields", "\"colour\" is no field"},
	{"streams:\n  - fields: [topic, topic]\n", 2, "21: streams: fields", "second time"},
	{"streams:\n  - qos: 2\n", 2, "10: streams: qos", "neither 0"},
	{"streams:\n  - max_length: 0\n", 2, "17: streams: max_length", "a number from 1"},
	{"streams:\n  - max_age_s: 1h\n", 2, "16: streams: max_age_s", "a number from 1"},
	{RULE "    max_length: 1\n    max_age_s: 1\n", 2, "5: streams", "takes one of them"},
	{RULE "  - name: a\n    topics: t\n    stream: s\n", 5, "5: streams", "the rule in line 2 is named a, too"},
};

#define HOOK "hooks:\n  - name: a\n    topics: t\n    url: http://h\n"
static const struct bad BAD_HOOKS[] = {
	{"hooks: 7\n", 1, "8: hooks", "a list of hooks is wanted"},
	{"hooks:\n  - a\n", 2, "5: hooks", "a hook is a mapping, such as \"- name: alarms\""},
	{"hooks:\n  - name: a\n    url: http://h\n", 2, "5: hooks", "hook a has no topics"},
	{"hooks:\n  - name: a\n    topics: t\n", 2, "5: hooks", "hook a has no url"},
	{"hooks:\n  - stream: a\n", 2, "5: hooks: stream", "a hook has no such key; it has name, topics, url"},
	{"hooks:\n  - stream: a\n", 2, "5: hooks: stream", "certificate_file and key_file"},
	{"hooks:\n  - url: ftp://h\n", 2, "10: hooks: url", "neither with http:// nor with https://"},
	{"hooks:\n  - url: http://\n", 2, "10: hooks: url", "no host"},
	{"hooks:\n  - url: http://:80/x\n", 2, "10: hooks: url", "no host"},
	{"hooks:\n  - url: http://a b/\n", 2, "10: hooks: url", "has a space"},
	{"hooks:\n  - url: \"http://a\\nX: y\"\n", 2, "10: hooks: url", "a control character"},
	{"hooks:\n  - url: http://u:p@h/\n", 2, "10: hooks: url", "header_files"},
	{"hooks:\n  - headers: [no]\n", 2, "15: hooks: headers", "not of the form"},
	{"hooks:\n  - headers: ['A B: c']\n", 2, "15: hooks: headers", "not of the form"},
	{"hooks:\n  - headers: ['content-type: c']\n", 2, "15: hooks: headers", "is set by Roost"},
	{"hooks:\n  - headers: [\"A: b\\r\\nC: d\"]\n", 2, "15: hooks: headers", "control character"},
	{"hooks:\n  - headers: [A: b]\n", 2, "15: hooks: headers", "a single value"},
	{"hooks:\n  - header_files: ['A:/x']\n", 2, "20: hooks: header_files", "not of the form"},
	{"hooks:\n  - source: 'a b'\n", 2, "13: hooks: source", "no URI"},
	{"hooks:\n  - content_type: json\n", 2, "19: hooks: content_type", "no media type"},
	{"hooks:\n  - concurrency: 9\n", 2, "18: hooks: concurrency", "a number from 1 to 8"},
	{"hooks:\n  - batch_messages: 0\n", 2, "21: hooks: batch_messages", "a number from 1 to 10000"},
	{"hooks:\n  - batch_bytes: 9000000\n", 2, "18: hooks: batch_bytes", "to 8388608"},
	{"hooks:\n  - timeout_ms: 10s\n", 2, "17: hooks: timeout_ms", "a number from 100"},
	{"hooks:\n  - qos: 2\n", 2, "10: hooks: qos", "neither 0"},
	{HOOK "    ca_file: x\n", 2, "5: hooks", "does not begin with https://"},
	{"hooks:\n  - {name: a, topics: t, url: 'https://h', key_file: x}\n", 2, "5: hooks", "only one of"},
	{HOOK "    retry_for_s: 5\n", 2, "5: hooks", "has to go somewhere"},
	{HOOK "  - name: a\n    topics: t\n    url: http://h\n", 5, "5: hooks", "the hook in line 2 is named a, too"},
};

/* "roost: FILE:LINE: KEY: FAULT", one line. */
static void check_message(const struct bad *bad, const char *path, const char *message)
{
	char start[128];
	bool has_column = bad->key[0] >= '0' && bad->key[0] <= '9';
	snprintf(start, sizeof(start), "roost: %s:%u:%s%s%s", path, bad->line, has_column ? "" : " ", bad->key,
		 *bad->key != '\0' ? ": " : "");
	if (strncmp(message, start, strlen(start)) != 0 || strstr(message + strlen(start), bad->fault) == NULL)
		fail_msg("\"%s\" instead of \"%s...%s\"", message, start, bad->fault);
	assert_ptr_equal(strchr(message, '\n'), message + strlen(message) - 1);
}

static void check_all(const struct bad *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct options options = options_default();
		struct text_file file = text_file_open(cases[i].text, strlen(cases[i].text));
		struct capture capture = capture_start();
		bool read = config_file_read(file.path, &options, stderr);
		char *message = capture_stop(&capture);
		if (read)
			fail_msg("case %zu was accepted", i);
		check_message(&cases[i], file.path, message);
		free(message);
		fclose(file.stream);
	}
}

static void test_faults_name_file_line_and_key(void **state)
{
	(void)state;
	check_all(BAD, sizeof(BAD) / sizeof(BAD[0]));
}

static void test_faults_in_rules_name_the_column_too(void **state)
{
	(void)state;
	check_all(BAD_RULES, sizeof(BAD_RULES) / sizeof(BAD_RULES[0]));
}

static void test_faults_in_hooks_name_the_column_too(void **state)
{
	(void)state;
	check_all(BAD_HOOKS, sizeof(BAD_HOOKS) / sizeof(BAD_HOOKS[0]));
}

static void test_too_many_rules(void **state)
{
	(void)state;
	char text[8192] = "streams:\n";
	for (unsigned i = 0; i <= RULES_MAX; i++) {
		size_t used = strlen(text);
		snprintf(text + used, sizeof(text) - used, "- {name: r%u, topics: t, stream: s}\n", i);
	}
	struct text_file file = text_file_open(text, strlen(text));
	struct options options = options_default();
	struct capture capture = capture_start();
	assert_false(config_file_read(file.path, &options, stderr));
	char *message = capture_stop(&capture);
	assert_non_null(strstr(message, ":34:3: streams: more than 32 rules"));
	free(message);
	fclose(file.stream);
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
		cmocka_unit_test(test_every_kind_of_value),
		cmocka_unit_test(test_nothing_in_it_changes_nothing),
		cmocka_unit_test(test_flow_style_and_anchors),
		cmocka_unit_test(test_faults_name_file_line_and_key),
		cmocka_unit_test(test_file_that_cannot_be_read),
		cmocka_unit_test(test_bytes_that_are_no_text),
		cmocka_unit_test(test_second_document),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_faults_in_hooks_name_the_column_too),
		cmocka_unit_test(test_faults_in_rules_name_the_column_too),
		cmocka_unit_test(test_too_many_rules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
