/* What a TLS handshake costs the server: microseconds of one thread from the ClientHello to the session, by
 * tls/handshake.h and by OpenSSL alone (SSL_accept), in turn in the same run; the client's part is not counted. Both
 * have the same certificate, suites and number of tickets, and are counted from SSL_new() to SSL_free(). Not a test:
 * nothing fails. Run it by hand: build/tests/bench/tls_handshake_bench [HANDSHAKES]. */
#include "base/check.h"
#include "tls/certificate/development.h"
#include "tls/handshake.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 9
#define WIRE_BYTES 32768

/* The client, OpenSSL's, whom both servers have. */
struct client {
	SSL_CTX *context;
	SSL_SESSION *session; /* to resume; NULL: none */
};

/* A server's part of one handshake: what it takes of the input, and its output. */
struct server {
	const char *name;
	void *(*begin)(void *context);
	bool (*step)(void *connection, BIO *from_client, BIO *to_client); /* true: it is complete */
	void (*end)(void *connection);
	void *context;
	double least_us[2]; /* whole, resumed */
};

static struct tls_ciphers *ciphers;

static double cpu_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

/* ---- ours ---- */

static void *ours_begin(void *context)
{
	return tls_handshake_new(context, NULL, NULL);
}

static bool ours_step(void *connection, BIO *from_client, BIO *to_client)
{
	uint8_t input[WIRE_BYTES];
	size_t consumed;
	int size = BIO_read(from_client, input, sizeof(input));
	enum error error = tls_handshake_step(connection, slice_of(input, (size_t)size), &consumed);
	CHECK(error == ERROR_OK || error == ERROR_MORE);
	CHECK_EQ(consumed, (size_t)size);
	struct slice output = tls_handshake_output(connection);
	if (output.size > 0)
		CHECK_EQ((size_t)BIO_write(to_client, output.data, (int)output.size), output.size);
	return error == ERROR_OK;
}

static void ours_end(void *connection)
{
	uint8_t memory[TLS_SESSION_BYTES_MAX] __attribute__((aligned(8)));
	tls_handshake_session(connection, ciphers, (struct tls_session *)memory);
	tls_handshake_free(connection);
}

/* ---- OpenSSL's ---- */

static void *openssl_begin(void *context)
{
	SSL *ssl = SSL_new(context);
	CHECK(ssl != NULL);
	return ssl;
}

static bool openssl_step(void *connection, BIO *from_client, BIO *to_client)
{
	SSL *ssl = connection;
	if (SSL_get_rbio(ssl) == NULL) {
		BIO_up_ref(from_client);
		BIO_up_ref(to_client);
		SSL_set_bio(ssl, from_client, to_client);
	}
	int done = SSL_accept(ssl);
	CHECK(done == 1 || SSL_get_error(ssl, done) == SSL_ERROR_WANT_READ);
	return done == 1;
}

static void openssl_end(void *connection)
{
	SSL_free(connection);
}

/* ---- a handshake ---- */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *client = SSL_get_app_data(ssl);
	SSL_SESSION_free(client->session);
	client->session = session;
	return 1;
}

/* What the server spent. keep: the client keeps the session that comes of it. */
static double shake(struct server *server, struct client *client, bool resumes, bool keep)
{
	BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());
	SSL *ssl = SSL_new(client->context);
	BIO_set_mem_eof_return(to_server, -1);
	BIO_set_mem_eof_return(to_client, -1);
	BIO_up_ref(to_server);
	BIO_up_ref(to_client);
	SSL_set_bio(ssl, to_client, to_server);
	SSL_set_app_data(ssl, client);
	SSL_set_tlsext_host_name(ssl, "localhost");
	if (resumes) { /* OpenSSL uses a session of TLS 1.3 once */
		SSL_SESSION *session = SSL_SESSION_dup(client->session);
		SSL_set_session(ssl, session);
		SSL_SESSION_free(session);
	}
	double spent_us = -cpu_us();
	void *connection = server->begin(server->context);
	spent_us += cpu_us();
	int connected = 0;
	bool accepted = false;
	while (!accepted || connected != 1) {
		connected = SSL_connect(ssl);
		if (accepted)
			continue;
		spent_us -= cpu_us();
		accepted = server->step(connection, to_server, to_client);
		spent_us += cpu_us();
	}
	CHECK_EQ(SSL_session_reused(ssl), (int)resumes);
	spent_us -= cpu_us();
	server->end(connection);
	spent_us += cpu_us();
	char unused;
	if (keep)
		(void)SSL_read(ssl, &unused, 1);
	SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(ssl);
	BIO_free(to_server);
	BIO_free(to_client);
	ERR_clear_error();
	return spent_us;
}

