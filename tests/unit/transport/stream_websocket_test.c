/* WebSocket streams from the side of the wire: the peer is a bare socket that says what no library would. That bytes
 * come whole and in order, and that io works over them, net_stream_test.c shows for all kinds. */
#include "transport/stream_websocket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
/* More than what the stream keeps of all that is under way. */
#define BUSY_BYTES_MAX 512u

struct scene {
	struct streams streams;
	struct websocket_streams websockets;
	struct stream stream;
	int peer;
};

static void scene_begin(struct scene *scene, bool masks, struct slice unread)
{
	int pair[2];
	streams_init(&scene->streams);
	assert_int_equal(websocket_streams_open(&scene->websockets, &scene->streams, NULL, 10, masks), ERROR_OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	scene->stream = websocket_stream_over(&scene->streams, stream_of(STREAM_DESCRIPTOR, pair[0]), unread);
	scene->peer = pair[1];
	assert_true(stream_exists(scene->stream));
}

static struct scene *scene_new(bool masks)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	scene_begin(scene, masks, (struct slice){0});
	return scene;
}

static void scene_free(struct scene *scene)
{
	if (stream_exists(scene->stream))
		stream_close(&scene->streams, scene->stream);
	if (scene->peer >= 0)
		close(scene->peer);
	assert_int_equal(scene->websockets.slab.used_bytes, 0);
	assert_int_equal(scene->websockets.pool.used, 0);
	websocket_streams_close(&scene->websockets);
	free(scene);
}

/* ---- the peer ---- */

static void peer_say(struct scene *scene, const void *bytes, size_t size)
{
	assert_int_equal(send(scene->peer, bytes, size, MSG_NOSIGNAL), size);
}

/* A frame of a client: first byte, payload. Returns its size. */
static size_t frame_of_client(uint8_t first, const void *payload, size_t size, uint8_t *out)
{
	static const uint8_t MASK[4] = {0xa1, 0x02, 0xc3, 0x04};
	size_t head = ws_head_write(WS_BINARY, size, MASK, out);
	out[0] = first;
	ws_mask(out + head, payload, size, MASK, 0);
	return head + size;
}

static void peer_say_frame(struct scene *scene, uint8_t first, const void *payload, size_t size)
{
	uint8_t frame[512];
	assert_true(size <= 256);
	peer_say(scene, frame, frame_of_client(first, payload, size, frame));
}

/* The next frame that the stream sent, unmasked. Returns its first byte; 0: there is none. */
static int peer_hear(struct scene *scene, uint8_t *payload, size_t *size)
{
	struct ws_head head;
	uint8_t bytes[WS_HEAD_BYTES_MAX];
	for (size_t have = 0;; have++) {
		enum error error = ws_head_read(slice_of(bytes, have), scene->websockets.masks, &head);
		if (error == ERROR_OK)
			break;
		assert_int_equal(error, ERROR_MORE);
		if (recv(scene->peer, bytes + have, 1, 0) != 1)
			return 0;
	}
	*size = (size_t)head.payload_bytes;
	for (size_t have = 0; have != *size;) {
		ssize_t some = recv(scene->peer, payload + have, *size - have, 0);
		assert_true(some > 0);
		have += (size_t)some;
	}
	ws_mask(payload, payload, *size, head.mask, 0);
	return bytes[0];
}

static void assert_hears(struct scene *scene, int first, const void *payload, size_t size)
{
	uint8_t heard[70000];
	size_t heard_bytes;
	assert_int_equal(peer_hear(scene, heard, &heard_bytes), first);
	assert_int_equal(heard_bytes, size);
	assert_memory_equal(heard, payload, size);
}

static void assert_hears_nothing(struct scene *scene)
{
	uint8_t byte;
	assert_int_equal(recv(scene->peer, &byte, 1, MSG_PEEK), -1);
}

/* ---- the stream ---- */

/* Reads until there is nothing for now, or the end: what receive() said last. Errno is its. */
static ssize_t read_all(struct scene *scene, uint8_t *bytes, size_t *size, size_t at_once)
{
	bool more = true;
	ssize_t count = -1;
	errno = EAGAIN;
	*size = 0;
	while (more) {
		count = stream_receive(&scene->streams, scene->stream, bytes + *size, at_once, &more);
		if (count > 0)
			*size += (size_t)count;
		else if (count == 0 || errno != EAGAIN)
			break;
	}
	return count > 0 ? -1 : count;
}

