#include "http/body.h"

#include "base/check.h"

_Static_assert(HTTP_CHUNK_DIGITS_MAX * 4 < 64, "the size of a chunk fits in 64 bits");

void http_body_begin(struct http_body *body, const struct http_head *head)
{
	CHECK(!(head->chunked && head->has_length)); /* http_head_parse() refuses both together */
	*body = (struct http_body){.chunked = head->chunked, .state = HTTP_CHUNK_SIZE, .left = head->length};
}

static int chunk_digit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool step_size(struct http_body *body, uint8_t byte)
{
	int digit = chunk_digit(byte);
	if (digit >= 0) {
		body->left = body->left << 4 | (uint64_t)digit;
		return ++body->digits <= HTTP_CHUNK_DIGITS_MAX;
	}
	if (body->digits == 0)
		return false;
	if (byte == '\r')
		body->state = HTTP_CHUNK_SIZE_LF;
	else
		body->state = HTTP_CHUNK_EXTENSION;
	return byte == '\r' || byte == ';' || byte == ' ' || byte == '\t';
}

/* Skips a byte of an extension or a trailer field. CR ends it. */
static bool step_extra(struct http_body *body, uint8_t byte, enum http_chunk_state at_end)
{
	if (byte == '\r') {
		body->state = at_end;
		return true;
	}
	bool is_text = (byte >= ' ' || byte == '\t') && byte != 0x7f;
	return is_text && ++body->extra <= HTTP_CHUNK_EXTRA_BYTES_MAX;
}

static bool step_line_feed(struct http_body *body, uint8_t byte, enum http_chunk_state next)
{
	body->state = next;
	return byte == '\n';
}

/* Handles one byte outside the data. Returns false if it is not allowed there. */
static bool step_byte(struct http_body *body, uint8_t byte)
{
	switch (body->state) {
	case HTTP_CHUNK_SIZE:
		return step_size(body, byte);
	case HTTP_CHUNK_EXTENSION:
		return step_extra(body, byte, HTTP_CHUNK_SIZE_LF);
	case HTTP_CHUNK_SIZE_LF:
		return step_line_feed(body, byte, body->left != 0 ? HTTP_CHUNK_DATA : HTTP_CHUNK_LINE);
	case HTTP_CHUNK_DATA_CR:
		body->state = HTTP_CHUNK_DATA_LF;
		return byte == '\r';
	case HTTP_CHUNK_DATA_LF:
		body->digits = 0;
		return step_line_feed(body, byte, HTTP_CHUNK_SIZE);
	case HTTP_CHUNK_LINE:
		body->state = HTTP_CHUNK_TRAILER;
		return step_extra(body, byte, HTTP_CHUNK_LAST_LF);
	case HTTP_CHUNK_TRAILER:
		return step_extra(body, byte, HTTP_CHUNK_TRAILER_LF);
	case HTTP_CHUNK_TRAILER_LF:
		return step_line_feed(body, byte, HTTP_CHUNK_LINE);
	case HTTP_CHUNK_LAST_LF:
		return step_line_feed(body, byte, HTTP_CHUNK_END);
	case HTTP_CHUNK_DATA:
	case HTTP_CHUNK_END:
		break;
	}
	CHECK(body->state != HTTP_CHUNK_DATA &&
	      body->state != HTTP_CHUNK_END); /* http_body_next() handles these states */
	return false;
}

static enum http_body_step take_data(struct http_body *body, struct slice *bytes, struct slice *piece)
{
	CHECK(body->left != 0);
	if (bytes->size == 0)
		return HTTP_BODY_MORE;
	size_t size = bytes->size < body->left ? bytes->size : (size_t)body->left;
	*piece = slice_of(bytes->data, size);
	*bytes = slice_of(bytes->data + size, bytes->size - size);
	body->left -= size;
	if (body->left == 0)
		body->state = HTTP_CHUNK_DATA_CR;
	return HTTP_BODY_PIECE;
}

enum http_body_step http_body_next(struct http_body *body, struct slice *bytes, struct slice *piece)
{
	*piece = slice_of(NULL, 0);
	if (!body->chunked)
		return body->left != 0 ? take_data(body, bytes, piece) : HTTP_BODY_END;
	while (body->state != HTTP_CHUNK_END && body->state != HTTP_CHUNK_DATA) {
		if (bytes->size == 0)
			return HTTP_BODY_MORE;
		uint8_t byte = bytes->data[0];
		*bytes = slice_of(bytes->data + 1, bytes->size - 1);
		if (!step_byte(body, byte))
			return HTTP_BODY_MALFORMED;
	}
	return body->state == HTTP_CHUNK_DATA ? take_data(body, bytes, piece) : HTTP_BODY_END;
}
