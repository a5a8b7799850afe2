/* A request with its answer, and the callbacks through which the HTTP server has requests served. The server owns an
 * exchange from the end of the request's head until its answer is sent. Server's thread only. */
#ifndef ADMIN_HTTP_EXCHANGE_H
#define ADMIN_HTTP_EXCHANGE_H

#include "base/error.h"
#include "http/head.h"
#include "http/response.h"

struct http_answer {
	enum http_status status;
	char fields[HTTP_RESPONSE_FIELDS_BYTES_MAX]; /* whole lines */
	const char *body;
	size_t body_bytes;
	char *owned; /* the body, if the server has to free it after sending */
};

struct http_exchange {
	const struct http_head *head; /* NULL if it could not be parsed */
	struct slice body;            /* complete when serve() is called */
	struct http_answer answer;
	void *state; /* the service's, for this exchange */
};

/* What is served. All of it is called by the server's thread and may take its time: other connections wait meanwhile.
 */
struct http_service {
	void *context;
	size_t body_bytes_max;
	/* Called with a complete head. Returns true to have serve() called once the body is complete too, or false if
	 * it has answered; a body is then not waited for. */
	bool (*begin)(void *context, struct http_exchange *exchange);
	void (*serve)(void *context, struct http_exchange *exchange);
	/* Answers a request that the server itself refuses. begin() may have been called for it. */
	void (*refuse)(void *context, struct http_exchange *exchange, enum http_status status, const char *why);
	/* A client came as far as this; with TLS only. peer: for the log. */
	void (*handshake_failed)(void *context, const char *peer, enum error error, const char *fault);
	/* The last call for every exchange for which begin() or refuse() was called. Frees state. */
	void (*end)(void *context, struct http_exchange *exchange);
};

#endif
