#include "handshake_scene.h"

#include "tls/record.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct scene_files *made_once;

int64_t scene_wall_s(void)
{
	static int64_t wall_s;
	if (wall_s == 0)
		wall_s = (int64_t)time(NULL) - 1000;
	return wall_s;
}

static void make(struct tls_development *made, bool rsa)
{
	static const char *const NAMES[] = {"localhost", "*.wild.example", "127.0.0.1"};
	const struct tls_development_options options = {
		.names = NAMES,
		.name_count = 3,
		.client = "sensor-17",
		.rsa = rsa,
		.begins_s = scene_wall_s(),
		.days = SCENE_DAYS,
	};
	char fault[TLS_FAULT_BYTES_MAX];
	if (!tls_development_make(&options, NULL, made, fault))
		fail_msg("%s", fault);
}

const struct scene_files *scene_files(void)
{
	if (made_once == NULL) {
		made_once = calloc(1, sizeof(*made_once));
		assert_non_null(made_once);
		make(&made_once->ecdsa, false);
		make(&made_once->rsa, true);
	}
	return made_once;
}

void scene_files_free(void)
{
	if (made_once == NULL)
		return;
	tls_development_fini(&made_once->ecdsa);
	tls_development_fini(&made_once->rsa);
	free(made_once);
	made_once = NULL;
}

struct tls_development scene_make(const struct tls_development *from, const char *client, int64_t begins_s,
				  uint32_t days)
{
	static const char *const NAMES[] = {"localhost"};
	const struct tls_development_options options = {
		.names = NAMES, .name_count = 1, .client = client, .begins_s = begins_s, .days = days};
	struct tls_development made;
	char fault[TLS_FAULT_BYTES_MAX];
	if (!tls_development_make(&options, from, &made, fault))
		fail_msg("%s", fault);
	return made;
}

static X509 *certificate_of(struct slice pem)
{
	BIO *text = BIO_new_mem_buf(pem.data, (int)pem.size);
	X509 *certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);
	BIO_free(text);
	assert_non_null(certificate);
	return certificate;
}

static void revoke(X509_CRL *crl, struct slice pem)
{
	X509 *certificate = certificate_of(pem);
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_TIME *when = ASN1_TIME_set(NULL, scene_wall_s());
	X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate));
	X509_REVOKED_set_revocationDate(entry, when);
	X509_CRL_add0_revoked(crl, entry);
	ASN1_TIME_free(when);
	X509_free(certificate);
}

struct slice scene_crl(const struct tls_development *from, const struct slice *revoked, int64_t next_update_s)
{
	X509 *ca = certificate_of(from->pem[TLS_DEVELOPMENT_CA]);
	BIO *text = BIO_new_mem_buf(from->pem[TLS_DEVELOPMENT_CA_KEY].data, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, NULL, NULL);
	BIO_free(text);
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *last = ASN1_TIME_set(NULL, scene_wall_s()), *next = ASN1_TIME_set(NULL, next_update_s);
	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
	X509_CRL_set1_lastUpdate(crl, last);
	X509_CRL_set1_nextUpdate(crl, next);
	if (revoked != NULL)
		revoke(crl, *revoked);
	assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
	BIO *out = BIO_new(BIO_s_mem());
	PEM_write_bio_X509_CRL(out, crl);
	char *bytes;
	size_t size = (size_t)BIO_get_mem_data(out, &bytes);
	uint8_t *copy = malloc(size);
	memcpy(copy, bytes, size);
	BIO_free(out);
	X509_CRL_free(crl);
	ASN1_TIME_free(last);
	ASN1_TIME_free(next);
	EVP_PKEY_free(key);
	X509_free(ca);
	return slice_of(copy, size);
}

struct tls_document scene_document(const char *path, const struct tls_development *made, enum tls_development_file file)
{
	return (struct tls_document){.path = path, .pem = made->pem[file]};
}

struct tls_identity scene_identity(const struct tls_development *made)
{
	return (struct tls_identity){.chain = scene_document("server.pem", made, TLS_DEVELOPMENT_SERVER),
				     .key = scene_document("server.key", made, TLS_DEVELOPMENT_SERVER_KEY)};
}

struct tls_identity scene_client_identity(const struct tls_development *made)
{
	return (struct tls_identity){.chain = scene_document("client.pem", made, TLS_DEVELOPMENT_CLIENT),
				     .key = scene_document("client.key", made, TLS_DEVELOPMENT_CLIENT_KEY)};
}

struct tls_server_options scene_server_options(void)
{
	return (struct tls_server_options){
		.identities = {scene_identity(&scene_files()->ecdsa)}, .identity_count = 1, .alpn = "mqtt"};
}

struct tls_client_options scene_client_options(void)
{
	return (struct tls_client_options){.ca = scene_document("ca.pem", &scene_files()->ecdsa, TLS_DEVELOPMENT_CA),
					   .check = true,
					   .alpn = "mqtt"};
}

