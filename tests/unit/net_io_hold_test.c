/* Output that is held: none of it leaves before the hold ends, all of it does then, in order; and what is left of it
 * where the connection ends first. */
#include "framed_stream.h"
#include "io_scene.h"
#include "net/fixed_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY (WRITE_RING_WRITES_MIN + 4)

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

static void expect_nothing(int peer)
{
	assert_int_equal(recv(peer, &(char){0}, 1, 0), -1);
}

static void hold(struct io_scene *scene, uint64_t number)
{
	assert_int_equal(io_hold(&scene->io, &scene->conn, number, false), ERROR_OK);
	assert_int_equal(io_held(&scene->io, &scene->conn), number);
}

static void say(struct io_scene *scene, const char *text)
{
	io_send(&scene->io, &scene->conn, slice_string(text));
}

static void test_nothing_leaves_until_it_ends(void **state)
{
	struct io_scene *scene = *state;
	assert_int_equal(io_held(&scene->io, &scene->conn), 0);
	hold(scene, 1);
	say(scene, "one,");
	turn_end(scene);
	say(scene, "two,");
	io_flush_conn(&scene->io, &scene->conn);
	turn_end(scene);
	assert_true(io_resume(&scene->io, &scene->conn)); /* the socket can be written: no matter */
	assert_true(io_awaits_writing(&scene->conn));
	expect_nothing(scene->peer);
	assert_int_equal(io_queued_bytes(&scene->io, &scene->conn), 8);
	assert_int_equal(scene->io.write_count, 0);
	assert_int_equal(scene->blocked, 0);

	io_unhold(&scene->io, &scene->conn);
	assert_int_equal(io_held(&scene->io, &scene->conn), 0);
	assert_true(io_resume(&scene->io, &scene->conn));
	expect_bytes(scene->peer, "one,two,", 8);
	say(scene, "three");
	turn_end(scene);
	expect_bytes(scene->peer, "three", 5);
	assert_int_equal(scene->slab.used_bytes, 0);
}

/* What was sent before in the same turn waits with it; what comes when the hold has ended stays behind. */
static void test_order_around_it(void **state)
{
	struct io_scene *scene = *state;
	say(scene, "before,");
	hold(scene, 1);
	say(scene, "held,");
	turn_end(scene);
	expect_nothing(scene->peer);
	say(scene, "behind");
	io_unhold(&scene->io, &scene->conn);
	assert_true(io_resume(&scene->io, &scene->conn));
	turn_end(scene);
	expect_bytes(scene->peer, "before,held,behind", 18);
}

static void test_a_hold_of_nothing(void **state)
{
	struct io_scene *scene = *state;
	hold(scene, 1);
	turn_end(scene);
	io_unhold(&scene->io, &scene->conn);
	assert_int_equal(scene->conn.backlog, 0);
	assert_int_equal(scene->slab.used_bytes, 0);
	hold(scene, 2); /* nor is there anything to be undone at the end */
}

/* Each part leaves as its own hold ends, however many begin meanwhile; what was sent in the turn in which one began is
 * before it. */
static void test_a_hold_behind_another(void **state)
{
	struct io_scene *scene = *state;
	hold(scene, 1);
	say(scene, "one,");
	turn_end(scene);
	say(scene, "one too,");
	assert_int_equal(io_hold(&scene->io, &scene->conn, (uint64_t)7 << 32, false), ERROR_OK);
	say(scene, "two,");
	turn_end(scene);
	assert_int_equal(io_held(&scene->io, &scene->conn), 1);
	assert_int_equal(io_held_last(&scene->io, &scene->conn), (uint64_t)7 << 32);
	io_unhold(&scene->io, &scene->conn);
	assert_true(io_resume(&scene->io, &scene->conn));
	expect_bytes(scene->peer, "one,one too,", 12);
	expect_nothing(scene->peer);

	assert_int_equal(io_held(&scene->io, &scene->conn), (uint64_t)7 << 32);
	assert_int_equal(io_hold(&scene->io, &scene->conn, ((uint64_t)7 << 32) + 1, false), ERROR_OK);
	say(scene, "three");
	turn_end(scene);
	/* It takes the place of one that waits so. */
	assert_int_equal(io_hold(&scene->io, &scene->conn, ((uint64_t)7 << 32) + 2, false), ERROR_OK);
	io_unhold(&scene->io, &scene->conn);
	assert_true(io_resume(&scene->io, &scene->conn));
	expect_bytes(scene->peer, "two,", 4);
	assert_int_equal(io_held(&scene->io, &scene->conn), ((uint64_t)7 << 32) + 2);
	io_unhold(&scene->io, &scene->conn);
	assert_true(io_resume(&scene->io, &scene->conn));
	expect_bytes(scene->peer, "three", 5);
	assert_int_equal(scene->slab.used_bytes, 0);
}

