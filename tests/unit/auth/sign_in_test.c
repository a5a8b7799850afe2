/* The whole decision at the door: which way is tried, who the client is then, and who is shut out. */
#include "auth/sign_in.h"

#include "auth/rules/acl.h"
#include "tool/signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_S INT64_C(1700000000)
/* "secret" */
#define USERS "alice:$argon2id$v=19$m=8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA\n"

static const struct hash_key KEY = {{1}};

struct scene {
	struct signer signer;
	struct key_set *keys;
	struct password_file *passwords;
	struct revocations *embedded, *other;
	char *token; /* of user "carol", for any client */
	char *bound; /* of user "carol", for client "c1" only, with permissions */
	char *expired;
};

static char *issue(const struct scene *scene, const char *payload)
{
	return signer_sign(&scene->signer, slice_string(payload));
}

static int scene_open(void **state)
{
	static struct scene scene;
	struct fault fault;
	assert_true(signer_generate(&scene.signer, ALGORITHM_HS256, &fault));
	scene.keys = key_set_new();
	assert_true(key_set_add_secret(scene.keys, slice_of(NULL, 0),
				       slice_of(scene.signer.secret, scene.signer.secret_bytes), &fault));
	scene.passwords = password_file_new(slice_string(USERS), &fault);
	assert_non_null(scene.passwords);
	scene.embedded = revocations_new(100, &KEY);
	scene.other = revocations_new(100, &KEY);
	scene.token = issue(&scene, "{\"sub\":\"carol\",\"jti\":\"t1\",\"exp\":1700003600}");
	scene.bound = issue(&scene, "{\"sub\":\"carol\",\"jti\":\"t2\",\"client_id\":\"c1\",\"exp\":1700003600,"
				    "\"permissions\":{\"publish\":[\"a\"]}}");
	scene.expired = issue(&scene, "{\"sub\":\"carol\",\"exp\":1600000000}");
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	free(scene->token);
	free(scene->bound);
	free(scene->expired);
	revocations_free(scene->embedded);
	revocations_free(scene->other);
	password_file_put(&scene->passwords);
	key_set_put(&scene->keys);
	signer_fini(&scene->signer);
	return 0;
}

/* Ways in, as letters: t tokens, n tokens in the user name, p passwords. */
static void sign_in_open(struct sign_in *sign_in, const struct scene *scene, const char *ways)
{
	struct sign_in_policy policy = sign_in_policy_default();
	policy.password_cache_slots = 64;
	policy.tokens = strchr(ways, 't') != NULL;
	policy.tokens_in_user_name = strchr(ways, 'n') != NULL;
	policy.passwords = strchr(ways, 'p') != NULL;
	assert_int_equal(sign_in_init(sign_in, &policy), ERROR_OK);
	if (policy.tokens || policy.tokens_in_user_name)
		sign_in_use_keys(sign_in, scene->keys);
	if (policy.passwords)
		sign_in_use_passwords(sign_in, scene->passwords);
	sign_in_use_revocations(sign_in, 0, scene->embedded);
	sign_in_use_revocations(sign_in, 1, scene->other);
}

static struct slice text_of(const char *text)
{
	return text == NULL ? slice_of(NULL, 0) : slice_string(text);
}

static struct credentials credentials_of(const char *client_id, const char *user_name, const char *password)
{
	return (struct credentials){
		.client_id = text_of(client_id), .user_name = text_of(user_name), .password = text_of(password)};
}

static void assert_text(struct slice text, const char *wanted)
{
	if (!slice_equal(text, slice_string(wanted)))
		fail_msg("\"%.*s\" instead of \"%s\"", (int)text.size, (const char *)text.data, wanted);
}

