/* Each way in which a handshake fails has its error, its words and its alert, and leaves nothing behind for the next.
 */
#include "handshake_scene.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include <openssl/err.h>

#include <stdlib.h>

#define FAR_S INT64_C(4000000000)
#define OLD_S (2 * 86400)

static void expect(struct scene_result result, enum error server, enum error client)
{
	if (result.server != server || result.client != client)
		fail_msg("server %s (%s), client %s (%s)", error_name(result.server), result.server_fault,
			 error_name(result.client), result.client_fault);
	assert_true(server == ERROR_OK || server == ERROR_MORE || result.server_fault[0] != '\0');
	assert_int_equal(ERR_peek_error(), 0);
}

/* ---- what is agreed on ---- */

static void test_no_version_in_common(void **state)
{
	(void)state;
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	server.only_tls_1_3 = true;
	client.only_tls_1_2 = true;
	struct scene_result result = scene_shake(&server, &client);
	expect(result, ERROR_TLS_VERSION, ERROR_TLS_ALERT);
	assert_string_equal(result.client_fault, "the peer's alert: protocol version");
}

static void test_no_cipher_in_common(void **state)
{
	(void)state;
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	server.ciphersuites = "TLS_AES_256_GCM_SHA384";
	client.ciphersuites = "TLS_AES_128_GCM_SHA256";
	server.only_tls_1_3 = true;
	expect(scene_shake(&server, &client), ERROR_TLS_CIPHER, ERROR_TLS_ALERT);
	server = scene_server_options();
	client.only_tls_1_2 = true;
	client.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"; /* the server has no RSA key */
	expect(scene_shake(&server, &client), ERROR_TLS_CIPHER, ERROR_TLS_ALERT);
}

static void test_another_protocol_inside(void **state)
{
	(void)state;
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	client.alpn = "http/1.1";
	struct scene_result result = scene_shake(&server, &client);
	expect(result, ERROR_TLS_ALPN, ERROR_TLS_ALERT);
	assert_string_equal(result.client_fault, "the peer's alert: no application protocol");
	client.alpn = NULL; /* who offers nothing is let in */
	expect(scene_shake(&server, &client), ERROR_OK, ERROR_OK);
	client.alpn = "mqtt";
	server.alpn = NULL;
	expect(scene_shake(&server, &client), ERROR_OK, ERROR_OK);
}

/* ---- the server's certificate ---- */

static void test_a_client_that_does_not_trust_the_server(void **state)
{
	(void)state;
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	client.ca = scene_document("other.pem", &scene_files()->rsa, TLS_DEVELOPMENT_CA);
	for (int only_tls_1_2 = 0; only_tls_1_2 < 2; only_tls_1_2++) {
		client.only_tls_1_2 = only_tls_1_2 == 1;
		struct scene_result result = scene_shake(&server, &client);
		expect(result, ERROR_TLS_CERTIFICATE_REFUSED, ERROR_TLS_CERTIFICATE_UNTRUSTED);
		assert_string_equal(result.server_fault, "the peer's alert: unknown CA");
	}
}

static void test_a_server_whose_certificate_has_expired(void **state)
{
	(void)state;
	struct tls_development expired = scene_make(&scene_files()->ecdsa, NULL, scene_wall_s() - OLD_S, 1),
			       future = scene_make(&scene_files()->ecdsa, NULL, FAR_S, 1);
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	server.identities[0] = scene_identity(&expired);
	expect(scene_shake(&server, &client), ERROR_TLS_CERTIFICATE_REFUSED, ERROR_TLS_CERTIFICATE_EXPIRED);
	server.identities[0] = scene_identity(&future);
	expect(scene_shake(&server, &client), ERROR_TLS_CERTIFICATE_REFUSED, ERROR_TLS_CERTIFICATE_NOT_YET);
	client.check = false;
	expect(scene_shake(&server, &client), ERROR_OK, ERROR_OK);
	tls_development_fini(&expired);
	tls_development_fini(&future);
}

static void test_a_server_with_another_name(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"localhost", "a.wild.example", "127.0.0.1", "other.example", "192.0.2.1"};
	struct tls_server_options server_options = scene_server_options();
	struct tls_client_options client_options = scene_client_options();
	struct tls_context *server = scene_server(&server_options), *client = scene_client(&client_options);
	for (size_t i = 0; i < 5; i++) {
		struct scene_pair *pair = malloc(sizeof(*pair));
		scene_pair_begin(pair, server, client, NULL);
		tls_handshake_free(pair->client);
		pair->client = tls_handshake_new(client, NAMES[i], NULL);
		scene_pair_run(pair);
		assert_int_equal(pair->client_error, i < 3 ? ERROR_OK : ERROR_TLS_CERTIFICATE_UNTRUSTED);
		if (i == 3)
			assert_string_equal(tls_handshake_fault(pair->client),
					    "certificate \"CN=localhost\" is not for \"other.example\"");
		scene_pair_end(pair);
		free(pair);
	}
	tls_context_put(&server);
	tls_context_put(&client);
}

