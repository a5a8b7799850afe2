/* Password files: whose password it is, what a line may hold, and hashes that others made. */
#include "auth/password/password_file.h"
#include "auth/password/password_hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Cheap ones, so that the test is fast under sanitizers: "secret" and "other". */
#define SECRET "$argon2id$v=19$m=8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA"
#define OTHER "$argon2id$v=19$m=8,t=1,p=1$11gULrCzpx7oM/KiV1ssiQ$qndHYj3P7VPoFbb+HjUW85zc+ImRzNmu8fjjTzC0gII"
/* The reference implementation's own test: "password". */
#define REFERENCE "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
/* mosquitto_passwd 2.0: "pass word"; and one made with Python's hashlib: "secret", 3 iterations. */
#define MOSQUITTO                                                                                                      \
	"$7$101$SloT+3a375pcGi6v$IS5JPGuwQg3jrPJ1UFJGRJGQZ5cexeNkzYssH4yR+"                                            \
	"Au6DVHH1aMzYH7sOwMYVahH2UOHLkb9pkosrr2vYHTurA=="
#define PBKDF2                                                                                                         \
	"$7$3$AAECAwQFBgcICQoL$"                                                                                       \
	"MwursaYocn25Qyw9UpQmhHyRLEDBQcCjsCIRgmXnL29mCOoTflZNvKqR70yRxQJt760tdwkqbfeyqCIaYZlwEw=="

static struct password_file *file_of(const char *text)
{
	struct fault fault;
	struct password_file *file = password_file_new(slice_string(text), &fault);
	if (file == NULL)
		fail_msg("line %u: %s", fault.line, fault.text);
	return file;
}

static const struct {
	const char *user, *password;
	enum error error;
} CHECKS[] = {
	{"alice", "secret", ERROR_OK},
	{"bob", "other", ERROR_OK},
	{"ref", "password", ERROR_OK},
	{"mosquitto", "pass word", ERROR_OK},
	{"Ann Smith", "secret", ERROR_OK},
	{"\xc3\xa9va", "other", ERROR_OK},
	{"alice", "other", ERROR_PASSWORD_WRONG},
	{"alice", "", ERROR_PASSWORD_WRONG},
	{"alice", "secret ", ERROR_PASSWORD_WRONG},
	{"alice", "Secret", ERROR_PASSWORD_WRONG},
	{"alice", SECRET, ERROR_PASSWORD_WRONG},
	{"mosquitto", "pass", ERROR_PASSWORD_WRONG},
	{"ref", "Password", ERROR_PASSWORD_WRONG},
	{"Alice", "secret", ERROR_PASSWORD_WRONG},
	{"alic", "secret", ERROR_PASSWORD_WRONG},
	{"alicee", "secret", ERROR_PASSWORD_WRONG},
	{"", "secret", ERROR_PASSWORD_WRONG},
	{"#alice", "secret", ERROR_PASSWORD_WRONG},
};

static void test_whose_password(void **state)
{
	(void)state;
	struct password_file *file = file_of("# users\n"
					     "bob:" OTHER "\n"
					     "\n"
					     "  alice:" SECRET "  \r\n"
					     "ref:" REFERENCE "\n"
					     "mosquitto:" MOSQUITTO "\n"
					     "Ann Smith:" SECRET "\n"
					     "\xc3\xa9va:" OTHER);
	assert_int_equal(password_file_count(file), 6);
	for (size_t i = 0; i < sizeof(CHECKS) / sizeof(CHECKS[0]); i++) {
		enum error error = password_check(file, slice_string(CHECKS[i].user), slice_string(CHECKS[i].password));
		if (error != CHECKS[i].error)
			fail_msg("%s, %s: %s", CHECKS[i].user, CHECKS[i].password, error_name(error));
	}
	password_file_put(&file);
}

static void test_null_characters_in_a_password(void **state)
{
	(void)state;
	struct password_file *file = file_of("alice:" SECRET "\np:" PBKDF2 "\n");
	assert_int_equal(password_check(file, slice_string("alice"), slice_of("secret\0x", 8)), ERROR_PASSWORD_WRONG);
	assert_int_equal(password_check(file, slice_string("p"), slice_of("secret\0x", 8)), ERROR_PASSWORD_WRONG);
	assert_int_equal(password_check(file, slice_string("p"), slice_string("secret")), ERROR_OK);
	assert_int_equal(password_check(file, slice_of("alice\0", 6), slice_string("secret")), ERROR_PASSWORD_WRONG);
	password_file_put(&file);
}

