/* Who may ask: tokens from files, names of this machine, pages of other origins. */
#include "admin/api/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TOKEN "0123456789abcdef-a-token"

static char path[] = "/tmp/roost-token-XXXXXX";
static char fault[GUARD_FAULT_BYTES_MAX];

static bool read_token(struct guard *guard, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	fault[0] = '\0';
	return guard_read_token(guard, path, fault);
}

static int open_guard(void **state)
{
	static struct guard guard;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	guard_init(&guard);
	*state = &guard;
	return 0;
}

static int close_guard(void **state)
{
	guard_fini(*state);
	unlink(path);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	return 0;
}

static struct slice header(const char *value)
{
	return value != NULL ? slice_string(value) : slice_of(NULL, 0);
}

static enum guard_verdict check(struct guard *guard, const char *authorization, const char *host, const char *origin,
				bool changes)
{
	struct guard_claim claim = {.authorization = header(authorization),
				    .host = header(host),
				    .origin = header(origin),
				    .changes = changes};
	return guard_check(guard, &claim);
}

static void test_token(void **state)
{
	struct guard *guard = *state;
	assert_true(read_token(guard, TOKEN "\nand more\n"));
	assert_int_equal(check(guard, NULL, "example.com", NULL, false), GUARD_NO_TOKEN);
	assert_int_equal(check(guard, "Basic abc", "example.com", NULL, false), GUARD_NO_TOKEN);
	assert_int_equal(check(guard, "Bearer", "example.com", NULL, false), GUARD_NO_TOKEN);
	assert_int_equal(check(guard, "Bearer ", "example.com", NULL, false), GUARD_WRONG_TOKEN);
	assert_int_equal(check(guard, "Bearer " TOKEN "x", "example.com", NULL, false), GUARD_WRONG_TOKEN);
	assert_int_equal(check(guard, "Bearer 0123456789abcdef", "example.com", NULL, false), GUARD_WRONG_TOKEN);
	assert_int_equal(check(guard, "Bearer " TOKEN, "example.com", NULL, true), GUARD_GRANTED);
	assert_int_equal(check(guard, "bearer " TOKEN, NULL, NULL, true), GUARD_GRANTED);
}

static void test_token_files(void **state)
{
	struct guard *guard = *state;
	static const char *const WRONG[] = {
		"", "\n", "short\n", "fifteen letters", "0123456789 abcdef0123\n", "0123456789\tabcdef0123\n"};
	assert_true(read_token(guard, TOKEN));
	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		assert_false(read_token(guard, WRONG[i]));
		assert_non_null(strstr(fault, path));
	}
	char longest[GUARD_TOKEN_BYTES_MAX + 2];
	memset(longest, 'x', sizeof(longest));
	longest[GUARD_TOKEN_BYTES_MAX + 1] = '\0';
	assert_false(read_token(guard, longest));
	/* All of these have left the good one. */
	assert_int_equal(check(guard, "Bearer " TOKEN, NULL, NULL, false), GUARD_GRANTED);
	longest[GUARD_TOKEN_BYTES_MAX] = '\0';
	assert_true(read_token(guard, longest));
	assert_false(guard_read_token(guard, "/nowhere/token", fault));
	assert_non_null(strstr(fault, "/nowhere/token"));
	assert_int_equal(check(guard, "Bearer " TOKEN, NULL, NULL, false), GUARD_WRONG_TOKEN);
	assert_true(guard_read_token(guard, "", fault));
	assert_int_equal(check(guard, NULL, NULL, NULL, false), GUARD_GRANTED);
}

static void test_without_a_token_only_by_local_names(void **state)
{
	struct guard *guard = *state;
	static const char *const LOCAL[] = {"localhost",    "LocalHost:9883", "127.0.0.1",
					    "127.1.2.3:80", "[::1]",          "[::1]:9883"};
	static const char *const STRANGE[] = {"example.com",
					      "localhost.example.com",
					      "10.0.0.1:9883",
					      "[::2]:1",
					      "127.0.0.1.example.com",
					      "",
					      "[::1",
					      "::1",
					      "127.0.0.1@example.com",
					      "xlocalhost:9883",
					      "0x7f000001"};
	for (size_t i = 0; i < sizeof(LOCAL) / sizeof(LOCAL[0]); i++)
		assert_int_equal(check(guard, NULL, LOCAL[i], NULL, true), GUARD_GRANTED);
	for (size_t i = 0; i < sizeof(STRANGE) / sizeof(STRANGE[0]); i++) {
		enum guard_verdict wanted = strcmp(STRANGE[i], "[::1") == 0 ? GUARD_GRANTED : GUARD_WRONG_HOST;
		assert_int_equal(check(guard, NULL, STRANGE[i], NULL, false), wanted);
	}
}

static void test_changes_from_other_origins(void **state)
{
	struct guard *guard = *state;
	assert_int_equal(check(guard, NULL, "localhost:9883", "http://localhost:9883", true), GUARD_GRANTED);
	assert_int_equal(check(guard, NULL, "localhost:9883", "http://localhost:80", true), GUARD_WRONG_ORIGIN);
	assert_int_equal(check(guard, NULL, "localhost:9883", "http://example.com", true), GUARD_WRONG_ORIGIN);
	assert_int_equal(check(guard, NULL, "localhost:9883", "null", true), GUARD_WRONG_ORIGIN);
	assert_int_equal(check(guard, NULL, "localhost:9883", "http://example.com", false), GUARD_GRANTED);
	struct guard_claim claim = {
		.host = header("localhost"), .origin = header("http://example.com"), .changes = true};
	assert_int_equal(guard_check_open(&claim), GUARD_WRONG_ORIGIN);
	assert_true(read_token(guard, TOKEN));
	assert_int_equal(check(guard, "Bearer " TOKEN, "a.example", "http://b.example", true), GUARD_WRONG_ORIGIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_token, open_guard, close_guard),
		cmocka_unit_test_setup_teardown(test_token_files, open_guard, close_guard),
		cmocka_unit_test_setup_teardown(test_without_a_token_only_by_local_names, open_guard, close_guard),
		cmocka_unit_test_setup_teardown(test_changes_from_other_origins, open_guard, close_guard),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
