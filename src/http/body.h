/* The body of an HTTP/1 request: of the length that the head announced, or in chunks [RFC 9112, 6 and 7.1]. Bytes in,
 * pieces out; the decoder buffers nothing. Pure; owned by the owner of the connection. */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "http/head.h"

/* Limit for all chunk extensions and trailer fields of a body, which are skipped. */
#define HTTP_CHUNK_EXTRA_BYTES_MAX 8192u
/* Limit for the digits of a chunk's size: up to 256 MB. */
#define HTTP_CHUNK_DIGITS_MAX 7u

enum http_chunk_state {
	HTTP_CHUNK_SIZE,       /* hexadecimal digits; then an extension or CR */
	HTTP_CHUNK_EXTENSION,  /* skipped up to CR */
	HTTP_CHUNK_SIZE_LF,    /* then data, or the trailer section if the size is 0 */
	HTTP_CHUNK_DATA,       /* then CR */
	HTTP_CHUNK_DATA_CR,    /* then LF */
	HTTP_CHUNK_DATA_LF,    /* then the next size */
	HTTP_CHUNK_LINE,       /* first byte of a trailer field, or the CR of the last line */
	HTTP_CHUNK_TRAILER,    /* skipped up to CR */
	HTTP_CHUNK_TRAILER_LF, /* then the next line */
	HTTP_CHUNK_LAST_LF,    /* then the end */
	HTTP_CHUNK_END,
};

struct http_body {
	bool chunked;
	enum http_chunk_state state;
	uint32_t digits; /* read of the current size */
	uint32_t extra;  /* bytes of extensions and trailer fields so far */
	uint64_t left;   /* bytes of the body or of the current chunk */
};

enum http_body_step {
	HTTP_BODY_MORE,      /* *bytes is used up and the body continues */
	HTTP_BODY_PIECE,     /* *piece, which is not empty, is the next part of the body */
	HTTP_BODY_END,       /* the body is complete; the rest of *bytes belongs to the next request */
	HTTP_BODY_MALFORMED, /* malformed, or a limit was exceeded */
};

void http_body_begin(struct http_body *body, const struct http_head *head);
/* Takes the next step, and cuts the bytes it used off the front of *bytes. */
enum http_body_step http_body_next(struct http_body *body, struct slice *bytes, struct slice *piece);

#endif
