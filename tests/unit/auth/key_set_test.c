/* Sets of keys: what is taken of a JWK set, and which key a token's header finds. */
#include "auth/token/key_set.h"

#include "auth_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct slice NO_ID = {NULL, 0};

static struct key_set *set_of(const char *text, struct jwks_result *result)
{
	struct key_set *set = key_set_new();
	struct fault fault;
	assert_non_null(set);
	if (!key_set_add_jwks(set, slice_string(text), result, &fault))
		fail_msg("%s: %s", text, fault.text);
	return set;
}

static void test_set_of_the_standard(void **state)
{
	(void)state;
	struct jwks_result result;
	struct key_set *set = set_of(RFC7517_SET, &result);
	assert_int_equal(result.added, 1);
	assert_int_equal(result.skipped, 2);
	assert_int_equal(result.first_reason.line, 1);
	assert_string_equal(result.first_reason.text, "its use is not \"sig\"");
	assert_int_equal(key_set_count(set), 1);
	assert_int_equal(key_set_at(set, 0)->algorithm, ALGORITHM_RS256);
	assert_true(slice_equal(key_id(key_set_at(set, 0)), slice_string("2011-04-29")));
	key_set_put(&set);
}

static void test_one_jwk_is_a_set(void **state)
{
	(void)state;
	struct jwks_result result;
	struct key_set *set = set_of(RFC7515_EC_JWK, &result);
	assert_int_equal(result.added, 1);
	key_set_put(&set);
	set = set_of("{\"kty\":\"EC\"}", &result);
	assert_int_equal(result.added, 0);
	assert_int_equal(result.skipped, 1);
	key_set_put(&set);
}

static void test_a_broken_key_leaves_the_others(void **state)
{
	(void)state;
	struct jwks_result result;
	struct key_set *set =
		set_of("{\"keys\":[" RFC7515_EC_JWK ",7,{\"kty\":\"RSA\",\"n\":\"!\"}," RFC8037_JWK "],\"more\":[1,2]}",
		       &result);
	assert_int_equal(result.added, 2);
	assert_int_equal(result.skipped, 2);
	assert_int_equal(result.first_reason.line, 2);
	assert_string_equal(result.first_reason.text, "it is not an object");
	key_set_put(&set);
}

static const char *const NOT_SETS[] = {
	"",
	"{}",
	"[]",
	"7",
	"\"keys\"",
	"{\"keys\":{}}",
	"{\"keys\":7}",
	"{\"keys\":[]",
	"not json",
	"{\"keys\":[],\"keys\":[]}",
	"<html>404</html>",
};

static void test_what_is_no_set(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(NOT_SETS) / sizeof(NOT_SETS[0]); i++) {
		struct key_set *set = key_set_new();
		struct jwks_result result;
		struct fault fault = {0};
		if (key_set_add_jwks(set, slice_string(NOT_SETS[i]), &result, &fault))
			fail_msg("%s", NOT_SETS[i]);
		assert_true(fault.text[0] != '\0');
		assert_int_equal(key_set_count(set), 0);
		key_set_put(&set);
	}
}

static void test_sets_are_limited(void **state)
{
	(void)state;
	struct key_set *set = key_set_new();
	struct jwks_result result;
	struct fault fault;
	char *large = test_malloc(KEY_SET_BYTES_MAX + 1);
	memset(large, ' ', KEY_SET_BYTES_MAX + 1);
	assert_false(key_set_add_jwks(set, slice_of(large, KEY_SET_BYTES_MAX + 1), &result, &fault));
	assert_non_null(strstr(fault.text, "larger"));
	test_free(large);

	/* One more than there is room for: it is skipped, and said. */
	size_t room = 64 + (KEY_SET_KEYS_MAX + 1) * 128;
	char *text = test_malloc(room);
	size_t size = (size_t)sprintf(text, "{\"keys\":[");
	for (unsigned i = 0; i <= KEY_SET_KEYS_MAX; i++)
		size += (size_t)sprintf(text + size, "%s{\"kty\":\"oct\",\"kid\":\"%u\",\"k\":\"%044u\"}",
					i == 0 ? "" : ",", i, 0);
	sprintf(text + size, "]}");
	assert_true(key_set_add_jwks(set, slice_string(text), &result, &fault));
	assert_int_equal(result.added, KEY_SET_KEYS_MAX);
	assert_int_equal(result.skipped, 1);
	assert_non_null(strstr(result.first_reason.text, "more than"));
	test_free(text);
	key_set_put(&set);
}

/* Three RSA keys would be a lot to write out: an id may be shared by keys of several algorithms. */
#define WITH_ID(jwk, id) "{\"kid\":\"" id "\"," jwk
#define OCT "\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"
#define EC                                                                                                             \
	"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                      \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define OKP "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"

static const char *const LOOKED_UP =
	"{\"keys\":[" WITH_ID(OCT, "a") "," WITH_ID(OCT, "b") "," WITH_ID(EC, "a") "," WITH_ID(OKP, "c") ",{" EC "]}";

