/* Certificates for development and tests: a CA of its own, a certificate for a server that it signs, and one for a
 * client. Not for the open internet: nobody else trusts the CA. Pure: keys from OpenSSL's random numbers, the time
 * comes in. Takes some milliseconds, with RSA up to a second. Any thread. */
#ifndef TLS_CERTIFICATE_DEVELOPMENT_H
#define TLS_CERTIFICATE_DEVELOPMENT_H

#include "tls/certificate/document.h"

#define TLS_DEVELOPMENT_NAMES_MAX 32u
/* Chrome and Apple's systems refuse a server's certificate that is valid for longer. */
#define TLS_DEVELOPMENT_DAYS_MAX 825u

struct tls_development_options {
	/* The server's: DNS names, *.example.com, IPv4 and IPv6 addresses. None: no certificate for a server. */
	const char *const *names;
	size_t name_count;
	const char *client; /* CN of a certificate for a client; NULL: none */
	bool rsa;           /* 2048 bits, instead of ECDSA P-256 */
	int64_t begins_s;   /* seconds since 1970 */
	uint32_t days;
};

enum tls_development_file {
	TLS_DEVELOPMENT_CA,
	TLS_DEVELOPMENT_CA_KEY,
	TLS_DEVELOPMENT_SERVER, /* the certificate, then the CA's */
	TLS_DEVELOPMENT_SERVER_KEY,
	TLS_DEVELOPMENT_CLIENT,
	TLS_DEVELOPMENT_CLIENT_KEY,
	TLS_DEVELOPMENT_FILES,
};

/* PEM, each in memory of its own; size 0: not made. */
struct tls_development {
	struct slice pem[TLS_DEVELOPMENT_FILES];
	char fingerprint[96]; /* SHA-256 of the server's certificate, "AB:CD:..." */
};

/* False: fault says why, and there is nothing to free. ca: CA and its key of an earlier call, to sign with them; NULL:
 * a new CA. */
bool tls_development_make(const struct tls_development_options *options, const struct tls_development *ca,
			  struct tls_development *made, char fault[TLS_FAULT_BYTES_MAX]);
/* Wipes the keys. */
void tls_development_fini(struct tls_development *made);

/* For a listener that has no certificate: localhost, 127.0.0.1, ::1 and this host's name (NULL: none), valid from
 * wall_s for a year. */
bool tls_development_identity(const char *host, int64_t wall_s, struct tls_development *made,
			      char fault[TLS_FAULT_BYTES_MAX]);

#endif