/* ---- the client's certificate ---- */

struct client_case {
	struct tls_server_options server;
	struct tls_client_options client;
};

/* A server that requires certificates of the ECDSA scene's CA, and a client that has one. */
static struct client_case client_case(void)
{
	struct client_case made = {scene_server_options(), scene_client_options()};
	made.server.clients = TLS_CLIENTS_REQUIRED;
	made.server.client_ca = scene_document("clients.pem", &scene_files()->ecdsa, TLS_DEVELOPMENT_CA);
	made.server.identity_from = TLS_IDENTITY_CN;
	made.client.identity = scene_client_identity(&scene_files()->ecdsa);
	return made;
}

/* In TLS 1.3 the client is done before the server has looked at its certificate. */
static void expect_refused(const struct client_case *made, enum error error)
{
	struct tls_client_options client = made->client;
	expect(scene_shake(&made->server, &client), error, ERROR_OK);
	client.only_tls_1_2 = true;
	struct scene_result result = scene_shake(&made->server, &client);
	assert_int_equal(result.server, error);
	assert_true(result.client == ERROR_TLS_ALERT || result.client == ERROR_TLS_CERTIFICATE_REFUSED);
}

static void test_a_client_without_a_certificate(void **state)
{
	(void)state;
	struct client_case made = client_case();
	made.client.identity = (struct tls_identity){0};
	expect_refused(&made, ERROR_TLS_CERTIFICATE_MISSING);
	made.server.clients = TLS_CLIENTS_OPTIONAL;
	expect(scene_shake(&made.server, &made.client), ERROR_OK, ERROR_OK);
}

static void test_a_client_that_nobody_knows(void **state)
{
	(void)state;
	struct client_case made = client_case();
	made.client.identity = scene_client_identity(&scene_files()->rsa);
	expect_refused(&made, ERROR_TLS_CERTIFICATE_UNTRUSTED);
	made.server.clients = TLS_CLIENTS_OPTIONAL; /* who shows one shows a good one */
	expect_refused(&made, ERROR_TLS_CERTIFICATE_UNTRUSTED);
	/* A certificate for servers is none for clients. */
	made = client_case();
	made.client.identity = scene_identity(&scene_files()->ecdsa);
	expect_refused(&made, ERROR_TLS_CERTIFICATE_UNTRUSTED);
}

static void test_a_client_out_of_its_time(void **state)
{
	(void)state;
	struct client_case made = client_case();
	struct tls_development expired = scene_make(&scene_files()->ecdsa, "old", scene_wall_s() - OLD_S, 1),
			       future = scene_make(&scene_files()->ecdsa, "new", FAR_S, 1);
	made.client.identity = scene_client_identity(&expired);
	expect_refused(&made, ERROR_TLS_CERTIFICATE_EXPIRED);
	made.client.identity = scene_client_identity(&future);
	expect_refused(&made, ERROR_TLS_CERTIFICATE_NOT_YET);
	tls_development_fini(&expired);
	tls_development_fini(&future);
}

static void test_a_client_that_was_revoked(void **state)
{
	(void)state;
	const struct tls_development *files = &scene_files()->ecdsa;
	struct client_case made = client_case();
	struct slice none = scene_crl(files, NULL, FAR_S),
		     it = scene_crl(files, &files->pem[TLS_DEVELOPMENT_CLIENT], FAR_S),
		     stale = scene_crl(files, NULL, scene_wall_s() + 1);
	made.server.client_crl = (struct tls_document){.path = "x.crl", .pem = none};
	expect(scene_shake(&made.server, &made.client), ERROR_OK, ERROR_OK);
	made.server.client_crl.pem = it;
	expect_refused(&made, ERROR_TLS_CERTIFICATE_REVOKED);
	/* Nobody knows whom a list that is out of date would name today. */
	made.server.client_crl.pem = stale;
	struct scene_result result = scene_shake(&made.server, &made.client);
	assert_int_equal(result.server, ERROR_TLS_CERTIFICATE_UNTRUSTED);
	assert_non_null(
		strstr(result.server_fault, "CRL has expired: certificate \"CN=sensor-17\", issued by \"CN=Roost"));
	free((void *)(uintptr_t)none.data);
	free((void *)(uintptr_t)it.data);
	free((void *)(uintptr_t)stale.data);
}

