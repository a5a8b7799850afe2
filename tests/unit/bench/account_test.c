/* The account of a scenario with a restart: each step counts what was promised in it, by QoS. */
#include "bench/restart/restart_account.h"

#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define QOS_2_GROUP                                                                                                    \
	"{name: both, count: 3, role: both, version: 5, qos: 2, clean_start: false, subscribe: a, publish: a, rate: "  \
	"1}"
#define TEXT                                                                                                           \
	"restart: {after_ms: 1}\ngroups:\n - " QOS_2_GROUP "\n"                                                        \
	" - {name: r, count: 2, role: subscriber, version: 5, qos: 1, clean_start: false, subscribe: b/+}\n"           \
	" - {name: w, count: 2, role: publisher, version: 5, qos: 1, clean_start: false, publish: b/%n, rate: 1}\n"

struct scene {
	struct scenario scenario;
	struct expectations expectations;
	struct restart_account account;
	struct step step;
};

static struct scene *scene_open(const char *text, const char *fault)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	char parse_fault[SCENARIO_FAULT_BYTES] = "";
	assert_non_null(scene);
	if (!scenario_parse("f", slice_string(text), &scene->scenario, parse_fault))
		fail_msg("%s", parse_fault);
	assert_null(expectations_open(&scene->expectations, &scene->scenario));
	const char *found = restart_account_open(&scene->account, &scene->expectations);
	if (fault == NULL)
		assert_null(found);
	else
		assert_non_null(strstr(found, fault));
	return scene;
}

static void scene_close(struct scene *scene)
{
	restart_account_close(&scene->account);
	expectations_close(&scene->expectations);
	free(scene);
}

static const struct audit_stream *audit_stream_of(struct scene *scene, uint32_t group, uint32_t client,
						  uint32_t channel)
{
	const struct audit_stream *stream = expectations_stream(&scene->expectations, group, client, channel);
	assert_non_null(stream);
	return stream;
}

/* Channels 0 to 2 are the first group's, 3 and 4 those of the publishers at QoS 1. */
static void test_each_step_by_qos(void **state)
{
	(void)state;
	struct scene *scene = scene_open(TEXT, NULL);
	for (uint32_t client = 0; client < 3; client++)
		assert_true(restart_account_receive(&scene->account, audit_stream_of(scene, 0, client, 1), 0));
	restart_account_acknowledge(&scene->account, 1, 0);
	assert_false(restart_account_receive(&scene->account, audit_stream_of(scene, 0, 2, 1), 0));
	restart_account_acknowledge(&scene->account, 4, 0);
	assert_true(restart_account_receive(&scene->account, audit_stream_of(scene, 1, 0, 4), 0));
	assert_false(restart_account_receive(&scene->account, audit_stream_of(scene, 1, 0, 4), 0));
	scene->account.sessions_lost = 5;
	restart_account_note_step(&scene->account, &scene->step);
	const struct step_restart *restart = &scene->step.restart;
	assert_int_equal(restart->at_qos[2].acknowledged, 1);
	assert_int_equal(restart->at_qos[2].arrived, 3);
	assert_int_equal(restart->at_qos[2].doubled, 1);
	assert_int_equal(restart->at_qos[2].missing, 0);
	assert_int_equal(restart->at_qos[1].acknowledged, 1);
	assert_int_equal(restart->at_qos[1].repeated, 1);
	assert_int_equal(restart->at_qos[1].missing, 1);
	assert_int_equal(restart->sessions_lost, 5);
	assert_int_equal(scene->step.lost, 1);
	assert_int_equal(scene->step.doubled, 1);
	restart_account_note_step(&scene->account, &scene->step);
	assert_int_equal(restart->at_qos[2].arrived, 0);
	assert_int_equal(restart->sessions_lost, 0);
	assert_int_equal(scene->step.lost + scene->step.doubled, 0);
	restart_account_receive(&scene->account, audit_stream_of(scene, 0, 0, 0), 1);
	restart_account_receive(&scene->account, audit_stream_of(scene, 0, 0, 0), 0);
	restart_account_receive(&scene->account, audit_stream_of(scene, 1, 1, 4), 0);
	restart_account_note_step(&scene->account, &scene->step);
	assert_int_equal(restart->at_qos[2].reordered, 1);
	/* It was given up in the first step. */
	assert_int_equal(restart->at_qos[1].reordered, 1);
	assert_int_equal(scene->step.reordered, 2);
	scene_close(scene);
}

static void test_what_cannot_be_accounted_for(void **state)
{
	(void)state;
	scene_close(scene_open("restart: {after_ms: 1}\ngroups:\n - " QOS_2_GROUP "\n"
			       " - {name: r, count: 1, role: subscriber, subscribe: a}\n",
			       "the same qos"));
	scene_close(scene_open("restart: {after_ms: 1}\ngroups:\n"
			       " - {name: x, count: 1001, role: both, subscribe: a, publish: a, rate: 1}\n",
			       "too many pairs"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_step_by_qos),
		cmocka_unit_test(test_what_cannot_be_accounted_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
