/* What OpenSSL calls in the middle of a handshake. Each function has a context's handshakes call some of them. An SSL
 * object knows its handshake as its app data. */
#ifndef TLS_HANDSHAKE_HOOKS_H
#define TLS_HANDSHAKE_HOOKS_H

#include <openssl/ssl.h>

#include <stdbool.h>

struct tls_handshake;

/* How bytes go in and out: BIO_meth_free() ends it. NULL: no memory. */
BIO_METHOD *tls_hook_bio_method(void);
/* The object's bytes are the handshake's. False: no memory. */
bool tls_hook_bio(BIO_METHOD *method, SSL *ssl, struct tls_handshake *handshake);

/* Traffic secrets, records that were sealed, alerts, tickets. */
void tls_hook_records(SSL_CTX *ssl);
/* A server's: the identity for a name, and ALPN. */
void tls_hook_hello(SSL_CTX *ssl);
/* A server's: ticket keys, and whose ticket is no longer good. */
void tls_hook_tickets(SSL_CTX *ssl);
/* The peer's certificate: asked for, and checked. A server's clients may do without one, unless it is required. */
void tls_hook_certificates(SSL_CTX *ssl, bool required);
/* A client's: keep what resumes. */
void tls_hook_new_sessions(SSL_CTX *ssl);
/* Keeps this one. Without memory for it there is no ticket. */
void tls_hook_keep(struct tls_handshake *handshake, SSL_SESSION *session);

#endif