static const struct {
	const char *id; /* NULL: none */
	enum algorithm algorithm;
	enum error error;
	uint32_t index;
} FINDS[] = {
	{"a", ALGORITHM_HS256, ERROR_OK, 0},
	{"b", ALGORITHM_HS256, ERROR_OK, 1},
	{"a", ALGORITHM_ES256, ERROR_OK, 2},
	{"c", ALGORITHM_EDDSA, ERROR_OK, 3},
	/* the id is there, with another algorithm */
	{"b", ALGORITHM_ES256, ERROR_TOKEN_ALGORITHM, 0},
	{"c", ALGORITHM_HS256, ERROR_TOKEN_ALGORITHM, 0},
	{"a", ALGORITHM_EDDSA, ERROR_TOKEN_ALGORITHM, 0},
	{"a", ALGORITHM_RS256, ERROR_TOKEN_ALGORITHM, 0},
	/* no key has the id: one that has none itself, and is alone in that */
	{"x", ALGORITHM_ES256, ERROR_OK, 4},
	{"x", ALGORITHM_HS256, ERROR_TOKEN_KEY_UNKNOWN, 0},
	{"x", ALGORITHM_EDDSA, ERROR_TOKEN_KEY_UNKNOWN, 0},
	{"A", ALGORITHM_HS256, ERROR_TOKEN_KEY_UNKNOWN, 0},
	/* the token names none: the only one there is */
	{NULL, ALGORITHM_EDDSA, ERROR_OK, 3},
	{NULL, ALGORITHM_HS256, ERROR_TOKEN_KEY_UNKNOWN, 0},
	{NULL, ALGORITHM_ES256, ERROR_TOKEN_KEY_UNKNOWN, 0},
	{NULL, ALGORITHM_RS256, ERROR_TOKEN_KEY_UNKNOWN, 0},
};

static void test_which_key_is_found(void **state)
{
	(void)state;
	struct jwks_result result;
	struct key_set *set = set_of(LOOKED_UP, &result);
	assert_int_equal(result.added, 5);
	for (size_t i = 0; i < sizeof(FINDS) / sizeof(FINDS[0]); i++) {
		uint32_t index = UINT32_MAX;
		struct slice id = FINDS[i].id == NULL ? NO_ID : slice_string(FINDS[i].id);
		enum error error = key_set_find(set, id, FINDS[i].algorithm, &index);
		if (error != FINDS[i].error || (error == ERROR_OK && index != FINDS[i].index))
			fail_msg("case %zu: %s, %u", i, error_name(error), index);
	}
	key_set_put(&set);
}

static void test_the_same_id_twice(void **state)
{
	(void)state;
	struct jwks_result result;
	struct key_set *set = set_of("{\"keys\":[" WITH_ID(OCT, "a") "," WITH_ID(OCT, "a") "]}", &result);
	assert_int_equal(result.added, 1);
	assert_int_equal(result.skipped, 1);
	struct fault fault;
	struct slice secret = slice_string("0123456789abcdef0123456789abcdef");
	assert_false(key_set_add_secret(set, slice_string("a"), secret, &fault));
	assert_string_equal(fault.text, "there is a key of this id already");
	assert_true(key_set_add_secret(set, slice_string("b"), secret, &fault));
	assert_true(key_set_add_secret(set, NO_ID, secret, &fault));
	assert_int_equal(key_set_count(set), 3);
	assert_int_equal(key_set_secrets(set), 3);
	key_set_put(&set);
}

static void test_files_of_one_key(void **state)
{
	(void)state;
	struct key_set *set = key_set_new();
	struct fault fault;
	static const char PEM[] =
		"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
		"-----END PUBLIC KEY-----\n";
	assert_true(key_set_add_pem(set, slice_string("p"), slice_string(PEM), &fault));
	assert_false(key_set_add_pem(set, slice_string("q"), slice_string("nothing"), &fault));
	assert_false(key_set_add_secret(set, slice_string("s"), slice_string("short"), &fault));
	assert_int_equal(key_set_count(set), 1);
	assert_int_equal(key_set_secrets(set), 0);
	key_set_put(&set);
}

/* A second holder keeps it when the first puts it down; the last frees it, or a sanitizer would tell. */
static void test_references(void **state)
{
	(void)state;
	struct jwks_result result;
	struct key_set *first = set_of(RFC7515_EC_JWK, &result), *second = key_set_get(first), *none = NULL;
	key_set_put(&first);
	assert_null(first);
	assert_int_equal(key_set_at(second, 0)->algorithm, ALGORITHM_ES256);
	key_set_put(&second);
	key_set_put(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_of_the_standard),
		cmocka_unit_test(test_one_jwk_is_a_set),
		cmocka_unit_test(test_a_broken_key_leaves_the_others),
		cmocka_unit_test(test_what_is_no_set),
		cmocka_unit_test(test_sets_are_limited),
		cmocka_unit_test(test_which_key_is_found),
		cmocka_unit_test(test_the_same_id_twice),
		cmocka_unit_test(test_files_of_one_key),
		cmocka_unit_test(test_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
