/* The HTTP server over real sockets, turn by turn and with a clock of the test's own: requests in order, limits of size
 * and of time, slow readers, places. */
#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

static uint64_t test_now_ms = 1000000;

static uint64_t clock_of_test(void)
{
	return test_now_ms;
}

#define clock_now_ms clock_of_test
#include "admin/http/server.c" /* NOLINT(bugprone-suspicious-include) */
#undef clock_now_ms

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "failing_memory.h"

#define BODY_MAX 1000u
#define LONG_BYTES (8u << 20)

static struct http_server *server;
static struct waker waker;
static struct sockaddr_in address;
static const _Atomic bool never;
static uint32_t begun, ended, refused;
static char *long_text;

/* ---- what is served: the target and the body, as they came ---- */

static void give(struct http_exchange *exchange, enum http_status status, const char *text, size_t size, char *owned)
{
	struct http_answer *answer = &exchange->answer;
	answer->status = status;
	snprintf(answer->fields, sizeof(answer->fields), "X-Test: 1\r\n");
	answer->body = text;
	answer->body_bytes = size;
	answer->owned = owned;
}

static bool begin(void *context, struct http_exchange *exchange)
{
	(void)context;
	begun++;
	exchange->state = &begun;
	if (!http_text_equal(exchange->head->target, "/early"))
		return true;
	give(exchange, HTTP_FORBIDDEN, "early", 5, NULL);
	return false;
}

static void serve(void *context, struct http_exchange *exchange)
{
	(void)context;
	assert_ptr_equal(exchange->state, &begun);
	struct slice target = exchange->head->target;
	if (http_text_equal(target, "/long")) {
		give(exchange, HTTP_OK, long_text, LONG_BYTES, NULL);
		return;
	}
	char *text = NULL;
	int size = asprintf(&text, "[%.*s:%.*s]", (int)target.size, (const char *)target.data, (int)exchange->body.size,
			    (const char *)exchange->body.data);
	assert_true(size > 0);
	give(exchange, HTTP_OK, text, (size_t)size, text);
}

static void refuse(void *context, struct http_exchange *exchange, enum http_status status, const char *why)
{
	(void)context;
	assert_true(strlen(why) > 10);
	refused++;
	give(exchange, status, why, strlen(why), NULL);
}

static void end(void *context, struct http_exchange *exchange)
{
	(void)context;
	(void)exchange;
	ended++;
}

static int set_up(void **state)
{
	(void)state;
	const struct http_service service = {
		.body_bytes_max = BODY_MAX, .begin = begin, .serve = serve, .refuse = refuse, .end = end};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 1024), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(waker_open(&waker), ERROR_OK);
	server = http_server_new(&service, fd, &waker, NULL);
	assert_non_null(server);
	assert_int_equal(poller_open(&server->poller), ERROR_OK);
	begun = ended = refused = 0;
	long_text = malloc(LONG_BYTES);
	assert_non_null(long_text);
	memset(long_text, 'x', LONG_BYTES);
	return 0;
}

static int tear_down(void **state)
{
	failing_memory_teardown(state);
	http_server_free(server);
	waker_close(&waker);
	free(long_text);
	return 0;
}

/* ---- clients ---- */

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* All that can be done without anything more from outside. Loopback delivers within the call that sends, so a few turns
 * in which nothing happens show that nothing is left. */
static void turn(void)
{
	bool more = false;
	for (int idle = 0; idle < 3; idle = more ? 0 : idle + 1)
		more = server_turn(server, true, &never);
}

/* What has come, without waiting; "" also where the connection has ended: *closed tells. */
static const char *hear(int fd, bool *closed)
{
	static char text[4096];
	size_t size = 0;
	ssize_t received = 0;
	turn();
	while (size < sizeof(text) - 1 &&
	       (received = recv(fd, text + size, sizeof(text) - 1 - size, MSG_DONTWAIT)) > 0) {
		size += (size_t)received;
		turn();
	}
	*closed = received == 0 || (received < 0 && errno == ECONNRESET);
	text[size] = '\0';
	return text;
}

static uint32_t count(const char *text, const char *part)
{
	uint32_t found = 0;
	for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
		found++;
	return found;
}

#define HOST " HTTP/1.1\r\nHost: a\r\n"

