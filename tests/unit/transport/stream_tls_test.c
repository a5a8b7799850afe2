/* Streams over TLS from the side of the wire, with OpenSSL at the other end: records cut anywhere, buffers of any size,
 * what a write becomes, what the peer may not do, ends. That io works over them, net_stream_test.c shows for all kinds.
 */
#include "io_scene.h"
#include "tls_scene.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BUFFER_BYTES ((size_t)256 * 1024)
/* Of the largest session, with a subject. */
#define REST_BYTES_MAX 240u
static uint8_t wire[BUFFER_BYTES];
static uint8_t buffer[BUFFER_BYTES];

/* ---- reading ---- */

/* Reads what there is, as a caller does; *at: of the peer's stream. Returns how often receive() was called. */
static unsigned read_all(struct tls_scene *scene, size_t *at, size_t room)
{
	bool more = true;
	unsigned calls = 0;
	while (more) {
		ssize_t count = scene_receive(scene, buffer, room, &more);
		calls++;
		if (count < 0) {
			assert_int_equal(errno, EAGAIN);
			continue;
		}
		assert_int_not_equal(count, 0);
		assert_stream(buffer, *at, (size_t)count);
		*at += (size_t)count;
	}
	return calls;
}

/* Two records with data, and one that changes the keys between them. */
static size_t seal_sample(struct tls_scene *scene, const struct suite_case *suite)
{
	size_t size = peer_seal(scene, 0, 40, wire);
	if (suite->version == TLS1_3_VERSION)
		SSL_key_update(scene->peer.ssl, SSL_KEY_UPDATE_REQUESTED);
	return size + peer_seal(scene, 40, 60, wire + size);
}

static void test_cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++) {
		for (size_t cut = 1, size = 1000; cut < size; cut++) {
			struct tls_scene *scene = tls_scene_new(&SUITES[i]);
			size_t at = 0;
			size = seal_sample(scene, &SUITES[i]);
			wire_send(scene, wire, cut);
			read_all(scene, &at, sizeof(buffer));
			assert_false(stream_pending(&scene->streams, scene->stream));
			wire_send(scene, wire + cut, size - cut);
			assert_true(stream_pending(&scene->streams, scene->stream));
			read_all(scene, &at, sizeof(buffer));
			assert_int_equal(at, 100);
			assert_in_range(scene->tls.slab.used_bytes, 1, REST_BYTES_MAX); /* the stream alone */
			tls_scene_free(scene);
		}
	}
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++) {
		struct tls_scene *scene = tls_scene_new(&SUITES[i]);
		size_t at = 0;
		size_t size = seal_sample(scene, &SUITES[i]);
		size += peer_seal(scene, 100, 9000, wire + size);
		for (size_t n = 0; n < size; n++) {
			wire_send(scene, wire + n, 1);
			read_all(scene, &at, sizeof(buffer));
			/* What is announced costs nothing until it comes. */
			assert_in_range(scene->tls.slab.used_bytes, 1, REST_BYTES_MAX + 64 + 64 + 3 * n);
		}
		assert_int_equal(at, 9100);
		tls_scene_free(scene);
	}
}

static void test_buffers_of_any_size(void **state)
{
	static const size_t ROOMS[] = {1, 2, 7, 100, 1000, 5000, 16384, 16401, 16405, 40000, 65536, 200000};
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++)
		for (size_t r = 0; r < sizeof(ROOMS) / sizeof(ROOMS[0]); r++) {
			struct tls_scene *scene = tls_scene_new(&SUITES[i]);
			size_t at = 0;
			for (size_t sent = 0; sent < 90000; sent += 45000)
				peer_send(scene, sent, 45000);
			read_all(scene, &at, ROOMS[r]);
			assert_int_equal(at, 90000);
			tls_scene_free(scene);
		}
}

/* Small records, as many as come together, are given out together. */
static void test_one_call_for_many_records(void **state)
{
	(void)state;
	struct tls_scene *scene = tls_scene_new(&SUITES[0]);
	bool more;
	for (size_t at = 0; at < 2000; at += 20)
		peer_send(scene, at, 20);
	assert_int_equal(scene_receive(scene, buffer, 65536, &more), 2000);
	assert_false(more);
	assert_stream(buffer, 0, 2000);
	tls_scene_free(scene);
}

