/* The reader of scenarios: it takes over all that a file may contain, and reports every fault with file, line and key.
 */
#include "bench/scenario/scenario.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define GROUP "groups:\n  - {count: 4, role: both, subscribe: a, publish: a, rate: 10}\n"

static void test_every_key(void **state)
{
	(void)state;
	static const char TEXT[] =
		"name: all of it\n"
		"url: tcp://192.0.2.1:1884\n"
		"threads: 3\n"
		"ramp_up_s: 0\n"
		"warm_up_ms: 250\n"
		"duration_s: 7\n"
		"steps: {from: 1_000, to: 3000, step: 1000}\n"
		"objectives: {p99_ms: 1.5, p999_ms: 9, sign_in_p99_ms: 80, error_rate: 0.01, lost: 2, "
		"doubled: 0}\n"
		"groups:\n"
		"  - name: writers\n"
		"    count: 100\n"
		"    role: publisher\n"
		"    version: 5\n"
		"    qos: 2\n"
		"    keepalive_s: 30\n"
		"    clean_start: false\n"
		"    publish: t/%t\n"
		"    targets: 9\n"
		"    size: [24, 99]\n"
		"    rate: load\n"
		"    loops: 5\n"
		"    inflight: 7\n"
		"    user_name: me\n"
		"    token_secret: /etc/secret\n"
		"  - {name: readers, count: 9, role: subscriber, subscribe: t/%n, version: 3.1}\n"
		"  - {count: 20, role: both, subscribe: x/%g, publish: x/%g, circles: 4, interval_ms: 500, "
		"size: 30}\n"
		"  - {count: 3, reconnects: 12.5}\n";
	struct scenario scenario;
	char fault[SCENARIO_FAULT_BYTES] = "";
	if (!scenario_parse("f", slice_string(TEXT), &scenario, fault))
		fail_msg("%s", fault);
	assert_string_equal(scenario.name, "all of it");
	assert_string_equal(scenario.url.host, "192.0.2.1");
	assert_int_equal(scenario.url.port, 1884);
	assert_int_equal(scenario.threads, 3);
	assert_int_equal(scenario.ramp_up_s, 0);
	assert_int_equal(scenario.warm_up_ms, 250);
	assert_int_equal(scenario.duration_s, 7);
	assert_int_equal(scenario.step_count, 3);
	assert_true(scenario.steps[0] > 999 && scenario.steps[0] < 1001 && scenario.steps[2] > 2999);
	assert_true(scenario.objectives.p99_ms > 1.4 && scenario.objectives.p99_ms < 1.6);
	assert_true(scenario.objectives.sign_in_p99_ms > 79 && scenario.objectives.lost > 1);
	assert_int_equal(scenario.group_count, 4);
	assert_int_equal(scenario_clients(&scenario), 132);
	const struct scenario_group *group = &scenario.groups[0];
	assert_string_equal(group->name, "writers");
	assert_int_equal(group->line, 10);
	assert_int_equal(group->role, ROLE_PUBLISHER);
	assert_int_equal(group->version, 5);
	assert_int_equal(group->qos, 2);
	assert_int_equal(group->keepalive_s, 30);
	assert_false(group->clean_start);
	assert_int_equal(group->targets, 9);
	assert_int_equal(group->size_min, 24);
	assert_int_equal(group->size_max, 99);
	assert_true(group->rate.is_load);
	assert_int_equal(group->loops, 5);
	assert_int_equal(group->inflight, 7);
	assert_string_equal(group->user_name, "me");
	assert_string_equal(group->token_secret, "/etc/secret");
	assert_int_equal(scenario.groups[1].version, 3);
	assert_int_equal(scenario.groups[2].circles, 4);
	assert_int_equal(scenario.groups[2].size_max, 30);
	/* 20 clients, twice a second each */
	assert_true(fabs(scenario_group_rate(&scenario.groups[2], 77) - 40) < 1e-9);
	assert_true(fabs(scenario_group_rate(group, 77) - 77) < 1e-9);
	assert_true(fabs(scenario_group_reconnects(&scenario.groups[3], 77) - 12.5) < 1e-9);
}

static void test_what_nothing_is_said_about(void **state)
{
	(void)state;
	struct scenario scenario;
	char fault[SCENARIO_FAULT_BYTES] = "";
	if (!scenario_parse("f", slice_string(GROUP), &scenario, fault))
		fail_msg("%s", fault);
	assert_int_equal(scenario.threads, 1);
	assert_int_equal(scenario.step_count, 0);
	assert_int_equal(scenario.url.port, 1883);
	assert_true(isnan(scenario.objectives.p99_ms) && isnan(scenario.objectives.lost));
	assert_int_equal(scenario.groups[0].version, 4);
	assert_true(scenario.groups[0].clean_start);
	assert_false(scenario_rises(&scenario));
}