static void test_a_client_without_a_name_of_the_kind(void **state)
{
	(void)state;
	static const enum tls_identity_from KINDS[] = {TLS_IDENTITY_DNS, TLS_IDENTITY_EMAIL, TLS_IDENTITY_URI};
	struct client_case made = client_case();
	for (size_t i = 0; i < 3; i++) {
		made.server.identity_from = KINDS[i];
		expect_refused(&made, ERROR_TLS_CERTIFICATE_NAME);
	}
	made.server.identity_from = TLS_IDENTITY_NONE;
	expect(scene_shake(&made.server, &made.client), ERROR_OK, ERROR_OK);
}

/* ---- bytes that are no handshake ---- */

/* A server after a ClientHello of TLS 1.2, or of 1.3: its answer is out. */
static struct tls_handshake *answered(bool only_tls_1_2, uint8_t *hello, size_t *hello_bytes)
{
	struct tls_server_options server_options = scene_server_options();
	struct tls_client_options client_options = scene_client_options();
	client_options.only_tls_1_2 = only_tls_1_2;
	struct tls_context *server = scene_server(&server_options), *client = scene_client(&client_options);
	struct tls_handshake *asking = tls_handshake_new(client, "localhost", NULL);
	struct tls_handshake *handshake = tls_handshake_new(server, NULL, NULL);
	size_t consumed;
	assert_int_equal(tls_handshake_step(asking, slice_of(NULL, 0), &consumed), ERROR_MORE);
	struct slice output = tls_handshake_output(asking);
	if (hello != NULL) {
		memcpy(hello, output.data, output.size);
		*hello_bytes = output.size;
	} else {
		assert_int_equal(tls_handshake_step(handshake, output, &consumed), ERROR_MORE);
		assert_int_equal(consumed, output.size);
		assert_true(tls_handshake_output(handshake).size > 500);
	}
	tls_handshake_free(asking);
	tls_context_put(&server);
	tls_context_put(&client);
	return handshake;
}

static void test_alerts_of_the_peer(void **state)
{
	(void)state;
	static const struct {
		uint8_t alert;
		enum error error;
	} CASES[] = {
		{42, ERROR_TLS_CERTIFICATE_REFUSED},
		{43, ERROR_TLS_CERTIFICATE_REFUSED},
		{44, ERROR_TLS_CERTIFICATE_REFUSED},
		{45, ERROR_TLS_CERTIFICATE_REFUSED},
		{46, ERROR_TLS_CERTIFICATE_REFUSED},
		{48, ERROR_TLS_CERTIFICATE_REFUSED},
		{10, ERROR_TLS_ALERT},
		{20, ERROR_TLS_ALERT},
		{40, ERROR_TLS_ALERT},
		{47, ERROR_TLS_ALERT},
		{49, ERROR_TLS_ALERT},
		{50, ERROR_TLS_ALERT},
		{51, ERROR_TLS_ALERT},
		{70, ERROR_TLS_ALERT},
		{71, ERROR_TLS_ALERT},
		{80, ERROR_TLS_ALERT},
		{86, ERROR_TLS_ALERT},
		{0xee, ERROR_TLS_ALERT},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		for (int only_tls_1_2 = 0; only_tls_1_2 < 2; only_tls_1_2++) {
			const uint8_t record[] = {21, 3, 3, 0, 2, 2, CASES[i].alert};
			struct tls_handshake *handshake = answered(only_tls_1_2 == 1, NULL, NULL);
			size_t consumed;
			enum error error = tls_handshake_step(handshake, slice_of(record, sizeof(record)), &consumed);
			if (error != CASES[i].error)
				fail_msg("alert %d: %s", CASES[i].alert, error_name(error));
			assert_int_equal(ERR_peek_error(), 0);
			tls_handshake_free(handshake);
		}
	}
}

