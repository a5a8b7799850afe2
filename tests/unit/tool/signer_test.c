/* Keys to sign with: written and read again, as JWK and PEM, with the thumbprints of the standards. */
#include "tool/signer.h"

#include "auth/token/key_set.h"
#include "auth/token/token.h"
#include "auth_vectors.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_S INT64_C(1700000000)

static const char PAYLOAD[] = "{\"sub\":\"alice\",\"exp\":1700003600}";

static char *jwk_text(const struct signer *signer, bool secret)
{
	json_t *jwk = signer_jwk(signer, secret);
	char *text = json_dumps(jwk, JSON_COMPACT);
	assert_non_null(text);
	json_decref(jwk);
	return text;
}

/* Whether the server, with the one signer's public key, takes what the other signs. */
static void assert_verifies(const struct signer *published, const struct signer *signing)
{
	struct key_set *keys = key_set_new();
	struct claim_policy policy = claim_policy_default();
	struct token_verifier *verifier = token_verifier_new(&policy, 4096);
	struct jwks_result result;
	struct fault fault;
	struct token token;
	char *jwk = jwk_text(published, published->algorithm == ALGORITHM_HS256);
	assert_true(key_set_add_jwks(keys, slice_string(jwk), &result, &fault));
	assert_int_equal(result.added, 1);
	token_verifier_use(verifier, keys);
	char *text = signer_sign(signing, slice_string(PAYLOAD));
	assert_int_equal(token_verify(verifier, slice_string(text), NOW_S, &token), ERROR_OK);
	free(text);
	free(jwk);
	token_verifier_free(verifier);
	key_set_put(&keys);
}

static void test_keys_come_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
		struct signer made, read;
		struct fault fault;
		assert_true(signer_generate(&made, (enum algorithm)i, &fault));
		signer_set_thumbprint(&made);
		char *text = jwk_text(&made, true);
		if (!signer_read(&read, slice_string(text), &fault))
			fail_msg("%s: %s", text, fault.text);
		assert_int_equal(read.algorithm, i);
		assert_string_equal(read.id, made.id);
		char *again = jwk_text(&read, true);
		assert_string_equal(again, text);
		assert_verifies(&made, &read);
		free(again);
		free(text);
		signer_fini(&read);
		signer_fini(&made);
	}
}

static void test_public_half_has_no_secret(void **state)
{
	(void)state;
	static const char *const SECRETS[] = {"d", "p", "q", "dp", "dq", "qi", "k"};
	for (unsigned i = ALGORITHM_RS256; i < ALGORITHM_COUNT; i++) {
		struct signer signer, read;
		struct fault fault;
		assert_true(signer_generate(&signer, (enum algorithm)i, &fault));
		json_t *jwk = signer_jwk(&signer, false);
		for (size_t j = 0; j < sizeof(SECRETS) / sizeof(SECRETS[0]); j++)
			assert_null(json_object_get(jwk, SECRETS[j]));
		json_decref(jwk);
		/* And nobody can sign with it. */
		char *text = jwk_text(&signer, false);
		if (signer_read(&read, slice_string(text), &fault)) {
			fail_msg("%s was read", text);
			signer_fini(&read);
		}
		free(text);
		signer_fini(&signer);
	}
}

static void test_vector_of_the_standard(void **state)
{
	(void)state;
	struct signer signer;
	struct fault fault;
	assert_true(signer_read(&signer, slice_string(RFC8037_PRIVATE_JWK), &fault));
	/* Ed25519 signs the same way each time [RFC 8037, A.4]. */
	char *token = signer_sign_as(&signer, slice_string("{\"alg\":\"EdDSA\"}"), slice_string(RFC8037_PAYLOAD));
	assert_string_equal(token, RFC8037_EDDSA);
	free(token);
	signer_set_thumbprint(&signer);
	assert_string_equal(signer.id, RFC8037_THUMBPRINT);
	signer_fini(&signer);
}