static const struct {
	const char *text;
	const char *fault; /* a piece of it, with the line */
} BAD[] = {
	{"", "f: the file is empty"},
	{"- a\n", "f:1: a mapping"},
	{"name: x\ngroups: {}\n", "f:2: groups: a list of groups"},
	{"name: x\ngroups: []\n", "f:1: no groups"},
	{"name: x\ncolour: red\n" GROUP, "f:2: colour: there is no such key"},
	{"name: x\n\nname: y\n" GROUP, "f:3: name: the key stands here for the second time"},
	{"name: [x]\n" GROUP, "f:1: name: a single value"},
	{"name: \"<b>\"\n" GROUP, "f:1: name: control characters"},
	{"name: \"\"\n" GROUP, "f:1: name: the text is empty"},
	{"name: \"a\\0b\"\n" GROUP, "f:1: name: the value contains a null"},
	{"url: http://x\n" GROUP, "f:1: url: "},
	{"threads: 0\n" GROUP, "f:1: threads: a number from 1 to 64"},
	{"threads: 1.5\n" GROUP, "f:1: threads: a whole number"},
	{"threads: 0x2\n" GROUP, "f:1: threads: a number"},
	{"threads: nan\n" GROUP, "f:1: threads: a number"},
	{"threads: -1\n" GROUP, "f:1: threads: a number"},
	{"duration_s: 86401\n" GROUP, "f:1: duration_s: a number"},
	{"steps: 5\n" GROUP, "f:1: steps: a list of loads"},
	{"steps: [1, 2]\n" GROUP, "f:1: there are steps, and no group"},
	{"steps: {from: 5, to: 1, step: 1}\n" GROUP, "f:1: steps: from, to and step"},
	{"steps: {from: 5, until: 9}\n" GROUP, "f:1: until: there is no such key in steps"},
	{"steps: {from: 1, to: 100000, step: 1}\n" GROUP, "f:1: steps: more than 64 steps"},
	{"objectives: {p98_ms: 1}\n" GROUP, "f:1: p98_ms: there is no such key in objectives"},
	{"objectives: {error_rate: 2}\n" GROUP, "f:1: error_rate: a number from 0 to 1"},
	{"steps: [2, 1]\ngroups:\n - {count: 1, role: publisher, publish: a, rate: load}\n", "f:1: steps must rise"},
	{"groups:\n - {count: 1, role: publisher, publish: a, rate: load}\n", "f:1: a group's rate is \"load\""},
	{"groups:\n - {count: 9, role: subscriber, subscribe: a}\n", "f:1: nobody publishes"},
	{"groups:\n - 7\n", "f:2: groups: a mapping"},
	{"groups:\n - count: 1\n   role: boss\n", "f:3: role: publisher, subscriber"},
	{"groups:\n - count: 1\n   version: 4\n", "f:3: version: 3.1, 3.1.1 or 5"},
	{"groups:\n - count: 1\n   qos: 3\n", "f:3: qos: a number from 0 to 2"},
	{"groups:\n - count: 1\n   clean_start: maybe\n", "f:3: clean_start: true or false"},
	{"groups:\n - count: 1\n   size: 23\n", "f:3: size: a number from 24"},
	{"groups:\n - count: 1\n   size: [30, 24]\n", "f:3: size: the least is more"},
	{"groups:\n - count: 1\n   size: [30]\n", "f:3: size: a number, or a list"},
	{"groups:\n - count: 1\n   publish: a/#\n", "f:3: publish: is not a topic"},
	{"groups:\n - count: 1\n   subscribe: a/%t\n", "f:3: subscribe: %t is for"},
	{"groups:\n - count: 1\n   rate: fast\n", "f:3: rate: a number"},
	{"groups:\n - role: idle\n", "f:2: clients: a group needs a count"},
	{"groups:\n - {name: n, count: 1, role: subscriber}\n", "f:2: n: subscribers need a topic filter"},
	{"groups:\n - {name: n, count: 1, subscribe: a}\n", "f:2: n: subscribe is for"},
	{"groups:\n - {name: n, count: 1, loops: 1}\n", "f:2: n: publish, rate, interval_ms and loops"},
	{"groups:\n - {name: n, count: 1, role: publisher, rate: 1}\n", "f:2: n: publishers need a topic"},
	{"groups:\n - {name: n, count: 1, role: publisher, publish: a}\n", "f:2: n: publishers need either"},
	{"groups:\n - {name: n, count: 1, role: publisher, publish: a/%t, rate: 1}\n", "f:2: n: %t needs targets"},
	{"groups:\n - {name: n, count: 1, role: publisher, publish: a, rate: 1, reconnects: 1}\n",
	 "f:2: n: reconnects are for"},
	{"groups:\n - {name: n, count: 1, clean_start: false}\n", "f:2: n: clean_start: false needs version 5"},
	{GROUP "---\nname: y\n", "f:4: a second document"},
	{"name: [\n", "f:2: "},
	{"name: \xff\xfe\n", "f:"},
	{"restart: 5\n" GROUP, "f:1: restart: a mapping"},
	{"restart: {signal: KILL}\n" GROUP, "f:1: restart: a restart needs after_ms"},
	{"restart: {after_ms: 1, signal: HUP}\n" GROUP, "f:1: signal: KILL or TERM"},
	{"restart: {after_ms: 1, command: serve}\n" GROUP, "f:1: command: a list of words"},
	{"restart: {after_ms: 1, command: []}\n" GROUP, "f:1: command: the command is empty"},
	{"restart: {after_ms: 11000}\n" GROUP, "f:1: the restart comes after the end of the step"},
	{"threads: 2\nrestart: {after_ms: 1}\n" GROUP, "f:1: with a restart there is one thread"},
	{"restart: {after_ms: 1}\ngroups:\n - {count: 1, role: publisher, qos: 1, publish: a, rate: 1}\n",
	 "f:1: with a restart, groups above QoS 0 need clean_start"},
	{"restart: {after_ms: 1}\ngroups:\n - {count: 1, role: publisher, publish: a, rate: 1, loops: 1}\n",
	 "f:1: with a restart, duration_s ends the step"},
};

