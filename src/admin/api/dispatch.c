#include "admin/api/dispatch.h"

#include "admin/api/handlers.h"
#include "admin/api/request.h"
#include "admin/api/route_table.h"
#include "base/check.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(REQUEST_BODY_BYTES_MAX < UINT32_MAX, "the largest body can be named in a sentence");

static const char STRICT_POLICY[] = "default-src 'none'; frame-ancestors 'none'";

/* The state of an exchange: the request, and what its head tells about it. */
struct dispatched {
	struct request request;
	const struct route *route;
	uint32_t methods;  /* that the path allows, if the requested one is not among them */
	bool is_answering; /* until the answer is sent, or its connection broke */
	uint8_t room[];    /* what the target's slices point into, and behind it the line */
};

/* ---- answers ---- */

static void add_field(struct http_answer *answer, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_field(struct http_answer *answer, const char *format, ...)
{
	size_t used = strlen(answer->fields);
	va_list arguments;
	va_start(arguments, format);
	int bytes = vsnprintf(answer->fields + used, sizeof(answer->fields) - used, format, arguments);
	va_end(arguments);
	CHECK(bytes > 0 &&
	      (size_t)bytes < sizeof(answer->fields) - used); /* every field is made by this program and fits */
}

static void add_allowed_methods(struct http_answer *answer, uint32_t methods)
{
	const char *between = "Allow: ";
	for (int i = 0; i < METHOD_COUNT; i++) {
		if ((methods >> i & 1u) == 0)
			continue;
		add_field(answer, "%s%s", between, method_name((enum method)i));
		between = ", ";
	}
	add_field(answer, "\r\n");
}

static void add_fields(struct http_answer *answer, const struct request *request, uint32_t methods)
{
	answer->fields[0] = '\0';
	add_field(answer,
		  "Content-Type: %s\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
		  "Referrer-Policy: no-referrer\r\nContent-Security-Policy: %s\r\n",
		  request->type, request->policy != NULL ? request->policy : STRICT_POLICY);
	if (request->status == HTTP_UNAUTHORIZED)
		add_field(answer, "WWW-Authenticate: Bearer realm=\"roost\"\r\n");
	if (request->status == HTTP_UNAVAILABLE)
		add_field(answer, "Retry-After: 1\r\n");
	if (request->status == HTTP_METHOD_NOT_ALLOWED)
		add_allowed_methods(answer, methods);
}

static void count_answer(struct api *api, enum http_status status)
{
	if (status == HTTP_UNAUTHORIZED || status == HTTP_FORBIDDEN)
		atomic_fetch_add(&api->counts.refused, 1);
	else if (status >= HTTP_BAD_REQUEST)
		atomic_fetch_add(&api->counts.failed, 1);
	else
		atomic_fetch_add(&api->counts.requests, 1);
}

/* Moves the handler's answer to the exchange. */
static void give_answer(struct http_exchange *exchange, struct request *request, uint32_t methods)
{
	struct http_answer *answer = &exchange->answer;
	CHECK(request->type != NULL && request->status != 0); /* every handler answers its request */
	CHECK(answer->owned == NULL);
	answer->status = request->status;
	answer->body = request->text;
	answer->body_bytes = request->text_bytes;
	answer->owned = request->owned;
	request->owned = NULL;
	add_fields(answer, request, methods);
	count_answer(request->api, request->status);
}

/* ---- who asks for what ---- */

static bool is_open(const struct api *api, const struct route *route)
{
	if (route == NULL)
		return false;
	return route->access == ROUTE_IS_OPEN || (route->access == ROUTE_IS_METRICS && api->open_metrics);
}

static bool may_serve(const struct http_head *head, const struct route *route, struct request *request)
{
	struct guard_claim claim = {
		.authorization = http_head_field(head, "authorization"),
		.host = http_head_field(head, "host"),
		.origin = http_head_field(head, "origin"),
		.changes = route == NULL || route->method != METHOD_GET,
	};
	bool open = is_open(request->api, route);
	switch (open ? guard_check_open(&claim) : guard_check(&request->api->guard, &claim)) {
	case GUARD_GRANTED:
		return true;
	case GUARD_NO_TOKEN:
		request_fail(request, HTTP_UNAUTHORIZED, "a token is needed: Authorization: Bearer TOKEN");
		return false;
	case GUARD_WRONG_TOKEN:
		log_write(LOG_WARNING, "admin: a request with a wrong token was refused");
		request_fail(request, HTTP_UNAUTHORIZED, "the token is wrong");
		return false;
	case GUARD_WRONG_HOST:
		request_fail(request, HTTP_FORBIDDEN,
			     "without a token only this machine's own names are answered to: localhost and loopback "
			     "addresses");
		return false;
	case GUARD_WRONG_ORIGIN:
		request_fail(request, HTTP_FORBIDDEN, "a page of another origin may change nothing here");
		return false;
	}
	return false;
}

/* Finds the route, or refuses the request by its head alone. */
static bool find_route(const struct http_head *head, struct dispatched *dispatched)
{
	struct request *request = &dispatched->request;
	bool well_formed = target_parse(&request->target, head->target, dispatched->room);
	if (well_formed)
		dispatched->route =
			route_find(&request->target, method_of(head->method), &request->id, &dispatched->methods);
	/* Checked first: a client without access must not learn which paths exist. */
	if (!may_serve(head, dispatched->route, request))
		return false;
	if (!well_formed)
		request_fail(request, HTTP_BAD_REQUEST, "the path or its query is malformed");
	else if (dispatched->route == NULL && dispatched->methods != 0)
		request_fail(request, HTTP_METHOD_NOT_ALLOWED, "this path does not have that method");
	else if (dispatched->route == NULL)
		request_fail(request, HTTP_NOT_FOUND, "there is no such path");
	return well_formed && dispatched->route != NULL;
}

static void refuse_large_body(struct request *request)
{
	request_fail(request, HTTP_CONTENT_TOO_LARGE, "the body is larger than %u bytes", REQUEST_BODY_BYTES_MAX);
}

/* A body whose announced length is too large is not read. */
static bool body_is_acceptable(const struct http_head *head, const struct route *route, struct request *request)
{
	static const char JSON[] = "application/json";
	const size_t json = sizeof(JSON) - 1;
	if (head->length > REQUEST_BODY_BYTES_MAX) {
		refuse_large_body(request);
		return false;
	}
	struct slice type = http_head_field(head, "content-type");
	bool is_json = type.size >= json && http_text_equal(slice_of(type.data, json), JSON);
	bool has_body = head->chunked || head->length != 0;
	/* A page of another origin can submit a form without preflight, but not with this content type. */
	if (route->method == METHOD_POST && has_body && !is_json) {
		request_fail(request, HTTP_UNSUPPORTED_MEDIA_TYPE, "the body is to be of type application/json");
		return false;
	}
	return true;
}

/* ---- what the HTTP server calls ---- */

static struct slice copy_line(const struct http_head *head, uint8_t *at)
{
	size_t method = head->method.size;
	memcpy(at, head->method.data, method);
	at[method] = ' ';
	memcpy(at + method + 1, head->target.data, head->target.size);
	return slice_of(at, method + 1 + head->target.size);
}

static bool begin_request(void *context, struct http_exchange *exchange)
{
	const struct http_head *head = exchange->head;
	size_t line_bytes = head->method.size + 1 + head->target.size;
	struct dispatched *dispatched = calloc(1, sizeof(*dispatched) + head->target.size + line_bytes);
	if (dispatched == NULL) {
		struct request request = {.api = context};
		request_check(&request, ERROR_NO_MEMORY, "");
		give_answer(exchange, &request, 0);
		return false;
	}
	exchange->state = dispatched;
	dispatched->request.api = context;
	dispatched->request.line = copy_line(head, dispatched->room + head->target.size);
	dispatched->request.accept = http_head_field(head, "accept");
	if (find_route(head, dispatched) && body_is_acceptable(head, dispatched->route, &dispatched->request))
		return true;
	give_answer(exchange, &dispatched->request, dispatched->methods);
	return false;
}

static void serve_request(void *context, struct http_exchange *exchange)
{
	struct dispatched *dispatched = exchange->state;
	CHECK(dispatched->route != NULL && dispatched->request.api == context);
	dispatched->request.body = exchange->body;
	dispatched->is_answering = true;
	atomic_fetch_add(&dispatched->request.api->answering, 1);
	/* The other routes look at shards, or send them commands. */
	if (dispatched->route->access != ROUTE_IS_OPEN && atomic_load(&dispatched->request.api->starting))
		state_fail_starting(&dispatched->request);
	else
		dispatched->route->serve(&dispatched->request);
	give_answer(exchange, &dispatched->request, 0);
}

static void refuse_request(void *context, struct http_exchange *exchange, enum http_status status, const char *why)
{
	struct request request = {.api = context};
	if (status == HTTP_CONTENT_TOO_LARGE)
		refuse_large_body(&request);
	else
		request_fail(&request, status, "%s", why);
	give_answer(exchange, &request, 0);
}

static void end_request(void *context, struct http_exchange *exchange)
{
	struct dispatched *dispatched = exchange->state;
	struct api *api = context;
	exchange->state = NULL;
	if (dispatched != NULL) {
		if (dispatched->is_answering)
			atomic_fetch_sub(&api->answering, 1);
		free(dispatched->request.owned);
	}
	free(dispatched);
}

static void note_failed_handshake(void *context, const char *peer, enum error error, const char *fault)
{
	struct api *api = context;
	atomic_fetch_add(&api->counts.handshakes_failed, 1);
	log_write(LOG_INFO, "admin: no TLS with %s: %s%s%s", peer, error_sentence(error), fault[0] != '\0' ? ": " : "",
		  fault);
}

struct http_service api_service(struct api *api)
{
	return (struct http_service){
		.context = api,
		.body_bytes_max = REQUEST_BODY_BYTES_MAX,
		.begin = begin_request,
		.serve = serve_request,
		.refuse = refuse_request,
		.handshake_failed = note_failed_handshake,
		.end = end_request,
	};
}
