/* One HTTP request at a time, by libcurl. One thread. */
#ifndef CTL_HTTP_CLIENT_H
#define CTL_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct http_client {
	const char *url;   /* "http://host:port" */
	const char *token; /* NULL: none */
};

struct http_answer {
	long status;
	char *text; /* ends with a null character; the caller frees it */
	size_t bytes;
};

/* body: JSON, or NULL. False: there was no answer; why was written to stderr. */
bool http_client_ask(const struct http_client *client, const char *method, const char *path, const char *body,
		     struct http_answer *answer);

/* Percent-encoded, on the heap. NULL: no memory. */
char *http_client_escape(const char *text);

#endif
