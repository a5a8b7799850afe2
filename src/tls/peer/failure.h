/* Why OpenSSL ended a handshake, as one of our errors and a few words. Any thread. */
#ifndef TLS_PEER_FAILURE_H
#define TLS_PEER_FAILURE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define TLS_FAILURE_BYTES_MAX 640u

/* What is known beside OpenSSL's queue of errors. */
struct tls_failure {
	bool no_memory;      /* for what was to be written */
	bool alerted;        /* the peer sent a fatal alert */
	uint8_t alert;       /* which [RFC 8446, 6.2] */
	bool no_name;        /* its certificate has no name of the kind that is wanted */
	long verify_result;  /* X509_V_ERR_* */
	const char *subject; /* of the peer's certificate, and of who issued it; NULL: it has shown none */
	const char *issuer;
	const char *host; /* that its certificate should have been for; NULL: any */
};

/* Takes what the thread's queue of errors has, and leaves that empty. */
enum error tls_failure_explain(const struct tls_failure *failure, char words[TLS_FAILURE_BYTES_MAX]);

#endif
