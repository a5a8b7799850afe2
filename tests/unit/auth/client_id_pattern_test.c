/* Client ids that a user may have. */
#include "auth/rules/client_id_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_what_is_well_formed(void **state)
{
	(void)state;
	static const char *const GOOD[] = {"", "%u", "%u-*", "*", "a%%b", "%u%u", "x/%u/*"};
	static const char *const BAD[] = {"%", "%c", "a%", "*a", "%u*-*", "%U", "**"};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++)
		if (client_id_pattern_check(slice_string(GOOD[i])) != NULL)
			fail_msg("%s", GOOD[i]);
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		if (client_id_pattern_check(slice_string(BAD[i])) == NULL)
			fail_msg("%s", BAD[i]);
}

static const struct {
	const char *pattern, *user, *id;
	bool allowed;
} CASES[] = {
	{"%u", "alice", "alice", true},
	{"%u", "alice", "alice2", false},
	{"%u", "alice", "alic", false},
	{"%u", "alice", "bob", false},
	{"%u", "", "alice", false},
	{"%u-*", "alice", "alice-", true},
	{"%u-*", "alice", "alice-phone", true},
	{"%u-*", "alice", "alice", false},
	{"%u-*", "al", "alice-phone", false},
	{"%u-*", "", "-phone", false},
	{"%u*", "", "anything", false},
	{"*", "", "anything", true},
	{"meter-%u", "7", "meter-7", true},
	{"meter-%u", "7", "meter-77", false},
	{"%u.%u", "a", "a.a", true},
	{"50%%-%u", "a", "50%-a", true},
	{"%u", "%u", "%u", true},
	{"%u-*", "a*", "a*-x", true},
	{"%u-*", "a*", "ab-x", false},
};

static void test_who_may_have_what(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		if (client_id_pattern_allows(slice_string(CASES[i].pattern), slice_string(CASES[i].user),
					     slice_string(CASES[i].id)) != CASES[i].allowed)
			fail_msg("%s of %s: %s", CASES[i].pattern, CASES[i].user, CASES[i].id);
}

static void test_what_is_assigned(void **state)
{
	(void)state;
	uint8_t out[8];
	size_t size;
	bool open;
	assert_true(client_id_pattern_expand(slice_string("%u-*"), slice_string("alice"), out, 8, &size, &open));
	assert_true(open && size == 6 && memcmp(out, "alice-", 6) == 0);
	assert_true(client_id_pattern_expand(slice_string("%u%%"), slice_string("alice"), out, 6, &size, &open));
	assert_true(!open && size == 6 && memcmp(out, "alice%", 6) == 0);
	assert_false(client_id_pattern_expand(slice_string("%u-*"), slice_string("alice"), out, 5, &size, &open));
	assert_false(client_id_pattern_expand(slice_string("%u"), slice_string(""), out, 8, &size, &open));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_well_formed),
		cmocka_unit_test(test_who_may_have_what),
		cmocka_unit_test(test_what_is_assigned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