/* "T", "B" and "X" stand for the scene's tokens. */
static const struct {
	const char *ways;
	const char *user_name, *password;
	bool may_be_anonymous;
	enum error error;
	const char *user; /* who it is then */
} CASES[] = {
	/* nothing configured: as it was before there were any ways in */
	{"", NULL, NULL, true, ERROR_OK, ""},
	{"", "me", "mine", true, ERROR_OK, ""},
	{"", NULL, NULL, false, ERROR_CREDENTIALS_MISSING, NULL},
	{"", "alice", "secret", false, ERROR_CREDENTIALS_MISSING, NULL},
	/* tokens */
	{"t", NULL, "T", false, ERROR_OK, "carol"},
	{"t", "whatever", "T", false, ERROR_OK, "carol"},
	{"t", "T", NULL, false, ERROR_CREDENTIALS_MISSING, NULL},
	{"t", NULL, "X", false, ERROR_TOKEN_EXPIRED, NULL},
	{"t", NULL, "X", true, ERROR_TOKEN_EXPIRED, NULL}, /* no way around it as anonymous */
	{"t", NULL, "a.b.c", true, ERROR_TOKEN_MALFORMED, NULL},
	{"t", "alice", "secret", false, ERROR_CREDENTIALS_MISSING, NULL},
	{"t", "alice", "secret", true, ERROR_CREDENTIALS_MISSING, NULL},
	{"t", NULL, NULL, true, ERROR_OK, ""},
	{"t", NULL, NULL, false, ERROR_CREDENTIALS_MISSING, NULL},
	/* tokens in the user name */
	{"n", "T", NULL, false, ERROR_OK, "carol"},
	{"n", "T", "x", false, ERROR_OK, "carol"},
	{"n", "x", "T", false, ERROR_CREDENTIALS_MISSING, NULL},
	{"tn", "T", "X", false, ERROR_TOKEN_EXPIRED, NULL},
	{"tn", "X", "T", false, ERROR_OK, "carol"},
	/* passwords */
	{"p", "alice", "secret", false, ERROR_OK, "alice"},
	{"p", "alice", "wrong", false, ERROR_PASSWORD_WRONG, NULL},
	{"p", "alice", "wrong", true, ERROR_PASSWORD_WRONG, NULL},
	{"p", "eve", "secret", true, ERROR_PASSWORD_WRONG, NULL},
	{"p", "alice", "", false, ERROR_PASSWORD_WRONG, NULL},
	{"p", NULL, "secret", false, ERROR_PASSWORD_WRONG, NULL},
	{"p", "alice", NULL, true, ERROR_CREDENTIALS_MISSING, NULL}, /* a name that nobody has vouched for */
	{"p", NULL, NULL, true, ERROR_OK, ""},
	{"p", "alice", "T", false, ERROR_PASSWORD_WRONG, NULL},
	/* both */
	{"tp", "alice", "secret", false, ERROR_OK, "alice"},
	{"tp", "alice", "T", false, ERROR_OK, "carol"},
	{"tp", "alice", "X", false, ERROR_TOKEN_EXPIRED, NULL},
	{"tp", "alice", "wrong", false, ERROR_PASSWORD_WRONG, NULL},
};

static const char *stands_for(const struct scene *scene, const char *text)
{
	if (text == NULL || text[0] == '\0' || text[1] != '\0')
		return text;
	return text[0] == 'T' ? scene->token : text[0] == 'X' ? scene->expired : text;
}

static void test_ways_in(void **state)
{
	struct scene *scene = *state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct sign_in sign_in;
		struct identity identity;
		sign_in_open(&sign_in, scene, CASES[i].ways);
		struct credentials credentials = credentials_of("c1", stands_for(scene, CASES[i].user_name),
								stands_for(scene, CASES[i].password));
		credentials.may_be_anonymous = CASES[i].may_be_anonymous;
		enum error error = sign_in_check(&sign_in, &credentials, NOW_S, &identity);
		if (error != CASES[i].error)
			fail_msg("case %zu: %s", i, error_name(error));
		if (error == ERROR_OK) {
			assert_text(identity.user, CASES[i].user);
			assert_text(identity.client_id, "c1");
		}
		sign_in_fini(&sign_in);
	}
}

static void test_what_a_token_says(void **state)
{
	struct scene *scene = *state;
	struct sign_in sign_in;
	struct identity identity;
	sign_in_open(&sign_in, scene, "t");
	struct credentials credentials = credentials_of("c1", NULL, scene->bound);
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_OK);
	assert_text(identity.token_id, "t2");
	assert_true(identity.expires_s == 1700003600);
	struct fault fault;
	struct acl *acl = acl_new(slice_of(NULL, 0), true, &fault);
	struct acl_identity who = {.client_id = identity.client_id, .user = identity.user};
	assert_true(acl_check(acl, identity.permissions, &who, ACL_PUBLISH, slice_string("a")));
	assert_false(acl_check(acl, identity.permissions, &who, ACL_PUBLISH, slice_string("b")));
	acl_put(&acl);
	credentials.password = slice_string(scene->token);
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_OK);
	assert_null(identity.permissions.data);
	sign_in_fini(&sign_in);
}

