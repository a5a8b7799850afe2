/* Tokens: what is let through, and a list of ways that were found, in one library or another, to be let through without
 * a right to it. */
#include "auth/token/token.h"

#include "auth/rules/acl.h"
#include "auth/text/base64url.h"
#include "auth_vectors.h"
#include "tool/signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_S INT64_C(1700000000)
#define BYTES_MAX 4096u

static const struct slice NO_ID = {NULL, 0};
static const char PAYLOAD[] = "{\"sub\":\"alice\",\"client_id\":\"c1\",\"jti\":\"t1\",\"exp\":1700003600}";

/* One signer of each algorithm, and a verifier that knows their public halves by these ids. */
static const char *const IDS[ALGORITHM_COUNT] = {"hs", "rs", "es", "ed"};

struct scene {
	struct signer signers[ALGORITHM_COUNT];
	struct key_set *keys;
	struct token_verifier *verifier;
};

static void add_public_key(struct key_set *keys, const struct signer *signer)
{
	json_t *jwk = signer_jwk(signer, signer->algorithm == ALGORITHM_HS256);
	char *text = json_dumps(jwk, JSON_COMPACT);
	struct jwks_result result;
	struct fault fault;
	assert_true(key_set_add_jwks(keys, slice_string(text), &result, &fault));
	assert_int_equal(result.added, 1);
	free(text);
	json_decref(jwk);
}

static struct token_verifier *verifier_of(struct key_set *keys)
{
	struct claim_policy policy = claim_policy_default();
	struct token_verifier *verifier = token_verifier_new(&policy, BYTES_MAX);
	assert_non_null(verifier);
	token_verifier_use(verifier, keys);
	return verifier;
}

static int scene_open(void **state)
{
	static struct scene scene;
	scene.keys = key_set_new();
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
		struct fault fault;
		assert_true(signer_generate(&scene.signers[i], (enum algorithm)i, &fault));
		strcpy(scene.signers[i].id, IDS[i]);
		add_public_key(scene.keys, &scene.signers[i]);
	}
	scene.verifier = verifier_of(scene.keys);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	token_verifier_free(scene->verifier);
	key_set_put(&scene->keys);
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++)
		signer_fini(&scene->signers[i]);
	return 0;
}

/* In a block of exactly its size. */
static enum error verify_bytes(struct token_verifier *verifier, const void *text, size_t size, struct token *token)
{
	uint8_t *block = test_malloc(size + 1);
	memcpy(block, text, size);
	enum error error = token_verify(verifier, slice_of(block, size), NOW_S, token);
	test_free(block);
	return error;
}

static enum error verify(struct scene *scene, const char *text)
{
	struct token token;
	return verify_bytes(scene->verifier, text, strlen(text), &token);
}

static void assert_text(struct slice text, const char *wanted)
{
	if (!slice_equal(text, slice_string(wanted)))
		fail_msg("\"%.*s\" instead of \"%s\"", (int)text.size, (const char *)text.data, wanted);
}

static void test_each_algorithm(void **state)
{
	struct scene *scene = *state;
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
		char *text = signer_sign(&scene->signers[i], slice_string(PAYLOAD));
		/* The second time its header is known. */
		for (int round = 0; round < 2; round++) {
			struct token token;
			enum error error = token_verify(scene->verifier, slice_string(text), NOW_S, &token);
			if (error != ERROR_OK)
				fail_msg("%s: %s", algorithm_name((enum algorithm)i), error_name(error));
			assert_int_equal(token.key->algorithm, i);
			assert_text(token.claims.user, "alice");
			assert_text(token.claims.client_id, "c1");
			assert_text(token.claims.id, "t1");
			assert_true(token.claims.expires_s == 1700003600);
			assert_null(token.permissions.data);
		}
		free(text);
	}
}

