/* Between gates and the thread that asks outside: one question for many, lanes, what is kept, and what happens while
 * nobody can be asked. */
#include "access/authority.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_MS UINT64_C(1000000)

struct scene {
	struct access_settings settings;
	struct authority *authority;
	struct authority_results results;
	struct waker waker;
};

static int open_scene(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	snprintf(scene->settings.auth_redis, sizeof(scene->settings.auth_redis), "u:{user}");
	scene->settings.auth_cache_entries = 1000;
	scene->settings.auth_cache_s = 100;
	scene->settings.auth_cache_denied_s = 10;
	assert_true(authority_is_configured(&scene->settings));
	scene->authority = authority_new(&scene->settings);
	assert_non_null(scene->authority);
	assert_int_equal(waker_open(&scene->waker), ERROR_OK);
	authority_results_open(&scene->results, &scene->waker);
	*state = scene;
	return 0;
}

static int close_scene(void **state)
{
	struct scene *scene = *state;
	authority_results_close(&scene->results);
	authority_free(scene->authority);
	waker_close(&scene->waker);
	free(scene);
	return 0;
}

static enum error ask(struct scene *scene, const char *user, uint64_t lane, uint32_t handshake, uint64_t now_ms,
		      struct authority_job **job)
{
	const struct outside_question question = {.client_id = slice_string("c"), .user_name = slice_string(user)};
	const struct authority_asker asker = {.results = &scene->results, .lane_hash = lane, .handshake = handshake};
	struct outside_answer *answer;
	enum error error = authority_ask(scene->authority, &question, &asker, now_ms, job, &answer);
	assert_int_equal(answer != NULL, error == ERROR_OK);
	assert_int_equal(*job != NULL, error == ERROR_AUTHORITY_PENDING);
	outside_answer_put(&answer);
	return error;
}

static enum error ask_plainly(struct scene *scene, const char *user)
{
	struct authority_job *job;
	return ask(scene, user, 0, 1, NOW_MS, &job);
}

static struct authority_question *take_one(struct scene *scene, const char *name)
{
	uint32_t count;
	struct authority_question *question = authority_take(scene->authority, 1, &count);
	assert_int_equal(count, 1);
	assert_true(slice_equal(authority_question_text(question), slice_string(name)));
	return question;
}

/* The next result, which goes to this handshake. */
static enum error hear(struct scene *scene, uint32_t handshake)
{
	struct authority_job *job = authority_take_result(scene->authority, &scene->results);
	assert_non_null(job);
	assert_int_equal(job->handshake, handshake);
	enum error error = job->error;
	assert_int_equal(job->answer != NULL, error == ERROR_OK);
	authority_job_free(&job);
	return error;
}

static struct outside_answer *allowing(void)
{
	uint8_t text[] = "{\"result\":\"allow\"}";
	struct fault fault;
	struct outside_answer *answer = outside_answer_of_json(text, sizeof(text) - 1, &fault);
	assert_non_null(answer);
	return answer;
}

static void test_many_ask_once(void **state)
{
	struct scene *scene = *state;
	struct authority_job *job;
	uint32_t count;
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(ask(scene, "alice", i, i, NOW_MS, &job), ERROR_AUTHORITY_PENDING);
	struct authority_question *question = take_one(scene, "u:alice");
	assert_true(slice_equal(authority_question_value(question), slice_string("alice")));
	assert_null(authority_take(scene->authority, 1, &count));
	assert_int_equal(count, 0);
	/* One who comes while it is asked joins them. */
	assert_int_equal(ask(scene, "alice", 0, 4, NOW_MS, &job), ERROR_AUTHORITY_PENDING);
	assert_null(authority_take(scene->authority, 1, &count));
	assert_null(authority_take_result(scene->authority, &scene->results));
	authority_answer(scene->authority, question, allowing(), NOW_MS);
	bool heard[5] = {false};
	for (uint32_t i = 0; i < 4; i++) {
		job = authority_take_result(scene->authority, &scene->results);
		assert_non_null(job);
		assert_int_equal(job->error, ERROR_OK);
		assert_int_equal(job->answer->verdict, OUTSIDE_ALLOWED);
		assert_false(heard[job->handshake]);
		heard[job->handshake] = true;
		authority_job_free(&job);
	}
	assert_null(authority_take_result(scene->authority, &scene->results));
	/* And one who comes later need not wait, until its time is up. */
	assert_int_equal(ask(scene, "alice", 0, 5, NOW_MS + 99999, &job), ERROR_OK);
	assert_int_equal(ask(scene, "alice", 0, 5, NOW_MS + 100000, &job), ERROR_AUTHORITY_PENDING);
	assert_int_equal(authority_figures(scene->authority).entries, 1);
}