static void test_client_id_of_a_token(void **state)
{
	struct scene *scene = *state;
	struct sign_in sign_in;
	struct identity identity;
	sign_in_open(&sign_in, scene, "t");
	struct credentials credentials = credentials_of("c2", NULL, scene->bound);
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_TOKEN_CLIENT_ID);
	/* Who has none of his own is given the token's. */
	credentials = credentials_of("", NULL, scene->bound);
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_OK);
	assert_text(identity.client_id, "c1");
	credentials = credentials_of("", NULL, scene->token);
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_OK);
	assert_int_equal(identity.client_id.size, 0);
	sign_in_fini(&sign_in);
}

/* True: there was one. */
static bool lift(struct revocations *table, enum revocation_kind kind, struct slice id)
{
	struct revocation over = {.kind = kind, .id = id, .until_s = NOW_S};
	enum revocation_change change;
	assert_int_equal(revocations_add(table, &over, NOW_S, &change), ERROR_OK);
	return change == REVOCATION_LIFTED;
}

static void revoke(struct revocations *table, enum revocation_kind kind, const char *id)
{
	enum revocation_change change;
	struct revocation revocation = {.kind = kind, .id = slice_string(id), .until_s = NOW_S + 10};
	assert_int_equal(revocations_add(table, &revocation, NOW_S, &change), ERROR_OK);
}

static void test_revoked(void **state)
{
	struct scene *scene = *state;
	static const struct {
		enum revocation_kind kind;
		const char *id;
		enum error by_token, by_password;
	} REVOKED[] = {
		{REVOCATION_TOKEN, "t1", ERROR_TOKEN_REVOKED, ERROR_OK},
		{REVOCATION_USER, "carol", ERROR_USER_REVOKED, ERROR_OK},
		{REVOCATION_USER, "alice", ERROR_OK, ERROR_USER_REVOKED},
		{REVOCATION_CLIENT, "c1", ERROR_CLIENT_REVOKED, ERROR_CLIENT_REVOKED},
		{REVOCATION_CLIENT, "carol", ERROR_OK, ERROR_OK},
	};
	struct sign_in sign_in;
	struct identity identity;
	sign_in_open(&sign_in, scene, "tp");
	struct credentials token = credentials_of("c1", NULL, scene->token),
			   password = credentials_of("c1", "alice", "secret");
	for (size_t i = 0; i < 2 * sizeof(REVOKED) / sizeof(REVOKED[0]); i++) {
		struct revocations *table = i % 2 == 0 ? scene->embedded : scene->other;
		enum revocation_kind kind = REVOKED[i / 2].kind;
		revoke(table, kind, REVOKED[i / 2].id);
		assert_int_equal(sign_in_check(&sign_in, &token, NOW_S, &identity), REVOKED[i / 2].by_token);
		assert_int_equal(sign_in_check(&sign_in, &password, NOW_S, &identity), REVOKED[i / 2].by_password);
		/* It has an end of its own. */
		assert_int_equal(sign_in_check(&sign_in, &token, NOW_S + 10, &identity), ERROR_OK);
		assert_true(lift(table, kind, slice_string(REVOKED[i / 2].id)));
		assert_int_equal(sign_in_check(&sign_in, &token, NOW_S, &identity), ERROR_OK);
	}
	sign_in_fini(&sign_in);
}

static void test_anonymous_clients_can_be_revoked(void **state)
{
	struct scene *scene = *state;
	struct sign_in sign_in;
	struct identity identity;
	sign_in_open(&sign_in, scene, "");
	struct credentials credentials = credentials_of("c1", NULL, NULL);
	credentials.may_be_anonymous = true;
	revoke(scene->embedded, REVOCATION_CLIENT, "c1");
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_CLIENT_REVOKED);
	credentials.client_id = slice_string("c2");
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_OK);
	lift(scene->embedded, REVOCATION_CLIENT, slice_string("c1"));
	sign_in_fini(&sign_in);
}

static void test_a_password_is_hashed_once(void **state)
{
	struct scene *scene = *state;
	struct sign_in sign_in;
	struct identity identity;
	sign_in_open(&sign_in, scene, "p");
	struct credentials good = credentials_of("c1", "alice", "secret"), bad = credentials_of("c1", "alice", "guess");
	for (int i = 0; i < 3; i++)
		assert_int_equal(sign_in_check(&sign_in, &good, NOW_S, &identity), ERROR_OK);
	assert_int_equal(sign_in.passwords_hashed, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sign_in_check(&sign_in, &bad, NOW_S, &identity), ERROR_PASSWORD_WRONG);
	assert_int_equal(sign_in.passwords_hashed, 4);
	/* Taken out of the file, he is out at once. */
	struct fault fault;
	struct password_file *empty = password_file_new(slice_of(NULL, 0), &fault);
	sign_in_use_passwords(&sign_in, empty);
	password_file_put(&empty);
	assert_int_equal(sign_in_check(&sign_in, &good, NOW_S, &identity), ERROR_PASSWORD_WRONG);
	sign_in_fini(&sign_in);
}