static void test_vectors_of_the_standard(void **state)
{
	(void)state;
	static const struct {
		const char *jwk, *token;
	} VECTORS[] = {
		{RFC7515_OCT_JWK, RFC7515_HS256}, {RFC7515_RSA_JWK, RFC7515_RS256}, {RFC7515_EC_JWK, RFC7515_ES256}};
	for (size_t i = 0; i < sizeof(VECTORS) / sizeof(VECTORS[0]); i++) {
		struct key_set *keys = key_set_new();
		struct claim_policy policy = claim_policy_default();
		struct jwks_result result;
		struct fault fault;
		struct token token;
		policy.user = slice_string("iss");
		struct token_verifier *verifier = token_verifier_new(&policy, BYTES_MAX);
		assert_true(key_set_add_jwks(keys, slice_string(VECTORS[i].jwk), &result, &fault));
		token_verifier_use(verifier, keys);
		struct slice text = slice_string(VECTORS[i].token);
		assert_int_equal(token_verify(verifier, text, RFC7515_EXPIRES_S - 1, &token), ERROR_OK);
		assert_text(token.claims.user, "joe");
		assert_int_equal(token_verify(verifier, text, NOW_S, &token), ERROR_TOKEN_EXPIRED);
		token_verifier_free(verifier);
		key_set_put(&keys);
	}
	/* RFC 8037's is signed well and is no JWT: its payload is a text. */
	struct key_set *keys = key_set_new();
	struct jwks_result result;
	struct fault fault;
	assert_true(key_set_add_jwks(keys, slice_string(RFC8037_JWK), &result, &fault));
	struct token_verifier *verifier = verifier_of(keys);
	struct token token;
	assert_int_equal(token_verify(verifier, slice_string(RFC8037_EDDSA), NOW_S, &token), ERROR_TOKEN_MALFORMED);
	token_verifier_free(verifier);
	key_set_put(&keys);
}

/* ---- attacks ---- */

