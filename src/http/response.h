/* The head of an HTTP/1.1 response [RFC 9112, 4]. Pure; any thread. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include "http/head.h"

#define HTTP_RESPONSE_FIELDS_BYTES_MAX 1024u
/* Room for the given fields and those of every response. */
#define HTTP_RESPONSE_HEAD_BYTES_MAX (HTTP_RESPONSE_FIELDS_BYTES_MAX + 256u)

struct http_response {
	enum http_status status;
	const char *fields; /* complete lines with CR LF; must not contain text from outside */
	size_t body_bytes;
	int64_t date_s; /* seconds since 1970 */
	bool close;     /* the connection ends after this response */
	bool goes_on;   /* it does not, and a client of version 1.0 has to be told */
};

/* Writes the head. Returns its length. */
size_t http_response_write(const struct http_response *response, char head[HTTP_RESPONSE_HEAD_BYTES_MAX]);

#endif
