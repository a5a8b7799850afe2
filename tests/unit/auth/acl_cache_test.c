/* Remembered decisions: they are those of the rules, for that client, topic, rules and token. */
#include "auth/rules/acl_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The key is drawn: among so many, two decisions of a test do not meet in one slot. */
#define SLOTS (1u << 20)

static bool check(struct acl_cache *cache, const struct acl_subject *subject, const char *topic)
{
	return acl_cache_check(cache, subject, slice_string(topic));
}

static struct acl_subject subject_of(const struct acl *acl, const char *client_id)
{
	return (struct acl_subject){.acl = acl, .identity = {.client_id = slice_string(client_id)}};
}

static struct acl *rules_of(const char *text)
{
	struct fault fault;
	struct acl *acl = acl_new(slice_string(text), false, &fault);
	assert_non_null(acl);
	return acl;
}

static void test_second_time_is_remembered(void **state)
{
	(void)state;
	struct acl_cache cache;
	assert_int_equal(acl_cache_open(&cache, SLOTS), ERROR_OK);
	struct acl *acl = rules_of("allow publish a/%c\n");
	struct acl_subject subject = subject_of(acl, "c1");
	for (uint64_t round = 0; round < 3; round++) {
		assert_true(check(&cache, &subject, "a/c1"));
		assert_false(check(&cache, &subject, "a/c2"));
		assert_true(cache.misses == 2);
		assert_true(cache.hits == 2 * round);
	}
	acl_put(&acl);
	acl_cache_close(&cache);
}

/* With one slot, every decision meets another's. */
static void test_everything_it_depends_on_is_told_apart(void **state)
{
	(void)state;
	for (uint32_t slots = 1; slots <= 4096; slots *= 64) {
		struct acl_cache cache;
		assert_int_equal(acl_cache_open(&cache, slots), ERROR_OK);
		struct acl *strict = rules_of("allow publish a/%c\n"), *loose = rules_of("allow publish a/#\n");
		struct acl_subject one = subject_of(strict, "c1"), other = subject_of(strict, "c2"),
				   free = subject_of(loose, "c2");
		/* The token's rules: none that allow anything. */
		struct acl_subject bound = subject_of(strict, "c1");
		bound.token_rules = slice_of("", 0);
		bound.token_serial = 7;
		for (int round = 0; round < 3; round++) {
			assert_true(check(&cache, &one, "a/c1"));
			assert_false(check(&cache, &other, "a/c1"));
			assert_true(check(&cache, &free, "a/c1"));
			assert_true(check(&cache, &other, "a/c2"));
			assert_false(check(&cache, &one, "a/c2"));
			assert_false(check(&cache, &one, "a"));
			assert_true(check(&cache, &bound, "a/c1"));
		}
		acl_put(&strict);
		acl_put(&loose);
		acl_cache_close(&cache);
	}
}

static void test_new_rules_are_asked_anew(void **state)
{
	(void)state;
	struct acl_cache cache;
	assert_int_equal(acl_cache_open(&cache, SLOTS), ERROR_OK);
	struct acl *before = rules_of("allow publish a\n");
	struct acl_subject subject = subject_of(before, "c1");
	assert_true(check(&cache, &subject, "a"));
	struct acl *after = rules_of("deny publish a\n");
	subject.acl = after;
	assert_false(check(&cache, &subject, "a"));
	acl_put(&before);
	acl_put(&after);
	acl_cache_close(&cache);
}

static void test_token_serial_counts(void **state)
{
	(void)state;
	struct acl_cache cache;
	assert_int_equal(acl_cache_open(&cache, SLOTS), ERROR_OK);
	struct fault fault;
	struct acl *acl = acl_new(slice_string(""), true, &fault);
	struct acl_subject subject = subject_of(acl, "c1");
	assert_true(check(&cache, &subject, "a"));
	subject.token_rules = slice_of("", 0);
	subject.token_serial = 1;
	assert_false(check(&cache, &subject, "a"));
	subject.token_rules = slice_of(NULL, 0);
	subject.token_serial = 0;
	assert_true(check(&cache, &subject, "a"));
	assert_true(cache.hits == 1);
	acl_put(&acl);
	acl_cache_close(&cache);
}

/* The client id and the user name must not be able to change places. */
static void test_names_do_not_change_places(void **state)
{
	(void)state;
	struct acl_cache cache;
	assert_int_equal(acl_cache_open(&cache, 1), ERROR_OK);
	struct acl *acl = rules_of("allow publish %c/%u\n");
	struct acl_subject one = subject_of(acl, "a"), other = subject_of(acl, "b");
	one.identity.user = slice_string("b");
	other.identity.user = slice_string("a");
	for (int round = 0; round < 2; round++) {
		assert_true(check(&cache, &one, "a/b"));
		assert_false(check(&cache, &other, "a/b"));
	}
	acl_put(&acl);
	acl_cache_close(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_time_is_remembered),
		cmocka_unit_test(test_everything_it_depends_on_is_told_apart),
		cmocka_unit_test(test_new_rules_are_asked_anew),
		cmocka_unit_test(test_token_serial_counts),
		cmocka_unit_test(test_names_do_not_change_places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
