/* Answers from outside: what lets whom in, with which rights, and what is no answer. */
#include "auth/outside/answer.h"

#include "auth/rules/acl.h"
#include "auth/token/claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HASH "$argon2id$v=19$m=8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA"

static struct outside_answer *of_json(const char *text, struct fault *fault)
{
	size_t size = strlen(text);
	uint8_t *copy = malloc(size + 1);
	assert_non_null(copy);
	memcpy(copy, text, size);
	struct outside_answer *answer = outside_answer_of_json(copy, size, fault);
	free(copy);
	return answer;
}

static bool may(const struct outside_answer *answer, const char *topic)
{
	struct fault fault;
	struct acl *acl = acl_new(slice_string(""), true, &fault);
	const struct acl_identity who = {slice_string("c"), slice_string("u")};
	bool allowed = acl_check(acl, outside_answer_rules(answer), &who, ACL_PUBLISH, slice_string(topic));
	acl_put(&acl);
	return allowed;
}

static void test_json(void **state)
{
	(void)state;
	struct fault fault;
	struct outside_answer *answer = of_json("{\"result\":\"allow\"}", &fault);
	assert_non_null(answer);
	assert_int_equal(answer->verdict, OUTSIDE_ALLOWED);
	assert_int_equal(answer->ttl_s, OUTSIDE_TTL_UNSAID);
	assert_true(answer->expires_s == CLAIM_NEVER && outside_answer_user(answer).size == 0);
	assert_null(outside_answer_rules(answer).data);
	assert_true(may(answer, "anything"));
	outside_answer_put(&answer);

	answer = of_json(
		"{\"permissions\":{\"publish\":[\"a/%c\"]},\"user\":\"alice\",\"ttl_s\":60,\"expires_s\":4000000000,"
		"\"result\":\"allow\"}",
		&fault);
	assert_non_null(answer);
	assert_int_equal(answer->ttl_s, 60);
	assert_true(answer->expires_s == 4000000000);
	assert_true(slice_equal(outside_answer_user(answer), slice_string("alice")));
	assert_true(may(answer, "a/c") && !may(answer, "a/d"));
	struct outside_answer *other = outside_answer_get(answer);
	outside_answer_put(&answer);
	assert_true(may(other, "a/c"));
	outside_answer_put(&other);

	answer = of_json(" {\"result\" : \"deny\", \"ttl_s\": 0}\n", &fault);
	assert_non_null(answer);
	assert_int_equal(answer->verdict, OUTSIDE_DENIED);
	assert_int_equal(answer->ttl_s, 0);
	outside_answer_put(&answer);

	/* No rights are other than no word of rights. */
	answer = of_json("{\"result\":\"allow\",\"permissions\":{}}", &fault);
	assert_non_null(outside_answer_rules(answer).data);
	assert_false(may(answer, "anything"));
	outside_answer_put(&answer);
}

static void test_json_that_is_no_answer(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *word;
	} BAD[] = {
		{"", "no JSON"},
		{"[]", "no JSON object"},
		{"{\"result\":\"allow\"", "no JSON"},
		{"{}", "result: is missing"},
		{"{\"result\":true}", "result: is neither"},
		{"{\"result\":\"Allow\"}", "result: is neither"},
		{"{\"result\":\"allow\",\"result\":\"deny\"}", "no JSON"},
		{"{\"result\":\"allow\",\"permission\":{}}", "permission: there is no such member"},
		{"{\"result\":\"allow\",\"permissions\":[]}", "permissions: are"},
		{"{\"result\":\"allow\",\"permissions\":{\"publsih\":[]}}", "permissions: are"},
		{"{\"result\":\"allow\",\"permissions\":{\"publish\":[\"#/a\"]}}", "permissions: are"},
		{"{\"result\":\"allow\",\"user\":\"\"}", "user: is empty"},
		{"{\"result\":\"allow\",\"user\":null}", "user: is empty"},
		{"{\"result\":\"allow\",\"user\":\"a\\nb\"}", "user: is empty"},
		{"{\"result\":\"allow\",\"ttl_s\":-1}", "ttl_s: is no whole number"},
		{"{\"result\":\"allow\",\"ttl_s\":86401}", "ttl_s: is no whole number"},
		{"{\"result\":\"allow\",\"ttl_s\":1.5}", "ttl_s: is no whole number"},
		{"{\"result\":\"allow\",\"expires_s\":\"4000000000\"}", "expires_s: is no whole number"},
		{"{\"result\":\"allow\",\"expires_s\":1700000000000}", "expires_s: is no whole number"},
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct fault fault = {0};
		assert_null(of_json(BAD[i].text, &fault));
		if (strstr(fault.text, BAD[i].word) == NULL)
			fail_msg("%s: %s", BAD[i].text, fault.text);
	}
}

