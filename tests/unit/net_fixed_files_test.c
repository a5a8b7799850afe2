/* Sockets in io_uring's tables: they do all that they did, their numbers are used again, and an epoll goes on telling
 * of them. And what becomes of a call when the kernel is interrupted, or refuses: liburing's calls are wrapped by the
 * linker, and fail as the scene says. */
#include "net/fixed_files.h"
#include "reactor/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

/* A fault: so many calls, beginning with the next, return it instead of being made. */
struct fault {
	int result;
	int calls;
};
static struct fault submit_fault, wait_fault, update_fault;

static bool strikes(struct fault *fault)
{
	return fault->calls != 0 && fault->calls-- != 0;
}

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring)
{
	return strikes(&submit_fault) ? submit_fault.result : __real_io_uring_submit(ring);
}

/* What io_uring_wait_cqe() comes to where nothing is there yet. */
int __real___io_uring_get_cqe(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned submit, unsigned wait,
			      sigset_t *mask);
int __wrap___io_uring_get_cqe(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned submit, unsigned wait,
			      sigset_t *mask);
int __wrap___io_uring_get_cqe(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned submit, unsigned wait,
			      sigset_t *mask)
{
	return strikes(&wait_fault) ? wait_fault.result : __real___io_uring_get_cqe(ring, cqe, submit, wait, mask);
}

int __real_io_uring_register_files_update(struct io_uring *ring, unsigned offset, const int *files, unsigned count);
int __wrap_io_uring_register_files_update(struct io_uring *ring, unsigned offset, const int *files, unsigned count);
int __wrap_io_uring_register_files_update(struct io_uring *ring, unsigned offset, const int *files, unsigned count)
{
	return strikes(&update_fault) ? update_fault.result
				      : __real_io_uring_register_files_update(ring, offset, files, count);
}

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
	submit_fault = wait_fault = update_fault = (struct fault){0};
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
	struct poller_event events[4];
	assert_int_equal(poller_wait(&poller, events, 4, 0), 2); /* both can be written */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send(peers[i], "x", 1, 0), 1);
		assert_int_equal(poller_wait(&poller, events, 4, 0), 1);
		assert_int_equal(events[0].tag, 100 + i);
		assert_true(poller_readable(&events[0]));
	}
	fixed_files_drop(&scene->files, handles[0]);
	close(peers[0]);
	close(peers[1]);
	assert_int_equal(poller_wait(&poller, events, 4, 0), 1); /* who was dropped is not heard of */
	assert_int_equal(events[0].tag, 101);
	assert_true(poller_hung_up(&events[0]));
	poller_close(&poller);
}

