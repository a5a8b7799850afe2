/* Streams over TLS while memory is refused, and while they move between threads: what waits in the middle of a record,
 * in and out, comes along, or the refusal is told and nothing is lost but the connection. */
#include "failing_memory.h"
#include "io_scene.h"
#include "tls_scene.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#define BUFFER_BYTES ((size_t)128 * 1024)
static uint8_t wire[BUFFER_BYTES];
static uint8_t buffer[BUFFER_BYTES];

static void limit_output(struct tls_scene *scene, int bytes)
{
	int fd = stream_borrow(&scene->streams, scene->stream);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
}

/* Writes what follows in our own stream until nothing more is taken. */
static bool write_until_blocked(struct tls_scene *scene, size_t *sent)
{
	static uint8_t bytes[9000];
	for (;;) {
		stream_fill(bytes, *sent, sizeof(bytes));
		ssize_t count = stream_send(&scene->streams, scene->stream, bytes, sizeof(bytes));
		if (count < 0)
			return errno == EAGAIN;
		*sent += (size_t)count;
	}
}

/* ---- moving ---- */

/* To streams of another thread; False: refused, and nothing has changed. */
static bool move(struct tls_scene *scene, struct tls_scene *to)
{
	struct stream_carry carry;
	int fd = stream_release(&scene->streams, scene->stream, &carry);
	if (fd < 0) {
		assert_int_equal(errno, ENOMEM);
		return false;
	}
	scene->stream = STREAM_NONE;
	assert_int_equal(scene->tls.slab.used_bytes, 0);
	struct stream adopted = stream_adopt(&to->streams, fd, &carry);
	if (!stream_exists(adopted)) {
		/* It is the caller's still, and is adopted when there is memory. */
		assert_non_null(carry.state);
		assert_int_equal(to->tls.slab.used_bytes, 0);
		adopted = stream_adopt(&to->streams, fd, &carry);
	}
	if (!stream_exists(adopted)) {
		stream_carry_drop(&to->streams, &carry);
		stream_close_descriptor(fd);
		return false;
	}
	assert_null(carry.state);
	to->stream = adopted;
	return true;
}

static struct tls_scene *other_thread(void)
{
	struct tls_scene *to = calloc(1, sizeof(*to));
	assert_non_null(to);
	streams_init(&to->streams);
	assert_int_equal(tls_streams_open(&to->tls, &to->streams, NULL), ERROR_OK);
	to->stream = STREAM_NONE;
	return to;
}

static void swap_threads(struct tls_scene *scene, struct tls_scene *to)
{
	assert_true(move(scene, to));
	/* Addresses of the scene are its own: it moves back, to streams that have forgotten it. */
	assert_true(move(to, scene));
	tls_streams_close(&to->tls);
	free(to);
}

/* Half a record and plain bytes that had no room have come; a record of ours is cut, and its bytes are owed. */
static void test_moves_with_what_waits(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++)
		for (size_t cut = 1; cut < 60; cut++) {
			struct tls_scene *scene = tls_scene_new(&SUITES[i]);
			bool more;
			size_t sent = 0;
			limit_output(scene, 4000);
			assert_true(write_until_blocked(scene, &sent));
			size_t size = peer_seal(scene, 0, 30, wire);
			size += peer_seal(scene, 30, 40, wire + size);
			wire_send(scene, wire, cut);
			ssize_t early = scene_receive(scene, buffer, 7, &more);
			assert_true(early > 0 || errno == EAGAIN);
			size_t got = early > 0 ? (size_t)early : 0;
			swap_threads(scene, other_thread());
			wire_send(scene, wire + cut, size - cut);
			while (got != 70) {
				ssize_t count = scene_receive(scene, buffer, sizeof(buffer), &more);
				assert_true(count > 0 || errno == EAGAIN);
				if (count > 0)
					assert_stream(buffer, got, (size_t)count);
				got += count > 0 ? (size_t)count : 0;
			}
			size_t read = 0;
			size_t enough = sent + 20000; /* the rest of what was cut, and what follows */
			while (read < enough) {
				size_t count = peer_read(scene, buffer, sizeof(buffer));
				assert_stream(buffer, read, count);
				read += count;
				write_until_blocked(scene, &sent);
			}
			tls_scene_free(scene);
		}
}

