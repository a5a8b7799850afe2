#include "http/status.h"

#include "base/check.h"

#include <stddef.h>

const char *http_status_phrase(enum http_status status)
{
	static const struct {
		enum http_status status;
		const char *phrase;
	} PHRASES[] = {
		{HTTP_CONTINUE, "Continue"},
		{HTTP_SWITCHING_PROTOCOLS, "Switching Protocols"},
		{HTTP_OK, "OK"},
		{HTTP_ACCEPTED, "Accepted"},
		{HTTP_BAD_REQUEST, "Bad Request"},
		{HTTP_UNAUTHORIZED, "Unauthorized"},
		{HTTP_FORBIDDEN, "Forbidden"},
		{HTTP_NOT_FOUND, "Not Found"},
		{HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed"},
		{HTTP_CONFLICT, "Conflict"},
		{HTTP_CONTENT_TOO_LARGE, "Content Too Large"},
		{HTTP_URI_TOO_LONG, "URI Too Long"},
		{HTTP_UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type"},
		{HTTP_EXPECTATION_FAILED, "Expectation Failed"},
		{HTTP_UPGRADE_REQUIRED, "Upgrade Required"},
		{HTTP_FIELDS_TOO_LARGE, "Request Header Fields Too Large"},
		{HTTP_SERVER_ERROR, "Internal Server Error"},
		{HTTP_NOT_IMPLEMENTED, "Not Implemented"},
		{HTTP_UNAVAILABLE, "Service Unavailable"},
		{HTTP_VERSION_NOT_SUPPORTED, "HTTP Version Not Supported"},
	};
	const char *phrase = NULL;
	for (size_t i = 0; i < sizeof(PHRASES) / sizeof(PHRASES[0]); i++) {
		if (PHRASES[i].status == status)
			phrase = PHRASES[i].phrase;
	}
	CHECK(phrase != NULL); /* every status is in the table */
	return phrase;
}
