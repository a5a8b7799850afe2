/* Writing: pieces in order and merged, what the kernel does not take, broken peers; and nothing held afterwards. */
#include "io_scene.h"
#include "random.h"

#include <errno.h>
#include <liburing.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void turn_end(struct io_scene *scene)
{
	io_flush(&scene->io);
	io_turn_end(&scene->io);
}

static void expect_bytes(int peer, const void *bytes, size_t size)
{
	uint8_t got[256];
	assert_true(size < sizeof(got));
	assert_int_equal(recv(peer, got, sizeof(got), 0), size);
	assert_memory_equal(got, bytes, size);
}

static void test_pieces_leave_with_one_call(void **state)
{
	struct io_scene *scene = *state;
	io_send(&scene->io, &scene->conn, slice_string("one,"));
	io_send(&scene->io, &scene->conn, slice_string("two,"));
	io_send(&scene->io, &scene->conn, slice_string("three"));
	assert_int_equal(io_queued_bytes(&scene->io, &scene->conn), 13);
	assert_int_equal(recv(scene->peer, &(char){0}, 1, 0), -1);
	turn_end(scene);
	expect_bytes(scene->peer, "one,two,three", 13);
	assert_int_equal(scene->io.write_count, 1);
	assert_int_equal(scene->io.bytes_out, 13);
	assert_int_equal(io_queued_bytes(&scene->io, &scene->conn), 0);
}

static void test_neighbours_merge(void **state)
{
	struct io_scene *scene = *state;
	static const uint8_t TEXT[] = "abcdefgh";
	for (size_t i = 0; i < 8; i += 2)
		io_send(&scene->io, &scene->conn, slice_of(TEXT + i, 2));
	assert_int_equal(scene->io.piece_count, 1);
	io_send(&scene->io, &scene->conn, slice_of(TEXT + 2, 2)); /* not its continuation */
	assert_int_equal(scene->io.piece_count, 2);
	turn_end(scene);
	expect_bytes(scene->peer, "abcdefghcd", 10);
}

/* What is adjacent in memory but belongs to two receivers stays apart. */
static void test_receivers_stay_apart(void **state)
{
	struct io_scene *scene = *state;
	struct conn other;
	int peer = io_scene_connect(&scene->io, &other, 0);
	static const uint8_t TEXT[] = "aabbccdd";
	io_send(&scene->io, &scene->conn, slice_of(TEXT, 2));
	io_send(&scene->io, &other, slice_of(TEXT + 2, 2));
	io_send(&scene->io, &scene->conn, slice_of(TEXT + 4, 2));
	io_send(&scene->io, &other, slice_of(TEXT + 4, 4));
	turn_end(scene);
	expect_bytes(scene->peer, "aacc", 4);
	expect_bytes(peer, "bbccdd", 6);
	io_disconnect(&scene->io, &other);
	close(peer);
}

/* ---- output that the kernel does not take ---- */

/* Both ends of a stream to a reader that is slow. */
struct slow {
	struct io_scene *scene;
	struct conn conn;
	int peer;
	size_t sent; /* given to io */
	size_t got;  /* read by the peer */
};

static void slow_open(struct slow *slow, struct io_scene *scene)
{
	*slow = (struct slow){.scene = scene};
	slow->peer = io_scene_connect(&scene->io, &slow->conn, 8192);
}

static void slow_send(struct slow *slow, size_t size)
{
	uint8_t *bytes = io_scratch(&slow->scene->io, size);
	assert_non_null(bytes);
	stream_fill(bytes, slow->sent, size);
	io_send(&slow->scene->io, &slow->conn, slice_of(bytes, size));
	slow->sent += size;
}

static void slow_read(struct slow *slow, size_t size)
{
	static uint8_t bytes[1 << 16];
	assert_true(size <= sizeof(bytes));
	ssize_t some = recv(slow->peer, bytes, size, 0);
	if (some <= 0)
		return;
	assert_stream(bytes, slow->got, (size_t)some);
	slow->got += (size_t)some;
}

static void slow_read_all(struct slow *slow)
{
	while (slow->got != slow->sent) {
		slow_read(slow, 1 << 16);
		assert_true(io_resume(&slow->scene->io, &slow->conn));
	}
	assert_int_equal(slow->conn.backlog, 0);
	assert_int_equal(io_queued_bytes(&slow->scene->io, &slow->conn), 0);
}

static void slow_close(struct slow *slow)
{
	io_disconnect(&slow->scene->io, &slow->conn);
	close(slow->peer);
}

