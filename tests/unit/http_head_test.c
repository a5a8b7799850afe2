/* Heads of requests: what is accepted, what is refused with which status, and that it makes no difference in which
 * pieces they come. */
#include "http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct http_head head;

/* Scans bytes that come one by one, and parses what was found. */
static enum http_status read_head(struct slice bytes)
{
	struct http_scan scan = {0};
	enum http_status status = HTTP_NEEDS_MORE;
	for (size_t size = 0; size <= bytes.size && status == HTTP_NEEDS_MORE; size++)
		status = http_head_scan(&scan, slice_of(bytes.data, size));
	struct http_scan at_once = {0};
	assert_int_equal(http_head_scan(&at_once, bytes), status);
	if (status != HTTP_OK)
		return status;
	assert_int_equal(at_once.at, scan.at);
	return http_head_parse(&head, slice_of(bytes.data + scan.begin, scan.at - scan.begin));
}

static enum http_status read_text(const char *text)
{
	return read_head(slice_string(text));
}

#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST

static void test_accepted(void **state)
{
	(void)state;
	assert_int_equal(
		read_text("DELETE /a?b=%20 HTTP/1.1\r\nhOST: a.example:80\r\nX-Y:  \t v w \t\r\nEmpty:\r\n\r\nrest"),
		200);
	assert_true(slice_equal(head.method, slice_string("DELETE")));
	assert_true(slice_equal(head.target, slice_string("/a?b=%20")));
	assert_int_equal(head.minor, 1);
	assert_int_equal(head.field_count, 3);
	assert_true(slice_equal(http_head_field(&head, "host"), slice_string("a.example:80")));
	assert_true(slice_equal(http_head_field(&head, "x-y"), slice_string("v w")));
	assert_int_equal(http_head_field(&head, "empty").size, 0);
	assert_non_null(http_head_field(&head, "empty").data);
	assert_null(http_head_field(&head, "missing").data);
	assert_true(head.keep_alive && !head.has_length && !head.chunked && !head.expects_continue);
	static const char *const GOOD[] = {
		GET HOST "\r\n",
		"\r\n" GET HOST "\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.7\r\n" HOST "\r\n",
		"M-SEARCH * HTTP/1.1\r\n" HOST "\r\n",
		GET "Host:\r\n\r\n",
		GET "Host: [::1]:9883\r\n\r\n",
		GET HOST "X: \xc3\xa4\r\n\r\n",
		POST "Content-Length: 0\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++)
		assert_int_equal(read_text(GOOD[i]), HTTP_OK);
}

static const struct {
	enum http_status status;
	const char *text;
} BAD[] = {
	/* lines */
	{400, "GET / HTTP/1.1\n" HOST "\r\n"},
	{400, GET "Host: a\n\r\n"},
	{400, GET HOST "\n"},
	{400, GET "Host: a\rX: b\r\n\r\n"},
	{400, "\r\n\r\n" GET HOST "\r\n"},
	{400, GET HOST " folded: x\r\n\r\n"},
	{400, GET HOST "X: a\r\n\tb\r\n\r\n"},
	/* request lines */
	{400, "GET\r\n\r\n"},
	{400, "GET /\r\n\r\n"},
	{400, "GET  / HTTP/1.1\r\n" HOST "\r\n"},
	{400, "GET / x HTTP/1.1\r\n" HOST "\r\n"},
	{400, "GET / HTTP/1.1 \r\n" HOST "\r\n"},
	{400, "G(T / HTTP/1.1\r\n" HOST "\r\n"},
	{400, "GET /\x01 HTTP/1.1\r\n" HOST "\r\n"},
	{400, "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"},
	{400, "GET / http/1.1\r\n" HOST "\r\n"},
	{400, "GET / HTTP/1.10\r\n" HOST "\r\n"},
	{400, "GET / HTTP/1,1\r\n" HOST "\r\n"},
	{505, "GET / HTTP/2.0\r\n" HOST "\r\n"},
	{505, "GET / HTTP/0.9\r\n" HOST "\r\n"},
	{400, " GET / HTTP/1.1\r\n" HOST "\r\n"},
	/* other protocols, which are told by their first byte */
	{400, "\x10\x0c"},
	{400, "\x16\x03\x01"},
	/* fields */
	{400, GET HOST "X : a\r\n\r\n"},
	{400, GET HOST "X\t: a\r\n\r\n"},
	{400, GET HOST ": a\r\n\r\n"},
	{400, GET HOST "no colon\r\n\r\n"},
	{400, GET HOST "X: a\x01\r\n\r\n"},
	{400, GET HOST "X: a\x7f\r\n\r\n"},
	{400, GET HOST "X(: a\r\n\r\n"},
	/* Host */
	{400, GET "\r\n"},
	{400, GET HOST HOST "\r\n"},
	{400, GET "Host: a b\r\n\r\n"},
	{400, GET "Host: user@a\r\n\r\n"},
	{400, GET "Host: a/b\r\n\r\n"},
	/* where a body ends */
	{400, POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
	{400, POST "Content-Length: 1, 1\r\n\r\n"},
	{400, POST "Content-Length:\r\n\r\n"},
	{400, POST "Content-Length: +1\r\n\r\n"},
	{400, POST "Content-Length: -1\r\n\r\n"},
	{400, POST "Content-Length: 0x10\r\n\r\n"},
	{400, POST "Content-Length: 1 1\r\n\r\n"},
	{400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
	{400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"},
	{400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
	{400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
	{501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n"},
	{501, POST "Transfer-Encoding: chunked, identity\r\n\r\n"},
	{501, POST "Transfer-Encoding: identity\r\n\r\n"},
	{501, POST "Transfer-Encoding:\r\n\r\n"},
	{501, POST "Transfer-Encoding: \"chunked\"\r\n\r\n"},
	/* expectations */
	{417, POST "Expect: 200-ok\r\n\r\n"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		if (read_text(BAD[i].text) != BAD[i].status)
			fail_msg("%s: not %d", BAD[i].text, (int)BAD[i].status);
	}
	assert_int_equal(read_head(slice_of(GET HOST "X: \0\r\n\r\n", sizeof(GET HOST "X: \0\r\n\r\n") - 1)), 400);
}

static void test_lengths(void **state)
{
	(void)state;
	assert_int_equal(read_text(POST "Content-Length: 00123\r\n\r\n"), HTTP_OK);
	assert_true(head.has_length && head.length == 123);
	assert_int_equal(read_text(POST "Content-Length: 999999999999999999\r\n\r\n"), HTTP_OK);
	assert_true(head.length == UINT64_C(999999999999999999));
	assert_int_equal(read_text(POST "Content-Length: 18446744073709551617\r\n\r\n"), HTTP_OK);
	assert_true(head.length == UINT64_MAX);
	assert_int_equal(read_text(POST "Transfer-Encoding: Chunked\r\n\r\n"), HTTP_OK);
	assert_true(head.chunked && !head.has_length && head.length == 0);
}

static void test_what_the_connection_is_for(void **state)
{
	(void)state;
	assert_int_equal(read_text(GET HOST "Connection: x, Close\r\n\r\n"), HTTP_OK);
	assert_false(head.keep_alive);
	assert_int_equal(read_text(GET HOST "Connection: closed\r\n\r\n"), HTTP_OK);
	assert_true(head.keep_alive);
	assert_int_equal(read_text("GET / HTTP/1.0\r\n\r\n"), HTTP_OK);
	assert_false(head.keep_alive);
	assert_int_equal(read_text("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), HTTP_OK);
	assert_true(head.keep_alive);
	assert_int_equal(
		read_text(GET HOST "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: h2c, WebSocket\r\n\r\n"),
		HTTP_OK);
	assert_true(http_head_has_token(&head, "connection", "upgrade"));
	assert_true(http_head_has_token(&head, "upgrade", "websocket"));
	assert_false(http_head_has_token(&head, "upgrade", "h2"));
	assert_int_equal(read_text(POST "Expect: 100-Continue\r\n\r\n"), HTTP_OK);
	assert_true(head.expects_continue);
	assert_int_equal(read_text("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), HTTP_OK);
	assert_false(head.expects_continue);
}

/* What is too large is refused as soon as it is, not when it ends. */
static void test_too_large(void **state)
{
	(void)state;
	size_t size = HTTP_HEAD_BYTES_MAX + 100;
	char *bytes = malloc(size);
	struct http_scan scan = {0};
	assert_non_null(bytes);
	memset(bytes, 'a', size);
	assert_int_equal(http_head_scan(&scan, slice_of(bytes, HTTP_HEAD_BYTES_MAX - 1)), HTTP_NEEDS_MORE);
	assert_int_equal(http_head_scan(&scan, slice_of(bytes, HTTP_HEAD_BYTES_MAX)), HTTP_URI_TOO_LONG);
	/* The line ends, but too late; it makes no difference that it came at once. */
	memcpy(bytes + size - 4, "\r\n\r\n", 4);
	scan = (struct http_scan){0};
	assert_int_equal(http_head_scan(&scan, slice_of(bytes, size)), HTTP_URI_TOO_LONG);
	memcpy(bytes, GET, sizeof(GET) - 1);
	scan = (struct http_scan){0};
	assert_int_equal(http_head_scan(&scan, slice_of(bytes, HTTP_HEAD_BYTES_MAX)), HTTP_FIELDS_TOO_LARGE);
	/* The end is there, but too late. */
	memcpy(bytes + HTTP_HEAD_BYTES_MAX - 2, "\r\n\r\n", 4);
	scan = (struct http_scan){0};
	assert_int_equal(http_head_scan(&scan, slice_of(bytes, size)), HTTP_FIELDS_TOO_LARGE);
	free(bytes);
}

static void test_too_many_fields(void **state)
{
	(void)state;
	for (uint32_t more = 0; more < 2; more++) {
		static const char FIELD[] = "X: y\r\n";
		char text[2048] = GET HOST;
		size_t size = strlen(text);
		for (uint32_t i = 1; i < HTTP_FIELDS_MAX + more; i++, size += sizeof(FIELD) - 1)
			memcpy(text + size, FIELD, sizeof(FIELD));
		memcpy(text + size, "\r\n", 3);
		assert_int_equal(read_text(text), more != 0 ? HTTP_FIELDS_TOO_LARGE : HTTP_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lengths),   cmocka_unit_test(test_what_the_connection_is_for),
		cmocka_unit_test(test_too_large), cmocka_unit_test(test_too_many_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