/* Headers that the signer's own key signs all the same, HMAC with the secret of "hs". */
static const struct {
	const char *header;
	enum error error;
} HEADERS[] = {
	{"{\"alg\":\"HS256\",\"kid\":\"hs\"}", ERROR_OK},
	{"{\"alg\":\"HS256\"}", ERROR_OK}, /* the only one of its algorithm */
	{"{\"kid\":\"hs\",\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"cty\":\"x\"}", ERROR_OK},
	/* keys that the token brings along are not looked at */
	{"{\"alg\":\"HS256\",\"kid\":\"hs\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"},\"jku\":\"http://x/"
	 "\",\"x5c\":[\"a\"]}",
	 ERROR_OK},
	/* no algorithm, in every spelling */
	{"{\"alg\":\"none\"}", ERROR_TOKEN_ALGORITHM},
	{"{\"alg\":\"None\",\"kid\":\"hs\"}", ERROR_TOKEN_ALGORITHM},
	{"{\"alg\":\"NONE\"}", ERROR_TOKEN_ALGORITHM},
	{"{\"alg\":\"nOnE\"}", ERROR_TOKEN_ALGORITHM},
	{"{\"alg\":\"\"}", ERROR_TOKEN_MALFORMED},
	{"{\"alg\":null}", ERROR_TOKEN_MALFORMED},
	{"{\"alg\":[\"HS256\"]}", ERROR_TOKEN_MALFORMED},
	{"{\"alg\":{\"HS256\":1}}", ERROR_TOKEN_MALFORMED},
	{"{\"alg\":true}", ERROR_TOKEN_MALFORMED},
	{"{\"kid\":\"hs\"}", ERROR_TOKEN_MALFORMED},
	{"{}", ERROR_TOKEN_MALFORMED},
	/* another algorithm than the key's */
	{"{\"alg\":\"HS384\",\"kid\":\"hs\"}", ERROR_TOKEN_ALGORITHM},
	{"{\"alg\":\"hs256\",\"kid\":\"hs\"}", ERROR_TOKEN_ALGORITHM},
	{"{\"alg\":\"HS256 \",\"kid\":\"hs\"}", ERROR_TOKEN_ALGORITHM},
	{"{\"alg\":\"HS256\",\"kid\":\"rs\"}", ERROR_TOKEN_ALGORITHM},
	{"{\"alg\":\"HS256\",\"kid\":\"ed\"}", ERROR_TOKEN_ALGORITHM},
	{"{\"alg\":\"RS256\",\"kid\":\"hs\"}", ERROR_TOKEN_ALGORITHM},
	{"{\"alg\":\"PS256\",\"kid\":\"rs\"}", ERROR_TOKEN_ALGORITHM},
	/* the right key's algorithm, and a signature of another kind */
	{"{\"alg\":\"RS256\",\"kid\":\"rs\"}", ERROR_TOKEN_SIGNATURE},
	{"{\"alg\":\"ES256\",\"kid\":\"es\"}", ERROR_TOKEN_SIGNATURE},
	{"{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", ERROR_TOKEN_SIGNATURE},
	/* ids that look like a path or a query, or are no text */
	{"{\"alg\":\"HS256\",\"kid\":\"../../../../dev/null\"}", ERROR_TOKEN_KEY_UNKNOWN},
	{"{\"alg\":\"HS256\",\"kid\":\"/dev/null\"}", ERROR_TOKEN_KEY_UNKNOWN},
	{"{\"alg\":\"HS256\",\"kid\":\"x' UNION SELECT 'AAAA\"}", ERROR_TOKEN_KEY_UNKNOWN},
	{"{\"alg\":\"HS256\",\"kid\":\"hs\\u0000x\"}", ERROR_TOKEN_MALFORMED},
	{"{\"alg\":\"HS256\",\"kid\":\"HS\"}", ERROR_TOKEN_KEY_UNKNOWN},
	{"{\"alg\":\"HS256\",\"kid\":0}", ERROR_TOKEN_MALFORMED},
	{"{\"alg\":\"HS256\",\"kid\":[\"hs\"]}", ERROR_TOKEN_MALFORMED},
	{"{\"alg\":\"HS256\",\"kid\":null}", ERROR_TOKEN_MALFORMED},
	/* twice, in two spellings, or deep inside */
	{"{\"alg\":\"none\",\"alg\":\"HS256\",\"kid\":\"hs\"}", ERROR_TOKEN_MALFORMED},
	{"{\"alg\":\"HS256\",\"\\u0061lg\":\"none\",\"kid\":\"hs\"}", ERROR_TOKEN_MALFORMED},
	{"{\"alg\":\"HS256\",\"kid\":\"hs\",\"x\":{\"y\":1,\"y\":2}}", ERROR_TOKEN_MALFORMED},
	/* extensions */
	{"{\"alg\":\"HS256\",\"kid\":\"hs\",\"crit\":[\"exp\"],\"exp\":1}", ERROR_TOKEN_CRITICAL},
	{"{\"alg\":\"HS256\",\"kid\":\"hs\",\"crit\":[]}", ERROR_TOKEN_CRITICAL},
	{"{\"alg\":\"HS256\",\"kid\":\"hs\",\"crit\":[\"b64\"],\"b64\":false}", ERROR_TOKEN_CRITICAL},
	{"{\"alg\":\"none\",\"crit\":null}", ERROR_TOKEN_CRITICAL},
	/* no header at all */
	{"", ERROR_TOKEN_MALFORMED},
	{"[]", ERROR_TOKEN_MALFORMED},
	{"\"HS256\"", ERROR_TOKEN_MALFORMED},
	{"null", ERROR_TOKEN_MALFORMED},
	{"{\"alg\":\"HS256\"} {}", ERROR_TOKEN_MALFORMED},
	{"{\"alg\":\"HS256\"", ERROR_TOKEN_MALFORMED},
	{"\xff\xfe", ERROR_TOKEN_MALFORMED},
	{"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", ERROR_TOKEN_MALFORMED},
};

static void test_headers(void **state)
{
	struct scene *scene = *state;
	for (size_t i = 0; i < sizeof(HEADERS) / sizeof(HEADERS[0]); i++) {
		char *text = signer_sign_as(&scene->signers[ALGORITHM_HS256], slice_string(HEADERS[i].header),
					    slice_string(PAYLOAD));
		enum error error = verify(scene, text);
		if (error != HEADERS[i].error)
			fail_msg("%s: %s instead of %s", HEADERS[i].header, error_name(error),
				 error_name(HEADERS[i].error));
		free(text);
	}
}

