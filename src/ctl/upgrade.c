#include "ctl/upgrade.h"

#include "base/check.h"
#include "base/clock.h"
#include "cli/command.h"
#include "ctl/show.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATH "/api/v1/upgrade"
#define WAIT_MS_MAX 120000u
#define ASK_EVERY_NS 20000000

/* The answer as JSON, of a program that answers at all; NULL. */
static json_t *ask_for_upgrade(const struct http_client *client, const char *method, const char *body, long *status,
			       char **text)
{
	struct http_answer answer;
	bool answered = http_client_ask(client, method, PATH, body, &answer);
	json_t *json = answered ? json_loadb(answer.text, answer.bytes, JSON_ALLOW_NUL, NULL) : NULL;
	*status = answered ? answer.status : 0;
	*text = answer.text;
	return json;
}

static const char *member(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));
	return text != NULL ? text : "";
}

static int complain_of(const json_t *json, long status)
{
	const char *error = member(json, "error");
	fputs("roost ctl: ", stderr);
	show_text(error[0] != '\0' ? error : "the answer is not from Roost's admin side", stderr);
	fprintf(stderr, " (status %ld)\n", status);
	return CLI_EXIT_FAILED;
}

/* The upgrade of this number is over: true. One of a later number has followed it by then at the most. */
static bool is_over(const json_t *json, json_int_t number)
{
	return json_integer_value(json_object_get(json, "number")) >= number &&
	       strcmp(member(json, "state"), "asked") != 0;
}

static void show_done(const json_t *json)
{
	long long closed = (long long)json_integer_value(json_object_get(json, "closed"));
	printf("upgraded from %s to %s: %lld clients stayed, and waited %.1f ms at most\n", member(json, "from"),
	       member(json, "version"), (long long)json_integer_value(json_object_get(json, "clients")),
	       json_number_value(json_object_get(json, "silent_seconds")) * 1e3);
	if (closed != 0)
		printf("closed, because they had not signed in within two seconds: %lld connections\n", closed);
}

static int show_outcome(const json_t *json, const char *text, bool as_json)
{
	bool done = strcmp(member(json, "state"), "done") == 0;
	if (as_json)
		printf("%s\n", text);
	else if (done)
		show_done(json);
	if (done)
		return CLI_EXIT_OK;
	fputs("roost ctl: not upgraded, ", stderr);
	fprintf(stderr, "version %s serves on: ", member(json, "version"));
	show_text(member(json, "error"), stderr);
	fputc('\n', stderr);
	return CLI_EXIT_FAILED;
}

/* While one program follows the other, nobody answers. */
static int wait_for_outcome(struct http_client *client, json_int_t number, bool as_json)
{
	static const struct timespec pause = {.tv_nsec = ASK_EVERY_NS};
	uint64_t until_ms = clock_now_ms() + WAIT_MS_MAX;
	client->is_quiet = true;
	while (clock_now_ms() < until_ms) {
		long status;
		char *text;
		json_t *json = ask_for_upgrade(client, "GET", NULL, &status, &text);
		bool over = status == 200 && is_over(json, number);
		int exit_status = over ? show_outcome(json, text, as_json) : CLI_EXIT_FAILED;
		json_decref(json);
		free(text);
		if (over)
			return exit_status;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
	fprintf(stderr, "roost ctl: nothing is known of the upgrade after %u s\n", WAIT_MS_MAX / 1000);
	return CLI_EXIT_FAILED;
}

int ctl_upgrade(struct http_client *client, const char *path, bool waits, bool as_json)
{
	CHECK(path == NULL || path[0] == '/');
	long status;
	char *text;
	json_t *wanted = path != NULL ? json_pack("{s:s}", "path", path) : json_object();
	char *body = wanted != NULL ? json_dumps(wanted, JSON_COMPACT) : NULL;
	json_decref(wanted);
	if (body == NULL) {
		fputs("roost ctl: the path is not UTF-8\n", stderr);
		return CLI_EXIT_USAGE;
	}
	json_t *json = ask_for_upgrade(client, "POST", body, &status, &text);
	int exit_status = CLI_EXIT_OK;
	if (status == 0)
		exit_status = CLI_EXIT_FAILED; /* the reason is on stderr */
	else if (status != 202 || json == NULL)
		exit_status = complain_of(json, status);
	else if (waits)
		exit_status = wait_for_outcome(client, json_integer_value(json_object_get(json, "number")), as_json);
	else if (as_json)
		printf("%s\n", text);
	json_decref(json);
	free(text);
	free(body);
	return exit_status;
}
