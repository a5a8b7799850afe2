/* Frames of a peer, through a WebSocket stream on top of a stream that is as awkward as one may be: it gives and takes
 * bytes in pieces of any size, and now and then none. The first bytes seed those pieces. The same frames come once more
 * all at once: both ways have to yield the same bytes and the same end. What the stream writes meanwhile has to be
 * whole frames, with the caller's bytes in their order. */
#include "fuzz.h"

#include "transport/stream_websocket.h"

#include <errno.h>
#include <string.h>

#define BELOW_KIND (STREAM_KINDS - 1)
#define SEED_BYTES 5u
#define INPUT_BYTES_MAX ((size_t)1 << 16)
#define OUTPUT_BYTES_MAX ((size_t)1 << 18)
#define ROUNDS_MAX 200000u

/* The stream beneath. */
struct below {
	uint64_t random; /* 0: takes and gives whatever it can */
	struct slice in;
	size_t given;
	uint8_t *out;
	size_t out_bytes;
	/* What was offered and not taken: it may be in a record, and has to be offered again. */
	uint8_t *offered;
	size_t offered_bytes;
};

static uint32_t below_random(struct below *below, uint32_t limit)
{
	below->random ^= below->random >> 12;
	below->random ^= below->random << 25;
	below->random ^= below->random >> 27;
	return (uint32_t)(((below->random * 0x2545F4914F6CDD1Du >> 32) * limit) >> 32);
}

static struct below *below_of(const struct streams *streams)
{
	return streams->contexts[BELOW_KIND];
}

static ssize_t below_receive(struct streams *streams, struct stream stream, void *buffer, size_t size, bool *more)
{
	struct below *below = below_of(streams);
	(void)stream;
	size_t left = below->in.size - below->given;
	size_t part = left < size ? left : size;
	*more = true;
	if (below->random != 0 && part > 1)
		part = 1 + below_random(below, below_random(below, 3) == 0 ? (uint32_t)part
					       : part < 9                  ? (uint32_t)part
									   : 9);
	if (part == 0 || (below->random != 0 && below_random(below, 4) == 0)) {
		*more = left != 0;
		errno = EAGAIN;
		return -1;
	}
	memcpy(buffer, below->in.data + below->given, part);
	below->given += part;
	return (ssize_t)part;
}

static bool below_pending(struct streams *streams, struct stream stream)
{
	(void)stream;
	return below_of(streams)->given != below_of(streams)->in.size;
}

static ssize_t below_sendv(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count)
{
	static uint8_t all[OUTPUT_BYTES_MAX];
	struct below *below = below_of(streams);
	size_t size = 0;
	(void)stream;
	for (size_t i = 0; i < count; i++) {
		memcpy(all + size, parts[i].iov_base, parts[i].iov_len);
		size += parts[i].iov_len;
	}
	size_t same = size < below->offered_bytes ? size : below->offered_bytes;
	CHECK(size != 0 && memcmp(all, below->offered, same) == 0);
	size_t part = size;
	if (below->random != 0)
		part = below_random(below, 3) == 0 ? 0 : 1 + below_random(below, (uint32_t)size);
	CHECK(below->out_bytes + part <= OUTPUT_BYTES_MAX);
	memcpy(below->out + below->out_bytes, all, part);
	below->out_bytes += part;
	memcpy(below->offered, all + part, size - part);
	below->offered_bytes = size - part;
	errno = EAGAIN;
	return part != 0 ? (ssize_t)part : -1;
}

static ssize_t below_send(struct streams *streams, struct stream stream, const void *bytes, size_t size)
{
	struct iovec part = {(void *)(uintptr_t)bytes, size};
	return below_sendv(streams, stream, &part, 1);
}

static void below_nothing(struct streams *streams, struct stream stream)
{
	(void)streams;
	(void)stream;
}

static int below_borrow(struct streams *streams, struct stream stream)
{
	(void)streams;
	(void)stream;
	return -1;
}

static void below_give_back(struct streams *streams, struct stream stream, int fd)
{
	(void)streams;
	(void)stream;
	(void)fd;
}

static int below_release(struct streams *streams, struct stream stream, struct stream_carry *carry)
{
	(void)streams;
	*carry = (struct stream_carry){.kind = BELOW_KIND};
	return stream_number(stream);
}

static struct stream below_adopt(struct streams *streams, int fd, struct stream_carry *carry)
{
	(void)streams;
	(void)carry;
	return stream_of(BELOW_KIND, fd);
}

static const struct stream_ops BELOW_OPS = {
	.receive = below_receive,
	.pending = below_pending,
	.send = below_send,
	.sendv = below_sendv,
	.acknowledge = below_nothing,
	.shutdown = below_nothing,
	.close = below_nothing,
	.borrow = below_borrow,
	.give_back = below_give_back,
	.release = below_release,
	.adopt = below_adopt,
};

/* What was read, so that two readings can be compared. */
struct trace {
	uint8_t *bytes;
	size_t size;
	int end; /* 0: in order; EPROTO; EAGAIN: the frames go on */
	enum error error;
	uint64_t pings;
	size_t sent;
};

static uint8_t byte_at(size_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) * 7);
}

