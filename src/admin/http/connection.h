/* One connection of the HTTP server: a request is read, served and answered, then the next one, in the order in which
 *they came. It never blocks on its socket and never reads ahead of an answer by more than its buffer. Owned by the
 *server's thread.
 *
 *	FREE -> HEAD -> BODY -> ANSWER -> HEAD, LINGER or FREE;  LINGER -> FREE;  each -> FREE where the connection
 *breaks
 *
 * LINGER: the answer is sent and the connection ends, but the client may be sending still. What it sends is read and
 * dropped for a while, because closing a socket with bytes unread resets the connection, and the answer would be lost.
 */
#ifndef ADMIN_HTTP_CONNECTION_H
#define ADMIN_HTTP_CONNECTION_H

#include "admin/http/exchange.h"
#include "http/body.h"

/* Behind a head of the largest size there is still room to read the body through. */
#define HTTP_INPUT_BYTES (HTTP_HEAD_BYTES_MAX + ((size_t)16 << 10))
/* Bodies of all connections together: a few of the largest, or one on each connection of a common size. */
#define HTTP_BODIES_BYTES_MAX ((size_t)64 << 20)
/* Bytes that are dropped after an answer, at most. */
#define HTTP_LINGER_BYTES_MAX ((size_t)8 << 20)

enum http_connection_state {
	HTTP_CONNECTION_FREE,
	HTTP_CONNECTION_HEAD,
	HTTP_CONNECTION_BODY,
	HTTP_CONNECTION_ANSWER,
	HTTP_CONNECTION_LINGER,
};

struct http_connection {
	int fd; /* -1: free */
	enum http_connection_state state;
	bool may_read;     /* the kernel may have more; false: it said that there is nothing */
	bool may_write;    /* likewise */
	bool peer_done;    /* it has closed its sending side */
	bool ends;         /* after the answer */
	bool lingers;      /* after that: the client may be sending still */
	bool broken;       /* nothing more can be sent */
	bool began;        /* the service knows of the exchange */
	uint64_t since_ms; /* when it was accepted, or when its last answer was sent */
	struct http_scan scan;
	size_t input_bytes;
	size_t used;    /* of the input: what lies before is head, or parsed */
	uint8_t *input; /* HTTP_INPUT_BYTES, which are touched as they are needed */
	uint8_t *body;
	size_t body_bytes;
	size_t body_capacity;
	size_t lingered; /* bytes dropped */
	size_t sent;     /* of head and body of the answer */
	size_t out_bytes;
	char out[HTTP_RESPONSE_HEAD_BYTES_MAX];
	struct http_body decoder;
	struct http_exchange exchange;
	struct http_head head;
};

/* What all connections of a server share. */
struct http_connections {
	const struct http_service *service;
	size_t body_bytes; /* that the bodies take */
};

/* Takes the socket, which does not block. False: no memory, and the socket is closed. */
bool http_connection_open(struct http_connection *connection, int fd, uint64_t now_ms);
void http_connection_close(struct http_connections *all, struct http_connection *connection);
/* Does a bounded piece of work: reads once, serves one request at most, writes what the kernel takes. True: there is
 * more to do that no event will tell of. The connection may be free afterwards. */
bool http_connection_step(struct http_connections *all, struct http_connection *connection, uint64_t now_ms);

#endif
