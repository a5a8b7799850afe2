/* Which rounds of `bench pubsub` end with status 0. */
#include "bench/pubsub/pubsub_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static bool is_clean(uint8_t qos, struct load_totals totals, bool stalled)
{
	struct load_round round = {.load = {.qos = qos}};
	struct pubsub_report *report = pubsub_report_new(&round);
	assert_non_null(report);
	report->target_count = 1;
	report->rounds = 2;
	report->results[0][1] = (struct load_result){.totals = totals, .stalled = stalled};
	bool clean = pubsub_report_is_clean(report);
	pubsub_report_free(report);
	return clean;
}

static void test_faults_of_the_server(void **state)
{
	(void)state;
	for (uint8_t qos = 0; qos <= 2; qos++) {
		struct load_totals lost = {0};
		lost.losses.counts[LOSS_CLOSED][0] = 1;
		assert_true(is_clean(qos, (struct load_totals){.received = 5, .foreign = 1}, false));
		assert_false(is_clean(qos, (struct load_totals){.missing = 1}, false));
		assert_false(is_clean(qos, (struct load_totals){.reordered = 1}, false));
		assert_false(is_clean(qos, (struct load_totals){.unacknowledged = 1}, false));
		assert_false(is_clean(qos, (struct load_totals){0}, true));
		assert_false(is_clean(qos, lost, false));
	}
}

/* "At least once" may be twice; "at most once" and "exactly once" may not. */
static void test_doubles_are_a_fault_but_at_qos_1(void **state)
{
	(void)state;
	assert_false(is_clean(0, (struct load_totals){.doubled = 1}, false));
	assert_true(is_clean(1, (struct load_totals){.doubled = 1}, false));
	assert_false(is_clean(2, (struct load_totals){.doubled = 1}, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults_of_the_server),
		cmocka_unit_test(test_doubles_are_a_fault_but_at_qos_1),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