/* Offers up to a few hundred bytes, which begin where those that were taken ended. */
static void write_some(struct streams *streams, struct stream stream, struct below *below, struct trace *trace)
{
	static uint8_t bytes[3000];
	size_t size = 1 + below_random(below, below_random(below, 8) == 0 ? sizeof(bytes) : 200);
	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(trace->sent + i);
	size_t first = below_random(below, (uint32_t)size);
	struct iovec parts[2] = {{bytes, first}, {bytes + first, size - first}};
	ssize_t sent = stream_sendv(streams, stream, parts, 2);
	CHECK(sent > 0 ? sent <= (ssize_t)size : errno == EAGAIN);
	trace->sent += sent > 0 ? (size_t)sent : 0;
}

static struct stream move(struct streams *streams, struct stream stream)
{
	struct stream_carry carry;
	int fd = stream_release(streams, stream, &carry);
	CHECK(fd >= 0);
	stream = stream_adopt(streams, fd, &carry);
	CHECK(stream_exists(stream));
	return stream;
}

static void read_stream(struct websocket_streams *websockets, struct streams *streams, struct below *below,
			struct slice unread, struct trace *trace)
{
	struct stream stream = websocket_stream_over(streams, stream_of(BELOW_KIND, 1), unread);
	bool more = true, wild = below->random != 0;
	CHECK(stream_exists(stream));
	for (uint32_t round = 0; more || below->given != below->in.size; round++) {
		CHECK(round < ROUNDS_MAX);
		size_t room = wild ? 1 + below_random(below, 70) : INPUT_BYTES_MAX;
		ssize_t count = stream_receive(streams, stream, trace->bytes + trace->size, room, &more);
		CHECK(count <= (ssize_t)room);
		trace->size += count > 0 ? (size_t)count : 0;
		trace->end = count == 0 ? 0 : errno;
		CHECK(count >= 0 || errno == EAGAIN || errno == EPROTO);
		if (count == 0 || (count < 0 && errno == EPROTO))
			break;
		trace->end = EAGAIN;
		if (wild && below_random(below, 4) == 0 && below->out_bytes < OUTPUT_BYTES_MAX / 2)
			write_some(streams, stream, below, trace);
		if (wild && below_random(below, 4) == 0)
			stream_flush(streams, stream);
		if (wild && below_random(below, 16) == 0)
			stream = move(streams, stream);
	}
	trace->error = stream_facts(streams, stream).error;
	CHECK((trace->error != ERROR_OK) == (trace->end == EPROTO));
	stream_close(streams, stream);
	trace->pings = websockets->pings;
}

/* Whole frames but for the last, which may be cut; the caller's bytes in order; Pongs of no more than 125 bytes; and a
 * Close frame at the end alone. */
static void check_output(const struct below *below, const struct trace *trace)
{
	size_t data = 0;
	struct ws_head head;
	for (size_t at = 0; at < below->out_bytes;) {
		enum error error = ws_head_read(slice_of(below->out + at, below->out_bytes - at), false, &head);
		if (error == ERROR_MORE)
			return;
		CHECK(error == ERROR_OK && head.is_final);
		CHECK(head.opcode == WS_BINARY || head.opcode == WS_PONG || head.opcode == WS_CLOSE);
		at += head.bytes;
		size_t left = below->out_bytes - at;
		size_t part = head.payload_bytes < left ? (size_t)head.payload_bytes : left;
		for (size_t i = 0; head.opcode == WS_BINARY && i < part; i++)
			CHECK(below->out[at + i] == byte_at(data++));
		at += part;
		CHECK(head.opcode != WS_CLOSE || at == below->out_bytes);
		if (part != head.payload_bytes)
			return;
	}
	CHECK(data == trace->sent);
}

static void play(struct slice bytes, uint64_t random, size_t unread, struct trace *trace)
{
	struct streams streams;
	struct websocket_streams websockets;
	struct below below = {
		.random = random,
		.in = slice_of(bytes.data + unread, bytes.size - unread),
		.out = block_new(OUTPUT_BYTES_MAX),
		.offered = block_new(OUTPUT_BYTES_MAX),
	};
	*trace = (struct trace){.bytes = block_new(2 * INPUT_BYTES_MAX)};
	streams_init(&streams);
	streams_add_kind(&streams, BELOW_KIND, &BELOW_OPS, &below);
	CHECK(websocket_streams_open(&websockets, &streams, NULL, 4, false) == ERROR_OK);
	read_stream(&websockets, &streams, &below, slice_of(bytes.data, unread), trace);
	check_output(&below, trace);
	CHECK(websockets.slab.used_bytes == 0);
	websocket_streams_close(&websockets);
	free(below.out);
	free(below.offered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < SEED_BYTES || size > INPUT_BYTES_MAX)
		return 0;
	uint32_t seed;
	memcpy(&seed, data, sizeof(seed));
	struct slice bytes = slice_of(data + SEED_BYTES, size - SEED_BYTES);
	struct trace at_once, in_pieces;
	play(bytes, 0, 0, &at_once);
	play(bytes, seed | (uint64_t)1 << 40, data[4] < bytes.size ? data[4] : 0, &in_pieces);
	CHECK(at_once.size == in_pieces.size && memcmp(at_once.bytes, in_pieces.bytes, at_once.size) == 0);
	CHECK(at_once.end == in_pieces.end && at_once.error == in_pieces.error);
	CHECK(at_once.size <= bytes.size && at_once.sent == 0);
	free(at_once.bytes);
	free(in_pieces.bytes);
	return 0;
}
