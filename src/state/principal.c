#include "state/principal.h"
#include "base/layout_root.h"

#include "access/access.h"
#include "access/admission.h"
#include "state/shard.h"

#include <time.h>

LAYOUT_ROOT(principal);

struct principal *principal_of(const struct shard *shard, const struct client *client)
{
	return !principal_ref_is_none(client->principal) ? principal_at(&shard->mem.slab, client->principal) : NULL;
}

static size_t principal_bytes(size_t user_bytes)
{
	return sizeof(struct principal) + user_bytes;
}

void principal_free(struct shard *shard, struct principal_ref made)
{
	if (principal_ref_is_none(made))
		return;
	const struct principal *principal = principal_at(&shard->mem.slab, made);
	acl_pool_give(&shard->guard.token_rules, principal->rules);
	principal_give(&shard->mem.slab, made, principal_bytes(principal->user_bytes));
}

void principal_set(struct shard *shard, struct client *client, struct principal_ref made)
{
	CHECK(principal_ref_is_none(made) || !principal_ref_equal(made, client->principal));
	principal_free(shard, client->principal);
	client->principal = made;
}

void principal_drop(struct shard *shard, struct client *client)
{
	principal_set(shard, client, principal_ref_none());
}

void principal_tell(struct shard *shard, const struct client *client)
{
	const struct principal *principal = principal_of(shard, client);
	if (!client->session.journaled || principal == NULL)
		return;
	struct journal_principal told = {
		.user = slice_of(principal->user, principal->user_bytes),
		.rules = acl_pool_rules(&shard->guard.token_rules, principal->rules),
		.token_hash = principal->token_hash,
		.user_hash = principal->user_hash,
		.expires_at_s = principal->expires_s != PRINCIPAL_NEVER_S
					? deadline_to_wall(shard_deadline_clock(shard), principal->expires_s)
					: DEADLINE_NEVER_S,
		.uses_auth = principal->uses_auth,
	};
	struct journal *journal = &shard->sessions.journal;
	journal_tell(journal)->principal(journal->context, shard_client_ref(shard, client), &told);
}

bool principal_is_same_user(const struct shard *shard, const struct client *client, const struct admission *admission)
{
	const struct principal *principal = principal_of(shard, client);
	struct slice user = principal != NULL ? slice_of(principal->user, principal->user_bytes) : slice_of(NULL, 0);
	return slice_equal(user, admission_user(admission));
}

static uint32_t principal_expiry_of(const struct shard *shard, const struct admission *admission)
{
	if (admission->expires_in_s == ADMISSION_NEVER_S)
		return PRINCIPAL_NEVER_S;
	uint64_t expires_s = (uint64_t)shard->loop.now_s + admission->expires_in_s;
	return expires_s < PRINCIPAL_NEVER_S ? (uint32_t)expires_s : PRINCIPAL_NEVER_S;
}

enum error principal_restore(struct shard *shard, const struct journal_principal *told, uint32_t expires_s,
			     struct principal_ref *made)
{
	*made = principal_ref_none();
	uint32_t kept = told->rules.data != NULL ? acl_pool_take(&shard->guard.token_rules, told->rules) : 0;
	if (told->rules.data != NULL && kept == 0)
		return ERROR_LIMIT;
	*made = principal_take(&shard->mem.slab, principal_bytes(told->user.size));
	if (principal_ref_is_none(*made)) {
		acl_pool_give(&shard->guard.token_rules, kept);
		return ERROR_NO_MEMORY;
	}
	struct principal *principal = principal_at(&shard->mem.slab, *made);
	*principal = (struct principal){
		.token_hash = told->token_hash,
		.user_hash = told->user_hash,
		.expires_s = expires_s,
		.rules = kept,
		.user_bytes = (uint16_t)told->user.size,
		.uses_auth = told->uses_auth,
	};
	if (told->user.size != 0)
		memcpy(principal->user, told->user.data, told->user.size);
	return ERROR_OK;
}