/* The first part was free, but has not left as a whole; and of nothing that was free, nothing was cut. */
static void test_an_end_between_two_holds(void **state)
{
	struct io_scene *scene = *state;
	hold(scene, 1);
	say(scene, "one,");
	turn_end(scene);
	assert_int_equal(io_hold(&scene->io, &scene->conn, 2, false), ERROR_OK);
	say(scene, "never");
	turn_end(scene);
	io_unhold(&scene->io, &scene->conn);
	assert_true(io_resume(&scene->io, &scene->conn));
	expect_bytes(scene->peer, "one,", 4);
	assert_true(io_drop_held(&scene->io, &scene->conn));

	hold(scene, 3);
	say(scene, "not written yet");
	turn_end(scene);
	assert_int_equal(io_hold(&scene->io, &scene->conn, 4, false), ERROR_OK);
	io_unhold(&scene->io, &scene->conn);
	assert_false(io_drop_held(&scene->io, &scene->conn));

	/* Two holds before the first packet of all. */
	assert_int_equal(io_hold(&scene->io, &scene->conn, 5, true), ERROR_OK);
	assert_int_equal(io_hold(&scene->io, &scene->conn, 6, false), ERROR_OK);
	say(scene, "never");
	turn_end(scene);
	io_unhold(&scene->io, &scene->conn);
	assert_false(io_drop_held(&scene->io, &scene->conn));
	expect_nothing(scene->peer);
}

/* Time in which nothing may be written is not time in which the peer does not read. */
static void test_time_stands_still(void **state)
{
	struct io_scene *scene = *state;
	scene->io.now_ms = 1000;
	hold(scene, 1);
	say(scene, "x");
	turn_end(scene);
	scene->io.now_ms = 90000;
	assert_int_equal(io_stalled_since_ms(&scene->io, &scene->conn), 90000);
	io_unhold(&scene->io, &scene->conn);
	scene->io.now_ms = 95000;
	assert_int_equal(io_stalled_since_ms(&scene->io, &scene->conn), 90000);
}

/* Much of it, over many turns and blocks, to a socket that takes little. */
static void test_much_that_is_held(void **state)
{
	struct io_scene *scene = *state;
	static uint8_t bytes[3000];
	static uint8_t got[1 << 20];
	struct conn conn;
	int peer = io_scene_connect(&scene->io, &conn, 4096);
	assert_int_equal(io_hold(&scene->io, &conn, 1, true), ERROR_OK);
	size_t sent = 0;
	for (; sent < sizeof(got) - sizeof(bytes); sent += sizeof(bytes)) {
		stream_fill(bytes, sent, sizeof(bytes));
		io_send(&scene->io, &conn, slice_of(bytes, sizeof(bytes)));
		turn_end(scene);
	}
	assert_int_equal(io_queued_bytes(&scene->io, &conn), sent);
	io_unhold(&scene->io, &conn);
	size_t read = 0;
	while (read != sent) {
		assert_true(io_resume(&scene->io, &conn));
		for (ssize_t some; (some = recv(peer, got + read, sizeof(got) - read, 0)) > 0;)
			read += (size_t)some;
	}
	assert_stream(got, 0, read);
	io_disconnect(&scene->io, &conn);
	close(peer);
}

/* ---- an end meanwhile ---- */

static void test_the_connection_ends(void **state)
{
	struct io_scene *scene = *state;
	hold(scene, 1);
	say(scene, "never");
	turn_end(scene);
	say(scene, "nor this");
	io_disconnect(&scene->io, &scene->conn);
	io_flush(&scene->io);
	io_turn_end(&scene->io);
	assert_int_equal(recv(scene->peer, &(char){0}, 1, 0), 0);
	assert_int_equal(scene->slab.used_bytes, 0);
}