static void test_an_option_is_set(void **state)
{
	struct scene *scene = *state;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	int handle = fixed_files_put(&scene->files, listener);
	assert_true(fixed_files_is_handle(handle));
	assert_int_equal(fixed_files_setsockopt(&scene->files, handle, IPPROTO_TCP, TCP_KEEPIDLE, 77), 0);
	int fd = fixed_files_descriptor(&scene->files, handle);
	int value = 0;
	size = sizeof(value);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size), 0);
	assert_int_equal(value, 77);
	close(fd);
	/* What the socket says comes through. */
	assert_int_equal(fixed_files_setsockopt(&scene->files, handle, IPPROTO_TCP, TCP_KEEPIDLE, -1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(scene->files.failure_count, 0);
}

/* ---- the kernel refuses ---- */

#define FOR_EVER 1000

static char byte_of(struct scene *scene, int handle)
{
	char byte = 0;
	return fixed_files_recv(&scene->files, handle, &byte, 1, 0) == 1 ? byte : '-';
}

/* Nothing was taken: it is tried again, and the call is as if nothing had been. */
static void test_refused_for_a_moment(void **state)
{
	static const int RESULTS[] = {-EINTR, -EAGAIN, -EBUSY, -ENOMEM, 0};
	struct scene *scene = *state;
	for (size_t i = 0; i < sizeof(RESULTS) / sizeof(RESULTS[0]); i++) {
		char byte = (char)('a' + i);
		assert_int_equal(send(scene->peer, &byte, 1, 0), 1);
		submit_fault = (struct fault){RESULTS[i], 3};
		assert_int_equal(byte_of(scene, scene->handle), byte);
		assert_int_equal(submit_fault.calls, 0);
	}
	assert_int_equal(scene->files.failure_count, 0);
}

/* A stopped process is interrupted as often as it is stopped. */
static void test_interrupted_again_and_again(void **state)
{
	struct scene *scene = *state;
	submit_fault = wait_fault = (struct fault){-EINTR, 100};
	assert_int_equal(fixed_files_shutdown(&scene->files, scene->handle, SHUT_WR), 0);
	char byte;
	assert_int_equal(recv(scene->peer, &byte, 1, 0), 0);
	assert_int_equal(fixed_files_recv(&scene->files, scene->handle, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

/* The call fails, and not with EAGAIN, which is the socket's; the next one, on whichever socket, is not its heir. */
static void test_refused_for_good(void **state)
{
	static const struct {
		int result;
		int error;
	} REFUSALS[] = {{-EAGAIN, ENOMEM}, {-ENOMEM, ENOMEM}, {-EBUSY, EIO}, {-EPERM, EIO}, {0, EIO}};
	struct scene *scene = *state;
	int peer;
	int other = put_pair(&scene->files, &peer);
	assert_int_equal(send(scene->peer, "x", 1, 0), 1);
	for (size_t i = 0; i < sizeof(REFUSALS) / sizeof(REFUSALS[0]); i++) {
		submit_fault = (struct fault){REFUSALS[i].result, FOR_EVER};
		char lost = 0;
		for (int call = 0; call < 3; call++) {
			errno = 0;
			assert_int_equal(fixed_files_recv(&scene->files, scene->handle, &lost, 1, 0), -1);
			assert_int_equal(errno, REFUSALS[i].error);
		}
		assert_int_equal(scene->files.failure_count, 3 * (i + 1));
		submit_fault.calls = 0;
		/* The ring works again, and nobody has read for somebody else. */
		assert_int_equal(byte_of(scene, other), '-');
		assert_int_equal(errno, EAGAIN);
		assert_int_equal(send(peer, "o", 1, 0), 1);
		assert_int_equal(byte_of(scene, other), 'o');
		assert_int_equal(lost, 0);
	}
	assert_int_equal(byte_of(scene, scene->handle), 'x');
	close(peer);
}

/* A request that was given up completes later: what became of it is told to nobody. */
static void test_completion_that_comes_too_late(void **state)
{
	struct scene *scene = *state;
	int peer;
	int other = put_pair(&scene->files, &peer);
	wait_fault = (struct fault){-EIO, FOR_EVER};
	int given_up = 0;
	while (given_up ==
	       0) { /* mostly at once: shutdown() is another thread's work, which may be quicker than we are */
		given_up = fixed_files_shutdown(&scene->files, scene->handle, SHUT_WR);
		assert_true(given_up == 0 || errno == EIO);
	}
	wait_fault.calls = 0;
	char byte;
	assert_int_equal(fixed_files_recv(&scene->files, other, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(send(peer, "hello", 5, 0), 5);
	char bytes[8];
	assert_int_equal(fixed_files_recv(&scene->files, other, bytes, sizeof(bytes), 0), 5);
	assert_int_equal(fixed_files_send(&scene->files, other, "!!!", 3, MSG_NOSIGNAL), 3);
	close(peer);
}

/* Its slot is not another's before the kernel has let go of it; its peer learns at once that it is over. */
static void test_slot_that_is_not_given_up(void **state)
{
	struct scene *scene = *state;
	update_fault = (struct fault){-ENOMEM, FOR_EVER};
	fixed_files_drop(&scene->files, scene->handle);
	char byte;
	assert_int_equal(recv(scene->peer, &byte, 1, 0), 0);
	assert_int_equal(fixed_files_count(&scene->files), 1);
	assert_int_equal(fixed_files_sockets(&scene->files), 0);

	update_fault = (struct fault){-ENOMEM, 4}; /* it is asked for in vain once more */
	int peers[SLOTS];
	for (uint32_t i = 1; i < SLOTS; i++) {
		int handle = put_pair(&scene->files, &peers[i]);
		assert_true(i > 1 || handle != scene->handle);
		assert_int_equal(send(peers[i], "x", 1, 0), 1);
		assert_int_equal(byte_of(scene, handle), 'x');
	}
	assert_int_equal(fixed_files_count(&scene->files), SLOTS - 1); /* and then it was emptied */
	int peer;
	put_pair(&scene->files, &peer);
	assert_int_equal(fixed_files_count(&scene->files), SLOTS);
	assert_int_equal(fixed_files_sockets(&scene->files), SLOTS);
	for (uint32_t i = 1; i < SLOTS; i++)
		close(peers[i]);
	close(peer);
}

static void test_socket_that_is_not_taken(void **state)
{
	struct scene *scene = *state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	static const int RESULTS[] = {-ENOMEM, 0};
	for (size_t i = 0; i < sizeof(RESULTS) / sizeof(RESULTS[0]); i++) {
		update_fault = (struct fault){RESULTS[i], FOR_EVER};
		assert_int_equal(fixed_files_put(&scene->files, pair[0]), -1);
		assert_int_equal(errno, RESULTS[i] != 0 ? ENOMEM : EIO);
		assert_int_not_equal(fcntl(pair[0], F_GETFD), -1); /* it stays open */
		assert_int_equal(fixed_files_count(&scene->files), 1);
	}
	update_fault = (struct fault){-EINTR, 50};
	int handle = fixed_files_put(&scene->files, pair[0]);
	assert_true(fixed_files_is_handle(handle));
	close(pair[1]);
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
		IN_SCENE(test_an_option_is_set),
		IN_SCENE(test_refused_for_a_moment),
		IN_SCENE(test_interrupted_again_and_again),
		IN_SCENE(test_refused_for_good),
		IN_SCENE(test_completion_that_comes_too_late),
		IN_SCENE(test_slot_that_is_not_given_up),
		IN_SCENE(test_socket_that_is_not_taken),
	};
	if (!fixed_files_work())
		return 77; /* skipped: this kernel, or its owner, does not let us */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
