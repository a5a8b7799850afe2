/* What a handshake keeps; for tls/handshake.c and the functions that OpenSSL calls in the middle of it. */
#ifndef TLS_HANDSHAKE_STATE_H
#define TLS_HANDSHAKE_STATE_H

#include "tls/context_state.h"
#include "tls/peer/failure.h"
#include "tls/session.h"

struct tls_handshake {
	struct tls_context *context;
	SSL *ssl;             /* NULL: no whole record has come */
	char *name;           /* a client's: whom it asks for; NULL: none */
	SSL_SESSION *session; /* a client's: that it would resume; NULL: none */
	enum error outcome;   /* ERROR_MORE: it goes on */

	struct slice input; /* of this step, what OpenSSL has not taken yet */
	size_t taken_bytes; /* of all steps */

	uint8_t *output;
	size_t output_bytes, output_room;
	bool output_refused; /* no memory, or more than it may be */

	/* TLS 1.3: what the keylog tells, and how many records were written with the key that comes of ours. */
	uint8_t secrets[TLS_DIRECTIONS][TLS_SECRET_BYTES_MAX]; /* the server's in [TLS_WRITE], at a client too */
	size_t secret_bytes[TLS_DIRECTIONS];
	uint64_t sealed_records;

	uint8_t alert; /* fatal, of the peer; 0: none */
	bool alerted;
	bool no_name; /* the client's certificate has no name of the kind that is wanted */
	bool ticket_came;
	struct tls_ticket *ticket;

	char *identity; /* NULL: none */
	char *subject;
	char *issuer; /* only where the peer's certificate is refused */
	char fault[TLS_FAILURE_BYTES_MAX];
};

struct tls_ticket {
	size_t size;
	uint8_t der[]; /* SSL_SESSION */
};

#endif
