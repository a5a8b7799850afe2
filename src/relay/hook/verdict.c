#include "relay/hook/verdict.h"

#include "base/check.h"

#include <stdio.h>
#include <time.h>

/* Of an answer's body, in the fault. */
#define QUOTED_BYTES 160u

/* Digits, or a date [RFC 9110, 10.2.3]. 0: neither. */
static uint32_t read_retry_after(const char *text, uint64_t now_s)
{
	struct tm date = {0};
	uint64_t seconds = 0;
	size_t digits = strspn(text, "0123456789");
	if (digits != 0 && text[digits] == '\0') {
		for (size_t i = 0; i < digits && seconds <= RETRY_AFTER_S_MAX; i++)
			seconds = seconds * 10 + (uint64_t)(text[i] - '0');
	} else {
		const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &date);
		time_t at_s = end != NULL && *end == '\0' ? timegm(&date) : 0;
		seconds = at_s > 0 && (uint64_t)at_s > now_s ? (uint64_t)at_s - now_s : 0;
	}
	return seconds < RETRY_AFTER_S_MAX ? (uint32_t)seconds : RETRY_AFTER_S_MAX;
}

/* It goes into logs and JSON, and may be anything. */
static void make_printable(char *words)
{
	for (; *words != '\0'; words++) {
		if (*words < ' ' || *words > '~')
			*words = '?';
	}
}

static enum hook_failure failure_of_outcome(enum fetch_outcome outcome)
{
	switch (outcome) {
	case FETCH_NO_HOST:
		return HOOK_NO_HOST;
	case FETCH_NO_CONNECTION:
		return HOOK_NO_CONNECTION;
	case FETCH_NO_TRUST:
		return HOOK_NO_TRUST;
	case FETCH_TIMED_OUT:
		return HOOK_TIMED_OUT;
	case FETCH_NO_PROCESS:
		return HOOK_NO_PROCESS;
	case FETCH_ANSWERED:
	case FETCH_BROKEN:
	case FETCH_TOO_LARGE:
	case FETCH_OUTCOME_COUNT:
		break;
	}
	return HOOK_BROKEN;
}

static enum hook_failure failure_of_status(uint32_t status)
{
	if (status == 400 || status == 413 || status == 422)
		return HOOK_REFUSED;
	if (status >= 300 && status < 400)
		return HOOK_REDIRECTED;
	return status >= 400 && status < 500 ? HOOK_CLIENT_ERROR : HOOK_SERVER_ERROR;
}

static void say_status(const struct fetch_answer *answer, struct verdict *verdict)
{
	size_t quoted = answer->body.size < QUOTED_BYTES ? answer->body.size : QUOTED_BYTES;
	if (verdict->failure == HOOK_REDIRECTED)
		snprintf(verdict->words, sizeof(verdict->words),
			 "the endpoint answers %u and redirects to \"%.200s\"; redirects are not followed, so the "
			 "hook's "
			 "url has to be the last one",
			 answer->status, answer->location);
	else
		snprintf(verdict->words, sizeof(verdict->words), "the endpoint answers %u%s%.*s", answer->status,
			 quoted != 0 ? ": " : "", (int)quoted, quoted != 0 ? (const char *)answer->body.data : "");
}

void verdict_of_answer(const struct fetch_answer *answer, uint64_t now_s, struct verdict *verdict)
{
	CHECK_LT(answer->outcome, FETCH_OUTCOME_COUNT);
	*verdict = (struct verdict){.kind = VERDICT_FAILED};
	if (answer->outcome != FETCH_ANSWERED) {
		verdict->failure = failure_of_outcome(answer->outcome);
		snprintf(verdict->words, sizeof(verdict->words), "%s",
			 answer->fault[0] != '\0' ? answer->fault : fetch_outcome_name(answer->outcome));
	} else if (answer->status >= 200 && answer->status < 300) {
		verdict->kind = VERDICT_TAKEN;
		return;
	} else {
		verdict->failure = failure_of_status(answer->status);
		verdict->kind = verdict->failure == HOOK_REFUSED ? VERDICT_REFUSED : VERDICT_FAILED;
		verdict->retry_after_s = read_retry_after(answer->retry_after, now_s);
		say_status(answer, verdict);
	}
	make_printable(verdict->words);
}