/* A stranger's name is checked against another user's hash, for the time that it takes; even the right password for
 * that one lets nobody in. */
static void test_stranger_with_a_users_password(void **state)
{
	(void)state;
	struct password_file *file = file_of("alice:" SECRET "\n");
	assert_int_equal(password_check(file, slice_string("eve"), slice_string("secret")), ERROR_PASSWORD_WRONG);
	assert_int_equal(password_check(file, slice_of(NULL, 0), slice_string("secret")), ERROR_PASSWORD_WRONG);
	password_file_put(&file);
}

static void test_file_without_users(void **state)
{
	(void)state;
	static const char *const EMPTY[] = {"", "\n", "# nobody\n", "#alice:x\n"};
	for (size_t i = 0; i < sizeof(EMPTY) / sizeof(EMPTY[0]); i++) {
		struct password_file *file = file_of(EMPTY[i]);
		assert_int_equal(password_file_count(file), 0);
		assert_int_equal(password_check(file, slice_string("a"), slice_string("b")), ERROR_PASSWORD_WRONG);
		password_file_put(&file);
	}
}

static const struct {
	const char *text;
	uint32_t line;
	const char *fault;
} BAD[] = {
	{"alice\n", 1, "no colon"},
	{"\n# x\nalice " SECRET "\n", 3, "no colon"},
	{":" SECRET "\n", 1, "the name is empty"},
	{"al\xffice:" SECRET "\n", 1, "UTF-8"},
	{"a\tb:" SECRET "\n", 1, "control characters"},
	{"alice :" SECRET "\n", 1, "outer blanks"},
	{"alice:\n", 1, "is it a password?"},
	{"alice:secret\n", 1, "is it a password?"},
	{"alice:$6$6dB4Q6ESP2A1YzHL$xodkwJ8EG0x1B\n", 1, "is it a password?"},
	{"alice:" SECRET "\nbob:" OTHER "\nalice:" OTHER "\n", 3, "line 1 already"},
	{"bob:" SECRET "\nalice:" OTHER "\nbob:" OTHER "\n", 3, "line 1 already"},
	/* hashes */
	{"a:$argon2id$\n", 1, "malformed"},
	{"a:$argon2id$v=19$m=8,t=1,p=1$\n", 1, "malformed"},
	{"a:$argon2id$v=19$m=8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w\n", 1, "malformed"},
	{"a:$argon2id$v=19$m=8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$!\n", 1, "malformed"},
	{"a:$argon2id$v=16$m=8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA\n", 1,
	 "malformed"},
	{"a:$argon2i$v=19$m=8,t=3,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA\n", 1,
	 "is it a password?"},
	{"a:$argon2id$v=19$m=8,t=17,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA\n", 1,
	 "asks for more"},
	{"a:$argon2id$v=19$m=65537,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA\n", 1,
	 "asks for more"},
	{"a:$argon2id$v=19$m=8,t=1,p=2$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA\n", 1,
	 "asks for more"},
	{"a:$argon2id$v=19$m=-8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA\n", 1,
	 "asks for more"},
	{"a:$7$101$SloT+3a375pcGi6v$IS5J\n", 1, "malformed"},
	{"a:$7$0$SloT+3a375pcGi6v$IS5J\n", 1, "malformed"},
	{"a:$7$-1$SloT+3a375pcGi6v$IS5J\n", 1, "malformed"},
	{"a:$7$101$$IS5J\n", 1, "malformed"},
	{"a:$7$101\n", 1, "malformed"},
	{"a:$7$1000001$AAECAwQFBgcICQoL$"
	 "MwursaYocn25Qyw9UpQmhHyRLEDBQcCjsCIRgmXnL29mCOoTflZNvKqR70yRxQJt760tdwkqbfeyqCIaYZlwEw==\n",
	 1, "more iterations"},
};

static void test_faults_have_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct fault fault = {0};
		if (password_file_new(slice_string(BAD[i].text), &fault) != NULL)
			fail_msg("case %zu", i);
		if (fault.line != BAD[i].line || strstr(fault.text, BAD[i].fault) == NULL)
			fail_msg("case %zu: line %u: %s", i, fault.line, fault.text);
	}
}

