/* Reading: packets that come in part, large ones, those that must be parsed again, ends; and nothing held between. */
#include "io_scene.h"
#include "random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* The test's own packets: four bytes of size, head included, then bytes of a stream. */
#define HEAD_BYTES 4u

struct reader {
	struct io_scene *scene;
	struct random random;
	size_t stream_at;     /* of the next packet's body */
	uint32_t packets;     /* read whole */
	uint32_t pause_every; /* pause before about one packet in so many; 0: never */
	bool paused;          /* what was kept is to be parsed again */
};

static void put(int fd, const uint8_t *bytes, size_t size)
{
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

static size_t packet_make(uint8_t *out, size_t stream_at, uint32_t size)
{
	for (uint32_t i = 0; i < HEAD_BYTES; i++)
		out[i] = (uint8_t)(size >> (24 - 8 * i));
	stream_fill(out + HEAD_BYTES, stream_at, size - HEAD_BYTES);
	return size;
}

static uint32_t packet_size(struct slice bytes)
{
	if (bytes.size < HEAD_BYTES)
		return 0;
	return (uint32_t)bytes.data[0] << 24 | (uint32_t)bytes.data[1] << 16 | (uint32_t)bytes.data[2] << 8 |
	       bytes.data[3];
}

/* Takes whole packets off the front and keeps the rest, as a client does. */
static void consume(struct reader *reader, struct slice bytes)
{
	uint32_t size;
	reader->paused = false;
	while ((size = packet_size(bytes)) != 0 && bytes.size >= size) {
		if (reader->pause_every != 0 && random_below(&reader->random, reader->pause_every) == 0) {
			reader->paused = true;
			break;
		}
		assert_stream(bytes.data + HEAD_BYTES, reader->stream_at, size - HEAD_BYTES);
		reader->stream_at += size - HEAD_BYTES;
		reader->packets++;
		bytes = slice_of(bytes.data + size, bytes.size - size);
	}
	assert_int_equal(io_keep(&reader->scene->io, &reader->scene->conn, bytes, size, reader->paused), ERROR_OK);
}

/* Reads until there is nothing more to read now. */
static void read_all(struct reader *reader)
{
	struct io_scene *scene = reader->scene;
	struct slice bytes;
	bool more;
	do {
		enum io_result result = io_receive(&scene->io, &scene->conn, &bytes, &more);
		assert_true(result == IO_BYTES || result == IO_NOTHING);
		if (result == IO_BYTES)
			consume(reader, bytes);
		if (random_below(&reader->random, 8) == 0) {
			io_flush(&scene->io);
			io_turn_end(&scene->io);
		}
	} while (more || reader->paused);
}

static void test_every_cut_of_a_packet(void **state)
{
	struct io_scene *scene = *state;
	struct reader reader = {.scene = scene, .random = {1}};
	uint8_t packet[200];
	for (uint32_t cut = 0; cut <= sizeof(packet); cut++) {
		packet_make(packet, reader.stream_at, sizeof(packet));
		put(scene->peer, packet, cut);
		read_all(&reader);
		assert_int_equal(reader.packets, cut + (cut == sizeof(packet)));
		assert_int_equal(scene->conn.kept != 0, cut != 0 && cut != sizeof(packet));
		if (cut != sizeof(packet))
			put(scene->peer, packet + cut, sizeof(packet) - cut);
		read_all(&reader);
		assert_int_equal(reader.packets, cut + 1);
		assert_int_equal(scene->slab.used_bytes, 0);
	}
}

static uint32_t random_packet_bytes(struct random *random)
{
	uint32_t kind = random_below(random, 100);
	if (kind < 80)
		return HEAD_BYTES + random_below(random, 300);
	if (kind < 95)
		return HEAD_BYTES + random_below(random, 20000);
	/* Around the size of a read, and well above. */
	return kind < 98 ? (uint32_t)IO_READ_BYTES - 8 + random_below(random, 16)
			 : random_below(random, 400000) + HEAD_BYTES;
}

/* A stream of packets, sent in pieces of any size, read with pauses at any packet. */
static void read_random_stream(struct io_scene *scene, uint64_t seed, uint32_t pause_every)
{
	struct reader reader = {.scene = scene, .random = {seed}, .pause_every = pause_every};
	struct random random = {seed + 1};
	uint8_t *stream = malloc(64 << 20);
	assert_non_null(stream);
	size_t size = 0, stream_at = 0;
	uint32_t packets = 0;
	while (size < 12 << 20) {
		uint32_t bytes = random_packet_bytes(&random);
		packet_make(stream + size, stream_at, bytes);
		stream_at += bytes - HEAD_BYTES;
		size += bytes;
		packets++;
	}
	for (size_t at = 0; at < size;) {
		size_t piece = 1 + random_below(&random, random_below(&random, 4) == 0 ? 200000 : 2000);
		ssize_t sent = send(scene->peer, stream + at, piece < size - at ? piece : size - at, MSG_NOSIGNAL);
		at += sent > 0 ? (size_t)sent : 0;
		if (sent < 0 || random_below(&random, 3) == 0)
			read_all(&reader);
	}
	free(stream);
	read_all(&reader);
	assert_int_equal(reader.packets, packets);
	assert_int_equal(reader.stream_at, stream_at);
	assert_int_equal(scene->conn.kept, 0);
	assert_int_equal(scene->slab.used_bytes, 0);
}

static void test_random_stream(void **state)
{
	read_random_stream(*state, 11, 0);
}

static void test_random_stream_with_pauses(void **state)
{
	read_random_stream(*state, 12, 3);
	read_random_stream(*state, 13, 30);
}

/* The header came alone, in part, so that the packet's size was not known when it was kept; with what came next it is
 * whole and longer than a read, has another one's beginning behind it, and must wait. */
static void test_pause_before_a_packet_just_longer_than_a_read(void **state)
{
	struct io_scene *scene = *state;
	for (uint32_t first = 1; first < HEAD_BYTES; first++) {
		for (uint32_t beyond = 1; beyond <= first; beyond++) {
			struct reader reader = {.scene = scene, .random = {1}};
			static uint8_t stream[IO_READ_BYTES + 100];
			uint32_t size = (uint32_t)IO_READ_BYTES + beyond;
			packet_make(stream, 0, size);
			packet_make(stream + size, size - HEAD_BYTES, 50);
			put(scene->peer, stream, first);
			read_all(&reader);
			put(scene->peer, stream + first, size + 50 - first);

			struct slice bytes;
			bool more;
			assert_int_equal(io_receive(&scene->io, &scene->conn, &bytes, &more), IO_BYTES);
			assert_int_equal(bytes.size, first + IO_READ_BYTES);
			assert_int_equal(io_keep(&scene->io, &scene->conn, bytes, size, true), ERROR_OK);
			io_turn_end(&scene->io);
			read_all(&reader);
			assert_int_equal(reader.packets, 2);
			assert_int_equal(scene->slab.used_bytes, 0);
		}
	}
}

/* A length that is announced and does not come costs only what came. */
static void test_announced_length_costs_what_came(void **state)
{
	struct io_scene *scene = *state;
	struct reader reader = {.scene = scene, .random = {1}};
	uint8_t head[HEAD_BYTES] = {0x0f, 0xff, 0xff, 0xff};
	put(scene->peer, head, sizeof(head));
	read_all(&reader);
	assert_in_range(scene->slab.used_bytes, 1, 1024);
	static uint8_t zeroes[1000];
	for (int i = 0; i < 300; i++) {
		put(scene->peer, zeroes, sizeof(zeroes));
		read_all(&reader);
	}
	assert_in_range(scene->slab.used_bytes, 300000, 800000);
	io_drop_input(&scene->io, &scene->conn);
	assert_int_equal(scene->slab.used_bytes, 0);
}

/* What io_send() was given of a large packet is written before the packet's block goes. */
static void test_large_packet_is_sent_before_it_is_dropped(void **state)
{
	struct io_scene *scene = *state;
	struct conn to;
	int peer = io_scene_connect(&scene->io, &to, 0);
	uint32_t size = 150000;
	uint8_t *packet = malloc(size);
	assert_non_null(packet);
	packet_make(packet, 0, size);
	struct slice bytes = {0};
	bool more;
	for (size_t at = 0; at < size; at += 50000) {
		put(scene->peer, packet + at, 50000);
		do {
			io_receive(&scene->io, &scene->conn, &bytes, &more);
		} while (more && bytes.size == 0);
		if (at == 0)
			assert_int_equal(io_keep(&scene->io, &scene->conn, bytes, size, false), ERROR_OK);
	}
	assert_int_equal(bytes.size, size);
	io_send(&scene->io, &to, bytes);
	assert_int_equal(io_keep(&scene->io, &scene->conn, slice_of(NULL, 0), 0, false), ERROR_OK);
	memset(packet, 0, size);
	size_t got = 0;
	ssize_t some;
	while (io_resume(&scene->io, &to) && (some = read(peer, packet + got, size - got)) > 0)
		got += (size_t)some;
	assert_int_equal(got, size);
	assert_stream(packet + HEAD_BYTES, 0, size - HEAD_BYTES);
	free(packet);
	io_disconnect(&scene->io, &to);
	close(peer);
}

static enum io_result receive(struct io_scene *scene)
{
	struct slice bytes;
	bool more;
	return io_receive(&scene->io, &scene->conn, &bytes, &more);
}

static void test_ends(void **state)
{
	struct io_scene *scene = *state;
	assert_int_equal(receive(scene), IO_NOTHING);
	put(scene->peer, (const uint8_t *)"abc", 3);
	shutdown(scene->peer, SHUT_WR);
	assert_int_equal(receive(scene), IO_BYTES);
	assert_int_equal(receive(scene), IO_EOF);
	io_disconnect(&scene->io, &scene->conn);
	assert_false(stream_exists(scene->conn.stream));
	assert_int_equal(recv(scene->peer, &(char){0}, 1, 0), 0);
}

static void test_reset_is_broken(void **state)
{
	struct io_scene *scene = *state;
	io_send(&scene->io, &scene->conn, slice_string("unread"));
	io_flush(&scene->io);
	close(scene->peer);
	scene->peer = -1;
	errno = 0;
	assert_int_equal(receive(scene), IO_BROKEN);
	assert_int_equal(errno, ECONNRESET);
}

/* More reads in one turn than scratch holds: each still gets its place, and output in between is not lost. */
static void test_turn_of_many_reads(void **state)
{
	struct io_scene *scene = *state;
	static uint8_t block[IO_READ_BYTES];
	struct conn to;
	int peer = io_scene_connect(&scene->io, &to, 0);
	for (size_t i = 0; i < 100; i++) {
		stream_fill(block, i * sizeof(block), sizeof(block));
		put(scene->peer, block, sizeof(block));
		struct slice bytes;
		bool more;
		assert_int_equal(io_receive(&scene->io, &scene->conn, &bytes, &more), IO_BYTES);
		assert_true(more);
		assert_int_equal(bytes.size, IO_READ_BYTES);
		assert_stream(bytes.data, i * sizeof(block), bytes.size);
		assert_non_null(io_scratch(&scene->io, IO_READ_BYTES));
		io_send(&scene->io, &to, slice_of(bytes.data, 10));
	}
	io_flush(&scene->io);
	io_turn_end(&scene->io);
	uint8_t out[1001];
	assert_int_equal(recv(peer, out, sizeof(out), 0), 1000);
	for (size_t i = 0; i < 100; i++)
		assert_stream(out + i * 10, i * sizeof(block), 10);
	io_disconnect(&scene->io, &to);
	close(peer);
}

static void test_slab_is_full(void **state)
{
	struct io_scene *scene = *state;
	struct slab small;
	assert_int_equal(slab_open(&small, 1), ERROR_OK); /* a mebibyte */
	scene->io.slab = &small;
	static uint8_t bytes[2 << 20];
	assert_int_equal(io_keep(&scene->io, &scene->conn, slice_of(bytes, sizeof(bytes)), 0, false), ERROR_NO_MEMORY);
	assert_int_equal(scene->conn.kept, 0);
	scene->io.slab = &scene->slab;
	slab_close(&small);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, io_scene_open, io_scene_close)
#define IN_FIXED_FILES(test) cmocka_unit_test_setup_teardown(test, io_scene_open_fixed, io_scene_close)

#define TESTS(X)                                                                                                       \
	X(test_every_cut_of_a_packet), X(test_random_stream), X(test_random_stream_with_pauses),                       \
		X(test_pause_before_a_packet_just_longer_than_a_read), X(test_announced_length_costs_what_came),       \
		X(test_large_packet_is_sent_before_it_is_dropped), X(test_ends), X(test_reset_is_broken),              \
		X(test_turn_of_many_reads), X(test_slab_is_full)

int main(void)
{
	const struct CMUnitTest in_table[] = {TESTS(IN_SCENE)};
	const struct CMUnitTest in_fixed_files[] = {TESTS(IN_FIXED_FILES)};
	int failed = cmocka_run_group_tests_name("in the table", in_table, NULL, NULL);
	if (fixed_files_work())
		failed += cmocka_run_group_tests_name("in fixed files", in_fixed_files, NULL, NULL);
	return failed;
}
