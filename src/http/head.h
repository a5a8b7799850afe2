/* The head of an HTTP/1 request: request line and header fields [RFC 9112, 2 to 6]. Bytes in, slices out. Pure; any
 * thread.
 *
 * It accepts what the grammar allows and nothing that two servers might read in two ways, since that is how requests
 * are smuggled past a proxy: no line that ends in LF alone, no space before a colon, no folded line, no control
 * character, one Host and one Content-Length at most, and never Content-Length together with Transfer-Encoding.
 *
 * Statuses of what is refused: 400 malformed or ambiguous, 414 the request line does not end, 417 an expectation other
 * than 100-continue, 431 too many or too large fields, 501 a transfer coding other than chunked, 505 not HTTP/1. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "base/slice.h"
#include "http/status.h"

/* All of it. A client id of 16 KB, each byte of which is escaped in the target, has room in here. */
#define HTTP_HEAD_BYTES_MAX ((size_t)64 << 10)
#define HTTP_FIELDS_MAX 100u

/* How far the end of a head was looked for. All zero at the beginning. */
struct http_scan {
	size_t begin; /* of the request line, after empty lines */
	size_t line;  /* of the line that has not ended yet */
	size_t at;    /* looked at up to here */
};

/* Looks for the end of the head in bytes, which begin with the request and have grown since the last call; each byte is
 * looked at once. HTTP_NEEDS_MORE: it has not ended yet. HTTP_OK: the head is from scan->begin to scan->at. Otherwise:
 * the status to refuse it with. */
enum http_status http_head_scan(struct http_scan *scan, struct slice bytes);

struct http_field {
	struct slice name;
	struct slice value; /* without spaces around it */
};

struct http_head {
	struct slice method;
	struct slice target; /* as it was sent */
	uint8_t minor;       /* of the version, 1.x */
	bool keep_alive;     /* the connection goes on after the answer */
	bool expects_continue;
	bool chunked;
	bool has_length;
	uint64_t length; /* Content-Length; UINT64_MAX: more than 18 digits */
	uint32_t field_count;
	struct http_field fields[HTTP_FIELDS_MAX];
};

/* Parses a whole head; slices point into it. HTTP_OK, or the status to refuse it with. */
enum http_status http_head_parse(struct http_head *head, struct slice bytes);

/* The value of the first field of this name, which is compared without case. data NULL: there is none. */
struct slice http_head_field(const struct http_head *head, const char *name);
/* Whether the list that all fields of this name make up contains the token, compared without case: Connection, Upgrade.
 */
bool http_head_has_token(const struct http_head *head, const char *name, const char *token);
/* Whether two texts are equal but for the case of letters. */
bool http_text_equal(struct slice text, const char *other);

#endif
