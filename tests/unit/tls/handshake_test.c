/* A handshake from bytes to a session, with both ends ours: versions, suites, tickets, and records afterwards. */
#include "handshake_scene.h"

#include "tls/record.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>

struct end {
	struct tls_session *session;
	uint8_t memory[TLS_SESSION_BYTES_MAX] __attribute__((aligned(8)));
};

static void session_of(struct end *end, struct tls_handshake *handshake, struct tls_ciphers *ciphers)
{
	end->session = (struct tls_session *)end->memory;
	tls_handshake_session(handshake, ciphers, end->session);
}

/* One sends, the other reads what came before (tickets) and then the same bytes. */
static void send_and_read(struct tls_ciphers *ciphers, struct end *from, struct end *to, uint8_t *waiting, size_t bytes,
			  const char *text)
{
	static uint8_t wire[200000];
	struct slice plain = {0};
	enum tls_content content = TLS_CONTENT_NONE;
	if (bytes > 0)
		memcpy(wire, waiting, bytes);
	const struct slice part = slice_string(text);
	bytes += tls_record_seal(ciphers, from->session, &part, 1, part.size, wire + bytes);
	size_t at = 0, size;
	while (at < bytes) {
		assert_int_equal(tls_record_size(slice_of(wire + at, bytes - at), &size), ERROR_OK);
		assert_int_equal(tls_record_open(ciphers, to->session, wire + at, size, NULL, &plain, &content),
				 ERROR_OK);
		at += size;
	}
	assert_int_equal(content, TLS_CONTENT_DATA);
	assert_true(slice_equal(plain, slice_string(text)));
}

/* The suite that it is. */
static uint16_t go_on_with_sessions(struct scene_pair *pair)
{
	struct tls_ciphers *ciphers = tls_ciphers_new();
	struct end server, client;
	session_of(&server, pair->server, ciphers);
	session_of(&client, pair->client, ciphers);
	assert_int_equal(server.session->cipher, client.session->cipher);
	send_and_read(ciphers, &client, &server, pair->to_server, pair->to_server_bytes, "CONNECT");
	send_and_read(ciphers, &server, &client, pair->to_client, pair->to_client_bytes, "CONNACK");
	send_and_read(ciphers, &client, &server, NULL, 0, "PUBLISH");
	tls_ciphers_free(ciphers);
	return client.session->cipher;
}

static const struct {
	const char *ciphers, *suites;
	bool only_tls_1_2, rsa;
	uint16_t cipher;
} CASES[] = {
	{NULL, "TLS_AES_128_GCM_SHA256", false, false, 0x1301},
	{NULL, "TLS_AES_256_GCM_SHA384", false, false, 0x1302},
	{NULL, "TLS_CHACHA20_POLY1305_SHA256", false, true, 0x1303},
	{"ECDHE-ECDSA-AES128-GCM-SHA256", NULL, true, false, 0xc02b},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", NULL, true, false, 0xc02c},
	{"ECDHE-ECDSA-CHACHA20-POLY1305", NULL, true, false, 0xcca9},
	{"ECDHE-RSA-AES128-GCM-SHA256", NULL, true, true, 0xc02f},
	{"ECDHE-RSA-AES256-GCM-SHA384", NULL, true, true, 0xc030},
	{"ECDHE-RSA-CHACHA20-POLY1305", NULL, true, true, 0xcca8},
};

