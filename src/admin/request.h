/* A request to the admin side and its answer. Owned by the HTTP server's thread, from the request's first byte to its
 * end. */
#ifndef ADMIN_REQUEST_H
#define ADMIN_REQUEST_H

#include "admin/admin.h"
#include "admin/guard.h"
#include "admin/snapshot.h"
#include "admin/target.h"

#include <jansson.h>

/* A message as large as the largest packet by default, in base64, and some. */
#define REQUEST_BODY_BYTES_MAX (4u << 20)
/* For one shard's answer to one command. A turn is to take no longer than some milliseconds. */
#define COMMAND_TIMEOUT_MS 3000u

/* HTTP statuses that are used here. */
enum status {
	STATUS_OK = 200,
	STATUS_BAD_REQUEST = 400,
	STATUS_UNAUTHORIZED = 401,
	STATUS_FORBIDDEN = 403,
	STATUS_NOT_FOUND = 404,
	STATUS_METHOD_NOT_ALLOWED = 405,
	STATUS_TOO_LARGE = 413,
	STATUS_MEDIA_TYPE = 415,
	STATUS_SERVER_ERROR = 500,
	STATUS_UNAVAILABLE = 503,
};

struct admin {
	struct admin_options options;
	struct admin_hooks hooks;
	struct gateway *gateway;
	struct guard guard;
	struct admin_counts counts;
	_Atomic bool draining;
	struct server *server; /* admin/http.h */
};

struct request {
	struct admin *admin;
	struct target target;
	struct slice id; /* what stands for {id} in the route's path */
	const char *accept;
	uint8_t *body;
	size_t body_bytes;
	/* The answer. */
	enum status status;
	const char *type;   /* Content-Type */
	const char *policy; /* Content-Security-Policy; NULL: the strictest */
	const char *text;
	size_t text_bytes;
	char *owned; /* text, where it is to be freed */
};

/* Answers with JSON; takes the reference. */
void request_answer(struct request *request, enum status status, json_t *json);
/* Answers with {"error": sentence}. */
void request_fail(struct request *request, enum status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Static text. */
void request_answer_static(struct request *request, const char *type, const void *text, size_t size);
/* Text on the heap, which is the request's from here on. */
void request_answer_text(struct request *request, const char *type, char *text, size_t size);

/* The body as a JSON object. NULL: it was answered what is wrong with it. */
json_t *request_object(struct request *request);
/* A string; NULL where it is no UTF-8. */
json_t *json_of_slice(struct slice text);
/* What a shard said to a command: answers where it is not ERROR_OK, and returns false. what: what was not found. */
bool request_check(struct request *request, enum error error, const char *what);

#endif