static void test_nobody_adopts(void **state)
{
	(void)state;
	struct tls_scene *scene = tls_scene_new(&SUITES[0]);
	struct stream_carry carry;
	size_t sent = 0;
	limit_output(scene, 4000);
	assert_true(write_until_blocked(scene, &sent));
	int fd = stream_release(&scene->streams, scene->stream, &carry);
	stream_carry_drop(&scene->streams, &carry);
	stream_close_descriptor(fd);
	scene->stream = STREAM_NONE;
	tls_scene_free(scene);
}

/* ---- without memory ---- */

static bool refused_read(struct tls_scene *scene, size_t room, size_t *got)
{
	bool more = true;
	while (more) {
		ssize_t count = scene_receive(scene, buffer, room, &more);
		if (count < 0 && errno == ENOMEM)
			return true;
		assert_true(count > 0 || errno == EAGAIN);
		if (count > 0)
			assert_stream(buffer, *got, (size_t)count);
		*got += count > 0 ? (size_t)count : 0;
	}
	return false;
}

static void play(void *context)
{
	const struct suite_case *suite = context;
	struct tls_scene *scene = tls_scene_new(suite);
	struct tls_scene *to = other_thread();
	size_t got = 0;
	size_t sent = 0;
	limit_output(scene, 4000);
	size_t size = peer_seal(scene, 0, 3000, wire);
	size_t part = size / 3;
	failing_memory_start();
	bool is_over = false;
	for (size_t at = 0; at < size && !is_over; at += part) {
		wire_send(scene, wire + at, size - at < part ? size - at : part);
		is_over = refused_read(scene, 100, &got);
	}
	assert_true(is_over || got == 3000);
	/* Without memory for the rest of a record, the output ends there. */
	is_over = is_over || !write_until_blocked(scene, &sent);
	if (!is_over && move(scene, to)) {
		failing_memory_stop();
		scene->stream = STREAM_NONE;
		bool moved_back = move(to, scene);
		assert_true(moved_back);
		size_t read = 0;
		for (unsigned idle = 0; idle < 3;) {
			size_t count = peer_read(scene, buffer, sizeof(buffer));
			assert_stream(buffer, read, count);
			read += count;
			idle = count == 0 ? idle + 1 : 0;
			stream_flush(&scene->streams, scene->stream);
		}
		assert_true(read >= sent);
	}
	failing_memory_stop();
	if (is_over && stream_exists(scene->stream)) {
		/* Nothing follows what was cut: the peer finds no record that is wrong. */
		stream_close(&scene->streams, scene->stream);
		scene->stream = STREAM_NONE;
		while (peer_read(scene, buffer, sizeof(buffer)) != 0)
			;
		assert_int_not_equal(openssl_reason(), SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
	}
	tls_streams_close(&to->tls);
	free(to);
	tls_scene_free(scene);
}

static void test_each_refusal(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++) {
		uint64_t requests =
			failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play, (void *)(uintptr_t)&SUITES[i]);
		assert_in_range(requests, 10, 1000);
		failing_memory_sweep(FAILING_ALL, FAILING_FROM_THERE, play, (void *)(uintptr_t)&SUITES[i]);
	}
}

/* The kind itself, and the first block of a stream. */
static void play_opening(void *context)
{
	(void)context;
	struct streams streams;
	struct tls_streams tls;
	streams_init(&streams);
	failing_memory_start();
	enum error error = tls_streams_open(&tls, &streams, NULL);
	failing_memory_stop();
	assert_true(error == ERROR_OK || error == ERROR_NO_MEMORY);
	if (error == ERROR_OK)
		tls_streams_close(&tls);
}

static void test_opening(void **state)
{
	(void)state;
	assert_in_range(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_opening, NULL), 2, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves_with_what_waits),
		cmocka_unit_test(test_nobody_adopts),
		cmocka_unit_test_setup_teardown(test_each_refusal, NULL, failing_memory_teardown),
		cmocka_unit_test_setup_teardown(test_opening, NULL, failing_memory_teardown),
	};
	return cmocka_run_group_tests_name("tls_memory", tests, NULL, NULL);
}