/* The end comes with the event of the half, and brings none of its own: the caller has to ask for it. */
static void expect_end_behind_half(struct tls_scene *scene)
{
	bool more = false;
	assert_int_equal(shutdown(scene->fd, SHUT_WR), 0);
	errno = 0;
	assert_int_equal(scene_receive(scene, buffer, sizeof(buffer), &more), -1);
	assert_int_equal(errno, EAGAIN);
	assert_true(more);
	assert_int_equal(scene_receive(scene, buffer, sizeof(buffer), &more), 0);
	tls_scene_free(scene);
}

static void test_half_a_record_and_the_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++) {
		struct tls_scene *scene = tls_scene_new(&SUITES[i]);
		size_t size = peer_seal(scene, 0, 40, wire);
		wire_send(scene, wire, size - 1);
		expect_end_behind_half(scene);

		/* Of a long record, what comes second is put behind what is kept. */
		scene = tls_scene_new(&SUITES[i]);
		size_t at = 0;
		peer_seal(scene, 0, 9000, wire);
		wire_send(scene, wire, 2000);
		read_all(scene, &at, sizeof(buffer));
		wire_send(scene, wire + 2000, 2000);
		expect_end_behind_half(scene);
	}
}

static void test_unread_bytes_of_the_handshake(void **state)
{
	(void)state;
	for (size_t unread = 0; unread <= 40 + 22; unread++) {
		struct tls_scene *scene = tls_scene_new_unread(&SUITES[0], 40, unread);
		size_t at = 0;
		assert_true(stream_pending(&scene->streams, scene->stream));
		read_all(scene, &at, sizeof(buffer));
		assert_int_equal(at, 40);
		tls_scene_free(scene);
	}
}

/* ---- writing ---- */

static size_t head_length(const uint8_t *record)
{
	return (size_t)record[3] << 8 | record[4];
}

static void test_a_flush_is_one_record(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++) {
		struct tls_scene *scene = tls_scene_new(&SUITES[i]);
		uint8_t bytes[300];
		stream_fill(bytes, 0, sizeof(bytes));
		struct iovec parts[] = {{bytes, 1}, {bytes + 1, 99}, {bytes + 100, 0}, {bytes + 100, 200}};
		assert_int_equal(stream_sendv(&scene->streams, scene->stream, parts, 4), 300);
		ssize_t count = recv(scene->fd, wire, sizeof(wire), 0);
		assert_int_equal(count, 5 + head_length(wire));
		openssl_give(&scene->peer, wire, (size_t)count);
		assert_int_equal(peer_read(scene, buffer, sizeof(buffer)), 300);
		assert_stream(buffer, 0, 300);
		tls_scene_free(scene);
	}
}

/* More than a record: several with one call of the socket. */
static void test_a_large_flush_is_few_records(void **state)
{
	(void)state;
	struct tls_scene *scene = tls_scene_new(&SUITES[0]);
	static uint8_t bytes[60000];
	stream_fill(bytes, 0, sizeof(bytes));
	assert_int_equal(stream_send(&scene->streams, scene->stream, bytes, sizeof(bytes)), sizeof(bytes));
	size_t got = 0;
	while (got != sizeof(bytes)) {
		size_t count = peer_read(scene, buffer, sizeof(buffer));
		assert_in_range(count, 1, TLS_PLAIN_BYTES_MAX);
		assert_int_equal(count,
				 sizeof(bytes) - got < TLS_PLAIN_BYTES_MAX ? sizeof(bytes) - got : TLS_PLAIN_BYTES_MAX);
		assert_stream(buffer, got, count);
		got += count;
	}
	tls_scene_free(scene);
}

/* The peer does not read until nothing more is taken; then it does, a little at a time. The caller offers what was not
 * taken, at other addresses and cut elsewhere, and more behind it. */
