#include "auth/sign_in.h"

#include "base/check.h"

struct sign_in_policy sign_in_policy_default(void)
{
	return (struct sign_in_policy){
		.claims = claim_policy_default(),
		.token_bytes_max = 4096,
		.password_cache_slots = 65536,
	};
}

enum error sign_in_init(struct sign_in *sign_in, const struct sign_in_policy *policy)
{
	*sign_in = (struct sign_in){.policy = *policy};
	if (policy->tokens || policy->tokens_in_user_name) {
		sign_in->verifier = token_verifier_new(&policy->claims, policy->token_bytes_max);
		if (sign_in->verifier == NULL)
			return ERROR_NO_MEMORY;
	}
	if (policy->outside)
		password_hash_decoy(sign_in->decoy);
	if ((policy->passwords || policy->outside) && policy->password_cache_slots != 0 &&
	    password_cache_open(&sign_in->cache, policy->password_cache_slots) != ERROR_OK) {
		sign_in_fini(sign_in);
		return ERROR_NO_MEMORY;
	}
	return ERROR_OK;
}

void sign_in_fini(struct sign_in *sign_in)
{
	token_verifier_free(sign_in->verifier);
	if (sign_in->cache.marks != NULL)
		password_cache_close(&sign_in->cache);
	password_file_put(&sign_in->passwords);
	*sign_in = (struct sign_in){0};
}

void sign_in_use_keys(struct sign_in *sign_in, struct key_set *keys)
{
	CHECK(sign_in->verifier != NULL);
	token_verifier_use(sign_in->verifier, keys);
}

void sign_in_use_passwords(struct sign_in *sign_in, struct password_file *passwords)
{
	password_file_put(&sign_in->passwords);
	sign_in->passwords = password_file_get(passwords);
}

void sign_in_use_revocations(struct sign_in *sign_in, unsigned place, const struct revocations *revocations)
{
	CHECK(place < SIGN_IN_REVOCATIONS_MAX);
	sign_in->revocations[place] = revocations;
}

/* The token among the credentials; size 0: there is none. */
static struct slice sign_in_find_token(const struct sign_in_policy *policy, const struct credentials *credentials)
{
	if (policy->tokens && token_has_form(credentials->password))
		return credentials->password;
	if (policy->tokens_in_user_name && token_has_form(credentials->user_name))
		return credentials->user_name;
	return slice_of(NULL, 0);
}

static enum error sign_in_by_token(struct sign_in *sign_in, struct slice text, int64_t now_s, struct identity *identity)
{
	struct token token;
	CHECK(sign_in->verifier != NULL);
	sign_in->tokens_verified++;
	enum error error = token_verify(sign_in->verifier, text, now_s, &token);
	if (error != ERROR_OK)
		return error;
	struct slice meant = token.claims.client_id;
	if (meant.size != 0 && identity->client_id.size != 0 && !slice_equal(meant, identity->client_id))
		return ERROR_TOKEN_CLIENT_ID;
	if (identity->client_id.size == 0)
		identity->client_id = meant;
	identity->client_id_is_meant = meant.size != 0;
	identity->user = token.claims.user;
	identity->token_id = token.claims.id;
	identity->permissions = token.permissions;
	identity->expires_s = token.claims.expires_s;
	return ERROR_OK;
}

static enum error sign_in_by_password(struct sign_in *sign_in, const struct credentials *credentials,
				      struct identity *identity)
{
	const struct password_file *file = sign_in->passwords;
	bool cached = sign_in->cache.marks != NULL;
	if (file == NULL)
		return ERROR_PASSWORD_WRONG;
	identity->user = credentials->user_name;
	if (cached && password_cache_has(&sign_in->cache, file, credentials->user_name, credentials->password))
		return ERROR_OK;
	if (sign_in->defers_passwords && cached) {
		sign_in->deferred_user = credentials->user_name;
		sign_in->deferred_password = credentials->password;
		sign_in->deferred_hash = slice_of(NULL, 0);
		return ERROR_PASSWORD_PENDING;
	}
	sign_in->passwords_hashed++;
	enum error error = password_check(file, credentials->user_name, credentials->password);
	if (error == ERROR_OK && cached)
		password_cache_remember(&sign_in->cache, file, credentials->user_name, credentials->password);
	return error;
}

void sign_in_remember(struct sign_in *sign_in, struct slice user, struct slice password)
{
	CHECK(sign_in->passwords != NULL);
	password_cache_remember(&sign_in->cache, sign_in->passwords, user, password);
}

void sign_in_remember_hash(struct sign_in *sign_in, struct slice hash, struct slice user, struct slice password)
{
	password_cache_remember_hash(&sign_in->cache, hash, user, password);
}

/* ---- asked outside ---- */

