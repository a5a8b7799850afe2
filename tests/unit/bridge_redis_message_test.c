/* How revocations are written in Redis: keys, messages, and times to live. */
#include "bridge/redis_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_S INT64_C(1700000000)

static void test_keys(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		enum revocation_kind kind;
		const char *id; /* NULL: it is no key of ours */
	} cases[] = {
		{"roost:revoked:token:t", REVOCATION_TOKEN, "t"},
		{"roost:revoked:user:al:ice b", REVOCATION_USER, "al:ice b"},
		{"roost:revoked:client::", REVOCATION_CLIENT, ":"},
		{"", 0, NULL},
		{"roost:revoked", 0, NULL},
		{"roost:revoked:", 0, NULL},
		{"roost:revoked:user", 0, NULL},
		{"roost:revoked:user:", 0, NULL},
		{"roost:revoked:users:a", 0, NULL},
		{"roost:revoked:use:a", 0, NULL},
		{"roost:revoked::a", 0, NULL},
		{"Roost:revoked:user:a", 0, NULL},
		{" roost:revoked:user:a", 0, NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum revocation_kind kind;
		struct slice id;
		bool good = redis_key_parse(slice_string(cases[i].key), &kind, &id);
		assert_int_equal(good, cases[i].id != NULL);
		if (!good)
			continue;
		assert_int_equal(kind, cases[i].kind);
		assert_true(slice_equal(id, slice_string(cases[i].id)));
	}
}

static void test_what_is_revoked(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum revocation_kind kind;
		const char *id; /* NULL: it cannot be read */
		int64_t until_s;
	} cases[] = {
		{"user 3600 alice", REVOCATION_USER, "alice", NOW_S + 3600},
		{"token 1 a b  c", REVOCATION_TOKEN, "a b  c", NOW_S + 1},
		{"client 0 x", REVOCATION_CLIENT, "x", REVOKED_FOR_EVER},
		{"client 000 x", REVOCATION_CLIENT, "x", REVOKED_FOR_EVER},
		{"user 1099511627775 x", REVOCATION_USER, "x", NOW_S + 1099511627775},
		{"user 1099511627776 x", REVOCATION_USER, "x", REVOKED_FOR_EVER},
		{"user 99999999999999999999999999999999 x", REVOCATION_USER, "x", REVOKED_FOR_EVER},
		{"user 1  x", REVOCATION_USER, " x", NOW_S + 1},
		{"", 0, NULL, 0},
		{"user", 0, NULL, 0},
		{"user 1", 0, NULL, 0},
		{"user 1 ", 0, NULL, 0},
		{"user  x", 0, NULL, 0},
		{"user -1 x", 0, NULL, 0},
		{"user +1 x", 0, NULL, 0},
		{"user 1s x", 0, NULL, 0},
		{"users 1 x", 0, NULL, 0},
		{" user 1 x", 0, NULL, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct revocation revocation;
		bool good = redis_revoked_parse(slice_string(cases[i].text), NOW_S, &revocation);
		if (good != (cases[i].id != NULL))
			fail_msg("%s", cases[i].text);
		if (!good)
			continue;
		assert_int_equal(revocation.kind, cases[i].kind);
		assert_true(slice_equal(revocation.id, slice_string(cases[i].id)));
		assert_int_equal(revocation.until_s, cases[i].until_s);
	}
}

static void test_what_is_lifted(void **state)
{
	(void)state;
	enum revocation_kind kind;
	struct slice id;
	assert_true(redis_lifted_parse(slice_string("client a b"), &kind, &id));
	assert_int_equal(kind, REVOCATION_CLIENT);
	assert_true(slice_equal(id, slice_string("a b")));
	static const char *const BAD[] = {"", "client", "client ", "clients a", " client a", "client:a"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_false(redis_lifted_parse(slice_string(BAD[i]), &kind, &id));
}

/* Ids are as long as the table takes them, and any bytes. */
static void test_long_ids(void **state)
{
	(void)state;
	static const char BEGINNING[] = "user ";
	size_t begin = sizeof(BEGINNING) - 1;
	char *text = malloc(begin + REVOCATION_ID_BYTES_MAX + 1);
	enum revocation_kind kind;
	struct slice id;
	assert_non_null(text);
	memcpy(text, BEGINNING, begin);
	memset(text + begin, 0, REVOCATION_ID_BYTES_MAX + 1);
	assert_true(redis_lifted_parse(slice_of(text, begin + REVOCATION_ID_BYTES_MAX), &kind, &id));
	assert_int_equal(id.size, REVOCATION_ID_BYTES_MAX);
	assert_false(redis_lifted_parse(slice_of(text, begin + REVOCATION_ID_BYTES_MAX + 1), &kind, &id));
	free(text);
}

static void test_times_to_live(void **state)
{
	(void)state;
	assert_int_equal(redis_until_s(NOW_S, -1), REVOKED_FOR_EVER);
	assert_int_equal(redis_until_s(NOW_S, -2), NOW_S);
	assert_int_equal(redis_until_s(NOW_S, INT64_MIN), NOW_S);
	assert_int_equal(redis_until_s(NOW_S, 0), NOW_S);
	assert_int_equal(redis_until_s(NOW_S, 1), NOW_S + 1);
	assert_int_equal(redis_until_s(NOW_S, 1000), NOW_S + 1);
	assert_int_equal(redis_until_s(NOW_S, 1001), NOW_S + 2);
	assert_int_equal(redis_until_s(NOW_S, INT64_MAX), REVOKED_FOR_EVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),           cmocka_unit_test(test_what_is_revoked),
		cmocka_unit_test(test_what_is_lifted), cmocka_unit_test(test_long_ids),
		cmocka_unit_test(test_times_to_live),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
