/* Streams, and the first of their kinds: a socket in the thread's descriptor table. */
#include "net/stream.h"
#include "base/layout_root.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

LAYOUT_ENUM(stream_kind);

/* ---- plain descriptors ----
 * receive, send and sendv are in the header, for the compiler to put in place. A layered kind calls those too, so the
 * table's entries are there for completeness only. */

static ssize_t descriptor_receive(struct streams *streams, struct stream stream, void *buffer, size_t size, bool *more)
{
	return stream_receive(streams, stream, buffer, size, more);
}

static ssize_t descriptor_send(struct streams *streams, struct stream stream, const void *bytes, size_t size)
{
	return stream_send(streams, stream, bytes, size);
}

static ssize_t descriptor_sendv(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count)
{
	return stream_sendv(streams, stream, parts, count);
}

static bool descriptor_pending(struct streams *streams, struct stream stream)
{
	uint8_t byte;
	(void)streams;
	return recv(stream.handle, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void descriptor_acknowledge(struct streams *streams, struct stream stream)
{
	static const int ON = 1;
	(void)streams;
	setsockopt(stream.handle, IPPROTO_TCP, TCP_QUICKACK, &ON, sizeof(ON));
}

static void descriptor_shutdown(struct streams *streams, struct stream stream)
{
	(void)streams;
	shutdown(stream.handle, SHUT_WR);
}

static void descriptor_close(struct streams *streams, struct stream stream)
{
	(void)streams;
	recv(stream.handle, NULL, STREAM_DISCARD_BYTES, MSG_DONTWAIT | MSG_TRUNC);
	close(stream.handle);
}

static int descriptor_borrow(struct streams *streams, struct stream stream)
{
	(void)streams;
	return stream.handle;
}

static void descriptor_give_back(struct streams *streams, struct stream stream, int fd)
{
	(void)streams;
	CHECK(fd == stream.handle);
}

static int descriptor_release(struct streams *streams, struct stream stream, struct stream_carry *carry)
{
	(void)streams;
	*carry = (struct stream_carry){.kind = STREAM_DESCRIPTOR};
	return stream.handle;
}

static struct stream descriptor_adopt(struct streams *streams, int fd, struct stream_carry *carry)
{
	(void)streams;
	CHECK(carry->state == NULL);
	return stream_of(STREAM_DESCRIPTOR, fd);
}

static const struct stream_ops DESCRIPTOR_OPS = {
	.receive = descriptor_receive,
	.pending = descriptor_pending,
	.send = descriptor_send,
	.sendv = descriptor_sendv,
	.acknowledge = descriptor_acknowledge,
	.shutdown = descriptor_shutdown,
	.close = descriptor_close,
	.borrow = descriptor_borrow,
	.give_back = descriptor_give_back,
	.release = descriptor_release,
	.adopt = descriptor_adopt,
};

/* ---- any kind ---- */

void streams_init(struct streams *streams)
{
	*streams = (struct streams){.first_descriptor = INT_MAX};
	streams_add_kind(streams, STREAM_DESCRIPTOR, &DESCRIPTOR_OPS, NULL);
}

void streams_add_kind(struct streams *streams, enum stream_kind kind, const struct stream_ops *ops, void *context)
{
	CHECK(kind < STREAM_KINDS && streams->ops[kind] == NULL);
	CHECK(ops->receive != NULL && ops->pending != NULL && ops->send != NULL && ops->sendv != NULL);
	CHECK(ops->acknowledge != NULL && ops->shutdown != NULL && ops->close != NULL);
	CHECK((ops->stage_descriptor != NULL) == (ops->stage != NULL) && (ops->stage != NULL) == (ops->staged != NULL));
	CHECK(ops->borrow != NULL && ops->give_back != NULL && ops->release != NULL && ops->adopt != NULL);
	streams->ops[kind] = ops;
	streams->contexts[kind] = context;
}

bool stream_pending(struct streams *streams, struct stream stream)
{
	return stream_ops_of(streams, stream)->pending(streams, stream);
}

int stream_flush(struct streams *streams, struct stream stream)
{
	const struct stream_ops *ops = stream_ops_of(streams, stream);
	return ops->flush != NULL ? ops->flush(streams, stream) : 0;
}

/* Of a descriptor: the only part as it is, or a copy of several. */
static bool stage_for_descriptor(const struct iovec *parts, size_t count, struct stream_room room, struct slice *bytes)
{
	if (count == 1) {
		*bytes = slice_of(parts->iov_base, parts->iov_len);
		return true;
	}
	size_t size = 0;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].iov_len > room.bytes - size)
			return false;
		memcpy(room.at + size, parts[i].iov_base, parts[i].iov_len);
		size += parts[i].iov_len;
	}
	*bytes = slice_of(room.at, size);
	return true;
}

