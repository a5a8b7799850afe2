/* Rule files: their order, their sections, where the token's rules come in, and what is wrong with them in which line.
 */
#include "auth/rules/acl.h"

#include "auth/rules/acl_claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct slice NO_RULES = {NULL, 0};

static struct acl *rules_of(const char *text, bool allow_by_default)
{
	struct fault fault;
	struct acl *acl = acl_new(slice_string(text), allow_by_default, &fault);
	if (acl == NULL)
		fail_msg("line %u: %s", fault.line, fault.text);
	return acl;
}

/* A question and its answer: "P" or "S", a topic, for client "c1" of user "alice" unless it says otherwise. */
struct question {
	char action;
	const char *topic;
	bool allowed;
	const char *client_id, *user;
};

static void ask_all(const struct acl *acl, struct slice token_rules, const struct question *questions)
{
	for (; questions->topic != NULL; questions++) {
		struct acl_identity identity = {
			.client_id = slice_string(questions->client_id != NULL ? questions->client_id : "c1"),
			.user = slice_string(questions->user != NULL ? questions->user : "alice"),
		};
		enum acl_action action = questions->action == 'P' ? ACL_PUBLISH : ACL_SUBSCRIBE;
		bool allowed = acl_check(acl, token_rules, &identity, action, slice_string(questions->topic));
		if (allowed != questions->allowed)
			fail_msg("%c %s as %.*s: %d", questions->action, questions->topic, (int)identity.client_id.size,
				 (const char *)identity.client_id.data, allowed);
	}
}

static void expect(const char *text, bool allow_by_default, const struct question *questions)
{
	struct acl *acl = rules_of(text, allow_by_default);
	ask_all(acl, NO_RULES, questions);
	acl_put(&acl);
}

static void test_default(void **state)
{
	(void)state;
	static const struct question DENIED[] = {{'P', "a", false, NULL, NULL}, {'S', "a", false, NULL, NULL}, {0}};
	static const struct question ALLOWED[] = {
		{'P', "a", true, NULL, NULL}, {'S', "#", true, NULL, NULL}, {'P', "$SYS/a", true, NULL, NULL}, {0}};
	expect("", false, DENIED);
	expect("", true, ALLOWED);
	expect("# only a comment\n\n  \t\n", true, ALLOWED);
}

static void test_first_that_applies_decides(void **state)
{
	(void)state;
	static const struct question QUESTIONS[] = {
		{'P', "a/b", true, NULL, NULL},
		{'P', "a/secret", false, NULL, NULL},
		{'P', "a/open", true, NULL, NULL},
		{'P', "b", false, NULL, NULL},
		{'S', "a/b", false, NULL, NULL},
		{'S', "cmd/c1/x", true, NULL, NULL},
		{'S', "cmd/c2/x", false, NULL, NULL},
		{'P', "cmd/c1/x", false, NULL, NULL},
		{'P', "both", true, NULL, NULL},
		{'S', "both", true, NULL, NULL},
		{0},
	};
	expect("deny publish a/secret\n"
	       "allow publish a/+\n"
	       "deny all a/#\n"
	       "allow subscribe cmd/%c/#\n"
	       "allow all both\n",
	       false, QUESTIONS);
}

