#include "openssl_pair.h"

#include "base/check.h"
#include "tls/schedule.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

const struct suite_case SUITES[SUITE_CASES] = {
	{"TLS_AES_128_GCM_SHA256", 0x1301, TLS1_3_VERSION},
	{"TLS_AES_256_GCM_SHA384", 0x1302, TLS1_3_VERSION},
	{"TLS_CHACHA20_POLY1305_SHA256", 0x1303, TLS1_3_VERSION},
	{"ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b, TLS1_2_VERSION},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02c, TLS1_2_VERSION},
	{"ECDHE-ECDSA-CHACHA20-POLY1305", 0xcca9, TLS1_2_VERSION},
};

/* Of both ends: the same. Where the key log callback finds it: in the SSL_CTX. */
struct secrets {
	uint8_t client[TLS_SECRET_BYTES_MAX];
	uint8_t server[TLS_SECRET_BYTES_MAX];
};

static void read_hex(const char *text, uint8_t *out, size_t max)
{
	unsigned byte;
	for (size_t i = 0; i < max && sscanf(text + 2 * i, "%2x", &byte) == 1; i++)
		out[i] = (uint8_t)byte;
}

static void log_key(const SSL *ssl, const char *line)
{
	struct secrets *secrets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const char *secret = strrchr(line, ' ') + 1;
	if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0", 23) == 0)
		read_hex(secret, secrets->client, sizeof(secrets->client));
	if (strncmp(line, "SERVER_TRAFFIC_SECRET_0", 23) == 0)
		read_hex(secret, secrets->server, sizeof(secrets->server));
}

static void certify(SSL_CTX *context)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	CHECK(key != NULL && certificate != NULL);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
	CHECK(SSL_CTX_use_certificate(context, certificate) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static SSL *make_end(const struct suite_case *suite, bool is_server, unsigned tickets, struct secrets *secrets)
{
	SSL_CTX *context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	CHECK(context != NULL);
	SSL_CTX_set_min_proto_version(context, suite->version);
	SSL_CTX_set_max_proto_version(context, suite->version);
	CHECK((suite->version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(context, suite->name)
						: SSL_CTX_set_cipher_list(context, suite->name)) == 1);
	SSL_CTX_set_num_tickets(context, tickets);
	SSL_CTX_set_app_data(context, secrets);
	SSL_CTX_set_keylog_callback(context, log_key);
	if (is_server)
		certify(context);
	SSL *ssl = SSL_new(context);
	CHECK(ssl != NULL);
	SSL_CTX_free(context);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (is_server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

void openssl_give(struct openssl_peer *peer, const void *bytes, size_t size)
{
	if (size != 0)
		CHECK_EQ(BIO_write(SSL_get_rbio(peer->ssl), bytes, (int)size), (int)size);
}

size_t openssl_take(struct openssl_peer *peer, void *bytes, size_t size)
{
	int count = BIO_read(SSL_get_wbio(peer->ssl), bytes, (int)size);
	return count > 0 ? (size_t)count : 0;
}

static void carry(SSL *from, SSL *to)
{
	uint8_t bytes[4096];
	size_t size;
	while ((size = openssl_take(&(struct openssl_peer){from}, bytes, sizeof(bytes))) != 0)
		openssl_give(&(struct openssl_peer){to}, bytes, size);
}

static void begin_session(struct tls_ciphers *ciphers, const struct suite_case *suite, bool is_server, unsigned tickets,
			  SSL *gone, const struct secrets *secrets, struct tls_session *session)
{
	if (suite->version == TLS1_3_VERSION) {
		tls_session_init_1_3(ciphers, session, suite->cipher, secrets->client, secrets->server, is_server);
		session->sequence[TLS_WRITE] = is_server ? tickets : 0;
		return;
	}
	uint8_t master[TLS_MASTER_SECRET_BYTES];
	uint8_t client[TLS_RANDOM_BYTES];
	uint8_t server[TLS_RANDOM_BYTES];
	CHECK_EQ(SSL_SESSION_get_master_key(SSL_get_session(gone), master, sizeof(master)), sizeof(master));
	CHECK_EQ(SSL_get_client_random(gone, client, sizeof(client)), sizeof(client));
	CHECK_EQ(SSL_get_server_random(gone, server, sizeof(server)), sizeof(server));
	tls_session_init_1_2(ciphers, session, suite->cipher, master, client, server, is_server);
	session->sequence[TLS_READ] = session->sequence[TLS_WRITE] = 1; /* Finished */
}

void openssl_pair(struct tls_ciphers *ciphers, const struct suite_case *suite, bool is_server, unsigned tickets,
		  struct openssl_peer *peer, struct tls_session *session)
{
	struct secrets secrets = {0};
	SSL *client = make_end(suite, false, tickets, &secrets);
	SSL *server = make_end(suite, true, tickets, &secrets);
	int client_done = 0;
	int server_done = 0;
	for (int round = 0; round < 8 && (client_done != 1 || server_done != 1); round++) {
		client_done = SSL_do_handshake(client);
		carry(client, server);
		server_done = SSL_do_handshake(server);
		if (client_done != 1 || is_server) /* a server's tickets stay in its output for us */
			carry(server, client);
	}
	CHECK(client_done == 1 && server_done == 1);
	/* What the client reads of them changes nothing of what it sends. */
	begin_session(ciphers, suite, is_server, tickets, is_server ? server : client, &secrets, session);
	SSL_free(is_server ? server : client);
	peer->ssl = is_server ? client : server;
	SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(peer->ssl), NULL);
}

void openssl_free(struct openssl_peer *peer)
{
	SSL_free(peer->ssl);
	peer->ssl = NULL;
}

int openssl_reason(void)
{
	int reason = ERR_GET_REASON(ERR_peek_error());
	ERR_clear_error();
	return reason;
}
