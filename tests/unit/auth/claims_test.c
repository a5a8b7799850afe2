/* Claims: times, parties, and which claim becomes what. */
#include "auth/token/claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODES 64u
#define NOW_S INT64_C(1700000000)
#define LEEWAY_S 30

struct payload {
	struct strict_json json;
	struct strict_node nodes[NODES];
	uint8_t text[2048];
};

static enum error read_payload(struct payload *payload, const char *text, const struct claim_policy *policy,
			       struct claims *claims)
{
	size_t size = strlen(text), at;
	assert_true(size <= sizeof(payload->text));
	payload->json = (struct strict_json){.nodes = payload->nodes, .capacity = NODES};
	memcpy(payload->text, text, size);
	const char *wrong = strict_json_read(&payload->json, payload->text, size, &at);
	if (wrong != NULL)
		fail_msg("%s: %s", text, wrong);
	return claims_read(&payload->json, policy, NOW_S, claims);
}

static void assert_text(struct slice text, const char *wanted)
{
	if (!slice_equal(text, slice_string(wanted)))
		fail_msg("\"%.*s\" instead of \"%s\"", (int)text.size, (const char *)text.data, wanted);
}

/* With the default policy and its leeway of 30 s; the user is always there. */
static const struct {
	const char *times;
	enum error error;
} TIMES[] = {
	{"\"exp\":1700000001", ERROR_OK},
	{"\"exp\":1700000000", ERROR_OK}, /* within the leeway */
	{"\"exp\":1699999971", ERROR_OK},
	{"\"exp\":1699999970", ERROR_TOKEN_EXPIRED},
	{"\"exp\":0", ERROR_TOKEN_EXPIRED},
	{"\"x\":1", ERROR_TOKEN_CLAIM}, /* no expiry */
	/* numbers of other forms [RFC 7519, 2] */
	{"\"exp\":1700000000.9", ERROR_OK},
	{"\"exp\":1.7e9", ERROR_OK},
	{"\"exp\":1.8E+9", ERROR_OK},
	{"\"exp\":1699999970.9", ERROR_TOKEN_EXPIRED},
	{"\"exp\":17e8", ERROR_OK},
	{"\"exp\":-0", ERROR_TOKEN_EXPIRED},
	{"\"exp\":1e-5", ERROR_TOKEN_EXPIRED},
	/* no times */
	{"\"exp\":-1", ERROR_TOKEN_CLAIM},
	{"\"exp\":-1700000001", ERROR_TOKEN_CLAIM},
	{"\"exp\":1700000001000", ERROR_TOKEN_CLAIM}, /* milliseconds */
	{"\"exp\":253402300799", ERROR_OK},
	{"\"exp\":253402300800", ERROR_TOKEN_CLAIM},
	{"\"exp\":9223372036854775807", ERROR_TOKEN_CLAIM},
	{"\"exp\":9223372036854775808", ERROR_TOKEN_CLAIM},
	{"\"exp\":18446744073709551617", ERROR_TOKEN_CLAIM},
	{"\"exp\":1e300", ERROR_TOKEN_CLAIM},
	{"\"exp\":1e999", ERROR_TOKEN_CLAIM},
	{"\"exp\":100000000000000000000000000000000000000000000000000000000000", ERROR_TOKEN_CLAIM},
	{"\"exp\":1700000001.00000000000000000000000000000000000000000000000", ERROR_TOKEN_CLAIM},
	{"\"exp\":\"1700000001\"", ERROR_TOKEN_CLAIM},
	{"\"exp\":null", ERROR_TOKEN_CLAIM},
	{"\"exp\":true", ERROR_TOKEN_CLAIM},
	{"\"exp\":[1700000001]", ERROR_TOKEN_CLAIM},
	{"\"exp\":{}", ERROR_TOKEN_CLAIM},
	/* not before */
	{"\"exp\":1700000100,\"nbf\":1700000000", ERROR_OK},
	{"\"exp\":1700000100,\"nbf\":1700000030", ERROR_OK},
	{"\"exp\":1700000100,\"nbf\":1700000031", ERROR_TOKEN_NOT_YET},
	{"\"exp\":1700000100,\"nbf\":1700000031.5", ERROR_TOKEN_NOT_YET},
	{"\"exp\":1700000100,\"nbf\":\"0\"", ERROR_TOKEN_CLAIM},
	{"\"exp\":1700000100,\"nbf\":-5", ERROR_TOKEN_CLAIM},
	{"\"exp\":1700000100,\"nbf\":9999999999999999", ERROR_TOKEN_CLAIM},
	/* issued at */
	{"\"exp\":1700000100,\"iat\":1699990000", ERROR_OK},
	{"\"exp\":1700000100,\"iat\":1700000030", ERROR_OK},
	{"\"exp\":1700000100,\"iat\":1700000031", ERROR_TOKEN_NOT_YET},
	{"\"exp\":1700000100,\"iat\":false", ERROR_TOKEN_CLAIM},
	/* what is expired says so, whatever else it is */
	{"\"exp\":1,\"nbf\":1800000000", ERROR_TOKEN_EXPIRED},
};

