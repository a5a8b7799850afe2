/* The head of an HTTP/1.1 response [RFC 9112, 4]. Pure; any thread. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include "http/head.h"

#define HTTP_RESPONSE_FIELDS_BYTES_MAX 1024u
/* The fields that are given, and those that each response has. */
#define HTTP_RESPONSE_HEAD_BYTES_MAX (HTTP_RESPONSE_FIELDS_BYTES_MAX + 256u)

struct http_response {
	enum http_status status;
	const char *fields; /* whole lines, each with its CR LF; nothing that came from outside */
	size_t body_bytes;
	int64_t date_s; /* seconds since 1970 */
	bool close;     /* the connection ends after it */
	bool goes_on;   /* it does not, and a client of version 1.0 is to be told so */
};

/* Returns the length of the head. */
size_t http_response_write(const struct http_response *response, char head[HTTP_RESPONSE_HEAD_BYTES_MAX]);

#endif
