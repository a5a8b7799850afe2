/* Handshakes with GnuTLS at the other end, in memory: both versions, all suites, both roles, resumption, certificates;
 * then records in both directions by what the handshake gave away. */
#include "handshake_scene.h"

#include "tls/record.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include <gnutls/gnutls.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PIPE_BYTES 100000u

struct pipe {
	uint8_t bytes[PIPE_BYTES];
	size_t size;
};

struct duel {
	struct tls_ciphers *ciphers;
	struct tls_context *context;
	struct tls_handshake *handshake;
	struct tls_session *session;
	uint8_t memory[TLS_SESSION_BYTES_MAX] __attribute__((aligned(8)));
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t theirs;
	struct pipe to_us, to_them;
};

static void pipe_put(struct pipe *pipe, const void *bytes, size_t size)
{
	assert_true(pipe->size + size <= PIPE_BYTES);
	if (size > 0)
		memcpy(pipe->bytes + pipe->size, bytes, size);
	pipe->size += size;
}

static void pipe_drop(struct pipe *pipe, size_t size)
{
	memmove(pipe->bytes, pipe->bytes + size, pipe->size - size);
	pipe->size -= size;
}

static ssize_t push(gnutls_transport_ptr_t pointer, const void *bytes, size_t size)
{
	pipe_put(&((struct duel *)pointer)->to_us, bytes, size);
	return (ssize_t)size;
}

static ssize_t pull(gnutls_transport_ptr_t pointer, void *out, size_t size)
{
	struct duel *duel = pointer;
	if (duel->to_them.size == 0) {
		gnutls_transport_set_errno(duel->theirs, EAGAIN);
		return -1;
	}
	size = size < duel->to_them.size ? size : duel->to_them.size;
	memcpy(out, duel->to_them.bytes, size);
	pipe_drop(&duel->to_them, size);
	return (ssize_t)size;
}

static gnutls_datum_t datum(struct slice bytes)
{
	return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)bytes.data, .size = (unsigned)bytes.size};
}

static void begin_theirs(struct duel *duel, unsigned role, const char *priority, const struct tls_development *files)
{
	gnutls_datum_t ca = datum(files->pem[TLS_DEVELOPMENT_CA]);
	bool is_server = role == GNUTLS_SERVER;
	gnutls_datum_t chain = datum(files->pem[is_server ? TLS_DEVELOPMENT_SERVER : TLS_DEVELOPMENT_CLIENT]);
	gnutls_datum_t key = datum(files->pem[is_server ? TLS_DEVELOPMENT_SERVER_KEY : TLS_DEVELOPMENT_CLIENT_KEY]);
	assert_int_equal(gnutls_certificate_allocate_credentials(&duel->credentials), 0);
	assert_int_equal(gnutls_certificate_set_x509_key_mem(duel->credentials, &chain, &key, GNUTLS_X509_FMT_PEM), 0);
	assert_int_equal(gnutls_certificate_set_x509_trust_mem(duel->credentials, &ca, GNUTLS_X509_FMT_PEM), 1);
	assert_int_equal(gnutls_init(&duel->theirs, role | GNUTLS_NONBLOCK), 0);
	const char *fault;
	if (gnutls_priority_set_direct(duel->theirs, priority, &fault) != 0)
		fail_msg("%s", fault);
	gnutls_credentials_set(duel->theirs, GNUTLS_CRD_CERTIFICATE, duel->credentials);
	gnutls_transport_set_ptr(duel->theirs, duel);
	gnutls_transport_set_push_function(duel->theirs, push);
	gnutls_transport_set_pull_function(duel->theirs, pull);
	if (role == GNUTLS_CLIENT) {
		const gnutls_datum_t mqtt = {(unsigned char *)"mqtt", 4};
		gnutls_server_name_set(duel->theirs, GNUTLS_NAME_DNS, "localhost", 9);
		gnutls_session_set_verify_cert(duel->theirs, "localhost", 0);
		gnutls_alpn_set_protocols(duel->theirs, &mqtt, 1, 0);
	} else {
		gnutls_certificate_server_set_request(duel->theirs, GNUTLS_CERT_REQUEST);
	}
}

/* Until neither has anything to say. Both errors. */
static enum error duel_run(struct duel *duel, int *theirs)
{
	enum error ours = ERROR_MORE;
	*theirs = GNUTLS_E_AGAIN;
	for (bool more = true; more;) {
		size_t consumed = 0, before = duel->to_us.size + duel->to_them.size;
		struct slice output = slice_of(NULL, 0);
		if (*theirs == GNUTLS_E_AGAIN || *theirs == GNUTLS_E_INTERRUPTED)
			*theirs = gnutls_handshake(duel->theirs);
		more = duel->to_us.size + duel->to_them.size != before;
		if (ours == ERROR_MORE) {
			ours = tls_handshake_step(duel->handshake, slice_of(duel->to_us.bytes, duel->to_us.size),
						  &consumed);
			output = tls_handshake_output(duel->handshake);
			pipe_drop(&duel->to_us, consumed);
			pipe_put(&duel->to_them, output.data, output.size);
		}
		more = more || consumed > 0 || output.size > 0;
	}
	return ours;
}