static void assert_reads(struct scene *scene, const char *text)
{
	uint8_t bytes[1024];
	size_t size;
	assert_int_equal(read_all(scene, bytes, &size, 500), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(size, strlen(text));
	assert_memory_equal(bytes, text, size);
}

static void assert_rests(const struct scene *scene)
{
	assert_int_equal(scene->websockets.slab.used_bytes, 0);
	assert_int_equal(scene->websockets.pool.object_bytes, 8);
}

/* ---- frames in, however they are cut ---- */

static size_t compose_talk(uint8_t *out)
{
	static uint8_t long_one[300];
	size_t size = 0;
	memset(long_one, 'L', sizeof(long_one));
	size += frame_of_client(0x82, "one", 3, out + size);
	size += frame_of_client(0x02, "frag", 4, out + size);
	size += frame_of_client(0x89, "between", 7, out + size);
	size += frame_of_client(0x00, "", 0, out + size);
	size += frame_of_client(0x8a, "nobody asked", 12, out + size);
	size += frame_of_client(0x80, "ment", 4, out + size);
	size += frame_of_client(0x82, "", 0, out + size);
	size += frame_of_client(0x82, long_one, sizeof(long_one), out + size);
	size += frame_of_client(0x89, "", 0, out + size);
	size += frame_of_client(0x02, "x", 1, out + size);
	size += frame_of_client(0x80, "y", 1, out + size);
	return size;
}

static void assert_talk(const uint8_t *bytes, size_t size)
{
	assert_int_equal(size, 3 + 8 + 300 + 2);
	assert_memory_equal(bytes, "onefragment", 11);
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(bytes[11 + i], 'L');
	assert_memory_equal(bytes + 311, "xy", 2);
}

/* In two pieces, at each byte; read with buffers of several sizes. */
static void test_cut_in_two(void **state)
{
	(void)state;
	static const size_t AT_ONCE[] = {1, 2, 7, 64, 4096};
	uint8_t talk[1024], bytes[1024];
	size_t talk_bytes = compose_talk(talk), first, second;
	struct scene *scene = scene_new(false);
	for (size_t cut = 0; cut <= talk_bytes; cut++) {
		size_t at_once = AT_ONCE[cut % COUNT_OF(AT_ONCE)];
		if (cut != 0)
			peer_say(scene, talk, cut);
		assert_int_equal(read_all(scene, bytes, &first, at_once), -1);
		if (cut != talk_bytes)
			peer_say(scene, talk + cut, talk_bytes - cut);
		assert_int_equal(read_all(scene, bytes + first, &second, at_once), -1);
		assert_talk(bytes, first + second);
		assert_rests(scene);
		/* One Pong a read at the most, and the newest. */
		uint8_t heard[200];
		size_t heard_bytes = 99;
		uint32_t pongs = 0;
		while (peer_hear(scene, heard, &heard_bytes) != 0)
			pongs++;
		assert_in_range(pongs, 1, 2);
		assert_int_equal(heard_bytes, 0);
	}
	scene_free(scene);
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	uint8_t talk[1024], bytes[1024];
	size_t talk_bytes = compose_talk(talk), got = 0, size;
	struct scene *scene = scene_new(false);
	for (size_t i = 0; i < talk_bytes; i++) {
		peer_say(scene, talk + i, 1);
		assert_int_equal(read_all(scene, bytes + got, &size, 100), -1);
		got += size;
		assert_true(scene->websockets.slab.used_bytes <= BUSY_BYTES_MAX);
	}
	assert_talk(bytes, got);
	assert_rests(scene);
	assert_hears(scene, 0x8a, "between", 7);
	assert_hears(scene, 0x8a, "", 0);
	assert_int_equal(scene->websockets.pings, 2);
	scene_free(scene);
}

static void test_what_came_behind_the_upgrade(void **state)
{
	(void)state;
	uint8_t talk[1024], bytes[1024];
	size_t talk_bytes = compose_talk(talk), first, second;
	for (size_t cut = 0; cut <= talk_bytes; cut++) {
		struct scene *scene = calloc(1, sizeof(*scene));
		scene_begin(scene, false, slice_of(talk, cut));
		assert_int_equal(stream_pending(&scene->streams, scene->stream), cut != 0);
		assert_int_equal(read_all(scene, bytes, &first, 50), -1);
		assert_false(stream_pending(&scene->streams, scene->stream));
		if (cut != talk_bytes)
			peer_say(scene, talk + cut, talk_bytes - cut);
		assert_int_equal(read_all(scene, bytes + first, &second, 50), -1);
		assert_talk(bytes, first + second);
		assert_rests(scene);
		scene_free(scene);
	}
}

/* A length that is announced costs nothing. */
static void test_longest_payload(void **state)
{
	(void)state;
	static const uint8_t HEAD[] = {0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
	struct scene *scene = scene_new(false);
	peer_say(scene, HEAD, sizeof(HEAD));
	assert_reads(scene, "");
	peer_say(scene, "endless", 7);
	assert_reads(scene, "endless");
	assert_true(scene->websockets.slab.used_bytes <= BUSY_BYTES_MAX);
	scene_free(scene);
}

static size_t unread_bytes(struct scene *scene)
{
	int bytes = -1;
	assert_int_equal(ioctl(stream_borrow(&scene->streams, scene->stream), FIONREAD, &bytes), 0);
	return (size_t)bytes;
}

/* Frames without payload: each receive() takes a little, and says that there may be more. */
static void test_flood_of_empty_frames(void **state)
{
	(void)state;
	static uint8_t flood[60000], bytes[1 << 16];
	size_t size = 0;
	for (uint32_t i = 0; size + 14 <= sizeof(flood); i++)
		size += frame_of_client(i == 0 ? 0x02 : i % 3 == 0 ? 0x89 : 0x00, "", 0, flood + size);
	struct scene *scene = scene_new(false);
	peer_say(scene, flood, size);
	bool more = false;
	assert_int_equal(stream_receive(&scene->streams, scene->stream, bytes, 8192, &more), -1);
	uint32_t receives = 0;
	while (more) {
		size_t before = unread_bytes(scene);
		assert_int_equal(stream_receive(&scene->streams, scene->stream, bytes, sizeof(bytes), &more), -1);
		assert_int_equal(errno, EAGAIN);
		assert_true(before - unread_bytes(scene) <= 4096);
		receives++;
	}
	assert_true(receives >= (size - 8192) / 4096);
	assert_true(scene->websockets.pings <= receives + 1); /* one Pong a read */
	/* With payload again, reads are as long as they were. */
	size = frame_of_client(0x80, flood, 50000, bytes);
	peer_say(scene, bytes, size);
	size_t got = 0;
	for (receives = 0, more = true; more; receives++) {
		ssize_t count = stream_receive(&scene->streams, scene->stream, bytes, sizeof(bytes), &more);
		got += count > 0 ? (size_t)count : 0;
	}
	assert_int_equal(got, 50000);
	assert_true(receives <= 3);
	scene_free(scene);
}

/* ---- Ping ---- */

static void test_ping_is_answered(void **state)
{
	(void)state;
	uint8_t payload[WS_CONTROL_BYTES_MAX];
	memset(payload, 'p', sizeof(payload));
	struct scene *scene = scene_new(false);
	for (size_t size = 0; size <= sizeof(payload); size++) {
		peer_say_frame(scene, 0x89, payload, size);
		assert_reads(scene, "");
		assert_hears(scene, 0x8a, payload, size);
		assert_rests(scene);
	}
	scene_free(scene);
}

/* Fills the socket, with a frame that is cut or not. Returns how many bytes of `text` were taken. */
static size_t fill(struct scene *scene, const uint8_t *text, size_t size)
{
	size_t taken = 0;
	for (;;) {
		ssize_t sent = stream_send(&scene->streams, scene->stream, text, size);
		if (sent < 0)
			break;
		taken += (size_t)sent;
	}
	assert_int_equal(errno, EAGAIN);
	return taken;
}

static void test_pong_waits_for_room(void **state)
{
	(void)state;
	static uint8_t text[1000], heard[70000];
	struct scene *scene = scene_new(false);
	size_t frames = fill(scene, text, sizeof(text)) / sizeof(text), size;
	peer_say_frame(scene, 0x89, "old", 3);
	peer_say_frame(scene, 0x82, "data", 4);
	assert_reads(scene, "data");
	peer_say_frame(scene, 0x89, "newest", 6);
	assert_reads(scene, "");
	assert_int_equal(scene->websockets.pings, 0);
	assert_int_equal(stream_flush(&scene->streams, scene->stream), -1);
	assert_int_equal(errno, EAGAIN);
	for (size_t i = 0; i < frames; i++)
		assert_int_equal(peer_hear(scene, heard, &size), 0x82);
	assert_int_equal(stream_flush(&scene->streams, scene->stream), 0);
	assert_hears(scene, 0x8a, "newest", 6);
	assert_hears_nothing(scene);
	assert_rests(scene);
	scene_free(scene);
}

/* ---- Close, and what breaks the protocol ---- */

static void test_close_is_answered(void **state)
{
	(void)state;
	static const struct {
		const char *payload;
		size_t size, answer_bytes;
	} CASES[] = {
		{"", 0, 0},
		{"\x03\xe8", 2, 2},
		{"\x03\xe9 going away", 13, 2},
		{"\x0f\xa0", 2, 2},
	};
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		struct scene *scene = scene_new(false);
		uint8_t bytes[100];
		size_t size;
		peer_say_frame(scene, 0x82, "before", 6);
		peer_say_frame(scene, 0x88, CASES[i].payload, CASES[i].size);
		peer_say_frame(scene, 0x82, "behind", 6);
		assert_int_equal(read_all(scene, bytes, &size, sizeof(bytes)), 0);
		assert_int_equal(size, 6);
		assert_memory_equal(bytes, "before", 6);
		assert_true(stream_pending(&scene->streams, scene->stream));
		assert_int_equal(read_all(scene, bytes, &size, sizeof(bytes)), 0);
		assert_int_equal(stream_facts(&scene->streams, scene->stream).error, ERROR_OK);
		assert_int_equal(stream_send(&scene->streams, scene->stream, "last", 4), 4);
		stream_close(&scene->streams, scene->stream);
		scene->stream = STREAM_NONE;
		assert_hears(scene, 0x82, "last", 4);
		assert_hears(scene, 0x88, CASES[i].payload, CASES[i].answer_bytes);
		assert_int_equal(recv(scene->peer, bytes, 1, 0), 0);
		assert_int_equal(scene->websockets.failures, 0);
		scene_free(scene);
	}
}

static const struct {
	const char *bytes;
	size_t size;
	enum error error;
	uint16_t code;
} BROKEN[] = {
	{"\x82\x01x", 3, ERROR_WS_MASK, WS_CLOSE_PROTOCOL},
	{"\xc2\x80", 2, ERROR_WS_RESERVED, WS_CLOSE_PROTOCOL},
	{"\x83\x80", 2, ERROR_WS_RESERVED, WS_CLOSE_PROTOCOL},
	{"\x89\xfe", 2, ERROR_WS_CONTROL, WS_CLOSE_PROTOCOL},
	{"\x09\x80", 2, ERROR_WS_CONTROL, WS_CLOSE_PROTOCOL},
	{"\x82\xfe\0\1", 4, ERROR_WS_LENGTH, WS_CLOSE_PROTOCOL},
	{"\x82\xff\x80", 3, ERROR_WS_LENGTH, WS_CLOSE_PROTOCOL},
	{"\x80\x80\0\0\0\0", 6, ERROR_WS_CONTINUATION, WS_CLOSE_PROTOCOL},
	{"\x02\x80\0\0\0\0\x82\x80\0\0\0\0", 12, ERROR_WS_CONTINUATION, WS_CLOSE_PROTOCOL},
	{"\x02\x80\0\0\0\0\x81\x80\0\0\0\0", 12, ERROR_WS_CONTINUATION, WS_CLOSE_PROTOCOL},
	{"\x81\x80\0\0\0\0", 6, ERROR_WS_TEXT, WS_CLOSE_UNSUPPORTED},
	{"\x01\x81\0\0\0\0", 6, ERROR_WS_TEXT, WS_CLOSE_UNSUPPORTED},
	{"\x88\x81\0\0\0\0\3", 7, ERROR_WS_CLOSE, WS_CLOSE_PROTOCOL},
	{"\x88\x82\0\0\0\0\3\xed", 8, ERROR_WS_CLOSE, WS_CLOSE_PROTOCOL},
};

/* What came before is read; then the peer is told, and stream_facts() says how it broke it. */
static void test_broken_protocol(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(BROKEN) * 2; i++) {
		struct scene *scene = scene_new(false);
		uint8_t bytes[100], code[2] = {(uint8_t)(BROKEN[i / 2].code >> 8), (uint8_t)BROKEN[i / 2].code};
		size_t size;
		if (i % 2 == 0)
			peer_say_frame(scene, 0x82, "before", 6);
		peer_say(scene, BROKEN[i / 2].bytes, BROKEN[i / 2].size);
		assert_int_equal(read_all(scene, bytes, &size, sizeof(bytes)), -1);
		assert_int_equal(errno, EPROTO);
		assert_int_equal(size, i % 2 == 0 ? 6 : 0);
		assert_true(stream_facts(&scene->streams, scene->stream).is_websocket);
		assert_int_equal(stream_facts(&scene->streams, scene->stream).error, BROKEN[i / 2].error);
		assert_int_equal(scene->websockets.failures, 1);
		stream_close(&scene->streams, scene->stream);
		scene->stream = STREAM_NONE;
		assert_hears(scene, 0x88, code, 2);
		scene_free(scene);
	}
}

