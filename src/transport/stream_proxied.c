#include "transport/stream_proxied.h"
#include "base/layout_root.h"

#include "base/check.h"
#include "net/peer.h"

#include <stdlib.h>

struct proxied {
	struct stream below; /* first: the pool keeps its link there */
	uint16_t port;       /* as on the wire */
	bool is_v6;
	uint8_t address[16]; /* of IPv4 the first four */
};
_Static_assert(sizeof(struct proxied) == 24, "what a proxied client costs");
LAYOUT_ROOT(proxied);

/* While a stream moves between two threads. */
struct proxied_carry {
	struct proxied state;
	struct stream_carry below;
};

static struct proxied_streams *proxied_of(const struct streams *streams)
{
	return streams->contexts[STREAM_PROXIED];
}

static struct proxied *proxied_at(const struct streams *streams, struct stream stream)
{
	CHECK(stream_kind_of(stream) == STREAM_PROXIED);
	return pool_at(&proxied_of(streams)->pool, (uint32_t)stream_number(stream));
}

/* ---- what goes through ---- */

static ssize_t proxied_receive(struct streams *streams, struct stream stream, void *buffer, size_t size, bool *more)
{
	return stream_receive(streams, proxied_at(streams, stream)->below, buffer, size, more);
}

static bool proxied_pending(struct streams *streams, struct stream stream)
{
	return stream_pending(streams, proxied_at(streams, stream)->below);
}

static ssize_t proxied_send(struct streams *streams, struct stream stream, const void *bytes, size_t size)
{
	return stream_send(streams, proxied_at(streams, stream)->below, bytes, size);
}

static ssize_t proxied_sendv(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count)
{
	return stream_sendv(streams, proxied_at(streams, stream)->below, parts, count);
}

static int proxied_flush(struct streams *streams, struct stream stream)
{
	return stream_flush(streams, proxied_at(streams, stream)->below);
}

static int proxied_stage_descriptor(const struct streams *streams, struct stream stream)
{
	return stream_stage_descriptor(streams, proxied_at(streams, stream)->below);
}

static bool proxied_stage(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count,
			  struct stream_room room, struct slice *bytes)
{
	return stream_stage(streams, proxied_at(streams, stream)->below, parts, count, room, bytes);
}

static ssize_t proxied_staged(struct streams *streams, struct stream stream, size_t size, struct slice bytes,
			      ssize_t result)
{
	return stream_staged(streams, proxied_at(streams, stream)->below, size, bytes, result);
}

static void proxied_acknowledge(struct streams *streams, struct stream stream)
{
	stream_acknowledge(streams, proxied_at(streams, stream)->below);
}

static int proxied_borrow(struct streams *streams, struct stream stream)
{
	return stream_borrow(streams, proxied_at(streams, stream)->below);
}

static void proxied_give_back(struct streams *streams, struct stream stream, int fd)
{
	stream_give_back(streams, proxied_at(streams, stream)->below, fd);
}

static struct stream proxied_settle(struct streams *streams, struct stream stream)
{
	struct proxied *proxied = proxied_at(streams, stream);
	proxied->below = stream_settle(streams, proxied->below);
	return stream;
}

static void proxied_shutdown(struct streams *streams, struct stream stream)
{
	stream_shutdown(streams, proxied_at(streams, stream)->below);
}

static void proxied_end(struct streams *streams, struct stream stream)
{
	stream_close(streams, proxied_at(streams, stream)->below);
	pool_give(&proxied_of(streams)->pool, (uint32_t)stream_number(stream));
}

/* ---- what it knows ---- */

static void proxied_describe(const struct streams *streams, struct stream stream, struct stream_facts *facts)
{
	const struct proxied *proxied = proxied_at(streams, stream);
	struct sockaddr_in6 *told = &proxied_of(streams)->told;
	*facts = stream_facts(streams, proxied->below);
	if (proxied->is_v6) {
		*told = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = proxied->port};
		memcpy(&told->sin6_addr, proxied->address, sizeof(told->sin6_addr));
	} else {
		struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = proxied->port};
		memcpy(&v4.sin_addr, proxied->address, sizeof(v4.sin_addr));
		memcpy(told, &v4, sizeof(v4));
	}
	facts->peer = (const struct sockaddr *)told;
}

