#!/bin/sh
# SSL_set_SSL_CTX() gives a connection the certificate of the other context, but leaves it the first one's tickets.
#
# Software:  libssl3 3.0.22-1~deb12u2 (Debian 12) at both ends.
# Expected:  a server keeps one SSL_CTX for each host name, each with its own ticket keys and number of tickets, and chooses with
#            SSL_set_SSL_CTX() in the servername callback. From then on the connection is the chosen context's: it sends its
#            certificate, and SSL_get_SSL_CTX() returns it.
# Behaviour: tickets stay with the context that SSL_new() was given: its keys encrypt them, its number of them is sent. Those of
#            the chosen context are never used. It is not that the callback comes too late: in the ClientHello callback, which
#            the manual recommends and in which it names swapping the SSL_CTX as a use, the tickets stay behind all the same. So
#            rotating the keys of the host's own context does nothing, and a process that serves the host alone, with those
#            very keys, makes a full handshake with everyone who comes from here. No manual page of libssl-doc says it.
# Output seen (the same for TLS 1.2, but for 1 ticket in each line):
#   TLS 1.3, made with the host's context:        certificate of host, 3 tickets under keys of host; host's own server: resumed
#   TLS 1.3, switched in servername callback:     certificate of host, 1 ticket under keys of first; host's own server: full
#   TLS 1.3, switched in ClientHello callback:    certificate of host, 1 ticket under keys of first; host's own server: full
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
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_TRIPS 5       /* more than any handshake takes */
#define TICKET_KEYS_SIZE 80 /* a name of 16 bytes, an HMAC key and an AES key of 32 each */

static SSL_SESSION *newest;
static int tickets;

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
	tickets++;
	SSL_SESSION_free(newest);
	newest = session;
	return 1;
}

/* A context whose certificate and ticket keys both bear the name; in a second one of that name the ticket keys are the same. */
static SSL_CTX *server_new(const char *name, size_t ticket_count)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_pubkey(certificate, key);
	need(X509_sign(certificate, key, EVP_sha256()) > 0, "certificate");

	SSL_CTX *server = SSL_CTX_new(TLS_server_method());
	need(SSL_CTX_use_certificate(server, certificate) == 1 && SSL_CTX_use_PrivateKey(server, key) == 1, "server");
	unsigned char keys[TICKET_KEYS_SIZE];
	memset(keys, name[0], sizeof(keys));
	memset(keys, 0, 16);
	memcpy(keys, name, strlen(name));
	need(SSL_CTX_set_tlsext_ticket_keys(server, keys, sizeof(keys)) == 1, "ticket keys");
	SSL_CTX_set_num_tickets(server, ticket_count);
	return server;
}

static int on_servername(SSL *connection, int *alert, void *host)
{
	(void)alert;
	return SSL_set_SSL_CTX(connection, host) == host ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_client_hello(SSL *connection, int *alert, void *host)
{
	(void)alert;
	return SSL_set_SSL_CTX(connection, host) == host ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

/* Returns whether it resumed session. The context that the server ended with goes to used, its certificate's name to peer. */
static bool connect_once(SSL_CTX *server_context, SSL_CTX *client_context, SSL_SESSION *session, SSL_CTX **used, char peer[32])
{
	SSL *server = SSL_new(server_context);
	SSL *client = SSL_new(client_context);
	BIO *server_end, *client_end;
	need(BIO_new_bio_pair(&server_end, 0, &client_end, 0) == 1, "pair of BIOs");
	SSL_set_bio(server, server_end, server_end);
	SSL_set_bio(client, client_end, client_end);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	SSL_set_tlsext_host_name(client, "host");
	if (session != NULL)
		need(SSL_set_session(client, session) == 1, "session");
	tickets = 0;
	for (int i = 0; i < ROUND_TRIPS; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	char byte;
	need(SSL_write(server, "x", 1) == 1 && SSL_read(client, &byte, 1) == 1, "handshake");
	bool resumed = SSL_session_reused(client);
	*used = SSL_get_SSL_CTX(server);
	X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(client)), NID_commonName, peer, 32);
	SSL_shutdown(client);
	SSL_shutdown(server);
	SSL_free(client);
	SSL_free(server);
	return resumed;
}

enum way { MADE_WITH_IT, IN_SERVERNAME_CALLBACK, IN_CLIENT_HELLO_CALLBACK, WAYS };

static bool show(int version, enum way way)
{
	static const char *const names[WAYS] = {"made with the host's context:    ", "switched in servername callback: ",
	                                        "switched in ClientHello callback:"};
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(client, version);
	SSL_CTX_set_max_proto_version(client, version);
	SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client, on_new_session);

	SSL_CTX *first = server_new("first", 1), *host = server_new("host", 3), *used;
	if (way == IN_SERVERNAME_CALLBACK) {
		SSL_CTX_set_tlsext_servername_callback(first, on_servername);
		SSL_CTX_set_tlsext_servername_arg(first, host);
	} else if (way == IN_CLIENT_HELLO_CALLBACK) {
		SSL_CTX_set_client_hello_cb(first, on_client_hello, host);
	}
	char peer[32], again[32];
	connect_once(way == MADE_WITH_IT ? host : first, client, NULL, &used, peer);
	need(used == host && strcmp(peer, "host") == 0, "the context is not switched");
	need(tickets > 0, "no ticket");

	int count = tickets;
	const unsigned char *ticket;
	size_t size;
	SSL_SESSION_get0_ticket(newest, &ticket, &size);
	char keys[17] = "";
	memcpy(keys, ticket, size < 16 ? 0 : 16);
	SSL_SESSION *session = newest;
	newest = NULL;
	bool resumed = connect_once(server_new("host", 3), client, session, &used, again);
	printf("%s, %s    certificate of %s, %d ticket%s under keys of %s; host's own server: %s\n",
	       version == TLS1_3_VERSION ? "TLS 1.3" : "TLS 1.2", names[way], peer, count, count == 1 ? "" : "s", keys,
	       resumed ? "resumed" : "full");
	bool own = way == MADE_WITH_IT;
	return strcmp(keys, own ? "host" : "first") == 0 && resumed == own &&
	       count == (own && version == TLS1_3_VERSION ? 3 : 1);
}

int main(void)
{
	bool holds = true;
	for (enum way way = 0; way < WAYS; way++)
		holds = show(TLS1_3_VERSION, way) && holds;
	for (enum way way = 0; way < WAYS; way++)
		holds = show(TLS1_2_VERSION, way) && holds;
	if (holds)
		return 0;
	fputs("the behaviour has changed\n", stderr);
	return 1;
}
C
cc -I"$dir/root/usr/include" -I"$libraries/../../include/$(basename "$libraries")" -o "$dir/show" "$dir/show.c" \
	-L"$libraries" -lssl -lcrypto || exit 2
LD_LIBRARY_PATH="$libraries" timeout 60 "$dir/show" || exit $?
echo "holds: OpenSSL 3.0.22 takes tickets from the context that made the connection"
