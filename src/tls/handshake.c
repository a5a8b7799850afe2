#include "tls/handshake.h"

#include "base/check.h"
#include "tls/certificate/facts.h"
#include "tls/handshake_hooks.h"
#include "tls/handshake_state.h"
#include "tls/peer/hello.h"
#include "tls/schedule.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>

/* The longest record that OpenSSL may want whole: TLS 1.2 had room for compression [RFC 5246, 6.2.3]. */
#define RECORD_CONTENT_BYTES_MAX (16384u + 2048u)
_Static_assert(TLS_HEAD_BYTES + RECORD_CONTENT_BYTES_MAX <= TLS_HANDSHAKE_INPUT_BYTES_MAX, "a whole record is given");
_Static_assert(TLS_HELLO_BYTES_MAX <= TLS_HANDSHAKE_INPUT_BYTES_MAX, "and the first one, too");

/* ---- begin and end ---- */

/* An SSL_SESSION is not shared between connections: OpenSSL writes to it. */
static bool set_ticket(struct tls_handshake *handshake, const struct tls_ticket *ticket)
{
	const uint8_t *at = ticket->der;
	handshake->session = d2i_SSL_SESSION(NULL, &at, (long)ticket->size);
	ERR_clear_error();
	return handshake->session != NULL;
}

struct tls_handshake *tls_handshake_new(struct tls_context *context, const char *name, const struct tls_ticket *ticket)
{
	CHECK(!context->is_server || (name == NULL && ticket == NULL));
	struct tls_handshake *handshake = calloc(1, sizeof(*handshake));
	if (handshake == NULL)
		return NULL;
	handshake->context = tls_context_get(context);
	handshake->outcome = ERROR_MORE;
	if (name != NULL)
		handshake->name = strdup(name);
	if ((name != NULL && handshake->name == NULL) || (ticket != NULL && !set_ticket(handshake, ticket))) {
		tls_handshake_free(handshake);
		return NULL;
	}
	return handshake;
}

void tls_handshake_free(struct tls_handshake *handshake)
{
	if (handshake == NULL)
		return;
	SSL_free(handshake->ssl);
	SSL_SESSION_free(handshake->session);
	ERR_clear_error();
	tls_context_put(&handshake->context);
	tls_ticket_free(handshake->ticket);
	free(handshake->name);
	free(handshake->output);
	free(handshake->identity);
	free(handshake->subject);
	free(handshake->issuer);
	OPENSSL_cleanse(handshake->secrets, sizeof(handshake->secrets));
	free(handshake);
}

void tls_ticket_free(struct tls_ticket *ticket)
{
	if (ticket != NULL)
		OPENSSL_cleanse(ticket->der, ticket->size);
	free(ticket);
}

size_t tls_ticket_bytes(const struct tls_ticket *ticket)
{
	return sizeof(*ticket) + ticket->size;
}

/* What a client says of the server, and expects of it. */
static bool ask_for(SSL *ssl, const struct tls_handshake *handshake)
{
	const char *name = handshake->name;
	if (name != NULL) {
		X509_VERIFY_PARAM *expected = SSL_get0_param(ssl);
		bool is_address = X509_VERIFY_PARAM_set1_ip_asc(expected, name) == 1;
		if (!is_address && SSL_set_tlsext_host_name(ssl, name) != 1)
			return false;
		if (!is_address && handshake->context->checks && SSL_set1_host(ssl, name) != 1)
			return false;
	}
	return handshake->session == NULL || SSL_set_session(ssl, handshake->session) == 1;
}