static void test_in_order_on_one_connection(void **state)
{
	(void)state;
	bool closed;
	int fd = dial();
	say(fd, "GET /1" HOST "\r\nPOST /2" HOST "Content-Length: 3\r\n\r\nabcPOST /3" HOST
		"Transfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n1\r\nz\r\n0\r\n\r\nHEAD /4" HOST "\r\nGET /5" HOST
		"Connection: close\r\n\r\nGET /6" HOST "\r\n");
	const char *text = hear(fd, &closed);
	const char *at = text;
	static const char *const ORDER[] = {"[/1:]", "[/2:abc]", "[/3:xyz]", "Content-Length: 5", "[/5:]"};
	for (size_t i = 0; i < sizeof(ORDER) / sizeof(ORDER[0]); i++) {
		at = strstr(at, ORDER[i]);
		assert_non_null(at);
	}
	assert_int_equal(count(text, "HTTP/1.1 200 OK\r\n"), 5);
	assert_null(strstr(text, "[/4:]")); /* HEAD has a head alone */
	assert_null(strstr(text, "[/6:]"));
	assert_int_equal(count(text, "Connection: close\r\n"), 1);
	assert_true(closed);
	assert_int_equal(begun, 5);
	assert_int_equal(ended, 5);
	close(fd);
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	static const char WHOLE[] =
		"POST /2" HOST "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: u\r\n\r\n";
	bool closed;
	int fd = dial();
	for (size_t i = 0; i < sizeof(WHOLE) - 1; i++) {
		char byte[2] = {WHOLE[i], '\0'};
		say(fd, byte);
		turn();
		assert_int_equal(ended, i == sizeof(WHOLE) - 2);
	}
	assert_non_null(strstr(hear(fd, &closed), "[/2:hello]"));
	assert_false(closed);
	close(fd);
}

