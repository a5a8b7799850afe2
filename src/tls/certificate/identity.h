/* A certificate and its key, as an OpenSSL context shows them. */
#ifndef TLS_CERTIFICATE_IDENTITY_H
#define TLS_CERTIFICATE_IDENTITY_H

#include "tls/certificate/document.h"

#include <openssl/ssl.h>

/* As it was read. */
struct identity_read {
	STACK_OF(X509) * chain; /* its own certificate first */
	EVP_PKEY *key;
};

/* False: fault says what is wrong with which file, and there is nothing to free. */
bool tls_identity_read(const struct tls_identity *identity, struct identity_read *read,
		       char fault[TLS_FAULT_BYTES_MAX]);
void tls_identity_read_fini(struct identity_read *read);
/* Has the context show it, beside those with other kinds of key, and in place of one with the same kind. */
bool tls_identity_use(SSL_CTX *ssl, const struct tls_identity *identity, const struct identity_read *read,
		      char fault[TLS_FAULT_BYTES_MAX]);

#endif
