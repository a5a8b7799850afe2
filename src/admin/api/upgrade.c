#include "admin/api/handlers.h"

#include "base/check.h"

#include <string.h>

static json_t *json_of_text(const char *text)
{
	return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *json_of_upgrade(const struct admin_hooks *hooks)
{
	struct admin_upgrade upgrade;
	hooks->upgrade_status(hooks->context, &upgrade);
	bool done = strcmp(upgrade.state, "done") == 0;
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "version", ROOST_VERSION, "state",
			 upgrade.state, "number", (json_int_t)upgrade.number, "error", json_of_text(upgrade.why),
			 "from", done ? json_of_text(upgrade.from) : json_null(), "clients",
			 done ? json_integer((json_int_t)upgrade.clients) : json_null(), "closed",
			 done ? json_integer((json_int_t)upgrade.closed) : json_null(), "silent_seconds",
			 done ? json_real((double)upgrade.silent_us / 1e6) : json_null(), "done",
			 (json_int_t)upgrade.done, "refused", (json_int_t)upgrade.refused);
}

void serve_upgrade_state(struct request *request)
{
	request_answer(request, HTTP_OK, json_of_upgrade(&request->api->hooks));
}

/* NULL after answering what is wrong. "": no path is given. Good as long as the object. */
static const char *read_path(struct request *request, json_t *json)
{
	const char *field;
	json_t *value;
	json_object_foreach(json, field, value)
	{
		if (strcmp(field, "path") != 0) {
			request_fail(request, HTTP_BAD_REQUEST, "%.64s: there is no such field", field);
			return NULL;
		}
	}
	value = json_object_get(json, "path");
	if (value == NULL || json_is_null(value))
		return "";
	const char *path = json_string_value(value);
	/* One with a null character in it would be another path. */
	if (path == NULL || path[0] != '/' || strlen(path) != json_string_length(value)) {
		request_fail(request, HTTP_BAD_REQUEST,
			     "path: an absolute path is wanted here; none: where the program was started from");
		return NULL;
	}
	return path;
}

void serve_upgrade(struct request *request)
{
	const struct admin_hooks *hooks = &request->api->hooks;
	char why[ADMIN_WHY_BYTES];
	json_t *json = request->body.size != 0 ? request_object(request) : json_object();
	if (json == NULL)
		return;
	const char *path = read_path(request, json);
	if (path != NULL) {
		if (hooks->upgrade(hooks->context, path, why, sizeof(why)))
			request_answer(request, HTTP_ACCEPTED, json_of_upgrade(hooks));
		else
			request_fail(request, HTTP_CONFLICT, "%s", why);
	}
	json_decref(json);
}
