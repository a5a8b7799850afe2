/* What is in a context; for tls/context.c and those that make and use it. */
#ifndef TLS_CONTEXT_STATE_H
#define TLS_CONTEXT_STATE_H

#include "tls/certificate/names.h"
#include "tls/context.h"

#include <openssl/ssl.h>

#include <stdatomic.h>

_Static_assert(TLS_NAMES_IDENTITIES_MAX >= TLS_IDENTITIES_MAX, "each identity has a bit in a set");

#define TLS_ALPN_BYTES_MAX 64u
/* An OpenSSL context for each set of identities that share a name. Sets come from names, of which a certificate may
 * have many; those of one certificate are mostly the same set. */
#define TLS_SETS_MAX 64u

struct tls_context {
	_Atomic uint32_t references;
	bool is_server;
	bool checks;        /* a client: the server's certificate and name */
	bool keeps_tickets; /* a client */
	bool wants_certificate;
	bool requires_certificate;
	enum tls_identity_from identity_from;
	struct tls_tickets *tickets;      /* borrowed; may be NULL */
	size_t alpn_bytes;                /* 0: none */
	uint8_t alpn[TLS_ALPN_BYTES_MAX]; /* as it is sent: a length, then the name */
	BIO_METHOD *bio;                  /* tls/handshake_hooks.h */
	struct tls_names *names;          /* a server's */
	/* sets[0] is for a client that names no host, or none that we have. All differ in certificates alone. */
	struct {
		uint16_t identities;
		SSL_CTX *ssl;
	} sets[TLS_SETS_MAX];
	size_t set_count;
	struct tls_fact_list facts;
};

/* With one reference and nothing in it but the BIO's method. NULL: no memory. */
struct tls_context *tls_context_blank(bool is_server);
/* An OpenSSL context with what is common to all; false: fault says why. It is the caller's to free. */
SSL_CTX *tls_context_ssl(struct tls_context *context, int version_min, char fault[TLS_FAULT_BYTES_MAX]);
/* True: alpn fits and is set. */
bool tls_context_set_alpn(struct tls_context *context, const char *alpn, char fault[TLS_FAULT_BYTES_MAX]);

/* The name that an identity is known by, or NULL: there is none of the kind, or it is no string of MQTT. The caller
 * frees it. */
char *tls_identity_name(enum tls_identity_from from, const X509 *certificate);

#endif