static void test_times(void **state)
{
	(void)state;
	struct claim_policy policy = claim_policy_default();
	assert_int_equal(policy.leeway_s, LEEWAY_S);
	for (size_t i = 0; i < sizeof(TIMES) / sizeof(TIMES[0]); i++) {
		struct payload payload;
		struct claims claims;
		char text[256];
		snprintf(text, sizeof(text), "{\"sub\":\"u\",%s}", TIMES[i].times);
		enum error error = read_payload(&payload, text, &policy, &claims);
		if (error != TIMES[i].error)
			fail_msg("%s: %s instead of %s", text, error_name(error), error_name(TIMES[i].error));
	}
}

static void test_times_are_handed_on(void **state)
{
	(void)state;
	struct claim_policy policy = claim_policy_default();
	struct payload payload;
	struct claims claims;
	assert_int_equal(
		read_payload(&payload, "{\"sub\":\"u\",\"exp\":1700000100.7,\"iat\":1699999999}", &policy, &claims),
		ERROR_OK);
	assert_true(claims.expires_s == 1700000100);
	assert_true(claims.issued_s == 1699999999);
	policy.expiry_required = false;
	assert_int_equal(read_payload(&payload, "{\"sub\":\"u\"}", &policy, &claims), ERROR_OK);
	assert_true(claims.expires_s == CLAIM_NEVER);
	assert_true(claims.issued_s == 0);
}

static const struct {
	const char *issuer, *audience; /* of the policy; "": none */
	const char *claims;
	enum error error;
} PARTIES[] = {
	{"", "", "\"x\":1", ERROR_OK},
	{"", "", "\"iss\":\"anyone\"", ERROR_OK},
	{"", "", "\"iss\":7", ERROR_OK}, /* nobody asked */
	{"me", "", "\"iss\":\"me\"", ERROR_OK},
	{"me", "", "\"iss\":\"me \"", ERROR_TOKEN_ISSUER},
	{"me", "", "\"iss\":\"Me\"", ERROR_TOKEN_ISSUER},
	{"me", "", "\"iss\":[\"me\"]", ERROR_TOKEN_ISSUER},
	{"me", "", "\"iss\":null", ERROR_TOKEN_ISSUER},
	{"me", "", "\"x\":1", ERROR_TOKEN_ISSUER},
	{"", "us", "\"aud\":\"us\"", ERROR_OK},
	{"", "us", "\"aud\":[\"them\",\"us\"]", ERROR_OK},
	{"", "us", "\"aud\":[\"us\",7]", ERROR_OK},
	{"", "us", "\"aud\":[]", ERROR_TOKEN_AUDIENCE},
	{"", "us", "\"aud\":[\"them\"]", ERROR_TOKEN_AUDIENCE},
	{"", "us", "\"aud\":[[\"us\"]]", ERROR_TOKEN_AUDIENCE},
	{"", "us", "\"aud\":\"usa\"", ERROR_TOKEN_AUDIENCE},
	{"", "us", "\"aud\":{\"us\":1}", ERROR_TOKEN_AUDIENCE},
	{"", "us", "\"aud\":null", ERROR_TOKEN_AUDIENCE},
	{"", "us", "\"x\":1", ERROR_TOKEN_AUDIENCE},
	{"", "", "\"aud\":\"us\"", ERROR_TOKEN_AUDIENCE},
	{"me", "us", "\"aud\":\"us\",\"iss\":\"me\"", ERROR_OK},
};

static void test_parties(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(PARTIES) / sizeof(PARTIES[0]); i++) {
		struct claim_policy policy = claim_policy_default();
		struct payload payload;
		struct claims claims;
		char text[256];
		policy.issuer = slice_string(PARTIES[i].issuer);
		policy.audience = slice_string(PARTIES[i].audience);
		snprintf(text, sizeof(text), "{\"sub\":\"u\",\"exp\":1700000001,%s}", PARTIES[i].claims);
		enum error error = read_payload(&payload, text, &policy, &claims);
		if (error != PARTIES[i].error)
			fail_msg("case %zu, %s: %s", i, text, error_name(error));
	}
}

