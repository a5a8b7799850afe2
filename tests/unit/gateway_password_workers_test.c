/* Threads that check passwords: verdicts, order, bounds, and an end while there is work. */
#include "access/password_workers.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LONG_ENOUGH_MS 20000

struct scene {
	struct password_workers *workers;
	struct password_results results;
	struct waker waker;
	struct password_file *file;
};

static int open_scene(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct fault fault;
	/* PBKDF2 of "secret", one iteration. */
	static const char TEXT[] =
		"alice:$7$1$MDEyMzQ1Njc4OWFi$"
		"3tRQU83jhvduc7r/1pc5YS9xcdkQejbeK3zAr85h0v7Y/G/3y1yXSvBLGJ28BkriqtC0m7lT20gzFF8MS31UAg==\n";
	assert_non_null(scene);
	assert_int_equal(waker_open(&scene->waker), ERROR_OK);
	password_results_open(&scene->results, &scene->waker);
	scene->workers = password_workers_new();
	assert_non_null(scene->workers);
	scene->file = password_file_new(slice_string(TEXT), &fault);
	assert_non_null(scene->file);
	*state = scene;
	return 0;
}

static int close_scene(void **state)
{
	struct scene *scene = *state;
	password_workers_stop(scene->workers);
	password_workers_free(scene->workers);
	password_results_close(&scene->results);
	password_file_put(&scene->file);
	waker_close(&scene->waker);
	free(scene);
	return 0;
}

static enum error ask(struct scene *scene, const char *password, uint64_t lane, uint32_t number,
		      struct password_job **job)
{
	return password_workers_check(scene->workers, &scene->results, scene->file, slice_string("alice"),
				      slice_string(password), lane, number, job);
}

/* As a gate does. */
static struct password_job *await_verdict(struct scene *scene)
{
	for (;;) {
		waker_sleep(&scene->waker);
		struct password_job *job = password_results_take(&scene->results);
		struct pollfd descriptor = {.fd = scene->waker.fd, .events = POLLIN};
		if (job == NULL)
			assert_int_equal(poll(&descriptor, 1, LONG_ENOUGH_MS), 1);
		waker_awake(&scene->waker);
		if (job != NULL)
			return job;
	}
}

static void test_verdicts(void **state)
{
	struct scene *scene = *state;
	struct password_job *asked[2];
	assert_int_equal(ask(scene, "secret", 0, 7, &asked[0]), ERROR_OK);
	assert_int_equal(ask(scene, "guess", 0, 8, &asked[1]), ERROR_OK);
	assert_null(password_results_take(&scene->results));
	assert_int_equal(password_workers_start(scene->workers, 2), ERROR_OK);
	for (int i = 0; i < 2; i++) {
		struct password_job *job = await_verdict(scene);
		assert_true(job == asked[0] || job == asked[1]);
		assert_int_equal(job->handshake, job == asked[0] ? 7 : 8);
		assert_int_equal(job->verdict, job == asked[0] ? ERROR_OK : ERROR_PASSWORD_WRONG);
		password_job_free(&job);
	}
	assert_null(password_results_take(&scene->results));
}

/* One that has a lane to itself waits for one of each other lane at the most. */
static void test_lanes_take_turns(void **state)
{
	struct scene *scene = *state;
	struct password_job *job;
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(ask(scene, "guess", 1, i, &job), ERROR_OK);
	assert_int_equal(ask(scene, "guess", PASSWORD_LANES + 2, 100, &job), ERROR_OK);
	assert_int_equal(ask(scene, "guess", 3, 101, &job), ERROR_OK);
	assert_int_equal(password_workers_start(scene->workers, 1), ERROR_OK);
	static const uint32_t FIRST[] = {0, 100, 101, 1, 2};
	for (uint32_t i = 0; i < 52; i++) {
		job = await_verdict(scene);
		if (i < 5)
			assert_int_equal(job->handshake, FIRST[i]);
		password_job_free(&job);
	}
}

static void test_a_lane_is_bounded(void **state)
{
	struct scene *scene = *state;
	struct password_job *job;
	for (uint32_t i = 0; i < PASSWORD_LANE_JOBS_MAX; i++)
		assert_int_equal(ask(scene, "guess", 1, i, &job), ERROR_OK);
	assert_int_equal(ask(scene, "guess", 1, 0, &job), ERROR_PASSWORD_QUEUE);
	assert_null(job);
	assert_int_equal(ask(scene, "guess", 2, 0, &job), ERROR_OK);
	/* What waits is freed with the workers. */
}