enum error principal_new(struct shard *shard, const struct admission *admission, struct principal_ref *made)
{
	*made = principal_ref_none();
	if (!admission->has_principal)
		return ERROR_OK;
	struct journal_principal principal = {
		.user = admission_user(admission),
		.rules = admission_rules(admission),
		.token_hash = admission->token_hash,
		.user_hash = admission->user_hash,
		.uses_auth = admission->uses_auth,
	};
	return principal_restore(shard, &principal, principal_expiry_of(shard, admission), made);
}

/* The user and the client id stay the same. Only the token's rules and its expiry may change. */
static enum error renew_rules(struct shard *shard, struct principal *principal, struct slice rules)
{
	uint32_t kept = rules.data != NULL ? acl_pool_take(&shard->guard.token_rules, rules) : 0;
	if (rules.data != NULL && kept == 0)
		return ERROR_LIMIT;
	acl_pool_give(&shard->guard.token_rules, principal->rules);
	principal->rules = kept;
	return ERROR_OK;
}

/* As at sign-in: the token's expiry, plus the leeway for clocks that differ. */
static uint32_t renewed_until_s(const struct shard *shard, int64_t expires_s, int64_t wall_s)
{
	if (expires_s == CLAIM_NEVER)
		return PRINCIPAL_NEVER_S;
	int64_t left_s = expires_s + shard->env.settings->access.token_leeway_s - wall_s;
	return left_s < PRINCIPAL_NEVER_S - shard->loop.now_s ? shard->loop.now_s + (uint32_t)left_s
							      : PRINCIPAL_NEVER_S;
}

enum error principal_renew(struct shard *shard, struct client *client, struct slice token)
{
	struct principal *principal = principal_of(shard, client);
	CHECK(principal != NULL && principal->uses_auth);
	struct credentials credentials = {
		.client_id = registry_id(&shard->sessions.registry, &client->session),
		.password = token,
	};
	struct identity identity;
	int64_t wall_s = (int64_t)time(NULL);
	enum error error = sign_in_check(&shard->guard.sign_in, &credentials, wall_s, &identity);
	if (error == ERROR_TOKEN_KEY_UNKNOWN)
		access_ask_for_keys(shard->env.access);
	if (error != ERROR_OK)
		return error;
	if (!slice_equal(identity.user, slice_of(principal->user, principal->user_bytes)))
		return ERROR_TOKEN_USER;
	error = renew_rules(shard, principal, identity.permissions);
	if (error != ERROR_OK)
		return error;
	principal->token_hash =
		identity.token_id.size != 0 ? access_hash(shard->env.access, REVOCATION_TOKEN, identity.token_id) : 0;
	principal->expires_s = renewed_until_s(shard, identity.expires_s, wall_s);
	principal_tell(shard, client);
	return ERROR_OK;
}

/* ---- permissions ---- */

static struct acl_identity identity_of(const struct shard *shard, const struct client *client,
				       const struct principal *principal)
{
	return (struct acl_identity){
		.client_id = registry_id(&shard->sessions.registry, &client->session),
		.user = slice_of(principal->user, principal->user_bytes),
	};
}

bool principal_may_publish(struct shard *shard, const struct client *client, struct slice topic)
{
	const struct principal *principal = principal_of(shard, client);
	if (principal == NULL)
		return true;
	struct acl_subject subject = {
		.acl = shard->guard.acl,
		.token_rules = acl_pool_rules(&shard->guard.token_rules, principal->rules),
		.token_serial = acl_pool_serial(&shard->guard.token_rules, principal->rules),
		.identity = identity_of(shard, client, principal),
	};
	return acl_cache_check(&shard->guard.acl_cache, &subject, topic);
}

bool principal_may_subscribe(struct shard *shard, const struct client *client, struct slice topics)
{
	const struct principal *principal = principal_of(shard, client);
	if (principal == NULL)
		return true;
	struct acl_identity identity = identity_of(shard, client, principal);
	return acl_check(shard->guard.acl, acl_pool_rules(&shard->guard.token_rules, principal->rules), &identity,
			 ACL_SUBSCRIBE, topics);
}