static void test_lanes_take_turns_and_are_bounded(void **state)
{
	struct scene *scene = *state;
	struct authority_job *job;
	uint32_t count;
	for (uint32_t i = 0; i < AUTHORITY_LANE_JOBS_MAX; i++) {
		char user[16];
		snprintf(user, sizeof(user), "%u", i);
		assert_int_equal(ask(scene, user, 1, i, NOW_MS, &job), ERROR_AUTHORITY_PENDING);
	}
	assert_int_equal(ask(scene, "x", 1, 0, NOW_MS, &job), ERROR_AUTHORITY_QUEUE);
	assert_int_equal(ask(scene, "0", 1 + AUTHORITY_LANES, 0, NOW_MS, &job), ERROR_AUTHORITY_QUEUE);
	assert_int_equal(ask(scene, "other", 2, 0, NOW_MS, &job), ERROR_AUTHORITY_PENDING);
	struct authority_question *questions = authority_take(scene->authority, 3, &count);
	assert_int_equal(count, 3);
	assert_true(slice_equal(authority_question_value(questions->next), slice_string("other")));
	/* There is room again when an answer has come, not when a question was taken. */
	assert_int_equal(ask(scene, "x", 1, 0, NOW_MS, &job), ERROR_AUTHORITY_QUEUE);
	while (questions != NULL) {
		struct authority_question *next = questions->next;
		authority_fail(scene->authority, questions, NOW_MS);
		questions = next;
	}
	assert_int_equal(ask(scene, "x", 1, 0, NOW_MS, &job), ERROR_AUTHORITY_PENDING);
}

static void test_nothing_to_ask_for(void **state)
{
	struct scene *scene = *state;
	uint32_t count;
	assert_int_equal(ask_plainly(scene, ""), ERROR_AUTHORITY_DENIED);
	assert_null(authority_take(scene->authority, 1, &count));
}

static void test_away(void **state)
{
	struct scene *scene = *state;
	struct authority_job *job;
	assert_int_equal(ask_plainly(scene, "alice"), ERROR_AUTHORITY_PENDING);
	authority_answer(scene->authority, take_one(scene, "u:alice"), allowing(), NOW_MS);
	assert_int_equal(hear(scene, 1), ERROR_OK);
	assert_int_equal(ask(scene, "bob", 0, 2, NOW_MS, &job), ERROR_AUTHORITY_PENDING);
	assert_int_equal(ask(scene, "carol", 0, 3, NOW_MS, &job), ERROR_AUTHORITY_PENDING);
	struct authority_question *taken = take_one(scene, "u:bob");
	authority_set_away(scene->authority, true, NOW_MS);
	/* Who waited hears of it, but for those whose question is somebody's. */
	assert_int_equal(hear(scene, 3), ERROR_AUTHORITY_AWAY);
	assert_null(authority_take_result(scene->authority, &scene->results));
	authority_fail(scene->authority, taken, NOW_MS);
	assert_int_equal(hear(scene, 2), ERROR_AUTHORITY_AWAY);
	assert_int_equal(ask_plainly(scene, "bob"), ERROR_AUTHORITY_AWAY);
	/* What is kept is good, unless it is in doubt. */
	assert_int_equal(ask_plainly(scene, "alice"), ERROR_OK);
	authority_suspect(scene->authority, NOW_MS);
	assert_int_equal(ask_plainly(scene, "alice"), ERROR_AUTHORITY_AWAY);
	scene->settings.auth_stale_s = 10;
	authority_set_times(scene->authority, &scene->settings);
	assert_int_equal(ask(scene, "alice", 0, 1, NOW_MS + 9999, &job), ERROR_OK);
	assert_int_equal(ask(scene, "alice", 0, 1, NOW_MS + 10000, &job), ERROR_AUTHORITY_AWAY);
	authority_set_away(scene->authority, false, NOW_MS);
	assert_int_equal(ask_plainly(scene, "alice"), ERROR_AUTHORITY_PENDING);
	/* Also to one who was asked for and got no answer. */
	authority_fail(scene->authority, take_one(scene, "u:alice"), NOW_MS + 5000);
	assert_int_equal(hear(scene, 1), ERROR_OK);
}

