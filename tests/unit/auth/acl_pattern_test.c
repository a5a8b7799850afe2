/* Filters with placeholders: what they cover, what they overlap with, and that no name of a client widens them. */
#include "auth/rules/acl_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEXT_BYTES 256u

static struct slice compiled(const char *text, uint8_t out[TEXT_BYTES])
{
	size_t size;
	const char *wrong = acl_pattern_compile(slice_string(text), out, &size);
	if (wrong != NULL)
		fail_msg("%s: %s", text, wrong);
	return slice_of(out, size);
}

static struct acl_identity identity_of(const char *client_id, const char *user)
{
	return (struct acl_identity){.client_id = slice_string(client_id), .user = slice_string(user)};
}

static const struct {
	const char *pattern, *asked;
	bool covers, overlaps;
} RELATIONS[] = {
	/* names */
	{"a", "a", true, true},
	{"a", "b", false, false},
	{"a", "a/", false, false},
	{"a/b", "a", false, false},
	{"a", "a/b", false, false},
	{"/", "/", true, true},
	{"/a", "a", false, false},
	{"a/+", "a/b", true, true},
	{"a/+", "a/", true, true},
	{"a/+", "a", false, false},
	{"a/+", "a/b/c", false, false},
	{"a/#", "a", true, true},
	{"a/#", "a/b/c", true, true},
	{"a/#", "ab", false, false},
	{"#", "a/b", true, true},
	{"+/b", "a/b", true, true},
	{"+/#", "a", true, true},
	/* filters */
	{"a/+", "a/+", true, true},
	{"a/+", "a/#", false, true},
	{"a/#", "a/#", true, true},
	{"a/#", "a/+", true, true},
	{"a/#", "a/+/#", true, true},
	{"a/#", "+/b", false, true},
	{"a/#", "#", false, true},
	{"a/#", "b/#", false, false},
	{"a/b", "a/+", false, true},
	{"a/b", "a/#", false, true},
	{"a/b", "+/+", false, true},
	{"a/b", "+", false, false},
	{"a/b", "+/c", false, false},
	{"a", "a/#", false, true},
	{"a", "a/b/#", false, false},
	{"+", "#", false, true},
	{"+", "+", true, true},
	{"+/+", "+", false, false},
	{"#", "#", true, true},
	{"#", "+/+/#", true, true},
	{"+/#", "#", true, true},
	{"+/+/#", "#", false, true},
	{"+/b/#", "a/+", false, true},
	{"+/b/#", "a/b", true, true},
	{"+/b", "a/+", false, true},
	{"a/+/c", "a/b/#", false, true},
	{"a/+/c", "a/+/c", true, true},
	{"a/+/c", "+/b/c", false, true},
	{"a/+/c", "+/b/d", false, false},
	/* '$' in front: an allowing "#" does not reach there, a denying one does; an asked-for "#" does not either */
	{"#", "$SYS/a", false, true},
	{"+/a", "$SYS/a", false, true},
	{"#", "$SYS/#", false, true},
	{"$SYS/#", "$SYS/a", true, true},
	{"$SYS/#", "$SYS", true, true},
	{"$SYS/#", "#", false, false},
	{"$SYS/#", "+/a", false, false},
	{"$SYS/#", "$SYS/+", true, true},
	{"a/+", "a/$b", true, true},
	/* placeholders, for client "c" of user "u" */
	{"%c", "c", true, true},
	{"%c", "d", false, false},
	{"x/%c/#", "x/c/y/z", true, true},
	{"x/%c/#", "x/c", true, true},
	{"x/%c/#", "x/d/y", false, false},
	{"x/%c/#", "x/+/y", false, true},
	{"x/%c/#", "x/#", false, true},
	{"x/%c/+", "x/c/+", true, true},
	{"x/%c/+", "x/c/#", false, true},
	{"%u/%c", "u/c", true, true},
	{"%u/%c", "c/u", false, false},
	{"dev-%c.%u/x", "dev-c.u/x", true, true},
	{"dev-%c.%u/x", "dev-c.u2/x", false, false},
	{"dev-%c.%u/x", "dev-c.", false, false},
	{"dev-%c.%u/x", "+/x", false, true},
	{"%c%c", "cc", true, true},
	{"%c%c", "c", false, false},
	{"100%%/%c", "100%/c", true, true},
	{"100%%", "100%%", false, false},
};