static void test_each_suite_gives_sessions_that_go_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct tls_tickets *tickets = tls_tickets_new(3600, scene_wall_s());
		struct tls_server_options server = scene_server_options();
		struct tls_client_options client = scene_client_options();
		const struct tls_development *files = CASES[i].rsa ? &scene_files()->rsa : &scene_files()->ecdsa;
		server.identities[0] = scene_identity(files);
		server.tickets = tickets;
		server.ciphers = CASES[i].ciphers;
		server.ciphersuites = CASES[i].suites;
		client.ca = scene_document("ca.pem", files, TLS_DEVELOPMENT_CA);
		client.only_tls_1_2 = CASES[i].only_tls_1_2;
		client.ciphers = CASES[i].ciphers;
		client.keeps_tickets = true;
		struct tls_context *server_context = scene_server(&server), *client_context = scene_client(&client);
		struct tls_ticket *ticket = NULL;
		for (int again = 0; again < 2; again++) { /* whole, and resumed */
			struct scene_pair *pair = malloc(sizeof(*pair));
			scene_pair_begin(pair, server_context, client_context, ticket);
			scene_pair_run(pair);
			if (pair->server_error != ERROR_OK || pair->client_error != ERROR_OK)
				fail_msg("case %zu: %s; %s", i, tls_handshake_fault(pair->server),
					 tls_handshake_fault(pair->client));
			assert_true(tls_handshake_resumed(pair->server) == (again == 1));
			assert_true(slice_equal(tls_handshake_server_name(pair->server), slice_string("localhost")));
			assert_int_equal(go_on_with_sessions(pair), CASES[i].cipher);
			scene_pair_end(pair);
			free(pair);
			if (again == 0)
				scene_shake_contexts(server_context, client_context, NULL, &ticket);
			assert_non_null(ticket);
		}
		tls_ticket_free(ticket);
		tls_context_put(&server_context);
		tls_context_put(&client_context);
		tls_tickets_free(tickets);
	}
}

/* ---- bytes ---- */

/* A client with a certificate, a server that requires it. */
static struct scene_pair *strict_pair(bool only_tls_1_2, struct tls_tickets *tickets)
{
	struct tls_server_options server_options = scene_server_options();
	struct tls_client_options client_options = scene_client_options();
	server_options.clients = TLS_CLIENTS_REQUIRED;
	server_options.client_ca = scene_document("clients.pem", &scene_files()->ecdsa, TLS_DEVELOPMENT_CA);
	server_options.identity_from = TLS_IDENTITY_CN;
	server_options.tickets = tickets;
	client_options.identity = scene_client_identity(&scene_files()->ecdsa);
	client_options.only_tls_1_2 = only_tls_1_2;
	client_options.keeps_tickets = tickets != NULL;
	struct tls_context *server = scene_server(&server_options), *client = scene_client(&client_options);
	struct scene_pair *pair = malloc(sizeof(*pair));
	scene_pair_begin(pair, server, client, NULL);
	tls_context_put(&server);
	tls_context_put(&client);
	return pair;
}

static void end_pair(struct scene_pair *pair)
{
	scene_pair_end(pair);
	free(pair);
}

static void test_bytes_may_come_in_any_pieces(void **state)
{
	(void)state;
	static const size_t PIECES[] = {1, 2, 3, 5, 7, 100, 1000, 0};
	for (size_t i = 0; i < sizeof(PIECES) / sizeof(PIECES[0]); i++) {
		for (int only_tls_1_2 = 0; only_tls_1_2 < 2; only_tls_1_2++) {
			struct scene_pair *pair = strict_pair(only_tls_1_2 == 1, NULL);
			pair->step_bytes = PIECES[i];
			scene_pair_run(pair);
			assert_int_equal(pair->server_error, ERROR_OK);
			assert_int_equal(pair->client_error, ERROR_OK);
			assert_true(slice_equal(tls_handshake_identity(pair->server), slice_string("sensor-17")));
			assert_true(slice_equal(tls_handshake_subject(pair->server), slice_string("CN=sensor-17")));
			assert_int_equal(tls_handshake_identity(pair->client).size, 0);
			assert_true(slice_equal(tls_handshake_subject(pair->client), slice_string("CN=localhost")));
			go_on_with_sessions(pair);
			end_pair(pair);
		}
	}
}

static void test_a_name_that_no_host_has_is_not_told(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"a b", "a\"b", "a\nb", "\xff\xfe", "a\\b"};
	struct tls_server_options server_options = scene_server_options();
	struct tls_client_options client_options = {.alpn = "mqtt"};
	struct tls_context *server = scene_server(&server_options), *client = scene_client(&client_options);
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		struct scene_pair *pair = malloc(sizeof(*pair));
		scene_pair_begin(pair, server, client, NULL);
		assert_int_equal(tls_handshake_server_name(pair->server).size, 0);
		tls_handshake_free(pair->client);
		pair->client = tls_handshake_new(client, NAMES[i], NULL);
		scene_pair_run(pair);
		assert_int_equal(pair->server_error, ERROR_OK);
		assert_int_equal(tls_handshake_server_name(pair->server).size, 0);
		end_pair(pair);
	}
	tls_context_put(&server);
	tls_context_put(&client);
}

