#!/bin/sh
# io_uring_submit() that returns an error still holds its entries, and the next one that succeeds carries them out.
#
# Software:  liburing 2.3-3 (Debian 12).
# Expected:  a negative return value means that nothing was submitted and that the batch is the caller's again: it falls back to
#            ordinary calls, reuses the buffers, and fills the ring anew when it is in order again.
# Behaviour: the library has published the entries in the ring's queue before it asks the kernel, and does not take them back. They
#            stay in line, in front of whatever is put there next, and run with the next submit, out of buffers that may hold other
#            bytes by then. A caller who does not want that has to give the ring up. Shown with a ring that is set up disabled
#            (IORING_SETUP_R_DISABLED), whose first submit the kernel has to refuse.
# Output seen:
#   submit of one write while the ring is disabled: File descriptor in bad state, 1 entry left in line
#   buffer reused, ring enabled, one write of "second" put behind it: submit says 2
#   the pipe has: REUSEDsecond
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
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void put_write(struct io_uring *ring, int fd, const char *bytes)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(ring);
	io_uring_prep_write(entry, fd, bytes, (unsigned)strlen(bytes), 0);
	entry->flags |= IOSQE_IO_LINK; /* one after the other */
}

int main(void)
{
	struct io_uring ring;
	int ends[2];
	char buffer[] = "first!";
	char got[64] = "";
	if (pipe(ends) != 0 || io_uring_queue_init(8, &ring, IORING_SETUP_R_DISABLED) != 0)
		return 2;
	put_write(&ring, ends[1], buffer);
	int refused = io_uring_submit(&ring);
	unsigned left = io_uring_sq_ready(&ring);
	printf("submit of one write while the ring is disabled: %s, %u entry left in line\n", strerror(-refused), left);
	memcpy(buffer, "REUSED", 6);
	if (syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) != 0)
		return 2;
	put_write(&ring, ends[1], "second");
	int submitted = io_uring_submit_and_wait(&ring, 2);
	printf("buffer reused, ring enabled, one write of \"second\" put behind it: submit says %d\n", submitted);
	close(ends[1]);
	for (size_t size = 0; size < sizeof(got) - 1;) {
		ssize_t count = read(ends[0], got + size, sizeof(got) - 1 - size);
		if (count <= 0)
			break;
		size += (size_t)count;
	}
	printf("the pipe has: %s\n", got);
	return refused < 0 && left == 1 && submitted == 2 && strcmp(got, "REUSEDsecond") == 0 ? 0 : 1;
}
C
cc -Wall -Wextra -o "$dir/show" "$dir/show.c" -I"$dir/root/usr/include" -L"$libraries" -l:liburing.so.2 || exit 2
LD_LIBRARY_PATH=$libraries timeout 20 "$dir/show" || exit $?