static const struct {
	const char *pem;
	enum algorithm algorithm; /* ALGORITHM_COUNT: refused */
} PEMS[] = {
	{"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
	 "-----END PRIVATE KEY-----\n",
	 ALGORITHM_EDDSA},
	{"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIEe0ro2vMonuC3UcXYJaVKJzQUhVRaLPb2+ApnvtLQwVoAoGCCqGSM49\n"
	 "AwEHoUQDQgAERmuKaGCKfwwuahZYz9OhPbbgoynuPpMVPjq5C6iFJTaBqH+7IoWZ\n"
	 "cM3TCXyo5PUKVqmjn6rkbQbMoHkHBnNhlg==\n-----END EC PRIVATE KEY-----\n",
	 ALGORITHM_COUNT}, /* its two halves do not belong together */
	{"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
	 "-----END PUBLIC KEY-----\n",
	 ALGORITHM_COUNT},
	{"", ALGORITHM_COUNT},
	{"secret", ALGORITHM_COUNT},
};

static void test_pem_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(PEMS) / sizeof(PEMS[0]); i++) {
		struct signer signer;
		struct fault fault = {0};
		bool read = signer_read(&signer, slice_string(PEMS[i].pem), &fault);
		if (read != (PEMS[i].algorithm != ALGORITHM_COUNT))
			fail_msg("case %zu: %s", i, fault.text);
		assert_int_equal(ERR_peek_error(), 0);
		if (!read)
			continue;
		assert_int_equal(signer.algorithm, PEMS[i].algorithm);
		assert_verifies(&signer, &signer);
		signer_fini(&signer);
	}
}

static const struct {
	const char *text;
	const char *fault;
} BAD[] = {
	{"{", ""},
	{"{}", "an unknown kind"},
	{"{\"kty\":\"oct\"}", "\"k\" is missing"},
	{"{\"kty\":\"oct\",\"k\":\"AAAA\"}", "the secret has 3 bytes"},
	{"{\"kty\":\"RSA\",\"n\":\"AAAA\",\"e\":\"AQAB\",\"d\":\"AAAA\"}", ""},
	{"{\"kty\":\"EC\",\"crv\":\"P-521\"}", "an unknown kind"},
	{"{\"kty\":\"EC\",\"crv\":\"P-256\"}", "no private key"},
	{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	 "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"d\":\"AQ\"}",
	 "not of one key"},
	{"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
	 "no private key"},
	{"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"d\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
	 "an unknown kind"},
	{"{\"keys\":[]}", "the JWK set has 0 keys"},
	{"{\"keys\":[" RFC8037_PRIVATE_JWK "," RFC8037_PRIVATE_JWK "]}", "the JWK set has 2 keys"},
	{"{\"keys\":[],\"keys\":[]}", "duplicate"},
};

static void test_what_cannot_be_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct signer signer;
		struct fault fault = {0};
		if (signer_read(&signer, slice_string(BAD[i].text), &fault))
			fail_msg("%s", BAD[i].text);
		if (fault.text[0] == '\0' || strstr(fault.text, BAD[i].fault) == NULL)
			fail_msg("%s: %s", BAD[i].text, fault.text);
	}
}

static void test_set_of_one_key(void **state)
{
	(void)state;
	struct signer signer;
	struct fault fault;
	assert_true(signer_read(&signer, slice_string(" {\"keys\":[" RFC8037_PRIVATE_JWK "]}\n"), &fault));
	assert_int_equal(signer.algorithm, ALGORITHM_EDDSA);
	assert_verifies(&signer, &signer);
	signer_fini(&signer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_come_back),         cmocka_unit_test(test_public_half_has_no_secret),
		cmocka_unit_test(test_vector_of_the_standard), cmocka_unit_test(test_pem_files),
		cmocka_unit_test(test_what_cannot_be_read),    cmocka_unit_test(test_set_of_one_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
