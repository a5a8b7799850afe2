/* The poller: what is reported when, and with which tag. */
#include "net/poller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TAG 0x1234567800000009u

struct scene {
	struct poller poller;
	int ours;
	int theirs;
	struct epoll_event event;
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
	assert_true(scene->event.data.u64 == TAG);
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
	poller_pause(&scene->poller, scene->ours, TAG, true);
	assert_int_equal(wait_now(scene), 0);
	poller_pause(&scene->poller, scene->ours, TAG, false);
	assert_int_equal(wait_now(scene), 1);
	assert_true(scene->event.data.u64 == TAG);
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