static void test_backlog_comes_out_in_order_and_whole(void **state)
{
	struct io_scene *scene = *state;
	struct slow slow;
	struct random random = {21};
	slow_open(&slow, scene);
	for (int turn = 0; turn < 5000; turn++) {
		for (uint32_t n = random_below(&random, 6); n != 0; n--)
			slow_send(&slow, 1 + random_below(&random, random_below(&random, 9) == 0 ? 9000 : 300));
		if (random_below(&random, 5) == 0)
			io_flush_conn(&scene->io, &slow.conn);
		turn_end(scene);
		assert_int_equal(io_queued_bytes(&scene->io, &slow.conn), scene->io.backlog_bytes);
		slow_read(&slow, random_below(&random, 4000));
		if (random_below(&random, 3) == 0)
			assert_true(io_resume(&scene->io, &slow.conn));
		if (io_queued_bytes(&scene->io, &slow.conn) > 200000)
			slow_read_all(&slow);
	}
	slow_read_all(&slow);
	assert_int_equal(scene->io.bytes_out, slow.sent);
	assert_int_equal(scene->slab.used_bytes, 0);
	assert_true(scene->blocked > 10);
	slow_close(&slow);
}

/* A backlog costs little more than its bytes, and gives memory back as the peer reads. Each byte is copied once: a
 * block that bytes are in never moves. */
static void test_backlog_grows_and_shrinks_in_pieces(void **state)
{
	struct io_scene *scene = *state;
	struct slow slow;
	slow_open(&slow, scene);
	size_t most = (size_t)1 << 20;
	while (io_queued_bytes(&scene->io, &slow.conn) < most) {
		size_t used = scene->slab.used_bytes;
		slow_send(&slow, 3000);
		turn_end(scene);
		assert_in_range(scene->slab.used_bytes, used, used + (size_t)66 * 1024);
	}
	assert_in_range(scene->slab.used_bytes, most, most + (size_t)80 * 1024);
	uint64_t writes = scene->io.write_count;
	while (slow.got < slow.sent - most / 2) {
		slow_read(&slow, 1 << 16);
		assert_true(io_resume(&scene->io, &slow.conn));
	}
	assert_true(scene->io.write_count - writes < 1000);
	size_t left = io_queued_bytes(&scene->io, &slow.conn);
	assert_in_range(scene->slab.used_bytes, left, left + (size_t)160 * 1024);
	slow_read_all(&slow);
	assert_int_equal(scene->slab.used_bytes, 0);
	slow_close(&slow);
}

static void test_backlog_has_a_limit(void **state)
{
	struct io_scene *scene = *state;
	struct slab large;
	struct slow slow;
	slow_open(&slow, scene);
	assert_int_equal(slab_open(&large, IO_BACKLOG_BYTES_MAX * 2), ERROR_OK);
	scene->io.slab = &large;
	uint8_t *bytes = io_scratch(&scene->io, 1 << 20);
	memset(bytes, 7, 1 << 20);
	while (scene->broken == 0) {
		io_send(&scene->io, &slow.conn, slice_of(bytes, 1 << 20));
		io_flush(&scene->io);
		assert_true(io_queued_bytes(&scene->io, &slow.conn) <= IO_BACKLOG_BYTES_MAX);
	}
	assert_true(io_queued_bytes(&scene->io, &slow.conn) > IO_BACKLOG_BYTES_MAX - (1 << 20));
	slow_close(&slow);
	assert_int_equal(large.used_bytes, 0);
	scene->io.slab = &scene->slab;
	slab_close(&large);
}

/* The observer hears of a backlog when it comes to be, not each time that it grows. */
static void test_blocked_is_told_once(void **state)
{
	struct io_scene *scene = *state;
	struct slow slow;
	slow_open(&slow, scene);
	while (slow.conn.backlog == 0) {
		slow_send(&slow, 1000);
		turn_end(scene);
	}
	assert_int_equal(scene->blocked, 1);
	assert_ptr_equal(scene->told, &slow.conn);
	for (int i = 0; i < 10; i++) {
		slow_send(&slow, 1000);
		turn_end(scene);
	}
	assert_int_equal(scene->blocked, 1);
	slow_read_all(&slow);
	while (slow.conn.backlog == 0) {
		slow_send(&slow, 1000);
		turn_end(scene);
	}
	assert_int_equal(scene->blocked, 2);
	slow_close(&slow);
}

