/* What signing in and permissions cost: nanoseconds of one thread for each, the least of several rounds, on an
 * otherwise idle machine. Not a test: nothing fails. Run it by hand: build/tests/bench/auth_bench. */
#include "auth/password/password_hash.h"
#include "auth/rules/acl_cache.h"
#include "auth/rules/acl_pool.h"
#include "auth/sign_in.h"
#include "base/check.h"
#include "tool/signer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOW_S INT64_C(1700000000)
#define ROUNDS 7
#define ROUND_NS UINT64_C(50000000)
#define REVOKED 100000u

static const struct hash_key KEY = {{1}};

/* What a large identity provider puts in, and what `roost token` does with a client id. */
static const char PAYLOAD[] = "{\"iss\":\"https://auth.example.com/"
			      "\",\"sub\":\"user-123456\",\"client_id\":\"device-123456\",\"iat\":1699999000,"
			      "\"exp\":1700003600,\"jti\":\"0f8fad5b-d9cb-469f-a165-70867728950e\"}";
static const char PAYLOAD_WITH_PERMISSIONS[] =
	"{\"iss\":\"https://auth.example.com/"
	"\",\"sub\":\"user-123456\",\"client_id\":\"device-123456\",\"iat\":1699999000,"
	"\"exp\":1700003600,\"jti\":\"0f8fad5b-d9cb-469f-a165-70867728950e\",\"permissions\":{\"publish\":[\"sensors/"
	"%c/#\"],"
	"\"subscribe\":[\"cmd/%c/#\",\"news/+\"]}}";

/* Of the thread, so that others on the machine are not counted. */
static uint64_t cpu_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t batch_ns(void (*call)(void *), void *argument, uint64_t calls)
{
	uint64_t begin_ns = cpu_now_ns();
	for (uint64_t i = 0; i < calls; i++)
		call(argument);
	return cpu_now_ns() - begin_ns;
}

/* As many calls as fill a round, so that reading the clock does not count; then the least that one took in any round.
 */
static void measure(const char *what, void (*call)(void *), void *argument)
{
	uint64_t calls = 1;
	while (batch_ns(call, argument, calls) < ROUND_NS)
		calls *= 2;
	uint64_t least_ns = UINT64_MAX;
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t ns = batch_ns(call, argument, calls);
		least_ns = ns < least_ns ? ns : least_ns;
	}
	printf("%-72s %10.0f ns\n", what, (double)least_ns / (double)calls);
}

/* ---- tokens ---- */

struct token_case {
	struct token_verifier *verifier;
	char *text;
};

static void verify_token(void *argument)
{
	struct token_case *one = argument;
	struct token token;
	CHECK(token_verify(one->verifier, slice_string(one->text), NOW_S, &token) == ERROR_OK);
}

static struct key_set *keys_of(struct signer signers[ALGORITHM_COUNT])
{
	struct key_set *keys = key_set_new();
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
		struct jwks_result result;
		struct fault fault;
		CHECK(signer_generate(&signers[i], (enum algorithm)i, &fault));
		signer_set_thumbprint(&signers[i]);
		json_t *jwk = signer_jwk(&signers[i], i == ALGORITHM_HS256);
		char *text = json_dumps(jwk, 0);
		CHECK(key_set_add_jwks(keys, slice_string(text), &result, &fault) && result.added == 1);
		free(text);
		json_decref(jwk);
	}
	return keys;
}

static void parse_with_jansson(void *argument)
{
	(void)argument;
	json_t *json = json_loadb(PAYLOAD, sizeof(PAYLOAD) - 1, JSON_REJECT_DUPLICATES, NULL);
	CHECK(json != NULL);
	json_decref(json);
}

static void measure_tokens(struct signer signers[ALGORITHM_COUNT], struct key_set *keys)
{
	struct claim_policy policy = claim_policy_default();
	struct token_case one = {.verifier = token_verifier_new(&policy, 4096)};
	token_verifier_use(one.verifier, keys);
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
		char what[64];
		one.text = signer_sign(&signers[i], slice_string(PAYLOAD));
		snprintf(what, sizeof(what), "verify a token of %zu bytes, %s", strlen(one.text),
			 algorithm_name((enum algorithm)i));
		measure(what, verify_token, &one);
		free(one.text);
	}
	one.text = signer_sign(&signers[ALGORITHM_HS256], slice_string(PAYLOAD_WITH_PERMISSIONS));
	measure("verify a token with permissions, HS256", verify_token, &one);
	free(one.text);
	token_verifier_free(one.verifier);
	measure("for comparison: jansson reads the payload alone", parse_with_jansson, NULL);
}

/* ---- signing in ---- */

struct sign_in_case {
	struct sign_in sign_in;
	struct credentials credentials;
};

static void sign_in(void *argument)
{
	struct sign_in_case *one = argument;
	struct identity identity;
	CHECK(sign_in_check(&one->sign_in, &one->credentials, NOW_S, &identity) == ERROR_OK);
}

static void check_password(void *argument)
{
	const struct sign_in_case *one = argument;
	CHECK(password_check(one->sign_in.passwords, one->credentials.user_name, one->credentials.password) ==
	      ERROR_OK);
}

static void look_up(void *argument)
{
	CHECK(!revocations_has(argument, REVOCATION_TOKEN, slice_string("0f8fad5b-d9cb-469f-a165-70867728950e"),
			       NOW_S));
}