bool stream_stage(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count,
		  struct stream_room room, struct slice *bytes)
{
	CHECK(count != 0);
	if (stream_is_descriptor(stream))
		return stage_for_descriptor(parts, count, room, bytes);
	return stream_ops_of(streams, stream)->stage(streams, stream, parts, count, room, bytes);
}

void stream_acknowledge(struct streams *streams, struct stream stream)
{
	stream_ops_of(streams, stream)->acknowledge(streams, stream);
}

/* A table gives out its lowest free number, so a high one says that the table is nearly full. Where the socket cannot
 * move it stays: there is a reserve. */
struct stream stream_settle(struct streams *streams, struct stream stream)
{
	const struct stream_ops *ops = stream_ops_of(streams, stream);
	if (!stream_is_descriptor(stream))
		return ops->settle != NULL ? ops->settle(streams, stream) : stream;
	if (stream.handle < streams->first_descriptor)
		return stream;
	struct stream_carry none = {.kind = STREAM_FIXED_FILE};
	struct stream moved = stream_adopt(streams, stream.handle, &none);
	return stream_exists(moved) ? moved : stream;
}

int stream_release(struct streams *streams, struct stream stream, struct stream_carry *carry)
{
	int fd = stream_ops_of(streams, stream)->release(streams, stream, carry);
	CHECK(fd < 0 || streams->ops[carry->kind] != NULL);
	return fd;
}

struct stream stream_adopt(struct streams *streams, int fd, struct stream_carry *carry)
{
	CHECK(fd >= 0 && carry->kind < STREAM_KINDS && streams->ops[carry->kind] != NULL);
	struct stream stream = streams->ops[carry->kind]->adopt(streams, fd, carry);
	if (stream_exists(stream))
		*carry = (struct stream_carry){0};
	return stream;
}

void stream_carry_drop(const struct streams *streams, struct stream_carry *carry)
{
	const struct stream_ops *ops = streams->ops[carry->kind];
	CHECK(ops != NULL && (carry->state == NULL || ops->drop != NULL));
	if (carry->state != NULL)
		ops->drop(streams, carry);
	*carry = (struct stream_carry){0};
}

void stream_close_descriptor(int fd)
{
	CHECK(fd >= 0);
	close(fd);
}

int stream_borrow(struct streams *streams, struct stream stream)
{
	if (!stream_exists(stream))
		return -1;
	return stream_ops_of(streams, stream)->borrow(streams, stream);
}

void stream_give_back(struct streams *streams, struct stream stream, int fd)
{
	if (fd >= 0)
		stream_ops_of(streams, stream)->give_back(streams, stream, fd);
}

struct stream_facts stream_facts(const struct streams *streams, struct stream stream)
{
	struct stream_facts facts = {0};
	if (stream_exists(stream) && stream_ops_of(streams, stream)->describe != NULL)
		stream_ops_of(streams, stream)->describe(streams, stream, &facts);
	return facts;
}

void stream_shutdown(struct streams *streams, struct stream stream)
{
	stream_ops_of(streams, stream)->shutdown(streams, stream);
}

void stream_close(struct streams *streams, struct stream stream)
{
	stream_ops_of(streams, stream)->close(streams, stream);
}
