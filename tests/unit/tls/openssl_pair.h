/* Two ends of TLS, both OpenSSL's, in memory: they shake hands, then one of them is freed and a session of ours takes
 * its place. So what the record layer writes and reads is checked against OpenSSL. */
#ifndef UNIT_TLS_OPENSSL_PAIR_H
#define UNIT_TLS_OPENSSL_PAIR_H

#include "tls/ciphers.h"
#include "tls/session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* Every suite of both versions. */
struct suite_case {
	const char *name; /* OpenSSL's */
	uint16_t cipher;
	int version; /* TLS1_2_VERSION */
};
#define SUITE_CASES 6u
extern const struct suite_case SUITES[SUITE_CASES];

struct openssl_peer {
	SSL *ssl; /* memory BIOs: openssl_give() and openssl_take() */
};

/* Shakes hands. The session is that of the end which went: the server's if is_server. tickets: that the server sends
 * (TLS 1.3). What a server in the other end has sent behind its Finished waits in its output. */
void openssl_pair(struct tls_ciphers *ciphers, const struct suite_case *suite, bool is_server, unsigned tickets,
		  struct openssl_peer *peer, struct tls_session *session);
void openssl_free(struct openssl_peer *peer);

/* Bytes for the other end, and from it. */
void openssl_give(struct openssl_peer *peer, const void *bytes, size_t size);
size_t openssl_take(struct openssl_peer *peer, void *bytes, size_t size);

/* Why the last call of the peer failed: SSL_R_*. Forgets it. */
int openssl_reason(void);

#endif