static void test_what_was_abandoned_comes_back_unchecked(void **state)
{
	struct scene *scene = *state;
	struct password_job *job;
	assert_int_equal(ask(scene, "secret", 0, 0, &job), ERROR_OK);
	atomic_store(&job->abandoned, true);
	assert_int_equal(password_workers_start(scene->workers, 1), ERROR_OK);
	struct password_job *taken = await_verdict(scene);
	assert_ptr_equal(taken, job);
	assert_int_equal(taken->verdict, ERROR_PASSWORD_WRONG);
	password_job_free(&taken);
}

/* The same as in the file. */
#define HASH                                                                                                           \
	"$7$1$MDEyMzQ1Njc4OWFi$"                                                                                       \
	"3tRQU83jhvduc7r/1pc5YS9xcdkQejbeK3zAr85h0v7Y/G/3y1yXSvBLGJ28BkriqtC0m7lT20gzFF8MS31UAg=="

static void test_hashes_of_no_file(void **state)
{
	struct scene *scene = *state;
	struct password_job *asked[2];
	static const char *const PASSWORDS[] = {"secret", "guess"};
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(password_workers_check_hash(scene->workers, &scene->results, slice_string(HASH),
							     slice_string("bob"), slice_string(PASSWORDS[i]), 0, i,
							     &asked[i]),
				 ERROR_OK);
	assert_int_equal(password_workers_start(scene->workers, 1), ERROR_OK);
	for (uint32_t i = 0; i < 2; i++) {
		struct password_job *job = await_verdict(scene);
		assert_ptr_equal(job, asked[i]);
		assert_null(job->file);
		assert_int_equal(job->verdict, i == 0 ? ERROR_OK : ERROR_PASSWORD_WRONG);
		assert_true(slice_equal(password_job_hash(job), slice_string(HASH)));
		assert_true(slice_equal(password_job_user(job), slice_string("bob")));
		assert_true(slice_equal(password_job_password(job), slice_string(PASSWORDS[i])));
		password_job_free(&job);
	}
}

/* The one that they joined goes away: it is theirs all the same. */
static void test_who_has_joined(void **state)
{
	struct scene *scene = *state;
	struct password_job *job, *follower;
	assert_int_equal(ask(scene, "secret", 0, 7, &job), ERROR_OK);
	assert_int_equal(password_job_join(job, 8, &follower), ERROR_OK);
	assert_int_equal(follower->handshake, 8);
	assert_int_equal(password_job_join(job, 9, &follower), ERROR_OK);
	atomic_store(&job->abandoned, true);
	assert_int_equal(password_job_join(job, 10, &follower), ERROR_OK);
	assert_int_equal(password_workers_start(scene->workers, 1), ERROR_OK);
	struct password_job *taken = await_verdict(scene);
	assert_ptr_equal(taken, job);
	assert_int_equal(taken->verdict, ERROR_OK);
	uint32_t wanted = 10;
	for (follower = taken->followers; follower != NULL; follower = follower->next)
		assert_int_equal(follower->handshake, wanted--);
	assert_int_equal(wanted, 7);
	password_job_free(&taken);
}

static void test_many_from_several_threads(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(password_workers_start(scene->workers, 3), ERROR_OK);
	uint32_t asked = 0, taken = 0;
	while (taken < 2000) {
		struct password_job *job;
		while (asked < 2000 && asked - taken < 100) {
			assert_int_equal(ask(scene, asked % 3 == 0 ? "secret" : "guess", asked, asked, &job), ERROR_OK);
			asked++;
		}
		job = await_verdict(scene);
		assert_int_equal(job->verdict, job->handshake % 3 == 0 ? ERROR_OK : ERROR_PASSWORD_WRONG);
		password_job_free(&job);
		taken++;
	}
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, open_scene, close_scene)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_verdicts),
		IN_SCENE(test_lanes_take_turns),
		IN_SCENE(test_a_lane_is_bounded),
		IN_SCENE(test_what_was_abandoned_comes_back_unchecked),
		IN_SCENE(test_hashes_of_no_file),
		IN_SCENE(test_who_has_joined),
		IN_SCENE(test_many_from_several_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
