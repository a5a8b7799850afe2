#!/bin/sh
# An io_uring descriptor cannot be passed through a socket, but pidfd_getfd() takes it, even from another thread's private table.
#
# Software:  Linux 6.9 or later; liburing 2.3-3 (Debian 12).
# Expected:  SCM_RIGHTS passes any descriptor, as it passes sockets, memfds and epoll sets; and pidfd_getfd() is for other processes.
# Behaviour: sendmsg() with a ring is refused with EINVAL. An epoll set that holds sockets is passed. pidfd_open() with PIDFD_THREAD (O_EXCL) names a thread, and
#            pidfd_getfd() then takes both out of the table that the thread has for itself after unshare(CLONE_FILES). The ring goes
#            on with the files that are registered in it, after the thread and its table are gone.
# Output seen:
#   SCM_RIGHTS: the ring Invalid argument, the epoll set passed
#   pidfd_getfd() from a thread's own table: the ring taken, the epoll set taken
#   the thread has ended: a send to its registered file says 1, the other end reads "x"
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
command -v cc >/dev/null || { echo "no C compiler here"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' HUP INT TERM

download() {
	(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download liburing2=2.3-3 liburing-dev=2.3-3)
}
download 2>/dev/null || { apt-get -qq update && download; } || exit 2
for deb in "$dir"/*.deb; do
	dpkg -x "$deb" "$dir/root"
done
libraries=$(dirname "$(find "$dir/root" -name liburing.so.2)")

cat >"$dir/show.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct io_uring ring;
static int ends[2], epoll_set;
static atomic_int thread_id, step;

static int pass(int fd)
{
	int pair[2];
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec byte = {.iov_base = "", .iov_len = 1};
	struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
		return -1;
	*head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	int failure = sendmsg(pair[0], &message, 0) < 0 ? errno : 0;
	close(pair[0]);
	close(pair[1]);
	return failure;
}

static void *own_table(void *unused)
{
	int sockets[2];
	if (unshare(CLONE_FILES) != 0 || io_uring_queue_init(1, &ring, 0) != 0 ||
	    io_uring_register_files_sparse(&ring, 4) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0)
		return NULL;
	epoll_set = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	epoll_ctl(epoll_set, EPOLL_CTL_ADD, sockets[0], &event);
	io_uring_register_files_update(&ring, 0, &sockets[0], 1);
	close(sockets[0]);
	ends[1] = sockets[1];
	thread_id = (int)gettid();
	while (step == 0)
		usleep(1000);
	return unused;
}

int main(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, own_table, NULL);
	for (int i = 0; i < 2000 && thread_id == 0; i++)
		usleep(1000);
	int pidfd = (int)syscall(SYS_pidfd_open, thread_id, O_EXCL);
	if (thread_id == 0 || pidfd < 0)
		return 2;
	int own = (int)syscall(SYS_pidfd_getfd, pidfd, ring.ring_fd, 0);
	int set = (int)syscall(SYS_pidfd_getfd, pidfd, epoll_set, 0);
	int other = (int)syscall(SYS_pidfd_getfd, pidfd, ends[1], 0);
	int ring_refused = own < 0 ? -1 : pass(own);
	int set_refused = set < 0 ? -1 : pass(set);
	printf("SCM_RIGHTS: the ring %s, the epoll set %s\n", ring_refused ? strerror(ring_refused) : "passed",
	       set_refused ? strerror(set_refused) : "passed");
	printf("pidfd_getfd() from a thread's own table: the ring %s, the epoll set %s\n", own < 0 ? "refused" : "taken",
	       set < 0 ? "refused" : "taken");
	step = 1;
	pthread_join(thread, NULL);
	ring.ring_fd = ring.enter_ring_fd = own;
	struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
	struct io_uring_cqe *done;
	char byte = '-';
	io_uring_prep_send(entry, 0, "x", 1, MSG_DONTWAIT);
	entry->flags |= IOSQE_FIXED_FILE;
	if (io_uring_submit(&ring) != 1 || io_uring_wait_cqe(&ring, &done) != 0)
		return 1;
	ssize_t got = read(other, &byte, 1);
	printf("the thread has ended: a send to its registered file says %d, the other end reads \"%c\"\n", done->res, byte);
	return ring_refused == EINVAL && set_refused == 0 && own >= 0 && set >= 0 && done->res == 1 && got == 1 && byte == 'x' ? 0 : 1;
}
C
cc -Wall -Wextra -pthread -o "$dir/show" "$dir/show.c" -I"$dir/root/usr/include" -L"$libraries" -l:liburing.so.2 || exit 2
LD_LIBRARY_PATH=$libraries timeout 20 "$dir/show" || exit $?
