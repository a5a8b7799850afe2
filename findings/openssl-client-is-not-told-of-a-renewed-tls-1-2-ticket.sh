#!/bin/sh
# OpenSSL does not tell a client's new-session callback of the ticket that a TLS 1.2 server renews; in TLS 1.3 it does.
#
# Software:  libssl3 3.0.22-1~deb12u2 (Debian 12) at both ends.
# Expected:  a client that keeps the session that SSL_CTX_sess_set_new_cb() gave it last holds the newest ticket. The manual calls
#            the callback the preferred way to obtain a session that can be resumed, and says that it tells of "all sessions
#            sent by the server" (SSL_get1_session(3)).
# Behaviour: a TLS 1.2 server that rotates its ticket keys takes the old ticket and sends one under the new key, so that the
#            client need not make a full handshake when the old key goes. The client reads it, into a copy of the session
#            that belongs to the connection alone: no callback, and the session given to SSL_set_session() stays as it was.
#            The stored ticket dies with its key. SSL_get1_session() after the handshake gives the renewed one, but is no way
#            for TLS 1.3, whose tickets come later: a client of both versions needs both.
# Output seen:
#   TLS 1.2, first handshake (key A):   full, callback 1 time, its ticket under key A
#   TLS 1.2, key B new, key A known:    resumed, callback 0 times, stored ticket under key A, connection's under key B
#   TLS 1.2, key A gone:                full with the callback's session, resumed with SSL_get1_session()'s
#   TLS 1.3, first handshake (key A):   full, callback 1 time, its ticket under key A
#   TLS 1.3, key B new, key A known:    resumed, callback 1 time, stored ticket under key B, connection's under key B
#   TLS 1.3, key A gone:                resumed with the callback's session, which is SSL_get1_session()'s too
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
command -v cc >/dev/null || { echo "no C compiler here"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' HUP INT TERM

debs="libssl3=3.0.22-1~deb12u2 libssl-dev=3.0.22-1~deb12u2"
download() {
	# shellcheck disable=SC2086
	(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download $debs)
}
download 2>/dev/null || { apt-get -qq update && download; } || exit 2
for deb in "$dir"/*.deb; do
	dpkg -x "$deb" "$dir/root"
done
libraries=$(dirname "$(find "$dir/root" -name libssl.so.3)")

cat >"$dir/show.c" <<'C'
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_TRIPS 5 /* more than any handshake takes */

static const char *server_keys; /* the first one makes tickets, all of them open tickets */
static SSL_SESSION *stored;     /* what the client's callback got last */
static int told;                /* how often it was called in this connection */

struct outcome {
	bool resumed;
	char key; /* of the ticket that the connection holds at its end */
	SSL_SESSION *session;
};

static void need(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "cannot be shown: %s\n", what);
	exit(2);
}

static int on_new_session(SSL *connection, SSL_SESSION *session)
{
	(void)connection;
	told++;
	SSL_SESSION_free(stored);
	stored = session;
	return 1;
}

static char ticket_key(const SSL_SESSION *session)
{
	const unsigned char *ticket;
	size_t size;
	SSL_SESSION_get0_ticket(session, &ticket, &size);
	need(size > 16, "no ticket");
	return (char)ticket[0];
}

/* A key is named by 16 times its letter; its bytes are that letter too. */
static int on_ticket(SSL *connection, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                     int encrypt)
{
	(void)connection;
	if (encrypt) {
		memset(name, server_keys[0], 16);
		need(RAND_bytes(iv, 16) == 1, "random bytes");
	} else if (strchr(server_keys, name[0]) == NULL) {
		return 0;
	}
	unsigned char secret[32];
	memset(secret, name[0], sizeof(secret));
	char digest[] = "SHA256";
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof(secret)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	need(EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, secret, iv, encrypt) == 1, "cipher");
	need(EVP_MAC_CTX_set_params(mac, parameters) == 1, "MAC");
	return !encrypt && name[0] != server_keys[0] ? 2 : 1;
}