static void test_hashes_are_limited(void **state)
{
	(void)state;
	char text[PASSWORD_HASH_BYTES_MAX + 64];
	struct fault fault;
	size_t size = (size_t)sprintf(text, "alice:$7$1$");
	memset(text + size, 'A', PASSWORD_HASH_BYTES_MAX);
	assert_null(password_file_new(slice_of(text, size + PASSWORD_HASH_BYTES_MAX), &fault));
	assert_non_null(strstr(fault.text, "too long"));
	assert_null(password_file_new(slice_of("a:$7$\0", 6), &fault));
	assert_non_null(strstr(fault.text, "null character"));
}

/* What `roost passwd` writes, with the cost that it is documented to have. */
static void test_new_hashes(void **state)
{
	(void)state;
	char one[PASSWORD_HASH_BYTES_MAX], other[PASSWORD_HASH_BYTES_MAX], text[2 * PASSWORD_HASH_BYTES_MAX + 32];
	assert_true(password_hash(slice_string("a new one"), one));
	assert_true(password_hash(slice_string("a new one"), other));
	assert_string_not_equal(one, other); /* salted */
	char cost[64];
	snprintf(cost, sizeof(cost), "$argon2id$v=19$m=%zu,t=%d,p=1$", PASSWORD_MEMORY_BYTES / 1024, PASSWORD_PASSES);
	assert_memory_equal(one, cost, strlen(cost));
	snprintf(text, sizeof(text), "a:%s\nb:%s\n", one, other);
	struct password_file *file = file_of(text);
	assert_int_equal(password_check(file, slice_string("a"), slice_string("a new one")), ERROR_OK);
	assert_int_equal(password_check(file, slice_string("b"), slice_string("a new one")), ERROR_OK);
	assert_int_equal(password_check(file, slice_string("a"), slice_string("a new two")), ERROR_PASSWORD_WRONG);
	password_file_put(&file);
}

static void test_finding_among_many(void **state)
{
	(void)state;
	enum { USERS = 500 };
	char *text = test_malloc(USERS * (sizeof(SECRET) + 16)), *at = text;
	for (unsigned i = 0; i < USERS; i++)
		at += sprintf(at, "user-%u:%s\n", i * 7919 % USERS, i % 2 == 0 ? SECRET : OTHER);
	struct password_file *file = file_of(text);
	for (unsigned i = 0; i < USERS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "user-%u", i * 7919 % USERS);
		assert_true(slice_equal(password_file_find(file, slice_string(name)),
					slice_string(i % 2 == 0 ? SECRET : OTHER)));
	}
	assert_int_equal(password_file_find(file, slice_string("user-500")).size, 0);
	assert_int_equal(password_file_find(file, slice_string("user-")).size, 0);
	password_file_put(&file);
	test_free(text);
}

static void test_names_that_can_stand_in_a_file(void **state)
{
	(void)state;
	static const char *const GOOD[] = {"a", "Ann Smith", "a#b", "\xc3\xa9", "a@b.c", "$x"};
	static const char *const NAUGHTY[] = {"", "a:b", ":", "#a", " a", "a ", "\ta", "a\nb", "a\x7f", "\xff"};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++)
		assert_true(password_user_is_valid(slice_string(GOOD[i])));
	for (size_t i = 0; i < sizeof(NAUGHTY) / sizeof(NAUGHTY[0]); i++)
		assert_false(password_user_is_valid(slice_string(NAUGHTY[i])));
}

static void test_references(void **state)
{
	(void)state;
	struct password_file *first = file_of("alice:" SECRET "\n"), *second = password_file_get(first), *none = NULL;
	password_file_put(&first);
	assert_null(first);
	assert_int_equal(password_file_count(second), 1);
	password_file_put(&second);
	password_file_put(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose_password),
		cmocka_unit_test(test_null_characters_in_a_password),
		cmocka_unit_test(test_stranger_with_a_users_password),
		cmocka_unit_test(test_file_without_users),
		cmocka_unit_test(test_faults_have_lines),
		cmocka_unit_test(test_hashes_are_limited),
		cmocka_unit_test(test_new_hashes),
		cmocka_unit_test(test_finding_among_many),
		cmocka_unit_test(test_names_that_can_stand_in_a_file),
		cmocka_unit_test(test_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
