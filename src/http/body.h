/* The body of an HTTP/1 request, of a length that the head told or in chunks [RFC 9112, 6 and 7.1]. Bytes in, pieces
 * out; it keeps no bytes. Pure; owned by whoever owns the connection. */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "http/head.h"

/* Chunk extensions and trailer fields, which are read and passed over: of one body, all together. */
#define HTTP_CHUNK_EXTRA_BYTES_MAX 8192u
/* Of the size of one chunk: up to 256 MB. */
#define HTTP_CHUNK_DIGITS_MAX 7u

enum http_chunk_state {
	HTTP_CHUNK_SIZE,       /* digits; then an extension or the end of the line */
	HTTP_CHUNK_EXTENSION,  /* passed over up to the end of the line */
	HTTP_CHUNK_SIZE_LF,    /* then data, or trailers where the size is 0 */
	HTTP_CHUNK_DATA,       /* then its CR */
	HTTP_CHUNK_DATA_CR,    /* then its LF */
	HTTP_CHUNK_DATA_LF,    /* then the next size */
	HTTP_CHUNK_LINE,       /* the first byte of a trailer line; a CR begins the end */
	HTTP_CHUNK_TRAILER,    /* passed over up to the end of the line */
	HTTP_CHUNK_TRAILER_LF, /* then the next line */
	HTTP_CHUNK_LAST_LF,    /* then the end */
	HTTP_CHUNK_END,
};

struct http_body {
	bool chunked;
	enum http_chunk_state state;
	uint32_t digits; /* of the size that is being read */
	uint32_t extra;  /* bytes of extensions and trailers so far */
	uint64_t left;   /* bytes of the body, or of this chunk */
};

enum http_body_step {
	HTTP_BODY_MORE,      /* *bytes are used up, and the body goes on */
	HTTP_BODY_PIECE,     /* *piece, which is not empty, is the next part of it */
	HTTP_BODY_END,       /* what is left of *bytes belongs to the next request */
	HTTP_BODY_MALFORMED, /* no chunk, or more beside the data than is allowed */
};

void http_body_begin(struct http_body *body, const struct http_head *head);
/* Takes the next step, and what it has used off the front of *bytes. */
enum http_body_step http_body_next(struct http_body *body, struct slice *bytes, struct slice *piece);

#endif