static void play_blocked_output(const struct suite_case *suite, int send_bytes, bool updates)
{
	static const size_t OFFERS[] = {50, 3000, 20000, 1, 700, 70000, 16384};
	static const size_t TOTAL = 600000;
	struct tls_scene *scene = tls_scene_new(suite);
	int fd = stream_borrow(&scene->streams, scene->stream);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes)), 0);
	size_t taken = 0;
	size_t got = 0;
	bool is_blocked = false;
	static uint8_t bytes[70000];
	for (unsigned n = 0; got != TOTAL; n++) {
		for (unsigned tries = 0; !is_blocked && taken != TOTAL; tries++) {
			size_t size = OFFERS[(n + tries) % (sizeof(OFFERS) / sizeof(OFFERS[0]))];
			size = size < TOTAL - taken ? size : TOTAL - taken;
			stream_fill(bytes, taken, size);
			struct iovec parts[] = {{bytes, size / 3}, {bytes + size / 3, size - size / 3}};
			ssize_t count = stream_sendv(&scene->streams, scene->stream, parts, 2);
			is_blocked = count < 0;
			assert_true(count > 0 || errno == EAGAIN);
			taken += count > 0 ? (size_t)count : 0;
		}
		if (updates && n % 5 == 0) {
			bool more;
			SSL_key_update(scene->peer.ssl, SSL_KEY_UPDATE_REQUESTED);
			peer_send(scene, 0, 1);
			assert_int_equal(scene_receive(scene, buffer, sizeof(buffer), &more), 1);
		}
		for (unsigned reads = 0; reads < 1 + n % 3; reads++) {
			size_t count = peer_read(scene, buffer, sizeof(buffer));
			assert_stream(buffer, got, count);
			got += count;
		}
		if (is_blocked)
			is_blocked = stream_flush(&scene->streams, scene->stream) != 0;
		assert_in_range(n, 0, 100000);
	}
	assert_int_equal(taken, TOTAL);
	assert_in_range(scene->tls.slab.used_bytes, 1, REST_BYTES_MAX);
	tls_scene_free(scene);
}

static void test_blocked_output(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++)
		for (int send_bytes = 2304; send_bytes <= 40000; send_bytes *= 3) {
			play_blocked_output(&SUITES[i], send_bytes, false);
			play_blocked_output(&SUITES[i], send_bytes, SUITES[i].version == TLS1_3_VERSION);
		}
}

/* ---- facts ---- */

static void test_facts(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++) {
		struct tls_scene *scene = tls_scene_new(&SUITES[i]);
		struct stream_facts facts = stream_facts(&scene->streams, scene->stream);
		assert_int_equal(facts.tls_version, SUITES[i].version);
		assert_int_equal(facts.tls_cipher, SUITES[i].cipher);
		assert_true(slice_equal(facts.subject, slice_string("CN=sensor-17")));
		assert_int_equal(facts.error, ERROR_OK);
		assert_false(facts.is_websocket);
		tls_scene_free(scene);
	}
}

/* At rest: one block, as small as the session is. */
static void test_at_rest(void **state)
{
	static const size_t BYTES[SUITE_CASES] = {160, 224, 192, 96, 128, 128};
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++) {
		struct tls_scene *scene = tls_scene_new(&SUITES[i]);
		struct stream_carry carry;
		int fd = stream_release(&scene->streams, scene->stream, &carry);
		assert_int_equal(scene->tls.slab.used_bytes, 0);
		scene->stream = stream_adopt(&scene->streams, fd, &carry);
		assert_int_equal(scene->tls.slab.used_bytes, BYTES[i] + 16); /* the subject's unit */
		tls_scene_free(scene);
	}
}

/* ---- what the peer may not do ---- */

/* What it wrote before is still given out, then the error is told; and the peer hears of it with the end. */
static void expect_breach(struct tls_scene *scene, size_t good, enum error error, int reason)
{
	bool more = false;
	if (good != 0) {
		assert_int_equal(scene_receive(scene, buffer, sizeof(buffer), &more), good);
		assert_stream(buffer, 0, good);
		assert_true(more && stream_pending(&scene->streams, scene->stream));
	}
	for (int again = 0; again < 2; again++) {
		errno = 0;
		assert_int_equal(scene_receive(scene, buffer, sizeof(buffer), &more), -1);
		assert_int_equal(errno, EPROTO);
		assert_int_equal(stream_facts(&scene->streams, scene->stream).error, error);
	}
	assert_int_equal(scene->tls.failures, 1);
	stream_close(&scene->streams, scene->stream);
	scene->stream = STREAM_NONE;
	peer_read(scene, buffer, sizeof(buffer));
	assert_int_equal(openssl_reason(), reason);
	tls_scene_free(scene);
}