static SSL_CTX *server_new(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	need(X509_sign(certificate, key, EVP_sha256()) > 0, "certificate");

	SSL_CTX *server = SSL_CTX_new(TLS_server_method());
	need(SSL_CTX_use_certificate(server, certificate) == 1 && SSL_CTX_use_PrivateKey(server, key) == 1, "server");
	SSL_CTX_set_num_tickets(server, 1);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(server, on_ticket);
	return server;
}

static struct outcome connect_once(SSL_CTX *server_context, SSL_CTX *client_context, const char *keys, SSL_SESSION *session)
{
	SSL *server = SSL_new(server_context);
	SSL *client = SSL_new(client_context);
	BIO *server_end, *client_end;
	need(BIO_new_bio_pair(&server_end, 0, &client_end, 0) == 1, "pair of BIOs");
	SSL_set_bio(server, server_end, server_end);
	SSL_set_bio(client, client_end, client_end);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	if (session != NULL)
		need(SSL_set_session(client, session) == 1, "session");
	server_keys = keys;
	told = 0;
	for (int i = 0; i < ROUND_TRIPS; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	char byte;
	need(SSL_write(server, "x", 1) == 1 && SSL_read(client, &byte, 1) == 1, "handshake");
	struct outcome outcome = {.resumed = SSL_session_reused(client), .session = SSL_get1_session(client)};
	outcome.key = ticket_key(outcome.session);
	SSL_shutdown(client);
	SSL_shutdown(server);
	SSL_free(client);
	SSL_free(server);
	return outcome;
}

static const char *kind(bool resumed)
{
	return resumed ? "resumed" : "full";
}

static bool show(int version, const char *name, bool callback_told)
{
	SSL_CTX *server = server_new();
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(client, version);
	SSL_CTX_set_max_proto_version(client, version);
	SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client, on_new_session);

	struct outcome first = connect_once(server, client, "A", NULL);
	need(stored != NULL, "the callback is never called");
	printf("%s, first handshake (key A):   %s, callback %d time%s, its ticket under key %c\n", name, kind(first.resumed),
	       told, told == 1 ? "" : "s", ticket_key(stored));
	bool holds = !first.resumed && told == 1 && ticket_key(stored) == 'A';

	SSL_SESSION *offered = stored;
	SSL_SESSION_up_ref(offered);
	struct outcome renewed = connect_once(server, client, "BA", offered);
	printf("%s, key B new, key A known:    %s, callback %d time%s, stored ticket under key %c, connection's under key %c\n",
	       name, kind(renewed.resumed), told, told == 1 ? "" : "s", ticket_key(stored), renewed.key);
	holds = holds && renewed.resumed && told == callback_told && renewed.key == 'B' &&
	        ticket_key(stored) == (callback_told ? 'B' : 'A') && ticket_key(offered) == 'A';

	SSL_SESSION *from_callback = stored;
	stored = NULL;
	bool same = from_callback == renewed.session; /* then there is but one to try: OpenSSL uses a TLS 1.3 session once */
	struct outcome by_callback = connect_once(server, client, "B", from_callback);
	printf("%s, key A gone:                %s with the callback's session", name, kind(by_callback.resumed));
	if (same) {
		puts(", which is SSL_get1_session()'s too");
		return holds && callback_told && by_callback.resumed;
	}
	struct outcome by_connection = connect_once(server, client, "B", renewed.session);
	printf(", %s with SSL_get1_session()'s\n", kind(by_connection.resumed));
	return holds && !callback_told && !by_callback.resumed && by_connection.resumed;
}

int main(void)
{
	bool old = show(TLS1_2_VERSION, "TLS 1.2", false);
	bool new = show(TLS1_3_VERSION, "TLS 1.3", true);
	if (old && new)
		return 0;
	fputs("the behaviour has changed\n", stderr);
	return 1;
}
C
cc -I"$dir/root/usr/include" -I"$libraries/../../include/$(basename "$libraries")" -o "$dir/show" "$dir/show.c" \
	-L"$libraries" -lssl -lcrypto || exit 2
LD_LIBRARY_PATH="$libraries" timeout 60 "$dir/show" || exit $?
echo "holds: OpenSSL 3.0.22 tells a TLS 1.2 client's callback nothing of a renewed ticket"