static struct proxied proxied_new(struct stream below, const union peer *client)
{
	struct proxied proxied = {.below = below, .is_v6 = client->any.sa_family == AF_INET6};
	CHECK(client->any.sa_family == AF_INET || client->any.sa_family == AF_INET6);
	proxied.port = proxied.is_v6 ? client->v6.sin6_port : client->v4.sin_port;
	if (proxied.is_v6)
		memcpy(proxied.address, &client->v6.sin6_addr, sizeof(client->v6.sin6_addr));
	else
		memcpy(proxied.address, &client->v4.sin_addr, sizeof(client->v4.sin_addr));
	return proxied;
}

/* ---- moving ---- */

static int proxied_release(struct streams *streams, struct stream stream, struct stream_carry *carry)
{
	struct proxied_carry *carried = malloc(sizeof(*carried));
	if (carried == NULL)
		return -1;
	carried->state = *proxied_at(streams, stream);
	int fd = stream_release(streams, carried->state.below, &carried->below);
	if (fd < 0) {
		free(carried);
		return -1;
	}
	pool_give(&proxied_of(streams)->pool, (uint32_t)stream_number(stream));
	*carry = (struct stream_carry){.state = carried, .kind = STREAM_PROXIED};
	return fd;
}

static struct stream proxied_adopt(struct streams *streams, int fd, struct stream_carry *carry)
{
	struct proxied_carry *carried = carry->state;
	CHECK(carried != NULL);
	uint32_t index = pool_take(&proxied_of(streams)->pool);
	if (index == 0)
		return STREAM_NONE;
	struct stream below = stream_adopt(streams, fd, &carried->below);
	if (!stream_exists(below)) {
		pool_give(&proxied_of(streams)->pool, index);
		return STREAM_NONE;
	}
	struct proxied *proxied = pool_at(&proxied_of(streams)->pool, index);
	*proxied = carried->state;
	proxied->below = below;
	free(carried);
	return stream_of(STREAM_PROXIED, (int)index);
}

static void proxied_drop(const struct streams *streams, struct stream_carry *carry)
{
	struct proxied_carry *carried = carry->state;
	stream_carry_drop(streams, &carried->below);
	free(carried);
}

static const struct stream_ops PROXIED_OPS = {
	.receive = proxied_receive,
	.pending = proxied_pending,
	.send = proxied_send,
	.sendv = proxied_sendv,
	.flush = proxied_flush,
	.stage_descriptor = proxied_stage_descriptor,
	.stage = proxied_stage,
	.staged = proxied_staged,
	.acknowledge = proxied_acknowledge,
	.shutdown = proxied_shutdown,
	.close = proxied_end,
	.borrow = proxied_borrow,
	.give_back = proxied_give_back,
	.describe = proxied_describe,
	.settle = proxied_settle,
	.release = proxied_release,
	.adopt = proxied_adopt,
	.drop = proxied_drop,
};

/* ---- opening ---- */

enum error proxied_streams_open(struct proxied_streams *proxied, struct streams *streams, struct arena *arena,
				uint32_t limit)
{
	*proxied = (struct proxied_streams){0};
	CHECK(limit != 0 && limit <= STREAM_NUMBER_MAX);
	enum error error = pool_open_in(&proxied->pool, arena, "proxied", sizeof(struct proxied), limit);
	if (error == ERROR_OK)
		streams_add_kind(streams, STREAM_PROXIED, &PROXIED_OPS, proxied);
	return error;
}

void proxied_streams_close(struct proxied_streams *proxied)
{
	pool_close(&proxied->pool);
}

struct stream proxied_stream_over(struct streams *streams, struct stream below, const union peer *client)
{
	uint32_t index = pool_take(&proxied_of(streams)->pool);
	if (index == 0)
		return STREAM_NONE;
	*(struct proxied *)pool_at(&proxied_of(streams)->pool, index) = proxied_new(below, client);
	return stream_of(STREAM_PROXIED, (int)index);
}