static void test_breaches(void **state)
{
	static const uint8_t LONG[] = {23, 3, 3, 0x50, 0};
	static const uint8_t MQTT[] = {0xc0, 0, 0xc0, 0, 0xc0, 0};
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++)
		for (size_t good = 0; good <= 40; good += 40) {
			struct tls_scene *scene = tls_scene_new(&SUITES[i]);
			size_t size = good != 0 ? peer_seal(scene, 0, good, wire) : 0;
			size += peer_seal(scene, good, 10, wire + size);
			wire[size - 1] ^= 0x80;
			wire_send(scene, wire, size);
			expect_breach(scene, good, ERROR_TLS_RECORD_TAG, SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);

			scene = tls_scene_new(&SUITES[i]);
			if (good != 0)
				peer_send(scene, 0, good);
			wire_send(scene, LONG, sizeof(LONG));
			expect_breach(scene, good, ERROR_TLS_RECORD_LENGTH, SSL_R_TLSV1_ALERT_RECORD_OVERFLOW);

			scene = tls_scene_new(&SUITES[i]);
			if (good != 0)
				peer_send(scene, 0, good);
			wire_send(scene, MQTT, sizeof(MQTT));
			expect_breach(scene, good, ERROR_TLS_RECORD_TYPE, SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE);
		}
}

/* With a byte of data behind each they are a client's right, however many came while the server had no time to read:
 * those above the limit wait for the next call. */
