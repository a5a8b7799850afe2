#include "admin/api/request.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TYPE "application/json; charset=utf-8"
#define SENTENCE_BYTES_MAX 512

void request_answer_text(struct request *request, const char *type, char *text, size_t size)
{
	CHECK(request->status == 0 && request->owned == NULL); /* a request is answered once */
	request->type = type;
	request->owned = text;
	request->text = text;
	request->text_bytes = size;
	request->status = HTTP_OK;
}

void request_answer_static(struct request *request, const char *type, const void *text, size_t size)
{
	CHECK(request->status == 0 && request->owned == NULL);
	request->type = type;
	request->text = text;
	request->text_bytes = size;
	request->status = HTTP_OK;
}

void request_answer(struct request *request, enum http_status status, json_t *json)
{
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
	json_decref(json);
	if (text == NULL) {
		static const char NO_MEMORY[] = "{\"error\":\"out of memory\"}";
		request_answer_static(request, JSON_TYPE, NO_MEMORY, sizeof(NO_MEMORY) - 1);
		request->status = HTTP_SERVER_ERROR;
		return;
	}
	request_answer_text(request, JSON_TYPE, text, strlen(text));
	request->status = status;
}

void request_fail(struct request *request, enum http_status status, const char *format, ...)
{
	char sentence[SENTENCE_BYTES_MAX];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	CHECK(status >= HTTP_BAD_REQUEST);
	json_t *text = json_string(sentence);
	if (text == NULL) /* snprintf() cut it within a character */
		text = json_string("what was asked for is wrong");
	request_answer(request, status, json_pack("{s:o}", "error", text));
}

json_t *request_object(struct request *request)
{
	json_error_t error;
	if (request->body.size == 0) {
		request_fail(request, HTTP_BAD_REQUEST, "the body is missing; it is to be a JSON object");
		return NULL;
	}
	json_t *json = json_loadb((const char *)request->body.data, request->body.size,
				  JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (json == NULL) {
		request_fail(request, HTTP_BAD_REQUEST, "the body is not JSON: line %d, column %d: %s", error.line,
			     error.column, error.text);
		return NULL;
	}
	if (!json_is_object(json)) {
		json_decref(json);
		request_fail(request, HTTP_BAD_REQUEST, "the body is to be a JSON object");
		return NULL;
	}
	return json;
}

bool request_check(struct request *request, enum error error, const char *what)
{
	switch (error) {
	case ERROR_OK:
		return true;
	case ERROR_NOT_FOUND:
		request_fail(request, HTTP_NOT_FOUND, "%s", what);
		return false;
	case ERROR_LIMIT:
	case ERROR_TIMEOUT:
		request_fail(request, HTTP_UNAVAILABLE, "the shard is busy; try again");
		return false;
	default:
		request_fail(request, HTTP_UNAVAILABLE, "%s", error_sentence(error));
		return false;
	}
}

json_t *json_of_slice(struct slice text)
{
	return json_stringn((const char *)text.data, text.size);
}
