/* Remembered passwords: only those that were remembered, and only for the hash that they were good for. */
#include "auth/password/password_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECRET "$argon2id$v=19$m=8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA"
#define OTHER "$argon2id$v=19$m=8,t=1,p=1$11gULrCzpx7oM/KiV1ssiQ$qndHYj3P7VPoFbb+HjUW85zc+ImRzNmu8fjjTzC0gII"

static struct password_file *file_of(const char *text)
{
	struct fault fault;
	struct password_file *file = password_file_new(slice_string(text), &fault);
	assert_non_null(file);
	return file;
}

static bool has(struct password_cache *cache, const struct password_file *file, const char *user, const char *password)
{
	return password_cache_has(cache, file, slice_string(user), slice_string(password));
}

static void test_what_was_remembered(void **state)
{
	(void)state;
	struct password_cache cache;
	struct password_file *file = file_of("alice:" SECRET "\nbob:" SECRET "\n");
	assert_int_equal(password_cache_open(&cache, 1024), ERROR_OK);
	assert_false(has(&cache, file, "alice", "secret"));
	password_cache_remember(&cache, file, slice_string("alice"), slice_string("secret"));
	assert_true(has(&cache, file, "alice", "secret"));
	assert_false(has(&cache, file, "alice", "Secret"));
	assert_false(has(&cache, file, "alice", ""));
	assert_false(has(&cache, file, "bob", "secret")); /* the same hash, another name */
	assert_false(has(&cache, file, "alices", "ecret"));
	assert_false(has(&cache, file, "nobody", "secret"));
	assert_true(cache.hits == 1);
	password_file_put(&file);
	password_cache_close(&cache);
}

static void test_a_changed_password_is_forgotten(void **state)
{
	(void)state;
	struct password_cache cache;
	struct password_file *before = file_of("alice:" SECRET "\n"), *changed = file_of("alice:" OTHER "\n"),
			     *without = file_of("bob:" SECRET "\n"),
			     *same = file_of("bob:" OTHER "\nalice:" SECRET "\n");
	assert_int_equal(password_cache_open(&cache, 1024), ERROR_OK);
	password_cache_remember(&cache, before, slice_string("alice"), slice_string("secret"));
	assert_true(has(&cache, before, "alice", "secret"));
	assert_false(has(&cache, changed, "alice", "secret"));
	assert_false(has(&cache, without, "alice", "secret"));
	assert_true(has(&cache, same, "alice", "secret"));
	password_cache_remember(&cache, without, slice_string("alice"), slice_string("secret"));
	assert_false(has(&cache, without, "alice", "secret"));
	password_file_put(&before);
	password_file_put(&changed);
	password_file_put(&without);
	password_file_put(&same);
	password_cache_close(&cache);
}

static void test_newer_takes_the_place(void **state)
{
	(void)state;
	struct password_cache cache;
	struct password_file *file = file_of("alice:" SECRET "\nbob:" SECRET "\n");
	assert_int_equal(password_cache_open(&cache, 1), ERROR_OK);
	password_cache_remember(&cache, file, slice_string("alice"), slice_string("secret"));
	password_cache_remember(&cache, file, slice_string("bob"), slice_string("secret"));
	assert_true(has(&cache, file, "bob", "secret"));
	assert_false(has(&cache, file, "alice", "secret"));
	password_file_put(&file);
	password_cache_close(&cache);
}

/* An empty slot must not be anyone's. */
static void test_nothing_remembered(void **state)
{
	(void)state;
	struct password_cache cache;
	struct password_file *file = file_of("alice:" SECRET "\n");
	assert_int_equal(password_cache_open(&cache, 1), ERROR_OK);
	for (int i = 0; i < 1000; i++) {
		char password[16];
		snprintf(password, sizeof(password), "%d", i);
		assert_false(has(&cache, file, "alice", password));
	}
	password_file_put(&file);
	password_cache_close(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_remembered),
		cmocka_unit_test(test_a_changed_password_is_forgotten),
		cmocka_unit_test(test_newer_takes_the_place),
		cmocka_unit_test(test_nothing_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
