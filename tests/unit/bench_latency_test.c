/* The options of `bench latency`, and how its report sums up rounds. */
#include "bench/pubsub/latency_options.h"
#include "bench/pubsub/latency_report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_brokers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum broker_kind kind;
		const char *name;
		const char *program;
		const char *options;
		uint16_t port;
	} cases[] = {
		{"mosquitto", BROKER_MOSQUITTO, "mosquitto", "/usr/sbin/mosquitto", NULL, 0},
		{"1884", BROKER_RUNNING, "127.0.0.1:1884", "", NULL, 1884},
		{"tcp://broker.example:99", BROKER_RUNNING, "broker.example:99", "", NULL, 99},
		{"build/roost", BROKER_ROOST, "build/roost", "build/roost", "", 0},
		{"./roost --shards 1", BROKER_ROOST, "./roost", "./roost", " --shards 1", 0},
		{"/a/path/that/is/longer/than/a/name/roost", BROKER_ROOST, "hat/is/longer/than/a/name/roost",
		 "/a/path/that/is/longer/than/a/name/roost", "", 0},
	};
	static const char *const bad[] = {"", "roost", "0", "65536", "http://host", "tcp://"};
	struct broker broker;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(broker_parse(cases[i].text, &broker));
		assert_int_equal(broker.kind, cases[i].kind);
		assert_string_equal(broker.name, cases[i].name);
		assert_string_equal(broker.program, cases[i].program);
		assert_int_equal(broker.url.port, cases[i].port);
		if (cases[i].options != NULL)
			assert_string_equal(broker.options, cases[i].options);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(broker_parse(bad[i], &broker));
}

static struct latency_options options_of(int argc, char **argv)
{
	struct latency_options options;
	int status;
	assert_true(latency_options_parse(argc, argv, &options, &status));
	return options;
}

/* A rate or a window; there are more rounds if brokers are compared. */
static void test_loops(void **state)
{
	(void)state;
	struct latency_options options = options_of(1, (char *[]){"latency"});
	assert_true(options.round.load.rate > 0);
	assert_int_equal(options.beside.rounds, 1);
	assert_int_equal(options.beside.neighbours, 0);
	assert_int_equal(options.beside.brokers[0].kind, BROKER_ROOST);
	options = options_of(3, (char *[]){"latency", "--window", "2"});
	assert_int_equal(options.round.load.rate, 0);
	assert_int_equal(options.round.load.window, 2);
	options = options_of(5, (char *[]){"latency", "--window", "3", "--rate", "10"});
	assert_int_equal(options.round.load.rate, 10);
	assert_int_equal(options.round.load.window, 3);
	options = options_of(4, (char *[]){"latency", "--neighbour", "--beside", "mosquitto"});
	assert_int_equal(options.beside.neighbours, 1);
	assert_int_equal(options.beside.rounds, 5);
	options = options_of(4, (char *[]){"latency", "--neighbour", "3", "--json"});
	assert_int_equal(options.beside.neighbours, 3);
	assert_true(options.json);
	options = options_of(2, (char *[]){"latency", "--neighbour=4"});
	assert_int_equal(options.beside.neighbours, 4);
}

static void test_names_differ(void **state)
{
	(void)state;
	struct latency_options options = options_of(7, (char *[]){"latency", "--beside", "./roost --shards 1",
								  "--beside", "./roost", "--url", "tcp://127.0.0.1:7"});
	assert_int_equal(options.beside.count, 3);
	assert_string_equal(options.beside.brokers[0].name, "server");
	assert_string_equal(options.beside.brokers[1].name, "./roost");
	assert_string_equal(options.beside.brokers[2].name, "./roost-2");
}

static struct percentiles percentiles_of(double base)
{
	return (struct percentiles){.p50_us = base,
				    .p90_us = base + 1,
				    .p99_us = base + 2,
				    .p999_us = base + 3,
				    .p9999_us = (double)NAN,
				    .max_us = base + 5};
}

/* Disturbance and max are the largest, all else is the median; unknown figures stay unknown. */
static void test_medians(void **state)
{
	(void)state;
	static const double bases[] = {10, 500, 20};
	struct load_result results[3] = {0};
	struct latency_summary found;
	for (size_t i = 0; i < 3; i++) {
		results[i].timing.latency = percentiles_of(bases[i]);
		results[i].timing.passage = percentiles_of(bases[i] * 2);
		results[i].timing.late = results[i].timing.read = percentiles_of((double)NAN);
		results[i].figures = (struct load_figures){
			.delivered = 100, .server_cpu_us = bases[i], .other_cpu_percent = 3 - (double)i};
	}
	latency_summarize(results, 3, &found);
	assert_true(found.middle.timing.latency.p50_us == 20 && found.middle.timing.latency.p999_us == 23);
	assert_true(isnan(found.middle.timing.latency.p9999_us));
	assert_true(found.middle.timing.latency.max_us == 505);
	assert_true(found.middle.timing.passage.p90_us == 41);
	assert_true(isnan(found.middle.timing.late.p50_us) && isnan(found.middle.timing.read.max_us));
	assert_true(found.messages == 300);
	assert_true(found.middle.figures.server_cpu_us == 20);
	assert_true(found.middle.figures.other_cpu_percent == 3);
}

static void test_whose_lateness_it_is(void **state)
{
	(void)state;
	struct load_timing timing = {.latency = percentiles_of(1000), .passage = percentiles_of(900)};
	assert_false(latency_is_the_benchs(&timing));
	timing.passage = percentiles_of(100);
	assert_true(latency_is_the_benchs(&timing));
	timing.passage = percentiles_of((double)NAN);
	assert_false(latency_is_the_benchs(&timing));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_brokers),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_names_differ),
		cmocka_unit_test(test_medians),
		cmocka_unit_test(test_whose_lateness_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
