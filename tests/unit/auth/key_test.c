/* Keys: the signatures of RFC 7515 and 8037, nothing else's, and keys that are refused. */
#include "auth/token/key.h"

#include "auth/text/base64url.h"
#include "auth/token/key_jwk.h"
#include "auth/token/key_pem.h"
#include "auth_vectors.h"
#include "base/check.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODES 32u
#define TOKEN_BYTES 1024u

static const struct slice NO_ID = {NULL, 0};

static bool jwk_key(struct key *key, const char *text, struct fault *fault)
{
	struct strict_node nodes[NODES];
	struct strict_json json = {.nodes = nodes, .capacity = NODES};
	uint8_t copy[4096];
	size_t at;
	memcpy(copy, text, strlen(text));
	const char *wrong = strict_json_read(&json, copy, strlen(text), &at);
	if (wrong != NULL)
		fail_msg("%s: %s", text, wrong);
	return key_from_jwk(key, &json, nodes, fault);
}

/* A token's signed text and its signature, decoded. */
struct parts {
	struct slice message;
	uint8_t signature[TOKEN_BYTES];
	size_t signature_bytes;
};

static void split(const char *token, struct parts *parts)
{
	const char *dot = strrchr(token, '.');
	assert_non_null(dot);
	parts->message = slice_of(token, (size_t)(dot - token));
	assert_true(base64url_decode(slice_string(dot + 1), parts->signature, &parts->signature_bytes));
}

static const struct {
	const char *jwk;
	const char *token;
	enum algorithm algorithm;
} VECTORS[] = {
	{RFC7515_OCT_JWK, RFC7515_HS256, ALGORITHM_HS256},
	{RFC7515_RSA_JWK, RFC7515_RS256, ALGORITHM_RS256},
	{RFC7515_EC_JWK, RFC7515_ES256, ALGORITHM_ES256},
	{RFC8037_JWK, RFC8037_EDDSA, ALGORITHM_EDDSA},
};

#define VECTOR_COUNT (sizeof(VECTORS) / sizeof(VECTORS[0]))

static void test_vectors_of_the_standards(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTOR_COUNT; i++) {
		struct key key;
		struct key_check check = {0};
		struct fault fault;
		struct parts parts;
		if (!jwk_key(&key, VECTORS[i].jwk, &fault))
			fail_msg("%s", fault.text);
		assert_int_equal(key.algorithm, VECTORS[i].algorithm);
		split(VECTORS[i].token, &parts);
		/* Twice, because the second finds a context that was used. */
		for (int round = 0; round < 2; round++)
			assert_true(key_verify(&key, &check, parts.message,
					       slice_of(parts.signature, parts.signature_bytes)));
		key_check_fini(&check);
		key_fini(&key);
	}
}

/* Every bit of the signature, and one of the message; a good one in between is still good. */
static void test_no_other_signature(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTOR_COUNT; i++) {
		struct key key;
		struct key_check check = {0};
		struct fault fault;
		struct parts parts;
		assert_true(jwk_key(&key, VECTORS[i].jwk, &fault));
		split(VECTORS[i].token, &parts);
		struct slice signature = slice_of(parts.signature, parts.signature_bytes);
		for (size_t bit = 0; bit < 8 * signature.size; bit += 7) {
			parts.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_false(key_verify(&key, &check, parts.message, signature));
			parts.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		struct slice shorter = slice_of(parts.message.data, parts.message.size - 1);
		assert_false(key_verify(&key, &check, shorter, signature));
		assert_true(key_verify(&key, &check, parts.message, signature));
		key_check_fini(&check);
		key_fini(&key);
	}
}

/* In a block of exactly its size. */
static bool verifies(const struct key *key, struct key_check *check, struct slice message, size_t size)
{
	uint8_t *signature = test_malloc(size + 1);
	memset(signature, 0, size + 1);
	bool good = key_verify(key, check, message, slice_of(signature, size));
	test_free(signature);
	return good;
}