#define STORED "$argon2id$v=19$m=8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA"

static void sign_in_open_outside(struct sign_in *sign_in, const struct scene *scene, bool has_passwords)
{
	struct sign_in_policy policy = sign_in_policy_default();
	policy.password_cache_slots = 64;
	policy.tokens = policy.passwords = policy.outside = true;
	policy.outside_has_passwords = has_passwords;
	assert_int_equal(sign_in_init(sign_in, &policy), ERROR_OK);
	sign_in_use_keys(sign_in, scene->keys);
	sign_in_use_passwords(sign_in, scene->passwords);
	sign_in_use_revocations(sign_in, 0, scene->embedded);
}

static struct outside_answer *record_of(const char *permissions, const char *disabled, const char *expires_s)
{
	struct fault fault;
	const struct outside_fields fields = {.password = slice_string(STORED),
					      .permissions = text_of(permissions),
					      .disabled = text_of(disabled),
					      .expires_s = text_of(expires_s)};
	struct outside_answer *answer = outside_answer_of_fields(&fields, slice_string("zoe"), &fault);
	assert_non_null(answer);
	return answer;
}

static enum error check_with(struct sign_in *sign_in, struct outside_answer *answer, const char *password,
			     struct identity *identity)
{
	static struct outside_answer *last; /* the identity points into it */
	struct credentials credentials = credentials_of("c1", "zoe", password);
	outside_answer_put(&last);
	last = answer;
	sign_in->answer = answer;
	enum error error = sign_in_check(sign_in, &credentials, NOW_S, identity);
	sign_in->answer = NULL;
	return error;
}

/* Only about those on whom nothing here decides. */
static void test_who_is_asked_about_outside(void **state)
{
	struct scene *scene = *state;
	struct sign_in sign_in;
	struct identity identity;
	sign_in_open_outside(&sign_in, scene, true);
	struct credentials credentials = credentials_of("c1", "alice", "secret");
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_OK);
	credentials = credentials_of("c1", "alice", "guess");
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_PASSWORD_WRONG);
	credentials = credentials_of("c1", "x", scene->token);
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_OK);
	credentials = credentials_of("c1", NULL, NULL);
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_CREDENTIALS_MISSING);
	credentials = credentials_of("c1", "zoe", "secret");
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_AUTHORITY_PENDING);
	assert_text(sign_in.asked.user_name, "zoe");
	assert_text(sign_in.asked.password, "secret");
	credentials = credentials_of("c1", NULL, "secret");
	assert_int_equal(sign_in_check(&sign_in, &credentials, NOW_S, &identity), ERROR_AUTHORITY_PENDING);
	sign_in_fini(&sign_in);
}

static void test_records_with_passwords(void **state)
{
	struct scene *scene = *state;
	struct sign_in sign_in;
	struct identity identity;
	sign_in_open_outside(&sign_in, scene, true);
	struct outside_answer *unknown = outside_answer_denied();
	for (int i = 0; i < 2; i++)
		assert_int_equal(check_with(&sign_in, record_of(NULL, NULL, NULL), "secret", &identity), ERROR_OK);
	assert_int_equal(sign_in.passwords_hashed, 1);
	assert_text(identity.user, "zoe");
	assert_null(identity.permissions.data);
	assert_int_equal(check_with(&sign_in, record_of(NULL, NULL, NULL), "guess", &identity), ERROR_PASSWORD_WRONG);
	/* It takes a hash to say no, too. */
	assert_int_equal(check_with(&sign_in, unknown, "secret", &identity), ERROR_PASSWORD_WRONG);
	assert_int_equal(sign_in.passwords_hashed, 3);
	assert_int_equal(check_with(&sign_in, record_of(NULL, "1", NULL), "guess", &identity), ERROR_PASSWORD_WRONG);
	assert_int_equal(check_with(&sign_in, record_of(NULL, "1", NULL), "secret", &identity), ERROR_USER_DISABLED);
	assert_int_equal(check_with(&sign_in, record_of(NULL, NULL, "1000"), "secret", &identity), ERROR_USER_EXPIRED);
	struct outside_answer *full = record_of("{\"publish\":[\"a\"]}", "0", "4000000000");
	struct outside_answer *kept = outside_answer_get(full);
	assert_int_equal(check_with(&sign_in, full, "secret", &identity), ERROR_OK);
	assert_true(slice_equal(identity.permissions, outside_answer_rules(kept)));
	assert_true(identity.expires_s == 4000000000);
	outside_answer_put(&kept);
	revoke(scene->embedded, REVOCATION_USER, "zoe");
	assert_int_equal(check_with(&sign_in, record_of(NULL, NULL, NULL), "secret", &identity), ERROR_USER_REVOKED);
	lift(scene->embedded, REVOCATION_USER, slice_string("zoe"));
	sign_in_fini(&sign_in);
}