static void test_relations(void **state)
{
	(void)state;
	struct acl_identity identity = identity_of("c", "u");
	for (size_t i = 0; i < sizeof(RELATIONS) / sizeof(RELATIONS[0]); i++) {
		uint8_t out[TEXT_BYTES];
		struct slice pattern = compiled(RELATIONS[i].pattern, out), asked = slice_string(RELATIONS[i].asked);
		if (acl_pattern_covers(pattern, &identity, asked) != RELATIONS[i].covers)
			fail_msg("%s covers %s", RELATIONS[i].pattern, RELATIONS[i].asked);
		if (acl_pattern_overlaps(pattern, &identity, asked) != RELATIONS[i].overlaps)
			fail_msg("%s overlaps %s", RELATIONS[i].pattern, RELATIONS[i].asked);
	}
}

/* Whoever may choose his client id or user name must not choose his rights. What allows covers nothing; what denies
 * covers everything from the placeholder's level on. */
static const struct {
	const char *client_id, *user;
	const char *pattern, *asked;
} WIDENINGS[] = {
	{"+", "u", "x/%c/y", "x/+/y"},
	{"+", "u", "x/%c/y", "x/z/y"},
	{"#", "u", "x/%c", "x/#"},
	{"#", "u", "x/%c", "x/z"},
	{"a/b", "u", "x/%c", "x/a/b"},
	{"a/#", "u", "x/%c/#", "x/a/#"},
	{"a+", "u", "x/%c/#", "x/a+/b"},
	{"/", "u", "%c/#", "//x"},
	{"a/+/b", "u", "x/pre-%c/#", "x/pre-a/q/b"},
	{"", "u", "x/%c/#", "x//y"},
	{"c", "", "x/%u/#", "x//y"},
	{"c", "", "x/%u/#", "x/anything"},
	{"c", "+", "x/%u/#", "x/+/y"},
	{"c", "a/b", "x/%c-%u", "x/c-a/b"},
	{"$SYS", "u", "%c/#", "$SYS/#"},
	{"$SYS", "u", "%c/#", "$SYS/x"},
	{"$share", "u", "%c/#", "$share/g/x"},
	{"c", "$SYS", "%u/#", "$SYS/x"},
};

static void test_values_that_could_widen_a_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(WIDENINGS) / sizeof(WIDENINGS[0]); i++) {
		uint8_t out[TEXT_BYTES];
		struct acl_identity identity = identity_of(WIDENINGS[i].client_id, WIDENINGS[i].user);
		struct slice pattern = compiled(WIDENINGS[i].pattern, out), asked = slice_string(WIDENINGS[i].asked);
		if (acl_pattern_covers(pattern, &identity, asked))
			fail_msg("%s of %s covers %s", WIDENINGS[i].pattern, WIDENINGS[i].client_id,
				 WIDENINGS[i].asked);
		if (!acl_pattern_overlaps(pattern, &identity, asked))
			fail_msg("%s of %s does not overlap %s", WIDENINGS[i].pattern, WIDENINGS[i].client_id,
				 WIDENINGS[i].asked);
	}
}

static void test_dollar_inside_is_nothing_special(void **state)
{
	(void)state;
	uint8_t out[TEXT_BYTES];
	struct acl_identity identity = identity_of("$c", "u");
	assert_true(acl_pattern_covers(compiled("x/%c/#", out), &identity, slice_string("x/$c/y")));
	assert_true(acl_pattern_covers(compiled("x%c", out), &identity, slice_string("x$c")));
}

/* ---- against the definition, on everything that is small ---- */

/* Topics and filters of at most three levels of these. */
static const char *const LEVELS[] = {"a", "b", "", "+", "#"};
#define LEVEL_KINDS 5u
#define TOPIC_KINDS 3u
#define DEPTH 3u
/* A level more than any filter here has, so that "#" is seen to reach beyond. */
#define TOPIC_DEPTH 4u

static bool make(unsigned number, unsigned kinds, unsigned depth, char out[64])
{
	out[0] = '\0';
	for (unsigned i = 0; i < depth; i++, number /= kinds) {
		const char *level = LEVELS[number % kinds];
		if (i > 0)
			strcat(out, "/");
		strcat(out, level);
		if (level[0] == '#' && i + 1 < depth)
			return false;
	}
	return true;
}

static unsigned power(unsigned base, unsigned exponent)
{
	unsigned result = 1;
	while (exponent-- > 0)
		result *= base;
	return result;
}

/* [4.7], character by character. The empty topic, to which nobody can publish, is one like others here. */
static bool matches(const char *filter, const char *topic)
{
	if (*filter == '\0')
		return *topic == '\0';
	if (*filter == '#')
		return true;
	if (*filter == '+') {
		while (*topic != '\0' && *topic != '/')
			topic++;
		return matches(filter + 1, topic);
	}
	if (*topic == '\0')
		return strcmp(filter, "/#") == 0;
	return *filter == *topic && matches(filter + 1, topic + 1);
}

