#include "admin/http.h"

#include "admin/patience.h"
#include "admin/route_table.h"
#include "base/check.h"
#include "base/log.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX PATIENCE_CONNECTIONS_MAX
/* Headers, and so the request's target, are in here. */
#define CONNECTION_MEMORY_BYTES (64u << 10)
/* A connection on which nothing moves is closed after so long. */
#define IDLE_TIMEOUT_S 30u

struct server {
	struct MHD_Daemon *daemon;
	struct patience patience;
};

/* A request as it comes in, piece by piece. */
struct incoming {
	struct request request;
	struct server *server;
	const struct route *route;
	char *raw;
	uint8_t *room; /* what the target's slices point into */
	bool begun;
	bool answered; /* before its body came */
};

static void free_incoming(struct incoming *incoming)
{
	if (incoming == NULL)
		return;
	free(incoming->request.body);
	free(incoming->request.owned);
	free(incoming->room);
	free(incoming->raw);
	free(incoming);
}

/* ---- answers ---- */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
	CHECK(MHD_add_response_header(response, name, value) == MHD_YES);
}

static void add_headers(struct MHD_Response *response, const struct request *request, uint32_t methods)
{
	const char *policy = request->policy;
	add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->type);
	add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	add_header(response, "X-Content-Type-Options", "nosniff");
	add_header(response, "Referrer-Policy", "no-referrer");
	add_header(response, "Content-Security-Policy",
		   policy != NULL ? policy : "default-src 'none'; frame-ancestors 'none'");
	if (request->status == STATUS_UNAUTHORIZED)
		add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"roost\"");
	if (request->status == STATUS_UNAVAILABLE)
		add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	if (request->status == STATUS_METHOD_NOT_ALLOWED) {
		char allowed[64] = "";
		for (int i = 0; i < METHOD_COUNT; i++) {
			if ((methods >> i & 1u) != 0)
				snprintf(allowed + strlen(allowed), sizeof(allowed) - strlen(allowed), "%s%s",
					 allowed[0] != '\0' ? ", " : "", method_name((enum method)i));
		}
		add_header(response, MHD_HTTP_HEADER_ALLOW, allowed);
	}
}

static void count_answer(struct admin *admin, enum status status)
{
	if (status == STATUS_UNAUTHORIZED || status == STATUS_FORBIDDEN)
		atomic_fetch_add(&admin->counts.refused, 1);
	else if (status >= STATUS_BAD_REQUEST)
		atomic_fetch_add(&admin->counts.failed, 1);
	else
		atomic_fetch_add(&admin->counts.requests, 1);
}

static enum MHD_Result respond(struct MHD_Connection *connection, struct incoming *incoming, uint32_t methods)
{
	struct request *request = &incoming->request;
	incoming->answered = true;
	enum MHD_ResponseMemoryMode mode = request->owned != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(request->text_bytes, (void *)(uintptr_t)request->text, mode);
	if (response == NULL)
		return MHD_NO;
	request->owned = NULL; /* the response's now */
	add_headers(response, request, methods);
	count_answer(request->admin, request->status);
	enum MHD_Result result = MHD_queue_response(connection, request->status, response);
	MHD_destroy_response(response);
	return result;
}

/* ---- who asks for what ---- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool may_serve(struct MHD_Connection *connection, struct incoming *incoming)
{
	struct request *request = &incoming->request;
	const struct route *route = incoming->route;
	struct guard_claim claim = {
		.authorization = header(connection, MHD_HTTP_HEADER_AUTHORIZATION),
		.host = header(connection, MHD_HTTP_HEADER_HOST),
		.origin = header(connection, MHD_HTTP_HEADER_ORIGIN),
		.changes = route == NULL || route->method != METHOD_GET,
	};
	bool open = route != NULL && (route->access == ROUTE_IS_OPEN ||
				      (route->access == ROUTE_IS_METRICS && request->admin->options.open_metrics));
	enum guard_verdict verdict = open ? guard_check_open(&claim) : guard_check(&request->admin->guard, &claim);
	switch (verdict) {
	case GUARD_GRANTED:
		return true;
	case GUARD_NO_TOKEN:
		request_fail(request, STATUS_UNAUTHORIZED, "a token is needed: Authorization: Bearer TOKEN");
		return false;
	case GUARD_WRONG_TOKEN:
		log_write(LOG_WARNING, "admin: a request with a wrong token was refused");
		request_fail(request, STATUS_UNAUTHORIZED, "the token is wrong");
		return false;
	case GUARD_WRONG_HOST:
		request_fail(request, STATUS_FORBIDDEN,
			     "without a token only this machine's own names are answered to: localhost and loopback "
			     "addresses");
		return false;
	case GUARD_WRONG_ORIGIN:
		request_fail(request, STATUS_FORBIDDEN, "a page of another origin may change nothing here");
		return false;
	}
	return false;
}

/* What can be refused by the headers alone; true: go on. *methods: those that the path has. */
static bool admit(struct MHD_Connection *connection, const char *method_text, struct incoming *incoming,
		  uint32_t *methods)
{
	struct request *request = &incoming->request;
	size_t size = strlen(incoming->raw);
	incoming->room = malloc(size + 1);
	if (incoming->room == NULL) {
		request_check(request, ERROR_NO_MEMORY, "");
		return false;
	}
	bool well_formed = target_parse(&request->target, slice_of(incoming->raw, size), incoming->room);
	enum method method = method_of(method_text);
	if (well_formed)
		incoming->route = route_find(&request->target, method, &request->id, methods);
	/* Before anything is told of which paths there are. */
	if (!may_serve(connection, incoming))
		return false;
	if (!well_formed) {
		request_fail(request, STATUS_BAD_REQUEST, "the path or its query is malformed");
		return false;
	}
	if (incoming->route == NULL && *methods != 0)
		request_fail(request, STATUS_METHOD_NOT_ALLOWED, "this path does not have that method");
	else if (incoming->route == NULL)
		request_fail(request, STATUS_NOT_FOUND, "there is no such path");
	return incoming->route != NULL;
}

