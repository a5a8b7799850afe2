/* Requests for a WebSocket: those that are taken, what is said to the others, and that it makes no difference how they
 * are cut. */
#include "ws/upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define DATE_S 1795914000

/* [RFC 6455, 1.3] */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define LINE "GET /mqtt HTTP/1.1\r\n"
#define HOST "Host: broker.example\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: mqtt\r\n"
#define KEY_FIELD "Sec-WebSocket-Key: " KEY "\r\n"
#define ALL HOST UPGRADE VERSION KEY_FIELD PROTOCOL
#define END "\r\n"

static const char *const PATHS[] = {"/mqtt", "/"};
static const char *const ORIGINS[] = {"https://a.example", "http://localhost:8080"};
static const struct ws_rules RULES = {PATHS, 2, ORIGINS, 2};

static char response[WS_RESPONSE_BYTES_MAX + 1];
static size_t consumed;

/* At once, and with byte after byte from a block that is no longer than what came: with the same result. */
static enum error request_answer(const struct ws_rules *rules, struct slice bytes)
{
	size_t size = 0;
	enum error error = ws_upgrade_read(rules, bytes, DATE_S, &consumed, response, &size);
	response[size] = '\0';
	for (size_t part = 0; part <= bytes.size; part++) {
		char answer[WS_RESPONSE_BYTES_MAX];
		size_t answer_bytes, taken;
		uint8_t *block = malloc(part); /* NOLINT(clang-analyzer-optin.portability.UnixAPI): 0 is meant */
		memcpy(block, bytes.data, part);
		enum error so_far =
			ws_upgrade_read(rules, slice_of(block, part), DATE_S, &taken, answer, &answer_bytes);
		free(block);
		if (so_far == ERROR_MORE) {
			assert_int_equal(answer_bytes, 0);
			assert_true(part < bytes.size || error == ERROR_MORE);
			continue;
		}
		assert_int_equal(so_far, error);
		assert_int_equal(answer_bytes, size);
		assert_memory_equal(answer, response, size);
		if (error == ERROR_OK)
			assert_int_equal(taken, consumed);
		break;
	}
	return error;
}

static enum error ask(const char *text)
{
	return request_answer(&RULES, slice_string(text));
}

static void test_the_standards_own(void **state)
{
	(void)state;
	assert_int_equal(ask(LINE ALL END "\x82\x85"), ERROR_OK);
	assert_int_equal(consumed, strlen(LINE ALL END));
	assert_string_equal(response, "HTTP/1.1 101 Switching Protocols\r\n"
				      "Upgrade: websocket\r\n"
				      "Connection: Upgrade\r\n"
				      "Sec-WebSocket-Accept: " ACCEPT "\r\n"
				      "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
}

static void test_taken(void **state)
{
	(void)state;
	static const char *const TAKEN[] = {
		"\r\n" LINE ALL END,
		"GET / HTTP/1.1\r\n" ALL END,
		"GET /mqtt?token=abc HTTP/1.1\r\n" ALL END,
		"GET http://broker.example/mqtt HTTP/1.1\r\n" ALL END,
		"GET HTTPS://broker.example:443/mqtt?x=/ HTTP/1.1\r\n" ALL END,
		"GET http://broker.example HTTP/1.1\r\n" ALL END, /* is / */
		LINE HOST "UPGRADE: WebSocket\r\nconnection: keep-alive, UPGRADE\r\n" VERSION KEY_FIELD PROTOCOL END,
		LINE ALL "Origin: https://a.example\r\n" END,
		LINE ALL "origin:http://localhost:8080\r\n" END,
		LINE ALL "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" END,
		LINE ALL "Content-Length: 0\r\n" END,
		LINE ALL "Cookie: a=b\r\nCookie: c=d\r\n" END,
	};
	for (size_t i = 0; i < COUNT_OF(TAKEN); i++) {
		assert_int_equal(ask(TAKEN[i]), ERROR_OK);
		assert_int_equal(consumed, strlen(TAKEN[i]));
		assert_non_null(strstr(response, ACCEPT));
		assert_null(strstr(response, "Extensions"));
	}
}

static void test_protocols(void **state)
{
	(void)state;
	static const struct {
		const char *field, *chosen; /* NULL: refused */
	} CASES[] = {
		{"Sec-WebSocket-Protocol: mqtt\r\n", "mqtt"},
		{"Sec-WebSocket-Protocol: mqttv3.1\r\n", "mqttv3.1"},
		{"Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n", "mqtt"},
		{"Sec-WebSocket-Protocol: mqttv3.1\r\nSec-WebSocket-Protocol:\t chat ,\tmqtt \t\r\n", "mqtt"},
		{"Sec-WebSocket-Protocol: chat,,mqttv3.1\r\n", "mqttv3.1"},
		{"Sec-WebSocket-Protocol: MQTT\r\n", NULL},
		{"Sec-WebSocket-Protocol: mqttx, xmqtt\r\n", NULL},
		{"Sec-WebSocket-Protocol:\r\n", NULL},
		{"Sec-WebSocket-Protocol: ,\r\n", NULL},
		{"", NULL},
	};
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		char text[1024], chosen[64];
		snprintf(text, sizeof(text), LINE HOST UPGRADE VERSION KEY_FIELD "%s" END, CASES[i].field);
		assert_int_equal(ask(text), CASES[i].chosen != NULL ? ERROR_OK : ERROR_WS_PROTOCOL);
		if (CASES[i].chosen == NULL) {
			assert_non_null(strstr(response, "HTTP/1.1 400 "));
			continue;
		}
		snprintf(chosen, sizeof(chosen), "Sec-WebSocket-Protocol: %s\r\n\r\n", CASES[i].chosen);
		assert_non_null(strstr(response, chosen));
	}
}

