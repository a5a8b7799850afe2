/* The scene's connections as WebSockets. A client's end cuts what it says into frames of several kinds, with a Ping now
 * and then, and takes the shard's frames apart however they come. */
#include "scene_link.h"

#include "shard_scene.h"
#include "transport/stream_websocket.h"

#include <string.h>

/* In this file they are the system's. */
#undef send
#undef recv

#define LINKS_MAX 4096
#define PART_BYTES_MAX 500u

/* What came to a client's end. */
struct link {
	uint8_t head[WS_HEAD_BYTES_MAX]; /* of the frame that is under way, in part */
	size_t head_bytes;
	uint64_t left; /* of its payload */
	uint8_t opcode;
	size_t pings; /* that were sent and not answered */
	uint32_t sent;
};

static struct link *links[LINKS_MAX];

/* A shard has the kind. */
void link_shard_begin(uint16_t shard, struct streams *streams)
{
	(void)shard;
	CHECK(streams->ops[STREAM_WEBSOCKET] != NULL);
}

void link_shard_end(uint16_t shard)
{
	(void)shard;
	for (int i = 0; i < LINKS_MAX; i++) {
		free(links[i]);
		links[i] = NULL;
	}
}

/* The upgrade is done: the stream is made here, and released to the shard as a gate does it. */
void link_begin(int shard_end, int client_end, struct stream_carry *carry)
{
	struct streams streams;
	struct websocket_streams websockets;
	CHECK(client_end >= 0 && client_end < LINKS_MAX);
	free(links[client_end]);
	links[client_end] = calloc(1, sizeof(*links[client_end]));
	CHECK(links[client_end] != NULL);
	streams_init(&streams);
	CHECK(websocket_streams_open(&websockets, &streams, NULL, 1, false) == ERROR_OK);
	struct stream stream =
		websocket_stream_over(&streams, stream_of(STREAM_DESCRIPTOR, shard_end), (struct slice){0});
	CHECK(stream_release(&streams, stream, carry) == shard_end);
	websocket_streams_close(&websockets);
}

static size_t write_frame(uint8_t *out, uint8_t first, const uint8_t *payload, size_t size)
{
	static const uint8_t MASK[4] = {0x5a, 0xc3, 0x17, 0xfe};
	size_t head = ws_head_write(WS_BINARY, size, MASK, out);
	out[0] = first;
	ws_mask(out + head, payload, size, MASK, 0);
	return head + size;
}

/* In one frame, or in three with a Ping between them. They are short: a unix socket takes them whole or not at all. */
static bool send_part(struct link *link, int fd, const uint8_t *bytes, size_t size, int flags)
{
	static const uint8_t FINAL = 0x80;
	uint8_t frames[4 * WS_HEAD_BYTES_MAX + 2 * PART_BYTES_MAX];
	size_t used = 0, first = size / 2;
	bool cut = link->sent++ % 3 == 0, ping = cut && link->pings == 0;
	if (cut)
		used += write_frame(frames, WS_BINARY, bytes, first);
	if (ping)
		used += write_frame(frames + used, FINAL | WS_PING, bytes, first < 100 ? first : 100);
	if (cut) {
		used += write_frame(frames + used, WS_CONTINUATION, bytes, 0);
		used += write_frame(frames + used, FINAL | WS_CONTINUATION, bytes + first, size - first);
	} else {
		used += write_frame(frames, FINAL | WS_BINARY, bytes, size);
	}
	ssize_t sent = send(fd, frames, used, flags);
	CHECK(sent < 0 || (size_t)sent == used);
	link->pings += ping && sent > 0;
	return sent >= 0;
}

ssize_t link_send(int fd, const void *bytes, size_t size, int flags)
{
	struct link *link = fd >= 0 && fd < LINKS_MAX ? links[fd] : NULL;
	const uint8_t *at = bytes;
	size_t sent = 0;
	if (link == NULL)
		return send(fd, bytes, size, flags);
	while (sent != size) {
		size_t part = size - sent < PART_BYTES_MAX ? size - sent : PART_BYTES_MAX;
		if (!send_part(link, fd, at + sent, part, flags))
			return sent != 0 ? (ssize_t)sent : -1;
		sent += part;
	}
	return (ssize_t)sent;
}

/* Reads of the head, a byte each time: it says nothing before it is whole. False: there is nothing, or the end, which
 * is *result. */
static bool read_head(struct link *link, int fd, int flags, ssize_t *result)
{
	struct ws_head head;
	*result = recv(fd, link->head + link->head_bytes, 1, flags);
	if (*result <= 0)
		return false;
	link->head_bytes++;
	enum error error = ws_head_read(slice_of(link->head, link->head_bytes), false, &head);
	CHECK(error == ERROR_OK || error == ERROR_MORE);
	if (error == ERROR_MORE)
		return true;
	CHECK(head.is_final);
	CHECK(head.opcode == WS_BINARY || head.opcode == WS_CLOSE || (head.opcode == WS_PONG && link->pings != 0));
	link->head_bytes = 0;
	link->left = head.payload_bytes;
	link->opcode = head.opcode;
	if (head.opcode == WS_PONG)
		link->pings = 0;
	return true;
}

size_t link_unread(int fd)
{
	return fd >= 0 && fd < LINKS_MAX && links[fd] != NULL ? links[fd]->head_bytes : 0;
}

ssize_t link_recv(int fd, void *bytes, size_t size, int flags)
{
	struct link *link = fd >= 0 && fd < LINKS_MAX ? links[fd] : NULL;
	if (link == NULL)
		return recv(fd, bytes, size, flags);
	size_t got = 0;
	while (got != size) {
		ssize_t result;
		if (link->left == 0) {
			if (!read_head(link, fd, flags, &result))
				return got != 0 ? (ssize_t)got : result;
			continue;
		}
		uint8_t control[WS_CONTROL_BYTES_MAX];
		bool is_data = link->opcode == WS_BINARY;
		size_t room = is_data ? size - got : sizeof(control);
		void *to = is_data ? (uint8_t *)bytes + got : control;
		result = recv(fd, to, link->left < room ? (size_t)link->left : room, flags);
		if (result <= 0)
			return got != 0 ? (ssize_t)got : result;
		link->left -= (uint64_t)result;
		got += is_data ? (size_t)result : 0;
	}
	return (ssize_t)got;
}