/* The public key as the secret: as PEM, as the JWK's text and as its bare number. */
static void test_public_key_as_secret(void **state)
{
	struct scene *scene = *state;
	for (unsigned i = ALGORITHM_RS256; i < ALGORITHM_COUNT; i++) {
		json_t *jwk = signer_jwk(&scene->signers[i], false);
		char *text = json_dumps(jwk, JSON_COMPACT);
		const char *number = json_string_value(json_object_get(jwk, i == ALGORITHM_RS256 ? "n" : "x"));
		const char *const secrets[] = {text, number};
		for (size_t j = 0; j < sizeof(secrets) / sizeof(secrets[0]); j++) {
			struct signer forger;
			struct fault fault;
			char header[64];
			assert_true(signer_from_secret(&forger, slice_string(secrets[j]), &fault));
			snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%s\"}", IDS[i]);
			char *token = signer_sign_as(&forger, slice_string(header), slice_string(PAYLOAD));
			assert_int_equal(verify(scene, token), ERROR_TOKEN_ALGORITHM);
			free(token);
			token = signer_sign_as(&forger, slice_string("{\"alg\":\"HS256\"}"), slice_string(PAYLOAD));
			assert_int_equal(verify(scene, token), ERROR_TOKEN_SIGNATURE);
			free(token);
			signer_fini(&forger);
		}
		free(text);
		json_decref(jwk);
	}
}

/* With only public keys in the set, HS256 finds none, whatever the secret. */
static void test_no_secret_in_the_set(void **state)
{
	struct scene *scene = *state;
	struct key_set *keys = key_set_new();
	add_public_key(keys, &scene->signers[ALGORITHM_RS256]);
	struct token_verifier *verifier = verifier_of(keys);
	struct token token;
	char *text = signer_sign_as(&scene->signers[ALGORITHM_HS256], slice_string("{\"alg\":\"HS256\"}"),
				    slice_string(PAYLOAD));
	assert_int_equal(token_verify(verifier, slice_string(text), NOW_S, &token), ERROR_TOKEN_KEY_UNKNOWN);
	free(text);
	token_verifier_free(verifier);
	key_set_put(&keys);
}

static void test_cut_at_every_byte(void **state)
{
	struct scene *scene = *state;
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
		char *text = signer_sign(&scene->signers[i], slice_string(PAYLOAD));
		assert_int_equal(verify(scene, text), ERROR_OK);
		for (size_t size = 0; size < strlen(text); size++) {
			struct token token;
			enum error error = verify_bytes(scene->verifier, text, size, &token);
			if (error != ERROR_TOKEN_MALFORMED && error != ERROR_TOKEN_SIGNATURE)
				fail_msg("%s cut at %zu: %s", algorithm_name((enum algorithm)i), size,
					 error_name(error));
		}
		free(text);
	}
}

/* Every character changed into another of the alphabet: one spelling, one token. */
static void test_changed_at_every_byte(void **state)
{
	struct scene *scene = *state;
	char *text = signer_sign(&scene->signers[ALGORITHM_HS256], slice_string(PAYLOAD));
	for (size_t i = 0; i < strlen(text); i++) {
		char kept = text[i];
		for (const char *other = "AQgw_.=\n"; *other != '\0'; other++) {
			text[i] = *other;
			if (*other != kept && verify(scene, text) == ERROR_OK)
				fail_msg("'%c' for '%c' at %zu", *other, kept, i);
		}
		text[i] = kept;
	}
	assert_int_equal(verify(scene, text), ERROR_OK);
	free(text);
}

static void test_parts_are_three(void **state)
{
	struct scene *scene = *state;
	char *good = signer_sign(&scene->signers[ALGORITHM_HS256], slice_string(PAYLOAD));
	char text[1024];
	static const char *const FORMS[] = {"%s.", "%s.AAAA", ".%s",       "%s.a.b", " %s",
					    "%s ", "%s\n",    "Bearer %s", "%s="};
	for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
		snprintf(text, sizeof(text), FORMS[i], good); /* NOLINT(clang-diagnostic-format-nonliteral) */
		assert_int_equal(verify(scene, text), ERROR_TOKEN_MALFORMED);
	}
	static const char *const NONE[] = {"", ".", "..", "...", "a", "a.b", "....", "e30.e30.", "e30..", "..e30"};
	for (size_t i = 0; i < sizeof(NONE) / sizeof(NONE[0]); i++)
		assert_int_equal(verify(scene, NONE[i]), ERROR_TOKEN_MALFORMED);
	free(good);
}

