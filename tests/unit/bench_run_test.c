/* Scenarios over real sockets, through the bench's own relay: nothing may be lost or doubled, and what is measured must
 * agree with what was asked for. */
#include "bench/run/run_driver.h"

#include "bench/dial/dial.h"
#include "relay_scene.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* In one scenario more is due than can be sent in this time. It is short: the relay ends a client to which it owes more
 * than 64 MiB, and a bench that is faster than the relay may come to that. */
#define DRAIN_MS 300u
/* A missing message is lost as soon as the relay has answered all pings, without any waiting. */
#define QUIET_NONE_MS 0u

static struct scenario *scenario_of(const char *text)
{
	struct scenario *scenario = calloc(1, sizeof(*scenario));
	char fault[SCENARIO_FAULT_BYTES] = "";
	assert_non_null(scenario);
	if (!scenario_parse("f", slice_string(text), scenario, fault))
		fail_msg("%s", fault);
	return scenario;
}

/* Returns the result; the caller frees it. */
static struct run_result *run(const struct scenario *scenario, const struct target *target, bool good)
{
	struct run_order order = {.scenario = scenario,
				  .steps_max = SCENARIO_STEPS_MAX,
				  .judge = true,
				  .quiet_ms = QUIET_NONE_MS,
				  .drain_ms = DRAIN_MS};
	struct run_result *result = calloc(1, sizeof(*result));
	assert_non_null(result);
	if (run_against(&order, target, result) != good)
		fail_msg("fault: \"%s\"", result->fault);
	return result;
}

static struct run_result *run_on_relay(const char *text, bool good)
{
	struct relay_scene scene;
	struct scenario *scenario = scenario_of(text);
	relay_scene_open(&scene);
	struct run_result *result = run(scenario, &scene.target, good);
	relay_scene_close(&scene);
	free(scenario);
	return result;
}

static void assert_clean(const struct step *step)
{
	assert_true(step->due > 0);
	assert_int_equal(step->sent, step->due);
	assert_int_equal(step->received, step->expected);
	assert_int_equal(step->lost, 0);
	assert_int_equal(step->doubled, 0);
	assert_int_equal(step->reordered, 0);
	assert_int_equal(step->foreign, 0);
	assert_int_equal(step->unsent, 0);
	assert_int_equal(step->unacknowledged, 0);
	assert_int_equal(step->clients_lost, 0);
	assert_string_equal(step->breach, "");
}

/* Two threads and 12 clients in 3 circles, so that each message goes to 4, of both threads. */
static void test_steps_at_every_qos(void **state)
{
	(void)state;
	for (uint32_t qos = 0; qos <= 2; qos++) {
		char text[512];
		snprintf(text, sizeof(text),
			 "threads: 2\nramp_up_s: 0\nwarm_up_ms: 0\nduration_s: 1\nsteps: [90, 300]\n"
			 "objectives: {lost: 0, doubled: 0, error_rate: 0}\n"
			 "groups:\n - {name: x, count: 12, role: both, qos: %u, version: %s, subscribe: r/%%g, "
			 "publish: r/%%g, circles: 3, size: [24, 400], rate: load}\n",
			 qos, qos == 1 ? "5" : "3.1.1");
		struct run_result *result = run_on_relay(text, true);
		assert_int_equal(result->connected, 12);
		assert_int_equal(result->step_count, 2);
		for (uint32_t i = 0; i < 2; i++) {
			const struct step *step = &result->steps[i];
			assert_clean(step);
			assert_int_equal(step->expected, 4 * step->due);
			assert_true(step->due >= (uint64_t)step->load);
			assert_true(step->p50_ms > 0 && step->p50_ms <= step->max_ms);
		}
		free(result);
	}
}

