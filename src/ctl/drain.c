#include "ctl/drain.h"

#include "base/check.h"
#include "cli/command.h"
#include "ctl/show.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATH "/api/v1/drain"

/* NULL after saying what is wrong. *text: the answer, which the caller frees. */
static json_t *ask_for_drain_state(const struct http_client *client, const char *method, const char *body, char **text)
{
	struct http_answer answer;
	bool answered = http_client_ask(client, method, PATH, body, &answer);
	json_t *json = answered ? json_loadb(answer.text, answer.bytes, JSON_ALLOW_NUL, NULL) : NULL;
	*text = answer.text;
	if (answered && (answer.status != 200 || json == NULL)) {
		const char *error = json_string_value(json_object_get(json, "error"));
		fputs("roost ctl: ", stderr);
		show_text(error != NULL ? error : "the answer is not from Roost's admin side", stderr);
		fprintf(stderr, " (status %ld)\n", answer.status);
		json_decref(json);
		return NULL;
	}
	return json;
}

static char *drain_body(const struct ctl_drain *drain)
{
	json_t *json = json_object();
	if (drain->over_s != 0)
		json_object_set_new(json, "over_seconds", json_integer(drain->over_s));
	if (drain->grace_s != UINT32_MAX)
		json_object_set_new(json, "grace_seconds", json_integer(drain->grace_s));
	if (drain->server_reference != NULL)
		json_object_set_new(json, "server_reference", json_string(drain->server_reference));
	if (drain->moved)
		json_object_set_new(json, "moved", json_true());
	char *body = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return body;
}

/* "draining: 812 of 4000 clients left, 20 s to go". */
static void show_drain(const json_t *json, json_int_t clients_at_first)
{
	const json_t *seconds = json_object_get(json, "seconds_left");
	printf("%s: %lld of %lld clients left", json_string_value(json_object_get(json, "state")),
	       (long long)json_integer_value(json_object_get(json, "clients")), (long long)clients_at_first);
	if (json_is_number(seconds))
		printf(", %.0f s to go", json_number_value(seconds));
	putchar('\n');
	fflush(stdout);
}

int ctl_drain(struct http_client *client, const struct ctl_drain *drain)
{
	static const struct timespec second = {.tv_sec = 1};
	char *text;
	char *body = drain->cancel ? NULL : drain_body(drain);
	if (body == NULL && !drain->cancel) {
		fputs("roost ctl: --server-reference is not UTF-8\n", stderr);
		return CLI_EXIT_USAGE;
	}
	json_t *json = ask_for_drain_state(client, drain->cancel ? "DELETE" : "POST", body, &text);
	json_int_t at_first = json_integer_value(json_object_get(json, "clients"));
	free(body);
	while (json != NULL) {
		const char *state = json_string_value(json_object_get(json, "state"));
		bool over = state == NULL || strcmp(state, "drained") == 0 || strcmp(state, "none") == 0;
		if (drain->json)
			printf("%s\n", text);
		else if (drain->cancel)
			puts("new clients are accepted");
		else
			show_drain(json, at_first);
		json_decref(json);
		free(text);
		if (over || drain->cancel || !drain->waits)
			return CLI_EXIT_OK;
		nanosleep(&second, NULL);
		json = ask_for_drain_state(client, "GET", NULL, &text);
	}
	free(text);
	return CLI_EXIT_FAILED;
}