static void test_a_clients_end(void **state)
{
	(void)state;
	struct scene *scene = scene_new(true);
	uint8_t bytes[4][10], heard[10];
	size_t size;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(stream_send(&scene->streams, scene->stream, "abcd", 4), 4);
		assert_int_equal(recv(scene->peer, bytes[i], 10, 0), 10);
		assert_int_equal(bytes[i][0], 0x82);
		assert_int_equal(bytes[i][1], 0x84);
		ws_mask(heard, bytes[i] + 6, 4, bytes[i] + 2, 0);
		assert_memory_equal(heard, "abcd", 4);
	}
	assert_memory_not_equal(bytes[0] + 2, bytes[1] + 2, 4);
	assert_memory_not_equal(bytes[1] + 2, bytes[2] + 2, 4);
	peer_say(scene, "\x89\x03you\x82\x02ok", 9);
	assert_reads(scene, "ok");
	assert_hears(scene, 0x8a, "you", 3);
	peer_say(scene, "\x82\x80\0\0\0\0", 6); /* a server masks nothing */
	assert_int_equal(read_all(scene, heard, &size, sizeof(heard)), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(stream_facts(&scene->streams, scene->stream).error, ERROR_WS_MASK);
	scene_free(scene);
}

/* ---- our own end ---- */