static void test_signatures_of_any_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTOR_COUNT; i++) {
		struct key key;
		struct key_check check = {0};
		struct fault fault;
		assert_true(jwk_key(&key, VECTORS[i].jwk, &fault));
		for (size_t size = 0; size < 300; size++)
			assert_false(verifies(&key, &check, slice_string("message"), size));
		assert_int_equal(ERR_peek_error(), 0);
		key_check_fini(&check);
		key_fini(&key);
	}
}

static const struct {
	const char *jwk;
	const char *fault;
} BAD_JWKS[] = {
	{"[]", "not an object"},
	{"{}", "type is \"\""},
	{"{\"kty\":\"LWE\"}", "type is \"LWE\""},
	{"{\"kty\":1}", "type is \"\""},
	{"{\"kty\":\"oct\"}", "\"k\" is missing"},
	{"{\"kty\":\"oct\",\"k\":1}", "\"k\" is missing"},
	{"{\"kty\":\"oct\",\"k\":\"AAAA\"}", "the secret has 3 bytes"},
	{"{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUu=\"}",
	 "\"k\""},
	{"{\"kty\":\"oct\",\"alg\":\"HS512\",\"k\":\"AyM1\"}", "algorithm is \"HS512\""},
	{"{\"kty\":\"oct\",\"alg\":\"none\",\"k\":\"AyM1\"}", "algorithm is \"none\""},
	{"{\"kty\":\"oct\",\"alg\":\"RS256\",\"k\":\"AyM1\"}", "algorithm is \"RS256\""},
	{"{\"kty\":\"oct\",\"alg\":7,\"k\":\"AyM1\"}", "algorithm is \"\""},
	{"{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"AyM1\"}", "use is not"},
	{"{\"kty\":\"oct\",\"use\":1,\"k\":\"AyM1\"}", "use is not"},
	{"{\"kty\":\"oct\",\"key_ops\":[\"sign\",\"encrypt\"],\"k\":\"AyM1\"}", "operations"},
	{"{\"kty\":\"oct\",\"key_ops\":\"verify\",\"k\":\"AyM1\"}", "operations"},
	{"{\"kty\":\"oct\",\"kid\":\"\",\"k\":\"AyM1\"}", "id is no text"},
	{"{\"kty\":\"oct\",\"kid\":5,\"k\":\"AyM1\"}", "id is no text"},
	{"{\"kty\":\"RSA\",\"e\":\"AQAB\"}", "\"n\" is missing"},
	{"{\"kty\":\"RSA\",\"n\":\"" RFC7515_RSA_N "\"}", "\"e\" is missing"},
	{"{\"kty\":\"RSA\",\"n\":\"" RFC7515_RSA_N "=\",\"e\":\"AQAB\"}", "not base64url"},
	{"{\"kty\":\"RSA\",\"n\":\"" RFC7515_RSA_N "\",\"e\":\"AQ\"}", "exponent"},
	{"{\"kty\":\"RSA\",\"n\":\"" RFC7515_RSA_N "\",\"e\":\"Ag\"}", "exponent"},
	{"{\"kty\":\"RSA\",\"n\":\"yd8D\",\"e\":\"AQAB\"}", "the RSA key has 24 bits"},
	{"{\"kty\":\"RSA\",\"alg\":\"HS256\",\"n\":\"" RFC7515_RSA_N "\",\"e\":\"AQAB\"}", "algorithm is \"HS256\""},
	{"{\"kty\":\"RSA\",\"alg\":\"PS256\",\"n\":\"" RFC7515_RSA_N "\",\"e\":\"AQAB\"}", "algorithm is \"PS256\""},
	{"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}", "another curve"},
	{"{\"kty\":\"EC\",\"x\":\"AA\",\"y\":\"AA\"}", "another curve"},
	{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"y\":\"AA\"}", "\"x\" is missing"},
	{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AA\"}", "\"x\" has 3 bytes instead of 32"},
	/* x and y exchanged: no point of the curve */
	{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	 "\"x\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
	 "not a point of P-256"},
	{"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}", "another curve"},
	{"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUQ\"}", "not a point"},
	/* a point of small order, for which anyone can sign */
	{"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", "not a point"},
};

