/* Who may ask: tokens from files, names of this machine, pages of other origins. */
#include "admin/access.h"

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
static char fault[ACCESS_FAULT_BYTES_MAX];

static bool read_token(struct access *access, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	fault[0] = '\0';
	return access_read_token(access, path, fault);
}

static int open_access(void **state)
{
	static struct access access;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	access_init(&access);
	*state = &access;
	return 0;
}

static int close_access(void **state)
{
	access_fini(*state);
	unlink(path);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	return 0;
}

static enum access_verdict check(struct access *access, const char *authorization, const char *host, const char *origin,
				 bool changes)
{
	struct access_claim claim = {
		.authorization = authorization, .host = host, .origin = origin, .changes = changes};
	return access_check(access, &claim);
}

static void test_token(void **state)
{
	struct access *access = *state;
	assert_true(read_token(access, TOKEN "\nand more\n"));
	assert_int_equal(check(access, NULL, "example.com", NULL, false), ACCESS_NO_TOKEN);
	assert_int_equal(check(access, "Basic abc", "example.com", NULL, false), ACCESS_NO_TOKEN);
	assert_int_equal(check(access, "Bearer", "example.com", NULL, false), ACCESS_NO_TOKEN);
	assert_int_equal(check(access, "Bearer ", "example.com", NULL, false), ACCESS_WRONG_TOKEN);
	assert_int_equal(check(access, "Bearer " TOKEN "x", "example.com", NULL, false), ACCESS_WRONG_TOKEN);
	assert_int_equal(check(access, "Bearer 0123456789abcdef", "example.com", NULL, false), ACCESS_WRONG_TOKEN);
	assert_int_equal(check(access, "Bearer " TOKEN, "example.com", NULL, true), ACCESS_GRANTED);
	assert_int_equal(check(access, "bearer " TOKEN, NULL, NULL, true), ACCESS_GRANTED);
}

static void test_token_files(void **state)
{
	struct access *access = *state;
	static const char *const WRONG[] = {
		"", "\n", "short\n", "fifteen letters", "0123456789 abcdef0123\n", "0123456789\tabcdef0123\n"};
	assert_true(read_token(access, TOKEN));
	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		assert_false(read_token(access, WRONG[i]));
		assert_non_null(strstr(fault, path));
	}
	char longest[ACCESS_TOKEN_BYTES_MAX + 2];
	memset(longest, 'x', sizeof(longest));
	longest[ACCESS_TOKEN_BYTES_MAX + 1] = '\0';
	assert_false(read_token(access, longest));
	/* All of these have left the good one. */
	assert_int_equal(check(access, "Bearer " TOKEN, NULL, NULL, false), ACCESS_GRANTED);
	longest[ACCESS_TOKEN_BYTES_MAX] = '\0';
	assert_true(read_token(access, longest));
	assert_false(access_read_token(access, "/nowhere/token", fault));
	assert_non_null(strstr(fault, "/nowhere/token"));
	assert_int_equal(check(access, "Bearer " TOKEN, NULL, NULL, false), ACCESS_WRONG_TOKEN);
	assert_true(access_read_token(access, "", fault));
	assert_int_equal(check(access, NULL, NULL, NULL, false), ACCESS_GRANTED);
}

static void test_without_a_token_only_by_local_names(void **state)
{
	struct access *access = *state;
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
		assert_int_equal(check(access, NULL, LOCAL[i], NULL, true), ACCESS_GRANTED);
	for (size_t i = 0; i < sizeof(STRANGE) / sizeof(STRANGE[0]); i++) {
		enum access_verdict wanted = strcmp(STRANGE[i], "[::1") == 0 ? ACCESS_GRANTED : ACCESS_WRONG_HOST;
		assert_int_equal(check(access, NULL, STRANGE[i], NULL, false), wanted);
	}
}

static void test_changes_from_other_origins(void **state)
{
	struct access *access = *state;
	assert_int_equal(check(access, NULL, "localhost:9883", "http://localhost:9883", true), ACCESS_GRANTED);
	assert_int_equal(check(access, NULL, "localhost:9883", "http://localhost:80", true), ACCESS_WRONG_ORIGIN);
	assert_int_equal(check(access, NULL, "localhost:9883", "http://example.com", true), ACCESS_WRONG_ORIGIN);
	assert_int_equal(check(access, NULL, "localhost:9883", "null", true), ACCESS_WRONG_ORIGIN);
	assert_int_equal(check(access, NULL, "localhost:9883", "http://example.com", false), ACCESS_GRANTED);
	struct access_claim claim = {.host = "localhost", .origin = "http://example.com", .changes = true};
	assert_int_equal(access_check_open(&claim), ACCESS_WRONG_ORIGIN);
	assert_true(read_token(access, TOKEN));
	assert_int_equal(check(access, "Bearer " TOKEN, "a.example", "http://b.example", true), ACCESS_WRONG_ORIGIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_token, open_access, close_access),
		cmocka_unit_test_setup_teardown(test_token_files, open_access, close_access),
		cmocka_unit_test_setup_teardown(test_without_a_token_only_by_local_names, open_access, close_access),
		cmocka_unit_test_setup_teardown(test_changes_from_other_origins, open_access, close_access),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
