/* The two text formats, to the letter. */
#include "admin/metrics/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *written(bool openmetrics)
{
	struct exposition exposition;
	struct timing timing = {0};
	timing_note(&timing, 1000, 2);
	timing_note(&timing, 1500000, 1);
	assert_true(exposition_begin(&exposition, openmetrics));
	exposition_family(&exposition, "roost_received_bytes", METRIC_COUNTER, "Bytes received");
	exposition_count(&exposition, "", 18446744073709551615u);
	exposition_family(&exposition, "roost_clients", METRIC_GAUGE, "Clients");
	exposition_count(&exposition, "state=\"a\"", 1);
	exposition_number(&exposition, "state=\"b\"", 0.125);
	exposition_family(&exposition, "roost_turn_seconds", METRIC_HISTOGRAM, "Turns");
	exposition_timing(&exposition, "shard=\"0\"", &timing);
	assert_true(exposition_end(&exposition));
	assert_int_equal(strlen(exposition.text), exposition.size);
	return exposition.text;
}

static void test_prometheus(void **state)
{
	(void)state;
	char *text = written(false);
	static const char BEGIN[] = "# HELP roost_received_bytes_total Bytes received\n"
				    "# TYPE roost_received_bytes_total counter\n"
				    "roost_received_bytes_total 18446744073709551615\n"
				    "# HELP roost_clients Clients\n"
				    "# TYPE roost_clients gauge\n"
				    "roost_clients{state=\"a\"} 1\n"
				    "roost_clients{state=\"b\"} 0.125\n"
				    "# HELP roost_turn_seconds Turns\n"
				    "# TYPE roost_turn_seconds histogram\n"
				    "roost_turn_seconds_bucket{shard=\"0\",le=\"1e-06\"} 2\n"
				    "roost_turn_seconds_bucket{shard=\"0\",le=\"2e-06\"} 2\n";
	static const char END[] = "roost_turn_seconds_bucket{shard=\"0\",le=\"10\"} 3\n"
				  "roost_turn_seconds_bucket{shard=\"0\",le=\"+Inf\"} 3\n"
				  "roost_turn_seconds_sum{shard=\"0\"} 0.001502\n"
				  "roost_turn_seconds_count{shard=\"0\"} 3\n";
	assert_memory_equal(text, BEGIN, sizeof(BEGIN) - 1);
	assert_string_equal(text + strlen(text) - (sizeof(END) - 1), END);
	assert_non_null(strstr(text, "le=\"0.001\"} 2\nroost_turn_seconds_bucket{shard=\"0\",le=\"0.002\"} 3\n"));
	free(text);
}

static void test_openmetrics(void **state)
{
	(void)state;
	char *text = written(true);
	static const char BEGIN[] = "# HELP roost_received_bytes Bytes received\n"
				    "# TYPE roost_received_bytes counter\n"
				    "# UNIT roost_received_bytes bytes\n"
				    "roost_received_bytes_total 18446744073709551615\n";
	assert_memory_equal(text, BEGIN, sizeof(BEGIN) - 1);
	assert_non_null(strstr(text, "# UNIT roost_turn_seconds seconds\n"));
	assert_non_null(strstr(text, "le=\"1.0\"} 3\n"));
	assert_non_null(strstr(text, "le=\"10.0\"} 3\n"));
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	free(text);
}

static void test_units(void **state)
{
	(void)state;
	assert_string_equal(exposition_unit("roost_received_bytes"), "bytes");
	assert_string_equal(exposition_unit("roost_turn_seconds"), "seconds");
	assert_string_equal(exposition_unit("roost_clients"), "");
	assert_string_equal(exposition_unit("bytes"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prometheus),
		cmocka_unit_test(test_openmetrics),
		cmocka_unit_test(test_units),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