/* Without a signature, with header and payload as they were. */
static void test_signature_left_out(void **state)
{
	struct scene *scene = *state;
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
		char *text = signer_sign(&scene->signers[i], slice_string(PAYLOAD));
		strrchr(text, '.')[1] = '\0';
		assert_int_equal(verify(scene, text), ERROR_TOKEN_SIGNATURE);
		free(text);
	}
}

/* A signature of zeroes: r = s = 0 was once good for every message and ES256 key. */
static void test_signature_of_zeroes(void **state)
{
	struct scene *scene = *state;
	static const size_t BYTES[ALGORITHM_COUNT] = {32, 256, 64, 64};
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
		char *good = signer_sign(&scene->signers[i], slice_string(PAYLOAD));
		char text[1024];
		uint8_t zeroes[256] = {0};
		size_t size = (size_t)(strrchr(good, '.') - good) + 1;
		memcpy(text, good, size);
		size += base64url_encode(slice_of(zeroes, BYTES[i]), text + size);
		text[size] = '\0';
		assert_int_equal(verify(scene, text), ERROR_TOKEN_SIGNATURE);
		free(good);
	}
}

static const struct {
	const char *payload;
	enum error error;
} PAYLOADS[] = {
	{"", ERROR_TOKEN_MALFORMED},
	{"text", ERROR_TOKEN_MALFORMED},
	{"[]", ERROR_TOKEN_MALFORMED},
	{"7", ERROR_TOKEN_MALFORMED},
	{"{\"sub\":\"a\",\"exp\":1700003600,\"exp\":1800000000}", ERROR_TOKEN_MALFORMED},
	{"{\"sub\":\"a\",\"exp\":1700003600,\"e\\u0078p\":1800000000}", ERROR_TOKEN_MALFORMED},
	{"{\"sub\":\"a\",\"exp\":1700003600,\"x\":{\"y\":[{\"z\":1,\"z\":2}]}}", ERROR_TOKEN_MALFORMED},
	{"{\"sub\":\"a\\u0000b\",\"exp\":1700003600}", ERROR_TOKEN_MALFORMED},
	{"{\"sub\":\"\xff\",\"exp\":1700003600}", ERROR_TOKEN_MALFORMED},
	{"{\"sub\":\"a\"}", ERROR_TOKEN_CLAIM},
	{"{\"sub\":\"a\",\"exp\":-1}", ERROR_TOKEN_CLAIM},
	{"{\"sub\":\"a\",\"exp\":1e999}", ERROR_TOKEN_CLAIM},
	{"{\"sub\":\"a\",\"exp\":99999999999999999999999999}", ERROR_TOKEN_CLAIM},
	{"{\"sub\":\"a\",\"exp\":1}", ERROR_TOKEN_EXPIRED},
	{"{\"sub\":\"a\",\"exp\":1800000000,\"nbf\":1790000000}", ERROR_TOKEN_NOT_YET},
	{"{\"sub\":\"a\",\"exp\":1800000000,\"aud\":\"else\"}", ERROR_TOKEN_AUDIENCE},
	{"{\"sub\":\"a\",\"exp\":1800000000,\"permissions\":{}}", ERROR_OK},
	{"{\"sub\":\"a\",\"exp\":1800000000,\"permissions\":[]}", ERROR_TOKEN_CLAIM},
	{"{\"sub\":\"a\",\"exp\":1800000000,\"permissions\":{\"publish\":[\"a/#/b\"]}}", ERROR_TOKEN_CLAIM},
};