static void test_what_may_follow_what_is_dropped(void **state)
{
	struct io_scene *scene = *state;
	hold(scene, 1);
	say(scene, "never,");
	turn_end(scene);
	say(scene, "nor this,");
	assert_true(io_drop_held(&scene->io, &scene->conn));
	say(scene, "last words");
	turn_end(scene);
	expect_bytes(scene->peer, "last words", 10);

	/* Not before the first packet of all, whatever was held behind it. */
	assert_int_equal(io_hold(&scene->io, &scene->conn, 2, true), ERROR_OK);
	say(scene, "never");
	turn_end(scene);
	assert_int_equal(io_hold(&scene->io, &scene->conn, 3, false), ERROR_OK);
	assert_false(io_drop_held(&scene->io, &scene->conn));
	assert_int_equal(io_queued_bytes(&scene->io, &scene->conn), 0);
	expect_nothing(scene->peer);

	/* Nor behind a packet of which a part may have left. */
	say(scene, "before");
	hold(scene, 4);
	assert_false(io_drop_held(&scene->io, &scene->conn));
	turn_end(scene);
	expect_nothing(scene->peer);
}

/* ---- many ---- */

/* In a turn in which many have output, which leaves together, the held ones' stays. */
static void test_one_of_many(void **state)
{
	struct io_scene *scene = *state;
	struct conn conns[MANY];
	int peers[MANY];
	for (size_t i = 0; i < MANY; i++) {
		peers[i] = io_scene_connect(&scene->io, &conns[i], 0);
		if (i % 3 == 0)
			assert_int_equal(io_hold(&scene->io, &conns[i], 1, false), ERROR_OK);
		io_send(&scene->io, &conns[i], slice_string("hello"));
	}
	turn_end(scene);
	for (size_t i = 0; i < MANY; i++) {
		if (i % 3 == 0) {
			expect_nothing(peers[i]);
			io_unhold(&scene->io, &conns[i]);
			assert_true(io_resume(&scene->io, &conns[i]));
		}
		expect_bytes(peers[i], "hello", 5);
		io_disconnect(&scene->io, &conns[i]);
		close(peers[i]);
	}
}

/* ---- layers ---- */

/* The layer's own answers are not held: they say nothing of what is. */
static void test_a_layer_answers_meanwhile(void **state)
{
	struct io_scene *scene = *state;
	struct framed framed;
	framed_open(&framed, &scene->io.streams);
	scene->conn.stream = framed_over(&scene->io.streams, scene->conn.stream);
	hold(scene, 1);
	say(scene, "held");
	turn_end(scene);
	uint8_t frame[64];
	size_t size = framed_encode(FRAMED_PING, NULL, 0, frame);
	assert_int_equal(send(scene->peer, frame, size, 0), size);
	struct slice bytes;
	bool more = true;
	for (int reads = 0; more && reads < 100; reads++)
		io_receive(&scene->io, &scene->conn, &bytes, &more);
	assert_true(io_resume(&scene->io, &scene->conn));
	uint8_t *body;
	size_t body_bytes;
	ssize_t got = recv(scene->peer, frame, sizeof(frame), 0);
	assert_int_equal(framed_decode(frame, (size_t)got, &body, &body_bytes), FRAMED_PONG);
	assert_int_equal(got, FRAMED_HEAD_BYTES);
	io_unhold(&scene->io, &scene->conn);
	assert_true(io_resume(&scene->io, &scene->conn));
	got = recv(scene->peer, frame, sizeof(frame), 0);
	assert_int_equal(framed_decode(frame, (size_t)got, &body, &body_bytes), FRAMED_DATA);
	assert_memory_equal(body, "held", 4);
	io_disconnect(&scene->io, &scene->conn);
	framed_close(&framed);
}

int main(void)
{
#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, io_scene_open, io_scene_close)
#define IN_FIXED_FILES(test) cmocka_unit_test_setup_teardown(test, io_scene_open_fixed, io_scene_close)
#define TESTS(IN)                                                                                                      \
	IN(test_nothing_leaves_until_it_ends), IN(test_order_around_it), IN(test_a_hold_of_nothing),                   \
		IN(test_a_hold_behind_another), IN(test_an_end_between_two_holds), IN(test_time_stands_still),         \
		IN(test_much_that_is_held), IN(test_the_connection_ends), IN(test_what_may_follow_what_is_dropped),    \
		IN(test_one_of_many)
	const struct CMUnitTest in_table[] = {TESTS(IN_SCENE), IN_SCENE(test_a_layer_answers_meanwhile)};
	const struct CMUnitTest in_fixed_files[] = {TESTS(IN_FIXED_FILES)};
	int failed = cmocka_run_group_tests_name("held, in the table", in_table, NULL, NULL);
	if (fixed_files_work())
		failed += cmocka_run_group_tests_name("held, in fixed files", in_fixed_files, NULL, NULL);
	return failed;
}