static void measure(struct server *servers, size_t count, struct client *client, bool resumes, unsigned handshakes)
{
	for (size_t i = 0; i < count; i++)
		servers[i].least_us[resumes] = 1e9;
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < count; i++) {
			double spent_us = 0;
			if (resumes)
				shake(&servers[i], client, false, true);
			for (unsigned n = 0; n < handshakes; n++)
				spent_us += shake(&servers[i], client, resumes, false);
			spent_us /= handshakes;
			if (spent_us < servers[i].least_us[resumes])
				servers[i].least_us[resumes] = spent_us;
		}
	}
}

/* ---- what they have in common ---- */

static struct tls_context *ours(const struct tls_development *files, struct tls_tickets *tickets)
{
	const struct tls_server_options options = {
		.identities = {{.chain = {.path = "server.pem", .pem = files->pem[TLS_DEVELOPMENT_SERVER]},
				.key = {.path = "server.key", .pem = files->pem[TLS_DEVELOPMENT_SERVER_KEY]}}},
		.identity_count = 1,
		.alpn = "mqtt",
		.tickets = tickets,
	};
	char fault[TLS_FAULT_BYTES_MAX];
	struct tls_context *context = tls_context_new_server(&options, fault);
	CHECK(context != NULL);
	return context;
}

static SSL_CTX *openssl(const struct tls_development *files)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	BIO *chain = BIO_new_mem_buf(files->pem[TLS_DEVELOPMENT_SERVER].data, -1);
	BIO *key = BIO_new_mem_buf(files->pem[TLS_DEVELOPMENT_SERVER_KEY].data, -1);
	X509 *own = PEM_read_bio_X509(chain, NULL, NULL, NULL), *ca = PEM_read_bio_X509(chain, NULL, NULL, NULL);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
	CHECK(SSL_CTX_use_certificate(context, own) == 1 && SSL_CTX_add1_chain_cert(context, ca) == 1 &&
	      SSL_CTX_use_PrivateKey(context, pkey) == 1);
	SSL_CTX_set_num_tickets(context, 1);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
	X509_free(own);
	X509_free(ca);
	EVP_PKEY_free(pkey);
	BIO_free(chain);
	BIO_free(key);
	return context;
}

int main(int argc, char **argv)
{
	unsigned handshakes = argc > 1 ? (unsigned)atoi(argv[1]) : 300;
	static const char *const NAMES[] = {"localhost"};
	char fault[TLS_FAULT_BYTES_MAX];
	int64_t wall_s = (int64_t)time(NULL);
	static const struct {
		const char *name;
		bool rsa;
		int version;
	} CASES[] = {{"TLS 1.3, ECDSA P-256", false, TLS1_3_VERSION},
		     {"TLS 1.2, ECDSA P-256", false, TLS1_2_VERSION},
		     {"TLS 1.3, RSA 2048", true, TLS1_3_VERSION}};
	ciphers = tls_ciphers_new();
	struct tls_tickets *tickets = tls_tickets_new(7200, wall_s);
	printf("%u handshakes a round, the least of %d rounds; us of the server's CPU for a handshake\n"
	       "%-32s%9s %9s %7s\n",
	       handshakes, ROUNDS, "", "ours", "OpenSSL", "ratio");
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		const struct tls_development_options options = {
			.names = NAMES, .name_count = 1, .rsa = CASES[i].rsa, .begins_s = wall_s - 60, .days = 1};
		struct tls_development files;
		CHECK(tls_development_make(&options, NULL, &files, fault));
		struct tls_context *context = ours(&files, tickets);
		SSL_CTX *plain = openssl(&files);
		struct client client = {.context = SSL_CTX_new(TLS_client_method())};
		SSL_CTX_set_max_proto_version(client.context, CASES[i].version);
		SSL_CTX_set_ciphersuites(client.context, "TLS_AES_128_GCM_SHA256");
		SSL_CTX_set_session_cache_mode(client.context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(client.context, keep_session);
		struct server servers[] = {{"ours", ours_begin, ours_step, ours_end, context, {0}},
					   {"OpenSSL", openssl_begin, openssl_step, openssl_end, plain, {0}}};
		for (int resumes = 0; resumes < 2; resumes++) {
			measure(servers, 2, &client, resumes == 1, handshakes);
			printf("%-22s%-10s%9.1f %9.1f %7.2f\n", CASES[i].name, resumes == 1 ? "resumed" : "whole",
			       servers[0].least_us[resumes], servers[1].least_us[resumes],
			       servers[0].least_us[resumes] / servers[1].least_us[resumes]);
		}
		SSL_SESSION_free(client.session);
		SSL_CTX_free(client.context);
		SSL_CTX_free(plain);
		tls_context_put(&context);
		tls_development_fini(&files);
	}
	tls_tickets_free(tickets);
	tls_ciphers_free(ciphers);
	return 0;
}