static void test_what_may_not_come_next(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		bool only_tls_1_2;
		enum error error;
		uint8_t alert; /* in the clear; 0: it is sealed, or there is none */
	} CASES[] = {
		{"\x17\x03\x03\x00\x01x", 6, true, ERROR_TLS_RECORD_TYPE, 10},
		{"\x17\x03\x03\x48\x01", 5, true, ERROR_TLS_RECORD_LENGTH, 22},
		{"\x16\x03\x03\x48\x01", 5, true, ERROR_TLS_RECORD_LENGTH, 22},
		{"\x99\x03\x03\x00\x01x", 6, true, ERROR_TLS_RECORD_TYPE, 10},
		{"\x16\x02\x03\x00\x01x", 6, true, ERROR_TLS_VERSION, 70},
		{"GET / HTTP/1.1\r\n\r\n", 18, true, ERROR_TLS_VERSION, 0},
		{"\x16\x03\x03\x00\x04\x0e\x00\x00\x00", 9, true, ERROR_TLS_HANDSHAKE, 10}, /* ServerHelloDone */
		{"\x16\x03\x03\x00\x04\x10\xff\xff\xff", 9, true, ERROR_TLS_HANDSHAKE_BYTES,
		 47}, /* ClientKeyExchange */
		{"\x14\x03\x03\x00\x01\x02", 6, true, ERROR_TLS_HANDSHAKE, 10},
		{"\x17\x03\x03\x00\x20xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 37, false, ERROR_TLS_RECORD_TAG, 0},
		{"\x17\x03\x03\x48\x01", 5, false, ERROR_TLS_RECORD_LENGTH, 0},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct tls_handshake *handshake = answered(CASES[i].only_tls_1_2, NULL, NULL);
		size_t consumed;
		enum error error = tls_handshake_step(
			handshake, slice_of((const uint8_t *)CASES[i].bytes, CASES[i].size), &consumed);
		if (error != CASES[i].error)
			fail_msg("case %zu: %s, %s", i, error_name(error), tls_handshake_fault(handshake));
		struct slice output = tls_handshake_output(handshake);
		if (CASES[i].alert != 0)
			assert_true(output.size == 7 && output.data[0] == 21 && output.data[6] == CASES[i].alert);
		assert_int_equal(ERR_peek_error(), 0);
		tls_handshake_free(handshake);
	}
}

static void test_a_stranger_is_told_what_it_can_understand(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		enum error error;
		const char *answer;
		size_t answer_bytes;
	} CASES[] = {
		{"GET / HTTP/1.1\r\n", 16, ERROR_TLS_PLAIN_HTTP, "HTTP/1.1 400 Bad Request\r\n", 26},
		{"\x10\x0c\x00\x04MQTT", 8, ERROR_TLS_PLAIN_MQTT, "", 0},
		{"\x80\x2e\x01", 3, ERROR_TLS_VERSION, "\x15\x03\x03\x00\x02\x02\x46", 7},
		{"\x16\x03\x01\xff\xff", 5, ERROR_TLS_RECORD_LENGTH, "\x15\x03\x03\x00\x02\x02\x16", 7},
		{"SSH-2.0-x\r\n", 11, ERROR_TLS_NOT_TLS, "\x15\x03\x03\x00\x02\x02\x0a", 7},
	};
	struct tls_server_options options = scene_server_options();
	struct tls_context *server = scene_server(&options);
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct tls_handshake *handshake = tls_handshake_new(server, NULL, NULL);
		size_t consumed;
		assert_int_equal(tls_handshake_step(handshake, slice_of((const uint8_t *)CASES[i].bytes, CASES[i].size),
						    &consumed),
				 CASES[i].error);
		struct slice output = tls_handshake_output(handshake);
		assert_true(output.size >= CASES[i].answer_bytes);
		assert_int_equal(output.size == 0, CASES[i].answer_bytes == 0);
		if (output.size > 0)
			assert_memory_equal(output.data, CASES[i].answer, CASES[i].answer_bytes);
		assert_string_equal(tls_handshake_fault(handshake), error_sentence(CASES[i].error));
		tls_handshake_free(handshake);
	}
	tls_context_put(&server);
}

/* The version in the hello itself; TLS 1.2's client has no extension that would say another. */
static void test_an_old_version(void **state)
{
	(void)state;
	for (uint8_t minor = 0; minor < 3; minor++) {
		uint8_t hello[2048];
		size_t hello_bytes, consumed;
		struct tls_handshake *handshake = answered(true, hello, &hello_bytes);
		assert_int_equal(hello[10], 3); /* 3.3 is TLS 1.2 */
		hello[10] = minor;
		assert_int_equal(tls_handshake_step(handshake, slice_of(hello, hello_bytes), &consumed),
				 ERROR_TLS_VERSION);
		struct slice output = tls_handshake_output(handshake);
		/* SSL 3 had no alert for it. */
		assert_true(output.size == 7 && output.data[6] == (minor == 0 ? 40 : 70));
		tls_handshake_free(handshake);
	}
}

