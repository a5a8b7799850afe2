#!/bin/sh
# GnuTLS limits records to 1000 bytes towards an OpenSSL 3.0 server, but not from it; a limit of 1024 holds both ways.
#
# Software:  libgnutls30 3.7.9-2+deb12u7 (client) and libssl3 3.0.22-1~deb12u2 (server), Debian 12.
# Expected:  gnutls_record_set_max_size() "sets the maximum amount of plaintext sent and received in a record", any amount from 512
#            to 16384 "through a new TLS extension". The manual warns that not every peer knows that one: then no limit is
#            agreed on, and records go up to 16384 bytes in both directions.
# Behaviour: the client sends two extensions at once: record_size_limit always, and the old max_fragment_length too where the limit
#            is one of its powers of two (512 to 4096). OpenSSL 3.0 knows only the old one. So 1024 is kept by both, whereas with
#            1000 the client cuts what it sends and gets records 16 times as large as it asked for, and
#            gnutls_record_get_max_size() gives 16384, which is true of what it receives only. The newer function,
#            gnutls_record_set_max_recv_size(), sends the new extension alone: here even 1024 limits nothing. Whoever wants
#            small records of OpenSSL 3.0 asks for less, 512 in place of 1000, and by the function that the manual deprecates.
# Output seen (the same for TLS 1.2):
#   TLS 1.3, max_size 1024:       asks by record_size_limit and max_fragment_length; get_max_size 1024; sends 1024, receives 1024
#   TLS 1.3, max_size 1000:       asks by record_size_limit; get_max_size 16384; sends 1000, receives 16384
#   TLS 1.3, max_recv_size 1024:  asks by record_size_limit; get_max_size 16384; sends 16384, receives 16384
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
command -v cc >/dev/null || { echo "no C compiler here"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' HUP INT TERM

debs="libssl3=3.0.22-1~deb12u2 libssl-dev=3.0.22-1~deb12u2 libgnutls30=3.7.9-2+deb12u7 libgnutls28-dev=3.7.9-2+deb12u7
	libnettle8 libhogweed6 libgmp10 libtasn1-6 libp11-kit0 libffi8 libidn2-0 libunistring2"
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
#include <errno.h>
#include <gnutls/gnutls.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_TRIPS 5 /* more than any handshake takes */
#define MESSAGE 16384 /* the largest plaintext that one record can hold */
#define MAX_FRAGMENT_LENGTH 1
#define RECORD_SIZE_LIMIT 28

struct limit {
	const char *name;
	int version;
	bool receive_only;
	size_t size;
	bool old_extension;
	size_t told, sent, received; /* the expected plaintext sizes */
};

static bool asks_old, asks_new;
static gnutls_session_t client;

static void need(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "cannot be shown: %s\n", what);
	exit(2);
}

static ssize_t push(gnutls_transport_ptr_t wire, const void *bytes, size_t size)
{
	int written = BIO_write(wire, bytes, (int)size);
	if (written > 0)
		return written;
	gnutls_transport_set_errno(client, EAGAIN);
	return -1;
}

static ssize_t pull(gnutls_transport_ptr_t wire, void *bytes, size_t size)
{
	int taken = BIO_read(wire, bytes, (int)size);
	if (taken > 0)
		return taken;
	gnutls_transport_set_errno(client, EAGAIN);
	return -1;
}

/* Reads the extensions' types from the ClientHello itself: OpenSSL's functions show only those that it knows. */
static void on_message(int sending, int version, int type, const void *message, size_t size, SSL *server, void *unused)
{
	(void)version, (void)server, (void)unused;
	const unsigned char *byte = message, *end = byte + size;
	if (sending || type != SSL3_RT_HANDSHAKE || byte[0] != SSL3_MT_CLIENT_HELLO)
		return;
	byte += 4 + 2 + 32;                  /* header, version, random */
	byte += 1 + byte[0];                 /* session ID */
	byte += 2 + byte[0] * 256 + byte[1]; /* cipher suites */
	byte += 1 + byte[0];                 /* compression methods */
	asks_old = asks_new = false;
	for (byte += 2; byte < end; byte += 4 + byte[2] * 256 + byte[3]) {
		asks_old = asks_old || byte[0] * 256 + byte[1] == MAX_FRAGMENT_LENGTH;
		asks_new = asks_new || byte[0] * 256 + byte[1] == RECORD_SIZE_LIMIT;
	}
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
	SSL_CTX_set_msg_callback(server, on_message);
	return server;
}

