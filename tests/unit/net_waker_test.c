/* The waker: costs nothing while its owner is awake, and never loses a wake-up. */
#include "reactor/poller.h"
#include "reactor/waker.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct scene {
	struct waker waker;
	struct poller poller;
	_Atomic unsigned work; /* given out, taken by the owner */
};

static int scene_open(void **state)
{
	static struct scene scene;
	atomic_store(&scene.work, 0);
	assert_int_equal(waker_open(&scene.waker), ERROR_OK);
	assert_int_equal(poller_open(&scene.poller), ERROR_OK);
	assert_int_equal(poller_add(&scene.poller, scene.waker.fd, 7, POLLER_EDGE_READ), ERROR_OK);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	poller_close(&scene->poller);
	waker_close(&scene->waker);
	return 0;
}

static int events(struct scene *scene, int timeout_ms)
{
	struct poller_event event;
	return poller_wait(&scene->poller, &event, 1, timeout_ms);
}

static void test_awake_owner_is_left_alone(void **state)
{
	struct scene *scene = *state;
	for (int i = 0; i < 10; i++)
		waker_wake(&scene->waker);
	assert_int_equal(events(scene, 0), 0);
	waker_sleep(&scene->waker);
	waker_awake(&scene->waker);
	waker_wake(&scene->waker);
	assert_int_equal(events(scene, 0), 0);
}

/* Each sleep can be ended, though nobody ever reads the descriptor. */
static void test_each_sleep_gets_one_event(void **state)
{
	struct scene *scene = *state;
	for (int i = 0; i < 100; i++) {
		waker_sleep(&scene->waker);
		waker_wake(&scene->waker);
		waker_wake(&scene->waker);
		assert_int_equal(events(scene, -1), 1);
		waker_awake(&scene->waker);
		assert_int_equal(events(scene, 0), 0);
	}
}

#define PIECES 20000u

static void *give_work(void *argument)
{
	struct scene *scene = argument;
	for (unsigned i = 0; i < PIECES; i++) {
		atomic_fetch_add_explicit(&scene->work, 1, memory_order_release);
		waker_wake(&scene->waker);
	}
	return NULL;
}

/* A lost wake-up would leave the owner asleep for ever. */
static void test_no_wake_up_is_lost(void **state)
{
	struct scene *scene = *state;
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, give_work, scene), 0);
	unsigned done = 0;
	while (done < 2 * PIECES) {
		unsigned some = atomic_exchange(&scene->work, 0);
		done += some;
		if (some != 0)
			continue;
		waker_sleep(&scene->waker);
		events(scene, atomic_load(&scene->work) != 0 ? 0 : -1);
		waker_awake(&scene->waker);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(done, 2 * PIECES);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_awake_owner_is_left_alone),
		IN_SCENE(test_each_sleep_gets_one_event),
		IN_SCENE(test_no_wake_up_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