static void relate(const char *pattern, const char *asked, bool *covers, bool *overlaps)
{
	*covers = true;
	*overlaps = false;
	for (unsigned depth = 1; depth <= TOPIC_DEPTH; depth++) {
		for (unsigned i = 0; i < power(TOPIC_KINDS, depth); i++) {
			char topic[64];
			if (!make(i, TOPIC_KINDS, depth, topic) || !matches(asked, topic))
				continue;
			if (matches(pattern, topic))
				*overlaps = true;
			else
				*covers = false;
		}
	}
}

/* The topics have three names for a level, so that '+' stands for more than any one; "+" and "a" differ. */
static void test_all_small_filters(void **state)
{
	(void)state;
	struct acl_identity identity = identity_of("c", "u");
	unsigned compared = 0;
	for (unsigned depth = 1; depth <= DEPTH; depth++) {
		for (unsigned i = 0; i < power(LEVEL_KINDS, depth); i++) {
			char pattern[64];
			uint8_t out[TEXT_BYTES];
			if (!make(i, LEVEL_KINDS, depth, pattern) || pattern[0] == '\0')
				continue;
			for (unsigned asked_depth = 1; asked_depth <= DEPTH; asked_depth++) {
				for (unsigned j = 0; j < power(LEVEL_KINDS, asked_depth); j++) {
					char asked[64];
					bool covers, overlaps;
					if (!make(j, LEVEL_KINDS, asked_depth, asked) || asked[0] == '\0')
						continue;
					relate(pattern, asked, &covers, &overlaps);
					struct slice p = compiled(pattern, out), a = slice_string(asked);
					if (acl_pattern_covers(p, &identity, a) != covers)
						fail_msg("%s covers %s", pattern, asked);
					if (acl_pattern_overlaps(p, &identity, a) != overlaps)
						fail_msg("%s overlaps %s", pattern, asked);
					compared++;
				}
			}
		}
	}
	assert_true(compared > 10000);
}

/* ---- compiling ---- */

static const struct {
	const char *text;
	const char *fault;
} BAD[] = {
	{"", "missing"},         {"a/#/b", "last level"}, {"#/a", "last level"},  {"a#", "alone"},
	{"a/+b", "alone"},       {"a/b+/c", "alone"},     {"%c+", "alone"},       {"+%c/x", "alone"},
	{"%c#", "alone"},        {"%", "followed by"},    {"a/%", "followed by"}, {"a/%x", "followed by"},
	{"a/%C", "followed by"}, {"%%%", "followed by"},  {"\xff", "UTF-8"},      {"a/\xfe/b", "UTF-8"},
	{"a\x01", "control"},    {"a\x7f", "control"},
};

static void test_bad_filters(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		uint8_t out[TEXT_BYTES];
		size_t size;
		const char *wrong = acl_pattern_compile(slice_string(BAD[i].text), out, &size);
		if (wrong == NULL || strstr(wrong, BAD[i].fault) == NULL)
			fail_msg("%s: %s", BAD[i].text, wrong == NULL ? "taken" : wrong);
	}
}

static void test_filters_are_limited(void **state)
{
	(void)state;
	uint8_t *text = test_malloc(ACL_PATTERN_BYTES_MAX + 1), *out = test_malloc(ACL_PATTERN_BYTES_MAX + 1);
	size_t size;
	memset(text, 'a', ACL_PATTERN_BYTES_MAX + 1);
	assert_null(acl_pattern_compile(slice_of(text, ACL_PATTERN_BYTES_MAX), out, &size));
	assert_non_null(acl_pattern_compile(slice_of(text, ACL_PATTERN_BYTES_MAX + 1), out, &size));
	memset(text, '/', ACL_PATTERN_LEVELS_MAX);
	assert_null(acl_pattern_compile(slice_of(text, ACL_PATTERN_LEVELS_MAX - 1), out, &size));
	assert_non_null(acl_pattern_compile(slice_of(text, ACL_PATTERN_LEVELS_MAX), out, &size));
	test_free(text);
	test_free(out);
}

static void test_literals_are_told(void **state)
{
	(void)state;
	static const char *const OTHERS[] = {"a/+", "#", "a/%c", "%u"};
	uint8_t out[TEXT_BYTES];
	assert_true(acl_pattern_is_literal(compiled("a/b%%/c", out)));
	for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
		assert_false(acl_pattern_is_literal(compiled(OTHERS[i], out)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relations),
		cmocka_unit_test(test_values_that_could_widen_a_rule),
		cmocka_unit_test(test_dollar_inside_is_nothing_special),
		cmocka_unit_test(test_all_small_filters),
		cmocka_unit_test(test_bad_filters),
		cmocka_unit_test(test_filters_are_limited),
		cmocka_unit_test(test_literals_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