static void test_last_words(void **state)
{
	(void)state;
	struct scene *scene = scene_new(false);
	stream_close(&scene->streams, scene->stream);
	assert_hears(scene, 0x88, "\x03\xe8", 2);
	scene->stream = STREAM_NONE;
	scene_free(scene);

	scene = scene_new(false);
	scene->websockets.close_code = WS_CLOSE_GOING_AWAY;
	stream_close(&scene->streams, scene->stream);
	assert_hears(scene, 0x88, "\x03\xe9", 2);
	scene->stream = STREAM_NONE;
	scene_free(scene);
}

static void test_no_last_words_behind_a_cut(void **state)
{
	(void)state;
	uint8_t byte;
	struct scene *scene = scene_new(false);
	stream_shutdown(&scene->streams, scene->stream);
	assert_int_equal(stream_send(&scene->streams, scene->stream, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	peer_say_frame(scene, 0x89, "ping", 4);
	assert_reads(scene, "");
	stream_close(&scene->streams, scene->stream);
	scene->stream = STREAM_NONE;
	assert_int_equal(recv(scene->peer, &byte, 1, 0), 0);
	scene_free(scene);
}

static void test_socket_that_ends(void **state)
{
	(void)state;
	uint8_t bytes[100];
	size_t size;
	struct scene *scene = scene_new(false);
	peer_say_frame(scene, 0x82, "last", 4);
	close(scene->peer);
	scene->peer = -1;
	assert_int_equal(read_all(scene, bytes, &size, 4), -1);
	assert_int_equal(size, 4);
	/* The socket is not known to be empty yet. */
	assert_int_equal(read_all(scene, bytes, &size, 4), -1);
	assert_int_equal(errno, ECONNRESET);
	scene_free(scene);
}

/* ---- writing ---- */

static void test_parts_are_one_frame(void **state)
{
	(void)state;
	static uint8_t bytes[70000], heard[70000];
	static const size_t SIZES[] = {1, 125, 126, 1024, 1025, 65535, 65536, 69999};
	size_t heard_bytes;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8));
	struct scene *scene = scene_new(false);
	for (size_t i = 0; i < COUNT_OF(SIZES); i++) {
		struct iovec parts[3] = {
			{bytes, 0}, {bytes, SIZES[i] / 3}, {bytes + SIZES[i] / 3, SIZES[i] - SIZES[i] / 3}};
		assert_int_equal(stream_sendv(&scene->streams, scene->stream, parts, 3), SIZES[i]);
		assert_int_equal(peer_hear(scene, heard, &heard_bytes), 0x82);
		assert_int_equal(heard_bytes, SIZES[i]);
		assert_memory_equal(heard, bytes, SIZES[i]);
	}
	/* More parts than one frame takes: the rest is offered again. */
	struct iovec many[300];
	for (size_t i = 0; i < COUNT_OF(many); i++)
		many[i] = (struct iovec){bytes + 10 * i, 10};
	size_t sent = 0;
	for (size_t i = 0; i < COUNT_OF(many);) {
		ssize_t some = stream_sendv(&scene->streams, scene->stream, many + i, COUNT_OF(many) - i);
		assert_true(some > 0 && some % 10 == 0);
		assert_hears(scene, 0x82, bytes + sent, (size_t)some);
		sent += (size_t)some;
		i += (size_t)some / 10;
	}
	assert_int_equal(sent, 3000);
	assert_rests(scene);
	scene_free(scene);
}