static void test_payloads(void **state)
{
	struct scene *scene = *state;
	for (size_t i = 0; i < sizeof(PAYLOADS) / sizeof(PAYLOADS[0]); i++) {
		char *text = signer_sign(&scene->signers[ALGORITHM_HS256], slice_string(PAYLOADS[i].payload));
		enum error error = verify(scene, text);
		if (error != PAYLOADS[i].error)
			fail_msg("%s: %s", PAYLOADS[i].payload, error_name(error));
		free(text);
	}
}

/* Nothing of an unsigned payload is looked at: what is wrong with it is not told to a stranger. */
static void test_signature_before_payload(void **state)
{
	struct scene *scene = *state;
	struct signer forger;
	struct fault fault;
	assert_true(signer_generate(&forger, ALGORITHM_HS256, &fault));
	strcpy(forger.id, "hs");
	for (size_t i = 0; i < sizeof(PAYLOADS) / sizeof(PAYLOADS[0]); i++) {
		char *text = signer_sign(&forger, slice_string(PAYLOADS[i].payload));
		assert_int_equal(verify(scene, text), ERROR_TOKEN_SIGNATURE);
		free(text);
	}
	signer_fini(&forger);
}

/* ---- limits ---- */

static char *token_of_size(struct scene *scene, size_t padding)
{
	char *payload = test_malloc(padding + 128);
	int size = sprintf(payload, "{\"sub\":\"a\",\"exp\":1700003600,\"x\":\"");
	memset(payload + size, 'x', padding);
	strcpy(payload + size + padding, "\"}");
	char *text = signer_sign(&scene->signers[ALGORITHM_HS256], slice_string(payload));
	test_free(payload);
	return text;
}

static void test_length_is_limited(void **state)
{
	struct scene *scene = *state;
	size_t fits = 0, refused = 0;
	for (size_t padding = 2900; padding < 3000; padding++) {
		char *text = token_of_size(scene, padding);
		bool is_long = strlen(text) > BYTES_MAX;
		assert_int_equal(verify(scene, text), is_long ? ERROR_TOKEN_TOO_LARGE : ERROR_OK);
		fits += !is_long;
		refused += is_long;
		free(text);
	}
	assert_true(fits > 0 && refused > 0);
}

static void test_header_is_limited(void **state)
{
	struct scene *scene = *state;
	char header[1024];
	int size = sprintf(header, "{\"alg\":\"HS256\",\"kid\":\"hs\",\"x\":\"");
	memset(header + size, 'x', 700);
	strcpy(header + size + 700, "\"}");
	char *text = signer_sign_as(&scene->signers[ALGORITHM_HS256], slice_string(header), slice_string(PAYLOAD));
	assert_int_equal(verify(scene, text), ERROR_OK);
	free(text);
	memset(header + size, 'x', 800);
	strcpy(header + size + 800, "\"}");
	text = signer_sign_as(&scene->signers[ALGORITHM_HS256], slice_string(header), slice_string(PAYLOAD));
	assert_int_equal(verify(scene, text), ERROR_TOKEN_MALFORMED);
	free(text);
}

static void test_claims_are_limited(void **state)
{
	struct scene *scene = *state;
	char payload[2048];
	int size = sprintf(payload, "{\"sub\":\"a\",\"exp\":1700003600,\"x\":[0");
	for (int i = 1; i < 300; i++)
		size += sprintf(payload + size, ",0");
	strcpy(payload + size, "]}");
	char *text = signer_sign(&scene->signers[ALGORITHM_HS256], slice_string(payload));
	assert_int_equal(verify(scene, text), ERROR_TOKEN_MALFORMED);
	free(text);
}

/* ---- keys ---- */