static void test_a_handshake_that_never_ends(void **state)
{
	(void)state;
	/* A hello of 128 KiB, in records of one KiB each. */
	uint8_t record[5 + 1024] = {22, 3, 1, 4, 0, 1, 2, 0, 0};
	struct tls_server_options options = scene_server_options();
	struct tls_context *server = scene_server(&options);
	struct tls_handshake *handshake = tls_handshake_new(server, NULL, NULL);
	enum error error = ERROR_MORE;
	size_t consumed, given = 0;
	while (error == ERROR_MORE && given < (size_t)1 << 20) {
		error = tls_handshake_step(handshake, slice_of(record, sizeof(record)), &consumed);
		given += consumed;
		memset(record + 5, 0, sizeof(record) - 5);
	}
	assert_int_equal(error, ERROR_TLS_HANDSHAKE_BYTES);
	assert_true(given <= TLS_HANDSHAKE_CLIENT_BYTES_MAX + sizeof(record));
	tls_handshake_free(handshake);
	tls_context_put(&server);
}

static void test_a_hello_cut_at_every_byte_waits(void **state)
{
	(void)state;
	for (int only_tls_1_2 = 0; only_tls_1_2 < 2; only_tls_1_2++) {
		uint8_t hello[2048];
		size_t hello_bytes, consumed;
		struct tls_handshake *handshake = answered(only_tls_1_2 == 1, hello, &hello_bytes);
		for (size_t size = 0; size < hello_bytes; size++) {
			uint8_t *cut = malloc(size + (size == 0));
			memcpy(cut, hello, size);
			assert_int_equal(tls_handshake_step(handshake, slice_of(cut, size), &consumed), ERROR_MORE);
			assert_int_equal(consumed, 0);
			assert_int_equal(tls_handshake_output(handshake).size, 0);
			free(cut);
		}
		assert_int_equal(tls_handshake_step(handshake, slice_of(hello, hello_bytes), &consumed), ERROR_MORE);
		assert_int_equal(consumed, hello_bytes);
		tls_handshake_free(handshake);
	}
}

/* Each bit of a byte of the hello, spoilt: whatever comes of it, nothing stays in the queue, and the next client is
 * served. */
static void test_a_spoilt_hello_costs_nobody_else_anything(void **state)
{
	(void)state;
	uint8_t hello[2048];
	size_t hello_bytes, consumed;
	tls_handshake_free(answered(false, hello, &hello_bytes));
	struct tls_server_options options = scene_server_options();
	struct tls_context *server = scene_server(&options);
	for (size_t at = 0; at < hello_bytes; at++) {
		hello[at] ^= (uint8_t)(1u << at % 8);
		struct tls_handshake *handshake = tls_handshake_new(server, NULL, NULL);
		enum error error = tls_handshake_step(handshake, slice_of(hello, hello_bytes), &consumed);
		assert_true(error != ERROR_OK && error != ERROR_NO_MEMORY);
		assert_int_equal(ERR_peek_error(), 0);
		tls_handshake_free(handshake);
		hello[at] ^= (uint8_t)(1u << at % 8);
	}
	tls_context_put(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_version_in_common),
		cmocka_unit_test(test_no_cipher_in_common),
		cmocka_unit_test(test_another_protocol_inside),
		cmocka_unit_test(test_a_client_that_does_not_trust_the_server),
		cmocka_unit_test(test_a_server_whose_certificate_has_expired),
		cmocka_unit_test(test_a_server_with_another_name),
		cmocka_unit_test(test_a_client_without_a_certificate),
		cmocka_unit_test(test_a_client_that_nobody_knows),
		cmocka_unit_test(test_a_client_out_of_its_time),
		cmocka_unit_test(test_a_client_that_was_revoked),
		cmocka_unit_test(test_a_client_without_a_name_of_the_kind),
		cmocka_unit_test(test_alerts_of_the_peer),
		cmocka_unit_test(test_what_may_not_come_next),
		cmocka_unit_test(test_a_stranger_is_told_what_it_can_understand),
		cmocka_unit_test(test_an_old_version),
		cmocka_unit_test(test_a_handshake_that_never_ends),
		cmocka_unit_test(test_a_hello_cut_at_every_byte_waits),
		cmocka_unit_test(test_a_spoilt_hello_costs_nobody_else_anything),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	scene_files_free();
	return failed;
}
