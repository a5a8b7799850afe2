/* What a token's payload [RFC 7519, 4] must say, and what is taken from it. Pure; any thread. */
#ifndef AUTH_CLAIMS_H
#define AUTH_CLAIMS_H

#include "auth/text/strict_json.h"
#include "base/error.h"

/* The year 9999. A later time is refused: most often it was written in milliseconds. */
#define CLAIM_SECONDS_MAX INT64_C(253402300799)
#define CLAIM_NEVER INT64_MAX

/* Immutable while a verifier has it; so are the texts. */
struct claim_policy {
	struct slice issuer; /* "iss" must be this; size 0: anything */
	struct slice
		audience; /* must be "aud" or one of its list; size 0: a token with an "aud" is for another service */
	/* Names of claims. "a.b" is member b of the object a, unless there is a claim "a.b". Size 0: not looked for. */
	struct slice client_id;   /* the only client id that may use the token */
	struct slice user;        /* must be there */
	struct slice permissions; /* auth/rules/acl_claims.h */
	bool client_id_required;
	bool token_id_required; /* "jti", so that every token can be revoked alone */
	bool expiry_required;
	uint32_t leeway_s; /* how far clocks may be apart */
};

/* The user is "sub", the client id "client_id", permissions are "permissions"; an expiry is required; 30 s of leeway.
 */
struct claim_policy claim_policy_default(void);

/* Texts point into the payload. */
struct claims {
	struct slice id;        /* "jti"; size 0: none */
	struct slice client_id; /* size 0: any */
	struct slice user;
	const struct strict_node *permissions; /* NULL: none */
	int64_t expires_s;                     /* CLAIM_NEVER: it does not */
	int64_t issued_s;                      /* "iat"; 0: not said */
};

/* ERROR_TOKEN_CLAIM, _EXPIRED, _NOT_YET, _ISSUER, _AUDIENCE. */
enum error claims_read(const struct strict_json *json, const struct claim_policy *policy, int64_t now_s,
		       struct claims *claims);

#endif
