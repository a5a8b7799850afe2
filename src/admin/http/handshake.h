/* The TLS handshake of a connection, before its first request. Server's thread. */
#ifndef ADMIN_HTTP_HANDSHAKE_H
#define ADMIN_HTTP_HANDSHAKE_H

#include "base/error.h"
#include "tls/handshake.h"
#include "transport/stream_tls.h"

/* No more is read at a time. What is left of it is for the session, which takes 64 KiB. */
#define HTTP_HANDSHAKE_INPUT_BYTES TLS_HANDSHAKE_INPUT_BYTES_MAX
_Static_assert(HTTP_HANDSHAKE_INPUT_BYTES <= 65536, "a session can begin with all of it");

struct http_handshake {
	struct tls_handshake *tls; /* NULL: none is under way */
	enum error outcome;        /* of its last step */
	size_t sent;               /* of that step's output */
	size_t input_bytes;
};

enum http_handshake_result {
	HTTP_HANDSHAKE_GOES_ON, /* there is more to do without waiting for an event */
	HTTP_HANDSHAKE_WAITS,
	HTTP_HANDSHAKE_DONE,    /* *stream is over TLS */
	HTTP_HANDSHAKE_REFUSED, /* by `outcome`, and the client has been told: in HTTP, where it does not speak TLS */
	HTTP_HANDSHAKE_BROKEN,  /* the connection, or there is no memory */
};

/* False: no memory. */
bool http_handshake_begin(struct http_handshake *handshake, struct tls_context *context);
void http_handshake_end(struct http_handshake *handshake);
/* One step of the handshake, 200 us of cryptography at the most, or what a step has left to send. input: of
 * HTTP_HANDSHAKE_INPUT_BYTES, the same each time. */
enum http_handshake_result http_handshake_step(struct http_handshake *handshake, struct streams *streams,
					       struct stream *stream, uint8_t *input);

#endif
