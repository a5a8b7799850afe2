/* The head of an HTTP/1 request: request line and header fields [RFC 9112, 2 to 6]. Bytes in, slices out. Pure; any
 * thread.
 *
 * The parser accepts what the grammar allows, but nothing that two servers might interpret in different ways: request
 * smuggling exploits such differences. It refuses lines that end in LF alone, white space before a colon, folded lines,
 * control characters, more than one Host or Content-Length, and Content-Length together with Transfer-Encoding.
 *
 * It refuses requests with these statuses: 400 malformed or ambiguous, 414 the request line is too long, 417 an
 * expectation other than 100-continue, 431 too many fields or too large, 501 a transfer coding other than chunked,
 * 505 not HTTP/1. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "base/slice.h"
#include "http/status.h"

/* Limit for the whole head. A client id of 16 KB fits even if each of its bytes is escaped in the target. */
#define HTTP_HEAD_BYTES_MAX ((size_t)64 << 10)
#define HTTP_FIELDS_MAX 100u

/* Progress of the search for the end of a head. Starts as zero. */
struct http_scan {
	size_t begin; /* offset of the request line, after an empty line */
	size_t line;  /* offset of the current line */
	size_t at;    /* offset up to which bytes were examined */
};

/* Searches for the end of the head. `bytes` begins where it began in the last call and may have grown; each byte is
 * examined once. Returns HTTP_NEEDS_MORE; or HTTP_OK, with the head from scan->begin to scan->at; or the status to
 * refuse the request with. The result does not depend on how the bytes were cut. */
enum http_status http_head_scan(struct http_scan *scan, struct slice bytes);

struct http_field {
	struct slice name;
	struct slice value; /* without surrounding white space */
};

struct http_head {
	struct slice method;
	struct slice target; /* not decoded */
	uint8_t minor;       /* of version 1.x */
	bool keep_alive;     /* the connection stays open after the answer */
	bool expects_continue;
	bool chunked;
	bool has_length;
	uint64_t length; /* Content-Length; UINT64_MAX if it has more than 18 digits */
	uint32_t field_count;
	struct http_field fields[HTTP_FIELDS_MAX];
};

/* Parses a complete head, as found by http_head_scan(). Slices point into bytes. Returns HTTP_OK or the status to
 * refuse the request with. */
enum http_status http_head_parse(struct http_head *head, struct slice bytes);

/* Returns the value of the first field with this name, ignoring case; data is NULL if there is none. */
struct slice http_head_field(const struct http_head *head, const char *name);
/* Returns whether the list made up of all fields with this name (such as Connection or Upgrade) contains the token,
 * ignoring case. */
bool http_head_has_token(const struct http_head *head, const char *name, const char *token);
/* Compares two texts, ignoring case. */
bool http_text_equal(struct slice text, const char *other);

#endif
