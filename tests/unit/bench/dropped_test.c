/* What a server's metrics say that it dropped. */
#include "bench/durable/durable_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_all_reasons_are_summed_up(void **state)
{
	(void)state;
	double sum = durable_sum_dropped("HTTP/1.0 200 OK\r\n\r\n# HELP roost_messages_dropped_total Messages 7\n"
					 "# TYPE roost_messages_dropped_total counter\n"
					 "roost_messages_dropped_total{reason=\"queue_full\"} 12\n"
					 "roost_messages_dropped_total{reason=\"expired\"} 3\n"
					 "roost_messages_refused_total 100\n");
	assert_true(sum == 15);
}

static void test_a_server_that_does_not_say(void **state)
{
	(void)state;
	assert_true(isnan(durable_sum_dropped("")));
	assert_true(isnan(durable_sum_dropped("HTTP/1.0 404 Not Found\r\n\r\n")));
	assert_true(isnan(durable_sum_dropped("\nroost_messages_dropped_total")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_reasons_are_summed_up),
		cmocka_unit_test(test_a_server_that_does_not_say),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