static void test_subscribing_with_wildcards(void **state)
{
	(void)state;
	static const struct question COVERED[] = {
		{'S', "a/b", true, NULL, NULL},   {'S', "a/+", true, NULL, NULL},
		{'S', "a/#", false, NULL, NULL},  {'S', "+/b", false, NULL, NULL},
		{'S', "b/c/#", true, NULL, NULL}, {'S', "b/+/d", true, NULL, NULL},
		{'S', "b/#", true, NULL, NULL},   {'S', "+/#", false, NULL, NULL},
		{'S', "#", false, NULL, NULL},    {0},
	};
	expect("allow subscribe a/+\nallow subscribe b/#\n", false, COVERED);
	/* Who asks for a part of what is denied gets nothing. */
	static const struct question OVERLAPPING[] = {
		{'S', "#", false, NULL, NULL},        {'S', "secret/#", false, NULL, NULL},
		{'S', "secret/x", false, NULL, NULL}, {'S', "+", false, NULL, NULL},
		{'S', "+/x", false, NULL, NULL},      {'S', "open/#", true, NULL, NULL},
		{'S', "open/+", true, NULL, NULL},    {'P', "secret/x", true, NULL, NULL},
		{'S', "+/x/y/z", false, NULL, NULL},  {0},
	};
	expect("deny subscribe secret/#\nallow all #\n", false, OVERLAPPING);
	expect("deny subscribe secret/#\n", true, OVERLAPPING);
}

static void test_topics_with_a_dollar(void **state)
{
	(void)state;
	static const struct question ALLOWED[] = {{'S', "$SYS/a", false, NULL, NULL},
						  {'S', "#", true, NULL, NULL},
						  {'P', "$SYS/a", false, NULL, NULL},
						  {'P', "a", true, NULL, NULL},
						  {0}};
	expect("allow all #\n", false, ALLOWED);
	static const struct question DENIED[] = {{'S', "$SYS/a", false, NULL, NULL},
						 {'P', "$SYS/a", false, NULL, NULL},
						 {'P', "a", false, NULL, NULL},
						 {0}};
	expect("deny all #\n", true, DENIED);
	static const struct question NAMED[] = {{'S', "$SYS/a", true, NULL, NULL},
						{'S', "$SYS/#", true, NULL, NULL},
						{'S', "#", false, NULL, NULL},
						{'P', "$SYS/a", false, NULL, NULL},
						{0}};
	expect("allow subscribe $SYS/#\n", false, NAMED);
	/* "#" does not reach "$SYS/..." [MQTT-4.7.2-1], so that denying the one leaves the other. */
	static const struct question BESIDE[] = {{'S', "$SYS/a", false, NULL, NULL}, {'S', "#", true, NULL, NULL}, {0}};
	expect("deny all $SYS/#\n", true, BESIDE);
}

static void test_sections(void **state)
{
	(void)state;
	static const struct question QUESTIONS[] = {
		{'P', "news", true, NULL, NULL},
		{'P', "news", false, NULL, "bob"},
		{'P', "admin/x", false, NULL, NULL},
		{'P', "admin/x", true, NULL, "root"},
		{'P', "meter/1", true, "meter-1", NULL},
		{'P', "meter/1", true, "meter-", NULL},
		{'P', "meter/1", false, "meter", NULL},
		{'P', "meter/1", false, "xmeter-1", NULL},
		{'P', "exact", true, "panel", NULL},
		{'P', "exact", false, "panel2", NULL},
		{'P', "named", true, NULL, "Ann Smith"},
		{'P', "named", false, NULL, "Ann"},
		{'P', "somebody", true, NULL, NULL},
		{'P', "somebody", false, NULL, ""},
		{'P', "all", true, "x", ""},
		{'P', "end", true, NULL, "last"},
		{'P', "end", false, NULL, NULL},
		{0},
	};
	expect("user alice\n"
	       "  allow publish news\n"
	       "user root\n"
	       "  allow all admin/#\n"
	       "client meter-*\n"
	       "  allow publish meter/#\n"
	       "client panel\n"
	       "  allow publish exact\n"
	       "user   Ann Smith  \n"
	       "  allow publish named\n"
	       "user *\n"
	       "  allow publish somebody\n"
	       "everyone\n"
	       "allow publish all\n"
	       "user last\n"
	       "allow publish end",
	       false, QUESTIONS);
}

static void test_empty_sections(void **state)
{
	(void)state;
	static const struct question QUESTIONS[] = {{'P', "a", true, NULL, NULL}, {'P', "b", false, NULL, NULL}, {0}};
	expect("user bob\nuser alice\nclient nobody\neveryone\nallow publish a\nuser alice\n", false, QUESTIONS);
}

