#include "io_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SLAB_BYTES ((size_t)64 << 20)
/* That may be in fixed files. */
#define SOCKETS 20000u

static void on_blocked(void *context, struct conn *conn)
{
	struct io_scene *scene = context;
	scene->blocked++;
	scene->told = conn;
}

static void on_broken(void *context, struct conn *conn)
{
	struct io_scene *scene = context;
	scene->broken++;
	scene->told = conn;
}

int io_scene_connect(struct io *io, struct conn *conn, int send_bytes)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	if (send_bytes != 0)
		assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes)), 0);
	*conn = (struct conn){.stream = stream_of(STREAM_DESCRIPTOR, pair[0])};
	io_settle(io, conn);
	return pair[1];
}

static int open_scene(void **state, bool fixed)
{
	struct io_scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	struct io_observer observer = {.blocked = on_blocked, .broken = on_broken, .context = scene};
	assert_int_equal(slab_open(&scene->slab, SLAB_BYTES), ERROR_OK);
	assert_int_equal(io_open(&scene->io, &scene->slab, observer), ERROR_OK);
	if (fixed)
		assert_int_equal(io_fix_files(&scene->io, &(struct fixed_plan){SOCKETS, SOCKETS / 4, 0}), ERROR_OK);
	scene->peer = io_scene_connect(&scene->io, &scene->conn, 0);
	assert_int_equal(stream_kind_of(scene->conn.stream), fixed ? STREAM_FIXED_FILE : STREAM_DESCRIPTOR);
	*state = scene;
	return 0;
}

int io_scene_open(void **state)
{
	return open_scene(state, false);
}

int io_scene_open_fixed(void **state)
{
	return open_scene(state, true);
}

int io_scene_close(void **state)
{
	struct io_scene *scene = *state;
	io_disconnect(&scene->io, &scene->conn);
	io_flush(&scene->io);
	io_turn_end(&scene->io);
	close(scene->peer);
	assert_int_equal(scene->slab.used_bytes, 0);
	assert_int_equal(scene->io.backlog_bytes, 0);
	io_close(&scene->io);
	slab_close(&scene->slab);
	free(scene);
	return 0;
}

void stream_fill(uint8_t *bytes, size_t at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = stream_byte(at + i);
}

void assert_stream(const uint8_t *bytes, size_t at, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != stream_byte(at + i))
			fail_msg("byte %zu of the stream is wrong", at + i);
	}
}
