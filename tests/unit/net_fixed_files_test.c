/* Sockets in io_uring's tables: they do all that they did, their numbers are used again, and an epoll goes on telling
 * of them. */
#include "net/fixed_files.h"
#include "net/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define RING_SLOTS 4u
#define SLOTS 10u

struct scene {
	struct fixed_files files;
	int peer;
	int handle;
};

static int put_pair(struct fixed_files *files, int *peer)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	int handle = fixed_files_put(files, pair[0]);
	assert_true(fixed_files_is_handle(handle));
	assert_int_equal(fcntl(pair[0], F_GETFD), -1); /* closed */
	*peer = pair[1];
	return handle;
}

static int open_scene(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	assert_int_equal(fixed_files_open(&scene->files, SLOTS, RING_SLOTS), ERROR_OK);
	scene->handle = put_pair(&scene->files, &scene->peer);
	*state = scene;
	return 0;
}

static int close_scene(void **state)
{
	struct scene *scene = *state;
	close(scene->peer);
	fixed_files_close(&scene->files);
	free(scene);
	return 0;
}

static void test_bytes_go_both_ways(void **state)
{
	struct scene *scene = *state;
	char bytes[16];
	assert_int_equal(fixed_files_recv(&scene->files, scene->handle, bytes, sizeof(bytes), 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(send(scene->peer, "ask", 3, 0), 3);
	assert_int_equal(fixed_files_recv(&scene->files, scene->handle, bytes, sizeof(bytes), MSG_PEEK), 3);
	assert_int_equal(fixed_files_recv(&scene->files, scene->handle, bytes, sizeof(bytes), 0), 3);
	assert_memory_equal(bytes, "ask", 3);

	struct iovec parts[] = {{.iov_base = (char[]){"an"}, .iov_len = 2},
				{.iov_base = (char[]){"swer"}, .iov_len = 4}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	assert_int_equal(fixed_files_sendmsg(&scene->files, scene->handle, &message, MSG_NOSIGNAL), 6);
	assert_int_equal(fixed_files_send(&scene->files, scene->handle, "!", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(scene->peer, bytes, sizeof(bytes), 0), 7);
	assert_memory_equal(bytes, "answer!", 7);

	assert_int_equal(fixed_files_shutdown(&scene->files, scene->handle, SHUT_WR), 0);
	assert_int_equal(recv(scene->peer, bytes, sizeof(bytes), 0), 0);
}

/* A full socket says so at once, and a broken one does not end the process. */
static void test_full_and_broken(void **state)
{
	struct scene *scene = *state;
	static const char BYTES[4096];
	ssize_t sent = 0;
	while (sent >= 0)
		sent = fixed_files_send(&scene->files, scene->handle, BYTES, sizeof(BYTES), MSG_NOSIGNAL);
	assert_int_equal(errno, EAGAIN);
	close(scene->peer);
	assert_int_equal(fixed_files_send(&scene->files, scene->handle, BYTES, 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	scene->peer = -1;
}

static void test_drop_closes(void **state)
{
	struct scene *scene = *state;
	fixed_files_drop(&scene->files, scene->handle);
	char byte;
	assert_int_equal(recv(scene->peer, &byte, 1, 0), 0);
	assert_int_equal(fixed_files_count(&scene->files), 0);
}

/* Over several rings, to the last slot; then again in those that were given back. */
static void test_slots_are_used_again(void **state)
{
	struct scene *scene = *state;
	int handles[SLOTS] = {scene->handle};
	int peers[SLOTS] = {scene->peer};
	for (uint32_t i = 1; i < SLOTS; i++)
		handles[i] = put_pair(&scene->files, &peers[i]);
	assert_int_equal(fixed_files_count(&scene->files), SLOTS);
	int refused = dup(peers[0]);
	assert_int_equal(fixed_files_put(&scene->files, refused), -1);
	assert_int_not_equal(fcntl(refused, F_GETFD), -1); /* it stays open */
	close(refused);

	for (uint32_t i = 1; i < SLOTS; i += 3) {
		fixed_files_drop(&scene->files, handles[i]);
		close(peers[i]);
	}
	for (uint32_t i = 1; i < SLOTS; i += 3)
		handles[i] = put_pair(&scene->files, &peers[i]);
	for (uint32_t i = 0; i < SLOTS; i++) {
		char byte = (char)('a' + i);
		assert_int_equal(send(peers[i], &byte, 1, 0), 1);
	}
	for (uint32_t i = 0; i < SLOTS; i++) {
		char byte = 0;
		assert_int_equal(fixed_files_recv(&scene->files, handles[i], &byte, 1, 0), 1);
		assert_int_equal(byte, 'a' + i);
	}
	for (uint32_t i = 1; i < SLOTS; i++)
		close(peers[i]);
}

static void test_a_descriptor_for_a_moment(void **state)
{
	struct scene *scene = *state;
	int fd = fixed_files_descriptor(&scene->files, scene->handle);
	assert_true(fd >= 0 && !fixed_files_is_handle(fd));
	int type = 0;
	socklen_t size = sizeof(type);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), 0);
	assert_int_equal(type, SOCK_STREAM);
	close(fd);
	assert_int_equal(fixed_files_send(&scene->files, scene->handle, "x", 1, MSG_NOSIGNAL), 1);
}

/* The poller knows the socket by the descriptor that it had, whose number is another's by now. */
static void test_poller_goes_on(void **state)
{
	struct scene *scene = *state;
	struct poller poller;
	assert_int_equal(poller_open(&poller), ERROR_OK);
	int handles[2], peers[2];
	for (int i = 0; i < 2; i++) {
		int pair[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
		assert_int_equal(poller_add(&poller, pair[0], 100u + (uint64_t)i, POLLER_EDGE_BOTH), ERROR_OK);
		handles[i] = fixed_files_put(&scene->files, pair[0]);
		assert_true(fixed_files_is_handle(handles[i]));
		peers[i] = pair[1];
	}
	struct epoll_event events[4];
	assert_int_equal(poller_wait(&poller, events, 4, 0), 2); /* both can be written */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send(peers[i], "x", 1, 0), 1);
		assert_int_equal(poller_wait(&poller, events, 4, 0), 1);
		assert_int_equal(events[0].data.u64, 100 + i);
		assert_true(poller_readable(&events[0]));
	}
	fixed_files_drop(&scene->files, handles[0]);
	close(peers[0]);
	close(peers[1]);
	assert_int_equal(poller_wait(&poller, events, 4, 0), 1); /* who was dropped is not heard of */
	assert_int_equal(events[0].data.u64, 101);
	assert_true(poller_hung_up(&events[0]));
	poller_close(&poller);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, open_scene, close_scene)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_bytes_go_both_ways),
		IN_SCENE(test_full_and_broken),
		IN_SCENE(test_drop_closes),
		IN_SCENE(test_slots_are_used_again),
		IN_SCENE(test_a_descriptor_for_a_moment),
		IN_SCENE(test_poller_goes_on),
	};
	if (!fixed_files_work())
		return 77; /* skipped: this kernel, or its owner, does not let us */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