static void test_queued_bytes_count_backlog_and_turn(void **state)
{
	struct io_scene *scene = *state;
	struct slow slow;
	slow_open(&slow, scene);
	while (slow.conn.backlog == 0) {
		slow_send(&slow, 5000);
		turn_end(scene);
	}
	size_t waiting = io_queued_bytes(&scene->io, &slow.conn);
	assert_in_range(waiting, 1, 5000);
	slow_send(&slow, 77);
	slow_send(&slow, 23);
	assert_int_equal(io_queued_bytes(&scene->io, &slow.conn), waiting + 100);
	turn_end(scene);
	assert_int_equal(io_queued_bytes(&scene->io, &slow.conn), waiting + 100);
	slow_close(&slow);
}

static void test_stall_is_timed_from_the_last_progress(void **state)
{
	struct io_scene *scene = *state;
	struct slow slow;
	slow_open(&slow, scene);
	scene->io.now_ms = 1000;
	for (int i = 0; i < 100; i++)
		slow_send(&slow, 10000);
	turn_end(scene);
	assert_int_equal(io_stalled_since_ms(&scene->io, &slow.conn), 1000);
	scene->io.now_ms = 2000;
	for (int i = 0; i < 100; i++) { /* more of the same is no progress, though it may move */
		slow_send(&slow, 10000);
		turn_end(scene);
	}
	assert_true(io_resume(&scene->io, &slow.conn));
	assert_int_equal(io_stalled_since_ms(&scene->io, &slow.conn), 1000);
	slow_read(&slow, 1 << 16);
	slow_read(&slow, 1 << 16);
	assert_true(io_resume(&scene->io, &slow.conn));
	assert_int_equal(io_stalled_since_ms(&scene->io, &slow.conn), 2000);
	slow_close(&slow);
}

static void test_slab_too_small_for_a_backlog(void **state)
{
	struct io_scene *scene = *state;
	struct slab small;
	struct slow slow;
	slow_open(&slow, scene);
	assert_int_equal(slab_open(&small, 1), ERROR_OK); /* a mebibyte */
	scene->io.slab = &small;
	for (int i = 0; i < 100 && scene->broken == 0; i++) {
		slow_send(&slow, 60000);
		turn_end(scene);
	}
	assert_int_equal(scene->broken, 1);
	assert_ptr_equal(scene->told, &slow.conn);
	slow_close(&slow);
	assert_int_equal(small.used_bytes, 0);
	scene->io.slab = &scene->slab;
	slab_close(&small);
}

/* ---- limits of a turn ---- */

static void test_more_pieces_than_a_turn_holds(void **state)
{
	struct io_scene *scene = *state;
	struct slow slow;
	slow_open(&slow, scene);
	for (uint32_t i = 0; i < IO_PIECES_MAX + 5000; i++) {
		slow_send(&slow, 1);
		assert_non_null(io_scratch(&scene->io, 1)); /* keeps the next one from merging */
	}
	turn_end(scene);
	slow_read_all(&slow);
	assert_int_equal(slow.got, IO_PIECES_MAX + 5000);
	slow_close(&slow);
}

/* Many receivers, a few sockets behind them: a socket's bytes come in the order of its receivers. */
static void test_more_receivers_than_a_turn_holds(void **state)
{
	struct io_scene *scene = *state;
	enum { SOCKETS = 256 };
	uint32_t count = IO_OUTBOXES_MAX + 1000;
	struct conn *conns = calloc(count + SOCKETS, sizeof(*conns));
	int peers[SOCKETS];
	assert_non_null(conns);
	for (uint32_t i = 0; i < SOCKETS; i++)
		peers[i] = io_scene_connect(&scene->io, &conns[count + i], 0);
	for (uint32_t i = 0; i < count; i++) {
		conns[i].stream = conns[count + i % SOCKETS].stream;
		uint8_t *bytes = io_scratch(&scene->io, 1);
		*bytes = stream_byte(i);
		io_send(&scene->io, &conns[i], slice_of(bytes, 1));
	}
	turn_end(scene);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t byte;
		assert_int_equal(recv(peers[i % SOCKETS], &byte, 1, 0), 1);
		assert_int_equal(byte, stream_byte(i));
	}
	for (uint32_t i = 0; i < SOCKETS; i++) {
		io_disconnect(&scene->io, &conns[count + i]);
		close(peers[i]);
	}
	free(conns);
}

/* ---- many at once ---- */

#define MANY 20u

/* The kernel may do without rings: a test says so. */
int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
static bool refuses_rings;
static uint32_t rings;

int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	if (refuses_rings)
		return -EPERM;
	rings++;
	return __real_io_uring_queue_init(entries, ring, flags);
}

struct many {
	struct conn conns[MANY];
	int peers[MANY];
};

