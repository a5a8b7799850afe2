#include "scene_link.h"

#include "framed_stream.h"
#include "shard_scene.h"

#include <errno.h>
#include <string.h>

/* In this file they are the system's. */
#undef send
#undef recv

#define LINKS_MAX 4096
#define RAW_BYTES ((size_t)64 << 10)

/* What came to a client's end. */
struct link {
	uint8_t raw[RAW_BYTES]; /* frames, the last of them in part */
	size_t raw_bytes;
	uint8_t body[FRAMED_BODY_BYTES_MAX]; /* of the last frame that was taken */
	size_t body_bytes;
	size_t body_taken;
	size_t pings; /* that were sent and not answered */
};

static struct framed link_framed[SCENE_SHARDS_MAX];
static struct link *links[LINKS_MAX];

void link_shard_begin(uint16_t shard, struct streams *streams)
{
	framed_open(&link_framed[shard], streams);
}

/* A shard that ends leaves its sockets to the end of its table. */
void link_shard_end(uint16_t shard)
{
	pool_close(&link_framed[shard].pool);
	for (int i = 0; i < LINKS_MAX; i++) {
		free(links[i]);
		links[i] = NULL;
	}
}

void link_begin(int shard_end, int client_end, struct stream_carry *carry)
{
	int fd = client_end;
	(void)shard_end;
	carry->kind = FRAMED_KIND;
	CHECK(fd >= 0 && fd < LINKS_MAX);
	free(links[fd]);
	links[fd] = calloc(1, sizeof(*links[fd]));
	CHECK(links[fd] != NULL);
}

/* Frames are short: a unix socket takes them whole. */
static bool send_frame(int fd, enum framed_type type, const uint8_t *body, size_t size, int flags)
{
	uint8_t frame[FRAMED_HEAD_BYTES + FRAMED_BODY_BYTES_MAX];
	size_t frame_bytes = framed_encode(type, body, size, frame);
	ssize_t sent = send(fd, frame, frame_bytes, flags);
	CHECK(sent < 0 || (size_t)sent == frame_bytes);
	return sent >= 0;
}

/* Asks for an answer of the layer's own now and then, so that those come between the packets. */
ssize_t link_send(int fd, const void *bytes, size_t size, int flags)
{
	const uint8_t *at = bytes;
	size_t sent = 0;
	while (sent != size) {
		size_t part = size - sent < FRAMED_BODY_BYTES_MAX ? size - sent : FRAMED_BODY_BYTES_MAX;
		if (!send_frame(fd, FRAMED_DATA, at + sent, part, flags))
			return sent != 0 ? (ssize_t)sent : -1;
		sent += part;
		if (links[fd] != NULL && links[fd]->pings == 0)
			links[fd]->pings += send_frame(fd, FRAMED_PING, NULL, 0, flags);
	}
	return (ssize_t)sent;
}

/* False: there is none. */
static bool take_frame(struct link *link)
{
	uint8_t *body;
	size_t size;
	int type = framed_decode(link->raw, link->raw_bytes, &body, &size);
	if (type == 0)
		return false;
	CHECK(type == FRAMED_DATA || type == FRAMED_PONG || type == FRAMED_CLOSE);
	CHECK(type != FRAMED_PONG || link->pings != 0);
	if (type == FRAMED_PONG)
		link->pings = 0;
	memcpy(link->body, body, size);
	link->body_bytes = size;
	link->body_taken = 0;
	size_t whole = FRAMED_HEAD_BYTES + size;
	link->raw_bytes -= whole;
	memmove(link->raw, link->raw + whole, link->raw_bytes);
	return true;
}

size_t link_unread(int fd)
{
	return fd >= 0 && fd < LINKS_MAX && links[fd] != NULL ? links[fd]->raw_bytes : 0;
}

ssize_t link_recv(int fd, void *bytes, size_t size, int flags)
{
	struct link *link = fd >= 0 && fd < LINKS_MAX ? links[fd] : NULL;
	if (link == NULL)
		return recv(fd, bytes, size, flags);
	size_t got = 0;
	while (got != size) {
		if (link->body_taken == link->body_bytes && take_frame(link))
			continue;
		if (link->body_taken == link->body_bytes) {
			ssize_t some = recv(fd, link->raw + link->raw_bytes, RAW_BYTES - link->raw_bytes, flags);
			if (some <= 0)
				return got != 0 ? (ssize_t)got : some;
			link->raw_bytes += (size_t)some;
			continue;
		}
		size_t left = link->body_bytes - link->body_taken;
		size_t part = left < size - got ? left : size - got;
		memcpy((uint8_t *)bytes + got, link->body + link->body_taken, part);
		link->body_taken += part;
		got += part;
	}
	return (ssize_t)got;
}