static bool begin(struct tls_handshake *handshake)
{
	struct tls_context *context = handshake->context;
	SSL *ssl = SSL_new(context->sets[0].ssl);
	if (ssl == NULL)
		return false;
	handshake->ssl = ssl;
	if (SSL_set_app_data(ssl, handshake) != 1 || !tls_hook_bio(context->bio, ssl, handshake))
		return false;
	if (context->is_server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return context->is_server || ask_for(ssl, handshake);
}

/* ---- a step ---- */

/* How many bytes from the front are whole records. All of them where the next is none that there may be: OpenSSL finds
 * that out, and says so to the peer. */
static size_t whole_records(struct slice input)
{
	size_t at = 0;
	while (input.size - at >= TLS_HEAD_BYTES) {
		const uint8_t *head = input.data + at;
		size_t content = (size_t)head[3] << 8 | head[4];
		if (head[0] < SSL3_RT_CHANGE_CIPHER_SPEC || head[0] > SSL3_RT_APPLICATION_DATA || head[1] != 3 ||
		    content > RECORD_CONTENT_BYTES_MAX)
			return input.size;
		if (input.size - at - TLS_HEAD_BYTES < content)
			break;
		at += TLS_HEAD_BYTES + content;
	}
	return at;
}

static void put_output(struct tls_handshake *handshake, const void *bytes, size_t size)
{
	uint8_t *copy = malloc(size);
	if (copy == NULL) /* then the peer learns nothing, as with a lost connection */
		return;
	free(handshake->output);
	memcpy(copy, bytes, size);
	handshake->output = copy;
	handshake->output_bytes = handshake->output_room = size;
}

static enum error handshake_fails(struct tls_handshake *handshake, enum error error)
{
	CHECK(error != ERROR_OK && error != ERROR_MORE);
	if (handshake->fault[0] == '\0')
		snprintf(handshake->fault, sizeof(handshake->fault), "%s", error_sentence(error));
	handshake->outcome = error;
	return error;
}

/* What came first is no TLS, or none that OpenSSL need see. */
static enum error refuse_stranger(struct tls_handshake *handshake, enum error error)
{
	static const char HTTP[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
				   "Content-Length: 25\r\n\r\nThis port speaks TLS only";
	uint8_t alert[] = {SSL3_RT_ALERT, 3, 3, 0, 2, SSL3_AL_FATAL, SSL_AD_UNEXPECTED_MESSAGE};
	if (error == ERROR_TLS_VERSION)
		alert[6] = SSL_AD_PROTOCOL_VERSION;
	if (error == ERROR_TLS_RECORD_LENGTH)
		alert[6] = SSL_AD_RECORD_OVERFLOW;
	if (error == ERROR_TLS_PLAIN_HTTP)
		put_output(handshake, HTTP, sizeof(HTTP) - 1);
	else if (error != ERROR_TLS_PLAIN_MQTT) /* MQTT has no packet for a server that could say it */
		put_output(handshake, alert, sizeof(alert));
	return handshake_fails(handshake, error);
}

/* The names in the certificate that the peer showed, in this handshake or in the one that is resumed. */
static bool keep_names(struct tls_handshake *handshake)
{
	X509 *certificate = SSL_get0_peer_certificate(handshake->ssl);
	if (certificate == NULL)
		return true;
	CHECK(handshake->subject == NULL);
	handshake->subject = tls_certificate_subject(X509_get_subject_name(certificate));
	if (!handshake->context->is_server || handshake->context->identity_from == TLS_IDENTITY_NONE)
		return handshake->subject != NULL;
	handshake->identity = tls_identity_name(handshake->context->identity_from, certificate);
	return handshake->subject != NULL && handshake->identity != NULL;
}

/* True: the session can be had. */
static bool is_complete(const struct tls_handshake *handshake)
{
	enum tls_version version;
	enum tls_suite suite;
	uint16_t cipher = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(handshake->ssl));
	if (!tls_suite_of(cipher, &version, &suite))
		return false;
	size_t secret = tls_secret_bytes(suite);
	return version == TLS_1_2 ||
	       (handshake->secret_bytes[TLS_READ] == secret && handshake->secret_bytes[TLS_WRITE] == secret);
}

static enum error finish(struct tls_handshake *handshake)
{
	ERR_clear_error();
	if (!keep_names(handshake))
		return handshake_fails(handshake, ERROR_NO_MEMORY);
	/* OpenSSL does not tell of a ticket that TLS 1.2 renews in a resumed handshake. */
	if (handshake->context->keeps_tickets && handshake->ticket_came && handshake->ticket == NULL)
		tls_hook_keep(handshake, SSL_get_session(handshake->ssl));
	CHECK(is_complete(handshake)); /* ours are the only ciphers that were offered */
	handshake->outcome = ERROR_OK;
	return ERROR_OK;
}

static enum error handshake_goes_on(struct tls_handshake *handshake)
{
	ERR_clear_error();
	int done = SSL_do_handshake(handshake->ssl);
	if (done == 1)
		return finish(handshake);
	if (SSL_get_error(handshake->ssl, done) == SSL_ERROR_WANT_READ) {
		ERR_clear_error();
		return ERROR_MORE;
	}
	const struct tls_failure failure = {
		.no_memory = handshake->output_refused,
		.alerted = handshake->alerted,
		.alert = handshake->alert,
		.no_name = handshake->no_name,
		.verify_result = SSL_get_verify_result(handshake->ssl),
		.host = handshake->name,
		.subject = handshake->subject,
		.issuer = handshake->issuer,
	};
	return handshake_fails(handshake, tls_failure_explain(&failure, handshake->fault));
}

static size_t input_bytes_max(const struct tls_handshake *handshake)
{
	return handshake->context->is_server ? TLS_HANDSHAKE_CLIENT_BYTES_MAX : TLS_HANDSHAKE_OUTPUT_BYTES_MAX;
}

enum error tls_handshake_step(struct tls_handshake *handshake, struct slice input, size_t *consumed)
{
	CHECK_EQ(handshake->outcome, ERROR_MORE);
	bool is_server = handshake->context->is_server, begins = handshake->ssl == NULL;
	handshake->output_bytes = 0;
	*consumed = 0;
	if (begins && is_server) {
		enum error first = tls_hello_look(input);
		if (first == ERROR_MORE)
			return ERROR_MORE;
		if (first != ERROR_OK)
			return refuse_stranger(handshake, first);
	}
	size_t whole = whole_records(input);
	if (whole == 0 && !(begins && !is_server))
		return ERROR_MORE;
	if (begins && !begin(handshake)) {
		ERR_clear_error();
		return handshake_fails(handshake, ERROR_NO_MEMORY);
	}
	handshake->input = slice_of(input.data, whole);
	enum error error = handshake_goes_on(handshake);
	*consumed = whole - handshake->input.size;
	handshake->input = slice_of(NULL, 0);
	if (error == ERROR_MORE && handshake->taken_bytes > input_bytes_max(handshake))
		error = handshake_fails(handshake, ERROR_TLS_HANDSHAKE_BYTES);
	return error;
}

struct slice tls_handshake_output(const struct tls_handshake *handshake)
{
	return slice_of(handshake->output, handshake->output_bytes);
}

const char *tls_handshake_fault(const struct tls_handshake *handshake)
{
	return handshake->fault;
}

/* ---- afterwards ---- */

static void make_session_1_2(struct tls_handshake *handshake, struct tls_ciphers *ciphers, struct tls_session *session,
			     uint16_t cipher)
{
	uint8_t master[TLS_MASTER_SECRET_BYTES], client[TLS_RANDOM_BYTES], server[TLS_RANDOM_BYTES];
	SSL *ssl = handshake->ssl;
	CHECK_EQ(SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof(master)), sizeof(master));
	CHECK_EQ(SSL_get_client_random(ssl, client, sizeof(client)), sizeof(client));
	CHECK_EQ(SSL_get_server_random(ssl, server, sizeof(server)), sizeof(server));
	tls_session_init_1_2(ciphers, session, cipher, master, client, server, handshake->context->is_server);
	OPENSSL_cleanse(master, sizeof(master));
	/* Finished was the one record with these keys, each way. */
	session->sequence[TLS_READ] = session->sequence[TLS_WRITE] = 1;
}

