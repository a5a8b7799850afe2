/* WebSocket streams whose requests for memory are refused, one in each run: a stream goes on or breaks in order, and
 * nothing of it is left. */
#include "failing_memory.h"
#include "transport/stream_websocket.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT_BYTES 3000u

struct play {
	uint32_t broken, whole;
};

struct scene {
	struct streams streams;
	struct websocket_streams websockets;
	struct stream stream;
	int ours, peer;
};

static void scene_begin(struct scene *scene)
{
	int pair[2];
	streams_init(&scene->streams);
	assert_int_equal(websocket_streams_open(&scene->websockets, &scene->streams, NULL, 10, false), ERROR_OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	scene->ours = pair[0];
	scene->peer = pair[1];
	scene->stream = STREAM_NONE;
}

static void scene_end(struct scene *scene)
{
	if (stream_exists(scene->stream))
		stream_close(&scene->streams, scene->stream);
	else
		close(scene->ours);
	close(scene->peer);
	assert_int_equal(scene->websockets.slab.used_bytes, 0);
	assert_int_equal(scene->websockets.pool.used, 0);
	websocket_streams_close(&scene->websockets);
}

/* Reads all. False: for want of memory it cannot go on. */
static bool read_on(struct scene *scene, uint8_t *bytes, size_t *got)
{
	bool more = true;
	while (more) {
		ssize_t count = stream_receive(&scene->streams, scene->stream, bytes + *got, 64, &more);
		if (count > 0)
			*got += (size_t)count;
		else if (count < 0 && errno == ENOMEM)
			return false;
		else if (count == 0 || errno != EAGAIN)
			break;
	}
	return true;
}

/* To the same streams: from one thread's to another's there is no difference. */
static bool move(struct scene *scene)
{
	struct stream_carry carry;
	int fd = stream_release(&scene->streams, scene->stream, &carry);
	if (fd < 0) {
		assert_int_equal(errno, ENOMEM);
		return true; /* it is where it was */
	}
	scene->stream = stream_adopt(&scene->streams, fd, &carry);
	if (stream_exists(scene->stream))
		return true;
	assert_non_null(carry.state); /* still ours: once more */
	scene->stream = stream_adopt(&scene->streams, fd, &carry);
	if (stream_exists(scene->stream))
		return true;
	stream_carry_drop(&scene->streams, &carry);
	return false;
}

static const uint8_t TALK[] = {
	0x82, 0x83, 0, 0, 0, 0, 'o',  'n',  'e',      /* */
	0x02, 0x82, 0, 0, 0, 0, 't',  'w',            /* a fragment */
	0x89, 0x84, 0, 0, 0, 0, 'p',  'i',  'n', 'g', /* */
	0x80, 0x81, 0, 0, 0, 0, 'o',                  /* the rest */
	0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8,           /* */
};

/* Cut everywhere, and moved everywhere. */
static void play_reading(void *context)
{
	struct play *play = context;
	struct scene scene;
	uint8_t bytes[100];
	size_t got = 0, at = 4;
	scene_begin(&scene);
	failing_memory_start();
	scene.stream =
		websocket_stream_over(&scene.streams, stream_of(STREAM_DESCRIPTOR, scene.ours), slice_of(TALK, at));
	bool goes_on = stream_exists(scene.stream) && move(&scene);
	while (goes_on && at < sizeof(TALK)) {
		assert_int_equal(send(scene.peer, TALK + at, 1, 0), 1);
		at++;
		goes_on = read_on(&scene, bytes, &got) && move(&scene);
	}
	failing_memory_stop();
	if (goes_on) {
		assert_int_equal(got, 6);
		assert_memory_equal(bytes, "onetwo", 6);
	}
	play->whole += goes_on;
	play->broken += !goes_on;
	scene_end(&scene);
}

/* The socket is full: a frame is cut, and answers wait. Where the stream goes on, the peer gets whole frames only. */
static void play_writing(void *context)
{
	struct play *play = context;
	struct scene scene;
	static uint8_t text[TEXT_BYTES], raw[1 << 20], bytes[100];
	size_t sent = 0, got = 0, raw_bytes = 0;
	scene_begin(&scene);
	failing_memory_start();
	scene.stream =
		websocket_stream_over(&scene.streams, stream_of(STREAM_DESCRIPTOR, scene.ours), (struct slice){0});
	bool goes_on = stream_exists(scene.stream);
	for (uint32_t i = 0; goes_on && i < 400; i++) {
		ssize_t some = stream_send(&scene.streams, scene.stream, text, TEXT_BYTES);
		goes_on = some > 0 || errno == EAGAIN;
		sent += some > 0 ? (size_t)some : 0;
		if (i % 7 == 0)
			assert_int_equal(send(scene.peer, TALK + 17, 10, 0), 10);
		goes_on = goes_on && read_on(&scene, bytes, &got);
		if (i >= 200 && raw_bytes + 5000 < sizeof(raw)) {
			ssize_t heard = recv(scene.peer, raw + raw_bytes, 1 + i * 13 % 5000, 0);
			raw_bytes += heard > 0 ? (size_t)heard : 0;
			goes_on = goes_on && (stream_flush(&scene.streams, scene.stream) == 0 || errno == EAGAIN);
		}
	}
	failing_memory_stop();
	size_t data = 0;
	struct ws_head head;
	for (size_t at = 0; goes_on && at < raw_bytes; at += head.bytes + (size_t)head.payload_bytes) {
		enum error error = ws_head_read(slice_of(raw + at, raw_bytes - at), false, &head);
		if (error == ERROR_MORE)
			break;
		assert_int_equal(error, ERROR_OK);
		assert_true(head.opcode == WS_BINARY || (head.opcode == WS_PONG && head.payload_bytes == 4));
		data += head.opcode == WS_BINARY ? (size_t)head.payload_bytes : 0;
	}
	assert_true(data <= sent + TEXT_BYTES);
	play->whole += goes_on;
	play->broken += !goes_on;
	scene_end(&scene);
}

static void test_reading(void **state)
{
	(void)state;
	struct play play = {0};
	assert_true(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_reading, &play) > 80);
	assert_true(play.whole > 30 && play.broken > 5);
	failing_memory_sweep(FAILING_ALL, FAILING_FROM_THERE, play_reading, &play);
}

static void test_writing(void **state)
{
	(void)state;
	struct play play = {0};
	assert_true(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_writing, &play) > 3);
	assert_true(play.whole > 1 && play.broken > 1);
	failing_memory_sweep(FAILING_ALL, FAILING_FROM_THERE, play_writing, &play);
}

static void play_opening(void *context)
{
	struct play *play = context;
	struct streams streams;
	struct websocket_streams websockets;
	streams_init(&streams);
	failing_memory_start();
	enum error error = websocket_streams_open(&websockets, &streams, NULL, 10, false);
	failing_memory_stop();
	play->broken += error != ERROR_OK;
	if (error == ERROR_OK)
		websocket_streams_close(&websockets);
	else
		assert_int_equal(error, ERROR_NO_MEMORY);
}

static void test_opening(void **state)
{
	(void)state;
	struct play play = {0};
	uint64_t requests = failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_opening, &play);
	assert_int_equal(requests, play.broken);
	assert_true(play.broken >= 1);
}

#define SWEEP(test) cmocka_unit_test_setup_teardown(test, NULL, failing_memory_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {SWEEP(test_reading), SWEEP(test_writing), SWEEP(test_opening)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
