/* One connection of the HTTP server. It receives a request, has it served and sends the answer, then handles the next
 * request, so pipelined requests are answered in order. It never blocks on its socket, and never reads further ahead
 * than its input buffer. Owned by the server's thread.
 *
 *	FREE -> HANDSHAKE or HEAD;  HANDSHAKE -> HEAD or LINGER;  HEAD -> BODY -> ANSWER -> HEAD, LINGER or FREE;
 *	LINGER -> FREE;  any -> FREE when the connection breaks
 *
 * LINGER: the last answer is sent, but the client may still be sending. Its bytes are read and dropped for a while,
 * because closing a socket with unread bytes resets the connection and may destroy the answer.
 *
 * Over TLS it begins with the handshake (admin/http/handshake.h), which has its part of the same time, and whose input
 * lies where requests will. */
#ifndef ADMIN_HTTP_CONNECTION_H
#define ADMIN_HTTP_CONNECTION_H

#include "admin/http/exchange.h"
#include "admin/http/handshake.h"
#include "http/body.h"

/* Leaves room to receive a body after a head of the largest size. */
#define HTTP_INPUT_BYTES (HTTP_HEAD_BYTES_MAX + ((size_t)16 << 10))
/* Limit for the bodies of all connections together: sixteen of the largest size. */
#define HTTP_BODIES_BYTES_MAX ((size_t)64 << 20)
/* Limit for the bytes that are dropped after an answer. */
#define HTTP_LINGER_BYTES_MAX ((size_t)8 << 20)

enum http_connection_state {
	HTTP_CONNECTION_FREE,
	HTTP_CONNECTION_HANDSHAKE,
	HTTP_CONNECTION_HEAD,
	HTTP_CONNECTION_BODY,
	HTTP_CONNECTION_ANSWER,
	HTTP_CONNECTION_LINGER,
};

struct http_connection {
	struct stream stream; /* STREAM_NONE: free */
	enum http_connection_state state;
	struct http_handshake handshake;
	bool may_read;     /* false after EAGAIN, until an event */
	bool may_write;    /* likewise */
	bool peer_done;    /* the client has closed its sending side, or the connection is broken */
	bool ends;         /* the connection ends after this answer */
	bool lingers;      /* then the state is LINGER: the client may still be sending */
	bool broken;       /* sending failed */
	bool began;        /* the service has seen this exchange, so end() is due */
	uint64_t since_ms; /* when it was accepted, or when its last answer was sent */
	struct http_scan scan;
	size_t input_bytes;
	size_t used;    /* bytes of the input that belong to the head or were consumed */
	uint8_t *input; /* HTTP_INPUT_BYTES; pages are touched only as needed */
	uint8_t *body;
	size_t body_bytes;
	size_t body_capacity;
	size_t lingered; /* bytes dropped */
	size_t sent;     /* bytes of the response that were sent */
	size_t out_bytes;
	char out[HTTP_RESPONSE_HEAD_BYTES_MAX];
	struct http_body decoder;
	struct http_exchange exchange;
	struct http_head head;
};

/* What all connections of a server share. */
struct http_connections {
	const struct http_service *service;
	struct streams streams;
	struct tls_streams tls;      /* where it has TLS */
	struct tls_context *context; /* for connections that begin now; NULL: without TLS */
	size_t body_bytes;           /* allocated for bodies */
};

/* The connection is zero at first. Takes over a socket. Returns false, with the socket closed, if memory is short. */
bool http_connection_open(const struct http_connections *all, struct http_connection *connection, int fd,
			  uint64_t now_ms);
void http_connection_close(struct http_connections *all, struct http_connection *connection);
/* Does a bounded piece of work: one read, or one request, or sending until the socket's buffer is full. Returns true if
 * there is more to do without waiting for an event. The connection may be free afterwards. */
bool http_connection_step(struct http_connections *all, struct http_connection *connection, uint64_t now_ms);

#endif
