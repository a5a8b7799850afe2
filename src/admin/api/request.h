/* A request to the API and its answer. Owned by the HTTP server's thread, from the end of the request's head until the
 * answer is handed over. */
#ifndef ADMIN_API_REQUEST_H
#define ADMIN_API_REQUEST_H

#include "admin/api/context.h"
#include "http/status.h"
#include "http/target.h"

#include <jansson.h>

/* A message as large as the largest packet by default, in base64, and some. */
#define REQUEST_BODY_BYTES_MAX (4u << 20)
/* For one shard's answer to one command. A turn is to take no longer than some milliseconds. */
#define COMMAND_TIMEOUT_MS 3000u

struct request {
	struct api *api;
	struct target target;
	struct slice id;     /* what stands for {id} in the route's path */
	struct slice accept; /* data NULL: the header is missing */
	struct slice body;
	/* The answer. */
	enum http_status status;
	const char *type;   /* Content-Type */
	const char *policy; /* Content-Security-Policy; NULL: the strictest */
	const char *text;
	size_t text_bytes;
	char *owned; /* text, where it is to be freed */
};

/* Answers with JSON; takes the reference. */
void request_answer(struct request *request, enum http_status status, json_t *json);
/* Answers with {"error": sentence}. */
void request_fail(struct request *request, enum http_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Static text. */
void request_answer_static(struct request *request, const char *type, const void *text, size_t size);
/* Text on the heap, which is the request's from here on. */
void request_answer_text(struct request *request, const char *type, char *text, size_t size);

/* The body as a JSON object. NULL: it was answered what is wrong with it. */
json_t *request_object(struct request *request);
/* A string; NULL where it is not UTF-8. */
json_t *json_of_slice(struct slice text);
/* What a shard said to a command: answers where it is not ERROR_OK, and returns false. what: what was not found. */
bool request_check(struct request *request, enum error error, const char *what);

#endif
