/* A request to the API and its answer. Owned by the HTTP server's thread, from the end of the request's head until the
 * answer is handed over. */
#ifndef ADMIN_API_REQUEST_H
#define ADMIN_API_REQUEST_H

#include "admin/api/context.h"
#include "http/status.h"
#include "http/target.h"

#include <jansson.h>

/* Enough for a message as large as the default packet limit, in base64. */
#define REQUEST_BODY_BYTES_MAX (4u << 20)
/* How long to wait for one shard to carry out one command. A turn takes some milliseconds. */
#define COMMAND_TIMEOUT_MS 3000u

struct request {
	struct api *api;
	struct target target;
	struct slice id;     /* what stands for {id} in the route's path */
	struct slice line;   /* "METHOD target", as another node is asked (nodes/nodes.h) */
	bool from_node;      /* another node asks: about this one alone */
	struct slice accept; /* data is NULL if the field is missing */
	struct slice body;
	/* The answer. */
	enum http_status status;
	const char *type;   /* Content-Type */
	const char *policy; /* Content-Security-Policy; NULL: the strictest */
	const char *text;
	size_t text_bytes;
	char *owned; /* text, where it is to be freed */
};

/* Answers with JSON; takes over the caller's reference. */
void request_answer(struct request *request, enum http_status status, json_t *json);
/* Answers with {"error": sentence}. */
void request_fail(struct request *request, enum http_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Answers with 200 and static text. */
void request_answer_static(struct request *request, const char *type, const void *text, size_t size);
/* Answers with 200 and text on the heap, which the request now owns. */
void request_answer_text(struct request *request, const char *type, char *text, size_t size);

/* Returns the body as a JSON object, or NULL after answering what is wrong with it. */
json_t *request_object(struct request *request);
/* A string; NULL where it is not UTF-8. */
json_t *json_of_slice(struct slice text);
/* Turns a shard's result into an answer: returns true for ERROR_OK; answers with the error and returns false otherwise.
 * `what` is the sentence for ERROR_NOT_FOUND. */
bool request_check(struct request *request, enum error error, const char *what);

#endif