/* A client sends its CONNECT behind its Finished, in one segment: it is the session's. */
static void test_what_comes_behind_finished_stays_the_callers(void **state)
{
	(void)state;
	struct tls_ciphers *ciphers = tls_ciphers_new();
	for (int only_tls_1_2 = 0; only_tls_1_2 < 2; only_tls_1_2++) {
		struct scene_pair *pair = strict_pair(only_tls_1_2 == 1, NULL);
		size_t consumed;
		/* The client's hello, the server's flight, the client's: by hand, so that what is sent can be held. */
		enum error server = ERROR_MORE, client = ERROR_MORE;
		static uint8_t wire[70000];
		size_t bytes = 0;
		client = tls_handshake_step(pair->client, slice_of(NULL, 0), &consumed);
		while (client == ERROR_MORE) {
			struct slice output = tls_handshake_output(pair->client);
			server = tls_handshake_step(pair->server, output, &consumed);
			assert_int_equal(consumed, output.size);
			output = tls_handshake_output(pair->server);
			client = tls_handshake_step(pair->client, output, &consumed);
			assert_int_equal(consumed, output.size);
		}
		struct slice last = tls_handshake_output(pair->client);
		if (last.size > 0)
			memcpy(wire, last.data, last.size);
		bytes = last.size;
		struct end ours, theirs;
		session_of(&theirs, pair->client, ciphers);
		const struct slice connect = slice_string("CONNECT");
		size_t behind = tls_record_seal(ciphers, theirs.session, &connect, 1, connect.size, wire + bytes);
		if (server == ERROR_MORE) /* TLS 1.3 */
			server = tls_handshake_step(pair->server, slice_of(wire, bytes + behind), &consumed);
		else
			consumed = bytes;
		assert_int_equal(server, ERROR_OK);
		assert_int_equal(consumed, bytes);
		session_of(&ours, pair->server, ciphers);
		struct slice plain;
		enum tls_content content;
		assert_int_equal(
			tls_record_open(ciphers, ours.session, wire + consumed, behind, NULL, &plain, &content),
			ERROR_OK);
		assert_true(slice_equal(plain, connect));
		end_pair(pair);
	}
	tls_ciphers_free(ciphers);
}

/* ---- a client's tickets ---- */

struct after {
	struct scene_pair *pair;
	struct tls_tickets *tickets;
	struct tls_ciphers *ciphers;
	struct end server, client;
};

/* Both are done; what the server sent behind its Finished waits in pair->to_client. */
static struct after after_handshake(bool only_tls_1_2)
{
	struct after after = {.tickets = tls_tickets_new(3600, scene_wall_s()), .ciphers = tls_ciphers_new()};
	after.pair = strict_pair(only_tls_1_2, after.tickets);
	scene_pair_run(after.pair);
	assert_int_equal(after.pair->server_error, ERROR_OK);
	session_of(&after.server, after.pair->server, after.ciphers);
	session_of(&after.client, after.pair->client, after.ciphers);
	return after;
}

/* A session lies in its end, which was copied. */
static void fix_sessions(struct after *after)
{
	after->server.session = (struct tls_session *)after->server.memory;
	after->client.session = (struct tls_session *)after->client.memory;
}

static void end_after(struct after *after)
{
	end_pair(after->pair);
	tls_ciphers_free(after->ciphers);
	tls_tickets_free(after->tickets);
}