static void test_bad_jwks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD_JWKS) / sizeof(BAD_JWKS[0]); i++) {
		struct key key;
		struct fault fault;
		if (jwk_key(&key, BAD_JWKS[i].jwk, &fault))
			fail_msg("%s", BAD_JWKS[i].jwk);
		if (strstr(fault.text, BAD_JWKS[i].fault) == NULL)
			fail_msg("%s: \"%s\" does not say \"%s\"", BAD_JWKS[i].jwk, fault.text, BAD_JWKS[i].fault);
		assert_int_equal(ERR_peek_error(), 0);
	}
}

static void test_use_and_operations_that_are_ours(void **state)
{
	(void)state;
	struct key key;
	struct fault fault;
	assert_true(jwk_key(
		&key,
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
		"\"use\":\"sig\",\"key_ops\":[\"sign\",\"verify\"],\"alg\":\"EdDSA\",\"kid\":\"k1\",\"d\":\"x\"}",
		&fault));
	assert_true(slice_equal(key_id(&key), slice_string("k1")));
	key_fini(&key);
}

static const struct {
	const char *pem;
	enum algorithm algorithm; /* ALGORITHM_COUNT: refused */
	const char *fault;
} PEMS[] = {
	{"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
	 "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n-----END PUBLIC KEY-----\n",
	 ALGORITHM_ES256, ""},
	{"A comment.\n-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
	 "-----END PUBLIC KEY-----\n",
	 ALGORITHM_EDDSA, ""},
	{"", ALGORITHM_COUNT, "no PEM block"},
	{"secret", ALGORITHM_COUNT, "no PEM block"},
	{"-----BEGIN PUBLIC KEY-----\nMFkw\n", ALGORITHM_COUNT, "no PEM block"},
	{"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n", ALGORITHM_COUNT, "cannot be read"},
	{"-----BEGIN CERTIFICATE-----\nMFkw\n-----END CERTIFICATE-----\n", ALGORITHM_COUNT, "cannot be read"},
	{"-----BEGIN DH PARAMETERS-----\nMFkw\n-----END DH PARAMETERS-----\n", ALGORITHM_COUNT, "neither a public key"},
	/* X25519, which cannot sign */
	{"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n-----END PUBLIC "
	 "KEY-----\n",
	 ALGORITHM_COUNT, "none of RSA, EC and Ed25519"},
	/* P-384 */
	{"-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEqofKIr6LBTeOscce8yCtdG4dO2KLp5uY\n"
	 "WfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3NhfeSpYmLG9dnpi/kpLcKfj0Hb0omhR8\n"
	 "6doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f\n-----END PUBLIC KEY-----\n",
	 ALGORITHM_COUNT, "another curve than P-256"},
	/* a private key, whatever is in it */
	{"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
	 "-----END PRIVATE KEY-----\n",
	 ALGORITHM_COUNT, "private key"},
	{"-----BEGIN EC PRIVATE KEY-----\nMFkw\n-----END EC PRIVATE KEY-----\n", ALGORITHM_COUNT, "private key"},
	/* two */
	{"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC "
	 "KEY-----\n"
	 "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC "
	 "KEY-----\n",
	 ALGORITHM_COUNT, "more than one"},
};

static void test_pem_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(PEMS) / sizeof(PEMS[0]); i++) {
		struct key key;
		struct fault fault = {0};
		bool made = key_from_pem(&key, slice_string("p"), slice_string(PEMS[i].pem), &fault);
		if (made != (PEMS[i].algorithm != ALGORITHM_COUNT) || strstr(fault.text, PEMS[i].fault) == NULL)
			fail_msg("case %zu: \"%s\"", i, fault.text);
		assert_int_equal(ERR_peek_error(), 0);
		if (!made)
			continue;
		assert_int_equal(key.algorithm, PEMS[i].algorithm);
		assert_true(slice_equal(key_id(&key), slice_string("p")));
		key_fini(&key);
	}
}