static struct revocations *revoked(void)
{
	struct revocations *table = revocations_new(REVOKED, &KEY);
	for (unsigned i = 0; i < REVOKED; i++) {
		char id[32];
		enum revocation_change change;
		struct revocation one = {.kind = (enum revocation_kind)(i % REVOCATION_KIND_COUNT),
					 .id = slice_of(id, (size_t)snprintf(id, sizeof(id), "revoked-%u", i)),
					 .until_s = REVOKED_FOR_EVER};
		CHECK(revocations_add(table, &one, NOW_S, &change) == ERROR_OK);
	}
	return table;
}

static void measure_sign_in(struct signer signers[ALGORITHM_COUNT], struct key_set *keys)
{
	struct sign_in_case one;
	struct sign_in_policy policy = sign_in_policy_default();
	struct revocations *table = revoked();
	struct fault fault;
	char hash[PASSWORD_HASH_BYTES_MAX], line[PASSWORD_HASH_BYTES_MAX + 16];
	policy.tokens = policy.passwords = true;
	CHECK(sign_in_init(&one.sign_in, &policy) == ERROR_OK);
	CHECK(password_hash(slice_string("correct horse"), hash));
	int size = snprintf(line, sizeof(line), "alice:%s\n", hash);
	struct password_file *file = password_file_new(slice_of(line, (size_t)size), &fault);
	sign_in_use_keys(&one.sign_in, keys);
	sign_in_use_passwords(&one.sign_in, file);
	sign_in_use_revocations(&one.sign_in, 0, table);
	sign_in_use_revocations(&one.sign_in, 1, table);

	char *token = signer_sign(&signers[ALGORITHM_HS256], slice_string(PAYLOAD));
	one.credentials =
		(struct credentials){.client_id = slice_string("device-123456"), .password = slice_string(token)};
	measure("sign in: HS256 token, two tables of 100,000 revocations", sign_in, &one);
	measure("of it, one look-up among 100,000 revocations", look_up, table);
	one.credentials = (struct credentials){.client_id = slice_string("device-123456"),
					       .user_name = slice_string("alice"),
					       .password = slice_string("correct horse")};
	measure("sign in: password that was good before", sign_in, &one);
	measure("check a password against its hash", check_password, &one);
	free(token);
	sign_in_fini(&one.sign_in);
	password_file_put(&file);
	revocations_free(table);
}

/* ---- permissions ---- */

struct acl_case {
	struct acl *acl;
	struct acl_identity identity;
	struct slice token_rules;
	const char *topic;
	struct acl_cache cache;
};

static void check_rules(void *argument)
{
	const struct acl_case *one = argument;
	CHECK(acl_check(one->acl, one->token_rules, &one->identity, ACL_PUBLISH, slice_string(one->topic)));
}

static struct acl_subject subject_of(const struct acl_case *one)
{
	return (struct acl_subject){.acl = one->acl, .identity = one->identity};
}

static void check_cached(void *argument)
{
	struct acl_case *one = argument;
	struct acl_subject subject = subject_of(one);
	CHECK(acl_cache_check(&one->cache, &subject, slice_string(one->topic)));
}

/* `count` rules of which the last applies. */
static struct acl *rules_of(unsigned count)
{
	char *text = malloc((size_t)count * 64), *at = text;
	struct fault fault;
	CHECK(text != NULL);
	for (unsigned i = 1; i < count; i++)
		at += sprintf(at, "%s publish %s/%%c/area-%u/#\n", i % 2 == 0 ? "deny" : "allow",
			      i % 3 == 0 ? "sensors" : "buildings", i);
	at += sprintf(at, "allow publish sensors/%%c/#\n");
	struct acl *acl = acl_new(slice_of(text, (size_t)(at - text)), false, &fault);
	CHECK(acl != NULL);
	free(text);
	return acl;
}

static void measure_acl(void)
{
	static const unsigned COUNTS[] = {1, 10, 100};
	struct acl_case one = {
		.identity = {.client_id = slice_string("device-123456"), .user = slice_string("user-123456")},
		.topic = "sensors/device-123456/temperature"};
	for (size_t i = 0; i < sizeof(COUNTS) / sizeof(COUNTS[0]); i++) {
		char what[64];
		one.acl = rules_of(COUNTS[i]);
		snprintf(what, sizeof(what), "check a topic of %zu bytes, rule %u applies", strlen(one.topic),
			 COUNTS[i]);
		measure(what, check_rules, &one);
		if (i + 1 < sizeof(COUNTS) / sizeof(COUNTS[0]))
			acl_put(&one.acl);
	}
	CHECK(acl_cache_open(&one.cache, 16384) == ERROR_OK);
	measure("the same, remembered", check_cached, &one);
	acl_cache_close(&one.cache);
	acl_put(&one.acl);
}

struct pool_case {
	struct acl_pool pool;
	uint32_t held;
};

static void take_and_give(void *argument)
{
	struct pool_case *one = argument;
	acl_pool_give(&one->pool, acl_pool_take(&one->pool, acl_pool_rules(&one->pool, one->held)));
}

static void measure_pool(void)
{
	static const uint8_t RULES[120] = {1, 2, 3};
	struct pool_case one;
	CHECK(acl_pool_open(&one.pool, NULL, 1000, 1 << 20) == ERROR_OK);
	one.held = acl_pool_take(&one.pool, slice_of(RULES, sizeof(RULES)));
	measure("take and give a token's rules of 120 bytes that another client has", take_and_give, &one);
	acl_pool_close(&one.pool);
}

int main(void)
{
	struct signer signers[ALGORITHM_COUNT];
	struct key_set *keys = keys_of(signers);
	measure_tokens(signers, keys);
	measure_sign_in(signers, keys);
	measure_acl();
	measure_pool();
	key_set_put(&keys);
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++)
		signer_fini(&signers[i]);
	return 0;
}
