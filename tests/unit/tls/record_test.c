/* The record layer against OpenSSL: what one writes the other reads, in both versions, all suites, at both ends. */
#include "openssl_pair.h"

#include "tls/record.h"
#include "tls/schedule.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define WIRE_BYTES ((size_t)256 * 1024)

struct scene {
	struct tls_ciphers *ciphers;
	struct openssl_peer peer;
	struct tls_session *session;
	uint8_t memory[TLS_SESSION_BYTES_MAX];
	uint8_t wire[WIRE_BYTES];
	size_t wire_bytes;
	size_t wire_at;
	uint8_t plain[TLS_RECORD_BYTES_MAX];
	uint8_t text[TLS_PLAIN_BYTES_MAX];
};

static struct scene scene;

static int setup(void **state)
{
	(void)state;
	scene.ciphers = tls_ciphers_new();
	for (size_t i = 0; i < sizeof(scene.text); i++)
		scene.text[i] = (uint8_t)(i * 7 + i / 256);
	return scene.ciphers == NULL;
}

static int teardown(void **state)
{
	(void)state;
	tls_ciphers_free(scene.ciphers);
	return 0;
}

static void begin(const struct suite_case *suite, bool is_server, unsigned tickets)
{
	scene.session = (struct tls_session *)(void *)scene.memory;
	scene.wire_bytes = scene.wire_at = 0;
	openssl_pair(scene.ciphers, suite, is_server, tickets, &scene.peer, scene.session);
	assert_true(tls_session_bytes(scene.session->version, scene.session->suite) <= sizeof(scene.memory));
}

static void end(void)
{
	tls_session_wipe(scene.session);
	openssl_free(&scene.peer);
}

/* The next record that the peer has written. */
static enum error open_next(struct slice *plain, enum tls_content *what)
{
	if (scene.wire_at == scene.wire_bytes) {
		scene.wire_at = 0;
		scene.wire_bytes = openssl_take(&scene.peer, scene.wire, sizeof(scene.wire));
	}
	size_t size = 0;
	uint8_t *record = scene.wire + scene.wire_at;
	assert_int_equal(tls_record_size(slice_of(record, scene.wire_bytes - scene.wire_at), &size), ERROR_OK);
	assert_in_range(size, 1, scene.wire_bytes - scene.wire_at);
	scene.wire_at += size;
	return tls_record_open(scene.ciphers, scene.session, record, size, scene.plain, plain, what);
}

static void peer_sends(size_t size)
{
	assert_int_equal(SSL_write(scene.peer.ssl, scene.text, (int)size), (int)size);
	struct slice plain;
	enum tls_content what;
	do {
		assert_int_equal(open_next(&plain, &what), ERROR_OK);
	} while (what != TLS_CONTENT_DATA);
	assert_int_equal(plain.size, size);
	assert_memory_equal(plain.data, scene.text, size);
}

/* In `count` parts. */
static void we_send(size_t size, size_t count)
{
	static uint8_t out[TLS_PLAIN_BYTES_MAX + TLS_SEAL_BYTES_MAX];
	static uint8_t got[TLS_PLAIN_BYTES_MAX];
	struct slice parts[4];
	for (size_t i = 0; i < count; i++)
		parts[i] = slice_of(scene.text + i * (size / count),
				    i + 1 == count ? size - i * (size / count) : size / count);
	size_t sealed = tls_record_seal(scene.ciphers, scene.session, parts, count, size, out);
	assert_in_range(sealed, size, size + TLS_SEAL_BYTES_MAX);
	openssl_give(&scene.peer, out, sealed);
	assert_int_equal(SSL_read(scene.peer.ssl, got, sizeof(got)), (int)size);
	assert_memory_equal(got, scene.text, size);
}

static void test_every_suite_at_both_ends(void **state)
{
	static const size_t SIZES[] = {1, 2, 15, 16, 17, 64, 80, 255, 256, 1000, 4096, 16383, 16384};
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++)
		for (int is_server = 0; is_server < 2; is_server++) {
			begin(&SUITES[i], is_server, 2);
			for (size_t j = 0; j < sizeof(SIZES) / sizeof(SIZES[0]); j++) {
				peer_sends(SIZES[j]);
				we_send(SIZES[j], 1 + (SIZES[j] > 3 ? j % 4 : 0));
				we_send(SIZES[j], 1);
			}
			end();
		}
}

/* ---- KeyUpdate ---- */

static const struct suite_case *case_1_3(size_t i)
{
	assert_int_equal(SUITES[i].version, TLS1_3_VERSION);
	return &SUITES[i];
}

