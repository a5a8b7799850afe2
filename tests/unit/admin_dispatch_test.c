/* From requests to answers without a gateway behind them: which request gets which status and header fields, and that
 * each refusal of memory is an answer. */
#include "admin/api/dispatch.h"
#include "failing_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct api api;

static int set_up(void **state)
{
	(void)state;
	api = (struct api){.gateway = NULL};
	guard_init(&api.guard);
	return 0;
}

static int tear_down(void **state)
{
	guard_fini(&api.guard);
	return failing_memory_teardown(state);
}

/* An answer, as far as the tests look at it. */
struct answered {
	enum http_status status;
	bool wants_body;
	char fields[HTTP_RESPONSE_FIELDS_BYTES_MAX];
	char start[64]; /* of the body */
};

/* Has a request without a body answered, and checks what holds for every answer. */
static struct answered ask(const char *text)
{
	static struct http_head head;
	struct http_service service = api_service(&api);
	struct http_exchange exchange = {.head = &head};
	struct answered answered = {0};
	assert_int_equal(http_head_parse(&head, slice_string(text)), HTTP_OK);
	answered.wants_body = service.begin(service.context, &exchange);
	if (answered.wants_body)
		service.serve(service.context, &exchange);
	struct http_answer *answer = &exchange.answer;
	answered.status = answer->status;
	memcpy(answered.fields, answer->fields, sizeof(answered.fields));
	size_t size = answer->body_bytes < sizeof(answered.start) - 1 ? answer->body_bytes : sizeof(answered.start) - 1;
	memcpy(answered.start, answer->body, size);
	assert_true(answer->body_bytes > 2);
	for (const char *line = answer->fields; *line != '\0'; line = strstr(line, "\r\n") + 2)
		assert_non_null(strstr(line, "\r\n"));
	assert_non_null(strstr(answer->fields, "X-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(answer->fields, "Content-Security-Policy: default-src 'none'"));
	service.end(service.context, &exchange);
	assert_null(exchange.state);
	free(answer->owned);
	return answered;
}

#define LOCAL " HTTP/1.1\r\nHost: localhost\r\n"

static void test_statuses(void **state)
{
	(void)state;
	static const struct {
		enum http_status status;
		const char *text;
	} CASES[] = {
		{200, "GET /" LOCAL "\r\n"},
		{200, "HEAD /" LOCAL "\r\n"},
		{200, "GET /api/v1/openapi.json" LOCAL "\r\n"},
		{400, "GET /%zz" LOCAL "\r\n"},
		{400, "GET http://localhost/" LOCAL "\r\n"},
		{404, "GET /nowhere" LOCAL "\r\n"},
		{405, "PUT /health" LOCAL "\r\n"},
		{405, "BREW /api/v1/clients/a" LOCAL "\r\n"},
		{403, "GET /api/v1/stats HTTP/1.1\r\nHost: rebound.example\r\n\r\n"},
		{403, "GET /nowhere HTTP/1.1\r\nHost: rebound.example\r\n\r\n"},
		{403, "POST /api/v1/publish" LOCAL "Origin: http://evil.example\r\n\r\n"},
		{413, "POST /api/v1/publish" LOCAL "Content-Type: application/json\r\nContent-Length: 4194305\r\n\r\n"},
		{413, "POST /api/v1/publish" LOCAL "Content-Length: 99999999999999999999\r\n\r\n"},
		{415, "POST /api/v1/publish" LOCAL "Content-Length: 2\r\n\r\n"},
		{415, "POST /api/v1/publish" LOCAL "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n"},
		{415,
		 "POST /api/v1/publish" LOCAL "Content-Type: application/jso\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{400, "POST /api/v1/publish" LOCAL "\r\n"}, /* its body is missing */
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct answered answered = ask(CASES[i].text);
		if (answered.status != CASES[i].status)
			fail_msg("%s: %d", CASES[i].text, (int)answered.status);
		bool is_error = answered.status >= HTTP_BAD_REQUEST;
		assert_int_equal(strncmp(answered.start, "{\"error\":\"", 10) == 0, is_error);
	}
	assert_int_equal(atomic_load(&api.counts.requests), 3);
	assert_int_equal(atomic_load(&api.counts.refused), 3);
	assert_int_equal(atomic_load(&api.counts.failed), sizeof(CASES) / sizeof(CASES[0]) - 6);
}

/* While the gateway starts, what looks at shards is not served yet. */
static void test_while_it_starts(void **state)
{
	(void)state;
	static const struct {
		enum http_status status;
		const char *text;
		const char *start;
	} CASES[] = {
		{200, "GET /health" LOCAL "\r\n", "{\"status\":\"healthy\"}"},
		{200, "GET /" LOCAL "\r\n", "<!"},
		{503, "GET /ready" LOCAL "\r\n", "{\"error\":\"recovering, 42 %\"}"},
		{503, "GET /metrics" LOCAL "\r\n", "{\"error\":\"recovering, 42 %\"}"},
		{503, "GET /api/v1/stats" LOCAL "\r\n", "{\"error\":\"recovering, 42 %\"}"},
		{503, "POST /api/v1/reload" LOCAL "\r\n", "{\"error\":\"recovering, 42 %\"}"},
		{404, "GET /nowhere" LOCAL "\r\n", "{"},
	};
	atomic_store(&api.starting, true);
	assert_string_equal(ask("GET /ready" LOCAL "\r\n").start, "{\"error\":\"starting\"}");
	atomic_store(&api.recovery_percent, 42);
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct answered answered = ask(CASES[i].text);
		assert_int_equal(answered.status, CASES[i].status);
		assert_int_equal(strncmp(answered.start, CASES[i].start, strlen(CASES[i].start)), 0);
	}
}

static void test_fields(void **state)
{
	(void)state;
	assert_non_null(strstr(ask("POST /api/v1/clients/a" LOCAL "\r\n").fields, "Allow: GET, DELETE\r\n"));
	assert_non_null(strstr(ask("GET /" LOCAL "\r\n").fields, "Content-Type: text/html; charset=utf-8\r\n"));
	assert_non_null(strstr(ask("GET /" LOCAL "\r\n").fields, "script-src 'sha256-"));
	assert_null(strstr(ask("GET /nowhere" LOCAL "\r\n").fields, "script-src"));
}

static void test_refused_by_the_server(void **state)
{
	(void)state;
	struct http_service service = api_service(&api);
	struct http_exchange exchange = {0};
	service.refuse(service.context, &exchange, HTTP_FIELDS_TOO_LARGE, "there are too many \"fields\"");
	assert_int_equal(exchange.answer.status, HTTP_FIELDS_TOO_LARGE);
	assert_int_equal(strncmp(exchange.answer.body, "{\"error\":\"there are too many \\\"fields\\\"\"}",
				 exchange.answer.body_bytes),
			 0);
	service.end(service.context, &exchange);
	free(exchange.answer.owned);
}

/* jansson's own memory is not refused here; its failures come out as those of ours do, by way of request_answer(). */
static void play_request(void *context)
{
	(void)context;
	failing_memory_start();
	struct answered answered = ask("GET /nowhere" LOCAL "\r\n");
	bool refused = failing_memory_stop();
	assert_int_equal(answered.status, refused ? HTTP_UNAVAILABLE : HTTP_NOT_FOUND);
	assert_int_equal(ask("GET /nowhere" LOCAL "\r\n").status, HTTP_NOT_FOUND);
}

static void test_each_refusal_of_memory(void **state)
{
	(void)state;
	assert_true(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_request, NULL) >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_statuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_while_it_starts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fields, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_by_the_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_refusal_of_memory, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