static const struct {
	const char *path; /* of the user */
	const char *claims;
	const char *user; /* NULL: ERROR_TOKEN_CLAIM */
} NAMES[] = {
	{"sub", "\"sub\":\"alice\"", "alice"},
	{"sub", "\"sub\":\"al\\u0069ce\"", "alice"},
	{"sub", "\"sub\":42", "42"},
	{"sub", "\"sub\":123456789012", "123456789012"},
	{"sub", "\"sub\":1234567890123", NULL},
	{"sub", "\"sub\":4.2", NULL},
	{"sub", "\"sub\":-4", NULL},
	{"sub", "\"sub\":\"\"", NULL},
	{"sub", "\"sub\":null", NULL},
	{"sub", "\"sub\":[\"alice\"]", NULL},
	{"sub", "\"user\":\"alice\"", NULL},
	{"a.b", "\"a\":{\"b\":\"alice\"}", "alice"},
	{"a.b", "\"a.b\":\"alice\",\"a\":{\"b\":\"bob\"}", "alice"},
	{"a.b.c", "\"a\":{\"b\":{\"c\":\"alice\"}}", "alice"},
	{"a.b.c", "\"a\":{\"b.c\":\"alice\"}", "alice"},
	{"a.b.c", "\"a.b\":{\"c\":\"alice\"}", "alice"},
	{"a.b", "\"a\":{\"c\":\"alice\"}", NULL},
	{"a.b", "\"a\":\"b\"", NULL},
	{"a.b", "\"a\":[\"b\"]", NULL},
	{"a.", "\"a\":{\"\":\"alice\"}", "alice"},
	{".", "\"\":{\"\":\"alice\"}", "alice"},
	{"https://example.com/user", "\"https://example.com/user\":\"alice\"", "alice"},
	{"https://example.com/me.name", "\"https://example.com/me\":{\"name\":\"alice\"}", "alice"},
};

static void test_names_of_claims(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		struct claim_policy policy = claim_policy_default();
		struct payload payload;
		struct claims claims;
		char text[256];
		policy.user = slice_string(NAMES[i].path);
		snprintf(text, sizeof(text), "{\"exp\":1700000001,%s}", NAMES[i].claims);
		enum error error = read_payload(&payload, text, &policy, &claims);
		if (error != (NAMES[i].user == NULL ? ERROR_TOKEN_CLAIM : ERROR_OK))
			fail_msg("%s in %s: %s", NAMES[i].path, text, error_name(error));
		if (error == ERROR_OK)
			assert_text(claims.user, NAMES[i].user);
	}
}

static void test_client_id_and_token_id(void **state)
{
	(void)state;
	struct claim_policy policy = claim_policy_default();
	struct payload payload;
	struct claims claims;
	assert_int_equal(read_payload(&payload, "{\"sub\":\"u\",\"exp\":1700000001,\"jti\":\"t1\",\"client_id\":\"c\"}",
				      &policy, &claims),
			 ERROR_OK);
	assert_text(claims.id, "t1");
	assert_text(claims.client_id, "c");
	assert_int_equal(read_payload(&payload, "{\"sub\":\"u\",\"exp\":1700000001}", &policy, &claims), ERROR_OK);
	assert_int_equal(claims.id.size, 0);
	assert_int_equal(claims.client_id.size, 0);
	policy.token_id_required = true;
	assert_int_equal(read_payload(&payload, "{\"sub\":\"u\",\"exp\":1700000001}", &policy, &claims),
			 ERROR_TOKEN_CLAIM);
	assert_int_equal(read_payload(&payload, "{\"sub\":\"u\",\"exp\":1700000001,\"jti\":\"t\"}", &policy, &claims),
			 ERROR_OK);
	policy.token_id_required = false;
	policy.client_id_required = true;
	assert_int_equal(read_payload(&payload, "{\"sub\":\"u\",\"exp\":1700000001}", &policy, &claims),
			 ERROR_TOKEN_CLAIM);
	assert_int_equal(
		read_payload(&payload, "{\"sub\":\"u\",\"exp\":1700000001,\"client_id\":\"\"}", &policy, &claims),
		ERROR_TOKEN_CLAIM);
	assert_int_equal(read_payload(&payload, "{\"sub\":\"u\",\"exp\":1700000001,\"jti\":{}}", &policy, &claims),
			 ERROR_TOKEN_CLAIM);
}

static void test_claims_that_are_not_looked_for(void **state)
{
	(void)state;
	struct claim_policy policy = {.expiry_required = false};
	struct payload payload;
	struct claims claims;
	assert_int_equal(read_payload(&payload, "{\"sub\":7.5,\"client_id\":[],\"permissions\":1}", &policy, &claims),
			 ERROR_OK);
	assert_int_equal(claims.user.size, 0);
	assert_int_equal(claims.client_id.size, 0);
	assert_null(claims.permissions);
}

static void test_permissions_are_found(void **state)
{
	(void)state;
	struct claim_policy policy = claim_policy_default();
	struct payload payload;
	struct claims claims;
	policy.permissions = slice_string("mqtt.acl");
	assert_int_equal(read_payload(&payload,
				      "{\"sub\":\"u\",\"exp\":1700000001,\"mqtt\":{\"acl\":{\"publish\":[]}}}", &policy,
				      &claims),
			 ERROR_OK);
	assert_non_null(claims.permissions);
	assert_non_null(strict_member(&payload.json, claims.permissions, slice_string("publish")));
	assert_int_equal(read_payload(&payload, "{\"sub\":\"u\",\"exp\":1700000001}", &policy, &claims), ERROR_OK);
	assert_null(claims.permissions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_times_are_handed_on),
		cmocka_unit_test(test_parties),
		cmocka_unit_test(test_names_of_claims),
		cmocka_unit_test(test_client_id_and_token_id),
		cmocka_unit_test(test_claims_that_are_not_looked_for),
		cmocka_unit_test(test_permissions_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