static void test_what_is_forgotten(void **state)
{
	struct scene *scene = *state;
	static const char *const USERS[] = {"alice", "bob", "carol"};
	for (size_t i = 0; i < 3; i++) {
		uint32_t count;
		assert_int_equal(ask_plainly(scene, USERS[i]), ERROR_AUTHORITY_PENDING);
		authority_answer(scene->authority, authority_take(scene->authority, 1, &count), allowing(), NOW_MS);
		assert_int_equal(hear(scene, 1), ERROR_OK);
	}
	authority_forget(scene->authority, slice_string("u:bob"));
	authority_forget(scene->authority, slice_string("u:nobody"));
	assert_int_equal(ask_plainly(scene, "alice"), ERROR_OK);
	assert_int_equal(ask_plainly(scene, "bob"), ERROR_AUTHORITY_PENDING);
	authority_forget_all(scene->authority);
	assert_int_equal(ask_plainly(scene, "alice"), ERROR_AUTHORITY_PENDING);
	assert_int_equal(authority_figures(scene->authority).entries, 0);
	assert_int_equal(authority_figures(scene->authority).bytes, 0);
}

/* ---- several threads ---- */

#define GATES 3u
#define ASKED 4000u
#define USERS 50u

struct asking_gate {
	struct authority *authority;
	struct authority_results results;
	struct waker waker;
	pthread_t thread;
	uint32_t number;
	uint32_t answered;
};

static void take_results(struct asking_gate *gate)
{
	struct authority_job *job;
	while ((job = authority_take_result(gate->authority, &gate->results)) != NULL) {
		assert_true(job->error == ERROR_OK || job->error == ERROR_AUTHORITY_AWAY);
		authority_job_free(&job);
		gate->answered++;
	}
}

/* As a gate does: it goes on asking, and sleeps when there is nothing else to do. */
static void *gate_main(void *argument)
{
	struct asking_gate *gate = argument;
	for (uint32_t i = 0; i < ASKED; i++) {
		char user[16];
		struct authority_job *job;
		struct outside_answer *answer;
		snprintf(user, sizeof(user), "%u", (i * 7 + gate->number) % USERS);
		const struct outside_question question = {.client_id = slice_string("c"),
							  .user_name = slice_string(user)};
		const struct authority_asker asker = {.results = &gate->results, .lane_hash = i};
		enum error error = authority_ask(gate->authority, &question, &asker, NOW_MS, &job, &answer);
		if (error != ERROR_AUTHORITY_PENDING)
			gate->answered++;
		else if (i % 5 == 0)
			atomic_store(&job->abandoned, true);
		outside_answer_put(&answer);
		take_results(gate);
	}
	while (gate->answered < ASKED) {
		struct pollfd descriptor = {.fd = gate->waker.fd, .events = POLLIN};
		waker_sleep(&gate->waker);
		take_results(gate);
		if (gate->answered < ASKED)
			assert_int_equal(poll(&descriptor, 1, 20000), 1);
		waker_awake(&gate->waker);
	}
	return NULL;
}

static void answer_some(struct authority *authority, uint32_t round)
{
	uint32_t count;
	struct authority_question *question = authority_take(authority, 8, &count);
	while (question != NULL) {
		struct authority_question *next = question->next;
		if (round % 4 == 3)
			authority_fail(authority, question, NOW_MS);
		else
			authority_answer(authority, question, allowing(), NOW_MS);
		question = next;
	}
	authority_set_away(authority, round % 16 == 15, NOW_MS);
	if (round % 8 == 7)
		authority_forget_all(authority);
	authority_forget(authority, slice_string("u:1"));
}

static void test_many_from_several_threads(void **state)
{
	struct scene *scene = *state;
	struct asking_gate gates[GATES] = {0};
	for (uint32_t i = 0; i < GATES; i++) {
		gates[i].authority = scene->authority;
		gates[i].number = i;
		assert_int_equal(waker_open(&gates[i].waker), ERROR_OK);
		authority_results_open(&gates[i].results, &gates[i].waker);
		assert_int_equal(pthread_create(&gates[i].thread, NULL, gate_main, &gates[i]), 0);
	}
	uint32_t round = 0;
	for (uint32_t i = 0; i < GATES; i++) {
		while (pthread_tryjoin_np(gates[i].thread, NULL) != 0)
			answer_some(scene->authority, round++);
		assert_int_equal(gates[i].answered, ASKED);
		authority_results_close(&gates[i].results);
		waker_close(&gates[i].waker);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_many_ask_once, open_scene, close_scene),
		cmocka_unit_test_setup_teardown(test_lanes_take_turns_and_are_bounded, open_scene, close_scene),
		cmocka_unit_test_setup_teardown(test_nothing_to_ask_for, open_scene, close_scene),
		cmocka_unit_test_setup_teardown(test_away, open_scene, close_scene),
		cmocka_unit_test_setup_teardown(test_what_is_forgotten, open_scene, close_scene),
		cmocka_unit_test_setup_teardown(test_many_from_several_threads, open_scene, close_scene),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