/*
 * What one call gives to the reader is at most one record, in OpenSSL as in GnuTLS, so the largest is the first of a long message.
 */
static size_t received_by_client(SSL *server)
{
	static char message[MESSAGE], bytes[MESSAGE];
	need(SSL_write(server, message, MESSAGE) == MESSAGE, "the server writes");
	for (int i = 0; i < ROUND_TRIPS; i++) { /* TLS 1.3: the tickets come first */
		ssize_t size = gnutls_record_recv(client, bytes, sizeof(bytes));
		if (size > 0)
			return (size_t)size;
	}
	need(false, "the client reads");
	return 0;
}

static size_t received_by_server(SSL *server)
{
	static char message[MESSAGE], bytes[MESSAGE];
	need(gnutls_record_send(client, message, MESSAGE) > 0, "the client writes");
	int size = SSL_read(server, bytes, sizeof(bytes));
	need(size > 0, "the server reads");
	return (size_t)size;
}

static bool show(const struct limit *limit)
{
	SSL *server = SSL_new(server_new());
	BIO *server_end, *client_end;
	need(BIO_new_bio_pair(&server_end, 1 << 20, &client_end, 1 << 20) == 1, "pair of BIOs");
	SSL_set_bio(server, server_end, server_end);
	SSL_set_accept_state(server);

	gnutls_certificate_credentials_t credentials;
	gnutls_certificate_allocate_credentials(&credentials);
	need(gnutls_init(&client, GNUTLS_CLIENT | GNUTLS_NONBLOCK) == 0, "client");
	gnutls_credentials_set(client, GNUTLS_CRD_CERTIFICATE, credentials);
	const char *priority = limit->version == 3 ? "NORMAL:-VERS-ALL:+VERS-TLS1.3" : "NORMAL:-VERS-ALL:+VERS-TLS1.2";
	need(gnutls_priority_set_direct(client, priority, NULL) == 0, "version");
	gnutls_transport_set_ptr(client, client_end);
	gnutls_transport_set_push_function(client, push);
	gnutls_transport_set_pull_function(client, pull);
	ssize_t set = limit->receive_only ? gnutls_record_set_max_recv_size(client, limit->size) :
	                                    gnutls_record_set_max_size(client, limit->size);
	need(set == 0, "the limit is refused");

	int client_done = GNUTLS_E_AGAIN, server_done = 0;
	for (int i = 0; i < ROUND_TRIPS; i++) {
		if (client_done != 0)
			client_done = gnutls_handshake(client);
		server_done = SSL_do_handshake(server);
	}
	need(client_done == 0 && server_done == 1, "handshake");

	size_t told = gnutls_record_get_max_size(client);
	size_t sent = received_by_server(server);
	size_t received = received_by_client(server);
	printf("TLS 1.%d, %-20s asks by%s%s%s; get_max_size %zu; sends %zu, receives %zu\n", limit->version, limit->name,
	       asks_new ? " record_size_limit" : "", asks_new && asks_old ? " and" : "", asks_old ? " max_fragment_length" : "",
	       told, sent, received);
	return asks_new && asks_old == limit->old_extension && told == limit->told && sent == limit->sent &&
	       received == limit->received;
}

int main(void)
{
	static const struct limit limits[] = {
		{"max_size 1024:", 3, false, 1024, true, 1024, 1024, 1024},
		{"max_size 1000:", 3, false, 1000, false, MESSAGE, 1000, MESSAGE},
		{"max_recv_size 1024:", 3, true, 1024, false, MESSAGE, MESSAGE, MESSAGE},
		{"max_size 1024:", 2, false, 1024, true, 1024, 1024, 1024},
		{"max_size 1000:", 2, false, 1000, false, MESSAGE, 1000, MESSAGE},
		{"max_recv_size 1024:", 2, true, 1024, false, MESSAGE, MESSAGE, MESSAGE},
	};
	bool holds = true;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		holds = show(&limits[i]) && holds;
	if (holds)
		return 0;
	fputs("the behaviour has changed\n", stderr);
	return 1;
}
C
cc -I"$dir/root/usr/include" -I"$libraries/../../include/$(basename "$libraries")" -o "$dir/show" "$dir/show.c" \
	-L"$libraries" -lssl -lcrypto -l:libgnutls.so.30 -Wl,-rpath-link,"$libraries" || exit 2
LD_LIBRARY_PATH="$libraries" timeout 60 "$dir/show" || exit $?
echo "holds: GnuTLS 3.7.9 limits to 1000 bytes only what it sends to OpenSSL 3.0.22"
