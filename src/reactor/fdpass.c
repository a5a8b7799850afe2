#include "reactor/fdpass.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(FDPASS_BATCH_MAX <= 253, "SCM_MAX_FD of the kernel");

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int) * FDPASS_BATCH_MAX)];
};

enum error fdpass_open(int pair[2])
{
	int made[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, made) != 0)
		return ERROR_SYSTEM;
	pair[0] = made[0];
	pair[1] = made[1];
	return ERROR_OK;
}

enum error fdpass_send(int sender, const int *fds, size_t count, const void *bytes, size_t size)
{
	CHECK(count >= 1 && count <= FDPASS_BATCH_MAX);
	CHECK_GT(size, 0); /* an empty message reads like a closed pair */
	union control control;
	memset(&control, 0, sizeof(control));
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(sizeof(int) * count),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(header), fds, sizeof(int) * count);

	if (sendmsg(sender, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return ERROR_OK;
	/* ETOOMANYREFS: more descriptors are in flight than RLIMIT_NOFILE allows. It passes as they are received. */
	if (errno == EAGAIN || errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM || errno == EINTR)
		return ERROR_MORE;
	return ERROR_SYSTEM;
}

enum error fdpass_receive(int receiver, int *fds, size_t *count, void *bytes, size_t *size)
{
	CHECK(*count >= FDPASS_BATCH_MAX);
	union control control;
	struct iovec part = {.iov_base = bytes, .iov_len = *size};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	*count = 0;
	*size = 0;
	ssize_t received = recvmsg(receiver, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (received < 0)
		return errno == EAGAIN || errno == EINTR ? ERROR_MORE : ERROR_SYSTEM;
	if (received == 0) /* all senders have closed */
		return ERROR_MORE;
	*size = (size_t)received;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
		*count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		CHECK_LE(*count, FDPASS_BATCH_MAX);
		memcpy(fds, CMSG_DATA(header), *count * sizeof(int));
	}
	return message.msg_flags & MSG_CTRUNC ? ERROR_NO_DESCRIPTORS : ERROR_OK;
}