#define BUT_VERSION LINE HOST UPGRADE KEY_FIELD PROTOCOL
#define BUT_KEY LINE HOST UPGRADE VERSION PROTOCOL

static const struct {
	const char *text;
	enum error error;
	const char *status;
	const char *field; /* NULL: none in particular */
} REFUSED[] = {
	/* HTTP of other kinds */
	{"GET /index.html HTTP/1.1\r\n" HOST END, ERROR_WS_NO_UPGRADE, "404 Not Found", NULL},
	{"POST /form HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\na=b", ERROR_WS_NO_UPGRADE, "404 Not Found", NULL},
	{LINE HOST END, ERROR_WS_NO_UPGRADE, "426 Upgrade Required",
	 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
	{LINE HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n" END, ERROR_WS_NO_UPGRADE, "426 ", NULL},
	{LINE HOST "Upgrade: websocket\r\nConnection: close\r\n" END, ERROR_WS_NO_UPGRADE, "426 ", NULL},
	{LINE HOST "Connection: Upgrade\r\n" VERSION KEY_FIELD PROTOCOL END, ERROR_WS_NO_UPGRADE, "426 ", NULL},
	{"POST /mqtt HTTP/1.1\r\n" ALL END, ERROR_WS_NO_UPGRADE, "405 Method Not Allowed", "Allow: GET\r\n"},
	{"OPTIONS * HTTP/1.1\r\n" HOST END, ERROR_WS_NO_UPGRADE, "404 ", NULL},
	{"GET /mqtt HTTP/1.0\r\n" ALL END, ERROR_WS_NO_UPGRADE, "426 ", "nginx"},
	/* WebSockets of other kinds */
	{"GET /other HTTP/1.1\r\n" ALL END, ERROR_WS_PATH, "404 Not Found", NULL},
	{"GET /mqtt/ HTTP/1.1\r\n" ALL END, ERROR_WS_PATH, "404 ", NULL},
	{"GET /MQTT HTTP/1.1\r\n" ALL END, ERROR_WS_PATH, "404 ", NULL},
	{"GET ?/mqtt HTTP/1.1\r\n" ALL END, ERROR_WS_PATH, "404 ", NULL},
	{"GET ws://a/mqtt HTTP/1.1\r\n" ALL END, ERROR_WS_PATH, "404 ", NULL},
	{LINE ALL "Origin: https://b.example\r\n" END, ERROR_WS_ORIGIN, "403 Forbidden", NULL},
	{LINE ALL "Origin: https://a.example.org\r\n" END, ERROR_WS_ORIGIN, "403 ", NULL},
	{LINE ALL "Origin: http://a.example\r\n" END, ERROR_WS_ORIGIN, "403 ", NULL},
	{LINE ALL "Origin: null\r\n" END, ERROR_WS_ORIGIN, "403 ", NULL},
	{LINE ALL "Origin:\r\n" END, ERROR_WS_ORIGIN, "403 ", NULL},
	{LINE ALL "Origin: https://a.example\r\nOrigin: https://a.example\r\n" END, ERROR_WS_ORIGIN, "403 ", NULL},
	{BUT_VERSION "Sec-WebSocket-Version: 8\r\n" END, ERROR_WS_VERSION, "426 ", "Sec-WebSocket-Version: 13\r\n"},
	{BUT_VERSION "Sec-WebSocket-Version: 13, 8\r\n" END, ERROR_WS_VERSION, "426 ", NULL},
	{BUT_VERSION VERSION VERSION END, ERROR_WS_VERSION, "426 ", NULL},
	{BUT_VERSION END, ERROR_WS_VERSION, "426 ", NULL},
	/* malformed */
	{BUT_KEY END, ERROR_WS_REQUEST, "400 Bad Request", "Sec-WebSocket-Key"},
	{BUT_KEY KEY_FIELD KEY_FIELD END, ERROR_WS_REQUEST, "400 ", NULL},
	{BUT_KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n" END, ERROR_WS_REQUEST, "400 ", NULL},
	{BUT_KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n" END, ERROR_WS_REQUEST, "400 ", NULL},
	{BUT_KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q==\r\n" END, ERROR_WS_REQUEST, "400 ", NULL},
	{LINE ALL "Content-Length: 1\r\n" END "a", ERROR_WS_REQUEST, "400 ", NULL},
	{LINE ALL "Transfer-Encoding: chunked\r\n" END, ERROR_WS_REQUEST, "400 ", NULL},
	{"GET /mqtt HTTP/1.1\n", ERROR_WS_REQUEST, "400 ", NULL},
	{LINE UPGRADE END, ERROR_WS_REQUEST, "400 ", NULL}, /* no Host */
	{"PRI * HTTP/2.0\r\n\r\n", ERROR_WS_REQUEST, "505 ", NULL},
	{"\x10\x0c", ERROR_WS_REQUEST, "400 ", NULL},     /* MQTT */
	{"\x16\x03\x01", ERROR_WS_REQUEST, "400 ", NULL}, /* TLS */
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(REFUSED); i++) {
		char line[64];
		assert_int_equal(ask(REFUSED[i].text), REFUSED[i].error);
		snprintf(line, sizeof(line), "HTTP/1.1 %s", REFUSED[i].status);
		assert_ptr_equal(strstr(response, line), response);
		assert_non_null(strstr(response, "\r\nConnection: close\r\n"));
		assert_non_null(strstr(response, "\r\nDate: Sun, 29 Nov 2026 01:00:00 GMT\r\n"));
		assert_true(REFUSED[i].field == NULL || strstr(response, REFUSED[i].field) != NULL);
		/* A sentence, and as long as the head says. */
		const char *length = strstr(response, "\r\nContent-Length: "), *body = strstr(response, "\r\n\r\n");
		assert_true(length != NULL && body != NULL);
		assert_int_equal(strlen(body + 4), strtoul(length + 18, NULL, 10));
		assert_string_equal(response + strlen(response) - 2, ".\n");
	}
}

static void test_head_has_no_body(void **state)
{
	(void)state;
	assert_int_equal(ask("HEAD /mqtt HTTP/1.1\r\n" HOST END), ERROR_WS_NO_UPGRADE);
	assert_non_null(strstr(response, "HTTP/1.1 405 "));
	assert_string_equal(response + strlen(response) - 4, "\r\n\r\n");
}

static void test_lists(void **state)
{
	(void)state;
	static const char *const ANY[] = {"https://a.example", "*"}, *const NONE[] = {"null"};
	struct ws_rules rules = {NULL, 0, NULL, 0};
	struct slice other = slice_string("GET /x HTTP/1.1\r\n" ALL "Origin: https://b.example\r\n" END);
	assert_int_equal(request_answer(&rules, other), ERROR_OK);
	rules = (struct ws_rules){NULL, 0, ANY, 2};
	assert_int_equal(request_answer(&rules, other), ERROR_OK);
	assert_int_equal(request_answer(&rules, slice_string(LINE ALL "Origin:\r\n" END)), ERROR_OK);
	rules.origin_count = 1;
	assert_int_equal(request_answer(&rules, other), ERROR_WS_ORIGIN);
	rules = (struct ws_rules){PATHS, 1, NONE, 1};
	assert_int_equal(request_answer(&rules, slice_string(LINE ALL "Origin: null\r\n" END)), ERROR_OK);
	assert_int_equal(request_answer(&rules, slice_string("GET / HTTP/1.1\r\n" ALL END)), ERROR_WS_PATH);
}

/* The longest that is taken, one byte more, and what never ends. */
static void test_length(void **state)
{
	(void)state;
	static char text[3 * WS_REQUEST_BYTES_MAX];
	size_t head = (size_t)snprintf(text, sizeof(text), LINE ALL "Cookie: ");
	for (size_t more = 0; more <= 2; more++) {
		memset(text + head, 'c', sizeof(text) - head);
		size_t end = WS_REQUEST_BYTES_MAX - 5 + more;
		if (more < 2)
			memcpy(text + end, "\r\n\r\n", 4);
		bool taken = more == 0;
		assert_int_equal(request_answer(&RULES, slice_of(text, sizeof(text))),
				 taken || more == 1 ? ERROR_OK : ERROR_WS_REQUEST);
		if (more == 2)
			assert_non_null(strstr(response, "HTTP/1.1 431 "));
	}
	memcpy(text + WS_REQUEST_BYTES_MAX - 3, "\r\n\r\n", 4);
	assert_int_equal(request_answer(&RULES, slice_of(text, sizeof(text))), ERROR_WS_REQUEST);
	assert_non_null(strstr(response, "HTTP/1.1 431 "));
}

/* ---- the client's side ---- */

static void test_client_and_server(void **state)
{
	(void)state;
	char request[WS_RESPONSE_BYTES_MAX], key[WS_KEY_BYTES + 1];
	static const uint8_t RANDOM[16] = "the sample nonce";
	size_t size, taken;
	int status;
	ws_key_write(RANDOM, key);
	assert_string_equal(key, KEY);
	size_t request_bytes = ws_request_write("localhost:9001", "/mqtt", key, request);
	assert_int_equal(ws_upgrade_read(&RULES, slice_of(request, request_bytes), DATE_S, &taken, response, &size),
			 ERROR_OK);
	assert_int_equal(taken, request_bytes);
	for (size_t part = 0; part < size; part++)
		assert_int_equal(ws_response_read(slice_of(response, part), key, &taken, &status), ERROR_MORE);
	memcpy(response + size, "\x82\x00", 2);
	assert_int_equal(ws_response_read(slice_of(response, size + 2), key, &taken, &status), ERROR_OK);
	assert_int_equal(taken, size);
	assert_int_equal(status, 101);
	assert_int_equal(ws_response_read(slice_of(response, size), "AAAAAAAAAAAAAAAAAAAAAA==", &taken, &status),
			 ERROR_WS_REQUEST);
}

static void test_too_long_a_request(void **state)
{
	(void)state;
	char request[WS_RESPONSE_BYTES_MAX], path[WS_RESPONSE_BYTES_MAX];
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(ws_request_write("localhost", path, KEY, request), 0);
}

static void test_responses_that_are_none(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int status;
	} CASES[] = {
		{"HTTP/1.1 404 Not Found\r\n\r\n", 404},
		{"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101},
		{"HTTP/1.1 101\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n", 101},
		{"HTTP/1.1 200 OK\r\nSec-WebSocket-Accept: " ACCEPT "\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", 200},
		{"HTTP/1.1 101 x\r\nXSec-WebSocket-Accept: " ACCEPT "\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", 101},
		{"HTTP/1.1 1x1 x\r\n\r\n", 0},
		{"HTTP/1.1\r\n\r\n", 0},
		{"SSH-2.0\r\n\r\n", 0},
		{"\r\n\r\n", 0},
	};
	size_t taken;
	int status;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		assert_int_equal(ws_response_read(slice_string(CASES[i].text), KEY, &taken, &status), ERROR_WS_REQUEST);
		assert_int_equal(status, CASES[i].status);
	}
	static const char GOOD[] =
		"HTTP/1.1 101 x\r\nsec-websocket-accept:" ACCEPT " \r\nA: b\r\nSEC-WEBSOCKET-PROTOCOL:  mqtt\r\n\r\n";
	assert_int_equal(ws_response_read(slice_string(GOOD), KEY, &taken, &status), ERROR_OK);
	static uint8_t endless[WS_REQUEST_BYTES_MAX];
	assert_int_equal(ws_response_read(slice_of(endless, sizeof(endless)), KEY, &taken, &status), ERROR_WS_REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_standards_own),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_head_has_no_body),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_client_and_server),
		cmocka_unit_test(test_too_long_a_request),
		cmocka_unit_test(test_responses_that_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
