/* Which objectives are missed, and where the knee is. */
#include "bench/scenario/step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct objectives no_objectives(void)
{
	double none = (double)NAN;
	return (struct objectives){none, none, none, none, none, none};
}

static struct step good_step(void)
{
	return (struct step){.p99_ms = 5,
			     .p999_ms = 9,
			     .sign_in_p99_ms = (double)NAN,
			     .mean_ms = 2,
			     .delivered = 1500,
			     .due = 1000,
			     .expected = 1000,
			     .received = 1000};
}

static void assert_breach(const struct step *measured, const struct objectives *objectives, const char *name)
{
	struct step step = *measured;
	step_judge(&step, objectives);
	if (strstr(step.breach, name) == NULL || (*name == '\0') != (step.breach[0] == '\0'))
		fail_msg("\"%s\" instead of \"%s\"", step.breach, name);
}

/* No objective allows what no server should do. */
static void test_a_restart_breaks_no_promise(void **state)
{
	(void)state;
	struct objectives objectives = no_objectives();
	struct step step = good_step();
	step.lost = step.doubled = step.reordered = step.restart.sessions_lost = step.restart.identifiers_reused = 3;
	assert_breach(&step, &objectives, "");
	step.restart.made = true;
	assert_breach(&step, &objectives, "3 acknowledged messages are missing");
	step.lost = 0;
	assert_breach(&step, &objectives, "3 messages were doubled");
	step.doubled = 0;
	assert_breach(&step, &objectives, "3 messages were out of order");
	step.reordered = 0;
	assert_breach(&step, &objectives, "3 sessions were not resumed");
	step.restart.sessions_lost = 0;
	assert_breach(&step, &objectives, "3 packet identifiers");
	step.restart.identifiers_reused = 0;
	assert_breach(&step, &objectives, "");
}

static void test_each_objective(void **state)
{
	(void)state;
	struct step step = good_step();
	struct objectives objectives = no_objectives();
	step.lost = step.doubled = step.clients_lost = 100;
	assert_breach(&step, &objectives, "");
	objectives.lost = 100;
	assert_breach(&step, &objectives, "");
	objectives.lost = 99;
	assert_breach(&step, &objectives, "lost was 100 messages, and at most 99");
	step.lost = 0;
	objectives.doubled = 0;
	assert_breach(&step, &objectives, "doubled was 100");
	step.doubled = 0;
	objectives.error_rate = 0.1;
	assert_breach(&step, &objectives, "");
	objectives.error_rate = 0.09;
	assert_breach(&step, &objectives, "error rate was 0.1, and at most 0.09");
	step.clients_lost = 0;
	objectives.p99_ms = 5;
	objectives.p999_ms = 9;
	objectives.sign_in_p99_ms = 1; /* nobody signed in */
	assert_breach(&step, &objectives, "");
	objectives.p99_ms = 4.9;
	assert_breach(&step, &objectives, "p99 was 5 ms");
	objectives.p99_ms = 5;
	objectives.p999_ms = 8;
	assert_breach(&step, &objectives, "p99.9 was 9 ms");
	objectives.p999_ms = 9;
	step.sign_in_p99_ms = 2;
	assert_breach(&step, &objectives, "p99 of signing in was 2 ms");
	step.died = true;
	assert_breach(&step, &objectives, "the server was gone");
}

static void test_error_rate(void **state)
{
	(void)state;
	struct step step = good_step();
	assert_true(step_error_rate(&step) <= 0);
	step.reconnects = 1000;
	step.clients_lost = 1;
	step.unsent = 2;
	step.unacknowledged = 3;
	assert_true(fabs(step_error_rate(&step) - 0.003) < 1e-12);
	step.unsent = 5000;
	assert_true(fabs(step_error_rate(&step) - 1) < 1e-12);
	step = (struct step){.clients_lost = 1};
	assert_true(fabs(step_error_rate(&step) - 1) < 1e-12);
	assert_true(step_error_rate(&(struct step){0}) <= 0);
}

static void test_little(void **state)
{
	(void)state;
	struct step step = good_step();
	/* 1500 a second for 2 ms each */
	assert_true(fabs(step_little(&step) - 3) < 1e-12);
}

static void test_the_bench_was_late(void **state)
{
	(void)state;
	struct step step = good_step();
	assert_false(step_is_late(&step));
	step.late_p99_ms = 0.6;
	assert_true(step_is_late(&step));
	step.p99_ms = 7;
	assert_false(step_is_late(&step)); /* of no weight */
	step.late_p99_ms = 0.3;
	step.p99_ms = 0.4;
	assert_false(step_is_late(&step)); /* as timers are */
}

static void test_knee(void **state)
{
	(void)state;
	struct step steps[4] = {0};
	assert_int_equal(steps_knee(steps, 0), STEP_NONE);
	assert_int_equal(steps_knee(steps, 4), 3);
	steps[3].breach[0] = 'x';
	assert_int_equal(steps_knee(steps, 4), 2);
	steps[1].breach[0] = 'x'; /* steps after the first breach do not count */
	assert_int_equal(steps_knee(steps, 4), 0);
	steps[0].breach[0] = 'x';
	assert_int_equal(steps_knee(steps, 4), STEP_NONE);
}

static void test_latency(void **state)
{
	(void)state;
	struct histogram latency;
	struct step step = {0};
	histogram_init(&latency);
	step_note_latency(&step, &latency, 0);
	assert_true(isnan(step.p50_ms) && isnan(step.mean_ms) && isnan(step.curve_ms[0]));
	for (uint64_t i = 1; i <= 1000; i++)
		histogram_add(&latency, i * 1000000);
	step_note_latency(&step, &latency, 500500000000u);
	assert_true(fabs(step.mean_ms - 500.5) < 1e-6);
	assert_true(fabs(step.p50_ms - 500) < 10 && fabs(step.p99_ms - 990) < 20 && step.max_ms >= 1000);
	for (uint32_t i = 1; i < STEP_CURVE_POINTS; i++)
		assert_true(step.curve_ms[i] >= step.curve_ms[i - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_objective),
		cmocka_unit_test(test_a_restart_breaks_no_promise),
		cmocka_unit_test(test_error_rate),
		cmocka_unit_test(test_little),
		cmocka_unit_test(test_the_bench_was_late),
		cmocka_unit_test(test_knee),
		cmocka_unit_test(test_latency),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