static void duel_go_on(struct duel *duel)
{
	uint8_t wire[TLS_RECORD_BYTES_MAX], got[64];
	const struct slice hello = slice_string("hello from us");
	duel->session = (struct tls_session *)duel->memory;
	tls_handshake_session(duel->handshake, duel->ciphers, duel->session);
	for (int round = 0; round < 3; round++) {
		pipe_put(&duel->to_them, wire,
			 tls_record_seal(duel->ciphers, duel->session, &hello, 1, hello.size, wire));
		ssize_t size = gnutls_record_recv(duel->theirs, got, sizeof(got));
		while (size == GNUTLS_E_AGAIN && duel->to_them.size > 0) /* that was our ticket */
			size = gnutls_record_recv(duel->theirs, got, sizeof(got));
		assert_int_equal(size, hello.size);
		assert_memory_equal(got, hello.data, hello.size);
		assert_int_equal(gnutls_record_send(duel->theirs, "hello from them", 15), 15);
		struct slice plain = {0};
		enum tls_content content = TLS_CONTENT_NONE;
		while (duel->to_us.size > 0) {
			size_t record;
			assert_int_equal(tls_record_size(slice_of(duel->to_us.bytes, duel->to_us.size), &record),
					 ERROR_OK);
			assert_int_equal(tls_record_open(duel->ciphers, duel->session, duel->to_us.bytes, record, wire,
							 &plain, &content),
					 ERROR_OK);
			pipe_drop(&duel->to_us, record);
		}
		assert_int_equal(content, TLS_CONTENT_DATA);
		assert_true(slice_equal(plain, slice_string("hello from them")));
		if (round == 1 && duel->session->version == TLS_1_3)
			assert_int_equal(gnutls_session_key_update(duel->theirs, 0), 0);
	}
}

static struct duel *duel_new(struct tls_context *context, const char *name)
{
	struct duel *duel = calloc(1, sizeof(*duel));
	assert_non_null(duel);
	duel->ciphers = tls_ciphers_new();
	duel->context = context;
	duel->handshake = tls_handshake_new(context, name, NULL);
	return duel;
}

static void duel_free(struct duel *duel)
{
	gnutls_deinit(duel->theirs);
	gnutls_certificate_free_credentials(duel->credentials);
	tls_handshake_free(duel->handshake);
	tls_context_put(&duel->context);
	tls_ciphers_free(duel->ciphers);
	free(duel);
}

static const struct {
	const char *version, *cipher;
	bool rsa;
	uint16_t number;
} CASES[] = {
	{"VERS-TLS1.3", "AES-128-GCM", false, 0x1301},      {"VERS-TLS1.3", "AES-256-GCM", false, 0x1302},
	{"VERS-TLS1.3", "CHACHA20-POLY1305", true, 0x1303}, {"VERS-TLS1.2", "AES-128-GCM", false, 0xc02b},
	{"VERS-TLS1.2", "AES-256-GCM", false, 0xc02c},      {"VERS-TLS1.2", "CHACHA20-POLY1305", false, 0xcca9},
	{"VERS-TLS1.2", "AES-128-GCM", true, 0xc02f},       {"VERS-TLS1.2", "AES-256-GCM", true, 0xc030},
	{"VERS-TLS1.2", "CHACHA20-POLY1305", true, 0xcca8},
};
#define CASE_COUNT (sizeof(CASES) / sizeof(CASES[0]))

static const struct tls_development *priority_of(size_t number, char priority[160])
{
	snprintf(priority, 160, "NORMAL:-VERS-ALL:+%s:-CIPHER-ALL:+%s", CASES[number].version, CASES[number].cipher);
	return CASES[number].rsa ? &scene_files()->rsa : &scene_files()->ecdsa;
}

static void expect_both(struct duel *duel, size_t number)
{
	int theirs;
	enum error ours = duel_run(duel, &theirs);
	if (ours != ERROR_OK || theirs != 0)
		fail_msg("case %zu: %s (%s), %s", number, error_name(ours), tls_handshake_fault(duel->handshake),
			 gnutls_strerror(theirs));
}