static void test_so_many_key_updates_a_read(void **state)
{
	(void)state;
	for (size_t updates = 8; updates <= 40; updates++) {
		struct tls_scene *scene = tls_scene_new(&SUITES[0]);
		bool more;
		size_t calls = 0;
		for (size_t at = 0; at < updates; at++) {
			SSL_key_update(scene->peer.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
			peer_send(scene, at, 1);
		}
		for (size_t got = 0; got < updates; calls++) {
			ssize_t count = scene_receive(scene, buffer, sizeof(buffer), &more);
			assert_in_range(count, 1, 9);
			assert_stream(buffer, got, (size_t)count);
			got += (size_t)count;
			assert_true(more || got == updates);
		}
		assert_int_equal(calls, (updates + 8) / 9 + (updates % 9 == 0 ? 1 : 0));
		peer_send(scene, updates, 1);
		assert_int_equal(scene_receive(scene, buffer, sizeof(buffer), &more), 1);
		tls_scene_free(scene);
	}
}

static void test_key_updates_and_no_data(void **state)
{
	(void)state;
	for (size_t updates = 8; updates <= 9; updates++) {
		struct tls_scene *scene = tls_scene_new(&SUITES[0]);
		bool more;
		for (size_t at = 0; at < updates; at++) {
			uint8_t record[64];
			SSL_key_update(scene->peer.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
			assert_int_equal(SSL_do_handshake(scene->peer.ssl), 1);
			wire_send(scene, record, openssl_take(&scene->peer, record, sizeof(record)));
		}
		if (updates == 9) {
			expect_breach(scene, 0, ERROR_TLS_MESSAGE, SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE);
			continue;
		}
		peer_send(scene, 0, 1);
		assert_int_equal(scene_receive(scene, buffer, sizeof(buffer), &more), 1);
		tls_scene_free(scene);
	}
}

/* ---- ends ---- */

static void test_peer_ends(void **state)
{
	(void)state;
	for (int is_told = 0; is_told < 2; is_told++) {
		struct tls_scene *scene = tls_scene_new(&SUITES[0]);
		bool more = false;
		peer_send(scene, 0, 30);
		if (is_told) {
			SSL_shutdown(scene->peer.ssl);
			wire_send(scene, wire, openssl_take(&scene->peer, wire, sizeof(wire)));
		}
		shutdown(scene->fd, SHUT_WR);
		assert_int_equal(scene_receive(scene, buffer, sizeof(buffer), &more), 30);
		for (int again = 0; again < 2; again++)
			assert_int_equal(scene_receive(scene, buffer, sizeof(buffer), &more), 0);
		assert_int_equal(scene->tls.failures, 0);
		/* The other direction goes on. */
		assert_int_equal(stream_send(&scene->streams, scene->stream, "bye", 3), 3);
		assert_int_equal(peer_read(scene, buffer, sizeof(buffer)), is_told ? 3 : 3);
		tls_scene_free(scene);
	}
}

/* The cut and the end may have come with one event of the poller, so no other comes for the end. */
static void expect_cut(struct tls_scene *scene)
{
	bool more;
	ssize_t count;
	while ((count = scene_receive(scene, buffer, sizeof(buffer), &more)) < 0) {
		assert_int_equal(errno, EAGAIN);
		assert_true(more);
	}
	assert_int_equal(count, 0);
}

static void test_peer_is_cut_in_a_record(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < 52; cut++) {
		struct tls_scene *scene = tls_scene_new(&SUITES[0]);
		assert_int_equal(peer_seal(scene, 0, 30, wire), 52);
		wire_send(scene, wire, cut);
		shutdown(scene->fd, SHUT_WR);
		expect_cut(scene);
		tls_scene_free(scene);
	}
}

/* The first part is so long that what follows is put behind it where it is kept. */
static void test_peer_is_cut_in_a_long_record(void **state)
{
	(void)state;
	struct tls_scene *scene = tls_scene_new(&SUITES[0]);
	bool more = true;
	peer_seal(scene, 0, 9000, wire);
	wire_send(scene, wire, 4000);
	while (more)
		assert_int_equal(scene_receive(scene, buffer, sizeof(buffer), &more), -1);
	wire_send(scene, wire + 4000, 2000);
	shutdown(scene->fd, SHUT_WR);
	expect_cut(scene);
	tls_scene_free(scene);
}

static void test_peer_ends_with_an_alert(void **state)
{
	(void)state;
	struct tls_scene *scene = tls_scene_new(&SUITES[0]);
	bool more;
	/* It does not understand what it gets. */
	wire_send(scene, wire, openssl_take(&scene->peer, wire, sizeof(wire)));
	openssl_give(&scene->peer, "\27\3\3\0\24aaaaaaaaaaaaaaaaaaaa", 25);
	assert_int_equal(SSL_read(scene->peer.ssl, buffer, 1), -1);
	wire_send(scene, wire, openssl_take(&scene->peer, wire, sizeof(wire)));
	assert_int_equal(scene_receive(scene, buffer, sizeof(buffer), &more), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(stream_facts(&scene->streams, scene->stream).error, ERROR_TLS_ALERT);
	stream_close(&scene->streams, scene->stream);
	scene->stream = STREAM_NONE;
	assert_int_equal(recv(scene->fd, wire, sizeof(wire), 0), 0); /* no words after that */
	tls_scene_free(scene);
}

static void test_we_say_close_notify(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++) {
		struct tls_scene *scene = tls_scene_new(&SUITES[i]);
		stream_send(&scene->streams, scene->stream, "bye", 3);
		stream_close(&scene->streams, scene->stream);
		scene->stream = STREAM_NONE;
		assert_int_equal(peer_read(scene, buffer, sizeof(buffer)), 3);
		assert_int_equal(peer_read(scene, buffer, sizeof(buffer)), 0);
		assert_int_equal(SSL_get_shutdown(scene->peer.ssl), SSL_RECEIVED_SHUTDOWN);
		tls_scene_free(scene);
	}
}

/* After a cut record nothing may follow: the peer must be able to tell. */
static void test_nothing_follows_a_cut(void **state)
{
	(void)state;
	for (int shuts = 0; shuts < 2; shuts++) {
		struct tls_scene *scene = tls_scene_new(&SUITES[0]);
		int size = 4000;
		int fd = stream_borrow(&scene->streams, scene->stream);
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
		stream_fill(buffer, 0, 60000);
		while (stream_send(&scene->streams, scene->stream, buffer, 16384) > 0)
			;
		if (shuts)
			stream_shutdown(&scene->streams, scene->stream);
		stream_close(&scene->streams, scene->stream);
		scene->stream = STREAM_NONE;
		while (peer_read(scene, buffer, sizeof(buffer)) != 0)
			;
		assert_int_equal(SSL_get_shutdown(scene->peer.ssl), 0);
		tls_scene_free(scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_buffers_of_any_size),
		cmocka_unit_test(test_one_call_for_many_records),
		cmocka_unit_test(test_half_a_record_and_the_end),
		cmocka_unit_test(test_unread_bytes_of_the_handshake),
		cmocka_unit_test(test_a_flush_is_one_record),
		cmocka_unit_test(test_a_large_flush_is_few_records),
		cmocka_unit_test(test_blocked_output),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_at_rest),
		cmocka_unit_test(test_breaches),
		cmocka_unit_test(test_so_many_key_updates_a_read),
		cmocka_unit_test(test_key_updates_and_no_data),
		cmocka_unit_test(test_peer_ends),
		cmocka_unit_test(test_peer_is_cut_in_a_record),
		cmocka_unit_test(test_peer_is_cut_in_a_long_record),
		cmocka_unit_test(test_peer_ends_with_an_alert),
		cmocka_unit_test(test_we_say_close_notify),
		cmocka_unit_test(test_nothing_follows_a_cut),
	};
	return cmocka_run_group_tests_name("stream_tls", tests, NULL, NULL);
}