/* A body that says by its length that it is too large is not waited for. */
static bool body_is_acceptable(struct MHD_Connection *connection, struct request *request, const struct route *route)
{
	const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
	if (length != NULL && strtoull(length, NULL, 10) > REQUEST_BODY_BYTES_MAX) {
		request_fail(request, STATUS_TOO_LARGE, "the body is larger than %u bytes", REQUEST_BODY_BYTES_MAX);
		return false;
	}
	/* A page from elsewhere can send a form, but not this type, unasked. */
	const char *type = header(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
	bool has_body = header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL ||
			(length != NULL && strtoull(length, NULL, 10) != 0);
	if (route->method == METHOD_POST && has_body &&
	    (type == NULL || strncasecmp(type, "application/json", strlen("application/json")) != 0)) {
		request_fail(request, STATUS_MEDIA_TYPE, "the body is to be of type application/json");
		return false;
	}
	return true;
}

/* ---- libmicrohttpd's callbacks ---- */

/* The target as it was sent: what the library makes of it cannot tell %2F from a slash. */
static void *on_target(void *context, const char *raw, struct MHD_Connection *connection)
{
	struct admin *admin = context;
	struct incoming *incoming = calloc(1, sizeof(*incoming));
	if (incoming == NULL)
		return NULL;
	(void)connection;
	incoming->request.admin = admin;
	incoming->server = admin->server;
	incoming->raw = strdup(raw);
	if (incoming->raw == NULL) {
		free_incoming(incoming);
		return NULL;
	}
	return incoming;
}

static bool keep_body(struct request *request, const char *bytes, size_t size)
{
	if (request->body_bytes + size > REQUEST_BODY_BYTES_MAX) {
		request_fail(request, STATUS_TOO_LARGE, "the body is larger than %u bytes", REQUEST_BODY_BYTES_MAX);
		return false;
	}
	uint8_t *grown = realloc(request->body, request->body_bytes + size);
	if (grown == NULL) {
		request_check(request, ERROR_NO_MEMORY, "");
		return false;
	}
	memcpy(grown + request->body_bytes, bytes, size);
	request->body = grown;
	request->body_bytes += size;
	return true;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_bytes, void **state)
{
	struct incoming *incoming = *state;
	(void)context;
	(void)url;
	(void)version;
	if (incoming == NULL)
		return MHD_NO;
	if (!incoming->begun) {
		uint32_t methods = 0;
		incoming->begun = true;
		incoming->request.accept = header(connection, MHD_HTTP_HEADER_ACCEPT);
		if (!admit(connection, method, incoming, &methods) ||
		    !body_is_acceptable(connection, &incoming->request, incoming->route))
			return respond(connection, incoming, methods);
		return MHD_YES;
	}
	if (*upload_bytes != 0) {
		/* What comes behind an answer is passed over. */
		bool kept = incoming->answered || keep_body(&incoming->request, upload, *upload_bytes);
		*upload_bytes = 0;
		return kept ? MHD_YES : respond(connection, incoming, 0);
	}
	if (incoming->answered)
		return MHD_YES;
	incoming->route->serve(&incoming->request);
	return respond(connection, incoming, 0);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code)
{
	struct admin *admin = context;
	(void)code;
	patience_renew(&admin->server->patience, connection);
	free_incoming(*state);
	*state = NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **state,
			  enum MHD_ConnectionNotificationCode code)
{
	struct server *server = context;
	(void)state;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		patience_begin(&server->patience, connection,
			       MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
	else
		patience_end(&server->patience, connection);
}

static void on_log(void *context, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));
static void on_log(void *context, const char *format, va_list arguments)
{
	char line[256];
	(void)context;
	vsnprintf(line, sizeof(line), format, arguments);
	line[strcspn(line, "\n")] = '\0';
	log_write(LOG_DEBUG, "admin: %s", line);
}

struct server *server_start(struct admin *admin, int listener_fd)
{
	struct server *server = calloc(1, sizeof(*server));
	if (server == NULL)
		return NULL;
	patience_init(&server->patience);
	admin->server = server;
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ERROR_LOG;
	server->daemon =
		MHD_start_daemon(flags, 0, NULL, NULL, on_request, admin, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
				 MHD_OPTION_LISTEN_SOCKET, listener_fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
				 MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				 (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_URI_LOG_CALLBACK, on_target, admin,
				 MHD_OPTION_NOTIFY_COMPLETED, on_completed, admin, MHD_OPTION_NOTIFY_CONNECTION,
				 on_connection, server, MHD_OPTION_END);
	if (server->daemon == NULL) {
		patience_fini(&server->patience);
		free(server);
		admin->server = NULL;
		return NULL;
	}
	return server;
}

void server_end_slow(struct server *server)
{
	patience_end_slow(&server->patience);
}

void server_stop(struct server *server)
{
	MHD_stop_daemon(server->daemon);
	patience_fini(&server->patience);
	free(server);
}