/* The PEM and the JWK of the ES256 vector are one key. */
static void test_pem_key_verifies(void **state)
{
	(void)state;
	struct key key;
	struct key_check check = {0};
	struct fault fault;
	struct parts parts;
	assert_true(key_from_pem(&key, NO_ID, slice_string(PEMS[0].pem), &fault));
	split(RFC7515_ES256, &parts);
	assert_true(key_verify(&key, &check, parts.message, slice_of(parts.signature, parts.signature_bytes)));
	key_check_fini(&check);
	key_fini(&key);
}

static void test_secrets_have_a_least_and_a_most(void **state)
{
	(void)state;
	static const uint8_t SECRET[KEY_SECRET_BYTES_MAX + 1];
	struct key key;
	struct fault fault;
	assert_false(key_from_secret(&key, NO_ID, slice_of(SECRET, KEY_SECRET_BYTES_MIN - 1), &fault));
	assert_non_null(strstr(fault.text, "31 bytes"));
	assert_false(key_from_secret(&key, NO_ID, slice_of(SECRET, KEY_SECRET_BYTES_MAX + 1), &fault));
	assert_true(key_from_secret(&key, NO_ID, slice_of(SECRET, KEY_SECRET_BYTES_MIN), &fault));
	key_fini(&key);
	assert_true(key_from_secret(&key, NO_ID, slice_of(SECRET, KEY_SECRET_BYTES_MAX), &fault));
	key_fini(&key);
}

static void test_ids_are_limited(void **state)
{
	(void)state;
	static const uint8_t ID[KEY_ID_BYTES_MAX + 1] = {'x'};
	struct key key;
	struct fault fault;
	struct slice secret = slice_string("0123456789abcdef0123456789abcdef");
	assert_false(key_from_secret(&key, slice_of(ID, KEY_ID_BYTES_MAX + 1), secret, &fault));
	assert_true(key_from_secret(&key, slice_of(ID, KEY_ID_BYTES_MAX), secret, &fault));
	assert_int_equal(key.id_bytes, KEY_ID_BYTES_MAX);
	key_fini(&key);
}

static const struct {
	const char *content;
	size_t size;
	size_t trimmed;
} SECRET_FILES[] = {
	{"secret", 6, 6},     {"secret\n", 7, 6},     {"secret\r\n", 8, 6},   {"secret\n\n", 8, 8},
	{"", 0, 0},           {"\n", 1, 0},           {"two words\n", 10, 9}, {"secret\r", 7, 7},
	{"sec\0ret\n", 8, 8}, {"\x80secret\n", 8, 8}, {"se\tcret\n", 8, 8},
};

static void test_a_text_loses_its_line_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(SECRET_FILES) / sizeof(SECRET_FILES[0]); i++) {
		struct slice content = slice_of(SECRET_FILES[i].content, SECRET_FILES[i].size);
		assert_int_equal(key_secret_trim(content).size, SECRET_FILES[i].trimmed);
	}
}

static void test_algorithms_by_name(void **state)
{
	(void)state;
	static const char *const OTHERS[] = {"none",  "None",   "NONE",  "hs256",   "HS384", "HS512",  "RS384", "PS256",
					     "ES384", "ES256K", "eddsa", "Ed25519", "",      "HS256 ", "HS25"};
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
		enum algorithm algorithm = ALGORITHM_COUNT;
		assert_true(algorithm_parse(slice_string(algorithm_name((enum algorithm)i)), &algorithm));
		assert_int_equal(algorithm, i);
	}
	for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
		enum algorithm algorithm;
		assert_false(algorithm_parse(slice_string(OTHERS[i]), &algorithm));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_of_the_standards),
		cmocka_unit_test(test_no_other_signature),
		cmocka_unit_test(test_signatures_of_any_size),
		cmocka_unit_test(test_bad_jwks),
		cmocka_unit_test(test_use_and_operations_that_are_ours),
		cmocka_unit_test(test_pem_files),
		cmocka_unit_test(test_pem_key_verifies),
		cmocka_unit_test(test_secrets_have_a_least_and_a_most),
		cmocka_unit_test(test_ids_are_limited),
		cmocka_unit_test(test_a_text_loses_its_line_end),
		cmocka_unit_test(test_algorithms_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