static void test_faults_name_file_line_and_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct scenario scenario;
		char fault[SCENARIO_FAULT_BYTES] = "";
		if (scenario_parse("f", slice_string(BAD[i].text), &scenario, fault))
			fail_msg("accepted:\n%s", BAD[i].text);
		if (strncmp(fault, BAD[i].fault, strlen(BAD[i].fault)) != 0)
			fail_msg("\"%s\" instead of \"%s\"", fault, BAD[i].fault);
	}
}

static void test_too_many_groups(void **state)
{
	(void)state;
	char text[4096] = "groups:\n";
	struct scenario scenario;
	char fault[SCENARIO_FAULT_BYTES] = "";
	for (uint32_t i = 0; i <= SCENARIO_GROUPS_MAX; i++) {
		assert_true(i == 0 || scenario_parse("f", slice_string(text), &scenario, fault));
		strcat(text, " - {count: 1, role: publisher, publish: a, rate: 1}\n");
	}
	assert_false(scenario_parse("f", slice_string(text), &scenario, fault));
	assert_non_null(strstr(fault, "f:18: groups: more than 16 groups"));
}

static void test_file_that_cannot_be_read(void **state)
{
	(void)state;
	struct scenario scenario;
	char fault[SCENARIO_FAULT_BYTES] = "";
	assert_false(scenario_read("/nonexistent/scenario.yaml", &scenario, fault));
	assert_non_null(strstr(fault, "/nonexistent/scenario.yaml: "));
}

static void test_restart(void **state)
{
	(void)state;
	struct scenario scenario;
	const char *words[SCENARIO_WORDS_MAX + 1];
	char fault[SCENARIO_FAULT_BYTES] = "";
	if (!scenario_parse("f",
			    slice_string("restart: {after_ms: 250, signal: TERM, store: /var/x, "
					 "command: [serve, '--to=@URL@', '']}\n" GROUP),
			    &scenario, fault))
		fail_msg("%s", fault);
	assert_int_equal(scenario.restart.after_ms, 250);
	assert_int_equal(scenario.restart.signal, SIGTERM);
	assert_string_equal(scenario.restart.store, "/var/x");
	scenario_command(&scenario.restart, words);
	assert_string_equal(words[0], "serve");
	assert_string_equal(words[1], "--to=@URL@");
	assert_string_equal(words[2], "");
	assert_null(words[3]);
	assert_true(scenario_parse("f", slice_string("restart: {after_ms: 1}\n" GROUP), &scenario, fault));
	assert_int_equal(scenario.restart.signal, SIGKILL);
	scenario_command(&scenario.restart, words);
	assert_null(words[0]);
}

/* ROOST_SCENARIOS is the folder of the ready-made scenarios. */
static void test_ready_scenarios(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"chat", "iot-telemetry", "push-fan-out", "reconnect-storm", "restart"};
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		struct scenario scenario;
		char fault[SCENARIO_FAULT_BYTES] = "";
		char path[512];
		snprintf(path, sizeof(path), "%s/%s.yaml", ROOST_SCENARIOS, NAMES[i]);
		if (!scenario_read(path, &scenario, fault))
			fail_msg("%s", fault);
		assert_string_equal(scenario.name, NAMES[i]);
		assert_true(scenario.step_count > 1);
		/* About a minute: ramp-up, and each step with its warm-up. */
		assert_true(scenario.ramp_up_s * 1000 +
				    scenario.step_count * (scenario.warm_up_ms + scenario.duration_s * 1000) <=
			    75000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_what_nothing_is_said_about),
		cmocka_unit_test(test_faults_name_file_line_and_key),
		cmocka_unit_test(test_too_many_groups),
		cmocka_unit_test(test_file_that_cannot_be_read),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_ready_scenarios),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
