/* Who is to get what: channels and streams follow from the topics, and missing messages are counted. */
#include "bench/scenario/expectations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void read(const char *text, struct scenario *scenario)
{
	char fault[SCENARIO_FAULT_BYTES] = "";
	if (!scenario_parse("f", slice_string(text), scenario, fault))
		fail_msg("%s", fault);
}

static void test_circles(void **state)
{
	(void)state;
	struct scenario scenario;
	struct expectations expectations;
	read("groups:\n - {count: 12, role: both, subscribe: r/%g, publish: r/%g, circles: 4, rate: 1}\n", &scenario);
	assert_null(expectations_open(&expectations, &scenario));
	assert_int_equal(expectations.channel_count, 12);
	for (uint32_t client = 0; client < 12; client++) {
		uint32_t channel = expectations_channel(&expectations, 0, client, 5);
		assert_int_equal(channel, client);
		assert_int_equal(expectations.channels[channel].fan, 3);
		for (uint32_t reader = 0; reader < 12; reader++)
			assert_true((expectations_stream(&expectations, 0, reader, channel) != NULL) ==
				    (reader % 4 == client % 4));
	}
	expectations_close(&expectations);
}

static void test_targets_and_wildcards(void **state)
{
	(void)state;
	struct scenario scenario;
	struct expectations expectations;
	read("groups:\n"
	     " - {count: 2, role: subscriber, subscribe: d/+}\n"
	     " - {count: 5, role: subscriber, subscribe: d/%n}\n"
	     " - {count: 3, role: publisher, publish: d/%t, targets: 6, rate: 1}\n"
	     " - {count: 1, role: publisher, publish: other, rate: 1}\n",
	     &scenario);
	assert_null(expectations_open(&expectations, &scenario));
	assert_int_equal(expectations.channel_count, 19);
	for (uint32_t turn = 0; turn < 12; turn++) {
		uint32_t target = turn % 6;
		uint32_t channel = expectations_channel(&expectations, 2, 1, turn);
		assert_int_equal(channel, 6 + target);
		assert_int_equal(expectations.channels[channel].fan, target < 5 ? 3 : 2);
		assert_non_null(expectations_stream(&expectations, 0, 1, channel));
		for (uint32_t reader = 0; reader < 5; reader++)
			assert_true((expectations_stream(&expectations, 1, reader, channel) != NULL) ==
				    (reader == target));
	}
	uint32_t other = expectations_channel(&expectations, 3, 0, 9);
	assert_int_equal(expectations.channels[other].fan, 0);
	assert_null(expectations_stream(&expectations, 0, 0, other));
	assert_null(expectations_stream(&expectations, 0, 0, UINT32_MAX));
	expectations_close(&expectations);
}

static void test_what_never_came(void **state)
{
	(void)state;
	struct scenario scenario;
	struct expectations expectations;
	struct audit audit = {0};
	read("groups:\n - {count: 2, role: both, subscribe: a, publish: a, rate: 1}\n", &scenario);
	assert_null(expectations_open(&expectations, &scenario));
	expectations.channels[0].sent = 10;
	expectations.channels[1].sent = 4;
	for (uint64_t number = 0; number < 7; number++)
		audit_receive(&audit, expectations_stream(&expectations, 0, 1, 0), number);
	expectations_end(&expectations, &audit);
	/* 10 and 4 to client 0, 3 and 4 to client 1 */
	assert_int_equal(audit.missing, 21);
	assert_int_equal(audit.received, 7);
	expectations_close(&expectations);
}

static void test_too_many_pairs(void **state)
{
	(void)state;
	struct scenario scenario;
	struct expectations expectations;
	read("groups:\n - {count: 100000, role: both, subscribe: a, publish: a, rate: 1}\n", &scenario);
	assert_non_null(expectations_open(&expectations, &scenario));
	expectations_close(&expectations);
	read("groups:\n"
	     " - {count: 2000, role: subscriber, subscribe: x/+}\n"
	     " - {count: 200000, role: publisher, publish: a/%n, rate: 1}\n",
	     &scenario);
	assert_non_null(expectations_open(&expectations, &scenario));
	expectations_close(&expectations);
	read("groups:\n - {count: 200000, role: publisher, publish: a/%t, targets: 2000000, rate: 1}\n", &scenario);
	assert_non_null(expectations_open(&expectations, &scenario));
	expectations_close(&expectations);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_circles),
		cmocka_unit_test(test_targets_and_wildcards),
		cmocka_unit_test(test_what_never_came),
		cmocka_unit_test(test_too_many_pairs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