static void test_a_ticket_is_taken_before_the_data(void **state)
{
	(void)state;
	struct after after = after_handshake(false);
	fix_sessions(&after);
	uint8_t *wire = after.pair->to_client;
	size_t ticket_bytes = after.pair->to_client_bytes, consumed;
	assert_true(ticket_bytes > 0);
	assert_int_equal(after.server.session->sequence[TLS_WRITE], 1);
	const struct slice connack = slice_string("CONNACK");
	size_t bytes = ticket_bytes + tls_record_seal(after.ciphers, after.server.session, &connack, 1, connack.size,
						      wire + ticket_bytes);
	for (size_t size = 0; size < ticket_bytes; size++) {
		assert_int_equal(tls_handshake_ticket_step(after.pair->client, after.client.session,
							   slice_of(wire, size), &consumed),
				 ERROR_MORE);
		assert_int_equal(consumed, 0);
	}
	assert_int_equal(
		tls_handshake_ticket_step(after.pair->client, after.client.session, slice_of(wire, bytes), &consumed),
		ERROR_OK);
	assert_int_equal(consumed, ticket_bytes);
	struct tls_ticket *ticket = tls_handshake_ticket(after.pair->client);
	assert_non_null(ticket);
	assert_null(tls_handshake_ticket(after.pair->client));
	tls_ticket_free(ticket);
	struct slice plain;
	enum tls_content content;
	assert_int_equal(tls_record_open(after.ciphers, after.client.session, wire + consumed, bytes - consumed, NULL,
					 &plain, &content),
			 ERROR_OK);
	assert_true(slice_equal(plain, connack));
	end_after(&after);
}

/* A server that sends no ticket, or its data first: the record layer reads it. */
static void test_data_instead_of_a_ticket_is_left_alone(void **state)
{
	(void)state;
	struct after after = after_handshake(false);
	fix_sessions(&after);
	uint8_t wire[200];
	after.server.session->sequence[TLS_WRITE] = 0; /* as if the ticket had never been */
	const struct slice connack = slice_string("CONNACK");
	size_t consumed, bytes = tls_record_seal(after.ciphers, after.server.session, &connack, 1, connack.size, wire);
	assert_int_equal(
		tls_handshake_ticket_step(after.pair->client, after.client.session, slice_of(wire, bytes), &consumed),
		ERROR_NOT_FOUND);
	assert_int_equal(consumed, 0);
	assert_null(tls_handshake_ticket(after.pair->client));
	struct slice plain;
	enum tls_content content;
	assert_int_equal(tls_record_open(after.ciphers, after.client.session, wire, bytes, NULL, &plain, &content),
			 ERROR_OK);
	assert_true(slice_equal(plain, connack));
	end_after(&after);
}

static void test_garbage_instead_of_a_ticket_is_left_alone(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		enum error error;
	} GARBAGE[] = {
		{"\x17\x03\x03\x00\x20xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 37, ERROR_NOT_FOUND},
		{"HTTP/1.1 400", 12, ERROR_NOT_FOUND},
		{"\x17\x03\x03\xff\xff", 5, ERROR_NOT_FOUND},
		{"\x17\x03", 2, ERROR_MORE},
	};
	for (size_t i = 0; i < sizeof(GARBAGE) / sizeof(GARBAGE[0]); i++) {
		struct after after = after_handshake(false);
		fix_sessions(&after);
		size_t consumed;
		assert_int_equal(tls_handshake_ticket_step(after.pair->client, after.client.session,
							   slice_of((const uint8_t *)GARBAGE[i].bytes, GARBAGE[i].size),
							   &consumed),
				 GARBAGE[i].error);
		assert_int_equal(consumed, 0);
		assert_int_equal(after.client.session->sequence[TLS_READ], 0);
		end_after(&after);
	}
}

static void test_in_tls_1_2_the_ticket_is_there_at_once(void **state)
{
	(void)state;
	struct after after = after_handshake(true);
	fix_sessions(&after);
	size_t consumed = 1;
	assert_int_equal(
		tls_handshake_ticket_step(after.pair->client, after.client.session, slice_of(NULL, 0), &consumed),
		ERROR_OK);
	assert_int_equal(consumed, 0);
	struct tls_ticket *ticket = tls_handshake_ticket(after.pair->client);
	assert_non_null(ticket);
	tls_ticket_free(ticket);
	end_after(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_suite_gives_sessions_that_go_on),
		cmocka_unit_test(test_bytes_may_come_in_any_pieces),
		cmocka_unit_test(test_a_name_that_no_host_has_is_not_told),
		cmocka_unit_test(test_what_comes_behind_finished_stays_the_callers),
		cmocka_unit_test(test_a_ticket_is_taken_before_the_data),
		cmocka_unit_test(test_data_instead_of_a_ticket_is_left_alone),
		cmocka_unit_test(test_garbage_instead_of_a_ticket_is_left_alone),
		cmocka_unit_test(test_in_tls_1_2_the_ticket_is_there_at_once),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	scene_files_free();
	return failed;
}
