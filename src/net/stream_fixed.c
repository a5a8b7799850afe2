#include "net/stream_fixed.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* A handle of fixed files is the stream's handle: no number has to be translated. */
_Static_assert(FIXED_FILES_FIRST == STREAM_FIXED_FILE << STREAM_NUMBER_BITS, "the kind's bits are the handle's");

static struct fixed_files *fixed_files_of(const struct streams *streams)
{
	return streams->contexts[STREAM_FIXED_FILE];
}

static ssize_t fixed_receive(struct streams *streams, struct stream stream, void *buffer, size_t size, bool *more)
{
	ssize_t count = fixed_files_recv(fixed_files_of(streams), stream.handle, buffer, size, 0);
	*more = count == (ssize_t)size;
	return count;
}

static bool fixed_pending(struct streams *streams, struct stream stream)
{
	uint8_t byte;
	return fixed_files_recv(fixed_files_of(streams), stream.handle, &byte, sizeof(byte), MSG_PEEK) > 0;
}

static ssize_t fixed_send(struct streams *streams, struct stream stream, const void *bytes, size_t size)
{
	return fixed_files_send(fixed_files_of(streams), stream.handle, bytes, size, MSG_NOSIGNAL);
}

static ssize_t fixed_sendv(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count)
{
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
	return fixed_files_sendmsg(fixed_files_of(streams), stream.handle, &message, MSG_NOSIGNAL);
}

static void fixed_acknowledge(struct streams *streams, struct stream stream)
{
	fixed_files_setsockopt(fixed_files_of(streams), stream.handle, IPPROTO_TCP, TCP_QUICKACK, 1);
}

static void fixed_shutdown(struct streams *streams, struct stream stream)
{
	fixed_files_shutdown(fixed_files_of(streams), stream.handle, SHUT_WR);
}

static void fixed_close(struct streams *streams, struct stream stream)
{
	fixed_files_recv(fixed_files_of(streams), stream.handle, NULL, STREAM_DISCARD_BYTES, MSG_TRUNC);
	fixed_files_drop(fixed_files_of(streams), stream.handle);
}

static int fixed_borrow(struct streams *streams, struct stream stream)
{
	return fixed_files_descriptor(fixed_files_of(streams), stream.handle);
}

static void fixed_give_back(struct streams *streams, struct stream stream, int fd)
{
	(void)streams;
	CHECK(fd != stream.handle);
	close(fd);
}

/* Poller and kernel know the socket, whatever holds it. */
static struct stream fixed_settle(struct streams *streams, struct stream stream)
{
	if (!streams->to_table)
		return stream;
	int fd = fixed_borrow(streams, stream);
	if (fd < 0 || fd >= streams->first_descriptor) {
		streams->to_table = false;
		if (fd >= 0)
			close(fd);
		return stream;
	}
	fixed_files_drop(fixed_files_of(streams), stream.handle);
	return stream_of(STREAM_DESCRIPTOR, fd);
}

static int fixed_release(struct streams *streams, struct stream stream, struct stream_carry *carry)
{
	int fd = fixed_borrow(streams, stream);
	if (fd < 0)
		return -1;
	fixed_files_drop(fixed_files_of(streams), stream.handle);
	*carry = (struct stream_carry){.kind = STREAM_DESCRIPTOR};
	return fd;
}

static struct stream fixed_adopt(struct streams *streams, int fd, struct stream_carry *carry)
{
	CHECK(carry->state == NULL);
	int handle = fixed_files_put(fixed_files_of(streams), fd);
	if (handle < 0)
		return STREAM_NONE;
	return (struct stream){handle};
}

static const struct stream_ops FIXED_OPS = {
	.receive = fixed_receive,
	.pending = fixed_pending,
	.send = fixed_send,
	.sendv = fixed_sendv,
	.acknowledge = fixed_acknowledge,
	.shutdown = fixed_shutdown,
	.close = fixed_close,
	.borrow = fixed_borrow,
	.give_back = fixed_give_back,
	.settle = fixed_settle,
	.release = fixed_release,
	.adopt = fixed_adopt,
};

void stream_fixed_add(struct streams *streams, struct fixed_files *files, int first_descriptor)
{
	CHECK(first_descriptor >= 0);
	streams_add_kind(streams, STREAM_FIXED_FILE, &FIXED_OPS, files);
	streams->first_descriptor = first_descriptor;
}
