#!/bin/sh
# A ring that was used before is full for ever after io_uring_queue_mmap(): the library counts from 0, the kernel goes on counting.
#
# Software:  liburing 2.3-3 (Debian 12).
# Expected:  a program that inherits a ring's descriptor (over execve(), say), with the struct io_uring_params of its making, maps it
#            by io_uring_queue_mmap() and submits as the one before did.
# Behaviour: the library counts what it prepares from 0 and does not read the kernel's own numbers, which lie in the mapping. So
#            io_uring_sq_ready() says that 4294967291 entries are ready, io_uring_get_sqe() that there is no room, and nothing can
#            be submitted any more. A ring of which only files were registered works, since its numbers are 0 still, so that a first
#            try looks well. Whoever maps a used ring has to set sq.sqe_head and sq.sqe_tail to the kernel's tail.
# Output seen:
#   the ring as it was made: 5 writes went through
#   mapped anew: 4294967291 entries ready, room for another: no; the pipe has 0 bytes more
#   mapped anew, counted on from the kernel's tail: submit says 1, the pipe has 1 bytes more
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
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <unistd.h>

static int write_one(struct io_uring *ring, int fd)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(ring);
	if (entry == NULL)
		return -1;
	io_uring_prep_write(entry, fd, "x", 1, 0);
	int submitted = io_uring_submit(ring);
	struct io_uring_cqe *done;
	while (io_uring_peek_cqe(ring, &done) == 0)
		io_uring_cqe_seen(ring, done);
	return submitted;
}

static long in_pipe(int fd)
{
	char bytes[64];
	ssize_t count = read(fd, bytes, sizeof(bytes));
	return count < 0 ? 0 : (long)count;
}

int main(void)
{
	struct io_uring ring, again;
	struct io_uring_params params = {0};
	int ends[2];
	if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 || io_uring_queue_init_params(4, &ring, &params) != 0)
		return 2;
	int made = 0;
	for (int i = 0; i < 5; i++)
		made += write_one(&ring, ends[1]) == 1;
	in_pipe(ends[0]);
	printf("the ring as it was made: %d writes went through\n", made);
	if (io_uring_queue_mmap(ring.ring_fd, &params, &again) != 0)
		return 2;
	unsigned tail = *again.sq.ktail;
	unsigned ready = io_uring_sq_ready(&again);
	int stuck = write_one(&again, ends[1]);
	long more = in_pipe(ends[0]);
	printf("mapped anew: %u entries ready, room for another: %s; the pipe has %ld bytes more\n", ready,
	       stuck == -1 ? "no" : "yes", more);
	*again.sq.ktail = tail;
	again.sq.sqe_head = again.sq.sqe_tail = tail;
	int counted = write_one(&again, ends[1]);
	long after = in_pipe(ends[0]);
	printf("mapped anew, counted on from the kernel's tail: submit says %d, the pipe has %ld bytes more\n", counted, after);
	return made == 5 && ready > 1000 && stuck == -1 && more == 0 && counted == 1 && after == 1 ? 0 : 1;
}
C
cc -Wall -Wextra -o "$dir/show" "$dir/show.c" -I"$dir/root/usr/include" -L"$libraries" -l:liburing.so.2 || exit 2
LD_LIBRARY_PATH=$libraries timeout 20 "$dir/show" || exit $?
