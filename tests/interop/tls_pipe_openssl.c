/* tls_pipe.h over OpenSSL, for what Python's ssl has no words for. */
#include "tls_pipe.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL *session;

static void check(bool good, const char *what)
{
	if (!good)
		pipe_fail(what, ERR_peek_error() != 0 ? ERR_reason_error_string(ERR_peek_error()) : strerror(errno));
}

static enum pipe_result result_of(int result, const char *what)
{
	if (result > 0)
		return PIPE_BYTES;
	int error = SSL_get_error(session, result);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return PIPE_AGAIN;
	if (error == SSL_ERROR_ZERO_RETURN)
		return PIPE_END;
	check(error == SSL_ERROR_SYSCALL || ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING,
	      what);
	return PIPE_CUT;
}

static enum pipe_result pipe_receive(char *into, size_t room, size_t *got)
{
	ERR_clear_error();
	return result_of(SSL_read_ex(session, into, room, got), "receive");
}

static enum pipe_result pipe_send(const char *bytes, size_t size, size_t *taken)
{
	ERR_clear_error();
	return result_of(SSL_write_ex(session, bytes, size, taken), "send");
}

static void pipe_update_keys(void)
{
	check(SSL_key_update(session, SSL_KEY_UPDATE_REQUESTED) == 1, "update of keys");
}

static void pipe_close(void)
{
	SSL_shutdown(session);
}

int main(int count, char **words)
{
	struct pipe_options options = pipe_options(count, words);
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	check(SSL_CTX_load_verify_file(context, options.ca) == 1, options.ca);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
	if (options.certificate != NULL)
		check(SSL_CTX_use_certificate_chain_file(context, options.certificate) == 1 &&
			      SSL_CTX_use_PrivateKey_file(context, options.key, SSL_FILETYPE_PEM) == 1,
		      options.certificate);
	if (options.version != NULL) {
		int version = strcmp(options.version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
		SSL_CTX_set_min_proto_version(context, version);
		SSL_CTX_set_max_proto_version(context, version);
	}
	if (options.suites != NULL)
		check(SSL_CTX_set_cipher_list(context, options.suites) == 1 ||
			      SSL_CTX_set_ciphersuites(context, options.suites) == 1,
		      options.suites);
	/* Of 512, 1024, 2048 or 4096 bytes: asked of the server, too. */
	for (uint8_t mode = TLSEXT_max_fragment_length_512; mode <= TLSEXT_max_fragment_length_4096; mode++)
		if (options.fragment_bytes == (size_t)256 << mode)
			check(SSL_CTX_set_tlsext_max_fragment_length(context, mode) == 1, "fragments");
	session = SSL_new(context);
	SSL_set_fd(session, options.fd);
	check(SSL_set1_host(session, options.name) == 1 && SSL_set_tlsext_host_name(session, options.name) == 1,
	      "name");
	check(SSL_connect(session) == 1, "handshake");
	fprintf(stderr, "%s %s %s\n", SSL_get_version(session), SSL_get_cipher(session),
		SSL_session_reused(session) ? "resumed" : "full");
	pipe_run(options.fd, &options);
}
