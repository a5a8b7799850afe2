#include "tls/handshake_hooks.h"

#include "base/check.h"
#include "tls/certificate/facts.h"
#include "tls/handshake_state.h"

#include <openssl/err.h>

#include <stdlib.h>

static struct tls_handshake *handshake_of(const SSL *ssl)
{
	struct tls_handshake *handshake = SSL_get_app_data(ssl);
	CHECK(handshake != NULL);
	return handshake;
}

/* ---- bytes ---- */

/* OpenSSL asks for the head of a record and then for the rest of it, so it takes nothing that lies behind Finished. */
static int bio_read(BIO *bio, char *out, int size)
{
	struct tls_handshake *handshake = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (size <= 0)
		return 0;
	if (handshake->input.size == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	size_t taken = (size_t)size < handshake->input.size ? (size_t)size : handshake->input.size;
	memcpy(out, handshake->input.data, taken);
	handshake->input = slice_of(handshake->input.data + taken, handshake->input.size - taken);
	handshake->taken_bytes += taken;
	return (int)taken;
}

static bool output_has_room(struct tls_handshake *handshake, size_t size)
{
	size_t wanted = handshake->output_bytes + size;
	if (wanted <= handshake->output_room)
		return true;
	if (wanted > TLS_HANDSHAKE_OUTPUT_BYTES_MAX)
		return false;
	size_t room = handshake->output_room == 0 ? 2048 : handshake->output_room;
	while (room < wanted)
		room *= 2;
	uint8_t *grown = realloc(handshake->output, room);
	if (grown == NULL)
		return false;
	handshake->output = grown;
	handshake->output_room = room;
	return true;
}

static int bio_write(BIO *bio, const char *bytes, int size)
{
	struct tls_handshake *handshake = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (size <= 0)
		return 0;
	if (!output_has_room(handshake, (size_t)size)) {
		handshake->output_refused = true;
		return -1;
	}
	memcpy(handshake->output + handshake->output_bytes, bytes, (size_t)size);
	handshake->output_bytes += (size_t)size;
	return size;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_hook_bio_method(void)
{
	/* A kind without a number of its own: OpenSSL has 128 of those, and a context is made with each reload. */
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "handshake");
	if (method == NULL || BIO_meth_set_read(method, bio_read) != 1 || BIO_meth_set_write(method, bio_write) != 1 ||
	    BIO_meth_set_ctrl(method, bio_control) != 1) {
		BIO_meth_free(method);
		method = NULL;
	}
	return method;
}

bool tls_hook_bio(BIO_METHOD *method, SSL *ssl, struct tls_handshake *handshake)
{
	BIO *bio = BIO_new(method);
	if (bio == NULL)
		return false;
	BIO_set_data(bio, handshake);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio); /* takes the one reference, for both */
	return true;
}

/* ---- records ---- */