static void many_open(struct io_scene *scene, struct many *many)
{
	*many = (struct many){0};
	for (uint32_t i = 0; i < MANY; i++)
		many->peers[i] = io_scene_connect(&scene->io, &many->conns[i], i == 3 ? 4096 : 0);
}

static void many_close(struct io_scene *scene, struct many *many)
{
	for (uint32_t i = 0; i < MANY; i++) {
		io_disconnect(&scene->io, &many->conns[i]);
		if (many->peers[i] >= 0)
			close(many->peers[i]);
	}
}

/* Each gets a number of bytes of its own; one of them is of two pieces. */
static void many_send(struct io_scene *scene, struct many *many)
{
	static uint8_t bytes[MANY * 8];
	stream_fill(bytes, 0, sizeof(bytes));
	for (uint32_t i = 0; i < MANY; i++)
		io_send(&scene->io, &many->conns[i], slice_of(bytes, i + 1));
	io_send(&scene->io, &many->conns[5], slice_of(bytes + 100, 4));
}

static void many_heard(const struct many *many, uint32_t but)
{
	for (uint32_t i = 0; i < MANY; i++) {
		uint8_t bytes[64];
		if (i == but)
			continue;
		assert_int_equal(recv(many->peers[i], bytes, sizeof(bytes), 0), i + 1 + (i == 5 ? 4 : 0));
		assert_stream(bytes, 0, i + 1);
	}
}

static void test_many_leave_together(void **state)
{
	struct io_scene *scene = *state;
	struct many many;
	many_open(scene, &many);
	rings = 0;
	many_send(scene, &many);
	turn_end(scene);
	many_heard(&many, MANY);
	assert_int_equal(rings, 1);
	assert_int_equal(scene->io.write_count, MANY);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(many.conns[i].outbox, 0);
	many_send(scene, &many);
	turn_end(scene);
	many_heard(&many, MANY);
	assert_int_equal(rings, 1); /* the same one */
	many_close(scene, &many);
}

static void test_few_need_no_ring(void **state)
{
	struct io_scene *scene = *state;
	rings = 0;
	io_send(&scene->io, &scene->conn, slice_string("a"));
	turn_end(scene);
	assert_int_equal(rings, 0);
}

static void test_many_without_a_ring(void **state)
{
	struct io_scene *scene = *state;
	struct many many;
	many_open(scene, &many);
	refuses_rings = true;
	for (int turn = 0; turn < 2; turn++) {
		many_send(scene, &many);
		turn_end(scene);
		many_heard(&many, MANY);
	}
	refuses_rings = false;
	many_send(scene, &many);
	rings = 0;
	turn_end(scene);
	many_heard(&many, MANY);
	assert_int_equal(rings, 0); /* it is not asked for twice */
	many_close(scene, &many);
}

/* One that takes a part only, and one that is gone, do not concern the others. */
static void test_one_of_many_is_blocked_and_one_broken(void **state)
{
	struct io_scene *scene = *state;
	struct many many;
	static uint8_t large[1 << 20];
	stream_fill(large, 0, sizeof(large));
	many_open(scene, &many);
	close(many.peers[7]);
	many.peers[7] = -1;
	for (uint32_t i = 0; i < MANY; i++)
		io_send(&scene->io, &many.conns[i], slice_of(large, i == 3 ? sizeof(large) : i + 1));
	turn_end(scene);
	assert_int_equal(scene->broken, 1);
	assert_int_equal(scene->blocked, 1);
	assert_int_not_equal(many.conns[3].backlog, 0);
	assert_int_equal(many.conns[7].outbox, 0);
	size_t got = 0;
	while (got < sizeof(large)) {
		static uint8_t bytes[1 << 16];
		ssize_t count = recv(many.peers[3], bytes, sizeof(bytes), MSG_DONTWAIT);
		if (count > 0) {
			assert_stream(bytes, got, (size_t)count);
			got += (size_t)count;
		} else {
			assert_true(io_resume(&scene->io, &many.conns[3]));
		}
	}
	assert_int_equal(many.conns[3].backlog, 0);
	many_close(scene, &many);
}

static void test_scratch_ends_and_begins_again(void **state)
{
	struct io_scene *scene = *state;
	size_t total = 0;
	while (io_scratch(&scene->io, 10000) != NULL)
		total += 10000;
	assert_in_range(total, IO_SCRATCH_BYTES - 10000, IO_SCRATCH_BYTES);
	io_turn_end(&scene->io);
	assert_non_null(io_scratch(&scene->io, IO_SCRATCH_BYTES));
}

