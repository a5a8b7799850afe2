/* The poller: what is reported when, and with which tag. */
#include "reactor/poller.h"

#include "reactor/waker.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TAG 0x1234567800000009u

struct scene {
	struct poller poller;
	int ours;
	int theirs;
	struct poller_event event;
};

static int scene_open(void **state)
{
	static struct scene scene;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	scene = (struct scene){.ours = pair[0], .theirs = pair[1]};
	assert_int_equal(poller_open(&scene.poller), ERROR_OK);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	close(scene->ours);
	close(scene->theirs);
	poller_close(&scene->poller);
	return 0;
}

static int wait_now(struct scene *scene)
{
	return poller_wait(&scene->poller, &scene->event, 1, 0);
}

static void say(struct scene *scene)
{
	assert_int_equal(write(scene->theirs, "x", 1), 1);
}

static void test_edge_reports_each_change_once(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(poller_add(&scene->poller, scene->ours, TAG, POLLER_EDGE_BOTH), ERROR_OK);
	assert_int_equal(wait_now(scene), 1);
	assert_true(scene->event.tag == TAG);
	assert_true(poller_writable(&scene->event));
	assert_false(poller_readable(&scene->event));
	assert_int_equal(wait_now(scene), 0);
	for (int i = 0; i < 3; i++) {
		say(scene);
		assert_int_equal(wait_now(scene), 1);
		assert_true(poller_readable(&scene->event));
		assert_false(poller_hung_up(&scene->event));
		assert_int_equal(wait_now(scene), 0);
	}
}

static void test_hang_up_is_readable(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(poller_add(&scene->poller, scene->ours, TAG, POLLER_EDGE_BOTH), ERROR_OK);
	wait_now(scene);
	shutdown(scene->theirs, SHUT_WR);
	assert_int_equal(wait_now(scene), 1);
	assert_true(poller_hung_up(&scene->event));
	assert_true(poller_readable(&scene->event));
}

static void test_writable_again_after_it_was_full(void **state)
{
	struct scene *scene = *state;
	static char block[65536];
	while (write(scene->ours, block, sizeof(block)) > 0)
		;
	assert_int_equal(poller_add(&scene->poller, scene->ours, TAG, POLLER_EDGE_BOTH), ERROR_OK);
	assert_int_equal(wait_now(scene), 0);
	while (read(scene->theirs, block, sizeof(block)) > 0)
		;
	assert_int_equal(wait_now(scene), 1);
	assert_true(poller_writable(&scene->event));
}

static void test_level_reports_while_there_is_something(void **state)
{
	struct scene *scene = *state;
	char byte;
	assert_int_equal(poller_add(&scene->poller, scene->ours, TAG, POLLER_LEVEL_READ), ERROR_OK);
	assert_int_equal(wait_now(scene), 0);
	say(scene);
	for (int i = 0; i < 3; i++)
		assert_int_equal(wait_now(scene), 1);
	poller_remove(&scene->poller, scene->ours);
	assert_int_equal(wait_now(scene), 0);
	poller_remove(&scene->poller, scene->ours); /* once more does nothing */
	assert_int_equal(poller_add(&scene->poller, scene->ours, TAG, POLLER_LEVEL_READ), ERROR_OK);
	assert_int_equal(wait_now(scene), 1);
	assert_true(scene->event.tag == TAG);
	assert_int_equal(read(scene->ours, &byte, 1), 1);
	assert_int_equal(wait_now(scene), 0);
}

static void test_removed_is_silent(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(poller_add(&scene->poller, scene->ours, TAG, POLLER_LEVEL_READ), ERROR_OK);
	say(scene);
	poller_remove(&scene->poller, scene->ours);
	assert_int_equal(wait_now(scene), 0);
}

static void test_what_cannot_be_added(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(poller_add(&scene->poller, 9999, TAG, POLLER_EDGE_BOTH), ERROR_SYSTEM);
	assert_int_equal(poller_add(&scene->poller, scene->ours, TAG, POLLER_EDGE_BOTH), ERROR_OK);
	assert_int_equal(poller_add(&scene->poller, scene->ours, TAG, POLLER_EDGE_BOTH), ERROR_SYSTEM);
}