static void test_how_lines_may_be_written(void **state)
{
	(void)state;
	static const struct question QUESTIONS[] = {{'P', "a b/c", true, NULL, NULL}, {'P', "tab", true, NULL, NULL},
						    {'P', "# x", false, NULL, NULL},  {'P', "cr", true, NULL, NULL},
						    {'S', "#", true, NULL, NULL},     {0}};
	expect("\tallow   publish\ta b/c  \n"
	       "   # allow publish # x\n"
	       "allow publish cr\r\n"
	       "allow\tall\ttab\n"
	       "allow subscribe #",
	       false, QUESTIONS);
}

/* ---- rules of tokens ---- */

static size_t claim_rules(const char *text, uint8_t *out, size_t room)
{
	struct strict_node nodes[64];
	struct strict_json json = {.nodes = nodes, .capacity = 64};
	uint8_t copy[512];
	size_t at, size;
	memcpy(copy, text, strlen(text));
	assert_null(strict_json_read(&json, copy, strlen(text), &at));
	assert_int_equal(acl_claims_compile(&json, nodes, out, room, &size), ERROR_OK);
	return size;
}

static void expect_token(const char *file, bool allow_by_default, const char *claims, const struct question *questions)
{
	_Alignas(4) uint8_t rules[1024];
	struct acl *acl = rules_of(file, allow_by_default);
	ask_all(acl, slice_of(rules, claim_rules(claims, rules, sizeof(rules))), questions);
	acl_put(&acl);
}

static void test_token_behind_the_file(void **state)
{
	(void)state;
	static const struct question QUESTIONS[] = {
		{'P', "a/x", true, NULL, NULL},
		{'P', "a/secret", false, NULL, NULL},
		{'P', "open", true, NULL, NULL},
		{'P', "else", false, NULL, NULL},
		{'S', "a/c1", true, NULL, NULL},
		{'S', "a/c2", false, NULL, NULL},
		{0},
	};
	static const char CLAIMS[] =
		"{\"publish\":[\"a/#\"],\"subscribe\":[\"a/%c\"],\"deny\":{\"publish\":[\"open2\"]}}";
	expect_token("deny publish a/secret\nallow publish open\n", false, CLAIMS, QUESTIONS);
	/* The default lets in nobody whose token says what he may. */
	expect_token("deny publish a/secret\nallow publish open\n", true, CLAIMS, QUESTIONS);
}

static void test_token_where_the_file_says(void **state)
{
	(void)state;
	static const struct question QUESTIONS[] = {{'P', "$SYS/x", false, NULL, NULL}, {'P', "a/x", true, NULL, NULL},
						    {'P', "a/no", false, NULL, NULL},   {'P', "b", true, NULL, NULL},
						    {'P', "c", false, NULL, NULL},      {0}};
	expect_token("deny all $SYS/#\ntoken\ndeny publish a/#\nallow publish b\n", false,
		     "{\"publish\":[\"a/+\",\"$SYS/#\"],\"deny\":{\"publish\":[\"a/no\"]}}", QUESTIONS);
}

static void test_token_that_allows_nothing(void **state)
{
	(void)state;
	static const struct question NOTHING[] = {{'P', "a", false, NULL, NULL}, {'S', "a", false, NULL, NULL}, {0}};
	expect_token("", true, "{}", NOTHING);
	static const struct question ANYTHING[] = {{'P', "a", true, NULL, NULL}, {'S', "#", true, NULL, NULL}, {0}};
	expect("", true, ANYTHING);
}

/* ---- what is wrong ---- */