static int secret_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t secret_bytes_of(const char *text, uint8_t out[TLS_SECRET_BYTES_MAX])
{
	size_t size = 0;
	int high, low;
	while (size < TLS_SECRET_BYTES_MAX && (high = secret_digit(text[0])) >= 0 &&
	       (low = secret_digit(text[1])) >= 0) {
		out[size++] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	return size;
}

/* A line of NSS's key log: "CLIENT_TRAFFIC_SECRET_0 RANDOM SECRET". OpenSSL says it when it begins to use the secret.
 */
static void on_secret(const SSL *ssl, const char *line)
{
	static const char LABEL[] = "_TRAFFIC_SECRET_0 ";
	struct tls_handshake *handshake = handshake_of(ssl);
	if (memcmp(line, "CLIENT", 6) != 0 && memcmp(line, "SERVER", 6) != 0)
		return;
	if (strncmp(line + 6, LABEL, sizeof(LABEL) - 1) != 0)
		return;
	enum tls_direction direction = line[0] == 'S' ? TLS_WRITE : TLS_READ;
	const char *secret = strrchr(line, ' ') + 1;
	handshake->secret_bytes[direction] = secret_bytes_of(secret, handshake->secrets[direction]);
}

static void on_message(int written, int version, int type, const void *bytes, size_t size, SSL *ssl, void *unused)
{
	(void)version, (void)unused;
	struct tls_handshake *handshake = handshake_of(ssl);
	const uint8_t *data = bytes;
	enum tls_direction own = handshake->context->is_server ? TLS_WRITE : TLS_READ;
	if (type == SSL3_RT_HEADER && written != 0 && size > 0 && data[0] == SSL3_RT_APPLICATION_DATA)
		handshake->sealed_records += handshake->secret_bytes[own] > 0;
	else if (type == SSL3_RT_ALERT && written == 0 && size == 2 && data[0] == SSL3_AL_FATAL) {
		handshake->alert = data[1];
		handshake->alerted = true;
	} else if (type == SSL3_RT_HANDSHAKE && written == 0 && size > 0 && data[0] == SSL3_MT_NEWSESSION_TICKET)
		handshake->ticket_came = true;
}

void tls_hook_records(SSL_CTX *ssl)
{
	SSL_CTX_set_keylog_callback(ssl, on_secret);
	SSL_CTX_set_msg_callback(ssl, on_message);
}

/* ---- the hello ---- */

static int on_server_name(SSL *ssl, int *alert, void *unused)
{
	(void)alert, (void)unused;
	const struct tls_context *context = handshake_of(ssl)->context;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	uint16_t identities = name == NULL ? 0 : tls_names_find(context->names, slice_string(name));
	if (identities == 0)
		return name == NULL ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
	for (size_t i = 0; i < context->set_count; i++) {
		if (context->sets[i].identities == identities) {
			SSL_set_SSL_CTX(ssl, context->sets[i].ssl);
			break;
		}
	}
	return SSL_TLSEXT_ERR_OK;
}

static int on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_bytes, const unsigned char *offered,
		   unsigned offered_bytes, void *unused)
{
	(void)unused;
	const struct tls_context *context = handshake_of(ssl)->context;
	if (context->alpn_bytes == 0)
		return SSL_TLSEXT_ERR_NOACK;
	for (unsigned at = 0; at + 1u + offered[at] <= offered_bytes; at += 1u + offered[at]) {
		if (offered[at] == context->alpn[0] && memcmp(offered + at, context->alpn, context->alpn_bytes) == 0) {
			*chosen = offered + at + 1;
			*chosen_bytes = offered[at];
			return SSL_TLSEXT_ERR_OK;
		}
		if (at + 1u + offered[at] == offered_bytes)
			break;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void tls_hook_hello(SSL_CTX *ssl)
{
	SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
	SSL_CTX_set_alpn_select_cb(ssl, on_alpn, NULL);
}

/* ---- tickets ---- */

static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
			 int seals)
{
	struct tls_tickets *tickets = handshake_of(ssl)->context->tickets;
	if (seals != 0)
		return tls_tickets_seal(tickets, name, iv, cipher, mac) ? 1 : -1;
	bool newest;
	if (!tls_tickets_open(tickets, name, iv, cipher, mac, &newest))
		return 0;
	return newest ? 1 : 2; /* 2: and a new ticket, with the newest key */
}

/* The session's certificate was good when it was made. OpenSSL does not look at it again: it may have expired since. */
static bool is_still_good(const struct tls_handshake *handshake, SSL_SESSION *session)
{
	X509 *certificate = SSL_SESSION_get0_peer(session);
	if (certificate == NULL)
		return !handshake->context->requires_certificate;
	return X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_bytes,
				   SSL_TICKET_STATUS status, void *unused)
{
	(void)name, (void)name_bytes, (void)unused;
	switch (status) {
	case SSL_TICKET_SUCCESS:
		return is_still_good(handshake_of(ssl), session) ? SSL_TICKET_RETURN_USE
								 : SSL_TICKET_RETURN_IGNORE_RENEW;
	case SSL_TICKET_SUCCESS_RENEW:
		return is_still_good(handshake_of(ssl), session) ? SSL_TICKET_RETURN_USE_RENEW
								 : SSL_TICKET_RETURN_IGNORE_RENEW;
	case SSL_TICKET_FATAL_ERR_MALLOC:
	case SSL_TICKET_FATAL_ERR_OTHER:
		return SSL_TICKET_RETURN_ABORT;
	default: /* empty, or not ours */
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	}
}

void tls_hook_tickets(SSL_CTX *ssl)
{
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket_key);
	SSL_CTX_set_session_ticket_cb(ssl, NULL, on_ticket, NULL);
}

/* ---- the peer's certificate ---- */

/* For the log, as far as there is memory. */
static int refuse_certificate(struct tls_handshake *handshake, X509_STORE_CTX *store)
{
	const X509 *certificate = X509_STORE_CTX_get0_cert(store);
	if (handshake->subject == NULL)
		handshake->subject = tls_certificate_subject(X509_get_subject_name(certificate));
	if (handshake->issuer == NULL)
		handshake->issuer = tls_certificate_subject(X509_get_issuer_name(certificate));
	return 0;
}

/* Is called for each certificate of the chain that passed, and for each fault. */
static int on_certificate(int good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_handshake *handshake = handshake_of(ssl);
	if (good == 0)
		return refuse_certificate(handshake, store);
	if (!handshake->context->is_server || handshake->context->identity_from == TLS_IDENTITY_NONE ||
	    X509_STORE_CTX_get_error_depth(store) > 0)
		return 1;
	char *name = tls_identity_name(handshake->context->identity_from, X509_STORE_CTX_get_current_cert(store));
	handshake->no_name = name == NULL;
	free(name);
	if (!handshake->no_name)
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return refuse_certificate(handshake, store);
}

void tls_hook_certificates(SSL_CTX *ssl, bool required)
{
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), on_certificate);
}

/* ---- a client's tickets ---- */

void tls_hook_keep(struct tls_handshake *handshake, SSL_SESSION *session)
{
	int size = i2d_SSL_SESSION(session, NULL);
	struct tls_ticket *ticket = size <= 0 ? NULL : malloc(sizeof(*ticket) + (size_t)size);
	if (ticket == NULL)
		return;
	uint8_t *at = ticket->der;
	ticket->size = (size_t)i2d_SSL_SESSION(session, &at);
	tls_ticket_free(handshake->ticket);
	handshake->ticket = ticket;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	tls_hook_keep(handshake_of(ssl), session);
	return 0; /* the session stays OpenSSL's */
}

void tls_hook_new_sessions(SSL_CTX *ssl)
{
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, on_session);
}