static void test_make_room_writes_what_there_is(void **state)
{
	struct io_scene *scene = *state;
	uint8_t *bytes = io_scratch(&scene->io, IO_SCRATCH_BYTES - 10);
	memcpy(bytes, "last", 4);
	io_send(&scene->io, &scene->conn, slice_of(bytes, 4));
	io_make_room(&scene->io);
	expect_bytes(scene->peer, "last", 4);
	assert_non_null(io_scratch(&scene->io, IO_READ_BYTES));
	io_send(&scene->io, &scene->conn, slice_string("next"));
	io_make_room(&scene->io); /* there is room: nothing is written yet */
	assert_int_equal(recv(scene->peer, &(char){0}, 1, 0), -1);
}

/* ---- ends ---- */

static void test_broken_peer_is_reported(void **state)
{
	struct io_scene *scene = *state;
	close(scene->peer);
	scene->peer = -1;
	io_send(&scene->io, &scene->conn, slice_string("into the void"));
	turn_end(scene);
	assert_int_equal(scene->broken, 1);
	assert_int_equal(scene->blocked, 0);
	assert_ptr_equal(scene->told, &scene->conn);
	assert_int_equal(scene->conn.outbox, 0);
}

static void test_broken_peer_with_a_backlog(void **state)
{
	struct io_scene *scene = *state;
	struct slow slow;
	slow_open(&slow, scene);
	while (slow.conn.backlog == 0) {
		slow_send(&slow, 5000);
		turn_end(scene);
	}
	close(slow.peer);
	slow.peer = -1;
	assert_false(io_resume(&scene->io, &slow.conn));
	slow_close(&slow);
}

static void test_disconnect_drops_this_turns_output(void **state)
{
	struct io_scene *scene = *state;
	struct conn other;
	int peer = io_scene_connect(&scene->io, &other, 0);
	io_send(&scene->io, &other, slice_string("never"));
	io_send(&scene->io, &scene->conn, slice_string("still"));
	io_disconnect(&scene->io, &other);
	turn_end(scene);
	expect_bytes(scene->peer, "still", 5);
	assert_int_equal(recv(peer, &(char){0}, 1, 0), 0);
	io_disconnect(&scene->io, &other); /* once more does nothing */
	close(peer);
}

static void test_last_words_leave_at_once(void **state)
{
	struct io_scene *scene = *state;
	io_send_last(&scene->io, &scene->conn, slice_string("no room"));
	expect_bytes(scene->peer, "no room", 7);
	assert_int_equal(scene->io.bytes_out, 7);
	close(scene->peer);
	io_send_last(&scene->io, &scene->conn, slice_string("gone already")); /* nobody is told */
	assert_int_equal(scene->broken, 0);
	scene->peer = -1;
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, io_scene_open, io_scene_close)
#define IN_FIXED_FILES(test) cmocka_unit_test_setup_teardown(test, io_scene_open_fixed, io_scene_close)

#define TESTS(X)                                                                                                       \
	X(test_pieces_leave_with_one_call), X(test_neighbours_merge), X(test_receivers_stay_apart),                    \
		X(test_backlog_comes_out_in_order_and_whole), X(test_backlog_grows_and_shrinks_in_pieces),             \
		X(test_backlog_has_a_limit), X(test_blocked_is_told_once),                                             \
		X(test_queued_bytes_count_backlog_and_turn), X(test_stall_is_timed_from_the_last_progress),            \
		X(test_slab_too_small_for_a_backlog), X(test_more_pieces_than_a_turn_holds),                           \
		X(test_more_receivers_than_a_turn_holds), X(test_scratch_ends_and_begins_again),                       \
		X(test_make_room_writes_what_there_is), X(test_broken_peer_is_reported),                               \
		X(test_broken_peer_with_a_backlog), X(test_disconnect_drops_this_turns_output),                        \
		X(test_last_words_leave_at_once)

int main(void)
{
	const struct CMUnitTest in_table[] = {TESTS(IN_SCENE), IN_SCENE(test_many_leave_together),
					      IN_SCENE(test_few_need_no_ring), IN_SCENE(test_many_without_a_ring),
					      IN_SCENE(test_one_of_many_is_blocked_and_one_broken)};
	const struct CMUnitTest in_fixed_files[] = {TESTS(IN_FIXED_FILES)};
	int failed = cmocka_run_group_tests_name("in the table", in_table, NULL, NULL);
	if (fixed_files_work())
		failed += cmocka_run_group_tests_name("in fixed files", in_fixed_files, NULL, NULL);
	return failed;
}
