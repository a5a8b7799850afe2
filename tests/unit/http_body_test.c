/* Bodies, of a known length and in chunks, in pieces of every size; and heads of responses. */
#include "http/body.h"
#include "http/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct http_head CHUNKED = {.chunked = true};

/* Feeds text in pieces of `step` bytes; what is decoded is in out, and how much of the text was left in *left. */
static enum http_body_step read_body(const struct http_head *head, struct slice text, size_t step, char *out,
				     size_t *left)
{
	struct http_body body;
	size_t size = 0;
	enum http_body_step last = HTTP_BODY_MORE;
	http_body_begin(&body, head);
	for (size_t at = 0; last != HTTP_BODY_END && last != HTTP_BODY_MALFORMED;) {
		size_t end = at + step < text.size ? at + step : text.size;
		struct slice bytes = slice_of(text.data + at, end - at);
		struct slice piece;
		while ((last = http_body_next(&body, &bytes, &piece)) == HTTP_BODY_PIECE) {
			assert_true(piece.size != 0);
			memcpy(out + size, piece.data, piece.size);
			size += piece.size;
		}
		at = end - bytes.size;
		*left = text.size - at;
		if (last == HTTP_BODY_MORE && at == text.size)
			break;
	}
	out[size] = '\0';
	return last;
}

static void test_of_a_length(void **state)
{
	(void)state;
	char out[64];
	size_t left;
	struct http_head head = {.has_length = true, .length = 5};
	for (size_t step = 1; step < 10; step++) {
		assert_int_equal(read_body(&head, slice_string("helloGET"), step, out, &left), HTTP_BODY_END);
		assert_string_equal(out, "hello");
		assert_int_equal(left, 3);
		assert_int_equal(read_body(&head, slice_string("hell"), step, out, &left), HTTP_BODY_MORE);
	}
	head.length = 0;
	assert_int_equal(read_body(&head, slice_string("GET"), 3, out, &left), HTTP_BODY_END);
	assert_int_equal(left, 3);
}

static void test_in_chunks(void **state)
{
	(void)state;
	static const char *const GOOD[] = {
		"5\r\nhello\r\n0\r\n\r\nGET",         "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\nGET",
		"0000005\r\nhello\r\n000\r\n\r\nGET", "5;name=value\r\nhello\r\n0;x\r\n\r\nGET",
		"5 \r\nhello\r\n0\r\n\r\nGET",        "5\r\nhello\r\n0\r\nTrailer: x\r\nAnother: y\r\n\r\nGET",
	};
	char out[64];
	size_t left;
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		for (size_t step = 1; step <= strlen(GOOD[i]); step++) {
			assert_int_equal(read_body(&CHUNKED, slice_string(GOOD[i]), step, out, &left), HTTP_BODY_END);
			assert_string_equal(out, "hello");
			assert_int_equal(left, 3);
		}
		/* Cut anywhere before its end it is not whole. */
		for (size_t size = 0; size + 3 < strlen(GOOD[i]); size++)
			assert_int_equal(read_body(&CHUNKED, slice_of(GOOD[i], size), 64, out, &left), HTTP_BODY_MORE);
	}
	assert_int_equal(
		read_body(&CHUNKED, slice_string("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), 7, out, &left),
		HTTP_BODY_END);
	assert_string_equal(out, "01234567890123456789");
}

static void test_malformed_chunks(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"\r\n",         "x\r\n",      "-1\r\n",      "+1\r\n",        " 1\r\n",
		"5\nhello",     "5\r\rhello", "5\r\nhelloX", "5\r\nhello\n0", "5\r\nhello\rX",
		"12345678\r\n", "0x5\r\n",    "5,\r\n",      "5;a\x01\r\n",   "5;a\nb",
		"0\r\n\n",      "0\r\n\rX",   "0\r\nT: x\n", "0\r\nT\x7f: x", "5\r\nhello\r\n\r\n",
	};
	char out[64];
	size_t left;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		for (size_t step = 1; step < 16; step++) {
			if (read_body(&CHUNKED, slice_string(BAD[i]), step, out, &left) != HTTP_BODY_MALFORMED)
				fail_msg("%zu: %s", i, BAD[i]);
		}
	}
}

/* Many small extensions, or trailers without end, cost no more than what is allowed for all of them. */
static void test_extras_are_limited(void **state)
{
	(void)state;
	const size_t size = 4 * HTTP_CHUNK_EXTRA_BYTES_MAX;
	char *text = malloc(size + 1);
	char *out = malloc(size + 1);
	size_t left;
	assert_non_null(text);
	assert_non_null(out);
	size_t used = 0;
	while (used + 32 < size)
		used += (size_t)sprintf(text + used, "1;extension\r\nx\r\n");
	assert_int_equal(read_body(&CHUNKED, slice_of(text, used), size, out, &left), HTTP_BODY_MALFORMED);
	used = (size_t)sprintf(text, "0\r\n");
	while (used + 32 < size)
		used += (size_t)sprintf(text + used, "Trailer: x\r\n");
	assert_int_equal(read_body(&CHUNKED, slice_of(text, used), size, out, &left), HTTP_BODY_MALFORMED);
	free(text);
	free(out);
}

static void test_response_heads(void **state)
{
	(void)state;
	char head[HTTP_RESPONSE_HEAD_BYTES_MAX];
	struct http_response response = {
		.status = HTTP_OK, .fields = "A: b\r\nC: d\r\n", .body_bytes = 12, .date_s = 784111777};
	static const char WHOLE[] = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 12\r\n"
				    "A: b\r\nC: d\r\n\r\n";
	assert_int_equal(http_response_write(&response, head), strlen(WHOLE));
	assert_string_equal(head, WHOLE);
	response.close = true;
	response.status = HTTP_FIELDS_TOO_LARGE;
	http_response_write(&response, head);
	assert_non_null(strstr(head, "\r\nConnection: close\r\n"));
	assert_int_equal(strncmp(head, "HTTP/1.1 431 Request Header Fields Too Large\r\n", 46), 0);
	response.close = false;
	response.goes_on = true;
	http_response_write(&response, head);
	assert_non_null(strstr(head, "\r\nConnection: keep-alive\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_a_length),      cmocka_unit_test(test_in_chunks),
		cmocka_unit_test(test_malformed_chunks), cmocka_unit_test(test_extras_are_limited),
		cmocka_unit_test(test_response_heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