static void test_continue_is_said_once_it_is_waited_for(void **state)
{
	(void)state;
	bool closed;
	int fd = dial();
	say(fd, "POST /c" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	assert_string_equal(hear(fd, &closed), "HTTP/1.1 100 Continue\r\n\r\n");
	say(fd, "ab");
	assert_non_null(strstr(hear(fd, &closed), "[/c:ab]"));
	/* Whoever does not wait needs no such word, and an early answer takes its place. */
	say(fd, "POST /d" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab");
	assert_null(strstr(hear(fd, &closed), "100 Continue"));
	say(fd, "POST /early" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	const char *text = hear(fd, &closed);
	assert_null(strstr(text, "100 Continue"));
	assert_non_null(strstr(text, "403 Forbidden"));
	close(fd);
}

static void test_refused_by_the_server(void **state)
{
	(void)state;
	static const struct {
		const char *text, *status;
	} BAD[] = {
		{"GET / HTTP/1.1\n", " 400 "},
		{"GET / HTTP/3.0\r\n\r\n", " 505 "},
		{"POST /" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", " 400 "},
		{"POST /" HOST "Transfer-Encoding: gzip\r\n\r\n", " 501 "},
		{"POST /" HOST "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", " 400 "},
		{"POST /" HOST "Transfer-Encoding: chunked\r\n\r\n3E9\r\n", " 413 "},
		{"\x10\x0c", " 400 "},
	};
	char much[BODY_MAX + 2];
	memset(much, 'y', sizeof(much));
	much[sizeof(much) - 1] = '\0';
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		bool closed;
		int fd = dial();
		say(fd, BAD[i].text);
		if (strstr(BAD[i].text, "3E9") != NULL)
			say(fd, much);
		say(fd, "GET /smuggled" HOST "\r\n"); /* nothing behind it is a request */
		const char *text = hear(fd, &closed);
		assert_int_equal(count(text, "HTTP/1.1 "), 1);
		if (strstr(text, BAD[i].status) == NULL)
			fail_msg("%zu: %s", i, text);
		assert_non_null(strstr(text, "Connection: close\r\n"));
		assert_true(closed);
		close(fd);
	}
	assert_int_equal(refused, sizeof(BAD) / sizeof(BAD[0]));
	assert_int_equal(ended, refused);
}

/* Its body is read and dropped until the client has heard the answer, so that it is not lost with a reset. */
static void test_answer_before_the_body(void **state)
{
	(void)state;
	bool closed;
	int fd = dial();
	say(fd, "POST /early" HOST "Content-Length: 1000000\r\n\r\n");
	assert_non_null(strstr(hear(fd, &closed), "403 Forbidden"));
	assert_true(closed);
	for (int i = 0; i < 100; i++) {
		say(fd, "and more of the body, which nobody wants");
		turn();
	}
	assert_int_equal(server->taken, 1);
	close(fd);
	turn();
	assert_int_equal(server->taken, 0);
	assert_int_equal(refused, 0);
}

/* The other one is answered although the first does not read. */
static void test_slow_reader(void **state)
{
	(void)state;
	bool closed;
	int slow = dial();
	int quick = dial();
	say(slow, "GET /long" HOST "\r\nGET /last" HOST "Connection: close\r\n\r\n");
	turn();
	assert_int_equal(ended, 0);
	say(quick, "GET /quick" HOST "\r\n");
	assert_non_null(strstr(hear(quick, &closed), "[/quick:]"));
	size_t size = 0;
	char part[65536];
	ssize_t received;
	while ((received = recv(slow, part, sizeof(part), 0)) > 0) {
		size += (size_t)received;
		turn();
	}
	assert_int_equal(received, 0);
	assert_true(size > LONG_BYTES && size < LONG_BYTES + 1000);
	assert_int_equal(ended, 3);
	close(slow);
	close(quick);
}

/* ---- time ---- */

static bool is_closed(int fd)
{
	bool closed;
	turn();
	hear(fd, &closed);
	return closed;
}

static void test_slow_and_quick(void **state)
{
	(void)state;
	bool closed;
	int idle = dial();
	int slow = dial();
	int quick = dial();
	turn();
	for (int i = 0; i < 10; i++) {
		say(slow, "G"); /* it is never idle for long */
		test_now_ms += HTTP_REQUEST_MS / 10;
		turn();
	}
	say(quick, "GET /" HOST "\r\n");
	assert_non_null(strstr(hear(quick, &closed), "200 OK"));
	assert_false(is_closed(slow) || is_closed(idle) || is_closed(quick));
	test_now_ms += 1;
	assert_true(is_closed(slow) && is_closed(idle));
	assert_false(is_closed(quick));
	test_now_ms += HTTP_REQUEST_MS - 1;
	turn();
	assert_false(is_closed(quick));
	test_now_ms += 1;
	assert_true(is_closed(quick));
	assert_int_equal(server->taken, 0);
	close(idle);
	close(slow);
	close(quick);
}

/* What came in time is answered, however late the server gets to it. */
static void test_a_late_server_ends_nobody(void **state)
{
	(void)state;
	bool closed;
	int fd = dial();
	turn();
	say(fd, "GET /" HOST "\r\n");
	test_now_ms += 2 * HTTP_REQUEST_MS;
	assert_non_null(strstr(hear(fd, &closed), "200 OK"));
	assert_false(closed);
	close(fd);
}

static void test_less_time_where_it_is_crowded(void **state)
{
	(void)state;
	int fds[HTTP_CONNECTIONS_MAX / 2 + 1];
	for (uint32_t i = 0; i < HTTP_CONNECTIONS_MAX / 2; i++)
		fds[i] = dial();
	turn();
	test_now_ms += HTTP_REQUEST_CROWDED_MS + 1;
	assert_false(is_closed(fds[0]));
	fds[HTTP_CONNECTIONS_MAX / 2] = dial();
	turn();
	turn();
	assert_true(is_closed(fds[0]));
	assert_false(is_closed(fds[HTTP_CONNECTIONS_MAX / 2]));
	assert_int_equal(server->taken, 1);
	for (uint32_t i = 0; i <= HTTP_CONNECTIONS_MAX / 2; i++)
		close(fds[i]);
}

/* Those for whom there is no place wait, and come in when one is free. */
static void test_more_than_there_are_places(void **state)
{
	(void)state;
	bool closed;
	int fds[HTTP_CONNECTIONS_MAX + 1];
	for (uint32_t i = 0; i <= HTTP_CONNECTIONS_MAX; i++)
		fds[i] = dial();
	turn();
	assert_int_equal(server->taken, HTTP_CONNECTIONS_MAX);
	assert_false(server->listens);
	say(fds[HTTP_CONNECTIONS_MAX], "GET /waits" HOST "\r\n");
	assert_string_equal(hear(fds[HTTP_CONNECTIONS_MAX], &closed), "");
	close(fds[7]);
	assert_non_null(strstr(hear(fds[HTTP_CONNECTIONS_MAX], &closed), "[/waits:]"));
	for (uint32_t i = 0; i <= HTTP_CONNECTIONS_MAX; i++) {
		if (i != 7)
			close(fds[i]);
	}
}

/* Whoever finds no memory is refused or hung up on; nothing is lost by that, and others are served. */
static void play_requests(void *context)
{
	(void)context;
	bool closed;
	uint32_t begun_before = begun + refused, ended_before = ended;
	int fd = dial();
	failing_memory_start();
	say(fd, "POST /1" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /2" HOST "\r\n");
	turn();
	bool failed = failing_memory_stop();
	const char *text = hear(fd, &closed);
	assert_int_equal(strstr(text, "[/1:hello]") != NULL, !failed);
	assert_int_equal(strstr(text, "[/2:]") != NULL, !failed);
	assert_true(!failed || closed);
	close(fd);
	turn();
	assert_int_equal(server->taken, 0);
	assert_int_equal(server->all.body_bytes, 0);
	assert_true(ended - ended_before <= begun + refused - begun_before);
	fd = dial();
	say(fd, "GET /3" HOST "\r\n");
	assert_non_null(strstr(hear(fd, &closed), "[/3:]"));
	close(fd);
	turn();
}

static void test_each_refusal_of_memory(void **state)
{
	(void)state;
	/* A connection, its buffer, and the body. */
	assert_int_equal(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_requests, NULL), 3);
}

static void test_lingering_has_an_end(void **state)
{
	(void)state;
	int fd = dial();
	say(fd, "GET / HTTP/1.1\n");
	turn();
	assert_int_equal(server->taken, 1);
	test_now_ms += HTTP_LINGER_MS + 1;
	turn();
	assert_int_equal(server->taken, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order_on_one_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_byte_by_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_continue_is_said_once_it_is_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_by_the_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answer_before_the_body, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slow_reader, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slow_and_quick, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_late_server_ends_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_less_time_where_it_is_crowded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_than_there_are_places, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lingering_has_an_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_refusal_of_memory, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