static void test_keys_are_swapped(void **state)
{
	struct scene *scene = *state;
	struct signer next;
	struct fault fault;
	struct token token;
	struct key_set *first = key_set_new(), *second = key_set_new();
	add_public_key(first, &scene->signers[ALGORITHM_HS256]);
	/* The same id, another secret: what was known of the old must not be used for the new. */
	assert_true(signer_generate(&next, ALGORITHM_HS256, &fault));
	strcpy(next.id, "hs");
	add_public_key(second, &next);
	struct token_verifier *verifier = verifier_of(first);
	char *before = signer_sign(&scene->signers[ALGORITHM_HS256], slice_string(PAYLOAD));
	char *after = signer_sign(&next, slice_string(PAYLOAD));
	assert_int_equal(token_verify(verifier, slice_string(before), NOW_S, &token), ERROR_OK);
	assert_int_equal(token_verify(verifier, slice_string(after), NOW_S, &token), ERROR_TOKEN_SIGNATURE);
	token_verifier_use(verifier, second);
	key_set_put(&first); /* the verifier has let go of it */
	assert_int_equal(token_verify(verifier, slice_string(before), NOW_S, &token), ERROR_TOKEN_SIGNATURE);
	assert_int_equal(token_verify(verifier, slice_string(after), NOW_S, &token), ERROR_OK);
	free(before);
	free(after);
	token_verifier_free(verifier);
	key_set_put(&second);
	signer_fini(&next);
}

static void test_no_keys_yet(void **state)
{
	struct scene *scene = *state;
	struct claim_policy policy = claim_policy_default();
	struct token_verifier *verifier = token_verifier_new(&policy, BYTES_MAX);
	struct token token;
	char *text = signer_sign(&scene->signers[ALGORITHM_HS256], slice_string(PAYLOAD));
	assert_int_equal(token_verify(verifier, slice_string(text), NOW_S, &token), ERROR_TOKEN_KEY_UNKNOWN);
	free(text);
	token_verifier_free(verifier);
}

static void test_permissions(void **state)
{
	struct scene *scene = *state;
	struct token token;
	struct fault fault;
	char *text = signer_sign(
		&scene->signers[ALGORITHM_EDDSA],
		slice_string("{\"sub\":\"a\",\"exp\":1700003600,\"permissions\":{\"publish\":[\"a/%c/#\"]}}"));
	assert_int_equal(token_verify(scene->verifier, slice_string(text), NOW_S, &token), ERROR_OK);
	assert_non_null(token.permissions.data);
	struct acl *acl = acl_new(NO_ID, true, &fault);
	struct acl_identity identity = {.client_id = slice_string("c1"), .user = slice_string("a")};
	assert_true(acl_check(acl, token.permissions, &identity, ACL_PUBLISH, slice_string("a/c1/x")));
	assert_false(acl_check(acl, token.permissions, &identity, ACL_PUBLISH, slice_string("a/c2/x")));
	assert_false(acl_check(acl, token.permissions, &identity, ACL_SUBSCRIBE, slice_string("a/c1/x")));
	acl_put(&acl);
	free(text);
}

static const struct {
	const char *text;
	bool has_form;
} FORMS[] = {
	{"eyJ.eyJ.sig", true}, {"a.b.c", true},        {"a..", true},      {"A-_0.b.", true},  {"", false},
	{"secret", false},     {"a.b", false},         {"a.b.c.d", false}, {".b.c", false},    {"a.b.c ", false},
	{"a b.c.d", false},    {"pass.wo?d.x", false}, {"a.b.c=", false},  {"a.b\n.c", false}, {"a.\xc3\xa9.c", false},
};

static void test_form_of_a_token(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++)
		if (token_has_form(slice_string(FORMS[i].text)) != FORMS[i].has_form)
			fail_msg("%s", FORMS[i].text);
	assert_false(token_has_form(slice_of(NULL, 0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_algorithm),
		cmocka_unit_test(test_vectors_of_the_standard),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_public_key_as_secret),
		cmocka_unit_test(test_no_secret_in_the_set),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_changed_at_every_byte),
		cmocka_unit_test(test_parts_are_three),
		cmocka_unit_test(test_signature_left_out),
		cmocka_unit_test(test_signature_of_zeroes),
		cmocka_unit_test(test_payloads),
		cmocka_unit_test(test_signature_before_payload),
		cmocka_unit_test(test_length_is_limited),
		cmocka_unit_test(test_header_is_limited),
		cmocka_unit_test(test_claims_are_limited),
		cmocka_unit_test(test_keys_are_swapped),
		cmocka_unit_test(test_no_keys_yet),
		cmocka_unit_test(test_permissions),
		cmocka_unit_test(test_form_of_a_token),
	};
	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
