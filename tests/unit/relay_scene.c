#include "relay_scene.h"

#include "bench/dial/dial.h"
#include "bench/target/cpu.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SOCKETS_MAX 1024u
#define TURN_MS 5

#if defined(__SANITIZE_THREAD__)
/* TSan knows descriptors by number only, and with private tables confuses sockets of different threads. So both ways to
 * get such a table are refused here, as they are in some containers. */
int unshare(int flags)
{
	(void)flags;
	errno = EPERM;
	return -1;
}

int close_range(unsigned int first, unsigned int last, int flags)
{
	(void)first;
	(void)last;
	(void)flags;
	errno = EPERM;
	return -1;
}
#endif

static void *run(void *argument)
{
	struct relay_scene *scene = argument;
	while (!atomic_load(&scene->stopping))
		relay_turn(&scene->relay, TURN_MS);
	return NULL;
}

void relay_scene_open(struct relay_scene *scene)
{
	struct url url = {.host = "127.0.0.1"};
	memset(scene, 0, sizeof(*scene));
	scene->target.cpu = CPU_ANY;
	assert_null(url_resolve(&url, &scene->target.address));
	int listener = dial_listen(&scene->target.address, 256);
	assert_true(listener >= 0);
	assert_true(relay_open(&scene->relay, listener, SOCKETS_MAX));
	assert_int_equal(pthread_create(&scene->thread, NULL, run, scene), 0);
}

void relay_scene_close(struct relay_scene *scene)
{
	atomic_store(&scene->stopping, true);
	pthread_join(scene->thread, NULL);
	relay_close(&scene->relay);
}
