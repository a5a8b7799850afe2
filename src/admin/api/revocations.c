#include "admin/api/handlers.h"

#include "access/access.h"
#include "base/check.h"
#include "control/gateway.h"

#include <stdlib.h>
#include <time.h>

#define LIST_ROWS_DEFAULT 100u
#define LIST_ROWS_MAX 1000u
/* Shards may lag behind earlier revocations. The request is then retried after this long, this many times. */
#define RETRY_NS 5000000L
#define RETRIES 200

_Static_assert(LIST_ROWS_DEFAULT <= LIST_ROWS_MAX, "the default can be asked for");
_Static_assert(RETRY_NS *RETRIES <= 1000000000L, "nobody waits for longer than a second");

/* ---- from JSON ---- */

static struct slice json_text(const json_t *json)
{
	return slice_of(json_string_value(json), json_string_length(json));
}

static bool read_revocation_kind(struct request *request, struct slice name, enum revocation_kind *kind)
{
	if (name.size != 0 && revocation_kind_parse(name, kind))
		return true;
	request_fail(request, HTTP_BAD_REQUEST, "kind: token, user or client is wanted here");
	return false;
}

static bool check_revocation_id(struct request *request, struct slice id)
{
	if (id.size != 0 && id.size <= REVOCATION_ID_BYTES_MAX)
		return true;
	request_fail(request, HTTP_BAD_REQUEST, "id: a string of 1 to %u bytes is wanted here",
		     REVOCATION_ID_BYTES_MAX);
	return false;
}

static bool read_revocation_end(struct request *request, const json_t *seconds, int64_t now_s, int64_t *until_s)
{
	*until_s = REVOKED_FOR_EVER;
	if (seconds == NULL || json_is_null(seconds))
		return true;
	json_int_t value = json_integer_value(seconds);
	if (!json_is_integer(seconds) || value < 1 || value > UINT32_MAX) {
		request_fail(request, HTTP_BAD_REQUEST,
			     "seconds: a whole number from 1 to %u is wanted here; none: for ever", UINT32_MAX);
		return false;
	}
	*until_s = now_s + value;
	CHECK(*until_s > now_s && *until_s != REVOKED_FOR_EVER);
	return true;
}

/* Other fields are refused: a mistyped "seconds" would otherwise mean "for ever". */
static bool has_only_known_fields(struct request *request, json_t *json)
{
	const char *field;
	json_t *value;
	json_object_foreach(json, field, value)
	{
		if (strcmp(field, "kind") != 0 && strcmp(field, "id") != 0 && strcmp(field, "seconds") != 0) {
			request_fail(request, HTTP_BAD_REQUEST, "%.64s: there is no such field", field);
			return false;
		}
	}
	return true;
}

/* ---- in force ---- */

static enum error revoke_with_retries(struct access *access, const struct revocation *revocation)
{
	static const struct timespec PAUSE = {.tv_nsec = RETRY_NS};
	enum error error = access_revoke(access, ACCESS_EMBEDDED, revocation, (int64_t)time(NULL));
	for (int i = 0; error == ERROR_MORE && i < RETRIES; i++) {
		nanosleep(&PAUSE, NULL);
		error = access_revoke(access, ACCESS_EMBEDDED, revocation, (int64_t)time(NULL));
	}
	return error;
}

static json_t *json_of_revocation(const struct revocation *revocation)
{
	return json_pack("{s:s, s:o, s:o}", "kind", revocation_kind_name(revocation->kind), "id",
			 json_of_slice(revocation->id), "until",
			 revocation->until_s == REVOKED_FOR_EVER ? json_null() : json_integer(revocation->until_s));
}

static void answer_revoked(struct request *request, enum error error, const struct revocation *revocation)
{
	switch (error) {
	case ERROR_OK:
		request_answer(request, HTTP_OK, json_of_revocation(revocation));
		return;
	case ERROR_SYSTEM:
		request_fail(request, HTTP_SERVER_ERROR,
			     "it is in force, but could not be written to the revocation file; the log says why");
		return;
	case ERROR_LIMIT:
		request_fail(request, HTTP_UNAVAILABLE, "as many revocations as there may be are in force");
		return;
	default:
		request_fail(request, HTTP_UNAVAILABLE, "the gateway is busy; try again");
		return;
	}
}

void serve_revoke(struct request *request)
{
	struct revocation revocation;
	json_t *json = request_object(request);
	if (json == NULL)
		return;
	revocation.id = json_text(json_object_get(json, "id"));
	if (has_only_known_fields(request, json) &&
	    read_revocation_kind(request, json_text(json_object_get(json, "kind")), &revocation.kind) &&
	    check_revocation_id(request, revocation.id) &&
	    read_revocation_end(request, json_object_get(json, "seconds"), (int64_t)time(NULL), &revocation.until_s))
		answer_revoked(request, revoke_with_retries(gateway_access(request->api->gateway), &revocation),
			       &revocation);
	json_decref(json);
}

void serve_lift(struct request *request)
{
	struct slice name = {0};
	enum revocation_kind kind;
	target_query(&request->target, "kind", &name);
	if (!read_revocation_kind(request, name, &kind) || !check_revocation_id(request, request->id))
		return;
	if (access_lift(gateway_access(request->api->gateway), ACCESS_EMBEDDED, kind, request->id, (int64_t)time(NULL)))
		request_answer(
			request, HTTP_OK,
			json_pack("{s:s, s:o}", "kind", revocation_kind_name(kind), "id", json_of_slice(request->id)));
	else
		request_fail(request, HTTP_NOT_FOUND, "there is no such revocation here");
}

/* ---- lists ---- */

static void add_revocation_row(void *list, const struct revocation *revocation)
{
	json_array_append_new(list, json_of_revocation(revocation));
}

static bool read_number_query(struct request *request, const char *name, uint32_t least, uint32_t most,
			      uint32_t *number)
{
	struct slice text;
	if (!target_query(&request->target, name, &text) || (target_number(text, most, number) && *number >= least))
		return true;
	request_fail(request, HTTP_BAD_REQUEST, "%s: a number from %u to %u is wanted here", name, least, most);
	return false;
}

static bool read_source_query(struct request *request, enum access_source *source)
{
	struct slice text;
	*source = ACCESS_EMBEDDED;
	if (!target_query(&request->target, "source", &text) || slice_equal(text, slice_string("embedded")))
		return true;
	*source = ACCESS_EXTERNAL;
	if (slice_equal(text, slice_string("redis")))
		return true;
	request_fail(request, HTTP_BAD_REQUEST, "source: embedded or redis is wanted here");
	return false;
}

void serve_revocations(struct request *request)
{
	uint32_t from = 0;
	uint32_t limit = LIST_ROWS_DEFAULT;
	enum access_source source;
	if (!read_number_query(request, "from", 0, UINT32_MAX - 1, &from) ||
	    !read_number_query(request, "limit", 1, LIST_ROWS_MAX, &limit) || !read_source_query(request, &source))
		return;
	json_t *rows = json_array();
	uint32_t total =
		access_list(gateway_access(request->api->gateway), source, from, limit, add_revocation_row, rows);
	request_answer(request, HTTP_OK, json_pack("{s:o, s:I}", "revocations", rows, "total", (json_int_t)total));
}