static void test_json_that_is_too_long(void **state)
{
	(void)state;
	struct fault fault;
	uint8_t *text = malloc(OUTSIDE_JSON_BYTES_MAX + 1);
	assert_non_null(text);
	memset(text, ' ', OUTSIDE_JSON_BYTES_MAX + 1);
	memcpy(text, "{\"result\":\"allow\"}", 18);
	assert_null(outside_answer_of_json(text, OUTSIDE_JSON_BYTES_MAX + 1, &fault));
	assert_non_null(strstr(fault.text, "longer than"));
	memset(text, ' ', OUTSIDE_JSON_BYTES_MAX);
	memcpy(text, "{\"result\":\"allow\"}", 18);
	struct outside_answer *answer = outside_answer_of_json(text, OUTSIDE_JSON_BYTES_MAX, &fault);
	assert_non_null(answer);
	outside_answer_put(&answer);
	free(text);
}

static struct slice text_or_none(const char *text)
{
	return text != NULL ? slice_string(text) : slice_of(NULL, 0);
}

static struct outside_fields fields_of(const char *password, const char *permissions, const char *disabled,
				       const char *expires_s, const char *user)
{
	return (struct outside_fields){text_or_none(password), text_or_none(permissions), text_or_none(disabled),
				       text_or_none(expires_s), text_or_none(user)};
}

static void test_records(void **state)
{
	(void)state;
	struct fault fault;
	struct outside_fields fields = fields_of(HASH, NULL, NULL, NULL, NULL);
	struct outside_answer *answer = outside_answer_of_fields(&fields, slice_string("alice"), &fault);
	assert_non_null(answer);
	assert_int_equal(answer->verdict, OUTSIDE_BY_PASSWORD);
	assert_true(slice_equal(outside_answer_hash(answer), slice_string(HASH)));
	assert_true(slice_equal(outside_answer_user(answer), slice_string("alice")));
	assert_false(answer->is_disabled || answer->has_rules);
	outside_answer_put(&answer);

	fields = fields_of(HASH, "{\"publish\":[\"x\"]}", "true", "4000000000", "bob");
	answer = outside_answer_of_fields(&fields, slice_string("alice"), &fault);
	assert_non_null(answer);
	assert_true(answer->is_disabled && answer->expires_s == 4000000000);
	assert_true(slice_equal(outside_answer_user(answer), slice_string("bob")));
	assert_true(may(answer, "x") && !may(answer, "y"));
	outside_answer_put(&answer);

	fields = fields_of(NULL, NULL, NULL, NULL, NULL);
	answer = outside_answer_of_fields(&fields, slice_string("alice"), &fault);
	assert_non_null(answer);
	assert_int_equal(answer->verdict, OUTSIDE_DENIED);
	outside_answer_put(&answer);

	static const char *const NO[] = {"0", "false", ""};
	for (size_t i = 0; i < sizeof(NO) / sizeof(NO[0]); i++) {
		fields = fields_of(HASH, NULL, NO[i], NULL, NULL);
		answer = outside_answer_of_fields(&fields, slice_string("alice"), &fault);
		assert_false(answer->is_disabled);
		outside_answer_put(&answer);
	}
}

static void test_records_that_let_nobody_in(void **state)
{
	(void)state;
	static const struct {
		const char *parts[5];
		const char *word;
	} BAD[] = {
		{{NULL, NULL, "0", NULL, NULL}, "password: is missing"},
		{{"secret", NULL, NULL, NULL, NULL}, "password: the hash is neither"},
		{{HASH, "", NULL, NULL, NULL}, "permissions: are no JSON"},
		{{HASH, "[]", NULL, NULL, NULL}, "permissions: are no JSON object"},
		{{HASH, "{\"allow\":[]}", NULL, NULL, NULL}, "permissions: are {"},
		{{HASH, NULL, "yes", NULL, NULL}, "disabled: is neither"},
		{{HASH, NULL, NULL, "", NULL}, "expires_s: is no time"},
		{{HASH, NULL, NULL, "-5", NULL}, "expires_s: is no time"},
		{{HASH, NULL, NULL, NULL, ""}, "user: is empty"},
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct fault fault = {0};
		const char *const *parts = BAD[i].parts;
		struct outside_fields fields = fields_of(parts[0], parts[1], parts[2], parts[3], parts[4]);
		assert_null(outside_answer_of_fields(&fields, slice_string("alice"), &fault));
		if (strstr(fault.text, BAD[i].word) == NULL)
			fail_msg("%zu: %s", i, fault.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_that_is_no_answer),
		cmocka_unit_test(test_json_that_is_too_long),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_records_that_let_nobody_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
