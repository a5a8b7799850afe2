/* tls_pipe.h over GnuTLS. */
#include "tls_pipe.h"

#include <gnutls/gnutls.h>

static gnutls_session_t session;

static void check(int result, const char *what)
{
	if (result < 0)
		pipe_fail(what, gnutls_strerror(result));
}

static enum pipe_result pipe_receive(char *into, size_t room, size_t *got)
{
	ssize_t count;
	do
		count = gnutls_record_recv(session, into, room);
	while (count == GNUTLS_E_INTERRUPTED);
	if (count == GNUTLS_E_AGAIN || count == GNUTLS_E_REHANDSHAKE)
		return PIPE_AGAIN;
	if (count == GNUTLS_E_PREMATURE_TERMINATION)
		return PIPE_CUT;
	if (count == 0)
		return PIPE_END;
	check((int)count, "receive");
	*got = (size_t)count;
	return PIPE_BYTES;
}

static enum pipe_result pipe_send(const char *bytes, size_t size, size_t *taken)
{
	ssize_t count = gnutls_record_send(session, bytes, size);
	if (count == GNUTLS_E_AGAIN || count == GNUTLS_E_INTERRUPTED)
		return PIPE_AGAIN;
	if (count < 0)
		return PIPE_END;
	*taken = (size_t)count;
	return PIPE_BYTES;
}

static void pipe_update_keys(void)
{
	int result;
	do
		result = gnutls_session_key_update(session, GNUTLS_KU_PEER);
	while (result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED);
	check(result, "update of keys");
}

static void pipe_close(void)
{
	gnutls_bye(session, GNUTLS_SHUT_WR);
}

int main(int count, char **words)
{
	struct pipe_options options = pipe_options(count, words);
	gnutls_certificate_credentials_t credentials;
	char priorities[256];
	check(gnutls_global_init(), "init");
	check(gnutls_certificate_allocate_credentials(&credentials), "credentials");
	check(gnutls_certificate_set_x509_trust_file(credentials, options.ca, GNUTLS_X509_FMT_PEM), options.ca);
	if (options.certificate != NULL)
		check(gnutls_certificate_set_x509_key_file(credentials, options.certificate, options.key,
							   GNUTLS_X509_FMT_PEM),
		      options.certificate);
	check(gnutls_init(&session, GNUTLS_CLIENT), "session");
	snprintf(priorities, sizeof(priorities), "NORMAL%s%s%s", options.version != NULL ? ":-VERS-ALL:+VERS-TLS" : "",
		 options.version != NULL ? options.version : "", options.suites != NULL ? options.suites : "");
	check(gnutls_priority_set_direct(session, priorities, NULL), priorities);
	check(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials), "credentials");
	check(gnutls_server_name_set(session, GNUTLS_NAME_DNS, options.name, strlen(options.name)), "name");
	gnutls_session_set_verify_cert(session, options.name, 0);
	if (options.fragment_bytes != 0)
		check((int)gnutls_record_set_max_recv_size(session, options.fragment_bytes), "record size");
	gnutls_transport_set_int(session, options.fd);
	gnutls_handshake_set_timeout(session, 20000);
	int result;
	do
		result = gnutls_handshake(session);
	while (result < 0 && !gnutls_error_is_fatal(result));
	check(result, "handshake");
	fprintf(stderr, "%s %s %s\n", gnutls_protocol_get_name(gnutls_protocol_get_version(session)),
		gnutls_cipher_get_name(gnutls_cipher_get(session)),
		gnutls_session_is_resumed(session) ? "resumed" : "full");
	pipe_run(options.fd, &options);
}
