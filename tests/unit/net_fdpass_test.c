/* Sockets on their way between tables: batches with their bytes, a receiver that lags, a table that is full. */
#include "reactor/fdpass.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	int pair[2];
	int peers[FDPASS_BATCH_MAX]; /* the other end of each socket that is passed */
	int fds[FDPASS_BATCH_MAX];
};

static int scene_open(void **state)
{
	static struct scene scene;
	assert_int_equal(fdpass_open(scene.pair), ERROR_OK);
	for (int i = 0; i < FDPASS_BATCH_MAX; i++) {
		int made[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, made), 0);
		scene.fds[i] = made[0];
		scene.peers[i] = made[1];
	}
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	for (int i = 0; i < FDPASS_BATCH_MAX; i++) {
		close(scene->fds[i]);
		close(scene->peers[i]);
	}
	close(scene->pair[0]);
	close(scene->pair[1]);
	return 0;
}

static enum error receive(struct scene *scene, int *fds, size_t *count, void *bytes, size_t *size)
{
	*count = FDPASS_BATCH_MAX;
	return fdpass_receive(scene->pair[1], fds, count, bytes, size);
}

/* What is written to the received socket comes out at that peer. */
static void assert_connected(int received, int peer, char record)
{
	char got = 0;
	assert_int_equal(write(received, &record, 1), 1);
	assert_int_equal(read(peer, &got, 1), 1);
	assert_int_equal(got, record);
}

static void test_batches_of_every_size(void **state)
{
	struct scene *scene = *state;
	int fds[FDPASS_BATCH_MAX];
	char bytes[512], got[512];
	size_t count, size;
	for (size_t batch = 1; batch <= FDPASS_BATCH_MAX; batch++) {
		memset(bytes, (int)batch, sizeof(bytes));
		assert_int_equal(fdpass_send(scene->pair[0], scene->fds, batch, bytes, batch * 8), ERROR_OK);
		size = sizeof(got);
		assert_int_equal(receive(scene, fds, &count, got, &size), ERROR_OK);
		assert_int_equal(count, batch);
		assert_int_equal(size, batch * 8);
		assert_memory_equal(got, bytes, size);
		for (size_t i = 0; i < count; i++) {
			assert_int_not_equal(fds[i], scene->fds[i]);
			assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
			assert_connected(fds[i], scene->peers[i], (char)('a' + i % 26));
			close(fds[i]);
		}
	}
}

static void test_batches_stay_apart_and_in_order(void **state)
{
	struct scene *scene = *state;
	int fds[FDPASS_BATCH_MAX];
	size_t count, size;
	for (int i = 0; i < 5; i++)
		assert_int_equal(fdpass_send(scene->pair[0], &scene->fds[i], 1, &i, sizeof(i)), ERROR_OK);
	for (int i = 0; i < 5; i++) {
		int number = -1;
		size = sizeof(number);
		assert_int_equal(receive(scene, fds, &count, &number, &size), ERROR_OK);
		assert_int_equal(count, 1);
		assert_int_equal(number, i);
		assert_connected(fds[0], scene->peers[i], 'x');
		close(fds[0]);
	}
	size = sizeof(size);
	assert_int_equal(receive(scene, fds, &count, &size, &size), ERROR_MORE);
}

/* The sender still owns its copies: closing the received one does not end the connection. */
static void test_sender_keeps_its_own(void **state)
{
	struct scene *scene = *state;
	int fds[FDPASS_BATCH_MAX];
	char byte = 'b';
	size_t count, size = 1;
	assert_int_equal(fdpass_send(scene->pair[0], scene->fds, 1, &byte, 1), ERROR_OK);
	assert_int_equal(receive(scene, fds, &count, &byte, &size), ERROR_OK);
	close(fds[0]);
	assert_connected(scene->fds[0], scene->peers[0], 'y');
}

static void test_receiver_that_lags(void **state)
{
	struct scene *scene = *state;
	int fds[FDPASS_BATCH_MAX];
	char bytes[64];
	size_t count, size;
	int sent = 0;
	enum error error;
	while ((error = fdpass_send(scene->pair[0], scene->fds, 8, bytes, sizeof(bytes))) == ERROR_OK)
		assert_true(++sent < 100000);
	assert_int_equal(error, ERROR_MORE);
	assert_true(sent > 4);
	for (int i = 0; i < sent; i++) {
		size = sizeof(bytes);
		assert_int_equal(receive(scene, fds, &count, bytes, &size), ERROR_OK);
		assert_int_equal(count, 8);
		for (size_t n = 0; n < count; n++)
			close(fds[n]);
	}
	assert_int_equal(fdpass_send(scene->pair[0], scene->fds, 8, bytes, sizeof(bytes)), ERROR_OK);
}

static void test_nobody_receives(void **state)
{
	struct scene *scene = *state;
	close(scene->pair[1]);
	assert_int_equal(fdpass_send(scene->pair[0], scene->fds, 1, "x", 1), ERROR_SYSTEM);
	scene->pair[1] = -1;
}

/* The batch's bytes still say what was lost. */
static void test_full_table_is_told(void **state)
{
	struct scene *scene = *state;
	int fds[FDPASS_BATCH_MAX];
	char bytes[8];
	size_t count, size = sizeof(bytes);
	assert_int_equal(fdpass_send(scene->pair[0], scene->fds, 8, "12345678", 8), ERROR_OK);
	int lowest = dup(0);
	assert_true(lowest > 0);
	close(lowest);
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	struct rlimit tight = {.rlim_cur = (rlim_t)lowest + 3, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	enum error error = receive(scene, fds, &count, bytes, &size);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(error, ERROR_NO_DESCRIPTORS);
	assert_int_equal(count, 3);
	assert_int_equal(size, 8);
	assert_memory_equal(bytes, "12345678", 8);
	for (size_t i = 0; i < count; i++) {
		assert_connected(fds[i], scene->peers[i], 'z');
		close(fds[i]);
	}
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_batches_of_every_size), IN_SCENE(test_batches_stay_apart_and_in_order),
		IN_SCENE(test_sender_keeps_its_own),  IN_SCENE(test_receiver_that_lags),
		IN_SCENE(test_nobody_receives),       IN_SCENE(test_full_table_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