static const struct {
	const char *text;
	uint32_t line;
	const char *fault;
} BAD[] = {
	{"allow publish a\npermit publish b\n", 2, "is wanted at the start"},
	{"ALLOW publish a\n", 1, "is wanted at the start"},
	{"\n\n# x\nallow a/b\n", 4, "publish, subscribe or all"},
	{"allow\n", 1, "publish, subscribe or all"},
	{"allow publish\n", 1, "filter is missing"},
	{"deny publish   \r\n", 1, "filter is missing"},
	{"allow publish a/#/b\n", 1, "last level"},
	{"allow publish a+\n", 1, "alone"},
	{"allow publish a/%x\n", 1, "followed by"},
	{"allow publish a/50%\n", 1, "followed by"},
	{"allow publish \xff\n", 1, "UTF-8"},
	{"user\n", 1, "name is wanted"},
	{"client  \n", 1, "name is wanted"},
	{"user \xc3\x28\n", 1, "UTF-8"},
	{"everyone allow publish a\n", 1, "alone in its line"},
	{"token now\n", 1, "alone in its line"},
	{"token\nallow publish a\ntoken\n", 3, "second time"},
	{"user alice\ntoken\n", 2, "not in a section"},
	{"a\0b", 1, "is wanted at the start"},
};

static void test_faults_have_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct fault fault = {0};
		if (acl_new(slice_string(BAD[i].text), false, &fault) != NULL)
			fail_msg("case %zu", i);
		if (fault.line != BAD[i].line || strstr(fault.text, BAD[i].fault) == NULL)
			fail_msg("case %zu: line %u: %s", i, fault.line, fault.text);
	}
}

static void test_a_mistake_in_line_40(void **state)
{
	(void)state;
	char text[4096] = "";
	for (int line = 1; line <= 60; line++)
		strcat(text, line == 40 ? "alow publish a\n" : "allow publish a\n");
	struct fault fault;
	assert_null(acl_new(slice_string(text), false, &fault));
	assert_int_equal(fault.line, 40);
}

static void test_size_is_limited(void **state)
{
	(void)state;
	char *text = test_malloc(ACL_FILE_BYTES_MAX + 1);
	struct fault fault;
	memset(text, '\n', ACL_FILE_BYTES_MAX + 1);
	assert_null(acl_new(slice_of(text, ACL_FILE_BYTES_MAX + 1), false, &fault));
	assert_non_null(strstr(fault.text, "larger"));
	test_free(text);
}

/* Many short lines are what needs the most room beside their text. */
static void test_short_lines(void **state)
{
	(void)state;
	char *text = test_malloc(10000 * sizeof("user a*") + 1), *at = text;
	for (int i = 0; i < 10000; i++)
		at += sprintf(at, "user %c\n", 'a' + i % 26);
	struct acl *acl = rules_of(text, true);
	static const struct question QUESTIONS[] = {{'P', "a", true, NULL, NULL}, {0}};
	ask_all(acl, NO_RULES, QUESTIONS);
	acl_put(&acl);
	test_free(text);
}

static void test_serials_and_references(void **state)
{
	(void)state;
	struct acl *first = rules_of("", true), *second = rules_of("", true), *held = acl_get(first), *none = NULL;
	assert_true(acl_serial(first) != acl_serial(second));
	acl_put(&first);
	assert_null(first);
	assert_true(acl_serial(held) != 0);
	acl_put(&held);
	acl_put(&second);
	acl_put(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_first_that_applies_decides),
		cmocka_unit_test(test_subscribing_with_wildcards),
		cmocka_unit_test(test_topics_with_a_dollar),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_empty_sections),
		cmocka_unit_test(test_how_lines_may_be_written),
		cmocka_unit_test(test_token_behind_the_file),
		cmocka_unit_test(test_token_where_the_file_says),
		cmocka_unit_test(test_token_that_allows_nothing),
		cmocka_unit_test(test_faults_have_lines),
		cmocka_unit_test(test_a_mistake_in_line_40),
		cmocka_unit_test(test_size_is_limited),
		cmocka_unit_test(test_short_lines),
		cmocka_unit_test(test_serials_and_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