static void test_loops_end_a_step(void **state)
{
	(void)state;
	struct run_result *result = run_on_relay(
		"ramp_up_s: 0\nwarm_up_ms: 0\nduration_s: 600\n"
		"groups:\n"
		" - {name: r, count: 10, role: subscriber, subscribe: d/%n}\n"
		" - {name: w, count: 2, role: publisher, publish: d/%t, targets: 10, loops: 25, rate: 500}\n",
		true);
	assert_int_equal(result->step_count, 1);
	assert_clean(&result->steps[0]);
	assert_int_equal(result->steps[0].due, 50);
	assert_int_equal(result->steps[0].received, 50);
	assert_true(isnan(result->steps[0].load));
	free(result);
}

static void test_reconnects(void **state)
{
	(void)state;
	struct run_result *result = run_on_relay("ramp_up_s: 0\nwarm_up_ms: 0\nduration_s: 1\n"
						 "groups:\n - {name: s, count: 40, reconnects: 100}\n",
						 true);
	const struct step *step = &result->steps[0];
	assert_true(step->reconnects >= 100);
	assert_int_equal(step->clients_lost, 0);
	assert_true(step->sign_ins > 0);
	assert_true(step->sign_in_p50_ms > 0 && step->sign_in_p50_ms <= step->sign_in_p99_ms);
	assert_true(isnan(step->p99_ms));
	free(result);
}

static void test_the_first_breach_ends_it(void **state)
{
	(void)state;
	struct run_result *result = run_on_relay(
		"ramp_up_s: 0\nwarm_up_ms: 0\nduration_s: 1\nsteps: [50, 100, 150]\nobjectives: {p99_ms: 0}\n"
		"groups:\n - {name: x, count: 2, role: both, subscribe: r/%n, publish: r/%n, rate: load}\n",
		true);
	assert_int_equal(result->step_count, 1);
	assert_non_null(strstr(result->steps[0].breach, "p99 was"));
	assert_int_equal(steps_knee(result->steps, result->step_count), STEP_NONE);
	free(result);
}

/* Far more is due than can be sent, and is reported as unsent. What was sent has arrived, and none of it is reported as
 * lost. */
static void test_overload_is_not_called_loss(void **state)
{
	(void)state;
	for (uint32_t qos = 0; qos <= 1; qos++) {
		char text[256];
		snprintf(text, sizeof(text),
			 "ramp_up_s: 0\nwarm_up_ms: 0\nduration_s: 1\n"
			 "groups:\n - {count: 2, role: both, qos: %u, subscribe: r/%%n, publish: r/%%n, rate: "
			 "9999999}\n",
			 qos);
		struct run_result *result = run_on_relay(text, true);
		const struct step *step = &result->steps[0];
		assert_true(step->unsent > 0);
		assert_true(step->sent > 0);
		assert_int_equal(step->received, step->expected);
		assert_int_equal(step->lost, 0);
		assert_int_equal(step->unacknowledged, 0);
		free(result);
	}
}

/* Nobody listens on the port of a socket that is closed again. */
static void test_nobody_there(void **state)
{
	(void)state;
	static const char TEXT[] =
		"ramp_up_s: 0\ngroups:\n - {count: 3, role: both, subscribe: r/%n, publish: r/%n, rate: 9}\n";
	struct url url = {.host = "127.0.0.1"};
	struct target target = {.name = "none", .cpu = -1};
	struct scenario *scenario = scenario_of(TEXT);
	assert_null(url_resolve(&url, &target.address));
	int listener = dial_listen(&target.address, 1);
	assert_true(listener >= 0);
	close(listener);
	struct run_result *result = run(scenario, &target, false);
	assert_int_equal(result->step_count, 0);
	assert_non_null(strstr(result->fault, "not every client could be connected: 3 could not connect"));
	free(result);
	free(scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps_at_every_qos),
		cmocka_unit_test(test_loops_end_a_step),
		cmocka_unit_test(test_reconnects),
		cmocka_unit_test(test_the_first_breach_ends_it),
		cmocka_unit_test(test_overload_is_not_called_loss),
		cmocka_unit_test(test_nobody_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
