#include "admin/api/handlers.h"

#include "base/clock.h"
#include "control/gateway.h"

#include <string.h>

#define OVER_SECONDS_DEFAULT 60
#define OVER_SECONDS_MAX 86400
#define GRACE_SECONDS_DEFAULT 5
#define GRACE_SECONDS_MAX 3600

static json_t *json_of_drain(const struct request *request)
{
	const struct drain_settings *drain = &gateway_settings(request->api->gateway)->drain;
	struct counters sum = {0};
	uint64_t now_ms = clock_now_ms();
	gateway_counters(request->api->gateway, &sum);
	uint64_t clients = atomic_load(&sum.values[COUNTER_connections_open]);
	const char *state = "none";
	if (drain->number != 0)
		state = !drain_refuses(drain, now_ms) ? "announced" : clients != 0 ? "draining" : "drained";
	uint64_t ends_ms = drain->from_ms + drain->over_ms;
	bool ends = drain->number != 0 && ends_ms > now_ms;
	return json_pack("{s:s, s:I, s:o, s:o}", "state", state, "clients", (json_int_t)clients, "seconds_left",
			 ends ? json_real((double)(ends_ms - now_ms) / 1e3) : json_null(), "server_reference",
			 drain->number != 0 && drain->server_reference[0] != '\0' ? json_string(drain->server_reference)
										  : json_null());
}

void serve_drain_state(struct request *request)
{
	request_answer(request, HTTP_OK, json_of_drain(request));
}

/* ---- from JSON ---- */

static bool read_seconds(struct request *request, const json_t *json, const char *field, int fallback, int least,
			 int most, uint64_t *ms)
{
	const json_t *value = json_object_get(json, field);
	json_int_t seconds = value == NULL || json_is_null(value) ? fallback : json_integer_value(value);
	bool is_number = value == NULL || json_is_null(value) || json_is_integer(value);
	if (!is_number || seconds < least || seconds > most) {
		request_fail(request, HTTP_BAD_REQUEST, "%s: a whole number from %d to %d is wanted here", field, least,
			     most);
		return false;
	}
	*ms = (uint64_t)seconds * 1000u;
	return true;
}

static bool read_reference(struct request *request, const json_t *json, struct drain_settings *drain)
{
	const json_t *value = json_object_get(json, "server_reference");
	const json_t *moved = json_object_get(json, "moved");
	const char *text = json_string_value(value);
	bool has_text = text != NULL && text[0] != '\0';
	if (value != NULL && !json_is_null(value) &&
	    (!has_text || json_string_length(value) >= DRAIN_REFERENCE_BYTES_MAX ||
	     strlen(text) != json_string_length(value))) {
		request_fail(request, HTTP_BAD_REQUEST, "server_reference: a string of 1 to %u bytes is wanted here",
			     DRAIN_REFERENCE_BYTES_MAX - 1);
		return false;
	}
	if (moved != NULL && !json_is_boolean(moved)) {
		request_fail(request, HTTP_BAD_REQUEST, "moved: true or false is wanted here");
		return false;
	}
	if (json_is_true(moved) && !has_text) {
		request_fail(request, HTTP_BAD_REQUEST, "moved: server_reference is to say where to");
		return false;
	}
	if (has_text)
		memcpy(drain->server_reference, text, strlen(text) + 1);
	drain->reason = (uint8_t)(json_is_true(moved) ? ERROR_SERVER_MOVED
				  : has_text          ? ERROR_USE_ANOTHER_SERVER
						      : ERROR_DRAINED);
	return true;
}

static bool has_only_drain_fields(struct request *request, json_t *json)
{
	static const char *const FIELDS[] = {"over_seconds", "grace_seconds", "server_reference", "moved"};
	const char *field;
	json_t *value;
	json_object_foreach(json, field, value)
	{
		bool known = false;
		for (size_t i = 0; i < sizeof(FIELDS) / sizeof(FIELDS[0]); i++)
			known = known || strcmp(field, FIELDS[i]) == 0;
		if (!known) {
			request_fail(request, HTTP_BAD_REQUEST, "%.64s: there is no such field", field);
			return false;
		}
	}
	return true;
}

/* ---- asking ---- */

static void ask_for_drain(struct request *request, const struct drain_settings *drain)
{
	const struct admin_hooks *hooks = &request->api->hooks;
	char why[ADMIN_WHY_BYTES];
	if (hooks->drain(hooks->context, drain, why, sizeof(why)))
		request_answer(request, HTTP_OK, json_of_drain(request));
	else
		request_fail(request, HTTP_CONFLICT, "%s", why);
}

void serve_drain(struct request *request)
{
	struct drain_settings drain = {.number = 1};
	uint64_t grace_ms = 0;
	json_t *json = request->body.size != 0 ? request_object(request) : json_object();
	if (json == NULL)
		return;
	if (has_only_drain_fields(request, json) &&
	    read_seconds(request, json, "over_seconds", OVER_SECONDS_DEFAULT, 1, OVER_SECONDS_MAX, &drain.over_ms) &&
	    read_seconds(request, json, "grace_seconds", GRACE_SECONDS_DEFAULT, 0, GRACE_SECONDS_MAX, &grace_ms) &&
	    read_reference(request, json, &drain)) {
		drain.from_ms = clock_now_ms() + grace_ms;
		ask_for_drain(request, &drain);
	}
	json_decref(json);
}

void serve_undrain(struct request *request)
{
	struct drain_settings none = {.number = 0};
	ask_for_drain(request, &none);
}