static void test_peer_updates_its_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (int is_server = 0; is_server < 2; is_server++) {
			begin(case_1_3(i), is_server, 1);
			for (int round = 0; round < 5; round++) {
				assert_int_equal(SSL_key_update(scene.peer.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
				peer_sends(100);
				we_send(100, 1);
				peer_sends(100);
				assert_false(scene.session->update_due);
			}
			end();
		}
}

/* Two requests at once get one answer [RFC 8446, 4.6.3]. */
static void test_peer_asks_for_ours(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (int is_server = 0; is_server < 2; is_server++) {
			begin(case_1_3(i), is_server, 1);
			for (int round = 0; round < 5; round++) {
				for (int n = 0; n < 1 + round % 2; n++) {
					assert_int_equal(SSL_key_update(scene.peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
					peer_sends(100);
				}
				assert_true(scene.session->update_due);
				we_send(100, 1);
				assert_false(scene.session->update_due);
				assert_int_equal(scene.session->sequence[TLS_WRITE], 1);
				we_send(100, 1);
				peer_sends(100);
			}
			end();
		}
}

static void test_we_update_our_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (int is_server = 0; is_server < 2; is_server++) {
			begin(case_1_3(i), is_server, 2);
			for (int round = 0; round < 5; round++) {
				uint8_t out[TLS_KEY_UPDATE_BYTES_MAX];
				size_t size = tls_key_update_write(scene.ciphers, scene.session, out);
				assert_in_range(size, 1, sizeof(out));
				openssl_give(&scene.peer, out, size);
				we_send(100, 1);
				peer_sends(100);
			}
			end();
		}
}

static void test_many_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++) {
		begin(&SUITES[i], true, 1);
		for (size_t n = 0; n < 3000; n++) {
			peer_sends(1 + n % 300);
			we_send(1 + n % 300, 1);
			if (n % 500 == 499 && SUITES[i].version == TLS1_3_VERSION)
				SSL_key_update(scene.peer.ssl, SSL_KEY_UPDATE_REQUESTED);
		}
		end();
	}
}

/* ---- the end ---- */

static void test_close_notify_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++)
		for (int is_server = 0; is_server < 2; is_server++) {
			uint8_t out[TLS_ALERT_BYTES_MAX];
			uint8_t byte;
			struct slice plain;
			enum tls_content what;
			begin(&SUITES[i], is_server, 0);
			openssl_give(&scene.peer, out, tls_alert_write(scene.ciphers, scene.session, out));
			assert_int_equal(SSL_read(scene.peer.ssl, &byte, 1), 0);
			assert_int_equal(SSL_get_error(scene.peer.ssl, 0), SSL_ERROR_ZERO_RETURN);
			SSL_shutdown(scene.peer.ssl);
			assert_int_equal(open_next(&plain, &what), ERROR_OK);
			assert_int_equal(what, TLS_CONTENT_END);
			assert_true(scene.session->closed);
			end();
		}
}

static int reason_of_failed_read(void)
{
	uint8_t byte;
	ERR_clear_error();
	int result = SSL_read(scene.peer.ssl, &byte, 1);
	assert_int_equal(SSL_get_error(scene.peer.ssl, result), SSL_ERROR_SSL);
	return ERR_GET_REASON(ERR_peek_error());
}

static void test_wrong_tag_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE_CASES; i++) {
		uint8_t out[TLS_ALERT_BYTES_MAX];
		struct slice plain;
		enum tls_content what;
		begin(&SUITES[i], true, 0);
		SSL_write(scene.peer.ssl, "hello", 5);
		scene.wire_bytes = openssl_take(&scene.peer, scene.wire, sizeof(scene.wire));
		scene.wire[scene.wire_bytes - 1] ^= 1;
		assert_int_equal(open_next(&plain, &what), ERROR_TLS_RECORD_TAG);
		openssl_give(&scene.peer, out, tls_alert_write(scene.ciphers, scene.session, out));
		assert_int_equal(reason_of_failed_read(), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
		end();
	}
}

/* OpenSSL's client asks for it, and is told no with the alert that is made for that. */
static void test_renegotiation(void **state)
{
	(void)state;
	for (size_t i = 3; i < SUITE_CASES; i++) {
		uint8_t out[TLS_ALERT_BYTES_MAX];
		struct slice plain;
		enum tls_content what;
		begin(&SUITES[i], true, 0);
		assert_int_equal(SSL_renegotiate(scene.peer.ssl), 1);
		SSL_do_handshake(scene.peer.ssl);
		assert_int_equal(open_next(&plain, &what), ERROR_TLS_MESSAGE);
		openssl_give(&scene.peer, out, tls_alert_write(scene.ciphers, scene.session, out));
		assert_int_equal(reason_of_failed_read(), SSL_R_NO_RENEGOTIATION);
		end();
	}
}

/* Tickets that the server has sent count as records of ours; and at the client's end they are heard and forgotten. */
static void test_tickets(void **state)
{
	(void)state;
	for (unsigned tickets = 0; tickets < 4; tickets++)
		for (int is_server = 0; is_server < 2; is_server++) {
			begin(case_1_3(tickets % 3), is_server, tickets);
			we_send(10, 1);
			peer_sends(10);
			assert_int_equal(scene.session->sequence[is_server ? TLS_WRITE : TLS_READ], tickets + 1);
			end();
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_suite_at_both_ends),
		cmocka_unit_test(test_peer_updates_its_keys),
		cmocka_unit_test(test_peer_asks_for_ours),
		cmocka_unit_test(test_we_update_our_keys),
		cmocka_unit_test(test_many_records),
		cmocka_unit_test(test_close_notify_both_ways),
		cmocka_unit_test(test_wrong_tag_is_told),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_tickets),
	};
	return cmocka_run_group_tests_name("tls_record", tests, setup, teardown);
}