struct tls_context *scene_server(const struct tls_server_options *options)
{
	char fault[TLS_FAULT_BYTES_MAX];
	struct tls_context *context = tls_context_new_server(options, fault);
	if (context == NULL)
		fail_msg("%s", fault);
	return context;
}

struct tls_context *scene_client(const struct tls_client_options *options)
{
	char fault[TLS_FAULT_BYTES_MAX];
	struct tls_context *context = tls_context_new_client(options, fault);
	if (context == NULL)
		fail_msg("%s", fault);
	return context;
}

void scene_pair_begin(struct scene_pair *pair, struct tls_context *server, struct tls_context *client,
		      const struct tls_ticket *ticket)
{
	*pair = (struct scene_pair){.server_error = ERROR_MORE, .client_error = ERROR_MORE};
	pair->server = tls_handshake_new(server, NULL, NULL);
	pair->client = tls_handshake_new(client, "localhost", ticket);
	assert_non_null(pair->server);
	assert_non_null(pair->client);
}

/* Gives an end what waits for it; its output goes to the other's. True: something happened. */
static bool give(struct scene_pair *pair, struct tls_handshake *end, enum error *error, uint8_t *in, size_t *in_bytes,
		 uint8_t *out, size_t *out_bytes)
{
	size_t consumed, given = *in_bytes;
	size_t limit = pair->step_bytes == 0 ? given : pair->step_bytes;
	for (size_t size = given < limit ? given : limit; *error == ERROR_MORE;) {
		bool around = end == pair->server && pair->around_server != NULL;
		if (around)
			pair->around_server(true);
		*error = tls_handshake_step(end, slice_of(in, size), &consumed);
		if (around)
			pair->around_server(false);
		assert_true(consumed <= size);
		assert_int_equal(ERR_peek_error(), 0);
		struct slice output = tls_handshake_output(end);
		assert_true(*out_bytes + output.size <= sizeof(pair->to_server));
		if (output.size > 0)
			memcpy(out + *out_bytes, output.data, output.size);
		*out_bytes += output.size;
		memmove(in, in + consumed, *in_bytes - consumed);
		*in_bytes -= consumed;
		if (consumed > 0 || output.size > 0)
			return true;
		if (size == given)
			break;
		size = size + limit < given ? size + limit : given;
	}
	return false;
}

void scene_pair_run(struct scene_pair *pair)
{
	bool more = true;
	while (more) {
		more = give(pair, pair->client, &pair->client_error, pair->to_client, &pair->to_client_bytes,
			    pair->to_server, &pair->to_server_bytes);
		more = give(pair, pair->server, &pair->server_error, pair->to_server, &pair->to_server_bytes,
			    pair->to_client, &pair->to_client_bytes) ||
		       more;
	}
}

void scene_pair_end(struct scene_pair *pair)
{
	tls_handshake_free(pair->server);
	tls_handshake_free(pair->client);
}

struct scene_result scene_shake_contexts(struct tls_context *server, struct tls_context *client,
					 const struct tls_ticket *ticket, struct tls_ticket **fresh)
{
	struct scene_pair *pair = malloc(sizeof(*pair));
	assert_non_null(pair);
	scene_pair_begin(pair, server, client, ticket);
	scene_pair_run(pair);
	struct scene_result result = {.server = pair->server_error, .client = pair->client_error};
	snprintf(result.server_fault, sizeof(result.server_fault), "%s", tls_handshake_fault(pair->server));
	snprintf(result.client_fault, sizeof(result.client_fault), "%s", tls_handshake_fault(pair->client));
	if (result.server == ERROR_OK && result.client == ERROR_OK) {
		result.resumed = tls_handshake_resumed(pair->server);
		assert_true(result.resumed == tls_handshake_resumed(pair->client));
	}
	if (fresh != NULL && result.client == ERROR_OK) {
		struct tls_ciphers *ciphers = tls_ciphers_new();
		uint8_t memory[TLS_SESSION_BYTES_MAX] __attribute__((aligned(8)));
		struct tls_session *session = (struct tls_session *)memory;
		size_t consumed;
		tls_handshake_session(pair->client, ciphers, session);
		enum error error = tls_handshake_ticket_step(
			pair->client, session, slice_of(pair->to_client, pair->to_client_bytes), &consumed);
		assert_true(error == ERROR_OK || error == ERROR_MORE);
		*fresh = tls_handshake_ticket(pair->client);
		tls_ciphers_free(ciphers);
	}
	scene_pair_end(pair);
	free(pair);
	return result;
}

struct scene_result scene_shake(const struct tls_server_options *server, const struct tls_client_options *client)
{
	struct tls_context *server_context = scene_server(server), *client_context = scene_client(client);
	struct scene_result result = scene_shake_contexts(server_context, client_context, NULL, NULL);
	tls_context_put(&server_context);
	tls_context_put(&client_context);
	return result;
}