/* ---- several pollers wait for one socket ---- */

#define SLEEPERS 3
#define WAKER_TAG 7u

struct sleeper {
	struct poller poller;
	struct waker waker;
	pthread_t thread;
	_Atomic int thread_id;
	_Atomic int reports; /* of the socket */
	_Atomic bool woken;
};

/* Sleeps until something comes. What is there to read stays there. */
static void *sleep_once(void *argument)
{
	struct sleeper *sleeper = argument;
	struct poller_event events[2];
	atomic_store(&sleeper->thread_id, gettid());
	int count = poller_wait(&sleeper->poller, events, 2, -1);
	for (int i = 0; i < count; i++) {
		if (events[i].tag == TAG)
			atomic_fetch_add(&sleeper->reports, 1);
	}
	atomic_store(&sleeper->woken, true);
	return NULL;
}

/* In its poller, as far as the kernel tells: it waits for nothing else. */
static void await_sleep(struct sleeper *sleeper)
{
	char state = 'R';
	while (state != 'S') {
		char path[64];
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&sleeper->thread_id));
		FILE *file = atomic_load(&sleeper->thread_id) != 0 ? fopen(path, "r") : NULL;
		if (file == NULL || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			state = 'R';
		if (file != NULL)
			fclose(file);
		sched_yield();
	}
}

static int count_woken(struct sleeper *sleepers)
{
	int count = 0;
	for (int i = 0; i < SLEEPERS; i++)
		count += atomic_load(&sleepers[i].woken);
	return count;
}

/* How many of them are told of one event, before they are woken by their wakers. */
static int count_told(struct scene *scene, enum poller_mode mode)
{
	struct sleeper sleepers[SLEEPERS] = {0};
	for (int i = 0; i < SLEEPERS; i++) {
		assert_int_equal(poller_open(&sleepers[i].poller), ERROR_OK);
		assert_int_equal(waker_open(&sleepers[i].waker), ERROR_OK);
		assert_int_equal(poller_add(&sleepers[i].poller, sleepers[i].waker.fd, WAKER_TAG, POLLER_EDGE_READ),
				 ERROR_OK);
		assert_int_equal(poller_add(&sleepers[i].poller, scene->ours, TAG, mode), ERROR_OK);
		waker_sleep(&sleepers[i].waker);
		assert_int_equal(pthread_create(&sleepers[i].thread, NULL, sleep_once, &sleepers[i]), 0);
		await_sleep(&sleepers[i]);
	}
	say(scene);
	while (count_woken(sleepers) == 0)
		sched_yield();
	int told = 0;
	for (int i = 0; i < SLEEPERS; i++) {
		waker_wake(&sleepers[i].waker);
		pthread_join(sleepers[i].thread, NULL);
		told += atomic_load(&sleepers[i].reports);
		poller_close(&sleepers[i].poller);
		waker_close(&sleepers[i].waker);
	}
	char byte;
	assert_int_equal(read(scene->ours, &byte, 1), 1);
	return told;
}

static void test_one_of_those_that_sleep_is_woken(void **state)
{
	struct scene *scene = *state;
	/* epoll picks one; poll() has no way to. */
	int told = count_told(scene, POLLER_SHARED_READ);
	assert_in_range(told, 1, poller_outlives_descriptors() ? 1 : SLEEPERS);
	assert_int_equal(count_told(scene, POLLER_LEVEL_READ), SLEEPERS);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_edge_reports_each_change_once),
		IN_SCENE(test_hang_up_is_readable),
		IN_SCENE(test_writable_again_after_it_was_full),
		IN_SCENE(test_level_reports_while_there_is_something),
		IN_SCENE(test_removed_is_silent),
		IN_SCENE(test_what_cannot_be_added),
		IN_SCENE(test_one_of_those_that_sleep_is_woken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