/* ---- moving ---- */

static void move(struct scene *scene)
{
	struct stream_carry carry;
	int fd = stream_release(&scene->streams, scene->stream, &carry);
	assert_true(fd >= 0);
	assert_int_equal(scene->websockets.slab.used_bytes, 0);
	assert_int_equal(scene->websockets.pool.used, 0);
	scene->stream = stream_adopt(&scene->streams, fd, &carry);
	assert_true(stream_exists(scene->stream));
	assert_null(carry.state);
}

static void test_moves_at_each_byte(void **state)
{
	(void)state;
	uint8_t talk[1024], bytes[1024];
	size_t talk_bytes = compose_talk(talk), got = 0, size;
	struct scene *scene = calloc(1, sizeof(*scene));
	scene_begin(scene, false, slice_of(talk, 10));
	move(scene);
	for (size_t i = 10; i < talk_bytes; i++) {
		peer_say(scene, talk + i, 1);
		move(scene);
		assert_int_equal(read_all(scene, bytes + got, &size, 3), -1);
		got += size;
		move(scene);
	}
	assert_talk(bytes, got);
	assert_rests(scene);
	scene_free(scene);
}

static void test_moves_with_an_answer_and_an_end(void **state)
{
	(void)state;
	static uint8_t text[1000], heard[70000];
	struct scene *scene = scene_new(false);
	size_t frames = fill(scene, text, sizeof(text)) / sizeof(text), size;
	peer_say_frame(scene, 0x89, "ping", 4);
	assert_reads(scene, "");
	move(scene);
	peer_say_frame(scene, 0x88, "\x0f\xa1", 2);
	assert_int_equal(read_all(scene, heard, &size, 100), 0);
	move(scene);
	assert_int_equal(read_all(scene, heard, &size, 100), 0);
	for (size_t i = 0; i < frames; i++)
		assert_int_equal(peer_hear(scene, heard, &size), 0x82);
	assert_int_equal(stream_flush(&scene->streams, scene->stream), 0);
	stream_close(&scene->streams, scene->stream);
	scene->stream = STREAM_NONE;
	assert_hears(scene, 0x8a, "ping", 4);
	assert_hears(scene, 0x88, "\x0f\xa1", 2);
	scene_free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_in_two),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_what_came_behind_the_upgrade),
		cmocka_unit_test(test_longest_payload),
		cmocka_unit_test(test_flood_of_empty_frames),
		cmocka_unit_test(test_ping_is_answered),
		cmocka_unit_test(test_pong_waits_for_room),
		cmocka_unit_test(test_close_is_answered),
		cmocka_unit_test(test_broken_protocol),
		cmocka_unit_test(test_a_clients_end),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_no_last_words_behind_a_cut),
		cmocka_unit_test(test_socket_that_ends),
		cmocka_unit_test(test_parts_are_one_frame),
		cmocka_unit_test(test_moves_at_each_byte),
		cmocka_unit_test(test_moves_with_an_answer_and_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