void tls_handshake_session(struct tls_handshake *handshake, struct tls_ciphers *ciphers, struct tls_session *session)
{
	CHECK_EQ(handshake->outcome, ERROR_OK);
	SSL *ssl = handshake->ssl;
	uint16_t cipher = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl));
	if (SSL_version(ssl) == TLS1_3_VERSION) {
		tls_session_init_1_3(ciphers, session, cipher, handshake->secrets[TLS_READ],
				     handshake->secrets[TLS_WRITE], handshake->context->is_server);
		session->sequence[TLS_WRITE] = handshake->sealed_records;
	} else {
		make_session_1_2(handshake, ciphers, session, cipher);
	}
	/* max_fragment_length [RFC 6066, 4]: 1 to 4 for 512 to 4096 bytes. */
	unsigned fragments = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl));
	if (fragments >= 1 && fragments <= 4)
		session->plain_bytes_max = (uint16_t)(256u << fragments);
}

bool tls_handshake_resumed(const struct tls_handshake *handshake)
{
	return SSL_session_reused(handshake->ssl) == 1;
}

static struct slice text_of(const char *text)
{
	return text == NULL ? slice_of(NULL, 0) : slice_string(text);
}

struct slice tls_handshake_identity(const struct tls_handshake *handshake)
{
	return text_of(handshake->identity);
}