/* Likewise of a hash that came from outside; of a user that nobody knows, some other's. */
static enum error sign_in_compare(struct sign_in *sign_in, const struct credentials *credentials, struct slice hash)
{
	bool cached = sign_in->cache.marks != NULL;
	bool known = hash.size != 0;
	if (!known)
		hash = slice_string(sign_in->decoy);
	if (known && cached &&
	    password_cache_has_hash(&sign_in->cache, hash, credentials->user_name, credentials->password))
		return ERROR_OK;
	if (sign_in->defers_passwords && cached) {
		sign_in->deferred_user = credentials->user_name;
		sign_in->deferred_password = credentials->password;
		sign_in->deferred_hash = hash;
		return ERROR_PASSWORD_PENDING;
	}
	sign_in->passwords_hashed++;
	enum error error = password_hash_verify(hash, credentials->password);
	if (error == ERROR_OK && known && cached)
		sign_in_remember_hash(sign_in, hash, credentials->user_name, credentials->password);
	return error == ERROR_OK && !known ? ERROR_PASSWORD_WRONG : error;
}

static enum error sign_in_by_outside(struct sign_in *sign_in, const struct credentials *credentials, int64_t now_s,
				     struct identity *identity)
{
	const struct outside_answer *answer = sign_in->answer;
	enum error error = ERROR_OK;
	if (answer == NULL) {
		sign_in->asked = *credentials;
		return ERROR_AUTHORITY_PENDING;
	}
	if (answer->verdict == OUTSIDE_BY_PASSWORD)
		error = sign_in_compare(sign_in, credentials, outside_answer_hash(answer));
	else if (answer->verdict == OUTSIDE_DENIED && sign_in->policy.outside_has_passwords)
		error = sign_in_compare(sign_in, credentials, slice_of(NULL, 0));
	else if (answer->verdict == OUTSIDE_DENIED)
		error = ERROR_AUTHORITY_DENIED;
	if (error != ERROR_OK)
		return error;
	/* Who does not know the password does not hear of it. */
	if (answer->is_disabled)
		return ERROR_USER_DISABLED;
	if (now_s >= answer->expires_s)
		return ERROR_USER_EXPIRED;
	struct slice user = outside_answer_user(answer);
	identity->user = user.size != 0 ? user : credentials->user_name;
	identity->permissions = outside_answer_rules(answer);
	identity->expires_s = answer->expires_s;
	identity->client_id_is_meant = sign_in->policy.outside_means_client_id;
	return ERROR_OK;
}

/* What neither a token nor the password file decides. */
static bool sign_in_is_outsider(const struct sign_in *sign_in, const struct credentials *credentials)
{
	if (!sign_in->policy.outside || (credentials->password.data == NULL && credentials->user_name.data == NULL))
		return false;
	return sign_in->passwords == NULL || password_file_find(sign_in->passwords, credentials->user_name).size == 0;
}

static enum error sign_in_by_any_way(struct sign_in *sign_in, const struct credentials *credentials, int64_t now_s,
				     struct identity *identity)
{
	struct slice token = sign_in_find_token(&sign_in->policy, credentials);
	if (token.size != 0)
		return sign_in_by_token(sign_in, token, now_s, identity);
	if (sign_in_is_outsider(sign_in, credentials))
		return sign_in_by_outside(sign_in, credentials, now_s, identity);
	bool says_nothing = credentials->password.data == NULL && credentials->user_name.data == NULL;
	if (sign_in->policy.passwords && credentials->password.data != NULL)
		return sign_in_by_password(sign_in, credentials, identity);
	/* A user name that nothing has verified is not accepted. */
	bool vouched_for = sign_in->policy.passwords || sign_in->policy.outside || sign_in->verifier != NULL;
	if (credentials->may_be_anonymous && (says_nothing || !vouched_for))
		return ERROR_OK;
	return ERROR_CREDENTIALS_MISSING;
}

enum error sign_in_check(struct sign_in *sign_in, const struct credentials *credentials, int64_t now_s,
			 struct identity *identity)
{
	*identity = (struct identity){.client_id = credentials->client_id, .expires_s = CLAIM_NEVER};
	enum error error = sign_in_by_any_way(sign_in, credentials, now_s, identity);
	if (error != ERROR_OK)
		return error;
	return sign_in_revoked(sign_in->revocations, identity->token_id, identity->user, identity->client_id, now_s);
}

static bool sign_in_id_is_revoked(const struct revocations *const revocations[SIGN_IN_REVOCATIONS_MAX],
				  enum revocation_kind kind, struct slice id, int64_t now_s)
{
	for (unsigned i = 0; id.size != 0 && i < SIGN_IN_REVOCATIONS_MAX; i++)
		if (revocations[i] != NULL && revocations_has(revocations[i], kind, id, now_s))
			return true;
	return false;
}

enum error sign_in_revoked(const struct revocations *const revocations[SIGN_IN_REVOCATIONS_MAX], struct slice token_id,
			   struct slice user, struct slice client_id, int64_t now_s)
{
	if (sign_in_id_is_revoked(revocations, REVOCATION_TOKEN, token_id, now_s))
		return ERROR_TOKEN_REVOKED;
	if (sign_in_id_is_revoked(revocations, REVOCATION_USER, user, now_s))
		return ERROR_USER_REVOKED;
	if (sign_in_id_is_revoked(revocations, REVOCATION_CLIENT, client_id, now_s))
		return ERROR_CLIENT_REVOKED;
	return ERROR_OK;
}
