/* One request and its answer, as the HTTP server and what is served by it see them; and what the server asks of that.
 * Owned by the server, used by its thread alone, from the end of the request's head to the end of its answer. */
#ifndef ADMIN_HTTP_EXCHANGE_H
#define ADMIN_HTTP_EXCHANGE_H

#include "http/head.h"
#include "http/response.h"

struct http_answer {
	enum http_status status;
	char fields[HTTP_RESPONSE_FIELDS_BYTES_MAX]; /* whole lines */
	const char *body;
	size_t body_bytes;
	char *owned; /* body, where the server is to free it after it is sent */
};

struct http_exchange {
	const struct http_head *head; /* NULL: it could not be read */
	struct slice body;            /* whole when serve() is called */
	struct http_answer answer;
	void *state; /* of the service, for this exchange */
};

/* What is served. All of it is called by the server's thread and may take its time: other connections wait meanwhile.
 */
struct http_service {
	void *context;
	size_t body_bytes_max;
	/* The head is there. True: the body is wanted, if there is one, and serve() follows when it is whole. False: it
	 * was answered, and the body, if there is one, is not waited for. */
	bool (*begin)(void *context, struct http_exchange *exchange);
	void (*serve)(void *context, struct http_exchange *exchange);
	/* Answers a request that the server refuses by itself. begin() may have been called for it. */
	void (*refuse)(void *context, struct http_exchange *exchange, enum http_status status, const char *why);
	/* The last call for each exchange for which begin() or refuse() was called. Frees what is in state. */
	void (*end)(void *context, struct http_exchange *exchange);
};

#endif
