/* TLS to a server, for a thread that may block: the client's side of a handshake on a socket that is connected. A few
 * KB of stack; one thread. */
#ifndef TRANSPORT_TLS_CONNECT_H
#define TRANSPORT_TLS_CONNECT_H

#include "tls/context.h"
#include "transport/stream_tls.h"

/* What goes with the connection. */
struct tls_connect {
	struct tls_context *context;     /* a client's */
	const char *name;                /* that the server is asked for, and that its certificate is to have */
	const struct tls_ticket *ticket; /* of an earlier connection; NULL: none */
	uint32_t timeout_ms;             /* of the whole handshake */
};

/* What came of it. */
struct tls_connected {
	struct tls_ticket *ticket; /* the caller's, where the context keeps tickets and the server has sent one */
	bool resumed;
};

/* A stream over the connected socket fd, which it takes over; streams have the kind STREAM_TLS. Where the context keeps
 * tickets and connected is not NULL, waits for the server's, of a session that is not resumed. STREAM_NONE: *error says
 * what failed and fault how, in a sentence; fd is the caller's still. */
struct stream tls_connect(struct streams *streams, int fd, const struct tls_connect *connect,
			  struct tls_connected *connected, enum error *error, char fault[TLS_FAULT_BYTES_MAX]);

/* What is wrong with a stream of which receive() has failed with errno, as a sentence: what the server's alert said,
 * say. Static, or strerror()'s. */
const char *tls_stream_fault(const struct streams *streams, struct stream stream, int number);

#endif