struct slice tls_handshake_subject(const struct tls_handshake *handshake)
{
	return text_of(handshake->subject);
}

/* A stranger's bytes, which go into logs and JSON. */
static bool is_plain_text(const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name <= ' ' || *name > '~' || *name == '"' || *name == '\\')
			return false;
	}
	return true;
}

struct slice tls_handshake_server_name(const struct tls_handshake *handshake)
{
	const char *name =
		handshake->ssl == NULL ? NULL : SSL_get_servername(handshake->ssl, TLSEXT_NAMETYPE_host_name);
	return text_of(name == NULL || !is_plain_text(name) ? NULL : name);
}

/* ---- a client's ticket ---- */

/* Has OpenSSL read these records on trial. What it makes of them is not asked where no ticket comes out: the record
 * layer reads them once more. */
static void try_records(struct tls_handshake *handshake, struct slice records)
{
	uint8_t unused[256];
	handshake->input = records;
	ERR_clear_error();
	(void)SSL_read(handshake->ssl, unused, sizeof(unused));
	ERR_clear_error();
	OPENSSL_cleanse(unused, sizeof(unused));
	handshake->output_bytes = 0; /* an answer to a KeyUpdate, perhaps: the record layer gives its own */
}

enum error tls_handshake_ticket_step(struct tls_handshake *handshake, struct tls_session *session, struct slice input,
				     size_t *consumed)
{
	CHECK(handshake->outcome == ERROR_OK && !handshake->context->is_server);
	*consumed = 0;
	if (!handshake->context->keeps_tickets || session->version == TLS_1_2)
		return ERROR_OK;
	size_t size;
	if (tls_record_size(input, &size) != ERROR_OK)
		return ERROR_NOT_FOUND;
	if (size == 0 || size > input.size)
		return ERROR_MORE;
	handshake->ticket_came = false;
	try_records(handshake, slice_of(input.data, size));
	if (!handshake->ticket_came)
		return ERROR_NOT_FOUND;
	*consumed = size;
	session->sequence[TLS_READ]++;
	return ERROR_OK;
}

struct tls_ticket *tls_handshake_ticket(struct tls_handshake *handshake)
{
	struct tls_ticket *ticket = handshake->ticket;
	handshake->ticket = NULL;
	return ticket;
}
