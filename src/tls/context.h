/* What the handshakes of a listener share: certificates and keys, versions and ciphers, whom it trusts, ticket keys. An
 * immutable snapshot with a count of references: a renewed certificate is a new context, and handshakes that began with
 * the old one end with it. Made from bytes; whoever makes it reads the files. Any thread. */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include "base/error.h"
#include "base/slice.h"
#include "tls/certificate/document.h"
#include "tls/certificate/fact_list.h"
#include "tls/tickets.h"

#include <stdbool.h>
#include <stdint.h>

/* Pairs of certificate and key of one listener: an RSA and an ECDSA one for each of its names, say. */
#define TLS_IDENTITIES_MAX 16u

/* All that a client may send for a handshake: its hello and its certificates. A server's may be as long as
 * TLS_HANDSHAKE_OUTPUT_BYTES_MAX, which a context holds its certificates to. */
#define TLS_HANDSHAKE_CLIENT_BYTES_MAX 32768u
#define TLS_HANDSHAKE_OUTPUT_BYTES_MAX 65536u

enum tls_client_certificates { TLS_CLIENTS_NONE, TLS_CLIENTS_OPTIONAL, TLS_CLIENTS_REQUIRED };
/* Which name of a client's certificate is the client's: the last CN of its subject, or the first subjectAltName of that
 * kind. A certificate without one is refused, ERROR_TLS_CERTIFICATE_NAME, also where certificates are optional. NONE:
 * it only lets the client in. */
enum tls_identity_from {
	TLS_IDENTITY_NONE,
	TLS_IDENTITY_CN,
	TLS_IDENTITY_DNS,
	TLS_IDENTITY_EMAIL,
	TLS_IDENTITY_URI,
};

struct tls_server_options {
	/* A client that names one of their names (subjectAltName, else CN; *.example.com stands for one label) gets the
	 * identities that have it, of which its signature algorithms choose; any other gets the first identity, with
	 * those of the same name. At least one. */
	struct tls_identity identities[TLS_IDENTITIES_MAX];
	size_t identity_count;
	bool only_tls_1_3;
	/* OpenSSL's names with : between, all with AES-GCM or ChaCha20-Poly1305, which are all that the record layer
	 * has, and with ECDHE or DHE.
	 * TLS 1.2; NULL: Mozilla's intermediate profile. */
	const char *ciphers;
	const char *ciphersuites; /* of TLS 1.3; NULL: AES-128-GCM, AES-256-GCM, ChaCha20 */
	const char *alpn; /* accepted: "mqtt" or "http/1.1"; a client that offers none of it is refused, one that
			   * offers nothing is let in */
	enum tls_client_certificates clients;
	struct tls_document client_ca;  /* pem.size 0: none */
	struct tls_document client_crl; /* likewise */
	enum tls_identity_from identity_from;
	struct tls_tickets *tickets; /* borrowed, and outlives the context; NULL: nobody resumes */
};

struct tls_client_options {
	struct tls_document ca;       /* pem.size 0: the system's, where check is set */
	struct tls_identity identity; /* the client's own; pem.size 0: none */
	const char *alpn;             /* NULL: none */
	const char *ciphers;          /* as a server's; NULL: the same defaults */
	const char *ciphersuites;
	bool only_tls_1_2; /* TLS 1.3 is offered as well otherwise */
	bool check;        /* the server's certificate and name */
	bool keeps_tickets;
};

struct tls_context;

/* NULL: fault says in a sentence which file is wrong, and how. A certificate that has
 * expired, or is not valid yet, is none: a server that starts and says so (tls_certificate_facts) is better than none.
 */
struct tls_context *tls_context_new_server(const struct tls_server_options *options, char fault[TLS_FAULT_BYTES_MAX]);
struct tls_context *tls_context_new_client(const struct tls_client_options *options, char fault[TLS_FAULT_BYTES_MAX]);
struct tls_context *tls_context_get(struct tls_context *context);
void tls_context_put(struct tls_context **context); /* may point to NULL */

/* What it has, for logs, metrics and the API. False: there is no such number. */
bool tls_context_certificate(const struct tls_context *context, size_t number, struct tls_certificate_facts *facts);
/* When the first of its certificates ends, and which file has it; CRLs do not count. 0: it has none. */
int64_t tls_context_expires_s(const struct tls_context *context, const char **path);

#endif