static void test_hashes_from_outside_are_deferred(void **state)
{
	struct scene *scene = *state;
	struct sign_in sign_in;
	struct identity identity;
	sign_in_open_outside(&sign_in, scene, true);
	sign_in.defers_passwords = true;
	assert_int_equal(check_with(&sign_in, record_of(NULL, NULL, NULL), "secret", &identity),
			 ERROR_PASSWORD_PENDING);
	sign_in_remember_hash(&sign_in, slice_string(STORED), slice_string("zoe"), slice_string("secret"));
	assert_int_equal(check_with(&sign_in, record_of(NULL, NULL, NULL), "secret", &identity), ERROR_OK);
	/* Of one whom nobody knows another hash is computed, which a password file would take. */
	assert_int_equal(check_with(&sign_in, outside_answer_denied(), "secret", &identity), ERROR_PASSWORD_PENDING);
	assert_null(password_hash_check(sign_in.deferred_hash));
	struct credentials alice = credentials_of("c1", "alice", "secret");
	assert_int_equal(sign_in_check(&sign_in, &alice, NOW_S, &identity), ERROR_PASSWORD_PENDING);
	assert_int_equal(sign_in.deferred_hash.size, 0);
	sign_in_fini(&sign_in);
}

static void test_answers_without_passwords(void **state)
{
	struct scene *scene = *state;
	struct sign_in sign_in;
	struct identity identity;
	struct fault fault;
	uint8_t plain[] = "{\"result\":\"allow\"}", named[] = "{\"result\":\"allow\",\"user\":\"bob\"}";
	sign_in_open_outside(&sign_in, scene, false);
	struct outside_answer *answer = outside_answer_of_json(plain, sizeof(plain) - 1, &fault);
	assert_int_equal(check_with(&sign_in, answer, "any", &identity), ERROR_OK);
	assert_text(identity.user, "zoe");
	answer = outside_answer_of_json(named, sizeof(named) - 1, &fault);
	struct outside_answer *kept = outside_answer_get(answer);
	assert_int_equal(check_with(&sign_in, answer, "any", &identity), ERROR_OK);
	assert_text(identity.user, "bob");
	outside_answer_put(&kept);
	assert_int_equal(check_with(&sign_in, outside_answer_denied(), "any", &identity), ERROR_AUTHORITY_DENIED);
	assert_int_equal(sign_in.passwords_hashed, 0);
	sign_in_fini(&sign_in);
}

static void test_without_a_cache(void **state)
{
	struct scene *scene = *state;
	struct sign_in sign_in;
	struct identity identity;
	struct sign_in_policy policy = sign_in_policy_default();
	policy.passwords = true;
	policy.password_cache_slots = 0;
	assert_int_equal(sign_in_init(&sign_in, &policy), ERROR_OK);
	struct credentials good = credentials_of("c1", "alice", "secret");
	/* Before there is a file. */
	assert_int_equal(sign_in_check(&sign_in, &good, NOW_S, &identity), ERROR_PASSWORD_WRONG);
	sign_in_use_passwords(&sign_in, scene->passwords);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sign_in_check(&sign_in, &good, NOW_S, &identity), ERROR_OK);
	assert_int_equal(sign_in.passwords_hashed, 2);
	sign_in_fini(&sign_in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways_in),
		cmocka_unit_test(test_what_a_token_says),
		cmocka_unit_test(test_client_id_of_a_token),
		cmocka_unit_test(test_revoked),
		cmocka_unit_test(test_anonymous_clients_can_be_revoked),
		cmocka_unit_test(test_a_password_is_hashed_once),
		cmocka_unit_test(test_who_is_asked_about_outside),
		cmocka_unit_test(test_records_with_passwords),
		cmocka_unit_test(test_hashes_from_outside_are_deferred),
		cmocka_unit_test(test_answers_without_passwords),
		cmocka_unit_test(test_without_a_cache),
	};
	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
