/* What becomes of events, by how their request was answered. */
#include "relay/hook/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_S 1790000000u

static struct verdict verdict_of(enum fetch_outcome outcome, uint32_t status, const char *retry_after, const char *body)
{
	struct verdict verdict;
	const struct fetch_answer answer = {
		.outcome = outcome,
		.status = status,
		.fault = outcome != FETCH_ANSWERED ? "it \xff failed" : "",
		.retry_after = retry_after,
		.cache_control = "",
		.etag = "",
		.content_type = "",
		.location = "http://else\nwhere/",
		.body = slice_string(body),
	};
	verdict_of_answer(&answer, NOW_S, &verdict);
	for (const char *at = verdict.words; *at != '\0'; at++)
		assert_true(*at >= ' ' && *at <= '~');
	return verdict;
}

static void test_statuses(void **state)
{
	(void)state;
	static const struct {
		uint32_t status;
		enum verdict_kind kind;
		enum hook_failure failure;
	} CASES[] = {
		{200, VERDICT_TAKEN, 0},
		{204, VERDICT_TAKEN, 0},
		{299, VERDICT_TAKEN, 0},
		{199, VERDICT_FAILED, HOOK_SERVER_ERROR},
		{0, VERDICT_FAILED, HOOK_SERVER_ERROR},
		{301, VERDICT_FAILED, HOOK_REDIRECTED},
		{304, VERDICT_FAILED, HOOK_REDIRECTED},
		{400, VERDICT_REFUSED, HOOK_REFUSED},
		{413, VERDICT_REFUSED, HOOK_REFUSED},
		{422, VERDICT_REFUSED, HOOK_REFUSED},
		{401, VERDICT_FAILED, HOOK_CLIENT_ERROR},
		{404, VERDICT_FAILED, HOOK_CLIENT_ERROR},
		{408, VERDICT_FAILED, HOOK_CLIENT_ERROR},
		{429, VERDICT_FAILED, HOOK_CLIENT_ERROR},
		{500, VERDICT_FAILED, HOOK_SERVER_ERROR},
		{999, VERDICT_FAILED, HOOK_SERVER_ERROR},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct verdict verdict = verdict_of(FETCH_ANSWERED, CASES[i].status, "", "");
		if (verdict.kind != CASES[i].kind || verdict.failure != CASES[i].failure)
			fail_msg("%u: %d, %s", CASES[i].status, verdict.kind, hook_failure_name(verdict.failure));
	}
}

static void test_outcomes(void **state)
{
	(void)state;
	static const enum hook_failure FAILURES[] = {
		[FETCH_NO_HOST] = HOOK_NO_HOST,       [FETCH_NO_CONNECTION] = HOOK_NO_CONNECTION,
		[FETCH_NO_TRUST] = HOOK_NO_TRUST,     [FETCH_TIMED_OUT] = HOOK_TIMED_OUT,
		[FETCH_BROKEN] = HOOK_BROKEN,         [FETCH_TOO_LARGE] = HOOK_BROKEN,
		[FETCH_NO_PROCESS] = HOOK_NO_PROCESS,
	};
	for (int outcome = FETCH_ANSWERED + 1; outcome < FETCH_OUTCOME_COUNT; outcome++) {
		struct verdict verdict = verdict_of((enum fetch_outcome)outcome, 200, "5", "");
		assert_int_equal(verdict.kind, VERDICT_FAILED);
		assert_int_equal(verdict.failure, FAILURES[outcome]);
		assert_string_equal(verdict.words, "it ? failed");
	}
}

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(verdict_of(FETCH_ANSWERED, 500, "", "").words, "the endpoint answers 500");
	assert_string_equal(verdict_of(FETCH_ANSWERED, 422, "", "no\n\xc3\xbc").words,
			    "the endpoint answers 422: no???");
	assert_non_null(strstr(verdict_of(FETCH_ANSWERED, 302, "", "").words, "redirects to \"http://else?where/\""));
}

static void test_retry_after(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t seconds;
	} CASES[] = {
		{"", 0},
		{"0", 0},
		{"120", 120},
		{"3601", RETRY_AFTER_S_MAX},
		{"99999999999999999999999", RETRY_AFTER_S_MAX},
		{"-1", 0},
		{"1.5", 0},
		{"soon", 0},
		{"Mon, 21 Sep 2026 14:14:20 GMT", 60},
		{"Mon, 21 Sep 2026 14:12:20 GMT", 0},
		{"Mon, 21 Sep 2099 14:12:20 GMT", RETRY_AFTER_S_MAX},
		{"Mon, 21 Sep 2026 14:14:20 GMT+1", 0},
		{"Mon, 21 Sep", 0},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		uint32_t seconds = verdict_of(FETCH_ANSWERED, 503, CASES[i].text, "").retry_after_s;
		if (seconds != CASES[i].seconds)
			fail_msg("%s: %u", CASES[i].text, seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_retry_after),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
