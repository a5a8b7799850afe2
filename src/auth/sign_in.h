/* Who a client is and whether it may connect: one decision on what CONNECT brings (or AUTH, for a client that is
 * connected), from tokens, passwords and revocations. A `struct sign_in` is owned by one thread, a gate's; what it
 * reads are snapshots that the caller swaps, and tables of revocations that are safe to share. Pure: the time comes in.
 *
 * Which way is tried: what has the form of a token is one, in the password or, where configured, the user name.
 * Otherwise a password is looked up in the password file. Otherwise who has a user name or a password is asked about
 * outside (auth/outside/answer.h), where that is configured: who is not in the password file, if there is one.
 * Otherwise, without either, the client is anonymous. A way that is not configured does not exist: a password where
 * only tokens are accepted is ERROR_CREDENTIALS_MISSING. */
#ifndef AUTH_SIGN_IN_H
#define AUTH_SIGN_IN_H

#include "auth/outside/answer.h"
#include "auth/password/password_cache.h"
#include "auth/password/password_hash.h"
#include "auth/revocation/revocation.h"
#include "auth/token/token.h"

#define SIGN_IN_REVOCATIONS_MAX 3u /* an embedded source, another, and users that are disabled */

struct sign_in_policy {
	struct claim_policy claims;
	uint32_t token_bytes_max;
	uint32_t password_cache_slots; /* a power of two; 0: nothing is remembered */
	bool tokens;                   /* are taken in the password */
	bool tokens_in_user_name;      /* are taken there too */
	bool passwords;                /* are looked up */
	bool outside;                  /* somebody is asked about the others */
	bool outside_has_passwords; /* whose answers are hashes: of users that he does not know, too, one is computed */
	bool outside_means_client_id; /* his answers are for a client id alone */
};

/* Anonymous clients only; tokens of up to 4 KiB, 65536 passwords remembered. */
struct sign_in_policy sign_in_policy_default(void);

/* What the client says of itself; data is NULL where it says nothing. */
struct credentials {
	struct slice client_id;
	struct slice user_name;
	struct slice password;
	bool may_be_anonymous; /* on this listener */
};

struct sign_in {
	struct sign_in_policy policy;
	struct token_verifier *verifier;
	struct password_cache cache;
	struct password_file *passwords;
	const struct revocations *revocations[SIGN_IN_REVOCATIONS_MAX];
	/* Of the client that is checked next; set by the owner, and stays its own. NULL: nobody has been asked yet. */
	const struct outside_answer *answer;
	char decoy[PASSWORD_HASH_BYTES_MAX]; /* checked for users that the authority does not know */
	bool defers_passwords;               /* set by the owner: those that are not remembered are checked elsewhere */
	struct credentials asked;            /* of the last ERROR_AUTHORITY_PENDING */
	struct slice deferred_user;          /* of the last ERROR_PASSWORD_PENDING: parts of its credentials */
	struct slice deferred_password;
	struct slice deferred_hash; /* that it is compared with; size 0: the password file's */
	uint64_t tokens_verified;
	uint64_t passwords_hashed;
};

/* policy: copied, its texts stay the caller's and outlive this. */
enum error sign_in_init(struct sign_in *sign_in, const struct sign_in_policy *policy);
void sign_in_fini(struct sign_in *sign_in);

/* From now on these, of which it takes references. */
void sign_in_use_keys(struct sign_in *sign_in, struct key_set *keys);
void sign_in_use_passwords(struct sign_in *sign_in, struct password_file *passwords);
/* A table, which outlives this; NULL: none at this place. */
void sign_in_use_revocations(struct sign_in *sign_in, unsigned place, const struct revocations *revocations);

/* Who it is; texts are good until the next call, or point into the credentials. */
struct identity {
	struct slice client_id;   /* CONNECT's, or, where it has none, the token's; size 0: neither has one */
	struct slice user;        /* size 0: anonymous, or the token names none */
	struct slice token_id;    /* size 0: none */
	struct slice permissions; /* rules for acl_check() and acl_pool_take(); data is NULL where the token has none */
	bool client_id_is_meant;  /* a token is for this client id alone */
	int64_t expires_s;        /* the session's latest end; CLAIM_NEVER: none */
};

/* ERROR_OK and *identity, or the reason for a refusal. Takes as long as a password's hash where there is one that was
 * not remembered; with defers_passwords that is ERROR_PASSWORD_PENDING instead: the owner has `passwords` asked, calls
 * sign_in_remember() if the password is correct, and asks again. ERROR_AUTHORITY_PENDING: the owner asks outside, sets
 * `answer`, and asks again; without defers_passwords that takes as long as a hash, too. A client id that the caller
 * assigns afterwards cannot have been revoked. */
enum error sign_in_check(struct sign_in *sign_in, const struct credentials *credentials, int64_t now_s,
			 struct identity *identity);

/* password_check() of the passwords in use said ERROR_OK. */
void sign_in_remember(struct sign_in *sign_in, struct slice user, struct slice password);
/* password_hash_verify() of a deferred hash did. */
void sign_in_remember_hash(struct sign_in *sign_in, struct slice hash, struct slice user, struct slice password);

/* ERROR_OK, or ERROR_TOKEN_REVOKED, _USER_REVOKED, _CLIENT_REVOKED: asked once more when a session begins,
 * because a revocation may have come between the check and that moment. Any thread that may read the tables. */
enum error sign_in_revoked(const struct revocations *const revocations[SIGN_IN_REVOCATIONS_MAX], struct slice token_id,
			   struct slice user, struct slice client_id, int64_t now_s);

#endif