static void test_their_client(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASE_COUNT; i++) {
		char priority[160];
		struct tls_tickets *tickets = tls_tickets_new(3600, scene_wall_s());
		const struct tls_development *files = priority_of(i, priority);
		struct tls_server_options options = scene_server_options();
		gnutls_datum_t kept = {NULL, 0};
		options.identities[0] = scene_identity(files);
		options.tickets = tickets;
		options.clients = TLS_CLIENTS_REQUIRED;
		options.client_ca = scene_document("ca.pem", files, TLS_DEVELOPMENT_CA);
		options.identity_from = TLS_IDENTITY_CN;
		for (int again = 0; again < 2; again++) {
			struct duel *duel = duel_new(scene_server(&options), NULL);
			begin_theirs(duel, GNUTLS_CLIENT, priority, files);
			if (again == 1)
				assert_int_equal(gnutls_session_set_data(duel->theirs, kept.data, kept.size), 0);
			expect_both(duel, i);
			assert_true(tls_handshake_resumed(duel->handshake) == (again == 1));
			assert_true(slice_equal(tls_handshake_identity(duel->handshake), slice_string("sensor-17")));
			duel_go_on(duel);
			assert_int_equal(duel->session->cipher, CASES[i].number);
			if (again == 0)
				assert_int_equal(gnutls_session_get_data2(duel->theirs, &kept), 0);
			duel_free(duel);
		}
		gnutls_free(kept.data);
		tls_tickets_free(tickets);
	}
}

static void test_their_server(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASE_COUNT; i++) {
		char priority[160];
		const struct tls_development *files = priority_of(i, priority);
		struct tls_client_options options = scene_client_options();
		options.ca = scene_document("ca.pem", files, TLS_DEVELOPMENT_CA);
		options.identity = scene_client_identity(files);
		struct duel *duel = duel_new(scene_client(&options), "localhost");
		begin_theirs(duel, GNUTLS_SERVER, priority, files);
		expect_both(duel, i);
		duel_go_on(duel);
		assert_int_equal(duel->session->cipher, CASES[i].number);
		assert_true(slice_equal(tls_handshake_subject(duel->handshake), slice_string("CN=localhost")));
		duel_free(duel);
	}
}

static void test_what_their_client_refuses(void **state)
{
	(void)state;
	static const char *const VERSIONS[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"};
	struct tls_server_options options = scene_server_options();
	for (size_t i = 0; i < 2; i++) {
		int theirs;
		struct duel *duel = duel_new(scene_server(&options), NULL);
		begin_theirs(duel, GNUTLS_CLIENT, VERSIONS[i], &scene_files()->rsa); /* with another CA */
		assert_int_equal(duel_run(duel, &theirs), ERROR_MORE);
		assert_int_equal(theirs, GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR);
		gnutls_alert_send_appropriate(duel->theirs, theirs);
		size_t consumed;
		assert_int_equal(
			tls_handshake_step(duel->handshake, slice_of(duel->to_us.bytes, duel->to_us.size), &consumed),
			ERROR_TLS_CERTIFICATE_REFUSED);
		duel_free(duel);
	}
}

static void test_their_version_is_too_old(void **state)
{
	(void)state;
	static const char *const OLD[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.0:%COMPAT",
					  "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT"};
	struct tls_server_options options = scene_server_options();
	for (size_t i = 0; i < 2; i++) {
		int theirs;
		struct duel *duel = duel_new(scene_server(&options), NULL);
		begin_theirs(duel, GNUTLS_CLIENT, OLD[i], &scene_files()->ecdsa);
		assert_int_equal(duel_run(duel, &theirs), ERROR_TLS_VERSION);
		assert_int_equal(theirs, GNUTLS_E_FATAL_ALERT_RECEIVED);
		assert_int_equal(gnutls_alert_get(duel->theirs), GNUTLS_A_PROTOCOL_VERSION);
		duel_free(duel);
	}
}

/* max_fragment_length [RFC 6066, 4]: what we write has to fit. */
static void test_their_client_takes_short_records_only(void **state)
{
	(void)state;
	static const char *const VERSIONS[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"};
	struct tls_server_options options = scene_server_options();
	for (size_t i = 0; i < 2; i++) {
		struct duel *duel = duel_new(scene_server(&options), NULL);
		begin_theirs(duel, GNUTLS_CLIENT, VERSIONS[i], &scene_files()->ecdsa);
		assert_int_equal(gnutls_record_set_max_size(duel->theirs, 1024), 0);
		expect_both(duel, i);
		duel_go_on(duel);
		assert_int_equal(duel->session->plain_bytes_max, 1024);
		duel_free(duel);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_their_client),
		cmocka_unit_test(test_their_server),
		cmocka_unit_test(test_what_their_client_refuses),
		cmocka_unit_test(test_their_version_is_too_old),
		cmocka_unit_test(test_their_client_takes_short_records_only),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	scene_files_free();
	return failed;
}
